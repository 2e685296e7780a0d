//! What this node has counted, reported to the store now and then, so that a reader has the figures of
//! the whole fleet.
//!
//! Each increment counts once. A report is closed with what has come to the figures since the one before
//! it, under a number of its own; it is kept until the store has acknowledged it, and sent again as it was
//! until then: by its number the store knows whether it has it. While the store is away, each minute has
//! a report of its own, so that an outage's counts are not all in the minute after it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::complaints::Complaints;
use super::outage::unit;
use super::{Engine, no_store};
use crate::metrics::{Fleet, Minute, Node, NodeId, Report, Snapshot, millis};
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

/// How many reports are kept for a store that is away; what comes to be older shares one.
const MOST_KEPT: usize = 60;

/// What the store has been told, and what it has not.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// One at a time: two that are under way at once would both count what is new.
    state: tokio::sync::Mutex<State>,
    complaints: Complaints,
}

#[derive(Debug, Default)]
struct State {
    /// Who reports, and since when it is there: drawn and looked up for the first report.
    node: Option<(NodeId, u64)>,
    sequence: u64,
    /// The figures as they were when the last report was closed.
    closed: Snapshot,
    /// What was not acknowledged, from old to new. Nothing is ever added to the first one: it may have
    /// arrived.
    kept: VecDeque<Kept>,
    /// The last one has been taken: from here on only whoever asks for it reports.
    left: bool,
}

/// A report that is to be sent.
#[derive(Debug)]
struct Kept {
    sequence: u64,
    minute: Minute,
    added: Snapshot,
}

impl State {
    /// Closes a report for this minute with what has come to the figures.
    fn close(&mut self, minute: Minute, figures: Snapshot) {
        let added = figures.since(&self.closed);
        self.closed = figures;
        let behind_the_first = self.kept.len() > 1;
        match self.kept.back_mut() {
            Some(last) if behind_the_first && last.minute == minute => last.added.add(&added),
            _ => {
                self.sequence += 1;
                self.kept.push_back(Kept {
                    sequence: self.sequence,
                    minute,
                    added,
                });
            }
        }
        if self.kept.len() > MOST_KEPT
            && let Some(old) = self.kept.remove(1)
            && let Some(next) = self.kept.get_mut(1)
        {
            next.added.add(&old.added);
        }
    }
}

impl Engine {
    /// Reports again and again, for as long as the engine is there.
    pub(super) fn keep_reporting(&self) {
        let every = self.store.as_ref().and_then(|store| store.report_every());
        let Some(every) = every else {
            return;
        };
        let (engine, env) = (self.me.clone(), self.env.clone());
        self.env.spawn(async move {
            // The first pause is a part of the others: a fleet that starts at once does not report at
            // once.
            let mut pause = every.mul_f64(unit(env.draw()));
            loop {
                env.sleep(pause).await;
                pause = every;
                // Not held between reports: a cache that is dropped ends.
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.report_by_itself().await;
            }
        });
    }

    /// Whether the breaker is open or not: nobody waits for it, it is one small question, and the
    /// connection for it may work where another one does not.
    async fn report_by_itself(&self) {
        let mut state = self.reports.state.lock().await;
        // A process that goes on for a while after its shutdown would be listed again, and then be
        // missing.
        if state.left {
            return;
        }
        if let Err(error) = self.report_next(&mut state, false).await {
            self.reports.complaints.say(&self.env, || {
                tracing::warn!(
                    %error,
                    "what this node has counted can't be reported at the moment, and is kept"
                );
            });
        }
    }

    /// Reports what was counted since the last report. `leaving`: for the last time.
    ///
    /// Bounded by the store's timeout for each report that is kept. The breaker is not told of what comes
    /// of it: figures are nothing that calls depend on.
    pub(crate) async fn report(&self, leaving: bool) -> Result<()> {
        let mut state = self.reports.state.lock().await;
        self.report_next(&mut state, leaving).await?;
        state.left = leaving;
        Ok(())
    }

    async fn report_next(&self, state: &mut State, leaving: bool) -> Result<()> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let Some(every) = store.report_every() else {
            return Ok(());
        };
        let figures = self.snapshot();
        let node = self.node(state, every, &figures);
        state.close(self.env.wall().as_secs() / 60, figures);
        while let Some(first) = state.kept.front() {
            let leaving = leaving && state.kept.len() == 1;
            let report = Report::new(
                node.clone(),
                first.sequence,
                first.minute,
                first.added.clone(),
            )
            .leaving(leaving);
            // Kept until it is acknowledged, whatever becomes of this future.
            self.send(&**store, &report).await?;
            state.kept.pop_front();
        }
        Ok(())
    }

    async fn send(&self, store: &dyn Store, report: &Report) -> Result<()> {
        tokio::select! {
            biased;
            outcome = store.report(report) => outcome,
            () = self.env.sleep(self.store_timeout) => Err(Error::new(
                ErrorKind::Timeout,
                format!("no answer from the store within {:?}", self.store_timeout),
            )),
        }
    }

    /// The figures of the fleet.
    pub(crate) async fn fleet(&self, minutes: RangeInclusive<Minute>) -> Result<Fleet> {
        let Some(store) = &self.store else {
            return Err(no_store());
        };
        store.fleet(minutes).await
    }

    /// What is told of this node.
    fn node(&self, state: &mut State, every: Duration, figures: &Snapshot) -> Node {
        let now_ms = millis(self.env.wall());
        let (id, started_ms) = *state.node.get_or_insert_with(|| {
            let started_ms = now_ms.saturating_sub(figures.uptime_ms);
            (NodeId(self.env.draw()), started_ms)
        });
        let kinds = figures.kinds.values();
        Node {
            host: host(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms,
            seen_ms: now_ms,
            every_ms: millis(every),
            breaker_open: figures.breaker_open,
            trusted: self.trusts_local(self.env.coarse()),
            invalidations_pending: figures.invalidations_pending,
            local_entries: kinds.clone().map(|kind| kind.local_entries).sum(),
            local_bytes: kinds.map(|kind| kind.local_bytes).sum(),
            ..Node::new(id)
        }
    }
}

/// The machine's name, or nothing.
fn host() -> String {
    #[cfg(target_os = "linux")]
    {
        let name = rustix::system::uname();
        name.nodename().to_string_lossy().into_owned()
    }
    #[cfg(not(target_os = "linux"))]
    {
        std::env::var("HOSTNAME").unwrap_or_default()
    }
}
