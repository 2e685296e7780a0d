impl Users {
    async fn profile<T: Id>(&self, id: T) -> Result<Profile, Error> {
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
                Result<Profile, Error>,
                _,
                _,
            >(
                &__CACHED_SITE,
                &::cache_core::__private::Instance::of::<
                    (::core::marker::PhantomData<Self>, ::core::marker::PhantomData<T>),
                >(),
                {
                    let __probed = ::cache_core::__private::shape!(
                        Result < Profile, Error >
                    );
                    ::cache_core::__private::checked::<
                        Result<Profile, Error>,
                        _,
                        _,
                        _,
                        _,
                    >(__probed)
                },
                ::core::option::Option::None,
                &(::cache_core::__private::argument(&id),),
                |_| {},
            ) {
                ::core::result::Result::Ok(__found) => return __found,
                ::core::result::Result::Err(__ticket) => __ticket,
            }
        };
        ::cache_core::__private::load(
                __ticket,
                async move {
                    #[allow(
                        unknown_lints,
                        unreachable_code,
                        clippy::diverging_sub_expression,
                        clippy::empty_loop,
                        clippy::let_unit_value,
                        clippy::needless_return,
                        clippy::unreachable,
                        clippy::let_with_type_underscore
                    )]
                    if false {
                        let __returned: Result<Profile, Error> = loop {};
                        return __returned;
                    }
                    let mut id = id;
                    {
                        id.step();
                        self.find(id).await
                    }
                },
            )
            .await
    }
}
