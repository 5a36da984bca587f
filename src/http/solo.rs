//! HTTP/1.1 over one connection, one request at a time: hyper's, driven by whoever waits for the answer.
//!
//! hyper's connection is a future, made to be a task of its own that wakes the reader of an answer with each piece. Here both are
//! polled by the one task that waits, the connection first: what it reads now is what the answer finds, and no other task
//! stands between a read and its stamp. The connection reads at most once each time it is polled, so that the last read is always
//! the one that brought what is found.

use super::gate::{Answer, Gate, Gated, piece};
use super::wire::{Head, Read, Reads};
use crate::locks::locked;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite};

/// How much one read may bring, and how long the head of an answer may be. A connection begins with 8 KiB, and takes more when
/// reads fill them: with many streams that is most of their memory.
const MOST_BYTES: usize = 16 << 10;

/// hyper's part of a connection.
type Driver<S> = Connection<TokioIo<Gated<S, Arc<Line>>>, Full<Bytes>>;

/// One connection, and the request on it.
pub struct Solo<S: AsyncRead + AsyncWrite + Unpin> {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended. One that ended must go: a request that was queued in it at that moment is given up
    /// only when it is dropped, and would be waited for until its time is over.
    driver: Option<Driver<S>>,
    line: Arc<Line>,
    /// The line's bell, as the connection knows it.
    waker: Waker,
    answer: Option<Answer>,
    body: Option<Incoming>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Solo<S> {
    /// On a socket whose reads are stamped here.
    ///
    /// # Errors
    /// hyper knows of none.
    pub async fn new(socket: S) -> hyper::Result<Self> {
        let reads = Reads::default();
        let task = Mutex::new(Waker::noop().clone());
        let line = Arc::new(Line { reads, in_turn: AtomicBool::default(), task, muted: AtomicBool::default() });
        let socket = TokioIo::new(Gated { inner: socket, gate: Arc::clone(&line) });
        let (sender, driver) = Builder::new().max_buf_size(MOST_BYTES).handshake(socket).await?;
        let waker = Waker::from(Arc::clone(&line));
        Ok(Self { sender, driver: Some(driver), line, waker, answer: None, body: None })
    }

    /// The stamps of its reads.
    pub fn reads(&self) -> &Reads {
        &self.line.reads
    }

    /// Lets the connection work: write, and read once.
    fn drive(&mut self, cx: &mut Context<'_>) {
        self.line.turn(cx.waker());
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
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Head>> {
        self.drive(cx);
        let Some(answer) = &mut self.answer else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        // Who drives it need not be woken by it.
        let answered = ready!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        self.answer = None;
        let (mut parts, body) = answered.map_err(io::Error::other)?.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            let other = "the server wants to speak another protocol";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, other)));
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
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, take: &mut impl FnMut(Read, &[u8])) -> Poll<io::Result<bool>> {
        self.drive(cx);
        let line = &self.line;
        // That a piece was taken is no news to who takes it, and who was given one comes again.
        line.muted.store(true, Ordering::Relaxed);
        let more = piece(&mut self.body, &mut Context::from_waker(Waker::noop()), || line.reads.last(), take);
        line.muted.store(false, Ordering::Relaxed);
        more
    }

    /// Whether it can carry another request: the answer was read to its end, and nothing, not even an end, came since.
    pub fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && self.answer.is_none() && self.body.is_none() && self.sender.is_ready()
    }
}

/// What the two halves of a connection share, in one place, because each piece needs all of it: when it read, and whom it wakes
/// (the task that waits for it, unless that is at work itself).
struct Line {
    reads: Reads,
    /// Whether it has read in this turn of whoever lets it work.
    in_turn: AtomicBool,
    task: Mutex<Waker>,
    muted: AtomicBool,
}

impl Line {
    /// Another turn begins, perhaps of another task.
    fn turn(&self, waker: &Waker) {
        self.in_turn.store(false, Ordering::Relaxed);
        let mut task = locked(&self.task);
        if !task.will_wake(waker) {
            task.clone_from(waker);
        }
    }
}

impl Gate for Arc<Line> {
    fn closed(&mut self) -> bool {
        // First it is looked at what the last read brought; then comes another turn.
        self.in_turn.load(Ordering::Relaxed)
    }

    fn brought(&mut self, _: &[u8]) {
        self.reads.stamp();
        self.in_turn.store(true, Ordering::Relaxed);
    }
}

impl Wake for Line {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.muted.load(Ordering::Relaxed) {
            locked(&self.task).wake_by_ref();
        }
    }
}
