fn clear(users: &mut Vec<User>) {
    let __plan = {
        let mut __plan = ::cache_core::__private::Plan::new(
            ::core::option::Option::None,
        );
        __plan.kind("user_list");
        __plan
    };
    let __armed = __plan.arm();
    #[allow(clippy::let_unit_value, clippy::redundant_closure_call)]
    let __returned: () = (move || -> () {
        users.clear();
    })();
    __armed
        .finish_blocking(
            ::cache_core::__private::shape::Success::succeeded(
                ::cache_core::__private::success!(()),
                &__returned,
            ),
        );
    #[allow(clippy::unit_arg)] __returned
}
