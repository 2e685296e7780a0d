//! Local hits under criterion: `cargo bench --bench local`, or with `-- PART` those named so.

use cache_benchmarks::local;
use cache_benchmarks::measure::{Asked, BATCH, Contestant};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn hits(criterion: &mut Criterion) {
    group(criterion, "fn(u64) -> u64", local::numbers());
    group(criterion, "async fn(u64) -> Arc", local::awaited());
    group(criterion, "fn(u64, &str) -> Arc", local::named());
}

fn group(criterion: &mut Criterion, name: &str, made: cache_benchmarks::Result<Vec<Contestant>>) {
    let contestants = made.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(BATCH));
    for contestant in &contestants {
        let mut turn = 0;
        group.bench_function(contestant.name, |bencher| {
            bencher.iter(|| {
                contestant.run(Asked::Batch(turn));
                turn += 1;
            });
        });
    }
}

criterion_group!(benches, hits);
criterion_main!(benches);
