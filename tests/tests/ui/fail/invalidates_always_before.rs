use cache_core::invalidates;

#[invalidates(tags("user:{id}"), before, always)]
fn save(id: u64) -> Result<u64, String> {
    Ok(id)
}

fn main() {}
