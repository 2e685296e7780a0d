//! Processes that are killed while Redis is away: what they had queued, the next one applies.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cache_core::{Cache, ErrorKind};
use cache_redis::RedisStore;
use cache_tests::server::{RedisServer, until};
use cache_tests::service::program;

const NODE: &str = env!("CARGO_BIN_EXE_journaled");
const EMPTY: &str = "cache-journal 1 test\n";

/// A process that does as it is told.
struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    fn start(server: &RedisServer, journal: Option<&Path>) -> Self {
        let mut command = program(NODE, None);
        command.arg(server.url()).args(journal);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut node = Self {
            child,
            input,
            output,
        };
        assert_eq!(node.line(), "ready");
        node
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints text");
        line.trim_end().to_owned()
    }

    fn says(&mut self, order: &str) -> String {
        writeln!(self.input, "{order}").expect("it reads");
        self.line()
    }

    /// As `kill -9` does.
    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A node is killed right after it was told that its invalidation is queued. Returns what its
/// successor and another node of the fleet read once Redis is back.
async fn crash(order: &str, journal: Option<&Path>) -> (String, String) {
    let server = RedisServer::start();
    let mut other = Node::start(&server, None);
    let mut node = Node::start(&server, journal);
    assert_eq!(node.says("get 7"), "1");
    assert_eq!(other.says("set 2"), "");
    assert_eq!(other.says("get 7"), "1", "it is in Redis");
    server.pause();
    assert!(["Queued", ""].contains(&node.says(order).as_str()));
    node.kill();
    server.resume();
    assert_eq!(other.says("get 7"), "1", "nobody has told Redis");

    let mut node = Node::start(&server, journal);
    assert_eq!(node.says("set 2"), "");
    let first = node.says("get 7");
    assert_eq!(node.says("usable"), "");
    if let Some(journal) = journal {
        until("the journal is empty", async || {
            fs::read_to_string(journal).is_ok_and(|text| text == EMPTY)
        })
        .await;
        // Redis has been told by then, and what it tells the other node may be on its way.
        until("the other node is told", async || {
            other.says("get 7") == "2"
        })
        .await;
    }
    (first, other.says("get 7"))
}

#[tokio::test]
async fn what_a_killed_process_had_queued_holds_before_the_next_one_s_first_read() {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let journal = directory.path().join("journal");
    let fresh = ("2".to_owned(), "2".to_owned());
    for order in ["invalidate 7", "save 7"] {
        assert_eq!(crash(order, Some(&journal)).await, fresh, "{order}");
    }
    // Without a journal it is forgotten: what is tested above does happen.
    let stale = ("1".to_owned(), "1".to_owned());
    assert_eq!(crash("invalidate 7", None).await, stale);
}

#[tokio::test]
async fn a_journal_is_one_process_s_until_it_dies() {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let journal = directory.path().join("journal");
    let server = RedisServer::start();
    let node = Node::start(&server, Some(&journal));
    let second = || {
        Cache::builder()
            .namespace("test")
            .shared(RedisStore::new(&server.url()).expect("a URL"))
            .journal(&journal)
            .try_build()
    };
    let error = second().expect_err("it is the process's");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("a path of its own"), "{error}");
    node.kill();
    let cache = second().expect("nobody has it");
    cache.check_shared().await.expect("nothing was queued");
}

/// The disk takes half a kilobyte and no more: the file's size is limited, and the signal about that
/// ignored.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_costs_the_journal_and_nothing_else() {
    let directory = tempfile::tempdir().expect("the temporary directory can be written");
    let journal = directory.path().join("journal");
    let server = RedisServer::start();
    let mut other = Node::start(&server, None);
    let mut limited = program("sh", None);
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"", NODE])
        .arg(server.url())
        .arg(&journal);
    let mut node = Node::spawn(limited);
    for id in 0..100 {
        assert_eq!(other.says(&format!("get {id}")), "1");
    }
    server.pause();
    for id in 0..100 {
        assert_eq!(node.says(&format!("invalidate {id}")), "Queued");
    }
    let figures = node.says("figures");
    assert!(figures.ends_with("behind: true, 100 pending"), "{figures}");
    assert!(!figures.starts_with("0 "), "{figures}");
    server.resume();
    assert_eq!(node.says("usable"), "");
    until("the journal is empty again", async || {
        node.says("figures").ends_with("behind: false, 0 pending")
    })
    .await;
    assert_eq!(fs::read_to_string(&journal).expect("it is there"), EMPTY);
    assert_eq!(other.says("set 2"), "");
    for id in 0..100 {
        assert_eq!(other.says(&format!("get {id}")), "2", "{id}");
    }
}
