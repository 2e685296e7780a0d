//! A call's arguments as the local tier knows them: the canonical text, but for whole numbers and short texts
//! that are an argument by themselves, which are packed as they are in memory. A hit writes this and never the
//! text.

use std::mem::ManuallyDrop;

use serde::Serialize;

use super::arguments::Arguments;
use super::brief;
use super::whole::{self, Packed, Whole};
use super::{ArgsText, LONGEST, PADDED};
use crate::refusal::Refusal;
use crate::{Error, ErrorKind};

/// The arguments of one call, on the stack. Two calls have the same bytes just if they have the same text.
///
/// Packed they are where the text has at most [`LONGEST`] bytes and so have they; else they are that text,
/// or `#` and 128 bits of its hash.
pub struct Args {
    /// Zeros where nothing is.
    buf: [u8; LONGEST],
    len: usize,
    /// By how much the text may be longer than what is in `buf`. More than there is room, once there is a
    /// `long` to write to.
    slack: usize,
    /// There is one while they are being written only ([`Writing`]), so that whoever holds them need not ask
    /// whether there is something to be dropped.
    long: ManuallyDrop<Option<Box<Long>>>,
}

/// While arguments are written. Has nothing left behind, however that ends.
struct Writing<'a>(&'a mut Args);

impl Drop for Writing<'_> {
    #[inline]
    fn drop(&mut self) {
        drop(self.0.long.take());
    }
}

/// How many bytes a word has.
const WORD: usize = 8;

/// The text of arguments that are not packed.
enum Long {
    /// Its beginning, and the hash of all of it once it is too long.
    Named(ArgsText, Option<Box<blake3::Hasher>>),
    /// All of it, for the parts of a map that must be sorted first.
    Whole(Vec<u8>),
}

