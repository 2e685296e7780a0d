//! Every option, in each way it can be written.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use cache_core::{Cache, Error, Tag, cached, invalidates};

/// Every load gives another number.
fn next() -> u32 {
    static LOADS: AtomicU32 = AtomicU32::new(1);
    LOADS.fetch_add(1, Relaxed)
}

const SPAN: Duration = Duration::from_secs(30);
const ENTRIES: usize = 500;

#[cached(
    kind = "every_duration",
    ttl = SPAN * 2,
    stale_while_revalidate = "5m",
    stale_if_error = 3600,
    outage_ttl = SPAN,
    timeout(soft = "200ms", hard = Duration::from_secs(2)),
    jitter = 0.1,
    early = false,
    capacity = 1000
)]
async fn every_duration(id: u32) -> Result<u32, Error> {
    std::future::ready(Ok(id + next())).await
}

#[cached(kind = "every_expression", jitter = 1.0 / 8.0, capacity = ENTRIES * 2, timeout(hard = SPAN), consistency = "bounded")]
fn every_expression(id: u32) -> u32 {
    id + next()
}

#[cached(kind = "strictly", consistency = "strict", version = 7, schema = 1)]
fn strictly(id: u32) -> u32 {
    id + next()
}

#[cached(kind = "nones", cache_none)]
fn nones(id: u32, found: bool, runs: &AtomicRuns) -> Option<u32> {
    runs.0.fetch_add(1, Relaxed);
    found.then_some(id)
}

/// Counts, and is the same in every key.
struct AtomicRuns(AtomicU32);

impl serde::Serialize for AtomicRuns {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[cached(kind = "both", cache_none = "10s", cache_err = SPAN, skip(runs))]
async fn both(id: u32, runs: &AtomicRuns) -> Result<Option<u32>, String> {
    runs.0.fetch_add(1, Relaxed);
    match id {
        0 => Err("zero".to_owned()),
        1 => Ok(None),
        id => std::future::ready(Ok(Some(id))).await,
    }
}

#[cached(kind = "neither", cache_none = false, cache_err = false, skip(runs))]
fn neither(runs: &AtomicRuns) -> Option<u32> {
    runs.0.fetch_add(1, Relaxed);
    None
}

/// Neither `Serialize` nor `Deserialize`.
#[derive(Clone, Debug, PartialEq)]
pub struct Here(u32);

#[cached(kind = "here_only", local_only)]
async fn here_only(id: u32) -> Result<Here, Error> {
    std::future::ready(Ok(Here(id))).await
}

#[cached(kind = "here_whatever", local_only, returns = value)]
fn here_whatever<T: Clone + Send + Sync + serde::Serialize + 'static>(value: T) -> T {
    value
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct Order {
    id: u32,
    customer: u32,
    lines: Vec<String>,
    expires_in: Duration,
}

impl Order {
    fn of(id: u32) -> Self {
        Self {
            id,
            customer: id / 10,
            lines: vec![format!("line {}", next())],
            expires_in: Duration::from_secs(u64::from(id)),
        }
    }

    fn keep(&self) -> bool {
        self.id != 1
    }
}

#[cached(
    kind = "orders",
    cache_if = Order::keep,
    ttl_with = |order| order.expires_in,
    tags("order:{id}"),
    tags_with = |order| ["customer:{order.customer}", "lines:{order.lines.len()}"]
)]
async fn order(id: u32) -> Result<Order, Error> {
    std::future::ready(Ok(Order::of(id))).await
}

#[cached(
    kind = "order_lines",
    cache_if = |id| { let id: &Vec<String> = id; !id.is_empty() },
    ttl_with = |lines: &Vec<String>| (lines.len() < 5).then_some(SPAN),
    tags_with = |lines| lines.iter().map(|line| Tag::escaped("line:", line))
        .collect::<Vec<_>>()
)]
fn order_lines(id: u32) -> Vec<String> {
    Order::of(id).lines
}

#[cached(kind = "when_enabled", enabled = id > 10 && !bypass, skip(bypass))]
fn when_enabled(id: u32, bypass: bool) -> u32 {
    id * 1000 + next()
}

struct Shop {
    on: bool,
}

impl Shop {
    const LEAST: u32 = 10;

    #[cached(kind = "shop", enabled = self.on, key(id), skip(self), cache_if = |found| *found > Self::LEAST)]
    pub fn stock(&self, id: u32) -> u32 {
        id * 1000 + next()
    }
}

#[invalidates(tags("order:{order.id}"), tags_with = |saved| ["customer:{saved.customer}"])]
async fn save(order: Order) -> Result<Order, Error> {
    std::future::ready(Ok(order)).await
}

