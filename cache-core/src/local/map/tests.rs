use super::*;

const NEVER: Duration = Duration::from_hours(1);
const NOW: Duration = Duration::ZERO;

fn lasting(end: Duration) -> Life {
    Life::new(end, end, Duration::ZERO, NOW)
}

fn served(_: &Life, age: Age) -> bool {
    age == Age::Quiet
}

fn entry(args: &str, bytes: usize, expires: Duration) -> Arc<Stored<String>> {
    Arc::new(Stored {
        head: Head::new(
            LocalKey::new(1, args.as_bytes()),
            lasting(expires),
            0,
            EntryId([0; 16]),
            Box::default(),
            bytes,
        ),
        value: args.to_owned(),
    })
}

fn hit_as<V: Clone + 'static>(
    local: &Local,
    key: KeyRef<'_>,
    epoch: u64,
    now: Duration,
    serve: impl FnOnce(&Life, Age) -> bool,
) -> Option<V> {
    let mut value = None;
    local.hit(key, epoch, now, serve, &mut |held| {
        value = held.typed::<V>().map(|stored| stored.value.clone());
        value.is_some()
    });
    value
}

fn hit(local: &Local, args: &str) -> Option<String> {
    hit_as::<String>(
        local,
        KeyRef {
            function: 1,
            args: args.as_bytes(),
        },
        0,
        NOW,
        served,
    )
}

#[test]
fn what_is_inserted_is_hit_under_its_own_key_and_type_only() {
    let local = Local::new(10_000);
    local.insert(entry("7", 100, NEVER), NOW, 0, None);
    assert_eq!(hit(&local, "7").as_deref(), Some("7"));
    assert_eq!(hit(&local, "8"), None);
    let other = KeyRef {
        function: 2,
        args: b"7",
    };
    assert_eq!(hit_as::<String>(&local, other, 0, NOW, served), None);
    let key = KeyRef {
        function: 1,
        args: b"7",
    };
    assert_eq!(hit_as::<u64>(&local, key, 0, NOW, served), None);
}

#[test]
fn large_values_that_have_left_take_no_memory() {
    let local = Local::new(1 << 20);
    let large = Arc::new(());
    for number in 0..30 {
        let args = number.to_string();
        let Stored { head, .. } = Arc::into_inner(entry(&args, 100_000, NEVER)).expect("just made");
        let value = Arc::clone(&large);
        local.insert(Arc::new(Stored { head, value }), NOW, 0, None);
        let living = Arc::strong_count(&large) - 1;
        assert!(living <= (1 << 20) / 100_000, "{living} of {number}");
    }
}

#[test]
fn an_entry_ends_with_its_time_its_epoch_and_its_tags() {
    let local = Local::new(10_000);
    let cell = Arc::new(Cell::new("a"));
    let stamp = cell.stamp_or_make(1, || 5).expect("a fresh cell");
    let tagged = Stored {
        head: Head::new(
            LocalKey::new(1, b"7"),
            lasting(Duration::from_secs(10)),
            0,
            EntryId([0; 16]),
            Box::new([Dependency {
                cell: Arc::clone(&cell),
                stamp,
            }]),
            100,
        ),
        value: 7_u64,
    };
    local.insert(Arc::new(tagged), NOW, 0, None);
    let key = KeyRef {
        function: 1,
        args: b"7",
    };
    assert_eq!(hit_as::<u64>(&local, key, 0, NOW, served), Some(7));
    assert_eq!(
        hit_as::<u64>(&local, key, 0, Duration::from_secs(10), served),
        None
    );
    assert_eq!(hit_as::<u64>(&local, key, 1, NOW, served), None);
    cell.advance();
    assert_eq!(hit_as::<u64>(&local, key, 0, NOW, served), None);
}