impl Args {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            buf: [0; LONGEST],
            len: 0,
            slack: 0,
            long: ManuallyDrop::new(None),
        }
    }

    /// All of the text that `write` writes, however long it is, with nothing packed.
    pub(super) fn whole(
        write: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<Vec<u8>, Refusal> {
        let mut args = Self::new();
        args.slack = LONGEST + 1;
        let writing = Writing(&mut args);
        *writing.0.long = Some(Box::new(Long::Whole(Vec::new())));
        write(writing.0)?;
        Ok(match writing.0.long.take().map(|long| *long) {
            Some(Long::Whole(text)) => text,
            Some(Long::Named(..)) | None => Vec::new(),
        })
    }

    /// The same that a call has whose arguments have this text.
    pub(crate) fn of_text(text: &str) -> Self {
        let mut args = Self::new();
        args.pack(text);
        args
    }

    /// Writes `args`, which is a tuple of a call's arguments, such as `&(&id, &name)`. Nothing else was
    /// written before.
    ///
    /// # Errors
    /// [`ErrorKind::Key`] where an argument refuses to be serialized or nests deeper than 128 levels:
    /// such a call is not cached.
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[allow(clippy::inline_always)]
    pub(crate) fn write<A: Serialize + ?Sized>(&mut self, args: &A) -> crate::Result<()> {
        let writing = Writing(self);
        args.serialize(Arguments::new(writing.0))
            .map_err(|refusal| unkeyed(&refusal))?;
        if writing.0.long.is_some() {
            writing.0.settle();
        }
        Ok(())
    }

    /// What a lookup hashes and compares.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or(&self.buf)
    }

    /// The first of them, and zeros where there are fewer.
    #[inline]
    pub(crate) fn padded(&self) -> &[u8; PADDED] {
        self.buf.first_chunk().unwrap_or(&[0; PADDED])
    }

    /// The text, which names the entry everywhere else.
    pub(crate) fn text(&self) -> ArgsText {
        unpacked(self.as_bytes())
    }

    /// Takes the next piece of a text.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end + self.slack <= LONGEST
            && let Some(free) = self.buf.get_mut(self.len..end)
        {
            free.copy_from_slice(bytes);
            self.len = end;
        } else {
            self.spill(bytes);
        }
    }

    /// Takes what stands between two arguments.
    #[inline(never)]
    pub(super) fn divide(&mut self) {
        if self.len + 2 * WORD + self.slack <= LONGEST {
            self.append(u64::from(b':'), 1);
        } else {
            self.put(b":");
        }
    }

    /// Takes a number that is an argument by itself; `false` where its text is to be put instead. `bits`:
    /// as many as its type has.
    #[inline]
    pub(super) fn pack_number(&mut self, whole: Whole, bits: u64) -> bool {
        let packed = whole.pack(bits);
        if self.len + 2 * WORD + self.slack + whole.slack() <= LONGEST {
            if self.len == 0 {
                // The first argument, as it mostly is: nothing but two words, whether it needs both or not.
                self.buf[..WORD].copy_from_slice(&packed.word.to_le_bytes());
                self.buf[WORD..2 * WORD].copy_from_slice(&u64::from(packed.more).to_le_bytes());
                self.len = packed.len;
            } else {
                self.append_number(packed);
            }
            self.slack += whole.slack();
            return true;
        }
        // As a text from here on: what comes next may still make it a short one.
        self.spill(b"");
        false
    }

    /// Takes so many bytes, after which there are zeros in the word. There is room for two words.
    ///
    /// What a lookup reads of the arguments it reads in words, and so they are written: a word that was written in
    /// parts could only be read once all of them have left the processor's store buffer.
    #[inline]
    fn append(&mut self, word: u64, len: usize) {
        let (at, shift) = (self.len / WORD * WORD, self.len % WORD * 8);
        if let Some(place) = self.buf.get_mut(at..at + 2 * WORD)
            && let Some((first, second)) = place.split_first_chunk_mut::<WORD>()
        {
            *first = (u64::from_le_bytes(*first) | word << shift).to_le_bytes();
            // In two steps, since all may have to go.
            second.copy_from_slice(&(word >> 8 >> (56 - shift)).to_le_bytes());
        }
        self.len += len;
    }

    #[inline(never)]
    fn append_number(&mut self, packed: Packed) {
        self.append(packed.word, packed.len.min(WORD));
        if packed.len > WORD {
            self.append(packed.more.into(), 1);
        }
    }

    /// Takes a text that is an argument by itself; `false` where it is to be put as what it is in the text of all.
    #[inline]
    pub(super) fn pack_text(&mut self, text: &str) -> bool {
        if text.len() > brief::LONGEST {
            return false;
        }
        let slack = brief::slack(text.len());
        // The mark, and one word more than the text may need.
        if self.len + 2 + text.len() + 2 * WORD + self.slack + slack <= LONGEST {
            self.append(u64::from(brief::MARK) | (text.len() as u64) << 8, 2);
            self.append_text(text.as_bytes());
            self.slack += slack;
            return true;
        }
        self.spill(b"");
        false
    }

    /// Takes all of a text, for which there is room, and for a word more.
    #[inline]
    fn append_text(&mut self, text: &[u8]) {
        let (mut at, shift) = (self.len / WORD, self.len % WORD * 8);
        let (places, _) = self.buf.as_chunks_mut::<WORD>();
        let (words, rest) = brief::words(text);
        let mut carried = u64::from_le_bytes(places[at]);
        let all = words.iter().map(|word| u64::from_le_bytes(*word));
        for word in all.chain([rest]) {
            places[at] = (carried | word << shift).to_le_bytes();
            carried = word >> 8 >> (56 - shift);
            at += 1;
        }
        places[at] = carried.to_le_bytes();
        self.len += text.len();
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let so_far = &self.buf[..self.len];
        let long = self
            .long
            .get_or_insert_with(|| Box::new(Long::Named(unpacked(so_far), None)));
        self.slack = LONGEST + 1;
        long.put(bytes);
    }

    /// The text is written: what is it called?
    #[cold]
    fn settle(&mut self) {
        match self.long.take().map(|long| *long) {
            Some(Long::Named(text, None)) => self.pack(text.as_str()),
            Some(Long::Named(_, Some(hasher))) => self.pack(hashed(&hasher).as_str()),
            Some(Long::Whole(_)) | None => {}
        }
    }

    /// Becomes what a text is packed into.
    fn pack(&mut self, text: &str) {
        (self.buf, self.len, self.slack) = ([0; LONGEST], 0, 0);
        for (at, argument) in text.split(':').enumerate() {
            if at > 0 {
                self.put(b":");
            }
            if let Some(packed) = Whole::parse(argument) {
                self.put(&packed.bytes()[..packed.len]);
            } else if let Some(packed) = brief::parse(argument) {
                self.put(&packed);
            } else {
                self.put(argument.as_bytes());
            }
        }
        if self.long.take().is_some() {
            // Packed it is longer than as it is.
            let len = text.len().min(LONGEST);
            self.buf = [0; LONGEST];
            self.buf[..len].copy_from_slice(&text.as_bytes()[..len]);
            (self.len, self.slack) = (len, 0);
        }
    }
}

impl Long {
    fn put(&mut self, bytes: &[u8]) {
        match self {
            Self::Whole(text) => text.extend_from_slice(bytes),
            Self::Named(_, Some(hasher)) => {
                hasher.update(bytes);
            }
            Self::Named(text, hasher) => {
                if !text.push(bytes) {
                    // As it comes in, so that a huge argument is never held twice.
                    let hasher = hasher.insert(Box::default());
                    hasher.update(text.as_bytes()).update(bytes);
                }
            }
        }
    }
}

/// The text of packed arguments.
pub(crate) fn unpacked(mut packed: &[u8]) -> ArgsText {
    let mut text = ArgsText::empty();
    while !packed.is_empty() {
        let known = whole::unpack(packed, &mut text).or_else(|| brief::unpack(packed, &mut text));
        let end = known.unwrap_or_else(|| {
            let end = packed.iter().position(|byte| *byte == b':');
            let end = end.map_or(packed.len(), |end| end + 1);
            text.push(&packed[..end]);
            end
        });
        packed = packed.get(end..).unwrap_or_default();
    }
    text
}

#[cold]
fn unkeyed(refusal: &Refusal) -> Error {
    Error::new(
        ErrorKind::Key,
        format!("no key for these arguments: {refusal}"),
    )
}

/// Nothing else begins with `#`.
fn hashed(hasher: &blake3::Hasher) -> ArgsText {
    let mut text = ArgsText::empty();
    text.push(b"#");
    text.push(&hasher.finalize().to_hex().as_bytes()[..32]);
    text
}
