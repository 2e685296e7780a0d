//! Values past their ttl: who gets them, who loads, and what ends them. Time stands still unless a test
//! moves it.

// Functions are written as users write them, and both sides of a choice one under the other.
#![allow(clippy::match_bool, clippy::unused_async)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::memory::{MemoryServer, Trouble};
use cache_core::{
    Cache, Consistency, Entropy, Env, Invalidation, KindSnapshot, ManualClock, Policy, cached,
};
use cache_tests::source::Source;
use cache_tests::world::{Here, settle};
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_mins(1);

/// A source that can be told to fail, or to have nothing.
#[derive(Clone, Default)]
struct Fickle {
    source: Source,
    fails: std::sync::Arc<AtomicBool>,
    empty: std::sync::Arc<AtomicBool>,
}

#[cached(kind = "aging", ttl = "1m", schema = 1, skip(from), tags("aging:{id}"))]
async fn aging(from: &Fickle, id: u64) -> Result<Option<u64>, String> {
    let _ = id;
    let value = from.source.load().await;
    if from.fails.load(Ordering::SeqCst) {
        return Err("the database is down".to_owned());
    }
    Ok((!from.empty.load(Ordering::SeqCst)).then_some(value))
}

/// Chance, as a test wants it.
#[derive(Clone, Default)]
struct Dice(std::sync::Arc<std::sync::Mutex<Option<u64>>>);

impl Dice {
    fn fix(&self, draw: u64) {
        *self.0.lock().unwrap() = Some(draw);
    }
}

impl Entropy for Dice {
    fn draw(&self) -> u64 {
        self.0
            .lock()
            .unwrap()
            .unwrap_or_else(|| Env::system().draw())
    }
}

/// Two nodes of one kind of world, or one where there is no shared tier.
struct World {
    name: &'static str,
    nodes: Vec<Cache>,
    server: MemoryServer,
    clock: ManualClock,
    dice: Dice,
    from: Fickle,
}

fn worlds(policy: &Policy) -> Vec<World> {
    ["embedded", "tracked", "checked", "strict"]
        .map(|name| world(name, policy.clone()))
        .into()
}

fn world(name: &'static str, policy: Policy) -> World {
    let clock = ManualClock::new();
    let dice = Dice::default();
    let env = Env::system()
        .with_clock(clock.clone())
        .with_entropy(dice.clone())
        .with_spawn(Here);
    let server = MemoryServer::new(env.clone());
    let policy = match name {
        "strict" => policy.consistency(Consistency::Strict),
        _ => policy,
    };
    let node = || {
        let builder = Cache::builder()
            .env(env.clone())
            .policy("aging", policy.clone())
            .store_timeout(SECOND / 4);
        match name {
            "embedded" => builder,
            "checked" => builder.shared(server.checked_store()),
            _ => builder.shared(server.store()),
        }
        .try_build()
        .expect("good settings")
    };
    let nodes = match name {
        "embedded" => vec![node()],
        _ => vec![node(), node()],
    };
    World {
        name,
        nodes,
        server,
        clock,
        dice,
        from: Fickle::default(),
    }
}

impl World {
    fn call_on(&self, node: usize) -> JoinHandle<Result<Option<u64>, String>> {
        let from = self.from.clone();
        tokio::spawn(self.nodes[node].scope(async move { aging(&from, 1).await }))
    }

    fn call(&self) -> JoinHandle<Result<Option<u64>, String>> {
        self.call_on(0)
    }

    /// What a call returns that need not wait.
    async fn now(&self, node: usize) -> Result<Option<u64>, String> {
        let call = self.call_on(node);
        settle().await;
        assert!(call.is_finished(), "{}: it waits", self.name);
        call.await.expect("no panic")
    }

    /// What a call returns, however long it waits for a lease that is given up in the background.
    async fn soon(&self, node: usize) -> Result<Option<u64>, String> {
        self.after(self.call_on(node), SECOND).await
    }

    /// What a call returns once so much time has passed in steps.
    async fn after(
        &self,
        call: JoinHandle<Result<Option<u64>, String>>,
        time: Duration,
    ) -> Result<Option<u64>, String> {
        let step = Duration::from_millis(50);
        let mut passed = Duration::ZERO;
        loop {
            settle().await;
            if call.is_finished() {
                return call.await.expect("no panic");
            }
            assert!(passed < time, "{}: nothing after {passed:?}", self.name);
            self.clock.advance(step);
            passed += step;
        }
    }

