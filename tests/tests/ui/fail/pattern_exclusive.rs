use cache_core::cached;

#[cached(kind = "user_profile", key(*a))]
fn user_profile(&mut (a, ref b): &mut (u8, u8)) -> u8 {
    a + b
}

fn main() {}
