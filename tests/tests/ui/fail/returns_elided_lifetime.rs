use cache_core::cached;

struct Error<'a>(&'a str);

#[cached(kind = "user_profile")]
fn user_profile(name: &str) -> Result<u64, Error<'_>> {
    Err(Error(name))
}

fn main() {}
