//! What this node has counted, reported to the store now and then, so that a reader has the figures of
//! the whole fleet.
//!
//! Each increment counts once. What is reported is the difference to what the store has acknowledged;
//! a report whose answer did not come is sent again as it was, under its number, by which the store knows
//! whether it has it. Until then nothing else is reported, so one report is all that is kept.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::complaints::Complaints;
use super::outage::unit;
use super::{Engine, no_store};
use crate::metrics::{Fleet, Minute, Node, NodeId, Report, Snapshot, millis};
use crate::store::Store;
use crate::{Error, ErrorKind, Result};

/// What the store has been told.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// One report at a time: two that are under way at once would both count what is new.
    state: tokio::sync::Mutex<State>,
    complaints: Complaints,
}

#[derive(Debug, Default)]
struct State {
    /// Drawn for the first report.
    id: Option<NodeId>,
    sequence: u64,
    /// The figures as they were when the last acknowledged report was made.
    acknowledged: Snapshot,
    /// The report that was sent and not acknowledged, and the figures as they were then.
    sent: Option<(Report, Snapshot)>,
    /// The last one has been taken: from here on only whoever asks for it reports.
    left: bool,
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
                engine.report_unless_away().await;
            }
        });
    }

    async fn report_unless_away(&self) {
        // While the store is away, it is not asked for this either.
        if !self.outage.usable() {
            return;
        }
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
    /// Bounded by the store's timeout. The breaker is not told of what comes of it: figures are nothing
    /// that calls depend on.
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
        // What was sent last time, if nobody knows whether it arrived, and then what has come since.
        self.send(state, &**store, every, false).await?;
        let now = self.snapshot();
        state.sequence += 1;
        let report = Report::new(
            self.node(state, every, &now),
            state.sequence,
            self.env.wall().as_secs() / 60,
            now.since(&state.acknowledged),
        );
        state.sent = Some((report, now));
        self.send(state, &**store, every, leaving).await
    }

    /// The figures of the fleet.
    pub(crate) async fn fleet(&self, minutes: RangeInclusive<Minute>) -> Result<Fleet> {
        let Some(store) = &self.store else {
            return Err(no_store());
        };
        store.fleet(minutes).await
    }

    /// Sends the report that is to be sent, if there is one.
    async fn send(
        &self,
        state: &mut State,
        store: &dyn Store,
        every: Duration,
        leaving: bool,
    ) -> Result<()> {
        let Some((mut report, figures)) = state.sent.take() else {
            return Ok(());
        };
        report.leaving = leaving;
        report.node = self.node(state, every, &figures);
        // Kept before it is sent: this future may be dropped in between.
        state.sent = Some((report.clone(), figures.clone()));
        let outcome = tokio::select! {
            biased;
            outcome = store.report(&report) => outcome,
            () = self.env.sleep(self.store_timeout) => Err(Error::new(
                ErrorKind::Timeout,
                format!("no answer from the store within {:?}", self.store_timeout),
            )),
        };
        if outcome.is_ok() {
            state.sent = None;
            state.acknowledged = figures;
        }
        outcome
    }

    /// What is told of this node.
    fn node(&self, state: &mut State, every: Duration, figures: &Snapshot) -> Node {
        let id = *state.id.get_or_insert_with(|| NodeId(self.env.draw()));
        let kinds = figures.kinds.values();
        let wall = self.env.wall();
        Node {
            host: host(),
            process: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: millis(wall).saturating_sub(figures.uptime_ms),
            seen_ms: millis(wall),
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
