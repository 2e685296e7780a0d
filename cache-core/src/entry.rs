//! Format 1 of an entry in Redis: a header, and the encoded value. Bytes that are not exactly
//! what [`write`] made are refused, whatever is wrong with them.
//!
//! | bytes | what |
//! | --- | --- |
//! | 0..4 | magic |
//! | 4, 5, 6, 7 | format (1), codec, flags, 0 |
//! | 8..24 | id |
//! | 24..32 | checksum: xxh3 of 32.., seeded with xxh3 of ..24 |
//! | 32..88 | created, fresh until, alive until, cost (8 each), origin (16), schema (8) |
//! | 88..90 | number of tags; for each: length (2), text, stamp (8) |
//! | then | payload's length (4), payload, and nothing after it |
//!
//! All numbers are little-endian.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::{Error, ErrorKind, Result};

/// Not printable first, so that no text is taken for an entry.
const MAGIC: [u8; 4] = [0xca, b'c', b'h', b'e'];
const FORMAT: u8 = 1;
const CHECKSUM: Range<usize> = 24..32;
/// The length of an entry without tags and payload.
const SMALLEST: usize = 94;

/// Where the id is, for scripts that compare it without reading the rest.
pub(crate) const ID: Range<usize> = 8..24;
/// The most tags an entry can carry.
pub(crate) const MOST_TAGS: usize = 256;

/// What tells one stored value of a key from the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 16]);

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What is stored beside a value. Times are milliseconds, ids and stamps are random.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'t> {
    /// The id of the codec of the payload.
    pub codec: u8,
    /// Bits whose meaning the engine gives.
    pub flags: u8,
    /// Which stored value this is.
    pub id: EntryId,
    /// When it was stored, since the Unix epoch; for people only, since clocks differ.
    pub created_ms: u64,
    /// How long it is fresh.
    pub fresh_ms: u64,
    /// How long it is kept.
    pub life_ms: u64,
    /// What loading it took, in microseconds.
    pub cost_us: u64,
    /// The identity of the function that made it.
    pub origin: u128,
    /// The fingerprint of its type.
    pub schema: u64,
    /// The tags it carries, each with the stamp it was loaded under.
    pub tags: Vec<(Cow<'t, str>, u64)>,
}

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Malformed {
    /// Longer than the limit.
    TooLarge,
    /// Too short for what it says it holds.
    Truncated,
    /// Not ours: the magic is missing.
    Foreign,
    /// Ours, but of a format that this version does not know.
    Format,
    /// Damaged.
    Checksum,
    /// More tags than an entry can carry, or a tag that is not UTF-8.
    Tags,
    /// Bytes after the end.
    Trailing,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "it is larger than the limit",
            Self::Truncated => "it is cut short",
            Self::Foreign => "it is not an entry of this cache",
            Self::Format => "its format is not known to this version",
            Self::Checksum => "its checksum does not match",
            Self::Tags => "its tags cannot be read",
            Self::Trailing => "something follows its end",
        })
    }
}

/// The bytes of an entry.
pub(crate) fn write(header: &Header<'_>, payload: &[u8]) -> Result<Vec<u8>> {
    let refused = |what: String| Err(Error::new(ErrorKind::Encode, what));
    let Ok(size) = u32::try_from(payload.len()) else {
        return refused(format!(
            "a value of {} bytes does not fit an entry",
            payload.len()
        ));
    };
    let count = match u16::try_from(header.tags.len()) {
        Ok(count) if usize::from(count) <= MOST_TAGS => count,
        _ => {
            return refused(format!(
                "an entry with {} tags does not fit: at most {MOST_TAGS} do",
                header.tags.len()
            ));
        }
    };
    let tags: usize = header.tags.iter().map(|(tag, _)| tag.len() + 10).sum();
    let mut bytes = Vec::with_capacity(SMALLEST + tags + payload.len());
    bytes.extend(MAGIC);
    bytes.extend([FORMAT, header.codec, header.flags, 0]);
    bytes.extend(header.id.0);
    bytes.extend([0; 8]);
    for number in [
        header.created_ms,
        header.fresh_ms,
        header.life_ms,
        header.cost_us,
    ] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(header.origin.to_le_bytes());
    bytes.extend(header.schema.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    for (tag, stamp) in &header.tags {
        let Ok(len) = u16::try_from(tag.len()) else {
            return refused(format!(
                "a tag of {} bytes does not fit an entry",
                tag.len()
            ));
        };
        bytes.extend(len.to_le_bytes());
        bytes.extend_from_slice(tag.as_bytes());
        bytes.extend(stamp.to_le_bytes());
    }
    bytes.extend(size.to_le_bytes());
    bytes.extend_from_slice(payload);
    let sum = checksum(&bytes);
    bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

/// Reads an entry of at most `limit` bytes.
pub(crate) fn read(bytes: &[u8], limit: usize) -> Result<(Header<'_>, &[u8]), Malformed> {
    if bytes.len() > limit {
        return Err(Malformed::TooLarge);
    }
    let mut rest = Rest(bytes);
    if rest.array::<4>()? != MAGIC {
        return Err(Malformed::Foreign);
    }
    let [format, codec, flags, reserved] = rest.array()?;
    if format != FORMAT {
        return Err(Malformed::Format);
    }
    if bytes.len() < SMALLEST {
        return Err(Malformed::Truncated);
    }
    let id = EntryId(rest.array()?);
    // Checked before anything that is allocated for: what follows was written by us.
    if rest.u64()? != checksum(bytes) || reserved != 0 {
        return Err(Malformed::Checksum);
    }
    let mut header = Header {
        codec,
        flags,
        id,
        created_ms: rest.u64()?,
        fresh_ms: rest.u64()?,
        life_ms: rest.u64()?,
        cost_us: rest.u64()?,
        origin: u128::from_le_bytes(rest.array()?),
        schema: rest.u64()?,
        tags: Vec::new(),
    };
    let count = usize::from(u16::from_le_bytes(rest.array()?));
    // Each has ten bytes at least, so a count that cannot be true is not allocated for.
    if count > MOST_TAGS {
        return Err(Malformed::Tags);
    }
    if count > rest.0.len() / 10 {
        return Err(Malformed::Truncated);
    }
    header.tags.reserve_exact(count);
    for _ in 0..count {
        let len = u16::from_le_bytes(rest.array()?);
        let tag = std::str::from_utf8(rest.take(len.into())?).map_err(|_| Malformed::Tags)?;
        header.tags.push((tag.into(), rest.u64()?));
    }
    let size = u32::from_le_bytes(rest.array()?);
    let payload = rest.take(usize::try_from(size).map_err(|_| Malformed::Truncated)?)?;
    if !rest.0.is_empty() {
        return Err(Malformed::Trailing);
    }
    Ok((header, payload))
}

/// Of all bytes but its own. Seeding one hash with the other costs less than a streaming state.
fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(&bytes[CHECKSUM.end..], xxh3_64(&bytes[..CHECKSUM.start]))
}

/// Gives bytes the checksum that they should have, if they have room for one.
#[cfg(feature = "fuzzing")]
pub(crate) fn mend(bytes: &mut [u8]) -> bool {
    if bytes.len() < CHECKSUM.end {
        return false;
    }
    let sum = checksum(bytes);
    bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
    // Under a reserved byte that is set, no checksum is right.
    bytes[7] == 0
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
