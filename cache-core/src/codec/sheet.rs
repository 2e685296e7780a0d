//! What a value is written on, part by part: the codec's bytes, and what has been counted of them.

use std::fmt;

use super::bounded::{Bounded, Full};
use super::fuel::DEPTH;
use super::part::{Digits, Part};
use super::{Codec, bincode, messagepack, postcard};
use crate::refusal::Refusal;

/// One value's bytes in one codec.
pub(super) struct Sheet {
    codec: Codec,
    out: Bounded,
    steps: usize,
    levels_left: u32,
    /// Whether a field may be left out.
    skips: bool,
    /// Whether a byte is written as it is.
    plain: bool,
    /// Whether what comes next is what a `Some` holds.
    some: bool,
    /// An extension of MessagePack's that is being written.
    extension: Option<messagepack::Extension>,
}

impl Sheet {
    /// One that takes at most `limit` bytes.
    pub(super) fn new(codec: Codec, limit: usize) -> Self {
        Self {
            codec,
            out: Bounded::new(limit),
            steps: 0,
            levels_left: DEPTH,
            skips: codec.is_self_describing(),
            plain: !codec.is_self_describing(),
            some: false,
            extension: None,
        }
    }

    /// One that counts its bytes only, and takes whatever there is, but no deeper: who writes a list that holds
    /// the rest of itself goes down with it.
    pub(super) fn counting(codec: Codec) -> Self {
        Self {
            out: Bounded::counting(),
            skips: true,
            plain: false,
            ..Self::new(codec, 0)
        }
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// The bytes, and how many values decoding will be asked for, about.
    pub(super) fn finish(self) -> Result<(Vec<u8>, usize), Full> {
        if self.out.is_full() {
            return Err(Full);
        }
        Ok((self.out.into_bytes(), self.steps))
    }

    fn put(&mut self, part: Part<'_>) -> Result<(), Refusal> {
        match self.codec {
            Codec::Bincode => bincode::write(part, &mut self.out),
            Codec::Postcard => postcard::write(part, &mut self.out),
            Codec::MessagePack => match &mut self.extension {
                None => messagepack::write(part, &mut self.out),
                Some(extension) => extension.write(part, &mut self.out),
            },
        }
    }

    /// Whether fields are written with their names, and an option without a mark of its own.
    fn is_named(&self) -> bool {
        self.codec.is_self_describing()
    }

    fn step(&mut self) {
        self.steps = self.steps.saturating_add(1);
    }

    pub(super) fn leaf(&mut self, part: Part<'_>) -> Result<(), Refusal> {
        self.step();
        // What `None` and `()` are in MessagePack: nothing at all, and no less inside of a `Some`.
        if std::mem::take(&mut self.some)
            && self.is_named()
            && matches!(part, Part::None | Part::Unit)
        {
            return Err(lost_some());
        }
        self.put(part)
    }

    /// Writes a byte, if nothing is in its way: the shortest cut, which every type has for itself.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) -> bool {
        let written = self.plain && self.out.push(byte);
        if written {
            self.steps = self.steps.saturating_add(1);
        }
        written
    }

    /// Writes a number, if nothing is in its way. If not, nothing is written, and [`Sheet::leaf`] says
    /// why.
    #[inline]
    pub(super) fn number<N: Digits>(&mut self, number: N) -> bool {
        let out = &mut self.out;
        let written = match self.codec {
            Codec::Bincode => out.append(|room| bincode::digits(number, room)),
            Codec::Postcard => out.append(|room| postcard::digits(number, room)),
            Codec::MessagePack if self.extension.is_some() => false,
            Codec::MessagePack => out.append(|room| number.messagepack(room)),
        };
        if written {
            self.step();
            self.some = false;
        }
        written
    }

    pub(super) fn text(&mut self, text: fmt::Arguments<'_>) -> Result<(), Refusal> {
        match text.as_str() {
            Some(text) => self.leaf(Part::Str(text)),
            None => self.leaf(Part::Str(&text.to_string())),
        }
    }

    /// Goes one level down.
    pub(super) fn descend(&mut self) -> Result<(), Refusal> {
        self.step();
        match self.levels_left.checked_sub(1) {
            Some(left) => self.levels_left = left,
            None => return Err(too_deep()),
        }
        Ok(())
    }

    pub(super) fn ascend(&mut self, levels: u32) {
        self.levels_left += levels;
    }

    /// Begins what has parts. `Some`: how many is to be written here at the end.
    pub(super) fn begin(&mut self, part: Part<'_>) -> Result<Option<usize>, Refusal> {
        self.some = matches!(part, Part::Some);
        let unknown = matches!(part, Part::Seq(None) | Part::Map(None));
        if unknown && self.codec == Codec::MessagePack {
            return Ok(Some(self.out.len()));
        }
        // Of which the others write nothing.
        if self.is_named()
            || !matches!(
                part,
                Part::Tuple(_) | Part::TupleStruct(..) | Part::Struct(..)
            )
        {
            self.put(part)?;
        }
        Ok(None)
    }

    /// Writes how many parts there are, now that it is known.
    pub(super) fn count_at(
        &mut self,
        start: usize,
        parts: usize,
        is_map: bool,
    ) -> Result<(), Refusal> {
        let end = self.out.len();
        self.put(if is_map {
            Part::Map(Some(parts))
        } else {
            Part::Seq(Some(parts))
        })?;
        self.out.bring_forward(start, end);
        Ok(())
    }

    /// Begins a field with its name.
    pub(super) fn field(&mut self, name: &'static str) -> Result<(), Refusal> {
        // The name, where it is stored, is read as a value of its own.
        self.step();
        if self.codec == Codec::MessagePack {
            self.put(Part::Str(name))?;
        }
        Ok(())
    }

    /// Leaves out a field, unless the codec would give the next one's value to it.
    pub(super) fn skip(&self, name: &'static str) -> Result<(), Refusal> {
        if self.skips {
            return Ok(());
        }
        Err(Refusal::new(format_args!(
            "it leaves out its field `{name}`, which would be read back as something else: drop \
             `skip_serializing_if`, or use the codec \"messagepack\""
        )))
    }

    /// Begins a struct that is written as what it wraps, with nothing around it.
    pub(super) fn wrap(&mut self, name: &'static str) -> Result<(), Refusal> {
        self.descend()?;
        if self.codec == Codec::MessagePack && name == messagepack::EXTENSION {
            self.extension = Some(messagepack::Extension::new());
        }
        Ok(())
    }

    pub(super) fn unwrap(&mut self, name: &'static str) -> Result<(), Refusal> {
        self.ascend(1);
        if name == messagepack::EXTENSION
            && let Some(extension) = self.extension.take()
        {
            return extension.end();
        }
        Ok(())
    }
}

#[cold]
fn lost_some() -> Refusal {
    Refusal::new(
        "it holds `Some(None)`, `Some(())` or the like, which would be read back as `None`: use an \
         enum with a variant for each case",
    )
}

#[cold]
fn too_deep() -> Refusal {
    Refusal::new(format_args!("it nests deeper than {DEPTH} levels"))
}
