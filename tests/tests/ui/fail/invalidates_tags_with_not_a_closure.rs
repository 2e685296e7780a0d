use cache_core::invalidates;

#[invalidates(tags_with = "user:{id}")]
fn save(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
