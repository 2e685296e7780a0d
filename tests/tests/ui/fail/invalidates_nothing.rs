use cache_core::invalidates;

#[invalidates]
async fn save(_id: u64) {}

fn main() {}
