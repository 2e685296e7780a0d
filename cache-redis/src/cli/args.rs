//! What can be asked for, and the help that teaches it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};

use super::text::span;

/// Looks after the caches that share a Redis: figures, entries, nodes, and what is wrong.
#[derive(Parser)]
#[command(name = "cache", version, max_term_width = 100, after_help = AFTER)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(subcommand)]
    pub(super) command: Command,
}

const AFTER: &str = "\
Examples:
  cache doctor                               what is wrong, and what to do about it
  cache stats --since 6h                     hit ratios and load times of the whole fleet
  cache --namespace shifts ls --kind shift   what is stored
  cache invalidate --tag user:42             as Cache::invalidate_tag does

Environment:
  UPSTASH_REDIS_URL, REDIS_URL    where Redis is, as the library reads them; else
  REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_DB
  CACHE_NAMESPACE                 the namespace, where --namespace is not given
  NO_COLOR                        no colours

Exit codes:
  0  fine
  1  it could not be done, such as Redis out of reach
  2  wrong usage: the arguments, or the environment
  3  something is wrong: doctor has failures, a node is missing, sweep has found something,
     nothing is in the namespace of invalidate";

/// Where to look. Under a heading of its own: else each command's options come in between.
#[derive(clap::Args)]
#[command(next_help_heading = "Where Redis is, with every command")]
pub(super) struct Place {
    #[arg(
        long,
        global = true,
        help = "Where Redis is, if not where the environment says. With a password in it, better set \
                REDIS_URL: arguments can be seen by others on this machine"
    )]
    pub(super) url: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "The caches' namespace [default: CACHE_NAMESPACE, or cache]"
    )]
    pub(super) namespace: Option<String>,
    /// A private certificate authority, as a PEM file, for rediss://
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca_certificate: Option<PathBuf>,
    /// How long Redis may take to answer
    #[arg(long, global = true, value_name = "SPAN", default_value = "5s", value_parser = span)]
    pub(super) timeout: Duration,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Sums of the whole fleet: hits, misses, load times, invalidations, by kind
    #[command(after_help = STATS)]
    Stats(Stats),
    /// A live table of the kinds, rates per second
    #[command(after_help = TOP)]
    Top(Top),
    /// The entries that are stored
    #[command(after_help = LS)]
    Ls(Ls),
    /// What is stored at one key
    #[command(after_help = GET)]
    Get(Get),
    /// Invalidates, as the library does: every node is told
    #[command(after_help = INVALIDATE)]
    Invalidate(Invalidate),
    /// The processes that share the cache
    #[command(after_help = NODES)]
    Nodes(Nodes),
    /// Finds keys that would stay for ever or that nobody can read, and removes them
    #[command(after_help = SWEEP)]
    Sweep(Sweep),
    /// Finds out what is wrong, step by step, and says what to do
    #[command(after_help = DOCTOR)]
    Doctor(Doctor),
}

#[derive(clap::Args)]
pub(super) struct Stats {
    /// One JSON object instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// How far back: 90s, 30m, 6h; at most 24h, in whole minutes
    #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = since)]
    pub(super) since: Duration,
    /// Only this kind
    #[arg(long)]
    pub(super) kind: Option<String>,
}

const STATS: &str = "\
Examples:
  cache stats
  cache stats --since 24h --kind user_profile
  cache stats --json | jq '.kinds.user_profile.hit_ratio'

Nodes report a few times a minute, so the last seconds are not in yet. A minute in which no node has
reported is a gap: \"no figures for 3 of 60 minutes\". The minute that is still running is none, and is the
last one of the range: --since 5m has the figures of four to five minutes.

JSON: {\"from\", \"to\": seconds since 1970, \"minutes\", \"gaps\", \"kinds\": {name: figures}, \"totals\":
figures}. Figures have calls, hits, hit_ratio (0 to 1, or null), misses, loads, load_errors,
load_micros, p50_micros, p95_micros, p99_micros, time_saved_micros, and every counter of KindSnapshot
by its name; totals has those of Snapshot too.";

#[derive(clap::Args)]
pub(super) struct Top {
    /// How often the table is made anew
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = interval)]
    pub(super) interval: Duration,
    /// One table, and the end
    #[arg(long)]
    pub(super) once: bool,
    /// What the table is sorted by, the largest first
    #[arg(long, value_enum, default_value_t = Sort::Saved)]
    pub(super) sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// The time that hits saved
    Saved,
    /// Calls
    Calls,
    /// Hits
    Hits,
    /// Misses
    Misses,
    /// The time spent loading
    Load,
    /// The name
    Name,
}

const TOP: &str = "\
Examples:
  cache top
  cache top --sort misses --interval 5s
  cache top --once | head

q or Ctrl-C ends it. Rates are of the last one to two minutes. Where the output is no terminal, a table
follows the other, without escape codes.";

