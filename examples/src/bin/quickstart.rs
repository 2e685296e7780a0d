//! Hashes every file of a directory, and counts its lines and words: twice, and once more after a
//! change. `cargo run --bin quickstart [-- PATH]`; with `REDIS_URL` set, a second run starts warm.

use std::error::Error;
use std::time::Instant;
use std::{env, fmt, fs, io};

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
    let root = env::args_os().nth(1).unwrap_or_else(|| own.into());
    let tree = Tree::copy(root.as_ref()).map_err(|error| format!("{}: {error}", root.display()))?;
    let name = tree.files.first().ok_or("there is no file to read")?;
    println!("{tree}");
    println!(
        "cached in {}\n",
        if shared {
            "Redis"
        } else {
            "this process; set REDIS_URL to share it"
        }
    );

    timed("first call", || directory(&tree))?;
    let warm = match Cache::current().snapshot().kinds["directory"].loads {
        0 => "warm: an earlier run had loaded it",
        _ => "cold: every file was read",
    };
    println!("{:27}{warm}", "");
    timed("second call", || directory(&tree))?;

    // In a private copy: nothing of what was given on the command line is touched.
    let before = fs::read(tree.path(name))?;
    let started = Instant::now();
    save(&tree, name, &[&before[..], b"one line more\n"].concat())?;
    let took = started.elapsed();
    println!("a change      {took:>11.1?}  to a copy of {name}");
    timed("third call", || directory(&tree))?;
    save(&tree, name, &before)?;
    timed("change undone", || directory(&tree))?;

    println!("\n{}", Cache::current().snapshot());
    let health = Cache::current().health();
    if let (Some(place), false) = (health.shared, health.usable) {
        println!("{place} does not answer: the functions ran instead, as if nothing were cached");
    }
    Ok(())
}

fn timed(what: &str, call: impl FnOnce() -> io::Result<Report>) -> io::Result<()> {
    let started = Instant::now();
    let report = call()?;
    let took = started.elapsed();
    println!("{what:<14}{took:>11.1?}  {report}");
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, lines, words) = (self.files, self.lines, self.words);
        let hash = blake3::Hash::from(self.hash).to_hex();
        write!(
            f,
            "{files} files, {lines} lines, {words} words, {}",
            &hash[..8]
        )
    }
}
