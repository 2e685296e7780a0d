use cache_core::invalidates;

#[invalidates(key("user:{id}"))]
async fn save(_id: u64) {}

fn main() {}
