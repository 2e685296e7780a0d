use cache_core::invalidates;

fn load(id: u64) -> u64 {
    id
}

#[invalidates(of(load(id)))]
async fn save(id: u64) {
    load(id);
}

fn main() {}
