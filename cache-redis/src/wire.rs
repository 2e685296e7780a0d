//! The conversation over one connection. Requests leave in the order in which they were asked, gathered
//! into one write where several wait; answers come back in that order, each released as soon as it is
//! there, and pushes act where they stand between them.
//!
//! The driver, a task of the store's own, reads, and writes what can't be written at once. Who asks while
//! nothing is under way writes by itself; who asks while something is first lets its executor come round
//! once, and then writes what all who came meanwhile have left beside its own request
//! (docs/decisions/0025-gathering.md).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::oneshot;

use self::frame::{Framed, Garbage, Scan};
use crate::coherence::PushHandler;

mod frame;
mod request;

pub(crate) use request::Packed;

/// The most bytes that may wait to be sent: a server that takes none is soon given up.
const MOST_WAITING: usize = 64 << 20;
/// How much is read at a time, and what is kept for it.
const ROOM: usize = 64 << 10;
/// A string longer than this is read into a place of its own.
const LARGE: usize = 8 << 10;
/// Up to how many requests under way, its own among them, a caller writes by itself.
const IDLE: usize = 1;

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A way to ask over a connection; all clones are the same.
#[derive(Clone)]
pub(crate) struct Wire {
    shared: Arc<Shared>,
}

/// What reads and writes. Without it being polled little moves, and with it dropped the connection is
/// closed.
pub(crate) struct Driver {
    shared: Arc<Shared>,
}

struct Shared {
    desk: Mutex<Desk>,
    line: Mutex<Line>,
    /// How many wait for answers.
    open: AtomicUsize,
    /// The driver's; none before it was polled.
    waker: Mutex<Option<Waker>>,
}

/// What has been asked and not sent.
#[derive(Default)]
struct Desk {
    bytes: Vec<u8>,
    asked: Vec<Asked>,
    /// How often it was cleared.
    cleared: u64,
    /// Nothing can be asked any more.
    closed: bool,
}

/// Somebody who waits for so many answers.
struct Asked {
    answers: usize,
    got: Vec<Value>,
    tell: oneshot::Sender<RedisResult<Vec<Value>>>,
}

/// The connection's two directions.
struct Line {
    /// None once it is closed.
    stream: Option<Box<dyn Stream>>,
    pushes: Option<PushHandler>,
    /// What is being sent, and how much of it was.
    sending: Vec<u8>,
    sent: usize,
    flushed: bool,
    /// Who waits for what was sent, in its order.
    waiting: VecDeque<Asked>,
    heard: Vec<u8>,
    /// Up to where it was taken.
    taken: usize,
    scan: Scan,
    long: Option<Long>,
}

/// A long string that is being read.
struct Long {
    length: usize,
    bytes: Vec<u8>,
}

/// Why a conversation is over.
enum End {
    Broken(io::Error),
    Garbage,
}

