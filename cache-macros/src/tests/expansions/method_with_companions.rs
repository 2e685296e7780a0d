impl Users {
    pub async fn profile(self: Arc<Self>, id: u64) -> Option<Profile> {
        let __ticket = match ::cache_core::__private::lookup::<
            Option<Profile>,
            _,
            _,
        >(
            Self::__profile_site(),
            &::cache_core::__private::Instance::of::<Self>(),
            {
                let __probed = ::cache_core::__private::shape!(Option < Profile >);
                ::cache_core::__private::checked::<Option<Profile>, _, _, _, _>(__probed)
            },
            ::core::option::Option::None,
            &(
                ::cache_core::__private::argument(&self.tenant),
                ::cache_core::__private::argument(&id),
            ),
            |_| {},
        ) {
            ::core::result::Result::Ok(__found) => return __found,
            ::core::result::Result::Err(__ticket) => __ticket,
        };
        ::cache_core::__private::load(__ticket, Self::profile_uncached(self, id)).await
    }
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
    pub async fn profile_uncached(self: Arc<Self>, id: u64) -> Option<Profile> {
        self.find(id).await
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    #[doc(hidden)]
    #[inline]
    pub fn __profile_site() -> &'static ::cache_core::__private::Site {
        enum __Here {}
        static __CACHED_SITE: ::cache_core::__private::Site = ::cache_core::__private::Site::new(::cache_core::__private::Spec {
            module: ::core::module_path!(),
            name: "profile",
            kind: "profile",
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            path: ::core::any::type_name::<__Here>,
            policy: ::cache_core::__private::Given::Known(::cache_core::Policy::new()),
            schema: ::core::option::Option::None,
            version: 0u64,
            own_ttl: false,
            late_tags: false,
            tags: &[],
        });
        &__CACHED_SITE
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    /// Runs the function and caches what it returns, whatever is cached now.
    #[inline]
    pub fn profile_refresh(
        self: Arc<Self>,
        id: u64,
    ) -> impl ::core::future::Future<Output = Option<Profile>> {
        ::cache_core::__private::later(move || {
            let __ticket = ::cache_core::__private::refresh::<
                Option<Profile>,
                _,
                _,
            >(
                Self::__profile_site(),
                &::cache_core::__private::Instance::of::<Self>(),
                {
                    let __probed = ::cache_core::__private::shape!(Option < Profile >);
                    ::cache_core::__private::checked::<
                        Option<Profile>,
                        _,
                        _,
                        _,
                        _,
                    >(__probed)
                },
                ::core::option::Option::None,
                &(
                    ::cache_core::__private::argument(&self.tenant),
                    ::cache_core::__private::argument(&id),
                ),
                |_| {},
            );
            ::cache_core::__private::load(__ticket, Self::profile_uncached(self, id))
        })
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    #[doc(hidden)]
    #[inline]
    pub fn __profile_at<__Aim: ::cache_core::__private::Aim>(
        &self,
        id: u64,
        __aim: __Aim,
    ) -> __Aim::Outcome<Option<Profile>> {
        __aim
            .of::<
                Option<Profile>,
                _,
                _,
            >(
                Self::__profile_site(),
                &::cache_core::__private::Instance::of::<Self>(),
                || {
                    let __probed = ::cache_core::__private::shape!(Option < Profile >);
                    ::cache_core::__private::checked::<
                        Option<Profile>,
                        _,
                        _,
                        _,
                        _,
                    >(__probed)
                },
                &(
                    ::cache_core::__private::argument(&self.tenant),
                    ::cache_core::__private::argument(&id),
                ),
                |_| {},
            )
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    /// The key of a call.
    #[inline]
    pub fn profile_key(
        &self,
        id: u64,
    ) -> ::core::result::Result<::cache_core::Key, ::cache_core::Error> {
        Self::__profile_at(self, id, ::cache_core::__private::Name).key()
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    /// What is cached for a call, without loading it.
    #[inline]
    pub fn profile_peek(
        &self,
        id: u64,
    ) -> impl ::core::future::Future<Output = ::core::option::Option<Option<Profile>>> {
        Self::__profile_at(self, id, ::cache_core::__private::Name).peek()
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    /// Caches a value as if the function had returned it; `false` where it is not cached.
    #[inline]
    pub fn profile_put(
        &self,
        id: u64,
        value: Option<Profile>,
    ) -> impl ::core::future::Future<Output = bool> {
        Self::__profile_at(self, id, ::cache_core::__private::Store).put(value)
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    /// Removes what is cached for a call.
    #[inline]
    pub fn profile_invalidate(
        &self,
        id: u64,
    ) -> impl ::core::future::Future<
        Output = ::core::result::Result<::cache_core::Invalidation, ::cache_core::Error>,
    > {
        ::cache_core::__private::invalidate(
            ::core::option::Option::None,
            Self::__profile_at(self, id, ::cache_core::__private::Name).key(),
        )
    }
    #[allow(
        deprecated,
        missing_docs,
        unreachable_pub,
        unused,
        clippy::all,
        clippy::nursery,
        clippy::pedantic
    )]
    #[doc(hidden)]
    #[inline]
    pub fn __profile_updating(
        &self,
        id: u64,
    ) -> ::cache_core::__private::Updating<Option<Profile>> {
        Self::__profile_at(self, id, ::cache_core::__private::Store).updating()
    }
}
