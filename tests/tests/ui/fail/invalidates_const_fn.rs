use cache_core::invalidates;

#[invalidates(tags("user:{id}"))]
const fn save(_id: u64) {}

fn main() {}
