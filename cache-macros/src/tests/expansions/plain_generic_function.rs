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
        ::cache_core::__private::Instance::of::<T>(),
        {
            let __probed = ::cache_core::__private::shape!(Option < T >);
            ::cache_core::__private::checked::<Option<T>, _, _>(__probed)
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
    fn __site() -> &'static ::cache_core::__private::Site {
        static __CACHED_SITE: ::cache_core::__private::Site = ::cache_core::__private::Site::new(::cache_core::__private::Spec {
            module: ::core::module_path!(),
            name: "parsed",
            kind: "parsed",
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            path: || ::core::any::type_name::<parsed>(),
            policy: || ::cache_core::Policy::new().ttl(TTL),
            schema: ::core::option::Option::Some(3u64),
            version: 0,
            own_ttl: false,
            late_tags: false,
        });
        &__CACHED_SITE
    }
    /// The function itself, past the cache.
    #[cfg(unix)]
    #[expect(unused_variables)]
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
    /// Runs the function and caches what it returns, whatever is cached now.
    #[cfg(unix)]
    #[deprecated]
    #[allow(unused_variables)]
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
            ::cache_core::__private::Instance::of::<T>(),
            {
                let __probed = ::cache_core::__private::shape!(Option < T >);
                ::cache_core::__private::checked::<Option<T>, _, _>(__probed)
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
    /// The key of a call.
    #[cfg(unix)]
    #[deprecated]
    #[allow(unused_variables)]
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
    fn key<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
    ) -> ::core::result::Result<::cache_core::Key, ::cache_core::Error>
    where
        T: Clone,
    {
        ::cache_core::__private::key(
            parsed::__site(),
            ::cache_core::__private::Instance::of::<T>(),
            &(::cache_core::__private::argument(&text.trim()), &N),
        )
    }
    /// What is cached for a call, without loading it.
    #[cfg(unix)]
    #[deprecated]
    #[allow(unused_variables)]
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
    fn peek<'a, T: FromStr + ?Sized, const N: usize>(
        text: &'a str,
        caches: &Caches,
        name: &str,
    ) -> ::core::option::Option<Option<T>>
    where
        T: Clone,
    {
        ::cache_core::__private::peek_blocking::<
            Option<T>,
            _,
            _,
        >(
            parsed::__site(),
            ::cache_core::__private::Instance::of::<T>(),
            {
                let __probed = ::cache_core::__private::shape!(Option < T >);
                ::cache_core::__private::checked::<Option<T>, _, _>(__probed)
            },
            ::core::option::Option::Some(
                ::cache_core::__private::cache(&caches.get(name)),
            ),
            &(::cache_core::__private::argument(&text.trim()), &N),
        )
    }
    /// Caches a value as if the function had returned it; `false` where it is not cached.
    #[cfg(unix)]
    #[deprecated]
    #[allow(unused_variables)]
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
            ::cache_core::__private::Instance::of::<T>(),
            {
                let __probed = ::cache_core::__private::shape!(Option < T >);
                ::cache_core::__private::checked::<Option<T>, _, _>(__probed)
            },
            ::core::option::Option::Some(
                ::cache_core::__private::cache(&caches.get(name)),
            ),
            &(::cache_core::__private::argument(&text.trim()), &N),
            |_| {},
        );
        ::cache_core::__private::put_blocking(__ticket, value)
    }
    /// Removes what is cached for a call.
    #[cfg(unix)]
    #[deprecated]
    #[allow(unused_variables)]
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
            ::cache_core::__private::Instance::of::<T>(),
            &(::cache_core::__private::argument(&text.trim()), &N),
        );
        ::cache_core::__private::invalidate_blocking(
            ::core::option::Option::Some(
                ::cache_core::__private::cache(&caches.get(name)),
            ),
            __key,
        )
    }
}