    /// Waits until so many loads have begun, and lets the time pass that it takes.
    async fn loading(&self, loads: u64) {
        for _ in 0..10_000 {
            settle().await;
            if self.loads() >= loads {
                return;
            }
            self.clock.advance(Duration::from_millis(1));
        }
        panic!("{}: {} loads", self.name, self.loads());
    }

    /// Loads `1`, lets its ttl pass, and changes the source to `2`.
    async fn aged(&self, past: Duration) {
        assert_eq!(self.now(0).await, Ok(Some(1)), "{}", self.name);
        self.clock.advance(TTL + past);
        self.from.source.set(2);
    }

    fn figures(&self, node: usize) -> KindSnapshot {
        self.nodes[node].snapshot().kinds["aging"].clone()
    }

    fn loads(&self) -> u64 {
        self.from.source.loads()
    }
}

#[tokio::test]
async fn one_call_refreshes_and_the_others_have_the_old_value_meanwhile() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND).await;
        world.from.source.hold();
        let refreshing = world.call();
        world.from.source.loading(2).await;
        for node in 0..world.nodes.len() {
            for _ in 0..3 {
                assert_eq!(world.now(node).await, Ok(Some(1)), "{}", world.name);
            }
        }
        assert!(!refreshing.is_finished());
        world.from.source.let_go();
        assert_eq!(refreshing.await.unwrap(), Ok(Some(2)));
        for node in 0..world.nodes.len() {
            assert_eq!(world.now(node).await, Ok(Some(2)), "{}", world.name);
        }
        assert_eq!(world.loads(), 2, "{}", world.name);
        let figures = world.figures(0);
        assert_eq!(
            (figures.hits_stale, figures.refreshes),
            (3, 1),
            "{}",
            world.name
        );
    }
}

#[tokio::test]
async fn calls_that_wait_for_the_search_have_the_old_value_as_well() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND).await;
        world.from.source.hold();
        // All of them before any has found out what there is.
        let calls: Vec<_> = (0..8).map(|_| world.call()).collect();
        world.from.source.loading(2).await;
        settle().await;
        let ended = calls.iter().filter(|call| call.is_finished()).count();
        assert_eq!(ended, 7, "{}", world.name);
        world.from.source.let_go();
        let mut values = Vec::new();
        for call in calls {
            values.push(call.await.unwrap().unwrap().unwrap());
        }
        values.sort_unstable();
        assert_eq!(values, [1, 1, 1, 1, 1, 1, 1, 2], "{}", world.name);
        assert_eq!(world.loads(), 2);
    }
}

#[tokio::test]
async fn past_its_grace_a_value_is_a_miss() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND * 10).await;
        assert_eq!(world.now(0).await, Ok(Some(2)), "{}", world.name);
        assert_eq!(world.figures(0).hits_stale, 0);
    }
}

#[tokio::test]
async fn what_is_stale_obeys_an_invalidation() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND).await;
        world.from.source.hold();
        let refreshing = world.call();
        world.from.source.loading(2).await;
        assert_eq!(world.now(0).await, Ok(Some(1)));
        world.from.source.set(3);
        let other = world.nodes.last().unwrap();
        let done = other.invalidate_tag("aging:1").await.unwrap();
        assert_eq!(done, Invalidation::Applied);
        let after = world.call();
        if ["embedded", "tracked"].contains(&world.name) {
            // Who is told need not wait for a load that is in vain.
            world.loading(3).await;
        }
        world.from.source.let_go();
        // The load that began before it is its own caller's alone.
        assert_eq!(refreshing.await.unwrap(), Ok(Some(2)), "{}", world.name);
        let after = world.after(after, SECOND).await;
        assert_eq!(after, Ok(Some(3)), "{}", world.name);
        for node in 0..world.nodes.len() {
            assert_eq!(world.soon(node).await, Ok(Some(3)), "{}", world.name);
        }
    }
}

/// A refresh of a stale value against a removal of its key: what was removed does not come back.
#[tokio::test]
async fn a_refresh_does_not_bring_back_what_was_removed() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND).await;
        world.from.source.hold();
        let refreshing = world.call();
        world.from.source.loading(2).await;
        world.from.source.set(3);
        let other = world.nodes.last().unwrap();
        other.invalidate_key(aging::key(1).unwrap()).await;
        world.from.source.let_go();
        assert_eq!(refreshing.await.unwrap(), Ok(Some(2)));
        for node in 0..world.nodes.len() {
            assert_eq!(world.soon(node).await, Ok(Some(3)), "{}", world.name);
        }
    }
}

