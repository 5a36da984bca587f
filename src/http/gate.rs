//! A socket of HTTP/2 that is read in turns: it reads once, then it is looked at what came, then it may read again.
//!
//! So the last read is the one that brought what is found, and its stamp is the stamp of what is found.

use super::frames::Frames;
use super::wire::Reads;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// What a server said of its connection.
#[derive(Default)]
pub struct Said {
    /// There was a first frame …
    pub first: Notify,
    /// … and it was as it must be.
    pub greeted: AtomicBool,
    /// It takes no more streams.
    pub leaves: AtomicBool,
}

/// The socket of a connection that many streams share.
pub struct Turns<S> {
    inner: S,
    reads: Arc<Reads>,
    has_read: bool,
    frames: Frames,
    said: Arc<Said>,
}

impl<S> Turns<S> {
    /// A socket whose reads are stamped in `reads`; what the server says of the connection goes to `said`.
    pub fn new(inner: S, reads: Arc<Reads>, said: Arc<Said>) -> Self {
        Self { inner, reads, has_read: false, frames: Frames::default(), said }
    }

    /// A read has just brought these bytes.
    fn brought(&mut self, fresh: &[u8]) {
        self.reads.stamp();
        self.has_read = true;
        let before = self.frames.greeted;
        self.frames.passed(fresh);
        if let Some(greeted) = self.frames.greeted.filter(|_| before.is_none()) {
            self.said.greeted.store(greeted, Ordering::Relaxed);
            self.said.first.notify_one();
        }
        if self.frames.leaving {
            self.said.leaves.store(true, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Turns<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_read) {
            // Whom the last read woke goes first; then it is this task's turn again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let fresh = &buf.filled()[before..];
        if !fresh.is_empty() {
            self.brought(fresh);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Turns<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
