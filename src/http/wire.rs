//! Connections for requests that are timed: opened ahead of the stamp, every read stamped.
//!
//! The stamp of a read is taken where the bytes come out of the socket (or out of TLS), before HTTP is decoded. With HTTP/1.1 a
//! connection carries one stream, and the task that waits for the stream reads the socket itself: no other task stands between
//! a read and its stamp. With HTTP/2, on request, a connection carries many (`http::lanes`).
//! The way to a server, straight or through a proxy of the environment, is `http::route`'s business.

use crate::clock;
use crate::locks::locked;
use crate::record::{Failure, FailureKind};
use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::either::Either;

use super::io_failure;
use super::lanes::{Lanes, Ride};
use super::route::{Forward, Routes, Stream};
use super::solo::Solo;

/// How many connections an event loop opens at once: a server's queue of connections that it has not taken yet is short, and what
/// finds no place in it tries again after a second.
const OPENING: usize = 64;

/// Sets up the cryptography of TLS, once.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where somebody set one up already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A read of a connection that brought bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// When it returned, in nanoseconds of the monotonic clock.
    pub ns: u64,
    /// Which one it was, from 1.
    pub number: u64,
}

/// When the last read of a connection returned, and how many there were.
#[derive(Debug, Default)]
pub struct Reads {
    last_ns: AtomicU64,
    count: AtomicU64,
}

impl Reads {
    /// A read brought bytes, now.
    pub(super) fn stamp(&self) {
        self.last_ns.store(clock::mono_ns(), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The last one; its number is 0 when there was none.
    pub fn last(&self) -> Read {
        Read { ns: self.last_ns.load(Ordering::Relaxed), number: self.count.load(Ordering::Relaxed) }
    }
}

/// The head of a response.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// How a request travels.
#[expect(
    clippy::large_enum_variant,
    reason = "each stream has one, and what is read with each piece is to lie in one place"
)]
enum Way {
    Solo(Solo<Socket>),
    Ride(Box<Ride>),
}

/// What bytes are read from. TLS is large, and what there is of each connection is small without it.
type Socket = Either<TcpStream, Box<TokioIo<Stream>>>;

fn socket(stream: Stream) -> Socket {
    match stream {
        Stream::Http(tcp) => Either::Left(tcp.into_inner()),
        tls @ Stream::Https(_) => Either::Right(Box::new(TokioIo::new(tls))),
    }
}

/// One open connection, or a place on one.
pub struct Connection {
    way: Way,
    used: bool,
    opened_seconds: f64,
    forward: Option<Box<Forward>>,
}

impl Connection {
    pub(super) fn on_lane(ride: Ride, used: bool, opened_seconds: f64) -> Self {
        Self { way: Way::Ride(Box::new(ride)), used, opened_seconds, forward: None }
    }

    /// Whether it carried a request before.
    pub fn used(&self) -> bool {
        self.used
    }

    /// How long opening it took, TLS included, in seconds.
    pub fn opened_seconds(&self) -> f64 {
        self.opened_seconds
    }

    /// The last read that brought bytes. Of a connection that many streams share, it may have been for another.
    pub fn last_read(&self) -> Read {
        match &self.way {
            Way::Solo(solo) => solo.last_read(),
            Way::Ride(ride) => ride.last_read(),
        }
    }

    /// Whether it is HTTP/2.
    pub fn is_http2(&self) -> bool {
        matches!(self.way, Way::Ride(_))
    }

    /// Takes a request with a path and a host, to be written by [`Connection::poll_head`].
    ///
    /// # Errors
    /// When it is none that can be written.
    pub fn begin(&mut self, mut request: Request<Bytes>) -> io::Result<()> {
        self.used = true;
        if let Some(forward) = &self.forward {
            forward.address(&mut request);
        }
        match &mut self.way {
            Way::Solo(solo) => solo.begin(request),
            Way::Ride(ride) => {
                ride.begin(request);
                Ok(())
            }
        }
    }

    /// Writes the request, and reads the head of its answer.
    ///
    /// # Errors
    /// When the connection ends first, or what comes is not HTTP.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Head>> {
        match &mut self.way {
            Way::Solo(solo) => solo.poll_head(cx),
            Way::Ride(ride) => ride.poll_head(cx),
        }
    }

    /// Reads once, and hands on what came of the body, as it lies and with its stamp; `false` when the body is over.
    ///
    /// # Errors
    /// When the connection ends before the body does, or its form is broken.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, take: &mut impl FnMut(Read, &[u8])) -> Poll<io::Result<bool>> {
        match &mut self.way {
            Way::Solo(solo) => solo.poll_piece(cx, take),
            Way::Ride(ride) => ride.poll_piece(cx, take),
        }
    }

    /// Whether it can carry another request, as far as can be seen from here without waiting: a server that closed while
    /// nobody looked is noticed now.
    async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            Poll::Ready(match &mut self.way {
                Way::Solo(solo) => solo.poll_usable(cx),
                Way::Ride(_) => false,
            })
        })
        .await
    }
}

/// Opens connections, keeps the idle ones, and remembers the servers that promise to keep a connection and do not. What is opened
/// in an event loop is used in that loop.
pub struct Connections {
    routes: Arc<Routes>,
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    fresh_only: Arc<Mutex<HashSet<String>>>,
    opening: Semaphore,
    lanes: Option<Lanes>,
}