#[invalidates(kind = "when_enabled", before)]
fn seen_before(id: u32) -> u32 {
    when_enabled(id, false)
}

#[invalidates(of(when_enabled(id)), before, after)]
fn seen_both(id: u32) -> u32 {
    when_enabled(id, false)
}

#[invalidates(of(when_enabled(id)), always)]
fn fails(id: u32) -> Result<u32, String> {
    Err(format!("no {id}"))
}

#[invalidates(of(when_enabled(11)))]
#[invalidates(kind = "shop", after)]
async fn stacked() -> Result<(), String> {
    std::future::ready(Ok(())).await
}

mod reexported {
    pub mod deep {
        pub use cache_core;
    }
}

#[cached(kind = "through_another", ttl = "1m", tags("t:{id}"), tags_with = |found| ["u:{found}"], consistency = "bounded", crate = reexported::deep::cache_core)]
async fn through_another(id: u32) -> Option<u32> {
    std::future::ready(Some(id)).await
}

#[invalidates(of(through_another(id)), crate = "self::reexported::deep::cache_core")]
fn through_another_again(id: u32) -> u32 {
    id
}

async fn all() -> Result<(), Error> {
    let first = every_duration(1).await?;
    assert_eq!(every_duration(1).await?, first);

    let runs = AtomicRuns(0.into());
    for _ in 0..3 {
        assert_eq!(both(0, &runs).await, Err("zero".to_owned()));
        assert_eq!(both(1, &runs).await, Ok(None));
        assert_eq!(both(2, &runs).await, Ok(Some(2)));
    }
    assert_eq!(runs.0.load(Relaxed), 3);
    assert_eq!(here_only(1).await?, Here(1));
    assert_eq!(here_only::peek(1).await.transpose()?, Some(Here(1)));

    assert!(order(0).await.is_ok());
    assert!(order::peek(0).await.is_none(), "its own ttl is zero");
    assert!(order(1).await.is_ok());
    assert!(order::peek(1).await.is_none(), "`cache_if` says no");
    let lines = order(42).await?.lines;
    assert!(order::peek(42).await.is_some());
    assert_eq!(order(42).await?.lines, lines);
    Cache::current().invalidate_tag("customer:4").await?;
    assert!(order::peek(42).await.is_none());
    assert!(order(42).await.is_ok());
    assert!(
        save(Order {
            id: 1,
            ..Order::of(43)
        })
        .await
        .is_ok()
    );
    assert!(order::peek(42).await.is_none());
    assert_eq!(through_another(3).await, Some(3));
    assert_eq!(through_another::peek(3).await, Some(Some(3)));
    assert_eq!(through_another_again(3), 3);
    assert_eq!(through_another::peek(3).await, None);

    let first = when_enabled(11, false);
    assert!(stacked().await.is_ok());
    assert_ne!(when_enabled(11, false), first);
    Ok(())
}

pub fn main() -> Result<(), Error> {
    for f in [every_expression, strictly] {
        let first = f(1);
        assert_eq!(f(1), first);
    }
    let runs = AtomicRuns(0.into());
    for _ in 0..3 {
        assert_eq!(nones(1, false, &runs), None);
        assert_eq!(nones(1, true, &runs), Some(1));
    }
    assert_eq!(runs.0.load(Relaxed), 2);
    assert_eq!(nones::peek(1, false, &runs), Some(None));
    for _ in 0..3 {
        assert_eq!(neither(&runs), None);
    }
    assert_eq!(runs.0.load(Relaxed), 5);
    assert_eq!(here_whatever(1_u8), 1);
    assert_eq!(here_whatever::peek(1_u8), Some(1));

    let lines = order_lines(1);
    assert_eq!(order_lines(1), lines);

    let first = when_enabled(12, false);
    assert_eq!(when_enabled(12, false), first);
    assert_ne!(when_enabled(12, true), first);
    assert_ne!(when_enabled(5, false), when_enabled(5, false));
    assert_ne!(when_enabled::refresh(5, false), when_enabled(5, false));
    let seen = seen_before(12);
    assert_ne!(seen, first);
    assert_eq!(when_enabled(12, false), seen);
    let again = seen_both(12);
    assert_ne!(again, seen);
    let seen = when_enabled(12, false);
    assert_ne!(seen, again);
    assert!(fails(12).is_err());
    assert_ne!(when_enabled(12, false), seen);

    let (on, off) = (Shop { on: true }, Shop { on: false });
    let first = on.stock(1);
    assert_eq!(on.stock(1), first);
    assert_ne!(off.stock(1), first);
    crate::block_on(all())
}
