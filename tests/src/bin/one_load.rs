//! One process of a fleet that calls one cold key many times at once: the test of the same name
//! starts several. The function counts its runs in Redis itself, beside the cache.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use cache_core::{Cache, cached};
use cache_redis::RedisStore;
use tokio::task::JoinSet;

#[cached(kind = "one_load", ttl = "10m", skip(url))]
async fn expensive(url: &str, id: u64) -> Result<i64, redis::RedisError> {
    let client = redis::Client::open(url)?;
    let mut counting = client.get_multiplexed_async_connection().await?;
    let run = redis::cmd("INCR")
        .arg("test:runs")
        .query_async(&mut counting)
        .await?;
    // What is expensive about it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _ = id;
    Ok(run)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("one-load URL CALLERS")?;
    let callers: u32 = arguments.next().ok_or("one-load URL CALLERS")?.parse()?;
    let cache = Cache::builder().namespace("test");
    let cache = cache.shared(RedisStore::new(&url)?).try_build()?;
    cache.clone().install()?;
    // Connected before all start together.
    cache.check_shared().await?;

    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    out.flush()?;
    std::io::stdin().lock().read_line(&mut String::new())?;

    let mut calls = JoinSet::new();
    for _ in 0..callers {
        let url = url.clone();
        calls.spawn(async move { expensive(&url, 7).await });
    }
    let mut returned = Vec::new();
    while let Some(call) = calls.join_next().await {
        returned.push(call??);
    }
    writeln!(out, "{returned:?}")?;
    Ok(())
}
