//! A node with a journal, to be killed: it does what each line of its input says, and prints one line
//! for each.

use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Cache, cached, invalidates};
use cache_redis::RedisStore;
use cache_tests::server::until;

/// What the function returns: its database.
static VALUE: AtomicU64 = AtomicU64::new(1);

#[cached(kind = "journaled", ttl = "10m", tags("journaled:{id}"))]
async fn get(id: u64) -> u64 {
    let _ = id;
    std::future::ready(VALUE.load(Ordering::Relaxed)).await
}

#[invalidates(tags("journaled:{id}"))]
async fn save(id: u64) {
    let _ = id;
    std::future::ready(()).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    const USAGE: &str = "journaled URL [JOURNAL]";
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or(USAGE)?;
    let mut builder = Cache::builder()
        .namespace("test")
        .shared(RedisStore::new(&url)?);
    if let Some(path) = arguments.next() {
        builder = builder.journal(path);
    }
    builder.try_build()?.install()?;
    let cache = Cache::current();
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (word, number) = line.split_once(' ').unwrap_or((&line, "0"));
        let number: u64 = number.parse()?;
        match word {
            "set" => VALUE.store(number, Ordering::Relaxed),
            "get" => write!(out, "{}", get(number).await)?,
            "save" => save(number).await,
            "invalidate" => {
                let tag = format!("journaled:{number}");
                write!(out, "{:?}", cache.invalidate_tag(&tag).await?)?;
            }
            "report" => cache.report().await?,
            "usable" => until("it is usable", async || cache.health().usable).await,
            "figures" => {
                let figures = cache.snapshot();
                let behind = cache.health().journal_behind;
                write!(
                    out,
                    "{} errors, behind: {behind}, {} pending",
                    figures.journal_errors, figures.invalidations_pending
                )?;
            }
            _ => return Err(format!("what is {line:?}?").into()),
        }
        writeln!(out)?;
        out.flush()?;
    }
    Ok(())
}
