//! What the fuzz targets in fuzz/ call: thin doors to what reads pushes, figures and URLs, each with what must
//! hold of it. Not public API: they exist with the feature `fuzzing` only.

use std::sync::{Arc, Mutex, PoisonError};

use cache_core::store::{Event, Observer};
use redis::{PushInfo, PushKind, Value};

use crate::RedisConfig;
use crate::coherence::Coherence;
use crate::fleet;
use crate::keys::Keys;

const NAMESPACE: &str = "ns";
/// What no message of the library contains.
const SECRET: &str = "q7hunter2xv";

/// Bytes as Redis sends them, and as the choices of values that are built without a parser.
///
/// A push never gives more than one event for each name; a name that is ours gives the event whose
/// key it is; whatever Redis does not send is an error, and its connection is given up for it.
///
/// # Panics
///
/// Where that does not hold.
pub fn push(bytes: &[u8]) {
    if let Ok(Value::Push { kind, data }) = redis::parse_redis_value(bytes) {
        one_push(&PushInfo { kind, data });
    }
    let mut choices = bytes.iter().copied();
    let kind = match choices.next() {
        Some(byte) if byte % 8 == 0 => PushKind::Message,
        _ => PushKind::Invalidate,
    };
    let count = choices.next().unwrap_or(1) % 3;
    let data = (0..count).map(|_| value(&mut choices, 4)).collect();
    one_push(&PushInfo { kind, data });
}

/// A value of the bytes' choice.
fn value(choices: &mut impl Iterator<Item = u8>, depth: u8) -> Value {
    let Some(choice) = choices.next() else {
        return Value::Nil;
    };
    let few = usize::from(choice / 16);
    match choice % 8 {
        0 => Value::Nil,
        1 if depth > 0 => Value::Array((0..few).map(|_| value(choices, depth - 1)).collect()),
        2 if depth > 0 => {
            let mut next = || value(choices, depth - 1);
            Value::Map((0..few / 2).map(|_| (next(), next())).collect())
        }
        3 => Value::Int(i64::from(choice)),
        // Mostly ours, so that what is behind the prefix is reached.
        4 | 5 => {
            let prefix = ["ns:e:{", "ns:l:{", "ns:t:", "ns:m:"][few % 4];
            let close = if few < 8 { "}" } else { "" };
            let name: Vec<u8> = choices.by_ref().take(few).collect();
            Value::BulkString([prefix.as_bytes(), &name, close.as_bytes()].concat())
        }
        6 => Value::SimpleString("OK".into()),
        _ => Value::BulkString(choices.by_ref().take(few).collect()),
    }
}

#[derive(Default)]
struct Seen(Mutex<Vec<Event>>);

