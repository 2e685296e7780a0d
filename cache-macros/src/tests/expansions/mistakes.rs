::core::compile_error! {
    "the kind `User` must start with a letter from a to z, such as `kind = \"user_profile\"`"
}
::core::compile_error! {
    "unknown option `tll` (did you mean `ttl`?): #[cached] takes `kind`, `ttl`, `tags`, `key`, `skip`, `cache`, `schema`, `returns`, `companions` and `method`"
}
#[cfg(unix)]
pub async fn user_profile(db: &Db, id: u64) -> Result<Profile, DbError> {
    db.load(id).await
}
#[cfg(unix)]
#[doc(hidden)]
#[allow(non_camel_case_types, dead_code, unreachable_pub)]
pub enum user_profile {}
