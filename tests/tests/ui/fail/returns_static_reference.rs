use cache_core::cached;

#[cached(kind = "greeting")]
fn greeting(id: u64) -> &'static str {
    "hello"
}

#[cached(kind = "greetings")]
async fn greetings(id: u64) -> Result<Vec<&'static str>, &'static str> {
    Ok(vec!["hello"])
}

fn main() {}