#[tokio::test]
async fn a_refresher_that_is_cancelled_hands_over() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND).await;
        world.from.source.hold();
        let refreshing = world.call();
        world.from.source.loading(2).await;
        refreshing.abort();
        assert!(refreshing.await.unwrap_err().is_cancelled());
        // Its lease is given up in the background: until then calls have the old value.
        let next = loop {
            let next = world.call();
            settle().await;
            if !next.is_finished() {
                break next;
            }
            assert_eq!(next.await.unwrap(), Ok(Some(1)), "{}", world.name);
            world.clock.advance(Duration::from_millis(1));
        };
        world.loading(3).await;
        assert_eq!(world.now(0).await, Ok(Some(1)), "{}", world.name);
        world.from.source.let_go();
        assert_eq!(next.await.unwrap(), Ok(Some(2)), "{}", world.name);
    }
}

#[tokio::test]
async fn a_failing_refresh_leaves_the_old_value_in_peace_for_a_second() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND).await;
        world.from.fails.store(true, Ordering::SeqCst);
        assert_eq!(world.now(0).await, Ok(Some(1)), "{}", world.name);
        assert_eq!(world.loads(), 2);
        for _ in 0..5 {
            assert_eq!(world.now(0).await, Ok(Some(1)), "{}", world.name);
        }
        assert_eq!(world.loads(), 2, "{}", world.name);
        world.clock.advance(SECOND);
        world.from.fails.store(false, Ordering::SeqCst);
        assert_eq!(world.soon(0).await, Ok(Some(2)), "{}", world.name);
        let figures = world.figures(0);
        assert_eq!(
            (figures.rescued, figures.load_errors),
            (1, 1),
            "{}",
            world.name
        );
    }
}

#[tokio::test]
async fn stale_if_error_is_for_errors_only() {
    for world in worlds(&Policy::new().stale_if_error(SECOND * 100)) {
        world.aged(SECOND).await;
        world.from.fails.store(true, Ordering::SeqCst);
        world.from.source.hold();
        let calls: Vec<_> = (0..4).map(|_| world.call()).collect();
        world.from.source.loading(2).await;
        settle().await;
        assert!(
            calls.iter().all(|call| !call.is_finished()),
            "{}",
            world.name
        );
        world.from.source.let_go();
        for call in calls {
            assert_eq!(call.await.unwrap(), Ok(Some(1)), "{}", world.name);
        }
        assert_eq!(
            world.loads(),
            2,
            "{}: the others share the answer",
            world.name
        );
        world.from.fails.store(false, Ordering::SeqCst);
        world.clock.advance(SECOND);
        assert_eq!(world.soon(0).await, Ok(Some(2)), "{}", world.name);
        world.clock.advance(TTL + SECOND * 100);
        world.from.fails.store(true, Ordering::SeqCst);
        assert!(world.soon(0).await.is_err(), "{}", world.name);
    }
}

#[tokio::test]
async fn an_error_after_an_invalidation_is_not_covered_up() {
    for world in worlds(&Policy::new().stale_if_error(SECOND * 100)) {
        world.aged(SECOND).await;
        world.from.fails.store(true, Ordering::SeqCst);
        world.nodes[0].invalidate_tag("aging:1").await.unwrap();
        assert!(world.soon(0).await.is_err(), "{}", world.name);
    }
}

/// The invalidation comes while the load that fails is under way.
#[tokio::test]
async fn an_error_during_an_invalidation_is_not_covered_up() {
    for world in worlds(&Policy::new().stale_if_error(SECOND * 100)) {
        world.aged(SECOND).await;
        world.from.fails.store(true, Ordering::SeqCst);
        world.from.source.hold();
        let failing = world.call();
        world.from.source.loading(2).await;
        world.nodes[0].invalidate_tag("aging:1").await.unwrap();
        world.from.source.let_go();
        assert!(failing.await.unwrap().is_err(), "{}", world.name);
    }
}

