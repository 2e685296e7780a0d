use cache_core::cached;

#[cached(kind = "user_profile", skip(a))]
fn user_profile((a, b): (u8, u8)) -> u8 {
    a + b
}

fn main() {}
