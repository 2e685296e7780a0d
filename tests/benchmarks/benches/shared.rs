//! Hits that Redis answers, under criterion: `cargo bench --bench shared`. It starts a Redis of its own.

use std::time::Duration;

use cache_benchmarks::redis::Redis;
use cache_benchmarks::{Result, shared};
use criterion::{Criterion, criterion_group, criterion_main};

const KEYS: u64 = 1_024;
const SIZE: usize = 1 << 10;
/// How long callers run for one sample.
const SPAN: Duration = Duration::from_millis(20);

fn hits(criterion: &mut Criterion) {
    compare(criterion).unwrap_or_else(|error| panic!("{error}"));
}

fn compare(criterion: &mut Criterion) -> Result<()> {
    let redis = Redis::start()?;
    shared::install(&redis.url())?;
    let runtime = shared::runtime()?;
    let plain = runtime.block_on(shared::plain(&redis.url()))?;
    let tagged = runtime.block_on(shared::tagged(&redis.url()))?;
    for (tags, contestants) in [("no tags", &plain), ("two tags", &tagged)] {
        for callers in [1, 64, 256] {
            let mut group = criterion.benchmark_group(format!("{tags}, {callers} callers"));
            for contestant in contestants {
                let calls = |span| runtime.block_on(contestant.calls(callers, KEYS, SIZE, span));
                calls(Duration::ZERO)?;
                group.bench_function(contestant.name, |bencher| {
                    bencher.iter_custom(|times| {
                        let a_second = calls(SPAN).unwrap_or_else(|error| panic!("{error}"));
                        #[allow(clippy::cast_precision_loss)] // Criterion asks for far fewer.
                        Duration::from_secs_f64(times as f64 / a_second)
                    });
                });
            }
        }
    }
    Ok(())
}

criterion_group!(benches, hits);
criterion_main!(benches);
