/// Saves a user.
pub async fn save(db: &Db, user: User) -> Result<(), DbError> {
    let __plan = {
        let mut __plan = ::cache_core::__private::Plan::new(
            ::core::option::Option::Some(::cache_core::__private::cache(&&CACHE)),
        );
        __plan
            .tag(
                &[
                    ::cache_core::__private::Part::Text("user:"),
                    ::cache_core::__private::Part::Value(&user.id),
                ],
            );
        __plan.tag(&[::cache_core::__private::Part::Text("users")]);
        __plan.kind("user_list");
        __plan.key(crate::users::profile::key::<Id>(user.id));
        __plan.key(self.name_key(user.id));
        __plan.key(Users::all_key());
        __plan
    };
    let __armed = __plan.arm();
    #[allow(clippy::let_unit_value, clippy::redundant_closure_call)]
    let __returned: Result<(), DbError> = async move {
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
            let __returned: Result<(), DbError> = loop {};
            return __returned;
        }
        { db.save(user).await }
    }
        .await;
    __armed
        .finish(
            ::cache_core::__private::shape::Success::succeeded(
                ::cache_core::__private::success!(Result < (), DbError >),
                &__returned,
            ),
        )
        .await;
    #[allow(clippy::unit_arg)] __returned
}
