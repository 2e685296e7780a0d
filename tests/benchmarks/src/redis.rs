//! A redis-server of a case's own, on a free port of the loopback, without persistence.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How long it may take to answer.
const DEADLINE: Duration = Duration::from_secs(20);

/// The program servers are made of.
pub fn program() -> String {
    std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

/// A server, killed on drop.
pub struct Redis {
    child: Child,
    port: u16,
    // Where it may leave what it wants to: nothing, as it is told.
    _directory: tempfile::TempDir,
}

impl Redis {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    ///
    /// When there is no `redis-server`, or it does not come up.
    pub fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let child = Command::new(program())
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} can't be started: {error}", program()))?;
        let mut server = Self {
            child,
            port,
            _directory: directory,
        };
        server.wait()?;
        Ok(server)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until this very process answers: another one may have got the port.
    fn wait(&mut self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("redis-server ended at once: {status}").into());
            }
            if self
                .process()
                .is_ok_and(|process| process == self.child.id())
            {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err("redis-server does not answer".into())
    }

    fn process(&self) -> Result<u32> {
        let mut connection = ::redis::Client::open(self.url())?.get_connection()?;
        let said: String = ::redis::cmd("INFO").arg("server").query(&mut connection)?;
        let process = said
            .lines()
            .find_map(|line| line.strip_prefix("process_id:"));
        Ok(process
            .ok_or("INFO does not name its process")?
            .trim()
            .parse()?)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that is dead already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