/// The function says that there is nothing any more: what was there must go.
#[tokio::test]
async fn what_a_refresh_finds_gone_is_gone() {
    for world in worlds(&Policy::new().stale_while_revalidate(SECOND * 10)) {
        world.aged(SECOND).await;
        world.from.empty.store(true, Ordering::SeqCst);
        assert_eq!(world.now(0).await, Ok(None), "{}", world.name);
        for node in 0..world.nodes.len() {
            assert_eq!(world.soon(node).await, Ok(None), "{}", world.name);
        }
    }
}

/// With the recorded cost of a load, and by whoever gets the lease without waiting.
#[tokio::test]
async fn a_costly_value_is_refreshed_before_it_ends() {
    for world in worlds(&Policy::new()) {
        // The first load takes two seconds.
        world.from.source.hold();
        let first = world.call();
        world.from.source.loading(1).await;
        world.clock.advance(SECOND * 2);
        world.from.source.let_go();
        assert_eq!(first.await.unwrap(), Ok(Some(1)));
        world.from.source.set(2);
        // Twenty-one seconds before the end nothing is drawn; with nineteen left, chance decides.
        world.dice.fix(0);
        world.clock.advance(SECOND * 39);
        assert_eq!(world.now(0).await, Ok(Some(1)), "{}", world.name);
        world.clock.advance(SECOND * 2);
        world.dice.fix(u64::MAX);
        assert_eq!(world.now(0).await, Ok(Some(1)), "{}", world.name);
        assert_eq!(world.loads(), 1);
        world.dice.fix(1 << 20);
        world.from.source.hold();
        let refreshing = world.call();
        world.from.source.loading(2).await;
        for node in 0..world.nodes.len() {
            assert_eq!(
                world.now(node).await,
                Ok(Some(1)),
                "{}: nobody waits",
                world.name
            );
        }
        world.from.source.let_go();
        assert_eq!(refreshing.await.unwrap(), Ok(Some(2)), "{}", world.name);
        assert_eq!(world.now(0).await, Ok(Some(2)), "{}", world.name);
        assert_eq!((world.loads(), world.figures(0).refreshes), (2, 1));
        assert_eq!(
            world.figures(0).hits_stale,
            0,
            "{}: it was fresh",
            world.name
        );
    }
}

#[tokio::test]
async fn early_refreshes_can_be_switched_off() {
    for world in worlds(&Policy::new().early(false)) {
        world.from.source.hold();
        let first = world.call();
        world.from.source.loading(1).await;
        world.clock.advance(SECOND * 5);
        world.from.source.let_go();
        first.await.unwrap().unwrap();
        world.dice.fix(1 << 20);
        world.clock.advance(SECOND * 59);
        assert_eq!(world.now(0).await, Ok(Some(1)));
        assert_eq!(world.loads(), 1, "{}", world.name);
    }
}

#[tokio::test]
async fn a_refresh_that_the_store_refuses_takes_nothing_from_anybody() {
    let policy = Policy::new().stale_while_revalidate(SECOND * 10);
    for name in ["checked", "strict"] {
        let world = world(name, policy.clone());
        world.aged(SECOND).await;
        world.server.trouble(Trouble::ReadOnly);
        assert_eq!(world.now(0).await, Ok(Some(1)), "{name}");
        assert_eq!(world.loads(), 1, "{name}");
        world.server.trouble(Trouble::None);
    }
}

#[tokio::test]
async fn values_end_at_different_times_where_jitter_is_wanted() {
    for world in worlds(&Policy::new().jitter(0.5).early(false)) {
        // The draw that shortens most: to half of the ttl.
        world.dice.fix(u64::MAX);
        assert_eq!(world.now(0).await, Ok(Some(1)));
        world.from.source.set(2);
        world.clock.advance(SECOND * 29);
        assert_eq!(world.now(0).await, Ok(Some(1)), "{}", world.name);
        world.clock.advance(SECOND * 2);
        assert_eq!(world.now(0).await, Ok(Some(2)), "{}", world.name);
    }
}

#[tokio::test]
async fn who_waits_longer_than_the_soft_timeout_has_the_old_value() {
    let policy = Policy::new()
        .stale_if_error(SECOND * 100)
        .soft_timeout(SECOND / 5);
    for world in worlds(&policy) {
        world.aged(SECOND).await;
        world.from.source.hold();
        let leading = world.call();
        world.from.source.loading(2).await;
        for node in 0..world.nodes.len() {
            let waiting = world.call_on(node);
            settle().await;
            assert!(!waiting.is_finished(), "{}: not at once", world.name);
            let value = world.after(waiting, SECOND / 2).await;
            assert_eq!(value, Ok(Some(1)), "{}", world.name);
        }
        assert!(!leading.is_finished());
        world.from.source.let_go();
        assert_eq!(leading.await.unwrap(), Ok(Some(2)), "{}", world.name);
    }
}

