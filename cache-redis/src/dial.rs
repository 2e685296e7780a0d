//! One connection: name, address, TLS, Redis's handshake; and for each way it fails, what to do.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use cache_core::Env;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError, Value};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::JoinSet;

use crate::coherence::PushHandler;
use crate::config::{Endpoint, Target};
use crate::failure::Failure;
use crate::traffic::{HTTP, SILENCE, TLS_ALERT, Traffic, Watched};
use crate::wire::{Driver, Wire, wire};

use self::lent::Lent;

mod lent;
#[cfg(feature = "tls")]
mod tls;

/// A connection, and what reads and writes for it: without the driver being polled nothing moves,
/// and with the driver dropped the socket is closed.
pub(crate) struct Dialled {
    pub(crate) connection: Wire,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) driver: Driver,
    pub(crate) tracking: Tracking,
}

/// Whether the connection is told of changes to what it reads.
pub(crate) enum Tracking {
    /// It is, since this was asked for, on the monotonic clock.
    Since(Duration),
    /// It was not asked for.
    Unasked,
    /// The server can't, or won't: why.
    Refused(String),
}

/// Earlier servers may send a push about an expired key in the midst of the very reply that is being
/// written, so that a client takes one answer for another (redis/redis issue 8935). The first is the
/// last 6.2 line's release that was measured (docs/decisions/0010).
const TRACKS_SINCE: [[u32; 3]; 2] = [[6, 2, 14], [7, 0, 5]];

/// Whether a server of this version tells of changes as the engine needs it.
fn tracks([major, minor, patch]: [u32; 3]) -> bool {
    let [old, new] = TRACKS_SINCE;
    let is_old = [major, minor] == old[..2];
    [major, minor, patch] >= if is_old { old } else { new }
}

/// A silent peer is noticed by the kernel too, after about half a minute.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// A name with several addresses: the next is tried when one has not answered for this long.
const STAGGER: Duration = Duration::from_millis(250);

/// For a plain connection to a port where only TLS is understood.
pub(crate) const SPEAKS_TLS: &str =
    "the server speaks TLS on this port: write rediss:// (with two s)";

/// Connects, within the endpoint's `connect_timeout`. To be awaited in a task of [`Env::spawn`]:
/// it needs tokio's reactor.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    env: &Env,
    pushes: Option<&PushHandler>,
) -> Result<Dialled, Failure> {
    dial_in_view(endpoint, env, pushes, &Stage::default()).await
}

/// The same for somebody who wants to see how far it came, and what it met.
pub(crate) async fn dial_in_view(
    endpoint: &Endpoint,
    env: &Env,
    pushes: Option<&PushHandler>,
    stage: &Stage,
) -> Result<Dialled, Failure> {
    tokio::select! {
        dialled = stages(endpoint, env, pushes, stage) => dialled,
        () = env.sleep(endpoint.connect_timeout) => Err(stage.late(endpoint.connect_timeout)),
    }
}

async fn stages(
    endpoint: &Endpoint,
    env: &Env,
    pushes: Option<&PushHandler>,
    stage: &Stage,
) -> Result<Dialled, Failure> {
    // Servers before 6.0, and some that only look like Redis, don't know HELLO.
    match attempt(endpoint, env, pushes, stage, ProtocolVersion::RESP3).await {
        Err(Refused::Protocol) => attempt(endpoint, env, pushes, stage, ProtocolVersion::RESP2)
            .await
            .map_err(|refused| match refused {
                Refused::Failed(failure) => failure,
                Refused::Protocol => Failure::protocol("the server speaks neither RESP3 nor RESP2"),
            }),
        Err(Refused::Failed(failure)) => Err(failure),
        Ok(dialled) => Ok(dialled),
    }
}