impl Observer for Seen {
    fn observe(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

fn one_push(push: &PushInfo) {
    let keys = Keys::new(NAMESPACE);
    let seen = Arc::new(Seen::default());
    let observer: Arc<dyn Observer> = seen.clone();
    let coherence = Coherence::new(Arc::downgrade(&observer), keys.clone(), 1);
    let outcome = coherence.pushed(push);
    let events = std::mem::take(&mut *seen.0.lock().unwrap_or_else(PoisonError::into_inner));

    if push.kind != PushKind::Invalidate {
        assert!(events.is_empty(), "{push:?}: {events:?}");
        if push.kind == PushKind::Message {
            assert!(outcome.is_ok(), "legal, and taken for strange: {push:?}");
        }
        return;
    }
    let names = match push.data.as_slice() {
        [Value::Nil] => {
            assert!(outcome.is_ok(), "a flush is nothing strange");
            assert_eq!(events, [Event::Flushed]);
            return;
        }
        [Value::Array(names)] => Some(names),
        _ => None,
    };
    let texts = names.and_then(|names| {
        let text = |name: &Value| match name {
            Value::BulkString(name) => Some(name.clone()),
            _ => None,
        };
        names.iter().map(text).collect::<Option<Vec<_>>>()
    });
    let Some(texts) = texts else {
        assert!(outcome.is_err(), "strange, and not told so: {push:?}");
        // At most one for each name before the one that is none.
        assert!(events.len() < names.map_or(1, Vec::len), "{push:?}");
        return;
    };
    assert!(outcome.is_ok(), "{push:?}");
    // Each event is of one of the names, in order, and what is left over is none of ours.
    let mut events = events.into_iter().peekable();
    for text in texts {
        let is_of = |event: &Event| match event {
            Event::Entry(key) => keys.entry(key).as_bytes() == text,
            Event::Lease(key) => keys.lease(key).as_bytes() == text,
            Event::Tag(tag) => keys.stamp(tag).as_bytes() == text,
            _ => false,
        };
        if events.next_if(is_of).is_none() {
            let ours = text.starts_with(b"ns:t:")
                || (text.starts_with(b"ns:e:{") || text.starts_with(b"ns:l:{"))
                    && text.ends_with(b"}");
            assert!(
                !ours || std::str::from_utf8(&text).is_err(),
                "not told: {push:?}"
            );
        }
    }
    assert_eq!(events.next(), None, "{push:?}");
}

/// Bytes as Redis's answer about a hash of figures, and as a node's id and text.
///
/// What is read of them is bounded, and is read again as it was once it is written as reports write it.
///
/// # Panics
///
/// Where that does not hold.
pub fn fleet(bytes: &[u8]) {
    if let Ok(answer) = redis::parse_redis_value(bytes) {
        hash(&answer);
    }
    let mut choices = bytes.iter().copied();
    hash(&value(&mut choices, 4));
    // What is mostly a hash: names and numbers in turn.
    let words = bytes.split(|byte| *byte == b'\n');
    hash(&Value::Array(
        words.map(|word| Value::BulkString(word.to_vec())).collect(),
    ));
    let (id, text) = bytes.split_at_checked(16).unwrap_or_default();
    for id in [id, b"00000000000000ab"] {
        if let Some(node) = fleet::node_of(id, text) {
            let again = format!("seen_ms={}&{}", node.seen_ms, fleet::text_of(&node));
            let read = fleet::node_of(node.id.to_string().as_bytes(), again.as_bytes());
            assert_eq!(read, Some(node), "{again}");
        }
    }
}

fn hash(answer: &Value) {
    let Some(figures) = fleet::kind_of(answer.clone()) else {
        return;
    };
    let fields = figures
        .fields()
        .flat_map(|(name, count)| [name, count.to_string()]);
    let fields = fields.map(|word| Value::BulkString(word.into_bytes()));
    let again = fleet::kind_of(Value::Array(fields.collect()));
    assert_eq!(again, Some(figures), "{answer:?}");
    if let Some(kinds) = fleet::kinds_of(answer.clone()) {
        for kind in kinds {
            assert!(!kind.as_str().contains(':'), "{kind} is no part of a key");
        }
    }
}

/// A text as a URL; and, with a password in it, as what its pieces make.
///
/// What is understood without a password is described by a URL that means the same; a password is
/// never shown, whether the rest of the URL is understood or not.
///
/// # Panics
///
/// Where that does not hold.
pub fn url(text: &str) {
    one_url(text);
    let mut pieces = text.split('\n');
    let mut next = || pieces.next().unwrap_or_default();
    let (scheme, user, before, after, rest) = (next(), next(), next(), next(), next());
    let scheme = match scheme {
        "" => "redis",
        scheme => scheme,
    };
    // With one of these in it, it is no user name, or no scheme; the password would be a path.
    let is_scheme = scheme.chars().all(|c| c.is_alphanumeric() || c == '+');
    if is_scheme && !user.contains(['/', '?', '#', ':', '@', '\\']) {
        let secret = format!("{before}{SECRET}{after}");
        shows_no_secret(&format!("{scheme}://{user}:{secret}@{rest}"));
        shows_no_secret(&format!("{user}={scheme}://{user}:{secret}@{rest}"));
    }
    if !before.contains(['&', '#', '=']) && !user.contains(['?', '#']) {
        shows_no_secret(&format!("unix:///{user}?pass={before}{SECRET}{after}"));
        shows_no_secret(&format!("unix:///{user}?{rest}&pass={before}{SECRET}"));
    }
}

fn one_url(text: &str) {
    let Ok(config) = RedisConfig::new(text) else {
        return;
    };
    let described = config.describe();
    if config.has_password() {
        assert!(described.contains("***"), "{text:?} is {described:?}");
        return;
    }
    let again = RedisConfig::new(&described)
        .unwrap_or_else(|error| panic!("{text:?} is {described:?}: {error}"));
    assert!(
        again.is_at_the_same_address(&config),
        "{text:?} is {described:?}"
    );
    assert_eq!(again.describe(), described);
}

fn shows_no_secret(text: &str) {
    let shown = match RedisConfig::new(text) {
        Ok(config) => format!("{config:?} {}", config.describe()),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(
        !shown.to_lowercase().contains(SECRET),
        "{text:?} shows {shown:?}"
    );
}
