//! HTTP/2, on request: many streams on one connection.
//!
//! Over plain http it is spoken without asking (prior knowledge), over https it is agreed on in the TLS handshake (ALPN). A server
//! that does not speak it is refused with that word, and never spoken to in another way than was asked for.
//!
//! What of a stamp is different here: the connection has a task of its own (hyper starts it in the event loop that opens it), which reads for all streams. It reads once, lets
//! the tasks of the streams run that this read woke, and only then reads again: in the event loop of a run, where each task gets
//! its turn in order, the last read is always the one that brought what a stream finds. The many streams share one
//! order of bytes: what is lost on the way holds up all of them.

use super::gate::{Said, Turns};
use super::route::Routes;
use super::wire::{Connection, Head, Read, Reads, failed, refused};
use crate::clock;
use crate::locks::locked;
use crate::record::Failure;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much a server may send ahead on a stream, and on a connection, in bytes: so much that no answer waits for us to say that
/// it was read.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// A connection with room for several streams.
struct Lane {
    sender: SendRequest<Full<Bytes>>,
    reads: Arc<Reads>,
    room: Arc<Semaphore>,
    server: Arc<Said>,
    opened_ns: u64,
    opened_seconds: f64,
    used: AtomicBool,
}

/// The connections of an event loop.
pub struct Lanes {
    most: usize,
    open: Mutex<HashMap<String, Vec<Arc<Lane>>>>,
    /// One is opened after another, so that what is opened has its streams before the next.
    opening: tokio::sync::Mutex<()>,
}

impl Lanes {
    /// With at most so many streams on a connection.
    pub fn new(most: usize) -> Self {
        Self { most, open: Mutex::default(), opening: tokio::sync::Mutex::default() }
    }

    /// The most streams on a connection.
    pub fn most(&self) -> usize {
        self.most
    }

    /// A place on a connection to the server of `uri` that has room and was opened after `since_ns`, or on a fresh one.
    ///
    /// # Errors
    /// When none can be opened.
    pub async fn take(&self, routes: &Routes, uri: &Uri, server: &str, since_ns: u64) -> Result<Connection, Failure> {
        if let Some(place) = self.place(uri, server, since_ns) {
            return Ok(place);
        }
        let _turn = self.opening.lock().await;
        loop {
            if let Some(place) = self.place(uri, server, since_ns) {
                return Ok(place);
            }
            let lane = Arc::new(self.open(routes, uri, server).await?);
            locked(&self.open).entry(server.to_owned()).or_default().push(lane);
        }
    }

    fn place(&self, uri: &Uri, server: &str, since_ns: u64) -> Option<Connection> {
        let mut open = locked(&self.open);
        let lanes = open.get_mut(server)?;
        // A server that leaves answers what it took, and takes no more.
        lanes.retain(|lane| !lane.sender.is_closed() && !lane.server.leaves.load(Ordering::Relaxed));
        lanes.iter().filter(|lane| lane.opened_ns >= since_ns).find_map(|lane| {
            let room = Arc::clone(&lane.room).try_acquire_owned().ok()?;
            let used = lane.used.swap(true, Ordering::Relaxed);
            let (sender, reads) = (lane.sender.clone(), Arc::clone(&lane.reads));
            let ride = Ride { sender, reads, uri: uri.clone(), answer: None, body: None, _room: room };
            Some(Connection::on_lane(ride, used, lane.opened_seconds))
        })
    }

    async fn open(&self, routes: &Routes, uri: &Uri, server: &str) -> Result<Lane, Failure> {
        let began = clock::mono_ns();
        let (stream, forward) = routes.open(uri, server, true).await?;
        if forward.is_some() {
            return Err(refused(
                server,
                "its proxy forwards HTTP/1.1 only: leave --http2 out, or put the host into NO_PROXY",
            ));
        }
        let (reads, said) = (Arc::<Reads>::default(), Arc::<Said>::default());
        let socket = Turns::new(TokioIo::new(stream), Arc::clone(&reads), Arc::clone(&said));
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, driver) = builder.handshake(TokioIo::new(socket)).await.map_err(|why| failed(server, &why))?;
        let mut driver = Box::pin(driver);
        // The server speaks first, too, and what it says shows whether it is one.
        let ended = tokio::select! {
            biased;
            () = said.first.notified() => !said.greeted.load(Ordering::Relaxed),
            _ = driver.as_mut() => true,
        };
        if ended {
            return Err(refused(server, "it does not speak HTTP/2: leave --http2 out"));
        }
        let room = driver.current_max_send_streams().clamp(1, self.most);
        tokio::spawn(driver);
        let opened_ns = clock::mono_ns();
        Ok(Lane {
            sender,
            reads,
            room: Arc::new(Semaphore::new(room)),
            server: said,
            opened_ns,
            opened_seconds: clock::between(began, opened_ns),
            used: AtomicBool::new(false),
        })
    }
}

/// The head of an answer and its body, awaited.
type Answer = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// A place on a connection, and the request on it.
pub struct Ride {
    sender: SendRequest<Full<Bytes>>,
    reads: Arc<Reads>,
    uri: Uri,
    answer: Option<Answer>,
    body: Option<Incoming>,
    _room: OwnedSemaphorePermit,
}

impl Ride {
    /// Takes a request.
    pub fn begin(&mut self, mut request: Request<Bytes>) {
        // Here the address says what a header says in HTTP/1.1.
        request.headers_mut().remove(HOST);
        *request.uri_mut() = self.uri.clone();
        self.body = None;
        self.answer = Some(Box::pin(self.sender.send_request(request.map(Full::new))));
    }

    /// Waits for the head of the answer.
    ///
    /// # Errors
    /// When the connection or the stream ends first.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Head>> {
        let Some(answer) = &mut self.answer else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        let answered = ready!(answer.as_mut().poll(cx)).map_err(io::Error::other)?;
        self.answer = None;
        let (parts, body) = answered.into_parts();
        self.body = Some(body);
        Poll::Ready(Ok(Head { status: parts.status, headers: parts.headers }))
    }

    /// Hands on the next data of the body; `false` when it is over.
    ///
    /// # Errors
    /// When the connection or the stream ends before the body does.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, take: &mut impl FnMut(Read, &[u8])) -> Poll<io::Result<bool>> {
        piece(&mut self.body, cx, || self.reads.last(), take)
    }

    /// The last read of its connection, for whichever stream it was.
    pub fn last_read(&self) -> Read {
        self.reads.last()
    }
}

/// The next piece of a body, handed on with the stamp of the last read; `false` when the body is over, which is gone then.
///
/// # Errors
/// When the connection or the stream ends before the body does, or its form is broken.
fn piece(
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
