//! The program `cache`, run as a process: without anything of the environment that a test did not give
//! it, and with or without a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cache_core::Cache;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How long a run may take before it has failed.
const DEADLINE: Duration = Duration::from_mins(1);

/// A run to come.
#[must_use = "nothing runs yet"]
pub struct Program {
    command: Command,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// The standard output.
    pub out: String,
    /// The standard error.
    pub err: String,
}

/// Whether what is stored at a key could be served: by this node, and by Redis.
///
/// # Panics
///
/// When the text is no key.
pub async fn state(node: &Cache, key: &str) -> (bool, bool) {
    let found = node.inspect(&key.parse().expect("a key")).await;
    (
        found.local.is_some_and(|entry| entry.holds),
        found.shared.is_some_and(|entry| entry.is_valid()),
    )
}

impl Program {
    /// The program at this path, with these arguments.
    pub fn new(path: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(arguments).env_clear().stdin(Stdio::null());
        Self { command }
    }

    /// The same on a Redis, for the namespace `shifts`.
    pub fn on(path: &str, url: &str, arguments: &[&str]) -> Self {
        Self::new(path, arguments)
            .env("REDIS_URL", url)
            .env("CACHE_NAMESPACE", "shifts")
    }

    /// With this variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// When it can't be started, does not end, or writes something that would steer a terminal.
    pub fn run(mut self) -> Run {
        self.command.stdout(Stdio::piped());
        self.finished()
    }

    /// Runs it to its end, with nobody who reads its standard output: as `| true` does, at once.
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    pub fn run_unread(mut self) -> Run {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        self.command.stdout(writer);
        self.finished()
    }

    fn finished(mut self) -> Run {
        let started = self.command.stderr(Stdio::piped()).spawn();
        let child = started.expect("the program can be started");
        // What this process has of its pipes is closed.
        drop(self.command);
        let output = ended(child);
        let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
        let run = Run {
            code: output.status.code().expect("it ended by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        for text in [&run.out, &run.err] {
            let steers = |c: char| c.is_control() && c != '\n';
            assert!(
                !text.contains(steers),
                "it would steer a terminal: {text:?}"
            );
        }
        run
    }

    /// Starts it with its output in a pipe that the caller reads, or closes.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start(mut self) -> Child {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().expect("the program can be started")
    }

    /// Starts it on a terminal of its own.
    ///
    /// # Panics
    ///
    /// When there is no terminal to be had.
    pub fn on_a_terminal(mut self) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it can be opened");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let path = PathBuf::from(name.into_string().expect("a path"));
        let open = || -> Stdio {
            let file = File::options().read(true).write(true).open(&path);
            OwnedFd::from(file.expect("it can be opened")).into()
        };
        self.command.env("TERM", "xterm");
        let started = self.command.stdin(open()).stdout(open()).stderr(open());
        let child = started.spawn().expect("the program can be started");
        drop(self.command);
        Terminal {
            watch: watched(child.id()),
            child,
            master: File::from(master),
            seen: String::new(),
        }
    }
}

/// A terminal with the program on it.
pub struct Terminal {
    watch: Watch,
    child: Child,
    master: File,
    seen: String,
}

impl Terminal {
    /// Waits until this has been written, and returns all that was.
    ///
    /// # Panics
    ///
    /// When the program ends before.
    pub fn until(&mut self, text: &str) -> &str {
        while !self.seen.contains(text) {
            assert!(self.read(), "{text:?} was not written: {:?}", self.seen);
        }
        &self.seen
    }

    /// Presses keys.
    ///
    /// # Panics
    ///
    /// When nobody is there.
    pub fn press(&mut self, keys: &str) {
        let pressed = self.master.write_all(keys.as_bytes());
        pressed.expect("the terminal is open");
    }

    /// Ends the program with this signal: `-TERM`.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Waits for the end; returns the exit code and all that was written.
    ///
    /// # Panics
    ///
    /// When it does not end by itself.
    pub fn end(mut self) -> (i32, String) {
        while self.read() {}
        let status = self.child.wait().expect("it was started here");
        drop(self.watch);
        (status.code().expect("it ended by itself"), self.seen)
    }

    /// Reads more; returns whether there is any.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // Reading from a terminal that nobody has open is an error.
        let Ok(count @ 1..) = self.master.read(&mut bytes) else {
            return false;
        };
        self.seen
            .push_str(&String::from_utf8_lossy(&bytes[..count]));
        true
    }
}

/// Kills a process that takes too long; dropped, it leaves it alone.
type Watch = std::sync::mpsc::Sender<()>;

/// Looks at the clock, where reading what a process writes blocks.
fn watched(id: u32) -> Watch {
    let (watch, dropped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if dropped.recv_timeout(DEADLINE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            // One that has just ended is as good.
            let _ = Command::new("kill")
                .args(["-KILL", &id.to_string()])
                .status();
        }
    });
    watch
}

/// The end of a process, in time.
fn ended(child: Child) -> Output {
    let watch = watched(child.id());
    let output = child.wait_with_output().expect("it can be read");
    drop(watch);
    output
}
