use cache_core::{cached, updates};

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> Option<String> {
    Some(id.to_string())
}

#[updates(users.profile(id))]
fn save(users: Users, id: u64) -> String {
    drop(users);
    id.to_string()
}

struct Users;

fn main() {}
