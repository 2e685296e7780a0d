use super::*;
use crate::local::{Cells, Reply, Stored};

const NEVER: Duration = Duration::from_hours(1);
const NOW: Duration = Duration::ZERO;

fn lasting(end: Duration) -> Life {
    Life::new(end, end, Duration::ZERO, NOW)
}

fn head(args: &str, bytes: usize, expires: Duration) -> Head {
    let (key, id) = (LocalKey::new(1, args.as_bytes()), EntryId([0; 16]));
    Head::new(key, lasting(expires), 0, id, Box::default(), bytes)
}

fn entry(args: &str, bytes: usize, expires: Duration) -> Kept {
    kept(head(args, bytes, expires), args.to_owned())
}

fn kept<V: Clone + Send + Sync + 'static>(head: Head, value: V) -> Kept {
    Kept::new(Arc::new(Stored::new(head, value)))
}

fn hit_as<V: Clone + 'static>(
    local: &Local,
    key: KeyRef<'_>,
    (cells, epoch): (&Cells, u64),
    now: Duration,
) -> Option<V> {
    let (seen, now) = (cells.seen(), nanoseconds(now));
    let lent = local.lend(&key)?;
    let head = lent.head();
    if !head.stands(seen, || epoch) || !head.is_sure(now) {
        return None;
    }
    head.note_hit();
    lent.view().value().cloned()
}

fn hit(local: &Local, args: &str) -> Option<String> {
    let key = KeyRef::new(1, args.as_bytes());
    hit_as(local, key, (&Cells::new(1), 0), NOW)
}

#[test]
fn what_is_inserted_is_hit_under_its_own_key_and_type_only() {
    let local = Local::new(10_000);
    local.insert(&entry("7", 100, NEVER), NOW, 0, None);
    assert_eq!(hit(&local, "7").as_deref(), Some("7"));
    assert_eq!(hit(&local, "8"), None);
    let other = KeyRef::new(2, b"7");
    let cells = &Cells::new(1);
    assert_eq!(hit_as::<String>(&local, other, (cells, 0), NOW), None);
    let key = KeyRef::new(1, b"7");
    assert_eq!(hit_as::<u64>(&local, key, (cells, 0), NOW), None);
}

#[test]
fn large_values_that_have_left_take_no_memory() {
    let local = Local::new(1 << 20);
    let large = Arc::new(());
    for number in 0..30 {
        // What a reader of another test holds back for a moment goes with the next that leaves.
        let settled = (0..10_000).any(|_| {
            let (head, value) = (
                head(&number.to_string(), 100_000, NEVER),
                Arc::clone(&large),
            );
            local.insert(&kept(head, value), NOW, 0, None);
            std::thread::yield_now();
            Arc::strong_count(&large) - 1 <= (1 << 20) / 100_000
        });
        let living = Arc::strong_count(&large) - 1;
        assert!(settled, "{living} of {number}");
    }
}

#[test]
fn an_entry_ends_with_its_time_its_epoch_and_its_tags() {
    let local = Local::new(10_000);
    let cells = Cells::new(100);
    let [common, own] = ["common", "own"].map(|tag| cells.cell(tag));
    let late = Duration::from_secs(10);
    let hit = |epoch, now| {
        let args = b"7".as_slice();
        hit_as::<u64>(&local, KeyRef::new(1, args), (&cells, epoch), now)
    };
    let put = || {
        let deps = [&common, &own].map(|cell| Dependency {
            cell: Arc::clone(cell),
            stamp: cell.stamp_or_make(1, || 5).expect("a live cell"),
        });
        let (key, deps) = (LocalKey::new(1, "7"), Box::new(deps));
        let head = Head::new(key, lasting(late), 0, EntryId([0; 16]), deps, 100);
        local.insert(&kept(head, 7_u64), NOW, 0, None);
        assert_eq!(hit(0, NOW), Some(7));
        // Not looked over again.
        assert_eq!(hit(0, NOW), Some(7));
    };
    put();
    assert_eq!(hit(0, late), None);
    cells.cell("another").stamp_or_make(1, || 6);
    cells.advance("another");
    assert_eq!(hit(0, NOW), Some(7), "something else has moved");
    for moved in [&common, &own] {
        put();
        moved.advance();
        assert_eq!(hit(0, NOW), None, "{} has ended", moved.tag());
    }
    put();
    cells.lose_sight();
    assert_eq!(hit(0, NOW), None, "nothing is known any more");
    common.learn(common.moved(), Some(5), Reply::Seen { knew: true }, 1);
    own.learn(own.moved(), Some(5), Reply::Seen { knew: true }, 1);
    assert_eq!(hit(0, NOW), Some(7), "all is as it was");
    own.restamp(own.moved(), 1, || 6);
    assert_eq!(hit(0, NOW), None, "it was written to");
    own.advance();
    put();
    own.learn(own.moved(), Some(8), Reply::Seen { knew: true }, 1);
    assert_eq!(hit(0, NOW), None, "it is not what it was");
    own.advance();
    put();
    cells.ending_epoch(|| ());
    assert_eq!(hit(1, NOW), None);
}

