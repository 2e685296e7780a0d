//! A real redis-server of one test's own: on a free port of the loopback, without persistence,
//! killed on drop, its log in the panic.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use redis::{Connection, FromRedisValue};

/// How long anything of a test may take before it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

/// The variable that names the program servers are made of, so that everything can be run against
/// another version. Default: `redis-server`.
const PROGRAM: &str = "REDIS_SERVER";

fn program() -> String {
    std::env::var(PROGRAM).unwrap_or_else(|_| "redis-server".to_owned())
}

/// A private Redis. Panics, with the server's log, when it can't be had: a test without its server
/// has failed.
pub struct RedisServer {
    options: Options,
    port: u16,
    tls_port: Option<u16>,
    directory: PathBuf,
    authority: Option<String>,
    child: Option<Child>,
}

/// What a private Redis is started with.
#[derive(Clone, Default)]
#[must_use = "options start nothing"]
pub struct Options {
    arguments: Vec<String>,
    password: Option<String>,
    tls: bool,
}

impl Options {
    /// Adds arguments as `redis-server` takes them: `["--maxmemory", "3mb"]`.
    pub fn arguments<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(String::from));
        self
    }

    /// Wants this password from everybody. Default: none.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Speaks TLS on a second port, with a certificate for `localhost` from an authority that is
    /// made for this server. Default: `false`.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts the server, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server`, or it does not come up.
    pub fn start(self) -> RedisServer {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = std::env::temp_dir().join(format!(
            "cache-tests-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir_all(&directory).expect("the temporary directory can be written");
        let authority = self.tls.then(|| write_certificates(&directory));
        let tls = self.tls;
        let mut server = RedisServer {
            options: self,
            port: 0,
            tls_port: None,
            directory,
            authority,
            child: None,
        };
        // Between finding a free port and using it, another test may take it.
        for _ in 0..20 {
            server.port = free_port();
            server.tls_port = tls.then(free_port);
            if server.spawn() {
                return server;
            }
        }
        panic!("redis-server found no free port:\n{}", server.log());
    }
}

impl RedisServer {
    /// A server without any options.
    ///
    /// # Panics
    ///
    /// As [`Options::start`].
    pub fn start() -> Self {
        Options::default().start()
    }

    /// Options for one.
    pub fn options() -> Options {
        Options::default()
    }

    /// Its URL, with the password if it has one.
    pub fn url(&self) -> String {
        match &self.options.password {
            Some(password) => {
                let mut url = "redis://:".to_owned();
                for byte in password.bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(url, "%{byte:02x}");
                }
                url + &format!("@127.0.0.1:{}", self.port)
            }
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Its URL for TLS.
    ///
    /// # Panics
    ///
    /// When it was started without [`Options::tls`].
    pub fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port())
    }

    /// The port it speaks plain Redis on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port it speaks TLS on.
    ///
    /// # Panics
    ///
    /// When it was started without [`Options::tls`].
    pub fn tls_port(&self) -> u16 {
        self.tls_port.expect("started with Options::tls")
    }

    /// Its certificate authority, as PEM text.
    ///
    /// # Panics
    ///
    /// When it was started without [`Options::tls`].
    pub fn authority(&self) -> &str {
        self.authority
            .as_deref()
            .expect("started with Options::tls")
    }

    /// Has new TLS connections be shown a certificate that is no longer valid, or the good one again.
    ///
    /// # Panics
    ///
    /// When it was started without [`Options::tls`].
    pub fn expire_certificate(&self, expired: bool) {
        let name = if expired { "expired" } else { "cert" };
        let file = self.directory.join(format!("{name}.pem"));
        self.command::<()>(&["CONFIG", "SET", "tls-cert-file", &file.to_string_lossy()]);
    }

    /// Has new TLS connections be shown a certificate that the server has signed itself; returns it, as
    /// PEM text.
    ///
    /// # Panics
    ///
    /// When it was started without [`Options::tls`].
    pub fn sign_certificate(&self, certificate: &CertificateParams) -> String {
        let path = |name: &str| self.directory.join(name);
        let key = fs::read_to_string(path("key.pem")).expect("started with Options::tls");
        let key = KeyPair::from_pem(&key).expect("it was made here");
        let certificate = certificate.self_signed(&key).expect("it can be signed");
        let file = path("own.pem");
        fs::write(&file, certificate.pem()).expect("the temporary directory can be written");
        self.command::<()>(&["CONFIG", "SET", "tls-cert-file", &file.to_string_lossy()]);
        certificate.pem()
    }

    /// Kills it, as `kill -9` does. Its data is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A stopped process dies all the same; one that is dead already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again on the same ports, empty. A running one is killed first.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn restart(&mut self) {
        self.kill();
        let begun = Instant::now();
        while !self.spawn() {
            assert!(begun.elapsed() < DEADLINE, "no restart:\n{}", self.log());
        }
    }

    /// Stops it in its tracks (SIGSTOP): its connections stay open and silent.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// How many connections the server has taken since it started.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn connections_taken(&self) -> u64 {
        let information: String = self.command(&["INFO", "stats"]);
        information
            .lines()
            .find_map(|line| line.strip_prefix("total_connections_received:"))
            .and_then(|count| count.trim().parse().ok())
            .expect("INFO has it")
    }

    /// Runs a command over a connection of its own, as `redis-cli` would.
    ///
    /// # Panics
    ///
    /// When it fails, or its answer is no `T`.
    pub fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        let mut connection = self
            .connect()
            .unwrap_or_else(|error| panic!("no connection ({error}):\n{}", self.log()));
        command
            .query(&mut connection)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// How many commands it was sent, but for those that make connections, keep them, and ask this.
    ///
    /// # Panics
    ///
    /// As [`command`](Self::command).
    pub fn commands(&self) -> u64 {
        let statistics: String = self.command(&["INFO", "commandstats"]);
        let asking = ["ping", "info", "client", "hello", "auth", "select"];
        statistics
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
            .filter(|(name, _)| !asking.contains(&name.split('|').next().unwrap_or(name)))
            .filter_map(|(_, rest)| rest.split(',').next()?.parse::<u64>().ok())
            .sum()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    pub(crate) fn connect(&self) -> redis::RedisResult<Connection> {
        redis::Client::open(self.url())?.get_connection_with_timeout(DEADLINE)
    }

    /// Starts the process; returns whether it answers. It ends at once where its port is taken.
    fn spawn(&mut self) -> bool {
        let program = program();
        let mut command = Command::new(&program);
        let directory = self.directory.display().to_string();
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args([
                "--dir",
                &directory,
                "--logfile",
                &format!("{directory}/log"),
            ])
            .args(["--port", &self.port.to_string()]);
        if let Some(password) = &self.options.password {
            command.args(["--requirepass", password]);
        }
        if let Some(port) = self.tls_port {
            command
                .args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"])
                .args(["--tls-cert-file", &format!("{directory}/cert.pem")])
                .args(["--tls-key-file", &format!("{directory}/key.pem")])
                .args(["--tls-ca-cert-file", &format!("{directory}/ca.pem")]);
        }
        command
            .args(&self.options.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = match command.spawn() {
            Ok(child) => Some(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!(
                    "there is no {program}: install it with apt-get install redis-server, or set \
                     {PROGRAM} to where one is"
                )
            }
            Err(error) => panic!("{program} can't be started: {error}"),
        };
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            if self.has_ended() {
                return false;
            }
            if self.answers() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("redis-server does not answer:\n{}", self.log());
    }

    /// Whether this very process answers: another one may have got the port.
    fn answers(&self) -> bool {
        let Ok(mut connection) = self.connect() else {
            return false;
        };
        let information: String = match redis::cmd("INFO").arg("server").query(&mut connection) {
            Ok(information) => information,
            Err(_) => return false,
        };
        let child = self.child.as_ref().map(Child::id);
        information
            .lines()
            .find_map(|line| line.strip_prefix("process_id:"))
            .and_then(|id| id.trim().parse().ok())
            == child
    }

    fn has_ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| matches!(child.try_wait(), Ok(Some(_))))
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill {signal} {id}"
        );
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let mut text = format!("log of redis-server on port {}:\n", self.port);
            for line in self.log().lines() {
                // Writing to a string does not fail.
                let _ = writeln!(text, "  {line}");
            }
            eprint!("{text}");
        }
        // What can't be removed is the temporary directory's to keep.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Waits until `condition` holds; a test that needs to sleep polls through this.
///
/// # Panics
///
/// When it does not hold in time; `what` says what was waited for.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A port of the loopback that nobody listens on.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("the loopback has a free port")
        .port()
}

/// An authority of a server's own, and a certificate from it for `localhost`; returns the authority.
fn write_certificates(directory: &Path) -> String {
    let made = || -> Result<[String; 4], rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned()];
        let mut expired = CertificateParams::new(names.clone())?;
        expired.not_after = rcgen::date_time_ymd(2000, 1, 1);
        expired.not_before = rcgen::date_time_ymd(1999, 1, 1);
        let expired = expired.signed_by(&key, &authority)?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        Ok([authority.pem(), certificate, key, expired.pem()])
    };
    let [authority, certificate, key, expired] = made().expect("certificates can be made");
    for (name, text) in [
        ("ca", &authority),
        ("cert", &certificate),
        ("key", &key),
        ("expired", &expired),
    ] {
        fs::write(directory.join(format!("{name}.pem")), text)
            .expect("the temporary directory can be written");
    }
    authority
}
