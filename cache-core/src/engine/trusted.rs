//! Stamps that a call need not ask for, since this node knows them: where events tell of whatever moves, a
//! tag's cell is as good as Redis's word, for an entry that is read now as for a local one.

use std::borrow::Cow;

use super::Engine;
use crate::flight::{Note, Noted};
use crate::store::Stamp;

/// What was known of each of a call's tags before it asked; nothing of those that it asks for.
pub(super) struct Trusted<'n> {
    note: &'n Note,
    relied: bool,
}

impl<'n> Trusted<'n> {
    /// Of the cells noted, where they can be `relied` on; else nothing is.
    pub(super) fn of(note: &'n Note, relied: bool) -> Self {
        Self { note, relied }
    }

    fn known(&self, noted: &Noted) -> Option<Stamp> {
        noted.stamp.filter(|_| self.relied)
    }

    /// The tags whose stamps are to be asked for.
    pub(super) fn unknown<'t>(&self, tags: &'t [String]) -> Cow<'t, [String]> {
        // Those that all calls of a function have come first, and are known.
        let cells = &self.note.cells;
        let known = |noted: &&Noted| self.known(noted).is_some();
        let first = cells.iter().take_while(known).count();
        if !cells[first..].iter().any(|noted| known(&noted)) {
            return Cow::Borrowed(&tags[first..]);
        }
        let tags = tags.iter().zip(cells);
        let unknown = tags.filter(|(_, noted)| !known(noted));
        unknown.map(|(tag, _)| tag.clone()).collect()
    }

    /// Teaches the cells what was asked for, and puts what was known in its place among it: if that is
    /// what is still known, now that the answer is there. Pushes act before the answers behind them
    /// (guard G5), so that whatever was invalidated before the entry was read is known by now.
    pub(super) fn join(&self, engine: &Engine, stamps: &mut Vec<Option<Stamp>>) {
        let cells = self.note.cells.iter();
        let asked = cells.clone().filter(|noted| self.known(noted).is_none());
        engine.learn(asked, stamps, false);
        if !self.knew_any() {
            return;
        }
        let mut told = std::mem::take(stamps).into_iter();
        stamps.extend(cells.map(|noted| match self.known(noted) {
            None => told.next().flatten(),
            known if noted.holds() && noted.cell.stamp() == known => known,
            Some(_) => None,
        }));
    }

    /// Whether anything was known here that was not asked for.
    pub(super) fn knew_any(&self) -> bool {
        self.note
            .cells
            .iter()
            .any(|noted| self.known(noted).is_some())
    }

    /// Whether the stamps of all of these tags were known here, so that none of them was asked for.
    pub(super) fn knew_all(&self, tags: &[usize]) -> bool {
        let known = |at: &usize| self.note.cells.get(*at).and_then(|it| self.known(it));
        tags.iter().all(|at| known(at).is_some())
    }
}