enum Refused {
    /// There is no RESP3 here.
    Protocol,
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn attempt(
    endpoint: &Endpoint,
    env: &Env,
    pushes: Option<&PushHandler>,
    stage: &Stage,
    protocol: ProtocolVersion,
) -> Result<Dialled, Refused> {
    let traffic = Arc::new(Traffic::default());
    let watched = traffic.clone();
    stage.note(|facts| facts.protocol = Some(protocol));
    match &endpoint.target {
        Target::Unix(path) => {
            let stream = Watched::new(open_socket(path).await?, watched);
            stage.enter(Stage::GREET);
            greet(endpoint, env, pushes, stream, traffic, protocol).await
        }
        Target::Tcp { host, port, .. } => {
            stage.enter(Stage::RESOLVE);
            let addresses = resolve(host, *port).await?;
            stage.note(|facts| facts.addresses.clone_from(&addresses));
            stage.enter(Stage::CONNECT);
            let stream = connect(&addresses, env).await?;
            stage.note(|facts| facts.peer = stream.peer_addr().ok());
            tune(&stream);
            let stream = Watched::new(stream, watched);
            #[cfg(feature = "tls")]
            if let Some(tls) = &endpoint.tls {
                stage.enter(Stage::ENCRYPT);
                let stream = tls::encrypt(tls, host, stream).await?;
                stage.note(|facts| facts.encrypted(stream.get_ref().1));
                // Once more: TLS ends before the network does.
                let stream = Watched::new(stream, traffic.clone());
                stage.enter(Stage::GREET);
                return greet(endpoint, env, pushes, stream, traffic, protocol).await;
            }
            stage.enter(Stage::GREET);
            greet(endpoint, env, pushes, stream, traffic, protocol).await
        }
    }
}

async fn open_socket(path: &Path) -> Result<UnixStream, Failure> {
    UnixStream::connect(path).await.map_err(|error| {
        Failure::unavailable(format!(
            "the socket can't be opened ({error}): is Redis running?"
        ))
    })
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port))
        .await
        .map_err(|error| {
            Failure::unavailable(format!(
                "the host's name can't be resolved ({error}): check how it is written, and that it is \
                 known where this runs"
            ))
        })?
        .collect();
    if addresses.is_empty() {
        return Err(Failure::unavailable("the host's name has no address"));
    }
    Ok(addresses)
}

/// The first address that answers. The next one is tried when one fails or is slow, so that a dead
/// IPv6 route does not use up the time, and no server sees two connections without need.
async fn connect(addresses: &[SocketAddr], env: &Env) -> Result<TcpStream, Failure> {
    let mut attempts = JoinSet::new();
    let mut waiting = addresses.iter().copied();
    let mut first_error: Option<io::Error> = None;
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            attempts.spawn(TcpStream::connect(address));
        }
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => {
                    first_error.get_or_insert(error);
                }
                Some(Err(error)) => {
                    first_error.get_or_insert(io::Error::other(error));
                }
                None => return Err(refused(first_error)),
            },
            () = env.sleep(STAGGER), if next.is_some() => {}
        }
    }
}

fn refused(error: Option<io::Error>) -> Failure {
    match error {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => Failure::unavailable(
            "the connection was refused: is Redis running, and listening on this address?",
        ),
        Some(error) => Failure::unavailable(format!("no connection ({error})")),
        None => Failure::unavailable("no connection"),
    }
}

/// Small commands must not wait for more of them, and a dead peer must be noticed. What a platform
/// can't set, it does without.
fn tune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY);
    let outcomes = [
        stream.set_nodelay(true),
        socket.set_tcp_keepalive(&keepalive),
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED)),
    ];
    for error in outcomes.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "a socket option was refused");
    }
}

