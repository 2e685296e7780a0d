use cache_core::invalidates;

#[invalidates(tags("user"))]
mod users {}

fn main() {}
