#[cfg(unix)]
#[deprecated]
#[allow(unused_variables)]
fn parsed<'a, T: FromStr + ?Sized, const N: usize>(
    text: &'a str,
    caches: &Caches,
    name: &str,
) -> Option<T>
where
    T: Clone,
{
    let __ticket = match ::cache_core::__private::lookup::<
        Option<T>,
        _,
        _,
    >(
        parsed::__site(),
        &::cache_core::__private::Instance::of::<T>(),
        {
            let __probed = ::cache_core::__private::shape!(Option < T >);
            ::cache_core::__private::checked::<Option<T>, _, _, _, _>(__probed)
        },
        ::core::option::Option::Some(::cache_core::__private::cache(&caches.get(name))),
        &(::cache_core::__private::argument(&text.trim()), &N),
        |_| {},
    ) {
        ::core::result::Result::Ok(__found) => return __found,
        ::core::result::Result::Err(__ticket) => __ticket,
    };
    ::cache_core::__private::load_blocking(
        __ticket,
        move || parsed::uncached::<T, N>(text, caches, name),
    )
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
enum parsed {}
#[cfg(unix)]
impl parsed {
    /// The function itself, past the cache.
    #[expect(unused_variables)]
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
    fn uncached<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
        caches: &Caches,
        name: &str,
    ) -> Option<T>
    where
        T: Clone,
    {
        let _ = &caches;
        let _ = &name;
        { text.parse().ok() }
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
impl parsed {
    #[doc(hidden)]
    #[inline]
    fn __site() -> &'static ::cache_core::__private::Site {
        static __CACHED_SITE: ::cache_core::__private::Site = ::cache_core::__private::Site::new(::cache_core::__private::Spec {
            module: ::core::module_path!(),
            name: "parsed",
            kind: "parsed",
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            path: ::core::any::type_name::<parsed>,
            policy: ::cache_core::__private::Given::Asked(|| {
                ::cache_core::Policy::new().ttl(TTL)
            }),
            schema: ::core::option::Option::Some(3u64),
            version: 0u64,
            own_ttl: false,
            late_tags: false,
            tags: &[],
        });
        &__CACHED_SITE
    }
    #[deprecated]
    #[allow(unused_variables)]
    /// Runs the function and caches what it returns, whatever is cached now.
    #[inline]
    fn refresh<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
        caches: &Caches,
        name: &str,
    ) -> Option<T>
    where
        T: Clone,
    {
        let __ticket = ::cache_core::__private::refresh::<
            Option<T>,
            _,
            _,
        >(
            parsed::__site(),
            &::cache_core::__private::Instance::of::<T>(),
            {
                let __probed = ::cache_core::__private::shape!(Option < T >);
                ::cache_core::__private::checked::<Option<T>, _, _, _, _>(__probed)
            },
            ::core::option::Option::Some(
                ::cache_core::__private::cache(&caches.get(name)),
            ),
            &(::cache_core::__private::argument(&text.trim()), &N),
            |_| {},
        );
        ::cache_core::__private::load_blocking(
            __ticket,
            move || parsed::uncached::<T, N>(text, caches, name),
        )
    }
    #[deprecated]
    #[allow(unused_variables)]
    /// The key of a call.
    #[inline]
    fn key<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
    ) -> ::core::result::Result<::cache_core::Key, ::cache_core::Error>
    where
        T: Clone,
    {
        ::cache_core::__private::key(
            parsed::__site(),
            &::cache_core::__private::Instance::of::<T>(),
            &(::cache_core::__private::argument(&text.trim()), &N),
        )
    }
    #[deprecated]
    #[allow(unused_variables)]
    /// What is cached for a call, without loading it.
    #[inline]
    fn peek<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
        caches: &Caches,
        name: &str,
    ) -> ::core::option::Option<Option<T>>
    where
        T: Clone,
    {
        ::cache_core::__private::peek_blocking(
            ::cache_core::__private::seek::<
                Option<T>,
                _,
                _,
            >(
                parsed::__site(),
                &::cache_core::__private::Instance::of::<T>(),
                {
                    let __probed = ::cache_core::__private::shape!(Option < T >);
                    ::cache_core::__private::checked::<Option<T>, _, _, _, _>(__probed)
                },
                ::core::option::Option::Some(
                    ::cache_core::__private::cache(&caches.get(name)),
                ),
                &(::cache_core::__private::argument(&text.trim()), &N),
            ),
        )
    }
    #[deprecated]
    #[allow(unused_variables)]
    /// Caches a value as if the function had returned it; `false` where it is not cached.
    #[inline]
    fn put<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
        caches: &Caches,
        name: &str,
        value: Option<T>,
    ) -> bool
    where
        T: Clone,
    {
        let __ticket = ::cache_core::__private::refresh::<
            Option<T>,
            _,
            _,
        >(
            parsed::__site(),
            &::cache_core::__private::Instance::of::<T>(),
            {
                let __probed = ::cache_core::__private::shape!(Option < T >);
                ::cache_core::__private::checked::<Option<T>, _, _, _, _>(__probed)
            },
            ::core::option::Option::Some(
                ::cache_core::__private::cache(&caches.get(name)),
            ),
            &(::cache_core::__private::argument(&text.trim()), &N),
            |_| {},
        );
        ::cache_core::__private::put_blocking(__ticket, value)
    }
    #[deprecated]
    #[allow(unused_variables)]
    /// Removes what is cached for a call.
    #[inline]
    fn invalidate<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
        caches: &Caches,
        name: &str,
    ) -> ::core::result::Result<::cache_core::Invalidation, ::cache_core::Error>
    where
        T: Clone,
    {
        let __key = ::cache_core::__private::key(
            parsed::__site(),
            &::cache_core::__private::Instance::of::<T>(),
            &(::cache_core::__private::argument(&text.trim()), &N),
        );
        ::cache_core::__private::invalidate_blocking(
            ::core::option::Option::Some(
                ::cache_core::__private::cache(&caches.get(name)),
            ),
            __key,
        )
    }
    #[doc(hidden)]
    #[inline]
    fn __updating<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
        caches: &Caches,
        name: &str,
    ) -> ::cache_core::__private::Updating<Option<T>>
    where
        T: Clone,
    {
        ::cache_core::__private::updating::<
            Option<T>,
            _,
            _,
        >(
            parsed::__site(),
            &::cache_core::__private::Instance::of::<T>(),
            {
                let __probed = ::cache_core::__private::shape!(Option < T >);
                ::cache_core::__private::checked::<Option<T>, _, _, _, _>(__probed)
            },
            ::core::option::Option::Some(
                ::cache_core::__private::cache(&caches.get(name)),
            ),
            &(::cache_core::__private::argument(&text.trim()), &N),
            |_| {},
            |__ticket| __ticket,
        )
    }
    #[deprecated]
    #[allow(unused_variables)]
    /// Makes a call for each of many arguments, so that what they load is cached.
    #[inline]
    fn warm<'__1, '__0, 'a, T: FromStr + ?Sized, const N: usize>(
        __items: impl ::core::iter::IntoIterator<
            Item = (&'a str, &'__0 Caches, &'__1 str),
        >,
    ) -> ::cache_core::Warm<impl ::core::iter::Iterator<Item = bool>>
    where
        T: Clone,
        str: 'a,
        Caches: '__0,
        str: '__1,
    {
        ::cache_core::__private::warm_blocking(
            __items,
            ::cache_core::__private::success!(Option < T >),
            move |(__given_0, __given_1, __given_2)| parsed::<
                T,
                N,
            >(__given_0, __given_1, __given_2),
        )
    }
}
