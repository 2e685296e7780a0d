//! Case 7: ten thousand callers on one cold key.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache_core::cached;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cases::Case;
use crate::measure::Figure;
use crate::redis::Redis;
use crate::rows::{Bound, Row, Section, millis};
use crate::{Effort, Result, loaded, loads, shared};

pub(super) const CASE: Case = Case {
    number: 7,
    title: "A stampede",
    about: "Ten thousand tasks are spawned that all ask for one key that nobody has asked for before; a load \
            takes 100 ms. How much later than that the last of them has its value, and how many loads there \
            were.",
    limit: None,
    run,
};

const CALLERS: usize = 10_000;
const TAKES: Duration = Duration::from_millis(100);

async fn load(id: u64) -> u64 {
    sleep(TAKES).await;
    loaded(id)
}

#[cached(kind = "shared", ttl = "1h", tags("shared:{id}"))]
async fn shared_call(id: u64) -> u64 {
    load(id).await
}

#[cached(kind = "local", ttl = "1h", local_only, tags("local:{id}"))]
async fn local_call(id: u64) -> u64 {
    load(id).await
}

#[cached::macros::cached(max_size = 10_000, ttl_secs = 3600, sync_writes = "by_key")]
async fn by_key(id: u64) -> u64 {
    load(id).await
}

#[cached::macros::concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
async fn concurrent(id: u64) -> u64 {
    load(id).await
}

type Call = Box<dyn Fn(u64) -> Pin<Box<dyn Future<Output = u64> + Send>> + Send + Sync>;

struct Contestant {
    name: &'static str,
    call: Arc<Call>,
}

fn contestant<F>(name: &'static str, call: impl Fn(u64) -> F + Send + Sync + 'static) -> Contestant
where
    F: Future<Output = u64> + Send + 'static,
{
    Contestant {
        name,
        call: Arc::new(Box::new(move |id| Box::pin(call(id)))),
    }
}

fn contestants() -> Vec<Contestant> {
    let moka = moka::future::Cache::<u64, u64>::new(10_000);
    let quick = Arc::new(quick_cache::sync::Cache::<u64, u64>::new(10_000));
    let foyer = foyer_memory::CacheBuilder::new(10_000).build::<foyer_memory::CacheProperties>();
    vec![
        contestant("**`#[cached]`**, with Redis", shared_call),
        contestant("**`#[cached]`**, `local_only`", local_call),
        contestant("cached `#[cached]`, `sync_writes = \"by_key\"`", by_key),
        contestant("cached `#[concurrent_cached]`", concurrent),
        contestant("moka `get_with`", move |id| {
            let moka = moka.clone();
            async move { moka.get_with(id, load(id)).await }
        }),
        contestant("quick_cache `get_or_insert_async`", move |id| {
            let quick = quick.clone();
            async move {
                let got = quick.get_or_insert_async(&id, async { Ok::<_, ()>(load(id).await) });
                got.await.expect("nothing here can fail")
            }
        }),
        contestant("foyer-memory `get_or_fetch`", move |id| {
            let foyer = foyer.clone();
            async move {
                let got = foyer.get_or_fetch(&id, || async move {
                    Ok::<_, std::convert::Infallible>(load(id).await)
                });
                *got.await.expect("nothing here can fail").value()
            }
        }),
    ]
}

fn run(effort: Effort) -> Result<Vec<Row>> {
    let redis = Redis::start()?;
    shared::install(&redis.url())?;
    shared::runtime()?.block_on(async {
        let contestants = contestants();
        for contestant in &contestants {
            // Connects, and makes the statics.
            (contestant.call)(0).await;
        }
        let mut rounds = vec![(Vec::new(), Vec::new()); contestants.len()];
        for round in 1..=effort.of(3, 15) {
            for (contestant, (times, runs)) in contestants.iter().zip(&mut rounds) {
                let before = loads();
                times.push(one(contestant, round).await);
                runs.push(loads() - before);
            }
        }
        let (times, runs): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        let figures: Vec<_> = times.into_iter().map(Figure::of_times).collect();
        let most: Vec<_> = runs
            .iter()
            .map(|runs| runs.iter().max().copied().unwrap_or_default())
            .collect();
        if most[..2] != [1, 1] {
            return Err(
                format!("ours loaded {:?} times where once is promised", &most[..2]).into(),
            );
        }
        let what = "time beyond the load's 100 ms";
        let mut section =
            Section::new(what, millis, contestants[0].name, figures[0]).ours(Bound::AtMost(20.0));
        section.note(&told(most[0]));
        for (at, contestant) in contestants.iter().enumerate().skip(1) {
            section.beside(contestant.name, figures[at], None);
            section.note(&told(most[at]));
        }
        Ok(section.rows())
    })
}

fn told(loads: u64) -> String {
    if loads == 1 {
        "1 load".to_owned()
    } else {
        format!("up to {loads} loads")
    }
}

/// How many milliseconds beyond its load it took until everybody had the value.
async fn one(contestant: &Contestant, id: u64) -> f64 {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..CALLERS {
        let call = contestant.call.clone();
        running.spawn(async move { call(id).await });
    }
    while let Some(value) = running.join_next().await {
        assert_eq!(value.expect("no call panics"), id, "{}", contestant.name);
    }
    (began.elapsed().as_secs_f64() - TAKES.as_secs_f64()) * 1e3
}
