//! What the clients of a node do: random calls, and writes with their invalidations.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use cache_core::Cache;

use super::executor::Executor;
use super::functions::{End, Failure, Source, Value, Write, invalidate, save_user};
use super::history::History;
use super::judge::Came;
use super::keys::{KINDS, SimKey, Target, beside};
use super::plan::Plan;

/// A client of one node: it does one thing after another until as many are done as there are to do.
pub(super) struct Client {
    /// The run's executor.
    pub(super) executor: Arc<Executor>,
    /// The run's history.
    pub(super) history: Arc<History>,
    /// What is done in this run, and how often.
    pub(super) plan: Arc<Plan>,
    /// How much is left to be done, by all clients.
    pub(super) left: Arc<AtomicU64>,
    /// The node.
    pub(super) node: usize,
    /// Its cache.
    pub(super) cache: Cache,
}

/// The kinds of call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Call,
    Peek,
    Put,
    Refresh,
}

impl Client {
    /// Works until nothing is left.
    pub(super) async fn work(self) {
        self.executor.sleep(self.plan.head_start).await;
        loop {
            let left = self.left.load(Ordering::Relaxed);
            if left == 0 {
                return;
            }
            self.left.store(left - 1, Ordering::Relaxed);
            self.act().await;
            let pause = self.executor.random(|random| self.plan.pause(random));
            self.executor.sleep(pause).await;
        }
    }

    async fn act(&self) {
        let (pick, gives_up) = self.executor.random(|random| {
            let gives_up = random
                .chance(self.plan.cancels)
                .then(|| random.micros(0..if self.plan.hasty { 15_000 } else { 100_000 }));
            (random.below(0..1000), gives_up)
        });
        let shares = &self.plan.shares;
        let mut up_to = 0;
        let mut is = |share: u64| {
            up_to += share;
            pick < up_to
        };
        if is(shares.invalidations) {
            self.bounded(gives_up, self.invalidate()).await;
        } else if is(shares.saves) {
            self.bounded(gives_up, self.save()).await;
        } else if is(shares.updates) {
            self.update(gives_up).await;
        } else {
            let what = if is(shares.peeks) {
                What::Peek
            } else if is(shares.puts) {
                What::Put
            } else if is(shares.refreshes) {
                What::Refresh
            } else {
                What::Call
            };
            let key = self.executor.random(|random| self.plan.key(random));
            self.call(what, key, gives_up).await;
        }
    }

    /// A plain call, which nobody gives up.
    pub(super) async fn plain_call(&self, key: SimKey) {
        self.call(What::Call, key, None).await;
    }

    async fn call(&self, what: What, key: SimKey, gives_up: Option<Duration>) {
        let (takes, end) = self.executor.random(|random| self.plan.load(random));
        let name = match what {
            What::Call => "call",
            What::Peek => "peek",
            What::Put => "put",
            What::Refresh => "refresh",
        };
        let outages = self.outages(key);
        let call = self.history.call_begins(self.node, key, name);
        let source = Source {
            executor: Arc::clone(&self.executor),
            history: Arc::clone(&self.history),
            call,
            key,
            takes,
            end: if what == What::Put { End::Value } else { end },
        };
        let scoped = self.cache.scope(async {
            match what {
                What::Call => came(source.call().await),
                What::Refresh => came(source.refresh().await),
                What::Peek => source.peek().await.map_or(Came::Nothing, came),
                What::Put => {
                    source.put().await;
                    Came::Nothing
                }
            }
        });
        let caught = self.bounded(gives_up, caught(scoped)).await;
        let came = caught.unwrap_or(Came::Nothing);
        let outage = self.outages(key) > outages;
        self.history.call_ends(call, came, outage);
    }

    /// How often this node has served a value of the key's kind because of an outage.
    fn outages(&self, key: SimKey) -> u64 {
        if self.plan.kinds[key.kind()].outage_ttl.is_zero() {
            return 0;
        }
        let snapshot = self.cache.snapshot();
        let kind = snapshot.kinds.get(KINDS[key.kind()]);
        kind.map_or(0, |kind| kind.hits_outage)
    }

    async fn invalidate(&self) {
        let target = self.executor.random(|random| self.plan.target(random));
        self.history.write(target);
        let begun = self.history.invalidation_begins(self.node, target);
        let applied = invalidate(&self.cache, target).await;
        self.history.invalidation_ends(self.node, &begun, applied);
    }

    async fn save(&self) {
        let (key, takes) = self.executor.random(|random| {
            let takes = [random.millis(0..30), random.millis(0..30)];
            (self.plan.key(random), takes)
        });
        let begun = self.executor.random(|_| key.id());
        let target = Target::User(begun);
        let before = self.history.invalidation_begins(self.node, target);
        let saved = save_user(&self.executor, &self.history, key.id(), takes);
        self.cache.scope(saved).await;
        // At least this write is behind it by now.
        let written: Vec<_> = before
            .iter()
            .map(|(key, version)| (*key, version + 1))
            .collect();
        self.history.invalidation_ends(self.node, &written, false);
    }

    /// A write whose value becomes the cached one.
    async fn update(&self, gives_up: Option<Duration>) {
        let (key, (takes, end), looks) = self.executor.random(|random| {
            let looks = random.chance(200);
            (self.plan.key(random), self.plan.load(random), looks)
        });
        let call = self.history.call_begins(self.node, key, "update");
        let write = Write {
            source: Source {
                executor: Arc::clone(&self.executor),
                history: Arc::clone(&self.history),
                call,
                key,
                takes,
                end,
            },
            looks: looks.then_some(self.node),
        };
        let mut ends = Vec::new();
        let saved = self
            .cache
            .scope(async { came(write.save(&mut ends).await) });
        let caught = self.bounded(gives_up, caught(saved)).await;
        let came = caught.unwrap_or(Came::Nothing);
        if let Came::Value(..) = came {
            // What was loaded before the write ended is void on this node; on the others once it is on
            // the server.
            self.history.invalidation_ends(self.node, &ends, false);
        } else {
            self.history.write_given_up(self.node, &ends);
        }
        self.history.call_ends(call, came, false);
        let keys: Vec<SimKey> = beside(key).collect();
        self.history.stir(&keys);
    }

    /// Runs something until it ends or is given up.
    async fn bounded<T>(
        &self,
        gives_up: Option<Duration>,
        run: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(after) = gives_up else {
            return Some(run.await);
        };
        let mut run = pin!(run);
        let mut sleep = pin!(self.executor.sleep(after));
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = run.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            sleep.as_mut().poll(context).map(|()| None)
        })
        .await
    }
}

fn came(result: Result<Value, Failure>) -> Came {
    match result {
        Ok(value) => Came::Value(SimKey(value.key), value.version, value.load),
        Err(Failure(call)) => Came::Failed(call),
    }
}

/// A body's panic, as a result.
async fn caught(future: impl Future<Output = Came>) -> Came {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled,
            Err(_) => Poll::Ready(Came::Panicked),
        }
    })
    .await
}
