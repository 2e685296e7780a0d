//! The suite every store must pass: the contract of [`Store`], point by point.
//!
//! It is given clients of one server, and a way to put bytes there behind the stores' backs. What
//! it checks, it checks on what every client says, never on what one remembers.

// What is begun is the answer to a begin.
#![allow(clippy::similar_names)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::metrics::{Fleet, KindSnapshot, Minute, Node, NodeId, Report, Snapshot};
use cache_core::store::{
    Attachment, Begin, Event, Fill, Found, Observer, Read, Stamp, Store, Token, Turn, Update,
    Updated,
};
use cache_core::{EntryId, Env, ErrorKind};

/// A server, as the suite sees it.
pub trait Server: Send + Sync {
    /// Another client of it.
    fn client(&self) -> Box<dyn Store>;

    /// What clients live by.
    fn env(&self) -> Env;

    /// Lets so much time pass.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Puts bytes at the entry of `key` in the namespace, whatever they are.
    fn plant(&self, namespace: &str, key: &str, bytes: &[u8]);

    /// How long the entry of `key` will still be there; `None` if there is none or it stays for ever.
    fn life(&self, namespace: &str, key: &str) -> Option<Duration>;
}

/// What a store was told to tell.
#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Events {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Events {
    fn observe(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

struct Client {
    store: Box<dyn Store>,
    events: Arc<Events>,
}

const MINUTE: Duration = Duration::from_mins(1);
const NAMESPACE: &str = "suite";

/// A token never used before.
fn token() -> Token {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0xa5; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    EntryId(bytes)
}

/// An entry with this id: what a store knows of entries.
fn entry(id: Token, payload: &[u8]) -> Vec<u8> {
    [&b"8 bytes:"[..], &id.0, payload].concat()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

impl Client {
    fn of(server: &impl Server) -> Self {
        Self::within(server, NAMESPACE)
    }

    fn within(server: &impl Server, namespace: &str) -> Self {
        let events = Arc::new(Events::default());
        let observer: Arc<dyn Observer> = events.clone();
        let store = server.client();
        let attachment = Attachment::new(namespace, server.env(), Arc::downgrade(&observer));
        store.attach(attachment).expect("a new client");
        Self { store, events }
    }

    async fn entry(&self, key: &str) -> Found {
        let reading = self.store.read(Read::new(key, &[])).await;
        reading.expect("a read").entry
    }

    /// What was told since it was last asked.
    async fn told(&self) -> Vec<Event> {
        // After the reply to this, everything has been told that happened before it.
        self.entry("nothing").await;
        let mut told = self.events.take();
        told.retain(|event| !matches!(event, Event::Alive { .. }));
        told
    }

    async fn stamps(&self, tags: &[&str]) -> Vec<Option<Stamp>> {
        let tags = names(tags);
        let reading = self.store.read(Read::new("stamps", &tags)).await;
        reading.expect("a read").stamps
    }

    async fn begin(&self, key: &str, token: Token) -> Turn {
        let answer = self.store.begin(Begin::new(key, token, &[])).await;
        answer.expect("a begin").turn
    }

    /// Takes the lease and fills.
    async fn store(&self, key: &str, payload: &[u8]) -> (Token, Vec<u8>) {
        let token = token();
        let begin = Begin::new(key, token, &[]).force(true);
        let answer = self.store.begin(begin).await.expect("a begin");
        assert_eq!(answer.turn, Turn::Granted);
        let bytes = entry(token, payload);
        assert!(self.fill(key, token, &bytes).await, "the lease was ours");
        (token, bytes)
    }

    async fn fill(&self, key: &str, token: Token, bytes: &[u8]) -> bool {
        let fill = Fill::new(key, token, bytes, MINUTE);
        self.store.fill(fill).await.expect("a fill")
    }

    async fn make_stamps(&self, tags: &[&str]) -> Vec<Stamp> {
        let tags = names(tags);
        let token = token();
        let begin = Begin::new("stamps", token, &tags).force(true);
        let answer = self.store.begin(begin).await.expect("a begin");
        self.store
            .release("stamps", token)
            .await
            .expect("a release");
        let made: Option<Vec<Stamp>> = answer.stamps.into_iter().collect();
        made.expect("with Granted each stamp is there")
    }

    /// Takes the lease by force, and notes the stamps.
    async fn claim(&self, key: &str, tags: &[String]) -> (Token, Vec<Stamp>) {
        let token = token();
        let begin = Begin::new(key, token, tags).force(true).lease(MINUTE);
        let answer = self.store.begin(begin).await.expect("a begin");
        assert_eq!(answer.turn, Turn::Granted);
        let stamps: Option<Vec<Stamp>> = answer.stamps.into_iter().collect();
        (token, stamps.expect("with Granted each stamp is there"))
    }

    async fn update(&self, request: Update<'_>) -> Updated {
        self.store.update(request).await.expect("an update")
    }

    async fn invalidate(&self, tags: &[&str]) {
        let tags = names(tags);
        self.store.invalidate(&tags).await.expect("an invalidation");
    }

    async fn remove(&self, keys: &[&str]) {
        self.store.remove(&names(keys)).await.expect("a removal");
    }
}

fn bytes(bytes: &[u8]) -> Found {
    Found::Bytes(bytes.into())
}

/// Runs all of it, each part with keys of its own.
pub async fn run(server: &impl Server) {
    attach(server).await;
    reads(server).await;
    leases(server).await;
    entries_in_the_way(server).await;
    fills(server).await;
    stamps(server).await;
    stamps_live_long_enough(server).await;
    renewals(server).await;
    releases(server).await;
    removals(server).await;
    invalidations(server).await;
    updates(server).await;
    crossing_updates(server).await;
    expiry(server).await;
    hostile_names(server).await;
    any_bytes(server).await;
    namespaces(server).await;
    cancelled_calls(server).await;
    contenders(server).await;
    events(server).await;
    events_of_updates(server).await;
    figures(server).await;
    nodes(server).await;
}

/// `attach` binds once; before it nothing works, and nothing panics.
async fn attach(server: &impl Server) {
    let store = server.client();
    let tags = names(&["t"]);
    let errors = [
        store.read(Read::new("k", &tags)).await.err(),
        store.begin(Begin::new("k", token(), &tags)).await.err(),
        store.fill(Fill::new("k", token(), b"", MINUTE)).await.err(),
        store
            .update(Update::new("k", token(), &[], &[]))
            .await
            .err(),
        store.renew("k", token(), MINUTE).await.err(),
        store.release("k", token()).await.err(),
        store.remove(&tags).await.err(),
        store.invalidate(&tags).await.err(),
        store.probe().await.err(),
    ];
    let figures = if store.report_every().is_some() {
        let report = Report::new(Node::new(NodeId(1)), 1, 1, Snapshot::default());
        let unread = store.fleet(1..=1).await.err();
        vec![store.report(&report).await.err(), unread]
    } else {
        Vec::new()
    };
    for (call, error) in errors.into_iter().chain(figures).enumerate() {
        let error = error.unwrap_or_else(|| panic!("call {call} worked without an attachment"));
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }

    let events: Arc<dyn Observer> = Arc::new(Events::default());
    let attachment = || Attachment::new(NAMESPACE, server.env(), Arc::downgrade(&events));
    store.attach(attachment()).expect("the first time");
    let error = store.attach(attachment()).expect_err("the second time");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.probe().await.expect("the server is there");
    assert!(!store.describe().is_empty());
}

/// `read`: nothing, bytes, the known one, what is too large; stamps in the order asked for.
async fn reads(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    assert_eq!(two.entry("read").await, Found::Nothing);
    let (id, stored) = one.store("read", b"payload").await;
    assert_eq!(two.entry("read").await, bytes(&stored));

    let read = |known: Option<EntryId>, limit: usize| {
        let read = Read::new("read", &[]).known(known).limit(limit);
        let two = &two;
        async move { two.store.read(read).await.expect("a read").entry }
    };
    assert_eq!(read(Some(id), 1 << 20).await, Found::Known);
    assert_eq!(read(Some(token()), 1 << 20).await, bytes(&stored));
    assert_eq!(read(None, stored.len()).await, bytes(&stored));
    let size = stored.len();
    assert_eq!(read(None, size - 1).await, Found::TooLarge(size));
    assert_eq!(read(Some(token()), 0).await, Found::TooLarge(size));

    let made = one.make_stamps(&["read:a", "read:b"]).await;
    assert_ne!(made[0], made[1]);
    let asked = ["read:b", "read:none", "read:a", "read:b"];
    let wanted = [Some(made[1]), None, Some(made[0]), Some(made[1])];
    assert_eq!(two.stamps(&asked).await, wanted);
}

/// `begin`: one holder at a time, the others told for how long; force takes it.
async fn leases(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let (first, second) = (token(), token());
    let ask = |token| Begin::new("lease", token, &[]).lease(MINUTE);
    let answer = one.store.begin(ask(first)).await.expect("a begin");
    assert_eq!(answer.turn, Turn::Granted);
    for client in [&one, &two] {
        let answer = client.store.begin(ask(second)).await.expect("a begin");
        let Turn::Held(left) = answer.turn else {
            panic!("{:?} while another holds the lease", answer.turn);
        };
        assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
    }
    assert_eq!(two.begin("another", second).await, Turn::Granted);

    let answer = two
        .store
        .begin(ask(second).force(true))
        .await
        .expect("a begin");
    assert_eq!(answer.turn, Turn::Granted);
    assert!(!one.fill("lease", first, &entry(first, b"late")).await);
    assert_eq!(one.entry("lease").await, Found::Nothing);
    assert!(two.fill("lease", second, &entry(second, b"")).await);
}

/// `begin` hands back an entry the caller has not seen, whatever it is, unless it has no id or is
/// too large: then it could not be named.
async fn entries_in_the_way(server: &impl Server) {
    let client = Client::of(server);
    let (id, stored) = client.store("way", b"payload").await;
    let ask = |seen, limit| {
        let begin = Begin::new("way", token(), &[]).seen(seen).limit(limit);
        let client = &client;
        async move {
            let answer = client.store.begin(begin).await.expect("a begin");
            if answer.turn == Turn::Granted {
                client
                    .store
                    .release("way", begin.token)
                    .await
                    .expect("a release");
            }
            answer.turn
        }
    };
    assert_eq!(ask(None, 1 << 20).await, Turn::Entry(bytes(&stored)));
    assert_eq!(
        ask(Some(token()), 1 << 20).await,
        Turn::Entry(bytes(&stored))
    );
    assert_eq!(ask(Some(id), 1 << 20).await, Turn::Granted);
    assert_eq!(ask(None, stored.len()).await, Turn::Entry(bytes(&stored)));
    assert_eq!(ask(None, stored.len() - 1).await, Turn::Granted);

    server.plant(NAMESPACE, "way", &[b'x'; 23]);
    assert_eq!(
        ask(None, 1 << 20).await,
        Turn::Granted,
        "too short for an id"
    );
    server.plant(NAMESPACE, "way", &[b'x'; 24]);
    assert_eq!(ask(None, 1 << 20).await, Turn::Entry(bytes(&[b'x'; 24])));
    assert_eq!(ask(Some(EntryId([b'x'; 16])), 1 << 20).await, Turn::Granted);

    // An entry that appeared is handed back even while a lease is held; with force it is not.
    let holder = token();
    let begin = Begin::new("way", holder, &[]).force(true);
    let answer = client.store.begin(begin).await.expect("a begin");
    assert_eq!(answer.turn, Turn::Granted);
    assert!(matches!(ask(None, 1 << 20).await, Turn::Entry(_)));
}

/// `fill` stores under the lease only, and gives it up in the same step; an entry always expires.
async fn fills(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let ours = token();
    assert!(!one.fill("fill", ours, &entry(ours, b"no lease")).await);
    assert_eq!(two.entry("fill").await, Found::Nothing);

    assert_eq!(one.begin("fill", ours).await, Turn::Granted);
    assert!(!two.fill("fill", token(), &entry(ours, b"another's")).await);
    assert_eq!(two.entry("fill").await, Found::Nothing);
    let stored = entry(ours, b"ours");
    assert!(one.fill("fill", ours, &stored).await);
    assert_eq!(two.entry("fill").await, bytes(&stored));
    let life = server.life(NAMESPACE, "fill").expect("an expiry");
    assert!(life <= MINUTE && life > MINUTE / 2, "{life:?}");

    assert!(
        !one.fill("fill", ours, &entry(ours, b"twice")).await,
        "the lease was given up"
    );
    assert_eq!(two.entry("fill").await, bytes(&stored));
    let next = Begin::new("fill", token(), &[]).seen(Some(ours));
    let answer = two.store.begin(next).await.expect("a begin");
    assert_eq!(answer.turn, Turn::Granted, "nobody holds it any more");
}

/// Stamps are made once, by whoever comes first, seen by all, and never made again as they were.
async fn stamps(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    assert_eq!(
        one.stamps(&["s:a", "s:b"]).await,
        [None, None],
        "reading makes none"
    );
    let a = one.make_stamps(&["s:a"]).await[0];
    assert_ne!(a, 0);
    let both = two.make_stamps(&["s:b", "s:a"]).await;
    assert_eq!(both[1], a, "what is there is never overwritten");
    assert_eq!(one.stamps(&["s:a", "s:b"]).await, [Some(a), Some(both[0])]);

    // They are made, and told, whoever has the lease.
    let tags = names(&["s:c"]);
    assert_eq!(one.begin("s", token()).await, Turn::Granted);
    let answer = two
        .store
        .begin(Begin::new("s", token(), &tags))
        .await
        .expect("a begin");
    assert!(matches!(answer.turn, Turn::Held(_)));
    assert_eq!(one.stamps(&["s:c"]).await, answer.stamps);

    let mut seen = vec![a];
    for _ in 0..20 {
        two.invalidate(&["s:a"]).await;
        let stamp = one.make_stamps(&["s:a"]).await[0];
        assert!(!seen.contains(&stamp), "a removed stamp returned");
        seen.push(stamp);
    }
}

/// A stamp outlives every entry under it: it lives two lives, renewed when less than one is left.
async fn stamps_live_long_enough(server: &impl Server) {
    let client = Client::of(server);
    let life = Duration::from_millis(400);
    let tags = names(&["live"]);
    let ask = || async {
        let token = token();
        let begin = Begin::new("live", token, &tags).life(life);
        let answer = client.store.begin(begin).await.expect("a begin");
        client
            .store
            .release("live", token)
            .await
            .expect("a release");
        answer.stamps[0]
    };
    let made = ask().await;
    assert!(made.is_some());
    server.pass(Duration::from_millis(500)).await;
    assert_eq!(ask().await, made, "less than one life was left: renewed");
    server.pass(Duration::from_millis(500)).await;
    assert_eq!(
        client.stamps(&["live"]).await,
        [made],
        "as the renewal promised"
    );
    server.pass(Duration::from_millis(400)).await;
    assert_eq!(client.stamps(&["live"]).await, [None], "it ends at last");
    assert_ne!(ask().await, made);
}

/// `renew` prolongs one's own lease, and nothing else.
async fn renewals(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let ours = token();
    let short = Begin::new("renew", ours, &[]).lease(Duration::from_millis(300));
    one.store.begin(short).await.expect("a begin");
    assert!(
        !two.store
            .renew("renew", token(), MINUTE)
            .await
            .expect("a renewal")
    );
    assert!(
        !two.store
            .renew("none", ours, MINUTE)
            .await
            .expect("a renewal")
    );
    assert_eq!(
        two.begin("none", token()).await,
        Turn::Granted,
        "renewing makes no lease"
    );
    assert!(
        one.store
            .renew("renew", ours, MINUTE)
            .await
            .expect("a renewal")
    );
    server.pass(Duration::from_millis(400)).await;
    assert!(matches!(two.begin("renew", token()).await, Turn::Held(left) if left > MINUTE / 2));
}

/// `release` gives up one's own lease, and nobody else's.
async fn releases(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let ours = token();
    assert_eq!(one.begin("release", ours).await, Turn::Granted);
    two.store
        .release("release", token())
        .await
        .expect("a release");
    assert!(matches!(two.begin("release", token()).await, Turn::Held(_)));
    two.store.release("release", ours).await.expect("a release");
    assert_eq!(two.begin("release", token()).await, Turn::Granted);
    one.store
        .release("none", ours)
        .await
        .expect("nothing to give up");
}

/// `remove` takes entries and leases, so that a load under way cannot store.
async fn removals(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    one.store("remove:a", b"a").await;
    one.store("remove:b", b"b").await;
    one.store("remove:kept", b"kept").await;
    let late = token();
    assert_eq!(one.begin("remove:c", late).await, Turn::Granted);
    two.remove(&["remove:a", "remove:none", "remove:b", "remove:c"])
        .await;
    for key in ["remove:a", "remove:b"] {
        assert_eq!(one.entry(key).await, Found::Nothing, "{key}");
    }
    assert!(matches!(one.entry("remove:kept").await, Found::Bytes(_)));
    assert!(!one.fill("remove:c", late, &entry(late, b"late")).await);
    assert_eq!(two.entry("remove:c").await, Found::Nothing);
    assert_eq!(two.begin("remove:c", token()).await, Turn::Granted);
    two.remove(&[]).await;
}

/// `invalidate` removes stamps: those named, and no others.
async fn invalidations(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let made = one.make_stamps(&["i:a", "i:b", "i:c"]).await;
    two.invalidate(&["i:a", "i:none", "i:b"]).await;
    assert_eq!(
        one.stamps(&["i:a", "i:b", "i:c"]).await,
        [None, None, Some(made[2])]
    );
    two.invalidate(&[]).await;
}

/// `update`: where lease and stamps are as noted, the entry ends, all tags but those kept have new
/// stamps, and the lease stands.
async fn updates(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let names = ["u:kind", "u:a", "u:b"];
    let tags = self::names(&names);
    one.store("update", b"before").await;
    let (ours, noted) = one.claim("update", &tags).await;
    assert!(
        matches!(two.entry("update").await, Found::Bytes(_)),
        "before the write it is as good as ever"
    );
    let request = Update::new("update", ours, &tags, &noted).kept(1);
    let updated = one.update(request).await;
    assert!(updated.matched);
    assert_eq!(updated.stamps.len(), 3);
    assert_eq!(updated.stamps[0], Some(noted[0]), "it was kept");
    for at in 1..3 {
        let stamp = updated.stamps[at].expect("nobody has removed it");
        assert!(stamp != 0 && !noted.contains(&stamp), "{stamp:x}");
    }
    assert_eq!(two.stamps(&names).await, updated.stamps);
    assert_eq!(two.entry("update").await, Found::Nothing);
    let held = two.begin("update", token()).await;
    assert!(matches!(held, Turn::Held(_)), "the lease stands: {held:?}");
    let stored = entry(ours, b"after");
    assert!(one.fill("update", ours, &stored).await);
    assert_eq!(two.entry("update").await, bytes(&stored));

    // Without tags, the lease alone decides; and whose it is not, ends what is there.
    let (ours, _) = one.claim("update", &[]).await;
    assert!(
        one.update(Update::new("update", ours, &[], &[]))
            .await
            .matched
    );
    assert!(one.fill("update", ours, &entry(ours, b"")).await);
    let gone = Update::new("update", ours, &[], &[]);
    assert_eq!(two.update(gone).await, Updated::refused());
    assert_eq!(one.entry("update").await, Found::Nothing);

    // The stamps it makes live as long as those of `begin`.
    let life = Duration::from_millis(400);
    let (ours, noted) = one.claim("update", &tags).await;
    let updated = one
        .update(Update::new("update", ours, &tags, &noted).life(life))
        .await;
    server.pass(Duration::from_millis(600)).await;
    assert_eq!(two.stamps(&names).await, updated.stamps);
    server.pass(Duration::from_millis(400)).await;
    assert_eq!(two.stamps(&names).await, [None; 3]);
}

/// Guard G9: whoever comes in between, the value of an update is not stored, and the tags that it
/// would have re-stamped, the entry and the lease are gone.
async fn crossing_updates(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let names = ["x:kind", "x:own"];
    let tags = self::names(&names);
    let refused = async |what: &str, ours: Token, noted: &[Stamp]| {
        let kind = two.stamps(&names[..1]).await;
        let request = Update::new("cross", ours, &tags, noted).kept(1);
        assert_eq!(one.update(request).await, Updated::refused(), "{what}");
        let stamps = two.stamps(&names).await;
        assert_eq!(stamps, [kind[0], None], "{what}: only what was kept stays");
        assert_eq!(two.entry("cross").await, Found::Nothing, "{what}");
        assert!(!one.fill("cross", ours, &entry(ours, b"")).await, "{what}");
    };

    // Another update that has not ended yet: neither stores.
    let (ours, noted) = one.claim("cross", &tags).await;
    let (theirs, their_noted) = two.claim("cross", &tags).await;
    assert_eq!(noted, their_noted);
    refused("another update's lease", ours, &noted).await;
    assert!(!two.fill("cross", theirs, &entry(theirs, b"")).await);
    let request = Update::new("cross", theirs, &tags, &their_noted).kept(1);
    assert_eq!(two.update(request).await, Updated::refused());

    // Another one of a key under the same tag, that has.
    let (ours, noted) = one.claim("cross", &tags).await;
    let (theirs, their_noted) = two.claim("cross:other", &tags).await;
    let request = Update::new("cross:other", theirs, &tags, &their_noted).kept(1);
    assert!(two.update(request).await.matched);
    refused("a new stamp", ours, &noted).await;

    // Invalidations of whatever it is about.
    let (ours, noted) = one.claim("cross", &tags).await;
    two.invalidate(&["x:own"]).await;
    refused("an invalidated tag", ours, &noted).await;
    let (ours, noted) = one.claim("cross", &tags).await;
    two.invalidate(&["x:own"]).await;
    two.make_stamps(&["x:own"]).await;
    refused("a tag that was invalidated and read again", ours, &noted).await;
    let (ours, noted) = one.claim("cross", &tags).await;
    two.invalidate(&["x:kind"]).await;
    refused("an invalidated kind", ours, &noted).await;
    let (ours, noted) = one.claim("cross", &tags).await;
    two.remove(&["cross"]).await;
    refused("a removed key", ours, &noted).await;

    // What was stored meanwhile by force is not left there either.
    let (ours, noted) = one.claim("cross", &tags).await;
    two.store("cross", b"put").await;
    refused("a put", ours, &noted).await;

    // What is no stamp of the tag matches nothing.
    let (ours, noted) = one.claim("cross", &tags).await;
    refused("one stamp too few", ours, &noted[..1]).await;
}

/// Leases and entries end by themselves.
async fn expiry(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let short = Duration::from_millis(200);
    let ours = token();
    let begin = Begin::new("expiry", ours, &[]).lease(short);
    one.store.begin(begin).await.expect("a begin");
    server.pass(short * 2).await;
    assert!(
        !one.fill("expiry", ours, &entry(ours, b"late")).await,
        "the lease has run out"
    );
    let theirs = token();
    assert_eq!(two.begin("expiry", theirs).await, Turn::Granted);
    let stored = entry(theirs, b"short");
    let fill = Fill::new("expiry", theirs, &stored, short);
    assert!(two.store.fill(fill).await.expect("a fill"));
    assert_eq!(one.entry("expiry").await, bytes(&stored));
    server.pass(short * 2).await;
    assert_eq!(one.entry("expiry").await, Found::Nothing);
}

/// Names are names, whatever is in them.
async fn hostile_names(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let long = "long".repeat(25_000);
    let hostile = [
        "",
        " ",
        "a\nb",
        "a\r\nDEL b\r\n",
        "{a}",
        "}{",
        "a}:b",
        "{}",
        "*",
        "[a-z]?",
        "\0",
        "ключ",
        "\u{1f511}",
        "'\"\\",
        "%7B",
        "a:b",
        "a",
        &long,
    ];
    let mut stored = Vec::new();
    for (number, key) in hostile.iter().enumerate() {
        let (_, bytes) = one.store(key, &[u8::try_from(number).expect("few")]).await;
        stored.push(bytes);
    }
    for (key, stored) in hostile.iter().zip(&stored) {
        assert_eq!(two.entry(key).await, bytes(stored), "{key:?}");
    }
    let made = one.make_stamps(&hostile).await;
    let wanted: Vec<_> = made.iter().copied().map(Some).collect();
    assert_eq!(two.stamps(&hostile).await, wanted);
    for (at, name) in hostile.iter().enumerate() {
        two.invalidate(&[name]).await;
        two.remove(&[name]).await;
        assert_eq!(one.stamps(&[name]).await, [None], "{name:?}");
        assert_eq!(one.entry(name).await, Found::Nothing, "{name:?}");
        for (other, stored) in hostile.iter().zip(&stored).skip(at + 1) {
            assert_eq!(
                one.entry(other).await,
                bytes(stored),
                "{other:?} after {name:?}"
            );
        }
        assert_eq!(one.stamps(&hostile[at + 1..]).await, wanted[at + 1..]);
    }
}

/// Entries are bytes, whatever they are, of any size.
async fn any_bytes(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    let every: Vec<u8> = (0..=255).collect();
    let large = vec![0xff; 3 << 20];
    for payload in [&b""[..], b"\0", b"\r\n+OK\r\n", &every, &large] {
        let (id, stored) = one.store("bytes", payload).await;
        let found = two.entry("bytes").await;
        assert!(found == bytes(&stored), "{} bytes", stored.len());
        let begin = Begin::new("bytes", token(), &[]).seen(Some(id));
        let answer = two.store.begin(begin).await.expect("a begin");
        assert_eq!(answer.turn, Turn::Granted, "the id is at its place");
    }
    // What others have put there is handed over as it is.
    for planted in [&b"x"[..], b"garbage", &every] {
        server.plant(NAMESPACE, "bytes", planted);
        assert_eq!(two.entry("bytes").await, bytes(planted));
    }
}

/// What is in one namespace is not in another.
async fn namespaces(server: &impl Server) {
    let (one, other) = (Client::of(server), Client::within(server, "suite2"));
    one.store("ns", b"one").await;
    let stamp = one.make_stamps(&["ns"]).await[0];
    assert_eq!(other.entry("ns").await, Found::Nothing);
    assert_eq!(other.stamps(&["ns"]).await, [None]);
    other.remove(&["ns"]).await;
    other.invalidate(&["ns"]).await;
    assert!(matches!(one.entry("ns").await, Found::Bytes(_)));
    assert_eq!(one.stamps(&["ns"]).await, [Some(stamp)]);
}

/// A call that is dropped does no harm to those that follow.
async fn cancelled_calls(server: &impl Server) {
    let client = Client::of(server);
    let (_, stored) = client.store("cancel", &vec![7; 100_000]).await;
    for polls in 0..20 {
        let mut read = client.store.read(Read::new("cancel", &[]));
        for _ in 0..polls {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(read.as_mut().poll(context).is_ready())
            });
            if polled.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(read);
        assert!(
            client.entry("cancel").await == bytes(&stored),
            "after {polls} polls"
        );
    }
}

/// Of many that ask at once, one gets the lease; of many that make a stamp at once, all get the same.
async fn contenders(server: &impl Server) {
    let clients: Vec<_> = (0..4).map(|_| Arc::new(Client::of(server))).collect();
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let client = Arc::clone(&clients[number % clients.len()]);
            tokio::spawn(async move {
                let tags = names(&["contended"]);
                let begin = Begin::new("contended", token(), &tags);
                client.store.begin(begin).await.expect("a begin")
            })
        })
        .collect();
    let mut granted = 0;
    let mut made = Vec::new();
    for task in tasks {
        let answer = task.await.expect("no panic");
        granted += usize::from(answer.turn == Turn::Granted);
        made.extend(answer.stamps);
    }
    assert_eq!(granted, 1);
    assert!(made[0].is_some());
    assert!(made.iter().all(|stamp| *stamp == made[0]), "{made:?}");
}

