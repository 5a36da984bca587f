//! A socket that can be kept from reading: it reads once, then it is looked at what came, then it may read again.
//!
//! So the last read is the one that brought what is found, and its stamp is the stamp of what is found. What a turn is, each
//! version of HTTP says itself ([`Gate`]). The two share here also how a piece of a body is taken.

use super::wire::Read;
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The head of an answer and its body, awaited.
pub type Answer = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// Says when a socket may read, and hears what it read.
pub trait Gate {
    /// Whether it may not read now. Whoever asked is woken at once, and asks again.
    fn closed(&mut self) -> bool;

    /// A read has just brought these bytes.
    fn brought(&mut self, fresh: &[u8]);
}

/// A socket behind a gate.
pub struct Gated<S, G> {
    /// The socket.
    pub inner: S,
    /// The gate.
    pub gate: G,
}

impl<S: AsyncRead + Unpin, G: Gate + Unpin> AsyncRead for Gated<S, G> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.gate.closed() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let fresh = &buf.filled()[before..];
        if !fresh.is_empty() {
            self.gate.brought(fresh);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin, G: Unpin> AsyncWrite for Gated<S, G> {
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

/// The next piece of a body, handed on with the stamp of the last read; `false` when the body is over, which is gone then.
///
/// # Errors
/// When the connection or the stream ends before the body does, or its form is broken.
pub fn piece(
    body: &mut Option<Incoming>,
    cx: &mut Context<'_>,
    last: impl FnOnce() -> Read,
    take: &mut impl FnMut(Read, &[u8]),
) -> Poll<io::Result<bool>> {
    let Some(open) = body else { return Poll::Ready(Ok(false)) };
    let more = match ready!(Pin::new(&mut *open).poll_frame(cx)) {
        None => Ok(false),
        Some(Err(why)) => Err(io::Error::other(why)),
        Some(Ok(frame)) => {
            if let Some(data) = frame.data_ref() {
                take(last(), data);
            }
            Ok(!open.is_end_stream())
        }
    };
    if !matches!(more, Ok(true)) {
        *body = None;
    }
    Poll::Ready(more)
}
