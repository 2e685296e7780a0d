//! A server that is a real Redis but for single answers, in place of which it says whatever a test
//! wants, and for pushes that Redis never sent: what no configuration of a real one brings about.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

/// Stands between a store and its server. To be made within a tokio runtime, and gone with it.
pub struct Impostor {
    port: u16,
    part: Arc<Part>,
}

struct Part {
    lie: Mutex<Option<Lie>>,
    connections: AtomicUsize,
    said: broadcast::Sender<Vec<u8>>,
    withheld: AtomicBool,
}

struct Lie {
    about: fn(&[String]) -> bool,
    /// What is said; where it is nothing, the connection ends instead, and the command with it.
    answer: Option<Vec<u8>>,
}

impl Impostor {
    /// One in front of this port.
    ///
    /// # Panics
    ///
    /// When the loopback has no free port.
    pub async fn start(backend: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("the loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let part = Arc::new(Part {
            lie: Mutex::default(),
            connections: AtomicUsize::new(0),
            said: broadcast::Sender::new(16),
            withheld: AtomicBool::new(false),
        });
        let shared = part.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(shared.clone().play(client, backend));
            }
        });
        Self { port, part }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.part.connections.load(Ordering::SeqCst)
    }

    /// Answers the next command that this holds for with these bytes, once. Its words are in upper
    /// case.
    pub fn lie(&self, about: fn(&[String]) -> bool, answer: impl Into<Vec<u8>>) {
        let answer = Some(answer.into());
        *self.part.lie() = Some(Lie { about, answer });
    }

    /// Cuts the connection in place of passing on the next command that this holds for, once.
    pub fn cut_before(&self, about: fn(&[String]) -> bool) {
        let answer = None;
        *self.part.lie() = Some(Lie { about, answer });
    }

    /// Whether the lie has been told, or the connection cut.
    pub fn has_lied(&self) -> bool {
        self.part.lie().is_none()
    }

    /// Keeps to itself what the server tells of changes, from now on.
    pub fn withhold(&self) {
        self.part.withheld.store(true, Ordering::SeqCst);
    }

    /// Says this to everybody who is told of changes, between two answers.
    pub fn say(&self, bytes: impl Into<Vec<u8>>) {
        // Nobody listening is for the test to notice.
        let _ = self.part.said.send(bytes.into());
    }
}

impl Part {
    fn lie(&self) -> std::sync::MutexGuard<'_, Option<Lie>> {
        self.lie.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn play(self: Arc<Self>, client: TcpStream, backend: u16) {
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, backend)).await else {
            return;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let asked = Asked::default();
        tokio::select! {
            () = self.listen(from_client, to_server, &asked) => {}
            () = self.answer(from_server, to_client, &asked) => {}
        }
    }

    /// Passes commands on, and notes what is to be said to each.
    async fn listen(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: &Asked) {
        let mut frames = Frames::of(from);
        while let Some(frame) = frames.next().await {
            let words = words(&frame);
            let lie = self.lie().take_if(|lie| (lie.about)(&words));
            let instead = match lie {
                None => None,
                Some(Lie { answer: None, .. }) => return,
                Some(Lie { answer, .. }) => answer,
            };
            asked.note(
                instead,
                words.starts_with(&["CLIENT".into(), "TRACKING".into()]),
            );
            if to.write_all(&frame).await.is_err() {
                return;
            }
        }
    }

    /// Passes answers back, or what is said instead.
    async fn answer(&self, from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: &Asked) {
        let mut frames = Frames::of(from);
        let mut said = self.said.subscribe();
        loop {
            let passed = tokio::select! {
                frame = frames.next() => match frame {
                    None => return,
                    Some(frame) if frame.starts_with(b">") => {
                        self.withheld.load(Ordering::SeqCst) || pass(&mut to, &frame).await
                    }
                    Some(frame) => pass(&mut to, &asked.instead().unwrap_or(frame)).await,
                },
                Ok(bytes) = said.recv() => {
                    if !asked.is_tracking() {
                        continue;
                    }
                    pass(&mut to, &bytes).await
                }
            };
            if !passed {
                return;
            }
        }
    }
}

async fn pass(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    to.write_all(bytes).await.is_ok()
}

/// What one connection has asked and was not answered yet: what is said instead of the answer.
#[derive(Default)]
struct Asked(Mutex<(std::collections::VecDeque<Option<Vec<u8>>>, bool)>);

impl Asked {
    fn note(&self, instead: Option<Vec<u8>>, tracking: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.push_back(instead);
        state.1 |= tracking;
    }

    fn instead(&self) -> Option<Vec<u8>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.pop_front().flatten()
    }

    fn is_tracking(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// RESP values, one after the other.
struct Frames {
    from: OwnedReadHalf,
    bytes: Vec<u8>,
}

impl Frames {
    fn of(from: OwnedReadHalf) -> Self {
        let bytes = Vec::new();
        Self { from, bytes }
    }

    /// The next one; none at the end. Cancelled, it forgets nothing.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = length(&self.bytes) {
                return Some(self.bytes.drain(..length).collect());
            }
            if self.from.read_buf(&mut self.bytes).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// How long the first value in these bytes is; none if it is not all there.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")? + 2;
    let text = std::str::from_utf8(&bytes[1..end - 2]).ok()?;
    let count = || text.parse::<usize>().unwrap_or(0);
    let nested = match bytes[0] {
        b'$' | b'=' | b'!' if text.starts_with('-') => return Some(end),
        b'$' | b'=' | b'!' => {
            let whole = end + count() + 2;
            return (bytes.len() >= whole).then_some(whole);
        }
        b'*' | b'~' | b'>' => count(),
        b'%' => 2 * count(),
        _ => return Some(end),
    };
    (0..nested).try_fold(end, |at, _| Some(at + length(&bytes[at..])?))
}

/// The words of a command, in upper case.
fn words(frame: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = frame;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        rest = &rest[at..];
        let Some(whole) = length(rest) else {
            break;
        };
        let begin = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
        let word = String::from_utf8_lossy(&rest[begin..whole - 2]);
        words.push(word.to_uppercase());
        rest = &rest[whole..];
    }
    words
}
