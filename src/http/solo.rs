//! HTTP/1.1 over one connection, one request at a time: hyper's, driven by whoever waits for the answer.
//!
//! hyper's connection is a future, made to be a task of its own that wakes the reader of an answer with each piece. Here both are
//! polled by the one task that waits, the connection first: what it reads now is what the answer finds, and no other task
//! stands between a read and its stamp. The connection reads at most once each time it is polled, so that the last read is always
//! the one that brought what is found.

use super::wire::{Head, Read, Reads, locked};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much one read may bring, and how long the head of an answer may be. A connection begins with 8 KiB, and takes more when
/// reads fill them: with many streams that is most of their memory.
const MOST_BYTES: usize = 16 << 10;

type Answer = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// One connection, and the request on it.
pub struct Solo<S: AsyncRead + AsyncWrite + Unpin> {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended. One that ended must go: a request that was queued in it at that moment is given up
    /// only when it is dropped, and would be waited for until its time is over.
    driver: Option<Connection<TokioIo<Stamped<S>>, Full<Bytes>>>,
    bell: Arc<Bell>,
    /// The bell, as the connection knows it.
    waker: Waker,
    answer: Option<Answer>,
    body: Option<Incoming>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Solo<S> {
    /// On a socket whose reads are stamped here.
    ///
    /// # Errors
    /// hyper knows of none.
    pub async fn new(socket: S, reads: Arc<Reads>) -> hyper::Result<Self> {
        let socket = TokioIo::new(Stamped { inner: socket, reads });
        let (sender, driver) = Builder::new().max_buf_size(MOST_BYTES).handshake(socket).await?;
        let bell = Arc::new(Bell { task: Mutex::new(Waker::noop().clone()), muted: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&bell));
        Ok(Self { sender, driver: Some(driver), bell, waker, answer: None, body: None })
    }

    /// Lets the connection work: write, and read once.
    fn drive(&mut self, cx: &mut Context<'_>, reads: &Reads) {
        reads.turn();
        self.bell.attend(cx.waker());
        let mut cx = Context::from_waker(&self.waker);
        if self.driver.as_mut().is_some_and(|driver| Pin::new(driver).poll(&mut cx).is_ready()) {
            self.driver = None;
        }
    }

    /// Takes a request, to be written by [`Solo::poll_head`].
    pub fn begin(&mut self, request: Request<Bytes>) {
        self.body = None;
        self.answer = Some(Box::pin(self.sender.send_request(request.map(Full::new))));
    }

    /// Writes the request and reads the head of its answer.
    ///
    /// # Errors
    /// When the connection ends first, or what comes is not HTTP.
    pub fn poll_head(&mut self, cx: &mut Context<'_>, reads: &Reads) -> Poll<io::Result<Head>> {
        self.drive(cx, reads);
        let Some(answer) = &mut self.answer else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        // Who drives it need not be woken by it.
        let answered = ready!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        self.answer = None;
        let (mut parts, body) = answered.map_err(io::Error::other)?.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Poll::Ready(Err(io::Error::other("the server wants to speak another protocol")));
        }
        // They lie in what was read: who keeps them keeps all of it, and the connection takes as much again for the body.
        for value in parts.headers.values_mut() {
            *value = HeaderValue::from_bytes(value.as_bytes()).map_err(io::Error::other)?;
        }
        self.body = Some(body).filter(|body| !body.is_end_stream());
        Poll::Ready(Ok(Head { status: parts.status, headers: parts.headers }))
    }

    /// Hands on the next piece of the body; `false` when it is over.
    ///
    /// # Errors
    /// When the connection ends before the body does, or its form is broken.
    pub fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        reads: &Reads,
        take: &mut impl FnMut(Read, &[u8]),
    ) -> Poll<io::Result<bool>> {
        self.drive(cx, reads);
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(false)) };
        // That a piece was taken is no news to who takes it, and who was given one comes again.
        self.bell.muted.store(true, Ordering::Relaxed);
        let piece = Pin::new(&mut *body).poll_frame(&mut Context::from_waker(Waker::noop()));
        self.bell.muted.store(false, Ordering::Relaxed);
        let more = match ready!(piece) {
            None => Ok(false),
            Some(Err(why)) => Err(io::Error::other(why)),
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    take(reads.last(), data);
                }
                Ok(!body.is_end_stream())
            }
        };
        if !matches!(more, Ok(true)) {
            self.body = None;
        }
        Poll::Ready(more)
    }

    /// Whether it can carry another request: the answer was read to its end, and nothing, not even an end, came since.
    pub fn poll_usable(&mut self, cx: &mut Context<'_>, reads: &Reads) -> bool {
        self.drive(cx, reads);
        self.driver.is_some() && self.answer.is_none() && self.body.is_none() && self.sender.is_ready()
    }
}

/// What a connection wakes: the task that waits for it, unless that is at work itself.
struct Bell {
    task: Mutex<Waker>,
    muted: AtomicBool,
}

impl Bell {
    /// Another task may be waiting now.
    fn attend(&self, waker: &Waker) {
        let mut task = locked(&self.task);
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.muted.load(Ordering::Relaxed) {
            locked(&self.task).wake_by_ref();
        }
    }
}

/// A socket that stamps its reads, and reads once in each turn.
struct Stamped<S> {
    inner: S,
    reads: Arc<Reads>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Stamped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reads.in_turn() {
            // First it is looked at what the last read brought; then comes another turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.reads.stamp();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stamped<S> {
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
