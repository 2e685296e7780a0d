//! What a soak has shown: a verdict, and a page with the figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use super::figures::Figures;
use super::referee::{HEALTH, Referee};
use super::{LEASE, Plan, SCHEDULING, STORE_TIMEOUT};

/// What a soak has shown.
#[derive(Clone, Debug)]
#[must_use = "it may have shown that something is wrong"]
pub struct Summary {
    wrongs: Vec<String>,
    counts: (u64, u64, u64, u64),
    figures: BTreeMap<&'static str, Figures>,
    longest_load: Duration,
    elapsed: Duration,
    nodes: usize,
    seed: u64,
    bound: Duration,
    wait: Duration,
    redis: String,
    load: (String, String),
}

impl Summary {
    pub(super) fn new(
        plan: &Plan,
        referee: &Referee,
        elapsed: Duration,
        redis: &str,
        load_before: &str,
    ) -> Self {
        let version = redis
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"))
            .unwrap_or("unknown");
        Self {
            wrongs: referee.wrongs().to_vec(),
            counts: referee.counts(),
            figures: referee.figures().clone(),
            longest_load: referee.longest_load(),
            elapsed,
            nodes: plan.nodes,
            seed: plan.seed,
            bound: plan.bound(),
            wait: plan.wait,
            redis: version.trim().to_owned(),
            load: (load_before.to_owned(), load()),
        }
    }

    /// What is wrong, in words: nothing, if all was kept.
    pub fn wrongs(&self) -> &[String] {
        &self.wrongs
    }

    /// Calls that got what they must not have got.
    pub fn stale_reads(&self) -> u64 {
        self.counts.0
    }

    /// Calls that did not return what their function returns.
    pub fn failed_calls(&self) -> u64 {
        self.counts.1
    }

    /// Calls that took longer than they may.
    pub fn late_calls(&self) -> u64 {
        self.counts.2
    }

    /// Invalidations that were applied.
    pub fn applied(&self) -> usize {
        self.figures.values().map(Figures::invalidations).sum()
    }

    /// Calls in times of health that were answered from the local tier, in percent.
    pub fn healthy_local_hits(&self) -> f64 {
        let health = self.figures.get(HEALTH);
        health.and_then(Figures::local_share).unwrap_or(0.0)
    }

    fn total(&self) -> Figures {
        let mut total = Figures::default();
        self.figures.values().for_each(|one| total.join(one));
        total
    }

    /// Two lines that say how it went.
    pub fn headline(&self) -> String {
        let total = self.total();
        format!(
            "{:.0?}: {} calls, {} invalidations applied, {} queued; {} faults\n{} stale reads beyond \
             the bound, {} failed calls, {} late calls, {} other wrongs",
            self.elapsed,
            total.calls,
            total.invalidations(),
            total.queued,
            total.times,
            self.counts.0,
            self.counts.1,
            self.counts.2,
            self.counts.3
        )
    }