impl From<Garbage> for End {
    fn from(_: Garbage) -> Self {
        Self::Garbage
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl End {
    fn error(&self) -> RedisError {
        match self {
            Self::Broken(error) => io::Error::new(error.kind(), error.to_string()).into(),
            Self::Garbage => (redis::ErrorKind::Parse, "not Redis's protocol").into(),
        }
    }
}

/// Begins a conversation: `pushes` is called with each push, in the stream's order, before any later
/// answer is released (guard G5).
pub(crate) fn wire(stream: impl Stream + 'static, pushes: Option<PushHandler>) -> (Wire, Driver) {
    let shared = Arc::new(Shared {
        desk: Mutex::default(),
        line: Mutex::new(Line {
            stream: Some(Box::new(stream)),
            pushes,
            sending: Vec::new(),
            sent: 0,
            flushed: true,
            waiting: VecDeque::new(),
            heard: Vec::new(),
            taken: 0,
            scan: Scan::default(),
            long: None,
        }),
        open: AtomicUsize::new(0),
        waker: Mutex::new(None),
    });
    let wire = Wire {
        shared: shared.clone(),
    };
    (wire, Driver { shared })
}

impl Wire {
    /// Asks, and waits for an answer to each command; errors of the server are among them.
    pub(crate) async fn ask(&self, request: &Packed) -> RedisResult<Vec<Value>> {
        let answers = request.commands();
        if answers == 0 {
            return Ok(Vec::new());
        }
        let (tell, told) = oneshot::channel();
        let round = {
            let mut desk = lock(&self.shared.desk);
            if desk.closed {
                return Err(closed());
            }
            if desk.bytes.len() > MOST_WAITING {
                let what = "the server takes nothing: too much waits to be sent to it";
                return Err(io::Error::other(what).into());
            }
            desk.bytes.extend_from_slice(request.bytes());
            desk.asked.push(Asked {
                answers,
                got: Vec::with_capacity(answers),
                tell,
            });
            desk.cleared
        };
        let unsent = Unsent {
            shared: &self.shared,
            round,
        };
        let open = Open::new(&self.shared.open);
        if self.shared.open.load(Ordering::Relaxed) > IDLE {
            once_round().await;
        }
        drop(unsent);
        let told = told.await;
        drop(open);
        told.unwrap_or_else(|_| Err(closed()))
    }

    /// An answer to each of these commands.
    pub(crate) async fn send_packed_commands(
        &self,
        commands: &Pipeline,
    ) -> RedisResult<Vec<Value>> {
        self.ask(&commands.into()).await
    }

    /// The answer to one command.
    pub(crate) async fn send_packed_command(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = self.ask(&command.into()).await?.pop();
        answer.ok_or_else(closed)
    }
}

/// Lets whatever else is ready on this executor run. Nobody relies on anybody else's coming round: an
/// executor that is held up, by a function that blocks its thread, holds up its own requests only.
fn once_round() -> impl Future<Output = ()> {
    let mut is_back = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut is_back, true) {
            return Poll::Ready(());
        }
        // Not `yield_now` of tokio: that waits for the thread's own runtime to come round, which it does
        // not while a plain function waits for this on one of its threads.
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

/// A request that was left on the desk in this round. Dropped, it sees that it is sent, if it was not
/// meanwhile: a call that is given up may have taken effect, but not at any later time.
struct Unsent<'a> {
    shared: &'a Shared,
    round: u64,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if lock(&self.shared.desk).cleared == self.round {
            self.shared.send();
        }
    }
}