/// Redis's handshake.
async fn greet(
    endpoint: &Endpoint,
    env: &Env,
    pushes: Option<&PushHandler>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    traffic: Arc<Traffic>,
    protocol: ProtocolVersion,
) -> Result<Dialled, Refused> {
    let mut greeting = RedisConnectionInfo::default()
        .set_protocol(protocol)
        .set_db(endpoint.database.into())
        .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    if let Some(username) = &endpoint.username {
        greeting = greeting.set_username(username);
    }
    if let Some(password) = &endpoint.password {
        greeting = greeting.set_password(password);
    }
    // Deadlines are the caller's: here, the attempt's; later, the engine's.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None);
    // redis-rs says hello. Until it has been asked to track, a server has nothing to say of its own, so
    // that nothing can be lost when the stream is taken back.
    let lent = Lent::new(stream);
    let greeted = MultiplexedConnection::new_with_config(&greeting, lent.clone(), config).await;
    match greeted.map(drop) {
        Ok(()) => {
            let stream = lent.taken_back().ok_or_else(|| {
                Failure::protocol("the stream is still in use after the handshake")
            })?;
            let handler = match protocol {
                // Guard G5: called as a push is met in the stream, before the replies behind it.
                ProtocolVersion::RESP3 => pushes.cloned(),
                _ => None,
            };
            let (connection, mut driver) = wire(stream, handler);
            let tracking = match (pushes, protocol) {
                (None, _) => Tracking::Unasked,
                (Some(_), ProtocolVersion::RESP3) => tokio::select! {
                    tracking = track(&connection, endpoint, env) => tracking,
                    () = &mut driver => Err(Failure::unavailable("the server hung up")),
                }
                // Ended neither by the network nor by the server, it was for what was said.
                .map_err(|failure| {
                    if failure.is_strange() || traffic.is_broken() {
                        failure
                    } else {
                        Failure::garbage()
                    }
                })?,
                (Some(_), _) => Tracking::Refused("it speaks no RESP3".to_owned()),
            };
            Ok(Dialled {
                connection,
                traffic,
                driver,
                tracking,
            })
        }
        Err(error) if protocol != ProtocolVersion::RESP2 && is_no_resp3(&error) => {
            Err(Refused::Protocol)
        }
        Err(error) => {
            let failure = Failure::of_client(&error, &endpoint.secrets);
            Err(Refused::Failed(
                if endpoint.tls.is_none() && is_broken(&error) {
                    guess_tls(failure, &traffic)
                } else {
                    failure
                },
            ))
        }
    }
}

/// Has the server tell of changes to what this connection reads, whoever else makes them.
async fn track(connection: &Wire, endpoint: &Endpoint, env: &Env) -> Result<Tracking, Failure> {
    let failed = |error| Failure::of_client(&error, &endpoint.secrets);
    let hello = redis::cmd("HELLO");
    let answer = connection
        .send_packed_command(&hello)
        .await
        .map_err(failed)?;
    let version = version(&answer);
    if !version.is_some_and(tracks) {
        let version = version.map_or_else(
            || "it does not say its version".to_owned(),
            |[major, minor, patch]| format!("it is version {major}.{minor}.{patch}"),
        );
        let known = TRACKS_SINCE.map(|version| version.map(|part| part.to_string()).join("."));
        let why = format!(
            "{version}, which is not known to be {} or later",
            known.join(", or ")
        );
        return Ok(Tracking::Refused(why));
    }
    let mut tracking = redis::cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("NOLOOP");
    // The answer is a sign of life, and what it is worth is counted from here.
    let asked = env.now();
    Ok(
        match connection
            .send_packed_command(&tracking)
            .await
            .map_err(failed)?
        {
            Value::Okay => Tracking::Since(asked),
            Value::ServerError(error) => {
                Tracking::Refused(Failure::of_server(&error, &endpoint.secrets).to_string())
            }
            _ => {
                let what = "the server's answer to CLIENT TRACKING makes no sense";
                return Err(Failure::strange(what));
            }
        },
    )
}

/// The version in the answer to a HELLO.
fn version(answer: &Value) -> Option<[u32; 3]> {
    let Value::Map(fields) = answer else {
        return None;
    };
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    };
    let version = fields
        .iter()
        .find(|(name, _)| text(name).as_deref() == Some("version"))
        .and_then(|(_, version)| text(version))?;
    let mut parts = version.split('.').map(|part| {
        let digits = part.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok())
    });
    Some([
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    ])
}

