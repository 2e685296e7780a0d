//! The conversation over one connection. Requests leave in the order in which they were asked, gathered
//! into one write where several wait; answers come back in that order, each released as soon as it is
//! there, and pushes act where they stand between them.
//!
//! The driver, a task of the store's own, reads, and writes what can't be written at once. Who asks while
//! nothing is under way writes by itself. Who asks while something is, and is the first to do so, lets its
//! executor come round once, and then writes what all who came meanwhile have left beside its own request
//! (docs/decisions/0025-gathering.md).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use self::answer::{Tell, Waiter, wake, way};
use self::frame::{Framed, Garbage, Scan};
use crate::coherence::PushHandler;

mod answer;
mod frame;
mod relay;
mod request;

pub(crate) use request::Packed;

/// The most bytes that may wait to be sent: a server that takes none is soon given up.
const MOST_WAITING: usize = 64 << 20;
/// How much is read at a time, and what is kept for it.
const ROOM: usize = 64 << 10;
/// A string longer than this is read into a place of its own.
const LARGE: usize = 8 << 10;
/// How many requests wait for company: the server is to answer some while others are still being asked.
const MOST_GATHERED: usize = 32;

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
    /// How long the last string was that was an answer, up to `LARGE`.
    usual: AtomicUsize,
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
    /// Something was asked and not answered: when the answer comes, the driver sends what lies here. It
    /// says that there is nothing with the desk in its hands, so that nothing is left there that
    /// nobody comes for.
    busy: bool,
    /// Nothing can be asked any more.
    closed: bool,
}

/// Somebody who waits for so many answers.
struct Asked {
    answers: usize,
    got: Vec<Value>,
    /// Where its first string is put, mostly the request's own: made and freed by one thread, which costs the
    /// allocator far less than what goes from one to another.
    place: Vec<u8>,
    tell: Tell,
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
    /// Who is to be woken for what was read.
    told: Vec<Waiter>,
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
            told: Vec::new(),
        }),
        usual: AtomicUsize::new(0),
        waker: Mutex::new(None),
    });
    let wire = Wire {
        shared: shared.clone(),
    };
    (wire, Driver { shared })
}

impl Wire {
    /// Asks, and waits for an answer to each command; errors of the server are among them.
    pub(crate) async fn ask(&self, request: Packed) -> RedisResult<Vec<Value>> {
        let answers = request.commands();
        if answers == 0 {
            return Ok(Vec::new());
        }
        let (tell, told) = way();
        let mut bytes = request.into_bytes();
        // Room for what is likely to come.
        let usual = self.shared.usual.load(Ordering::Relaxed);
        let larger = (bytes.capacity() < usual).then(|| Vec::with_capacity(usual));
        let (turn, round) = {
            let mut desk = lock(&self.shared.desk);
            if desk.closed {
                return Err(closed());
            }
            if desk.bytes.len() > MOST_WAITING {
                let what = "the server takes nothing: too much waits to be sent to it";
                return Err(io::Error::other(what).into());
            }
            let is_full = desk.asked.len() + 1 == MOST_GATHERED;
            let turn = if !mem::replace(&mut desk.busy, true) || is_full {
                Turn::Now
            } else if desk.asked.is_empty() {
                Turn::Round
            } else {
                Turn::Others
            };
            desk.bytes.extend_from_slice(&bytes);
            bytes.clear();
            desk.asked.push(Asked {
                answers,
                got: Vec::with_capacity(answers),
                place: larger.unwrap_or(bytes),
                tell,
            });
            (turn, desk.cleared)
        };
        let unsent = Unsent {
            shared: &self.shared,
            round,
        };
        match turn {
            Turn::Now => drop(unsent),
            Turn::Round => {
                once_round().await;
                drop(unsent);
            }
            Turn::Others => {
                let answer = told.await;
                // Whatever is answered was sent.
                mem::forget(unsent);
                return answer;
            }
        }
        told.await
    }

    /// An answer to each of these commands.
    pub(crate) async fn send_packed_commands(
        &self,
        commands: &Pipeline,
    ) -> RedisResult<Vec<Value>> {
        self.ask(commands.into()).await
    }

    /// The answer to one command.
    pub(crate) async fn send_packed_command(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = self.ask(command.into()).await?.pop();
        answer.ok_or_else(closed)
    }
}

/// Who sends a request.
enum Turn {
    /// Who asked, at once: nothing is under way, or enough has been gathered.
    Now,
    /// Who asked, as the first while something is under way, once its executor has come round.
    Round,
    /// The first one, or the driver: when there is an answer to what is under way, which is before there can be
    /// one to this request. So an executor that is held up, and the first one's request with it, holds
    /// up nobody else.
    Others,
}

/// Lets whatever else is ready on this executor run.
fn once_round() -> impl Future<Output = ()> {
    let mut is_back = false;
    poll_fn(move |context| {
        if mem::replace(&mut is_back, true) {
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
        match line.turn(shared, context) {
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
    fn turn(&mut self, shared: &Shared, context: &mut Context<'_>) -> Result<(), End> {
        loop {
            let read = self.read(&shared.usual, context)?;
            let written = self.write(&shared.desk, context)?;
            if !read.is_pending() {
                continue;
            }
            if written.is_pending() {
                return Ok(());
            }
            let mut desk = lock(&shared.desk);
            if desk.asked.is_empty() {
                desk.busy = !self.waiting.is_empty();
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
                mem::swap(&mut self.sending, &mut desk.bytes);
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
    fn read(&mut self, usual: &AtomicUsize, context: &mut Context<'_>) -> Result<Poll<()>, End> {
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
        let read = poll_read_buf(Pin::new(stream), context, place)?;
        let Poll::Ready(count) = read else {
            return Ok(Poll::Pending);
        };
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        let heard = self.hear(usual);
        wake(&mut self.told);
        heard?;
        Ok(Poll::Ready(()))
    }

    /// Takes the answers that are there in full.
    fn hear(&mut self, usual: &AtomicUsize) -> Result<(), End> {
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
                Framed::String(range) => {
                    let (start, end) = (self.taken + range.start, self.taken + range.end);
                    let first = self.waiting.front_mut();
                    let mut bytes =
                        first.map_or_else(Vec::new, |first| mem::take(&mut first.place));
                    bytes.extend_from_slice(&self.heard[start..end]);
                    self.taken = end + 2;
                    let length = bytes.len().min(LARGE);
                    if usual.load(Ordering::Relaxed) != length {
                        usual.store(length, Ordering::Relaxed);
                    }
                    self.answer(Value::BulkString(bytes));
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
            self.told.extend(asked.tell.tell(Ok(asked.got)));
        }
    }

    /// Ends it: everybody who waits is told why.
    fn close(&mut self, desk: &Mutex<Desk>, end: &End) {
        let unsent = {
            let mut desk = lock(desk);
            desk.closed = true;
            desk.bytes = Vec::new();
            mem::take(&mut desk.asked)
        };
        self.stream = None;
        for asked in self.waiting.drain(..).chain(unsent) {
            self.told.extend(asked.tell.tell(Err(end.error())));
        }
        wake(&mut self.told);
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
