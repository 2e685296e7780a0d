//! What the engine is given in place of the machine: virtual time, seeded numbers, and tasks that die
//! with their node.

use std::sync::Arc;
use std::time::Duration;

use cache_core::store::BoxFuture;
use cache_core::{Clock, Entropy, Env, Spawn};

use super::executor::{Executor, Owner};

/// The environment of one node.
pub(super) fn env(executor: &Arc<Executor>, owner: Owner) -> Env {
    let world = World {
        executor: Arc::clone(executor),
        owner,
    };
    Env::system()
        .with_clock(world.clone())
        .with_entropy(world.clone())
        .with_spawn(world)
}

#[derive(Clone)]
struct World {
    executor: Arc<Executor>,
    owner: Owner,
}

impl Clock for World {
    fn now(&self) -> Duration {
        self.executor.now()
    }

    fn wall(&self) -> Duration {
        Duration::from_secs(1_700_000_000) + self.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.executor.sleep(duration))
    }
}

impl Entropy for World {
    fn draw(&self) -> u64 {
        self.executor.random(super::random::Random::draw)
    }
}

impl Spawn for World {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.executor.spawn(self.owner, task);
    }
}
