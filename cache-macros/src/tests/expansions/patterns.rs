#[allow(clippy::used_underscore_binding)]
fn sum(__argument_0: (u32, u32), c: u32, __argument_2: u8) -> u32 {
    #[allow(unused_variables, clippy::pattern_type_mismatch)]
    let (a, b) = &__argument_0;
    let __ticket = match ::cache_core::__private::lookup::<
        u32,
        _,
        _,
    >(
        sum::__site(),
        ::cache_core::__private::Instance::SOLE,
        {
            let __probed = ::cache_core::__private::shape!(u32);
            ::cache_core::__private::checked::<u32, _, _, _, _>(__probed)
        },
        ::core::option::Option::None,
        &(
            ::cache_core::__private::argument(&__argument_0),
            ::cache_core::__private::argument(&__argument_2),
        ),
        |__tags| {
            __tags
                .tag(
                    &[
                        ::cache_core::__private::Part::Text("sum:"),
                        ::cache_core::__private::Part::Value(&a),
                    ],
                );
        },
    ) {
        ::core::result::Result::Ok(__found) => return __found,
        ::core::result::Result::Err(__ticket) => __ticket,
    };
    ::cache_core::__private::load_blocking(
        __ticket,
        move || sum::uncached(__argument_0, c, __argument_2),
    )
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
enum sum {}
impl sum {
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
    fn uncached((a, mut b): (u32, u32), mut c: u32, _: u8) -> u32 {
        a + b + c
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
impl sum {
    #[doc(hidden)]
    #[inline]
    fn __site() -> &'static ::cache_core::__private::Site {
        static __CACHED_SITE: ::cache_core::__private::Site = ::cache_core::__private::Site::new(::cache_core::__private::Spec {
            module: ::core::module_path!(),
            name: "sum",
            kind: "sum",
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            path: ::core::any::type_name::<sum>,
            policy: ::cache_core::__private::Given::Known(::cache_core::Policy::new()),
            schema: ::core::option::Option::None,
            version: 0u64,
            own_ttl: false,
            late_tags: false,
            tags: &["sum:{}"],
        });
        &__CACHED_SITE
    }
    /// Runs the function and caches what it returns, whatever is cached now.
    #[inline]
    fn refresh(__argument_0: (u32, u32), c: u32, __argument_2: u8) -> u32 {
        #[allow(unused_variables, clippy::pattern_type_mismatch)]
        let (a, b) = &__argument_0;
        let __ticket = ::cache_core::__private::refresh::<
            u32,
            _,
            _,
        >(
            sum::__site(),
            ::cache_core::__private::Instance::SOLE,
            {
                let __probed = ::cache_core::__private::shape!(u32);
                ::cache_core::__private::checked::<u32, _, _, _, _>(__probed)
            },
            ::core::option::Option::None,
            &(
                ::cache_core::__private::argument(&__argument_0),
                ::cache_core::__private::argument(&__argument_2),
            ),
            |__tags| {
                __tags
                    .tag(
                        &[
                            ::cache_core::__private::Part::Text("sum:"),
                            ::cache_core::__private::Part::Value(&a),
                        ],
                    );
            },
        );
        ::cache_core::__private::load_blocking(
            __ticket,
            move || sum::uncached(__argument_0, c, __argument_2),
        )
    }
    #[doc(hidden)]
    #[inline]
    fn __at<__Aim: ::cache_core::__private::Aim>(
        __argument_0: (u32, u32),
        __argument_2: u8,
        __aim: __Aim,
    ) -> __Aim::Outcome<u32> {
        #[allow(unused_variables, clippy::pattern_type_mismatch)]
        let (a, b) = &__argument_0;
        __aim
            .of::<
                u32,
                _,
                _,
            >(
                sum::__site(),
                ::cache_core::__private::Instance::SOLE,
                || {
                    let __probed = ::cache_core::__private::shape!(u32);
                    ::cache_core::__private::checked::<u32, _, _, _, _>(__probed)
                },
                &(
                    ::cache_core::__private::argument(&__argument_0),
                    ::cache_core::__private::argument(&__argument_2),
                ),
                |__tags| {
                    __tags
                        .tag(
                            &[
                                ::cache_core::__private::Part::Text("sum:"),
                                ::cache_core::__private::Part::Value(&a),
                            ],
                        );
                },
            )
    }
    /// The key of a call.
    #[inline]
    fn key(
        __argument_0: (u32, u32),
        __argument_2: u8,
    ) -> ::core::result::Result<::cache_core::Key, ::cache_core::Error> {
        sum::__at(__argument_0, __argument_2, ::cache_core::__private::Name).key()
    }
    /// What is cached for a call, without loading it.
    #[inline]
    fn peek(__argument_0: (u32, u32), __argument_2: u8) -> ::core::option::Option<u32> {
        sum::__at(__argument_0, __argument_2, ::cache_core::__private::Name)
            .peek_blocking()
    }
    /// Caches a value as if the function had returned it; `false` where it is not cached.
    #[inline]
    fn put(__argument_0: (u32, u32), __argument_2: u8, value: u32) -> bool {
        sum::__at(__argument_0, __argument_2, ::cache_core::__private::Store)
            .put_blocking(value)
    }
    /// Removes what is cached for a call.
    #[inline]
    fn invalidate(
        __argument_0: (u32, u32),
        __argument_2: u8,
    ) -> ::core::result::Result<::cache_core::Invalidation, ::cache_core::Error> {
        ::cache_core::__private::invalidate_blocking(
            ::core::option::Option::None,
            sum::__at(__argument_0, __argument_2, ::cache_core::__private::Name).key(),
        )
    }
    #[doc(hidden)]
    #[inline]
    fn __updating(
        __argument_0: (u32, u32),
        __argument_2: u8,
    ) -> ::cache_core::__private::Updating<u32> {
        sum::__at(__argument_0, __argument_2, ::cache_core::__private::Store).updating()
    }
    /// Makes a call for each of many arguments, so that what they load is cached.
    #[inline]
    fn warm(
        __items: impl ::core::iter::IntoIterator<Item = ((u32, u32), u32, u8)>,
    ) -> ::cache_core::Warm<impl ::core::iter::Iterator<Item = bool>> {
        ::cache_core::__private::warm_blocking(
            __items,
            ::cache_core::__private::success!(u32),
            move |(__given_0, __given_1, __given_2)| sum(__given_0, __given_1, __given_2),
        )
    }
}
