use cache_core::cached;

struct User {
    id: u64,
}

#[cached(kind = "user_profile", key(user.uid))]
fn user_profile(user: &User) -> u64 {
    user.id
}

fn main() {}