/// An answer speaks for itself; only a broken conversation needs a guess at why.
fn is_broken(error: &RedisError) -> bool {
    matches!(error.kind(), redis::ErrorKind::Io | redis::ErrorKind::Parse)
}

fn guess_tls(failure: Failure, traffic: &Traffic) -> Failure {
    match traffic.first() {
        TLS_ALERT => Failure::unavailable(SPEAKS_TLS),
        HTTP => Failure::strange(
            "another service, a web server, answers on this port: check it (Redis's is usually 6379)",
        ),
        SILENCE => Failure::unavailable(format!(
            "{failure}; the server hung up without a word: if it demands TLS, write rediss:// (with \
             two s)"
        )),
        _ => failure,
    }
}

fn is_no_resp3(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    error.kind() == redis::ErrorKind::RESP3NotSupported
        || matches!(error.code(), Some("NOPROTO"))
        // Renamed, or forbidden to this user: AUTH and SELECT may still be allowed.
        || detail.starts_with("unknown command")
        || matches!(error.code(), Some("NOPERM"))
}

/// How far an attempt has come, for the text when its time is up.
#[derive(Default)]
pub(crate) struct Stage {
    at: AtomicU8,
    #[cfg(feature = "cli")]
    facts: std::sync::Mutex<Facts>,
}

/// What an attempt has met on its way.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "cli"), allow(dead_code))]
pub(crate) struct Facts {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
    /// The version of TLS.
    pub(crate) tls: Option<String>,
    /// The server's certificate, as DER.
    pub(crate) certificate: Option<Vec<u8>>,
    pub(crate) protocol: Option<ProtocolVersion>,
}

impl Stage {
    pub(crate) const RESOLVE: u8 = 1;
    pub(crate) const CONNECT: u8 = 2;
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    pub(crate) const ENCRYPT: u8 = 3;
    pub(crate) const GREET: u8 = 4;

    fn enter(&self, stage: u8) {
        self.at.store(stage, Ordering::Relaxed);
    }

    /// Notes what was met, where somebody will look.
    #[cfg(feature = "cli")]
    fn note(&self, note: impl FnOnce(&mut Facts)) {
        let mut facts = self.facts.lock();
        note(match &mut facts {
            Ok(facts) => facts,
            Err(poisoned) => poisoned.get_mut(),
        });
    }

    #[cfg(not(feature = "cli"))]
    #[allow(clippy::unused_self)]
    fn note(&self, _: impl FnOnce(&mut Facts)) {}

    /// How far it has come.
    #[cfg(feature = "cli")]
    pub(crate) fn reached(&self) -> u8 {
        self.at.load(Ordering::Relaxed)
    }

    /// What was met so far.
    #[cfg(feature = "cli")]
    pub(crate) fn facts(&self) -> Facts {
        let facts = self.facts.lock();
        facts
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn late(&self, after: Duration) -> Failure {
        let what = match self.at.load(Ordering::Relaxed) {
            Self::RESOLVE => "the host's name was not resolved",
            Self::CONNECT => "the connection was not accepted: is a firewall in between?",
            Self::ENCRYPT => {
                "no answer to the TLS handshake: if the server does not speak TLS on this port, \
                 write redis:// (with one s)"
            }
            Self::GREET => {
                "Redis did not answer: it hangs, or, if it demands TLS, write rediss:// (with two s)"
            }
            _ => "no connection",
        };
        Failure::unavailable(format!("{what} (waited {after:?})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_tell_of_changes_as_measured() {
        for version in [[6, 2, 14], [6, 2, 20], [7, 0, 5], [7, 2, 0], [8, 0, 0]] {
            assert!(tracks(version), "{version:?}");
        }
        for version in [[6, 0, 20], [6, 2, 13], [6, 3, 0], [7, 0, 4], [0, 0, 0]] {
            assert!(!tracks(version), "{version:?}");
        }
    }
}