/// What is promised of events, where they are promised: who has read something is told of its change
/// before any later reply of its own.
async fn events(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    // A store that never says that it can be trusted promises nothing.
    one.entry("events").await;
    let proven = |event: &Event| matches!(event, Event::Proven { .. });
    if !one.events.take().iter().any(proven) {
        return;
    }
    let entry = || Event::Entry("events".to_owned());
    let lease = || Event::Lease("events".to_owned());
    // Whoever has read is told.
    two.entry("events").await;
    two.stamps(&["events"]).await;
    let tags = names(&["events"]);
    let ours = token();
    two.told().await;
    one.store
        .begin(Begin::new("events", ours, &tags))
        .await
        .expect("a begin");
    two.begin("events", token()).await;
    two.stamps(&["events"]).await;
    two.told().await;
    assert!(one.fill("events", ours, &self::entry(ours, b"")).await);
    let told = two.told().await;
    assert!(
        told.contains(&entry()) && told.contains(&lease()),
        "{told:?}"
    );

    // Told of its end or not, a local copy ends with it.
    let reading = two.store.read(Read::new("events", &[])).await;
    let left = reading.expect("a read").left.expect("how long it has left");
    assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?}");
    let begun = two.store.begin(Begin::new("events", token(), &[])).await;
    let left = begun.expect("a begin").left.expect("how long it has left");
    assert!(left > MINUTE / 2 && left <= MINUTE, "{left:?}");

    one.invalidate(&["events"]).await;
    assert_eq!(two.told().await, [Event::Tag("events".to_owned())]);
    one.remove(&["events"]).await;
    assert_eq!(two.told().await, [entry()]);

    let ours = token();
    one.begin("events", ours).await;
    two.begin("events", token()).await;
    two.told().await;
    one.store.release("events", ours).await.expect("a release");
    assert_eq!(two.told().await, [lease()]);

    // What expires is told when it is noticed, at the latest.
    let ours = token();
    one.begin("events", ours).await;
    let stored = self::entry(ours, b"");
    let fill = Fill::new("events", ours, &stored, Duration::from_millis(100));
    assert!(one.store.fill(fill).await.expect("a fill"));
    two.entry("events").await;
    two.told().await;
    server.pass(Duration::from_millis(200)).await;
    one.entry("events").await;
    assert_eq!(two.told().await, [entry()]);
}

