::core::compile_error! {
    "the kind `User` must start with a letter from a to z, such as `kind = \"user_profile\"`"
}
::core::compile_error! {
    "unknown option `tll` (did you mean `ttl`?): #[cached] takes `kind`, `ttl`, `tags`, `key`, `skip`, `cache`, `schema`, `returns`, `companions` and `method`"
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
    #[cfg(unix)]
    #[allow(
        dead_code,
        deprecated,
        missing_docs,
        unreachable_pub,
        unused_mut,
        unused_variables,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    #[doc(hidden)]
    pub fn __site() -> &'static ::cache_core::__private::Site {
        static __CACHED_SITE: ::cache_core::__private::Site = ::cache_core::__private::Site::new(::cache_core::__private::Spec {
            module: ::core::module_path!(),
            name: "user_profile",
            kind: "",
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            path: || ::core::any::type_name::<user_profile>(),
            policy: || ::cache_core::Policy::new(),
            schema: ::core::option::Option::None,
            version: 0,
            own_ttl: false,
            late_tags: false,
        });
        &__CACHED_SITE
    }
    /// The function itself, past the cache.
    #[cfg(unix)]
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
    /// Runs the function and caches what it returns, whatever is cached now.
    #[cfg(unix)]
    #[allow(
        dead_code,
        deprecated,
        missing_docs,
        unreachable_pub,
        unused_mut,
        unused_variables,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    pub async fn refresh(db: &Db, id: u64) -> Result<Profile, DbError> {
        let __ticket = ::cache_core::__private::refresh::<
            Result<Profile, DbError>,
            _,
            _,
        >(
            user_profile::__site(),
            ::cache_core::__private::Instance::of::<()>(),
            {
                let __probed = ::cache_core::__private::shape!(
                    Result < Profile, DbError >
                );
                ::cache_core::__private::checked::<
                    Result<Profile, DbError>,
                    _,
                    _,
                >(__probed)
            },
            ::core::option::Option::None,
            &(
                ::cache_core::__private::argument(&db),
                ::cache_core::__private::argument(&id),
            ),
            |_| {},
        );
        ::cache_core::__private::load(__ticket, user_profile::uncached(db, id)).await
    }
    /// The key of a call.
    #[cfg(unix)]
    #[allow(
        dead_code,
        deprecated,
        missing_docs,
        unreachable_pub,
        unused_mut,
        unused_variables,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    pub fn key(
        db: &Db,
        id: u64,
    ) -> ::core::result::Result<::cache_core::Key, ::cache_core::Error> {
        ::cache_core::__private::key(
            user_profile::__site(),
            ::cache_core::__private::Instance::of::<()>(),
            &(
                ::cache_core::__private::argument(&db),
                ::cache_core::__private::argument(&id),
            ),
        )
    }
    /// What is cached for a call, without loading it.
    #[cfg(unix)]
    #[allow(
        dead_code,
        deprecated,
        missing_docs,
        unreachable_pub,
        unused_mut,
        unused_variables,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    pub async fn peek(
        db: &Db,
        id: u64,
    ) -> ::core::option::Option<Result<Profile, DbError>> {
        ::cache_core::__private::peek::<
            Result<Profile, DbError>,
            _,
            _,
        >(
                user_profile::__site(),
                ::cache_core::__private::Instance::of::<()>(),
                {
                    let __probed = ::cache_core::__private::shape!(
                        Result < Profile, DbError >
                    );
                    ::cache_core::__private::checked::<
                        Result<Profile, DbError>,
                        _,
                        _,
                    >(__probed)
                },
                ::core::option::Option::None,
                &(
                    ::cache_core::__private::argument(&db),
                    ::cache_core::__private::argument(&id),
                ),
            )
            .await
    }
    /// Caches a value as if the function had returned it; `false` where it is not cached.
    #[cfg(unix)]
    #[allow(
        dead_code,
        deprecated,
        missing_docs,
        unreachable_pub,
        unused_mut,
        unused_variables,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    pub async fn put(db: &Db, id: u64, value: Result<Profile, DbError>) -> bool {
        let __ticket = ::cache_core::__private::refresh::<
            Result<Profile, DbError>,
            _,
            _,
        >(
            user_profile::__site(),
            ::cache_core::__private::Instance::of::<()>(),
            {
                let __probed = ::cache_core::__private::shape!(
                    Result < Profile, DbError >
                );
                ::cache_core::__private::checked::<
                    Result<Profile, DbError>,
                    _,
                    _,
                >(__probed)
            },
            ::core::option::Option::None,
            &(
                ::cache_core::__private::argument(&db),
                ::cache_core::__private::argument(&id),
            ),
            |_| {},
        );
        ::cache_core::__private::put(__ticket, value).await
    }
    /// Removes what is cached for a call.
    #[cfg(unix)]
    #[allow(
        dead_code,
        deprecated,
        missing_docs,
        unreachable_pub,
        unused_mut,
        unused_variables,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    pub async fn invalidate(
        db: &Db,
        id: u64,
    ) -> ::core::result::Result<::cache_core::Invalidation, ::cache_core::Error> {
        let __key = ::cache_core::__private::key(
            user_profile::__site(),
            ::cache_core::__private::Instance::of::<()>(),
            &(
                ::cache_core::__private::argument(&db),
                ::cache_core::__private::argument(&id),
            ),
        );
        ::cache_core::__private::invalidate(::core::option::Option::None, __key).await
    }
}
