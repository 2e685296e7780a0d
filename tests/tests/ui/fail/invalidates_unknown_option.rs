use cache_core::invalidates;

#[invalidates(tag("user:{id}"))]
async fn save(_id: u64) {}

fn main() {}
