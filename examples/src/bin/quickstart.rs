//! Hashes every file of a directory, and counts its lines and words: twice, and once more after a
//! change. `cargo run --bin quickstart [-- PATH]`; with `REDIS_URL` set, a second run starts warm.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs, io};

use cache_core::{Cache, cached, invalidates};
use cache_examples::tree::Tree;
use cache_redis::RedisStore;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Report {
    files: u64,
    lines: usize,
    words: usize,
    hash: [u8; 32],
}

/// Reads one file. The call site of a cached function does not change.
#[cached(kind = "file", ttl = "1h", key(&tree.version, name), tags("file:{tree.version}:{name}"))]
fn file(tree: &Tree, name: &str) -> io::Result<Report> {
    let bytes = fs::read(tree.path(name))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Report {
        files: 1,
        lines: text.lines().count(),
        words: text.split_whitespace().count(),
        hash: blake3::hash(&bytes).into(),
    })
}

/// Reads them all. Cached functions can call each other: after a change only one file is read again.
#[cached(kind = "directory", ttl = "1h", key(&tree.version), tags("directory:{tree.version}"))]
fn directory(tree: &Tree) -> io::Result<Report> {
    let mut all = Report::default();
    let mut hash = blake3::Hasher::new();
    for name in &tree.files {
        let one = file(tree, name)?;
        hash.update(&one.hash);
        all.files += one.files;
        all.lines += one.lines;
        all.words += one.words;
    }
    all.hash = hash.finalize().into();
    Ok(all)
}

/// Changes a file, and so what both functions return. Every process that shares the cache sees it.
#[invalidates(tags("file:{tree.version}:{name}", "directory:{tree.version}"))]
fn save(tree: &Tree, name: &str, text: &[u8]) -> io::Result<()> {
    fs::write(tree.path(name), text)
}

fn main() -> Result<(), Box<dyn Error>> {
    let shared = env::var("REDIS_URL").is_ok_and(|url| !url.is_empty());
    if shared {
        let cache = Cache::builder().namespace("quickstart");
        cache.shared(RedisStore::from_env()?).build().install()?;
    }
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let root = env::args_os()
        .nth(1)
        .map_or_else(|| own.into(), PathBuf::from);
    let tree = Tree::copy(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let name = tree.files.first().ok_or("there is no file to read")?;
    println!(
        "{} files, {} KiB, of {}",
        tree.files.len(),
        tree.bytes >> 10,
        root.display()
    );
    if tree.left_out > 0 {
        println!(
            "({} more are left out: a quickstart reads no more than that)",
            tree.left_out
        );
    }
    let place = if shared {
        "Redis, shared"
    } else {
        "this process; set REDIS_URL to share it"
    };
    println!("cached in {place}\n");

    let first = timed("first call", || directory(&tree))?;
    let warm = Cache::current().snapshot().kinds["directory"].loads == 0;
    println!(
        "{:27}{}",
        "",
        if warm {
            "warm: an earlier run had loaded it"
        } else {
            "cold: every file was read"
        }
    );
    timed("second call", || directory(&tree))?;

    // In a private copy: nothing of what was given on the command line is touched.
    let before = fs::read(tree.path(name))?;
    let started = Instant::now();
    save(&tree, name, &[&before[..], b"one line more\n"].concat())?;
    println!(
        "{:<14}{:>11.1?}  to a copy of {name}",
        "a change",
        started.elapsed()
    );
    let changed = timed("third call", || directory(&tree))?;
    assert_ne!(first.hash, changed.hash, "a change that was not seen");

    save(&tree, name, &before)?;
    let undone = timed("change undone", || directory(&tree))?;
    assert_eq!(first.hash, undone.hash, "what was undone is as before");
    println!("\n{}", Cache::current().snapshot());
    let health = Cache::current().health();
    if let (Some(place), false) = (health.shared, health.usable) {
        println!("{place} does not answer: the functions ran instead, as if nothing were cached");
    }
    Ok(())
}

fn timed(what: &str, call: impl FnOnce() -> io::Result<Report>) -> io::Result<Report> {
    let started = Instant::now();
    let report = call()?;
    let took = started.elapsed();
    let Report {
        files,
        lines,
        words,
        hash,
    } = &report;
    let hash = blake3::Hash::from(*hash).to_hex();
    println!(
        "{what:<14}{took:>11.1?}  {files} files, {lines} lines, {words} words, {}",
        &hash[..8]
    );
    Ok(report)
}