#[test]
fn a_hit_after_an_invalidation_never_gets_the_value_from_before() {
    use std::sync::atomic::AtomicU64;

    const ROUNDS: u64 = 20_000;
    let local = Local::new(1 << 20);
    let cells = Cells::new(100);
    let cell = cells.cell("a");
    let ended = AtomicU64::new(0);
    let key = KeyRef::new(1, b"7");
    let reader = || {
        let (mut hits, mut before) = (0_u64, 0);
        while before < ROUNDS {
            before = ended.load(Ordering::Acquire);
            if let Some(value) = hit_as::<u64>(&local, key, (&cells, 0), NOW) {
                assert!(value > before, "{value} was invalidated");
                hits += 1;
            }
        }
        hits
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for value in 1..=ROUNDS {
            let stamp = cell.stamp_or_make(1, || value).expect("a live cell");
            let deps = Box::new([Dependency {
                cell: Arc::clone(&cell),
                stamp,
            }]);
            let (key, life) = (LocalKey::new(1, "7"), lasting(NEVER));
            let head = Head::new(key, life, 0, EntryId([0; 16]), deps, 100);
            local.insert(&kept(head, value), NOW, 0, None);
            cells.advance("a");
            ended.store(value, Ordering::Release);
        }
        for reader in readers {
            reader.join().expect("no value from before");
        }
    });
}

#[test]
fn bytes_are_bounded_and_accounted() {
    let local = Local::new(10_000);
    let mut evicted = 0;
    for args in 0..1_000 {
        evicted += local
            .insert(&entry(&args.to_string(), 100, NEVER), NOW, 0, None)
            .len();
    }
    let (entries, bytes) = local.size(1);
    assert!(
        bytes <= 10_000 && entries >= 90,
        "{entries} entries, {bytes} bytes"
    );
    assert_eq!(evicted + entries, 1_000);
    assert_eq!(bytes, entries * 100);
}

#[test]
fn what_is_hit_outlives_a_scan() {
    let local = Local::new(10_000);
    local.insert(&entry("hot", 100, NEVER), NOW, 0, None);
    for args in 0..10_000 {
        assert!(hit(&local, "hot").is_some(), "lost after {args} newcomers");
        local.insert(&entry(&args.to_string(), 100, NEVER), NOW, 0, None);
    }
}

#[test]
fn an_entry_too_large_for_the_tier_is_not_kept_nor_is_its_predecessor() {
    let local = Local::new(1_000);
    local.insert(&entry("7", 100, NEVER), NOW, 0, None);
    local.insert(&entry("7", 500, NEVER), NOW, 0, None);
    assert_eq!(hit(&local, "7"), None);
    assert_eq!(local.size(1), (0, 0));
}

#[test]
fn replacing_one_key_for_ever_does_not_grow() {
    let local = Local::new(1_000_000);
    let first = entry("7", 100, NEVER);
    let watched = Arc::downgrade(&first);
    local.insert(&first, NOW, 0, None);
    drop(first);
    for _ in 0..1_000 {
        local.insert(&entry("7", 100, NEVER), NOW, 0, None);
    }
    assert_eq!(local.size(1), (1, 100));
    // The map lets go of what it replaced once no reader can hold it any more.
    for _ in 0..1_000 {
        hit(&local, "7");
        local.insert(&entry("8", 100, NEVER), NOW, 0, None);
    }
    assert!(watched.upgrade().is_none(), "the first value is still held");
}

#[test]
fn what_has_ended_makes_room_without_pressure() {
    let local = Local::new(1_000_000);
    for args in 0..100 {
        local.insert(
            &entry(&args.to_string(), 100, Duration::from_secs(1)),
            NOW,
            0,
            None,
        );
    }
    for args in 100..200 {
        local.insert(
            &entry(&args.to_string(), 100, NEVER),
            Duration::from_secs(2),
            0,
            None,
        );
    }
    assert_eq!(local.size(1).0, 100);
}

#[test]
fn a_functions_own_bound_spares_what_was_hit() {
    let local = Local::new(1 << 20);
    let put = |args: &str| local.insert(&entry(args, 100, NEVER), NOW, 0, Some(3));
    assert!([put("a"), put("b"), put("c")].concat().is_empty());
    assert!(hit(&local, "a").is_some());
    assert_eq!(put("d"), [1], "of function 1 one had to go");
    assert_eq!(local.size(1).0, 3);
    assert!(hit(&local, "a").is_some(), "it was hit");
    assert!(hit(&local, "d").is_some(), "the newcomer stays");
    let others = [hit(&local, "b"), hit(&local, "c")];
    assert_eq!(others.iter().flatten().count(), 1);
    let other = others.into_iter().flatten().next().expect("one of two");
    // A value in place of another needs no room.
    assert!(put("d").is_empty());
    assert_eq!(local.size(1).0, 3);
    // What has left by another way has made room already.
    local.remove(&KeyRef::new(1, other.as_bytes()));
    assert!(put("e").is_empty());
    assert_eq!(local.size(1).0, 3);
    // Another function's are let be, with a bound of its own or with none.
    let key = LocalKey::new(2, b"a");
    let head = Head::new(
        key.clone(),
        lasting(NEVER),
        0,
        EntryId([0; 16]),
        Box::default(),
        100,
    );
    local.insert(&kept(head, 1_u8), NOW, 0, Some(1));
    assert_eq!((local.size(1).0, local.size(2).0), (3, 1));
}

