::core::compile_error! {
    "the kind `User` must start with a letter from a to z, such as `kind = \"user_profile\"`"
}
::core::compile_error! {
    "unknown option `tll` (did you mean `ttl`?): #[cached] takes `kind`, `ttl`, `ttl_with`, `tags`, `tags_with`, `key`, `skip`, `cache`, `cache_none`, `cache_err`, `cache_if`, `local_only`, `stale_while_revalidate`, `stale_if_error`, `outage_ttl`, `jitter`, `early`, `timeout`, `consistency`, `capacity`, `enabled`, `each`, `entries_of`, `schema`, `version`, `returns`, `companions`, `method` and `crate`"
}
#[cfg(unix)]
pub async fn user_profile(db: &Db, id: u64) -> Result<Profile, DbError> {
    db.load(id).await
}
#[cfg(unix)]
#[doc(hidden)]
#[allow(
    non_camel_case_types,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::nursery,
    clippy::pedantic
)]
pub enum user_profile {}
#[cfg(unix)]
impl user_profile {
    /// The function itself, past the cache.
    #[inline]
    #[allow(
        dead_code,
        unreachable_pub,
        clippy::missing_const_for_fn,
        clippy::missing_errors_doc,
        clippy::missing_panics_doc,
        clippy::must_use_candidate,
        clippy::too_many_arguments
    )]
    pub async fn uncached(db: &Db, id: u64) -> Result<Profile, DbError> {
        db.load(id).await
    }
}
#[cfg(unix)]
#[allow(
    deprecated,
    missing_docs,
    unreachable_pub,
    unused,
    clippy::all,
    clippy::nursery,
    clippy::pedantic
)]
impl user_profile {
    #[doc(hidden)]
    #[inline]
    pub fn __site() -> &'static ::cache_core::__private::Site {
        static __CACHED_SITE: ::cache_core::__private::Site = ::cache_core::__private::Site::new(::cache_core::__private::Spec {
            module: ::core::module_path!(),
            name: "user_profile",
            kind: "",
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            path: ::core::any::type_name::<user_profile>,
            policy: ::cache_core::__private::Given::Known(::cache_core::Policy::new()),
            schema: ::core::option::Option::None,
            version: 0u64,
            own_ttl: false,
            late_tags: false,
            tags: &[],
        });
        &__CACHED_SITE
    }
    /// Runs the function and caches what it returns, whatever is cached now.
    #[inline]
    pub fn refresh(
        db: &Db,
        id: u64,
    ) -> impl ::core::future::Future<Output = Result<Profile, DbError>> {
        ::cache_core::__private::reload(
            user_profile::__at(db, id, ::cache_core::__private::Store),
            user_profile::uncached(db, id),
        )
    }
    #[doc(hidden)]
    #[inline]
    pub fn __at<__Aim: ::cache_core::__private::Aim>(
        db: &Db,
        id: u64,
        __aim: __Aim,
    ) -> __Aim::Outcome<Result<Profile, DbError>> {
        __aim
            .of::<
                Result<Profile, DbError>,
                _,
                _,
            >(
                user_profile::__site(),
                ::cache_core::__private::Instance::SOLE,
                || {
                    let __probed = ::cache_core::__private::shape!(
                        Result < Profile, DbError >
                    );
                    ::cache_core::__private::checked::<
                        Result<Profile, DbError>,
                        _,
                        _,
                        _,
                        _,
                    >(__probed)
                },
                &(
                    ::cache_core::__private::argument(&db),
                    ::cache_core::__private::argument(&id),
                ),
                |_| {},
            )
    }
    /// The key of a call.
    #[inline]
    pub fn key(
        db: &Db,
        id: u64,
    ) -> ::core::result::Result<::cache_core::Key, ::cache_core::Error> {
        user_profile::__at(db, id, ::cache_core::__private::Name).key()
    }
    /// What is cached for a call, without loading it.
    #[inline]
    pub fn peek(
        db: &Db,
        id: u64,
    ) -> impl ::core::future::Future<
        Output = ::core::option::Option<Result<Profile, DbError>>,
    > {
        user_profile::__at(db, id, ::cache_core::__private::Name).peek()
    }
    /// Caches a value as if the function had returned it; `false` where it is not cached.
    #[inline]
    pub fn put(
        db: &Db,
        id: u64,
        value: Result<Profile, DbError>,
    ) -> impl ::core::future::Future<Output = bool> {
        user_profile::__at(db, id, ::cache_core::__private::Store).put(value)
    }
    /// Removes what is cached for a call.
    #[inline]
    pub fn invalidate(
        db: &Db,
        id: u64,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<::cache_core::Invalidation, ::cache_core::Error>,
    > {
        ::cache_core::__private::invalidate(
            ::core::option::Option::None,
            user_profile::__at(db, id, ::cache_core::__private::Name).key(),
        )
    }
    #[doc(hidden)]
    #[inline]
    pub fn __updating(
        db: &Db,
        id: u64,
    ) -> ::cache_core::__private::Updating<Result<Profile, DbError>> {
        user_profile::__at(db, id, ::cache_core::__private::Store).updating()
    }
    /// Makes a call for each of many arguments, so that what they load is cached.
    #[inline]
    pub fn warm<'__0>(
        __items: impl ::core::iter::IntoIterator<Item = (&'__0 Db, u64)>,
    ) -> ::cache_core::Warm<
        impl ::core::iter::Iterator<Item = impl ::core::future::Future<Output = bool>>,
    >
    where
        Db: '__0,
    {
        ::cache_core::__private::warm(
            __items,
            ::cache_core::__private::success!(Result < Profile, DbError >),
            move |(__given_0, __given_1)| user_profile(__given_0, __given_1),
        )
    }
}
