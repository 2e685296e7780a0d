use cache_core::cached;

#[cached(kind = "user_profile")]
struct Users;

fn main() {}
