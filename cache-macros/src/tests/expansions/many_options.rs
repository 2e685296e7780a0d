fn order(id: u64) -> Result<Option<Order>, DbError> {
    #[allow(clippy::too_many_arguments)]
    fn __uncached(id: u64) -> Result<Option<Order>, DbError> {
        find(id)
    }
    let __ticket = {
        enum __Here {}
        static __CACHED_SITE: crate::reexported::cache_core::__private::Site = crate::reexported::cache_core::__private::Site::new(crate::reexported::cache_core::__private::Spec {
            module: ::core::module_path!(),
            name: "order",
            kind: "orders",
            file: ::core::file!(),
            line: ::core::line!(),
            column: ::core::column!(),
            path: ::core::any::type_name::<__Here>,
            policy: crate::reexported::cache_core::__private::Given::Asked(|| {
                crate::reexported::cache_core::Policy::new()
                    .ttl(TTL * 2)
                    .none_ttl(::core::time::Duration::from_millis(10000u64))
                    .stale_if_error(::core::time::Duration::from_millis(3600000u64))
                    .jitter(0.1f64)
                    .early(false)
                    .hard_timeout(::core::time::Duration::from_millis(2000u64))
                    .consistency(crate::reexported::cache_core::Consistency::Strict)
            }),
            schema: ::core::option::Option::None,
            version: 2u64,
            own_ttl: true,
            late_tags: true,
            tags: &[],
        });
        {
            let __enabled: bool = id > 0;
            if __enabled {
                match crate::reexported::cache_core::__private::lookup::<
                    Result<Option<Order>, DbError>,
                    _,
                    _,
                >(
                    &__CACHED_SITE,
                    crate::reexported::cache_core::__private::Instance::SOLE,
                    {
                        let __probed = crate::reexported::cache_core::__private::shape!(
                            Result < Option < Order >, DbError >, true, true, false
                        );
                        crate::reexported::cache_core::__private::checked::<
                            Result<Option<Order>, DbError>,
                            _,
                            _,
                            _,
                            _,
                        >(__probed)
                    },
                    ::core::option::Option::None,
                    &(crate::reexported::cache_core::__private::argument(&id),),
                    |_| {},
                ) {
                    ::core::result::Result::Ok(__found) => return __found,
                    ::core::result::Result::Err(__ticket) => __ticket,
                }
            } else {
                crate::reexported::cache_core::__private::bypass::<
                    Result<Option<Order>, DbError>,
                    _,
                >(
                    &__CACHED_SITE,
                    crate::reexported::cache_core::__private::Instance::SOLE,
                    {
                        let __probed = crate::reexported::cache_core::__private::shape!(
                            Result < Option < Order >, DbError >, true, true, false
                        );
                        crate::reexported::cache_core::__private::checked::<
                            Result<Option<Order>, DbError>,
                            _,
                            _,
                            _,
                            _,
                        >(__probed)
                    },
                    ::core::option::Option::None,
                )
            }
        }
    };
    crate::reexported::cache_core::__private::load_blocking(
        __ticket
            .cache_if(Order::keep)
            .ttl_with(|order| order.expires_in)
            .tags_with(|order| [
                crate::reexported::cache_core::__private::tag(
                    &[
                        crate::reexported::cache_core::__private::Part::Text(
                            "customer:",
                        ),
                        crate::reexported::cache_core::__private::Part::Value(
                            &order.customer,
                        ),
                    ],
                ),
            ]),
        move || __uncached(id),
    )
}