#[test]
fn where_every_entry_is_hit_all_the_time_room_is_made_all_the_same() {
    let local = Local::new(1 << 20);
    for round in 0..1_000 {
        local.insert(&entry(&round.to_string(), 100, NEVER), NOW, 0, Some(10));
        for args in 0..=round {
            hit(&local, &args.to_string());
        }
        assert!(local.size(1).0 <= 10);
    }
    assert!(hit(&local, "999").is_some());
}

#[test]
fn what_is_replaced_keeps_its_place() {
    let local = Local::new(1 << 20);
    let put = |args: &str| local.insert(&entry(args, 100, NEVER), NOW, 0, Some(100));
    for round in 0..3 {
        for args in 0..100 {
            put(&args.to_string());
        }
        let held = local.size_of(1).eviction.len();
        assert_eq!((local.size(1).0, held), (100, 100), "in round {round}");
    }
    assert_eq!(local.eviction.len(), 100);
    // Each was asked for three times, so that those which come once push none of them out.
    let scanned: usize = (1_000..1_200)
        .map(|args| put(&args.to_string()).len())
        .sum();
    assert_eq!((scanned, local.size(1).0), (200, 100));
    let kept = (0..100).filter(|args| hit(&local, &args.to_string()).is_some());
    assert!(kept.count() >= 98, "all but the window's");
}

#[test]
fn what_leaves_by_one_bound_is_not_counted_by_the_other() {
    let local = Local::new(10_000);
    for args in 0..1_000 {
        // Of a function with a bound, every other one; all of them under the bound of bytes.
        let bound = (args % 2 == 0).then_some(20);
        local.insert(&entry(&args.to_string(), 100, NEVER), NOW, 0, bound);
        let (entries, bytes) = local.size(1);
        assert!(bytes <= 10_000 && bytes == entries * 100, "{bytes} bytes");
    }
    for args in 0..1_000_u32 {
        local.remove(&KeyRef::new(1, args.to_string().as_bytes()));
    }
    assert_eq!(local.size(1), (0, 0));
    for args in 0..98 {
        assert!(
            local
                .insert(&entry(&args.to_string(), 100, NEVER), NOW, 0, None)
                .is_empty()
        );
    }
    assert_eq!(local.size(1), (98, 9_800), "there was room for all");
}

#[test]
fn threads_that_put_in_and_take_out_leave_the_bounds_as_they_are() {
    const KEYS: u64 = 400;
    let local = Local::new(10_000);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let local = &local;
            scope.spawn(move || {
                // Each has keys of its own, as each flight shard is one thread's at a time.
                let mut drawn: u64 = thread;
                for _ in 0..20_000 {
                    drawn = drawn.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                    let key = ((drawn >> 40) % KEYS * 4 + thread).to_string();
                    match drawn >> 33 & 3 {
                        0 => local.remove(&KeyRef::new(1, key.as_bytes())),
                        1 => drop(hit(local, &key)),
                        _ => drop(local.insert(&entry(&key, 100, NEVER), NOW, 0, Some(50))),
                    }
                }
            });
        }
    });
    let (entries, bytes) = local.size(1);
    // One that a thread is just putting in is passed over, so that there may be one for each too many.
    assert!(entries <= 54 && bytes == entries * 100, "{entries} entries");
    for key in 0..KEYS * 4 {
        local.remove(&KeyRef::new(1, key.to_string().as_bytes()));
    }
    assert_eq!(local.size(1), (0, 0));
    for key in 0..50 {
        let evicted = local.insert(&entry(&key.to_string(), 100, NEVER), NOW, 0, Some(50));
        assert!(evicted.is_empty(), "there was room for all");
    }
    assert_eq!(local.size(1).0, 50);
}

#[test]
fn the_queue_of_a_bound_does_not_grow_with_what_has_left() {
    let local = Local::new(1 << 20);
    let value = entry("7", 100, NEVER);
    for _ in 0..1_000 {
        local.insert(&entry("7", 100, NEVER), NOW, 0, Some(2));
        local.remove(&KeyRef::new(1, b"7"));
    }
    assert!(local.size_of(value.head().key.function).eviction.len() <= 2 * 2 + 65);
    assert_eq!(local.size(1), (0, 0));
}