/// Somebody waits for answers, for as long as this lives.
struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn new(open: &'a AtomicUsize) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// Sends what waits, on this thread if the connection takes it.
    fn send(&self) {
        let waker = lock(&self.waker).clone();
        // A driver that was never polled will find what is here.
        let Some(waker) = waker else { return };
        if let Ok(mut line) = self.line.try_lock() {
            // Whatever can't be sent now, and whatever fails, is the driver's.
            let mut context = Context::from_waker(&waker);
            if let Ok(Poll::Ready(())) = line.write(&self.desk, &mut context) {
                return;
            }
        }
        waker.wake();
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let shared = &self.shared;
        {
            let mut waker = lock(&shared.waker);
            if !waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(context.waker()))
            {
                *waker = Some(context.waker().clone());
            }
        }
        let mut line = lock(&shared.line);
        match line.turn(&shared.desk, context) {
            Ok(()) => Poll::Pending,
            Err(end) => {
                line.close(&shared.desk, &end);
                Poll::Ready(())
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let end = End::Broken(io::ErrorKind::BrokenPipe.into());
        lock(&self.shared.line).close(&self.shared.desk, &end);
    }
}

impl Line {
    /// Reads and writes whatever can be. Both are tried each time: a server that waits for its answers
    /// to be read takes no more requests.
    fn turn(&mut self, desk: &Mutex<Desk>, context: &mut Context<'_>) -> Result<(), End> {
        loop {
            let read = self.read(context)?;
            let written = self.write(desk, context)?;
            if read.is_pending() && (written.is_pending() || lock(desk).asked.is_empty()) {
                return Ok(());
            }
        }
    }

    /// Sends all that waits. Pending: not all of it could be.
    fn write(
        &mut self,
        desk: &Mutex<Desk>,
        context: &mut Context<'_>,
    ) -> Result<Poll<()>, io::Error> {
        loop {
            if self.sent == self.sending.len() {
                self.sending.clear();
                self.sent = 0;
                let mut desk = lock(desk);
                // In one step: what is sent first is answered first.
                std::mem::swap(&mut self.sending, &mut desk.bytes);
                self.waiting.extend(desk.asked.drain(..));
                desk.cleared += 1;
                if desk.bytes.capacity() > 16 * ROOM {
                    desk.bytes = Vec::new();
                }
            }
            let Some(stream) = &mut self.stream else {
                return Ok(Poll::Ready(()));
            };
            let rest = &self.sending[self.sent..];
            if rest.is_empty() {
                if self.flushed {
                    return Ok(Poll::Ready(()));
                }
                return match Pin::new(stream).poll_flush(context)? {
                    Poll::Ready(()) => {
                        self.flushed = true;
                        Ok(Poll::Ready(()))
                    }
                    Poll::Pending => Ok(Poll::Pending),
                };
            }
            match Pin::new(stream).poll_write(context, rest)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(sent) => {
                    self.sent += sent;
                    self.flushed = false;
                }
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
    }

    /// Reads what is there, and gives each answer to who waits for it.
    fn read(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, End> {
        let Some(stream) = &mut self.stream else {
            return Ok(Poll::Pending);
        };
        let place = if let Some(long) = &mut self.long {
            // No more room than what has come makes likely: a length is only a promise.
            let missing = long.length + 2 - long.bytes.len();
            let room = missing.min(long.bytes.len().max(ROOM));
            long.bytes.reserve_exact(room);
            &mut long.bytes
        } else {
            self.heard.drain(..self.taken);
            self.taken = 0;
            self.heard.reserve(ROOM);
            &mut self.heard
        };
        let read = pin!(stream.read_buf(place)).poll(context)?;
        let Poll::Ready(count) = read else {
            return Ok(Poll::Pending);
        };
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        self.hear()?;
        Ok(Poll::Ready(()))
    }

    /// Takes the answers that are there in full.
    fn hear(&mut self) -> Result<(), End> {
        if let Some(long) = self
            .long
            .take_if(|long| long.bytes.len() >= long.length + 2)
        {
            let Long { length, mut bytes } = long;
            // The place may have been a little larger than asked for.
            self.heard.extend_from_slice(&bytes[length + 2..]);
            if &bytes[length..length + 2] != b"\r\n" {
                return Err(End::Garbage);
            }
            bytes.truncate(length);
            self.answer(Value::BulkString(bytes));
        }
        while self.long.is_none() && self.taken < self.heard.len() {
            match self.scan.next(&self.heard[self.taken..])? {
                Framed::Whole(value, end) => {
                    self.taken += end;
                    self.answer(value);
                }
                Framed::Long(length, before) if length > LARGE => {
                    let mut bytes = Vec::with_capacity((length + 2).min(4 * ROOM));
                    bytes.extend_from_slice(&self.heard[self.taken + before..]);
                    self.heard.clear();
                    self.taken = 0;
                    self.long = Some(Long { length, bytes });
                }
                Framed::Long(..) | Framed::Part => break,
            }
        }
        if self.heard.capacity() > 16 * ROOM && self.taken == self.heard.len() {
            self.heard = Vec::new();
            self.taken = 0;
        }
        Ok(())
    }

    /// Gives an answer to who waits for it, or a push to who takes those.
    fn answer(&mut self, value: Value) {
        let value = match value {
            Value::Push { kind, data } => {
                let is_answer = answers(&kind);
                let info = PushInfo { kind, data };
                let copy = is_answer.then(|| info.clone());
                if let Some(pushes) = &self.pushes {
                    pushes(info);
                }
                let Some(PushInfo { kind, data }) = copy else {
                    return;
                };
                Value::Push { kind, data }
            }
            value => value,
        };
        // What nobody asked for is for nobody.
        let Some(first) = self.waiting.front_mut() else {
            return;
        };
        first.got.push(value);
        if first.got.len() == first.answers
            && let Some(asked) = self.waiting.pop_front()
        {
            // Whoever no longer waits does not want it.
            let _ = asked.tell.send(Ok(asked.got));
        }
    }

    /// Ends it: everybody who waits is told why.
    fn close(&mut self, desk: &Mutex<Desk>, end: &End) {
        let unsent = {
            let mut desk = lock(desk);
            desk.closed = true;
            desk.bytes = Vec::new();
            std::mem::take(&mut desk.asked)
        };
        self.stream = None;
        for asked in self.waiting.drain(..).chain(unsent) {
            let _ = asked.tell.send(Err(end.error()));
        }
    }
}

/// Whether a push is the answer to a command.
fn answers(kind: &PushKind) -> bool {
    matches!(
        kind,
        PushKind::Subscribe
            | PushKind::PSubscribe
            | PushKind::SSubscribe
            | PushKind::Unsubscribe
            | PushKind::PUnsubscribe
            | PushKind::SUnsubscribe
    )
}

fn closed() -> RedisError {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