    /// The page, for `docs/`; `command` is what it was made with.
    pub fn page(&self, command: &str) -> String {
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut page, command);
        page
    }

    fn write(&self, page: &mut String, command: &str) -> std::fmt::Result {
        let total = self.total();
        let (stale, failed, late, others) = self.counts;
        let (bound, wait) = (self.bound, self.wait);
        writeln!(
            page,
            "# Coherence, measured\n\n\
             Written by `{command}`. Several processes, each with a cache of its own on one real \
             Redis with tracking, read and invalidate at random while faults are injected; a referee \
             compares each call with each acknowledged invalidation.\n\n\
             ## What is promised\n\n\
             - A call that begins after an invalidation has returned `Applied` never gets an older \
             value: on the same node at once, elsewhere after B = {bound:?} at the latest (heartbeat \
             interval + timeout).\n\
             - One that returned `Queued` holds on its own node at once, and elsewhere within B of its \
             replay, which comes before that node uses Redis again.\n\
             - No call fails, whatever Redis does, and none waits for Redis for longer than the store \
             timeout ({STORE_TIMEOUT:?}). Where another node loads the value, a call waits for that: \
             until it is there or given up, for as long as its own connection lives (B), at most \
             until the lease of a node that is cut off has run out ({LEASE:?}) or the policy's `wait` \
             ({wait:?}) is over.\n\n\
             No exception was made for any fault; a restart that comes back empty is none.\n\n\
             ## What was found\n\n\
             | | |\n| --- | --- |\n\
             | stale reads beyond the promise | **{stale}** |\n\
             | failed calls | **{failed}** |\n\
             | calls longer than allowed | **{late}** |\n\
             | anything else wrong | **{others}** |\n\
             | calls; a second | {}; {} |\n\
             | of them local hits, in times of health | {:.1} % |\n\
             | invalidations applied / queued | {} / {} |\n\
             | faults injected | {} |\n\
             | replays of what was queued; the longest from one to the last stale hit elsewhere | {}; {} |\n\
             | longest from the end of a fault until all nodes trust and use Redis again | {} |\n\
             | longest call; longest that the function itself took | {}; {} |\n",
            total.calls,
            total.calls / self.elapsed.as_secs().max(1),
            self.healthy_local_hits(),
            total.invalidations(),
            total.queued,
            total.times,
            total.replays,
            shown(total.replay_delay),
            shown(total.healing),
            shown(total.longest),
            shown(super::wire::nanos(self.longest_load)),
        )?;
        self.write_table(page)?;
        writeln!(
            page,
            "\nA call counts as late beyond three store timeouts (before a wait, after it, and to \
             store), B, two of the longest loads, and {SCHEDULING:?} for the machine, whose own stalls \
             are measured and added; the lease is added where one node is cut off or stands still.\n\n\
             ## The machine\n\n\
             | | |\n| --- | --- |\n\
             | date | {} |\n| cores | {} |\n| processor | {} |\n| kernel | {} |\n| Redis | {} |\n\
             | load average before; after | {}; {} |\n\
             | processes | {} nodes (the last one only reads, and little), Redis, and one with the database, the proxies and the referee |\n\
             | took | {:.0?} |\n| seed | {} |\n\n\
             Everything ran on this one machine, over the loopback: a network adds its own way to the \
             median, and nothing to B.",
            asked("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            std::thread::available_parallelism().map_or(0, usize::from),
            processor(),
            asked("uname", &["-sr"]),
            self.redis,
            self.load.0,
            self.load.1,
            self.nodes,
            self.elapsed,
            self.seed,
        )
    }

    fn write_table(&self, page: &mut String) -> std::fmt::Result {
        writeln!(
            page,
            "## From `Applied` to the last stale hit elsewhere\n\n\
             For each invalidation that was applied: how long after it had returned the last call on \
             another node began that got an older value; zero where none did. By what was wrong from \
             its return to that call; a fault lasts until all nodes are well again. Where a node is \
             cut off, its local hits end with the first few calls that Redis does not answer, or at B: \
             so the last node only reads, and little, and is the one that comes close to B. Where \
             nobody can reach Redis, nothing is applied; it is queued.\n\n\
             | | times | applied | followed by a stale hit | median | p99 | max | queued | local hits \
             | longest call | healed after |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        )?;
        let health = self.figures.get(HEALTH).map(|figures| (HEALTH, figures));
        let troubles = self.figures.iter().filter(|(label, _)| **label != HEALTH);
        for (label, figures) in health
            .into_iter()
            .chain(troubles.map(|(label, figures)| (*label, figures)))
        {
            write_row(page, label, figures)?;
        }
        write_row(page, "**all**", &self.total())
    }
}

fn write_row(page: &mut String, label: &str, figures: &Figures) -> std::fmt::Result {
    let delay = |per_thousand| {
        let delay = figures.delay(per_thousand);
        delay.map_or_else(|| "–".to_owned(), |delay| shown(super::wire::nanos(delay)))
    };
    let local = figures.local_share();
    writeln!(
        page,
        "| {label} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        if figures.times > 0 {
            figures.times.to_string()
        } else {
            "–".to_owned()
        },
        figures.invalidations(),
        figures.behind(),
        delay(500),
        delay(990),
        delay(1_000),
        figures.queued,
        local.map_or_else(|| "–".to_owned(), |local| format!("{local:.0} %")),
        shown(figures.longest),
        shown(figures.healing),
    )
}

/// Milliseconds, as precisely as is of use.
fn shown(nanos: u64) -> String {
    let millis = Duration::from_nanos(nanos).as_secs_f64() * 1_000.0;
    match nanos {
        0 => "0".to_owned(),
        1..10_000_000 => format!("{millis:.2} ms"),
        _ => format!("{millis:.0} ms"),
    }
}

/// The load averages.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown", |(_, name)| name).to_owned()
}

fn asked(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