#[tokio::test]
async fn a_hard_timeout_frees_the_key() {
    for world in worlds(&Policy::new().hard_timeout(SECOND)) {
        world.from.source.hold();
        let slow = world.call();
        world.from.source.loading(1).await;
        let waiting = world.call_on(world.nodes.len() - 1);
        settle().await;
        assert_eq!(world.loads(), 1);
        world.clock.advance(SECOND);
        world.from.source.set(2);
        // The other takes over, and the first still gets what it has loaded.
        world.loading(2).await;
        world.from.source.let_go();
        assert_eq!(slow.await.unwrap(), Ok(Some(1)), "{}", world.name);
        assert_eq!(waiting.await.unwrap(), Ok(Some(2)), "{}", world.name);
        for node in 0..world.nodes.len() {
            assert_eq!(world.now(node).await, Ok(Some(2)), "{}", world.name);
        }
        assert_eq!(world.loads(), 2);
        assert_eq!(world.figures(0).load_timeouts, 1);
    }
}

#[tokio::test]
async fn a_hard_timeout_is_answered_with_the_old_value() {
    let policy = Policy::new()
        .stale_if_error(SECOND * 100)
        .hard_timeout(SECOND);
    for world in worlds(&policy) {
        world.aged(SECOND).await;
        world.from.source.hold();
        let slow = world.call();
        world.from.source.loading(2).await;
        world.clock.advance(SECOND);
        settle().await;
        assert!(slow.is_finished(), "{}", world.name);
        assert_eq!(slow.await.unwrap(), Ok(Some(1)), "{}", world.name);
        assert_eq!(world.now(0).await, Ok(Some(1)), "{}: in peace", world.name);
        world.from.source.let_go();
        world.clock.advance(SECOND * 2);
        let value = world.after(world.call(), SECOND).await;
        assert_eq!(value, Ok(Some(2)), "{}", world.name);
        let figures = world.figures(0);
        assert_eq!(
            (figures.load_timeouts, figures.rescued),
            (1, 1),
            "{}",
            world.name
        );
    }
}

#[cached(kind = "slow_plain", ttl = "1m", schema = 1, skip(gate))]
fn slow_plain(
    gate: &(
        std::sync::mpsc::Sender<()>,
        std::sync::Mutex<std::sync::mpsc::Receiver<u64>>,
    ),
    id: u64,
) -> u64 {
    let _ = id;
    gate.0.send(()).expect("the test listens");
    gate.1
        .lock()
        .expect("no panic")
        .recv()
        .expect("the test answers")
}

/// A plain function can't be stopped; its key is freed all the same.
#[test]
fn a_plain_function_that_takes_too_long_frees_its_key() {
    use std::sync::{Arc, Mutex, mpsc};

    let server = MemoryServer::new(Env::system());
    let cache = Cache::builder()
        .policy("slow_plain", Policy::new().hard_timeout(SECOND / 20))
        .shared(server.store())
        .try_build()
        .expect("good settings");
    let call = || {
        let (started, starts) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let gate = Arc::new((started, Mutex::new(answers)));
        let cache = cache.clone();
        let thread = std::thread::spawn(move || cache.scope_blocking(|| slow_plain(&gate, 1)));
        (thread, starts, answer)
    };
    let (slow, starts, answer_slow) = call();
    starts.recv().expect("it loads");
    let (next, starts, answer_next) = call();
    // It waits for the first, until that has taken too long.
    starts.recv().expect("it loads");
    answer_next.send(2).expect("it is asked");
    assert_eq!(next.join().expect("no panic"), 2);
    answer_slow.send(1).expect("it is asked");
    assert_eq!(
        slow.join().expect("no panic"),
        1,
        "it gets what it has loaded"
    );
    let (third, _starts, _answer) = call();
    assert_eq!(
        third.join().expect("no panic"),
        2,
        "what came too late is stored nowhere"
    );
    assert!(cache.snapshot().kinds["slow_plain"].load_timeouts >= 1);
}