/// Who has updated goes on to be told, although its own write has ended what it was told before.
async fn events_of_updates(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    one.entry("events").await;
    let proven = |event: &Event| matches!(event, Event::Proven { .. });
    if !one.events.take().iter().any(proven) {
        return;
    }
    let tag = || Event::Tag("events:u".to_owned());
    let tags = names(&["events:u"]);
    one.store("events:u", b"before").await;
    let (ours, noted) = one.claim("events:u", &tags).await;
    two.entry("events:u").await;
    two.stamps(&["events:u"]).await;
    two.told().await;
    let updated = one
        .update(Update::new("events:u", ours, &tags, &noted))
        .await;
    assert!(updated.matched);
    let told = two.told().await;
    let entry = Event::Entry("events:u".to_owned());
    assert!(told.contains(&entry) && told.contains(&tag()), "{told:?}");
    one.told().await;
    two.invalidate(&["events:u"]).await;
    assert_eq!(one.told().await, [tag()]);
}

/// What a node has counted: this many local hits of a kind, and this often an epoch's end.
fn counted(kind: &str, hits: u64, epochs: u64) -> Snapshot {
    let mut figures = KindSnapshot::default();
    for (name, count) in [
        ("hits_local", hits),
        ("load_micros", 100 * hits),
        ("load_below_micros.128", hits),
    ] {
        assert!(figures.add_field(name, count));
    }
    let mut added = Snapshot::default();
    added.add_field("epoch_steps", epochs);
    added.kinds.insert(kind.to_owned(), figures);
    added
}

