//! Pushes, good and bad, and the sum of several connections.

use super::*;

#[derive(Default)]
struct Seen(Mutex<Vec<Event>>);

impl Seen {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Seen {
    fn observe(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

fn coherence(connections: usize) -> (Coherence, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let observer: Arc<dyn Observer> = seen.clone();
    let weak = Arc::downgrade(&observer);
    (Coherence::new(weak, Keys::new("ns"), connections), seen)
}

fn invalidate(data: Vec<Value>) -> PushInfo {
    PushInfo {
        kind: PushKind::Invalidate,
        data,
    }
}

fn names(names: &[&[u8]]) -> PushInfo {
    let names = names.iter().map(|name| Value::BulkString(name.to_vec()));
    invalidate(vec![Value::Array(names.collect())])
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn our_keys_become_events_and_others_nothing() {
    let (coherence, seen) = coherence(1);
    let push = names(&[
        b"ns:e:{kind:fn:1}",
        b"ns:l:{kind:fn:{}}",
        b"ns:t:user:42",
        b"ns:t:",
        b"ns:m:kind:1",
        b"ns:e:kind:fn:1",
        b"ns:e:{",
        b"ns:e:}",
        b"ns2:e:{kind:fn:1}",
        b"xns:t:a",
        b"ns",
        b"ns:",
        b"",
        b"ns:t:\xff",
        "ns:\u{20ac}".as_bytes(),
    ]);
    coherence.pushed(&push).unwrap();
    assert_eq!(
        seen.take(),
        [
            Event::Entry("kind:fn:1".into()),
            Event::Lease("kind:fn:{}".into()),
            Event::Tag("user:42".into()),
            Event::Tag(String::new()),
        ]
    );
    coherence.pushed(&names(&[])).unwrap();
    let other = PushInfo {
        kind: PushKind::Other("news".into()),
        data: vec![Value::Int(1)],
    };
    coherence.pushed(&other).unwrap();
    assert_eq!(seen.take(), []);
}

#[test]
fn what_makes_no_sense_may_mean_anything() {
    let (coherence, seen) = coherence(1);
    coherence.pushed(&invalidate(vec![Value::Nil])).unwrap();
    assert_eq!(seen.take(), [Event::Flushed]);
    let strange = [
        vec![],
        vec![Value::Int(1)],
        vec![Value::Nil, Value::Nil],
        vec![Value::Array(vec![Value::Nil])],
        vec![Value::Array(vec![Value::Array(vec![])])],
        vec![Value::BulkString(b"ns:t:a".to_vec())],
        vec![Value::Map(vec![])],
    ];
    for data in strange {
        assert!(coherence.pushed(&invalidate(data)).is_err());
    }
    for kind in [PushKind::Subscribe, PushKind::Other(String::new())] {
        let data = vec![Value::Int(1)];
        assert!(coherence.pushed(&PushInfo { kind, data }).is_err());
    }
    assert_eq!(seen.take(), [], "it is told by who gives the connection up");
}

#[test]
fn the_oldest_word_counts() {
    let (coherence, seen) = coherence(3);
    coherence.stands(2, Standing::Silent);
    assert_eq!(seen.take(), [], "it reads nothing, and proves nothing");
    coherence.stands(0, Standing::Tracked(SECOND));
    assert_eq!(seen.take(), [Event::Proven { until: SECOND }]);
    coherence.stands(1, Standing::Tracked(SECOND * 3));
    coherence.stands(0, Standing::Tracked(SECOND * 2));
    coherence.stands(0, Standing::Tracked(SECOND * 4));
    let untils = [SECOND, SECOND * 2, SECOND * 3];
    assert_eq!(seen.take(), untils.map(|until| Event::Alive { until }));
}

#[test]
fn one_connection_s_loss_is_everybody_s() {
    let (coherence, seen) = coherence(3);
    for connection in 0..2 {
        coherence.stands(connection, Standing::Tracked(SECOND));
    }
    seen.take();
    coherence.lost(1);
    coherence.stands(0, Standing::Tracked(SECOND * 2));
    assert_eq!(seen.take(), [Event::Lost]);
    coherence.stands(1, Standing::Tracked(SECOND * 3));
    assert_eq!(seen.take(), [Event::Proven { until: SECOND * 2 }]);
    coherence.lost(2);
    coherence.stands(2, Standing::Silent);
    let until = SECOND * 2;
    assert_eq!(seen.take(), [Event::Lost, Event::Proven { until }]);
}

#[test]
fn who_is_told_nothing_proves_nothing() {
    let (coherence, seen) = coherence(2);
    coherence.stands(0, Standing::Blind);
    coherence.lost(0);
    coherence.stands(0, Standing::Blind);
    assert_eq!(seen.take(), [Event::Lost]);
    coherence.stands(0, Standing::Tracked(SECOND));
    coherence.stands(1, Standing::Blind);
    let until = SECOND;
    assert_eq!(seen.take(), [Event::Proven { until }, Event::Lost]);
}
