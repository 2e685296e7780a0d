//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

pub(super) const HELP: &str = "\
Plans shifts: a service over SQLite, its reads cached.

usage: shifts [options]

  --db PATH         the SQLite file; made and filled where it is missing (default: shifts.sqlite)
  --listen ADDR     where to listen; port 0 takes a free one (default: 127.0.0.1:3000)
  --embedded        cache in this process, whatever the environment says
  --no-cache        run every function on every call, to compare
  --policies FILE   times to live and switches per kind, as TOML
  --warm N          how many of the busiest weeks of a workplace to load at the start (default: 40)
  --report-every S  how often this node adds what it has counted to the fleet's figures, in seconds;
                    0 for never (default: 15)
  --dashboard       show the cache's live figures under /cache, to this machine only
  --dashboard-writes
                    the same, and let people invalidate what is cached
  --otlp URL        send traces to this collector of OpenTelemetry (http://127.0.0.1:4318)
  --help            this

The cache is shared through Redis where UPSTASH_REDIS_URL, REDIS_URL or REDIS_HOST is set.
OTEL_EXPORTER_OTLP_ENDPOINT is what --otlp is, where that is not given.
GET /metrics is for Prometheus; GET / lists what the service answers.
";

/// What the service is to do.
#[derive(Debug)]
pub(super) struct Args {
    pub(super) db: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) embedded: bool,
    pub(super) no_cache: bool,
    pub(super) policies: Option<PathBuf>,
    pub(super) warm: u32,
    pub(super) report_every: Option<Duration>,
    pub(super) dashboard: Option<Page>,
    pub(super) otlp: Option<String>,
}

/// What the page with the live figures lets people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    ReadOnly,
    Writes,
}

/// What the command line asks for.
pub(super) enum Asked {
    Serve(Args),
    Help,
}

impl Args {
    /// Reads the process's arguments.
    pub(super) fn read() -> Result<Asked, lexopt::Error> {
        let mut args = Self {
            db: "shifts.sqlite".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            embedded: false,
            no_cache: false,
            policies: None,
            warm: 40,
            report_every: None,
            dashboard: None,
            otlp: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("db") => args.db = parser.value()?.into(),
                Long("listen") => args.listen = parser.value()?.parse()?,
                Long("embedded") => args.embedded = true,
                Long("no-cache") => args.no_cache = true,
                Long("policies") => args.policies = Some(parser.value()?.into()),
                Long("warm") => args.warm = parser.value()?.parse()?,
                Long("report-every") => {
                    let seconds = parser.value()?.parse()?;
                    args.report_every = Some(Duration::from_secs(seconds));
                }
                // Whichever comes last, who may do more still may.
                Long("dashboard") => args.dashboard = args.dashboard.or(Some(Page::ReadOnly)),
                Long("dashboard-writes") => args.dashboard = Some(Page::Writes),
                Long("otlp") => args.otlp = Some(parser.value()?.parse()?),
                Long("help") | Short('h') => return Ok(Asked::Help),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Asked::Serve(args))
    }
}
