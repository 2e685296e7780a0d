//! A buffer with an end: encoding a value that is too large stops there, instead of filling
//! memory first.

use std::io;

/// Takes at most `limit` bytes.
pub(super) struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
    /// How many bytes there would be, where they are counted only.
    counted: Option<usize>,
}

/// More bytes than the limit.
#[derive(Debug)]
pub(super) struct Full;

impl Bounded {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(limit.min(128)),
            limit,
            full: false,
            counted: None,
        }
    }

    /// Takes any number of bytes, and counts them only.
    pub(super) fn counting() -> Self {
        Self {
            counted: Some(0),
            ..Self::new(0)
        }
    }

    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if let Some(counted) = &mut self.counted {
            *counted += bytes.len();
            return Ok(());
        }
        if bytes.len() > self.limit - self.bytes.len() {
            self.full = true;
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends a byte, if it fits. Not for one that only counts.
    #[inline]
    pub(super) fn push(&mut self, byte: u8) -> bool {
        let fits = self.bytes.len() < self.limit;
        if fits {
            self.bytes.push(byte);
        }
        fits
    }

    /// Appends what is written of a few bytes, if it fits for sure and is kept.
    #[inline]
    pub(super) fn append<const N: usize>(
        &mut self,
        write: impl FnOnce(&mut [u8; N]) -> Option<usize>,
    ) -> bool {
        let start = self.bytes.len();
        if self.counted.is_some() || self.limit - start < N {
            return false;
        }
        // A copy of fixed length costs less than one that is as long as the number.
        self.bytes.extend_from_slice(&[0; N]);
        let written = self.bytes.last_chunk_mut().and_then(write);
        self.bytes.truncate(start + written.unwrap_or(0));
        written.is_some()
    }

    /// Whether something did not fit: some codecs' errors do not say so.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn len(&self) -> usize {
        self.counted.unwrap_or(self.bytes.len())
    }

    /// Moves all bytes from `end` on to `start`.
    pub(super) fn bring_forward(&mut self, start: usize, end: usize) {
        if let Some(tail) = self.bytes.get_mut(start..) {
            tail.rotate_left(end - start);
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it is larger than a stored value may be")
    }
}

impl std::error::Error for Full {}

impl io::Write for Bounded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
