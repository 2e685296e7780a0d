use cache_core::cached;

#[cached(kind = "user_profile")]
fn user_profile(id: u64) -> ! {
    panic!("{id}")
}

fn main() {}