impl Connections {
    /// With certificates from the system's store, and the proxies of the environment. With `http2`, they are HTTP/2, and so many
    /// streams share one.
    pub fn new(http2: Option<usize>) -> Self {
        Self {
            routes: Arc::new(Routes::new()),
            idle: Mutex::default(),
            fresh_only: Arc::default(),
            opening: Semaphore::new(OPENING),
            lanes: http2.map(Lanes::new),
        }
    }

    /// The same for another event loop: it keeps its own connections, and learns of servers from this one.
    pub fn sibling(&self) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
            idle: Mutex::default(),
            fresh_only: Arc::clone(&self.fresh_only),
            opening: Semaphore::new(OPENING),
            lanes: self.lanes.as_ref().map(|lanes| Lanes::new(lanes.most())),
        }
    }

    /// A connection to the server of `uri`: an idle one, or a fresh one.
    ///
    /// # Errors
    /// When none can be opened within `limit`.
    pub async fn take(&self, uri: &Uri, limit: Duration) -> Result<Connection, Failure> {
        let server = server_of(uri);
        if let Some(lanes) = &self.lanes {
            return within(limit, &server, lanes.take(&self.routes, uri, &server, 0)).await;
        }
        loop {
            let idle = locked(&self.idle).get_mut(&server).and_then(Vec::pop);
            match idle {
                None => return self.open(uri, limit).await,
                Some(mut connection) => {
                    if connection.is_usable().await {
                        return Ok(connection);
                    }
                    // One that was opened ahead and never used promised nothing.
                    if connection.used {
                        self.distrust(uri);
                    }
                }
            }
        }
    }

    /// Opens a fresh connection to the server of `uri`. With HTTP/2, one that is opened meanwhile for another stream will do.
    ///
    /// # Errors
    /// When none can be opened within `limit`.
    pub async fn open(&self, uri: &Uri, limit: Duration) -> Result<Connection, Failure> {
        let server = server_of(uri);
        if let Some(lanes) = &self.lanes {
            return within(limit, &server, lanes.take(&self.routes, uri, &server, clock::mono_ns())).await;
        }
        // The semaphore is never closed.
        let _turn = self.opening.acquire().await;
        let began = clock::mono_ns();
        let opening = async {
            let (stream, forward) = self.routes.open(uri, &server, false).await?;
            Ok(Connection {
                way: Way::Solo(Solo::new(socket(stream))),
                used: false,
                opened_seconds: clock::between(began, clock::mono_ns()),
                forward: forward.map(Box::new),
            })
        };
        within(limit, &server, opening).await
    }

    /// Opens connections ahead until `n` are idle. What fails will fail again when it is needed, and is told then.
    pub async fn warm(&self, url: &str, n: usize, limit: Duration) {
        let uri = match url.parse::<Uri>() {
            Ok(uri) if self.lanes.is_none() => uri,
            _ => return,
        };
        let (uri, server) = (&uri, server_of(&uri));
        let idle = locked(&self.idle).get(&server).map_or(0, Vec::len);
        let Some(more) = n.checked_sub(idle).filter(|more| *more > 0) else { return };
        // One alone first: a server that is not there is not asked a thousand times.
        let keep = |connection| locked(&self.idle).entry(server.clone()).or_default().push(connection);
        match self.open(uri, limit).await {
            Ok(first) => keep(first),
            Err(_) => return,
        }
        let others = (1..more).map(|_| async {
            if let Ok(connection) = self.open(uri, limit).await {
                keep(connection);
            }
        });
        futures_util::future::join_all(others).await;
    }

    /// Keeps a connection whose response was read to its end, unless its server is known to close.
    pub async fn give_back(&self, uri: &Uri, mut connection: Connection) {
        let server = server_of(uri);
        if locked(&self.fresh_only).contains(&server) {
            return;
        }
        if connection.is_usable().await {
            locked(&self.idle).entry(server).or_default().push(connection);
        }
    }

    /// Remembers that a kept connection of this server turned out to be dead: from now on each request gets a fresh one.
    pub fn distrust(&self, uri: &Uri) {
        let server = server_of(uri);
        locked(&self.idle).remove(&server);
        locked(&self.fresh_only).insert(server);
    }
}

/// What is opened, unless that takes too long.
async fn within<T>(
    limit: Duration,
    server: &str,
    opening: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, opening).await.unwrap_or_else(|_| {
        Err(Failure {
            kind: FailureKind::Connect,
            status: None,
            message: format!("cannot connect to {server}: no answer within {limit:?}"),
            retryable: true,
        })
    })
}

/// A failure to connect, of a reason that has no error of its own.
pub(super) fn refused(server: &str, why: &str) -> Failure {
    let message = format!("cannot connect to {server}: {why}");
    Failure { kind: FailureKind::Connect, status: None, message, retryable: false }
}

/// A failure to connect.
pub(super) fn failed(server: &str, why: &dyn std::error::Error) -> Failure {
    io_failure(FailureKind::Connect, &format!("cannot connect to {server}"), why)
}

fn server_of(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |a| a.as_str()))
}

#[cfg(test)]
mod tests;
