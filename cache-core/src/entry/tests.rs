//! Format 1 is frozen; whatever is not exactly an entry is refused.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn header<'t>(tags: &[(&'t str, u64)]) -> Header<'t> {
    Header {
        codec: 1,
        flags: 0b10,
        id: EntryId(*b"0123456789abcdef"),
        created_ms: 1_790_000_000_123,
        fresh_ms: 1_800_000,
        life_ms: 3_600_000,
        cost_us: 1234,
        origin: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        schema: 0xfedc_ba98_7654_3210,
        tags: tags
            .iter()
            .map(|(tag, stamp)| ((*tag).into(), *stamp))
            .collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[test]
fn the_format_is_frozen() {
    let big: Vec<u8> = (0..=255).collect();
    let zero = Header {
        codec: 0,
        flags: 0,
        id: EntryId([0; 16]),
        created_ms: 0,
        fresh_ms: 0,
        life_ms: 0,
        cost_us: 0,
        origin: 0,
        schema: 0,
        tags: Vec::new(),
    };
    let user = header(&[
        ("~", 1),
        ("~users", u64::MAX),
        ("user:42", 0x0102_0304_0506_0708),
    ]);
    for (name, golden, header, payload) in [
        (
            "entry-empty",
            include_str!("../../golden/entry-empty.hex"),
            zero,
            &[][..],
        ),
        (
            "entry-tags",
            include_str!("../../golden/entry-tags.hex"),
            user,
            b"value",
        ),
        (
            "entry-long",
            include_str!("../../golden/entry-long.hex"),
            header(&[("équipe:7", 7)]),
            &big,
        ),
    ] {
        let frozen = "the wire format is frozen: entries of this form are stored in every \
                      deployed Redis. A change needs a new format number beside this one, not a \
                      new golden file";
        let bytes = write(&header, payload).unwrap();
        assert_eq!(hex(&bytes), golden, "{name}: {frozen}");
        assert_eq!(
            read(&unhex(golden), LIMIT),
            Ok((header, payload)),
            "{name}: {frozen}"
        );
    }
}

#[test]
fn the_id_is_where_scripts_look_for_it() {
    let bytes = write(&header(&[("a", 1)]), b"x").unwrap();
    assert_eq!(&bytes[ID], b"0123456789abcdef");
}

#[test]
fn any_damage_is_refused() {
    let bytes = write(&header(&[("~", 1), ("user:42", 2)]), b"some value").unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&damaged, LIMIT).is_err(), "bit {bit} of byte {at}");
        }
        assert!(read(&bytes[..at], LIMIT).is_err(), "cut at {at}");
        let mut shorter = bytes.clone();
        shorter.remove(at);
        assert!(read(&shorter, LIMIT).is_err(), "without byte {at}");
    }
    for byte in 0..=255 {
        let mut longer = bytes.clone();
        longer.push(byte);
        assert!(read(&longer, LIMIT).is_err(), "with {byte} added");
    }
}

/// Someone who can write the checksum can still not make us read past the end or allocate.
#[test]
fn lies_under_a_good_checksum_are_refused() {
    let reseal = |mut bytes: Vec<u8>| {
        let sum = checksum(&bytes);
        bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        bytes
    };
    let bytes = write(&header(&[]), b"").unwrap();
    let with = |at: usize, new: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        reseal(bytes)
    };
    assert_eq!(read(&with(88, &[0xff, 0xff]), LIMIT), Err(Malformed::Tags));
    assert_eq!(read(&with(88, &[0, 1]), LIMIT), Err(Malformed::Truncated));
    assert_eq!(
        read(&with(90, &[0xff; 4]), LIMIT),
        Err(Malformed::Truncated)
    );
    assert_eq!(read(&with(7, &[1]), LIMIT), Err(Malformed::Checksum));
    assert_eq!(read(&with(4, &[2]), LIMIT), Err(Malformed::Format));
    assert_eq!(read(&with(0, b"redi"), LIMIT), Err(Malformed::Foreign));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(read(&reseal(longer), LIMIT), Err(Malformed::Trailing));
    let mut tagged = write(&header(&[("ab", 1)]), b"").unwrap();
    tagged[92] = 0xff;
    assert_eq!(read(&reseal(tagged), LIMIT), Err(Malformed::Tags));
}

#[test]
fn limits_hold_both_ways() {
    let bytes = write(&header(&[]), b"12345").unwrap();
    assert!(read(&bytes, bytes.len()).is_ok());
    assert_eq!(read(&bytes, bytes.len() - 1), Err(Malformed::TooLarge));
    let most = Header {
        tags: vec![("t".into(), 1); MOST_TAGS],
        ..header(&[])
    };
    assert_eq!(
        read(&write(&most, b"").unwrap(), LIMIT),
        Ok((most.clone(), &[][..]))
    );
    let more = Header {
        tags: vec![("t".into(), 1); MOST_TAGS + 1],
        ..header(&[])
    };
    assert_eq!(write(&more, b"").unwrap_err().kind(), ErrorKind::Encode);
    let tag = "t".repeat(65_536);
    let long = header(&[(&tag, 1)]);
    assert_eq!(write(&long, b"").unwrap_err().kind(), ErrorKind::Encode);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        codec: u8, flags: u8, id: [u8; 16], numbers: [u64; 5], origin: u128,
        tags in proptest::collection::vec((".{0,30}", any::<u64>()), 0..8),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let [created_ms, fresh_ms, life_ms, cost_us, schema] = numbers;
        let header = Header {
            codec, flags, id: EntryId(id), created_ms, fresh_ms, life_ms, cost_us, origin, schema,
            tags: tags.into_iter().map(|(tag, stamp)| (tag.into(), stamp)).collect(),
        };
        let bytes = write(&header, &payload).unwrap();
        prop_assert_eq!(read(&bytes, bytes.len()), Ok((header, &payload[..])));
    }

    #[test]
    fn other_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes, LIMIT).is_err());
    }

    #[test]
    fn other_bytes_behind_a_good_beginning_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut entry = [&MAGIC[..], &[FORMAT, 1, 0, 0], &bytes].concat();
        prop_assert!(read(&entry, LIMIT).is_err());
        if entry.len() >= CHECKSUM.end {
            let sum = checksum(&entry);
            entry[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
            // By chance it may be one; what counts is that nothing breaks.
            let _ = read(&entry, LIMIT);
        }
    }
}
