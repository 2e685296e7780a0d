//! Where a key's text goes: a buffer on the stack that turns into a hash when it overflows, or a
//! growing one, for the parts of a map that must be sorted first.

use super::{ArgsText, LONGEST};

/// Takes a canonical text, piece by piece. How it is cut into pieces means nothing.
pub(crate) trait Sink {
    /// Takes the next piece.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Up to [`LONGEST`] bytes on the stack; what is longer is hashed as it comes in, so that a huge
/// argument is never held twice.
pub(crate) struct Short {
    buf: [u8; LONGEST],
    len: usize,
    long: Option<Box<blake3::Hasher>>,
}

impl Short {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            buf: [0; LONGEST],
            len: 0,
            long: None,
        }
    }

    /// The text, or `#` and 128 bits of its hash. Nothing else begins with `#`.
    #[inline]
    pub(crate) fn finish(self) -> ArgsText {
        match self.long {
            None => ArgsText {
                buf: self.buf,
                // At most LONGEST.
                len: self.len.to_le_bytes()[0],
            },
            Some(hasher) => hashed(&hasher),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let hasher = self.long.get_or_insert_with(|| {
            let mut hasher = Box::new(blake3::Hasher::new());
            hasher.update(&self.buf[..self.len]);
            hasher
        });
        hasher.update(bytes);
    }
}

impl Sink for Short {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if self.long.is_none()
            && let Some(free) = self.buf.get_mut(self.len..end)
        {
            free.copy_from_slice(bytes);
            self.len = end;
        } else {
            self.spill(bytes);
        }
    }
}

#[cold]
fn hashed(hasher: &blake3::Hasher) -> ArgsText {
    let hex = hasher.finalize().to_hex();
    let mut buf = [0; LONGEST];
    buf[0] = b'#';
    buf[1..33].copy_from_slice(&hex.as_bytes()[..32]);
    ArgsText { buf, len: 33 }
}
