impl Users {
    fn profile<'life0, 'async_trait>(
        &'life0 self,
        id: u64,
    ) -> ::core::pin::Pin<
        Box<
            dyn ::core::future::Future<
                Output = Option<Profile>,
            > + ::core::marker::Send + 'async_trait,
        >,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        ::std::boxed::Box::pin(async move {
            let __ticket = {
                enum __Here {}
                static __CACHED_SITE: ::cache_core::__private::Site = ::cache_core::__private::Site::new(::cache_core::__private::Spec {
                    module: ::core::module_path!(),
                    name: "profile",
                    kind: "profile",
                    file: ::core::file!(),
                    line: ::core::line!(),
                    column: ::core::column!(),
                    path: ::core::any::type_name::<__Here>,
                    policy: ::cache_core::__private::Given::Known(
                        ::cache_core::Policy::new(),
                    ),
                    schema: ::core::option::Option::None,
                    version: 0u64,
                    own_ttl: false,
                    late_tags: false,
                    tags: &[],
                });
                match ::cache_core::__private::lookup::<
                    Option<Profile>,
                    _,
                    _,
                >(
                    &__CACHED_SITE,
                    &::cache_core::__private::Instance::of::<Self>(),
                    {
                        let __probed = ::cache_core::__private::shape!(
                            Option < Profile >
                        );
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
                ) {
                    ::core::result::Result::Ok(__found) => return __found,
                    ::core::result::Result::Err(__ticket) => __ticket,
                }
            };
            ::cache_core::__private::load(
                    __ticket,
                    async move {
                        (move || -> ::core::pin::Pin<
                            Box<
                                dyn ::core::future::Future<
                                    Output = Option<Profile>,
                                > + ::core::marker::Send + 'async_trait,
                            >,
                        > {
                            Box::pin(async move {
                                let __self = self;
                                let id = id;
                                let __ret: Option<Profile> = { __self.find(id).await };
                                __ret
                            })
                        })()
                            .await
                    },
                )
                .await
        })
    }
}
