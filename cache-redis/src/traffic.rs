//! What is heard over a connection, counted: a response timeout alone can't tell a silent server from
//! a busy one, nor one that speaks TLS from one that hung up.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was heard over a connection: tells a silent one from a busy one, and a TLS server from Redis.
/// What was written proves nothing: the kernel takes it while the server is stopped.
#[derive(Default)]
pub(crate) struct Traffic {
    first: AtomicU8,
    heard: AtomicU64,
    broken: AtomicBool,
}

/// No byte has come yet. Neither Redis nor TLS begins with a zero.
pub(crate) const SILENCE: u8 = 0;
/// How a TLS record begins that says what is wrong.
pub(crate) const TLS_ALERT: u8 = 0x15;
/// How a web server begins to answer; no answer of Redis begins like that.
pub(crate) const HTTP: u8 = b'H';

impl Traffic {
    /// How many bytes were read so far.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// The first byte that was read, or [`SILENCE`].
    pub(crate) fn first(&self) -> u8 {
        self.first.load(Ordering::Relaxed)
    }

    /// Whether the network or the peer has ended it, rather than what was said over it.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn break_off(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn hear(&self, bytes: &[u8]) {
        if let Some(byte) = bytes.first()
            && self.first() == SILENCE
        {
            self.first.store(*byte, Ordering::Relaxed);
        }
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.heard.fetch_add(count, Ordering::Relaxed);
    }
}

/// A stream whose traffic is watched.
pub(crate) struct Watched<S> {
    stream: S,
    traffic: Arc<Traffic>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let heard = &buffer.filled()[before..];
        self.traffic.hear(heard);
        match &polled {
            Poll::Ready(Ok(())) if heard.is_empty() => self.traffic.break_off(),
            Poll::Ready(Err(_)) => self.traffic.break_off(),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Err(_)) = &polled {
            self.traffic.break_off();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