#[derive(clap::Args)]
pub(super) struct Ls {
    /// Only this kind
    #[arg(long)]
    pub(super) kind: Option<String>,
    /// Only entries that carry this tag, whether or not it was invalidated since
    #[arg(long)]
    pub(super) tag: Option<String>,
    /// How many at most; 0: all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) limit: usize,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

const LS: &str = "\
Examples:
  cache ls --kind user_profile
  cache ls --tag user:42 --limit 0
  cache ls --limit 0 --json | jq -r 'select(.state == \"unreadable\") | .key'

The state is `fresh`, `stale` (past its time to live, and kept for stale-while-revalidate or
stale-if-error), `invalidated` (a tag of it was invalidated: it is never served again), `too large` to be
looked at, or `unreadable`.
Redis is asked by SCAN, so that it serves others meanwhile; entries come in no order.";

#[derive(clap::Args)]
pub(super) struct Get {
    /// kind:function:arguments, or the key in Redis with its namespace and braces
    pub(super) key: String,
    /// Shows the value too
    #[arg(long)]
    pub(super) value: bool,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

const GET: &str = "\
Examples:
  cache get user_profile:user_profile:42
  cache get 'shifts:e:{user_profile:user_profile:42}' --value

A value stored as bincode or postcard does not describe itself: only a process that has its type can
read it, so it is shown as hexadecimal. Where there is no entry, the exit code is 1.";

#[derive(clap::Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["tag", "key", "kind", "all"]))]
pub(super) struct Invalidate {
    /// Every entry that carries this tag. Can be given several times
    #[arg(long)]
    pub(super) tag: Vec<String>,
    /// The entry at this key, as `cache ls` shows it. Can be given several times
    #[arg(long)]
    pub(super) key: Vec<String>,
    /// Every entry of this kind. Can be given several times
    #[arg(long)]
    pub(super) kind: Vec<String>,
    /// Everything in the namespace
    #[arg(long)]
    pub(super) all: bool,
    /// Does not ask
    #[arg(long)]
    pub(super) yes: bool,
}

const INVALIDATE: &str = "\
Examples:
  cache invalidate --tag user:42 --tag user:43
  cache invalidate --key user_profile:user_profile:42
  cache invalidate --kind user_profile --yes

It goes through the library: loads under way are not stored, and nodes are told at once. When it ends
with 0 it holds everywhere; out of reach of Redis, nothing is kept for later, and it ends with 1. Each
target is tried, whatever becomes of the others. Where nothing is in the namespace, it was most likely
meant to be another one, and it ends with 3.
--kind and --all ask first; where there is no terminal to ask, they want --yes.
Two functions of one name in a kind are told apart by a suffix (name~1a2b3c4d), and which of them has it
differs between processes: --key removes all of these names.";

#[derive(clap::Args)]
pub(super) struct Nodes {
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

const NODES: &str = "\
Examples:
  cache nodes
  cache nodes --json | jq '.nodes[] | select(.missing)'

A node is missing when it has missed its reports: it was killed, or can't reach Redis. Then the exit
code is 3. One that ends as it should is no longer listed, one that is missing for a day.";

#[derive(clap::Args)]
pub(super) struct Sweep {
    /// Removes what was found, but for keys that may be another program's
    #[arg(long)]
    pub(super) yes: bool,
    /// With --yes: also removes keys that are none of this library's
    #[arg(long, requires = "yes")]
    pub(super) foreign: bool,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

const SWEEP: &str = "\
Examples:
  cache sweep
  cache sweep --yes
  cache --namespace shifts sweep --json

It looks for keys of the namespace that never expire, for entries, leases and stamps that are not what
this library writes, and for keys that are none of its own, by their names or by what they hold. Nothing
is removed without --yes, and nothing that has changed since it was found: a key that a node has just
written again stays.
Exit code 3: something was found, and is still there.";

#[derive(clap::Args)]
pub(super) struct Doctor {
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

const DOCTOR: &str = "\
Examples:
  cache doctor
  REDIS_URL=rediss://cache.internal:6380/0 cache doctor --ca-certificate ca.pem
  cache doctor --json | jq '.checks[] | select(.state != \"ok\")'

It connects as the library does: the same variables, the same TLS, the same commands. Each line is ok,
a warning, a failure, or was skipped because of one before it. It writes one key of its own, which
expires, and removes it. Exit code 3: there are failures. Passwords are never shown.";

fn since(text: &str) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_hours(24);
    match span(text)? {
        span if span < Duration::from_secs(1) => Err("write at least 1s".to_owned()),
        span if span > DAY => Err("figures are kept for a day: write at most 24h".to_owned()),
        span => Ok(span),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match span(text)? {
        span if span < Duration::from_millis(100) => Err("write at least 100ms".to_owned()),
        span => Ok(span),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn ranges_are_bounded() {
        assert_eq!(since("24h"), Ok(Duration::from_hours(24)));
        for wrong in ["25h", "0s", "1y", "h", ""] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
        assert!(interval("99ms").is_err());
    }
}
