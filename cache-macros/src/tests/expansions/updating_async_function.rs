async fn save(&self, user: User) -> Result<Profile, DbError> {
    let __updating_0 = user_profile::__updating(user.id);
    let __updating_1 = self.__names_updating(user.id);
    let __updating_0 = __updating_0.begin().await;
    let __updating_1 = __updating_1.beside(&__updating_0).begin().await;
    #[allow(clippy::redundant_closure_call)]
    let __returned: Result<Profile, DbError> = async move {
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
            let __returned: Result<Profile, DbError> = loop {};
            return __returned;
        }
        { self.db.save(user).await }
    }
        .await;
    let (__returned, __outcome) = ::cache_core::__private::outcome(
        ::cache_core::__private::shape!(Result < Profile, DbError >),
        __returned,
    );
    __updating_0.end(__outcome).await;
    let (__returned, __outcome) = ::cache_core::__private::outcome(
        ::cache_core::__private::shape!(Result < Profile, DbError >),
        __returned,
    );
    __updating_1.end(__outcome).await;
    __returned
}
