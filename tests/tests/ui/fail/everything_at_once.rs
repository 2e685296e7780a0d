use cache_core::cached;

#[cached(
    kind = "user_profile",
    ttl = "5 parsecs",
    jitter = 2,
    timeout(soft = "3s", hard = "1s"),
    consistency = "loose",
    capacity = 0,
    version = -1,
    cache_if = |_| id > 0,
    tags_with = |value| ["{value", "{}"],
    skip(bd)
)]
async unsafe fn user_profile(db: u8, id: u64) -> &'static str {
    "one look shows all of it"
}

fn main() {}
