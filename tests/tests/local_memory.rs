//! What local entries take in memory, by the allocator's count, and that this is what the cache says of
//! them: its bound in bytes is only worth as much.

use cache_core::{Cache, cached};

#[cached(kind = "plain_numbers", ttl = "1h", tags("all"))]
fn double(number: u64) -> u64 {
    number * 2
}

#[cached(kind = "long_texts", ttl = "1h", tags("all"))]
fn text(number: u64, name: &str) -> String {
    format!("{name} {number:>300}")
}

/// As many as fill tables of twice as many places, less a few, as a million do.
fn many() -> u64 {
    std::env::var("ENTRIES").map_or(125_000, |many| many.parse().expect("ENTRIES is a number"))
}

/// What an entry takes, counted, and as the cache says.
fn bytes(kind: &str, entries: u64, load: impl Fn(u64)) -> [u64; 2] {
    let cache = Cache::builder().capacity(4 << 30).build();
    let counted = allocation_counter::measure(|| {
        cache.scope_blocking(|| (0..entries).for_each(load));
    });
    let said = &cache.snapshot().kinds[kind];
    assert_eq!(said.local_entries, entries);
    let counted = u64::try_from(counted.bytes_current).unwrap();
    [counted / entries, said.local_bytes / entries]
}

fn assert_close([counted, said]: [u64; 2]) {
    assert!(
        said * 5 >= counted * 4 && said * 5 <= counted * 6,
        "{counted} bytes an entry, and {said} are told"
    );
}

#[test]
fn a_small_entry_takes_at_most_160_bytes() {
    let bytes = bytes("plain_numbers", many(), |number| {
        assert_eq!(double(number), number * 2);
    });
    assert!(bytes[0] <= 160, "{} bytes", bytes[0]);
    assert_close(bytes);
}

#[test]
fn a_larger_one_takes_what_is_told_of_it() {
    let name = "an argument that is too long to lie in the entry itself";
    assert_close(bytes("long_texts", many() / 8, |number| {
        text(number, name);
    }));
}
