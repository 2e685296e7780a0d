use cache_core::invalidates;

#[invalidates(tags("user:{id}"))]
async fn save(id: u64) -> Result<(), String> {
    id
}

#[invalidates(tags("user:{id}"))]
fn save_now(id: u64) -> Result<(), String> {
    id
}

fn main() {}