/// A minute that no other part of the suite counts in, some time ago.
fn minute_before(server: &impl Server, minutes: u64) -> Minute {
    server.env().wall().as_secs() / 60 - minutes
}

/// `report` and `fleet`, where a store keeps figures: each report counts once, and all nodes together.
async fn figures(server: &impl Server) {
    let (one, two) = (Client::of(server), Client::of(server));
    if one.store.report_every().is_none() {
        return;
    }
    let now = minute_before(server, 0);
    let (first, second) = (now - 100, now - 98);
    let (a, b) = (Node::new(NodeId(0xa)), Node::new(NodeId(u64::MAX)));
    let reports = [
        (&one, Report::new(a.clone(), 1, first, counted("x", 3, 1))),
        // Once more: nobody has told the node that it arrived.
        (&one, Report::new(a.clone(), 1, first, counted("x", 3, 1))),
        // The number is the node's own.
        (&two, Report::new(b.clone(), 1, first, counted("x", 40, 0))),
        (&one, Report::new(a.clone(), 2, first, counted("y", 500, 0))),
        (
            &one,
            Report::new(a.clone(), 3, second, counted("x", 6000, 2)),
        ),
        (
            &one,
            Report::new(a.clone(), 3, second, counted("x", 6000, 2)),
        ),
        // What comes late, after a later one, is in already.
        (&one, Report::new(a.clone(), 2, first, counted("y", 500, 0))),
        (&two, Report::new(b.clone(), 2, second, Snapshot::default())),
    ];
    for (client, report) in &reports {
        client.store.report(report).await.expect("a report");
    }

    let fleet = two.store.fleet(first - 1..=now - 97).await;
    let fleet = fleet.expect("figures");
    let minutes: Vec<Minute> = fleet.minutes.keys().copied().collect();
    assert_eq!(minutes, [first, second], "the others are gaps");
    let mut wanted = counted("x", 43, 1);
    wanted.add(&counted("y", 500, 0));
    assert_eq!(fleet.minutes[&first], wanted);
    assert_eq!(fleet.minutes[&second], counted("x", 6000, 2));
    wanted.add(&counted("x", 6000, 2));
    assert_eq!(fleet.sum(), wanted);
    let times = &fleet.sum().kinds["x"].load_time;
    assert_eq!((times.count, times.p99_micros), (6043, Some(128)));

    // What has come to nothing is no gap.
    let report = Report::new(a, 4, now - 96, Snapshot::default());
    one.store.report(&report).await.expect("a report");
    let fleet = two.store.fleet(now - 96..=now - 96).await;
    let quiet = [(now - 96, Snapshot::default())];
    assert_eq!(fleet.expect("figures").minutes, quiet.into());

    let elsewhere = Client::within(server, "elsewhere");
    let fleet = elsewhere.store.fleet(first..=second).await;
    let fleet = fleet.expect("figures");
    assert!(fleet.minutes.is_empty() && fleet.nodes.is_empty());

    // Bounds: nothing, one, the most, and more.
    #[allow(
        clippy::reversed_empty_ranges,
        reason = "a caller may well get it wrong"
    )]
    let none = two.store.fleet(second..=first).await;
    assert!(none.expect("no minutes").minutes.is_empty());
    let most = now - Fleet::MOST_MINUTES + 1..=now;
    let fleet = two.store.fleet(most).await.expect("as many as are kept");
    assert_eq!(fleet.minutes.len(), 3);
    for more in [now - Fleet::MOST_MINUTES..=now, 0..=u64::MAX] {
        let error = two.store.fleet(more).await.expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("at most 1441"), "{error}");
    }
}