#[test]
fn bytes_are_bounded_and_accounted() {
    let local = Local::new(10_000);
    let mut evicted = 0;
    for args in 0..1_000 {
        evicted += local
            .insert(entry(&args.to_string(), 100, NEVER), NOW, 0, None)
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
    local.insert(entry("hot", 100, NEVER), NOW, 0, None);
    for args in 0..10_000 {
        assert!(hit(&local, "hot").is_some(), "lost after {args} newcomers");
        local.insert(entry(&args.to_string(), 100, NEVER), NOW, 0, None);
    }
}

#[test]
fn an_entry_too_large_for_the_tier_is_not_kept_nor_is_its_predecessor() {
    let local = Local::new(1_000);
    local.insert(entry("7", 100, NEVER), NOW, 0, None);
    local.insert(entry("7", 500, NEVER), NOW, 0, None);
    assert_eq!(hit(&local, "7"), None);
    assert_eq!(local.size(1), (0, 0));
}

#[test]
fn replacing_one_key_for_ever_does_not_grow() {
    let local = Local::new(1_000_000);
    let first = entry("7", 100, NEVER);
    let watched = Arc::downgrade(&first);
    local.insert(first, NOW, 0, None);
    for _ in 0..1_000 {
        local.insert(entry("7", 100, NEVER), NOW, 0, None);
    }
    assert_eq!(local.size(1), (1, 100));
    // The map lets go of what it replaced once no reader can hold it any more.
    for _ in 0..1_000 {
        hit(&local, "7");
        local.insert(entry("8", 100, NEVER), NOW, 0, None);
    }
    assert!(watched.upgrade().is_none(), "the first value is still held");
}

#[test]
fn what_has_ended_makes_room_without_pressure() {
    let local = Local::new(1_000_000);
    for args in 0..100 {
        local.insert(
            entry(&args.to_string(), 100, Duration::from_secs(1)),
            NOW,
            0,
            None,
        );
    }
    for args in 100..200 {
        local.insert(
            entry(&args.to_string(), 100, NEVER),
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
    let put = |args: &str| local.insert(entry(args, 100, NEVER), NOW, 0, Some(3));
    assert!([put("a"), put("b"), put("c")].concat().is_empty());
    assert!(hit(&local, "a").is_some());
    assert_eq!(put("d"), [1], "of function 1 one had to go");
    assert_eq!(local.size(1).0, 3);
    assert!(hit(&local, "a").is_some(), "it was hit");
    assert!(hit(&local, "b").is_none(), "it was the oldest");
    assert!(hit(&local, "d").is_some(), "the newcomer stays");
    // A value in place of another needs no room.
    assert!(put("d").is_empty());
    assert_eq!(local.size(1).0, 3);
    // What has left by another way has made room already.
    local.remove(KeyRef {
        function: 1,
        args: b"c",
    });
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
    local.insert(Arc::new(Stored { head, value: 1_u8 }), NOW, 0, Some(1));
    assert_eq!((local.size(1).0, local.size(2).0), (3, 1));
}

#[test]
fn where_every_entry_is_hit_all_the_time_room_is_made_all_the_same() {
    let local = Local::new(1 << 20);
    for round in 0..1_000 {
        local.insert(entry(&round.to_string(), 100, NEVER), NOW, 0, Some(10));
        for args in 0..=round {
            hit(&local, &args.to_string());
        }
        assert!(local.size(1).0 <= 10);
    }
    assert!(hit(&local, "999").is_some());
}

#[test]
fn the_queue_of_a_bound_does_not_grow_with_what_has_left() {
    let local = Local::new(1 << 20);
    let value = entry("7", 100, NEVER);
    for _ in 0..1_000 {
        local.insert(entry("7", 100, NEVER), NOW, 0, Some(2));
        local.remove(KeyRef {
            function: 1,
            args: b"7",
        });
    }
    let held: Arc<dyn Held> = value;
    assert!(local.size_of(&held).limit.len() <= 2 * 2 + 65);
    assert_eq!(local.size(1), (0, 0));
}
