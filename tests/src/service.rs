//! A process of the `shifts` service of one test's own: on a free port, killed on drop, its log in
//! the panic.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::Request;

/// How long anything of a test may take before it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// Every variable that says where Redis is.
const REDIS: [&str; 7] = [
    "UPSTASH_REDIS_URL",
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_DB",
];

/// A program that knows of no Redis but the one given.
pub fn program(binary: &str, redis: Option<&str>) -> Command {
    let mut command = Command::new(binary);
    for name in REDIS {
        command.env_remove(name);
    }
    if let Some(url) = redis {
        command.env("REDIS_URL", url);
    }
    command
}

/// A running service, and a client to it.
pub struct Service {
    child: Child,
    url: String,
    client: Agent,
    directory: TempDir,
}

/// What the service answered. Two are equal if they say the same, whatever they cost.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The media type of the body.
    pub media: String,
    /// How often the database was read for it; `None` where it does not say.
    pub reads: Option<u32>,
    /// The body.
    pub body: String,
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        let said = |answer: &Self| (answer.status, answer.media.clone(), answer.body.clone());
        said(self) == said(other)
    }
}

impl Eq for Answer {}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.status, self.media, self.body)
    }
}

impl Service {
    /// Starts the binary on the database at `db`, with more arguments, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn start(binary: &str, db: &Path, redis: Option<&str>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("the temporary directory can be written");
        let log = File::create(directory.path().join("log")).expect("it can be written");
        let mut child = program(binary, redis)
            .arg("--db")
            .arg(db)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the service can be started");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("what it prints is text");
        let url = line.trim_end().strip_prefix("listening on ");
        let service = Self {
            child,
            url: url.unwrap_or_default().to_owned(),
            client: client(),
            directory,
        };
        assert!(url.is_some(), "it printed {line:?}");
        service
    }

    /// Where it listens: `127.0.0.1:43215`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// GETs a path.
    ///
    /// # Panics
    ///
    /// When there is no answer; an error's status is one.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None)
    }

    /// Sends a request, with a body where one is given.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let answered = self.try_ask(method, path, body);
        answered.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, where there may be no answer.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn try_ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        let mut answer = match body {
            Some(body) => self.client.run(
                request
                    .header("content-type", "application/json")
                    .body(body.to_string())?,
            )?,
            None => self.client.run(request.body(())?)?,
        };
        let media = answer.headers().get("content-type");
        let reads = answer.headers().get("x-database-reads");
        Ok(Answer {
            status: answer.status().as_u16(),
            reads: reads.and_then(|reads| reads.to_str().ok()?.parse().ok()),
            media: media.map_or_else(String::new, |media| {
                String::from_utf8_lossy(media.as_bytes()).into_owned()
            }),
            body: answer.body_mut().read_to_string()?,
        })
    }

    /// A sum of figures of all kinds, or of one, from `/metrics.json`.
    ///
    /// # Panics
    ///
    /// When a figure is not there.
    pub fn figure(&self, kind: Option<&str>, names: &[&str]) -> u64 {
        let metrics = self.get("/metrics.json").json();
        let kinds = metrics["kinds"].as_object().expect("kinds");
        kinds
            .iter()
            .filter(|(name, _)| kind.is_none_or(|kind| kind == *name))
            .flat_map(|(_, figures)| names.iter().map(move |name| &figures[name]))
            .map(|figure| figure.as_u64().expect("a number"))
            .sum()
    }

    /// Calls of all kinds that were answered from a cache.
    pub fn hits(&self) -> u64 {
        let hits = ["hits_local", "hits_shared", "hits_stale", "coalesced"];
        self.figure(None, &hits)
    }

    /// Calls of all kinds that ran their function.
    pub fn misses(&self) -> u64 {
        self.figure(None, &["misses"])
    }

    /// Asks it to end, with a signal: `-TERM`, `-INT`.
    ///
    /// # Panics
    ///
    /// When the signal can't be sent.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill {signal} {id}"
        );
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(begun.elapsed() < DEADLINE, "it does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprint!("log of the service on {}:\n{}", self.url, self.log());
        }
    }
}

/// A directory for one test's database, and the database's place in it.
///
/// # Panics
///
/// When it can't be made.
pub fn database() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let path = directory.path().join("shifts.sqlite");
    (directory, path)
}

/// Waits until `condition` holds, which asks something over a process's border each time.
///
/// # Panics
///
/// When it does not hold in time; `what` says what was waited for.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn client() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(DEADLINE))
        .proxy(None)
        .max_idle_connections_per_host(16)
        .build()
        .into()
}
