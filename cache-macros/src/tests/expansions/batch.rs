#[allow(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
async fn users(db: &Db, ids: &[u64]) -> Result<HashMap<u64, User>, DbError> {
    {
        let __shared: bool = user::__site().shares(&["user:{}"], false, false);
        ::cache_core::__private::batch::<
            Result<HashMap<u64, User>, DbError>,
            _,
            _,
            _,
            _,
            _,
            _,
        >(
                ::cache_core::__private::shape!(
                    Result < HashMap < u64, User >, DbError >
                ),
                ::cache_core::__private::elements(ids),
                |ids| {
                    if __shared {
                        ::cache_core::__private::lookup(
                            user::__site(),
                            ::cache_core::__private::Instance::SOLE,
                            ::cache_core::__private::element::<
                                Result<HashMap<u64, User>, DbError>,
                                _,
                                _,
                                _,
                                _,
                                false,
                                false,
                            >(
                                ::cache_core::__private::shape!(
                                    Result < HashMap < u64, User >, DbError >
                                ),
                            ),
                            ::core::option::Option::None,
                            &(::cache_core::__private::argument(&ids),),
                            |__tags| {
                                __tags
                                    .tag(
                                        &[
                                            ::cache_core::__private::Part::Text("user:"),
                                            ::cache_core::__private::Part::Value(&ids),
                                        ],
                                    );
                            },
                        )
                    } else {
                        ::core::result::Result::Err(
                            ::cache_core::__private::bypass(
                                user::__site(),
                                ::cache_core::__private::Instance::SOLE,
                                ::cache_core::__private::element::<
                                    Result<HashMap<u64, User>, DbError>,
                                    _,
                                    _,
                                    _,
                                    _,
                                    false,
                                    false,
                                >(
                                    ::cache_core::__private::shape!(
                                        Result < HashMap < u64, User >, DbError >
                                    ),
                                ),
                                ::core::option::Option::None,
                            ),
                        )
                    }
                },
                |__missing: ::std::vec::Vec<_>| {
                    async move {
                        let ids = &__missing[..];
                        users::uncached(db, ids).await
                    }
                },
            )
            .await
    }
}
#[doc(hidden)]
#[allow(
    non_camel_case_types,
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::nursery,
    clippy::pedantic
)]
enum users {}
impl users {
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
    async fn uncached(db: &Db, ids: &[u64]) -> Result<HashMap<u64, User>, DbError> {
        db.users(ids).await
    }
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
impl users {
    /// Runs the function and caches what it returns, whatever is cached now.
    #[inline]
    async fn refresh(db: &Db, ids: &[u64]) -> Result<HashMap<u64, User>, DbError> {
        {
            let __shared: bool = user::__site().shares(&["user:{}"], false, false);
            ::cache_core::__private::batch::<
                Result<HashMap<u64, User>, DbError>,
                _,
                _,
                _,
                _,
                _,
                _,
            >(
                    ::cache_core::__private::shape!(
                        Result < HashMap < u64, User >, DbError >
                    ),
                    ::cache_core::__private::elements(ids),
                    |ids| {
                        if __shared {
                            ::core::result::Result::Err(
                                ::cache_core::__private::refresh(
                                    user::__site(),
                                    ::cache_core::__private::Instance::SOLE,
                                    ::cache_core::__private::element::<
                                        Result<HashMap<u64, User>, DbError>,
                                        _,
                                        _,
                                        _,
                                        _,
                                        false,
                                        false,
                                    >(
                                        ::cache_core::__private::shape!(
                                            Result < HashMap < u64, User >, DbError >
                                        ),
                                    ),
                                    ::core::option::Option::None,
                                    &(::cache_core::__private::argument(&ids),),
                                    |__tags| {
                                        __tags
                                            .tag(
                                                &[
                                                    ::cache_core::__private::Part::Text("user:"),
                                                    ::cache_core::__private::Part::Value(&ids),
                                                ],
                                            );
                                    },
                                ),
                            )
                        } else {
                            ::core::result::Result::Err(
                                ::cache_core::__private::bypass(
                                    user::__site(),
                                    ::cache_core::__private::Instance::SOLE,
                                    ::cache_core::__private::element::<
                                        Result<HashMap<u64, User>, DbError>,
                                        _,
                                        _,
                                        _,
                                        _,
                                        false,
                                        false,
                                    >(
                                        ::cache_core::__private::shape!(
                                            Result < HashMap < u64, User >, DbError >
                                        ),
                                    ),
                                    ::core::option::Option::None,
                                ),
                            )
                        }
                    },
                    |__missing: ::std::vec::Vec<_>| {
                        async move {
                            let ids = &__missing[..];
                            users::uncached(db, ids).await
                        }
                    },
                )
                .await
        }
    }
    /// The key of a call.
    #[inline]
    fn key(ids: u64) -> ::core::result::Result<::cache_core::Key, ::cache_core::Error> {
        #[allow(clippy::shadow_same)]
        let ids = &ids;
        ::cache_core::__private::key(
            user::__site(),
            ::cache_core::__private::Instance::SOLE,
            &(::cache_core::__private::argument(&ids),),
        )
    }
    /// Removes what is cached for a call.
    #[inline]
    async fn invalidate(
        ids: &[u64],
    ) -> ::core::result::Result<::cache_core::Invalidation, ::cache_core::Error> {
        ::cache_core::__private::invalidate_all(
                ::core::option::Option::None,
                ::cache_core::__private::elements(ids)
                    .iter()
                    .map(|ids| ::cache_core::__private::key(
                        user::__site(),
                        ::cache_core::__private::Instance::SOLE,
                        &(::cache_core::__private::argument(&ids),),
                    )),
            )
            .await
    }
}