/// Nodes are listed as they last were, by when they started, until they leave.
async fn nodes(server: &impl Server) {
    let client = Client::within(server, "nodes");
    if client.store.report_every().is_none() {
        return;
    }
    let minute = minute_before(server, 0);
    let node = |id, started_ms, local_entries| {
        let mut node = Node::new(NodeId(id));
        node.host = "web 1&local_entries=9".into();
        node.process = 4711;
        node.version = "0.1.0".into();
        node.started_ms = started_ms;
        node.every_ms = 1000;
        node.breaker_open = true;
        node.local_entries = local_entries;
        node
    };
    let report = |node, sequence| Report::new(node, sequence, minute, counted("x", 1, 0));
    for report in [
        report(node(1, 20, 5), 1),
        report(node(2, 10, 6), 1),
        // Sent again, a report tells how the node is by now.
        report(node(1, 20, 7), 1),
    ] {
        client.store.report(&report).await.expect("a report");
    }
    let fleet = client.store.fleet(minute..=minute).await;
    let mut fleet = fleet.expect("figures");
    assert_eq!(fleet.missing().count(), 0);
    for node in &mut fleet.nodes {
        // The store's clock says when it was seen.
        assert!(node.seen_ms <= fleet.now_ms && fleet.now_ms - node.seen_ms < 60_000);
        node.seen_ms = 0;
    }
    assert_eq!(fleet.nodes, [node(2, 10, 6), node(1, 20, 7)]);

    let last = report(node(2, 10, 0), 2).leaving(true);
    for _ in 0..2 {
        client.store.report(&last).await.expect("a report");
    }
    let fleet = client.store.fleet(minute..=minute).await;
    let fleet = fleet.expect("figures");
    assert_eq!(fleet.nodes.len(), 1);
    assert_eq!(fleet.nodes[0].id, NodeId(1));
    assert_eq!(fleet.sum(), counted("x", 3, 0), "what it has counted stays");
}
