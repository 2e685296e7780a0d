//! Stamps that a call need not ask for, since this node knows them: where events tell of whatever moves, a
//! tag's cell is as good as Redis's word, for an entry that is read now as for a local one.

use std::borrow::Cow;

use super::Engine;
use crate::flight::Note;
use crate::store::Stamp;

/// What was known of each of a call's tags before it asked; nothing of those that it asks for.
pub(super) struct Trusted(Vec<Option<Stamp>>);

impl Trusted {
    /// Of the cells noted, where they can be `relied` on; else nothing is.
    ///
    /// To be taken after the note: what moves in between is not known any more.
    pub(super) fn of(note: &Note, relied: bool) -> Self {
        let cells = note.cells.iter();
        Self(
            cells
                .map(|(cell, _)| cell.stamp().filter(|_| relied))
                .collect(),
        )
    }

    /// The tags whose stamps are to be asked for.
    pub(super) fn unknown<'t>(&self, tags: &'t [String]) -> Cow<'t, [String]> {
        if self.0.iter().all(Option::is_none) {
            return Cow::Borrowed(tags);
        }
        let tags = tags.iter().zip(&self.0);
        let unknown = tags.filter(|(_, known)| known.is_none());
        unknown.map(|(tag, _)| tag.clone()).collect()
    }

    /// Teaches the cells what was asked for, and puts what was known in its place among it: if that is
    /// what is still known, now that the answer is there. Pushes act before the answers behind them
    /// (guard G5), so that whatever was invalidated before the entry was read is known by now.
    pub(super) fn join(&self, engine: &Engine, note: &Note, stamps: &mut Vec<Option<Stamp>>) {
        if self.0.iter().all(Option::is_none) {
            engine.learn(note, stamps, false);
            return;
        }
        let unknown = note.cells.iter().zip(&self.0);
        let asked = Note {
            epoch: note.epoch,
            cells: unknown
                .filter(|(_, known)| known.is_none())
                .map(|(noted, _)| noted.clone())
                .collect(),
        };
        engine.learn(&asked, stamps, false);
        let mut told = std::mem::take(stamps).into_iter();
        let cells = note.cells.iter().zip(&self.0);
        stamps.extend(cells.map(|((cell, noted), known)| match known {
            None => told.next().flatten(),
            Some(_) if cell.moved() == *noted && cell.stamp() == *known => *known,
            Some(_) => None,
        }));
    }

    /// Whether anything was known here that was not asked for.
    pub(super) fn knew_any(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// Whether the stamps of all of these tags were known here, so that none of them was asked for.
    pub(super) fn knew_all(&self, tags: &[usize]) -> bool {
        tags.iter()
            .all(|at| self.0.get(*at).is_some_and(Option::is_some))
    }
}
