//! Connections for requests that are timed: opened ahead of the stamp, one stream each, every read stamped.
//!
//! The stamp of a read is taken where the bytes come out of the socket (or out of TLS), before HTTP is decoded. The
//! connection is driven by the task that reads its stream, so that no other task stands between a read and its stamp.
//! The way to a server, straight or through a proxy of the environment, is [`super::route`]'s business.

use crate::clock;
use crate::record::{Failure, FailureKind};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::io_failure;
use super::route::{Forward, Routes, Stream};

/// Sets up the cryptography of TLS, once.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where somebody set one up already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// When the last read of a connection returned, and how many there were.
#[derive(Debug, Default)]
pub struct Reads {
    last_ns: AtomicU64,
    count: AtomicU64,
}

impl Reads {
    /// The monotonic stamp, in nanoseconds, of the last read that brought bytes.
    pub fn last_ns(&self) -> u64 {
        self.last_ns.load(Ordering::Relaxed)
    }

    /// How many reads brought bytes.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// A socket that stamps its reads.
struct Stamped<S> {
    inner: S,
    reads: Arc<Reads>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Stamped<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.reads.last_ns.store(clock::mono_ns(), Ordering::Relaxed);
            self.reads.count.fetch_add(1, Ordering::Relaxed);
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

type Socket = TokioIo<Stamped<TokioIo<Stream>>>;
type Driver = Pin<Box<http1::Connection<Socket, Full<Bytes>>>>;

/// One open connection.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended. A driver that ended must go: a request that was queued in it at that moment is
    /// given up only when it is dropped, and would be waited for until its time is over.
    driver: Option<Driver>,
    reads: Arc<Reads>,
    used: bool,
    opened_seconds: f64,
    forward: Option<Forward>,
}

impl Connection {
    /// Whether it carried a request before.
    pub fn used(&self) -> bool {
        self.used
    }

    /// How long opening it took, TLS included, in seconds.
    pub fn opened_seconds(&self) -> f64 {
        self.opened_seconds
    }

    /// The stamps of its reads.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Sends a request and waits for the response's headers.
    ///
    /// # Errors
    /// When the connection ends first. Nothing of a response was seen then.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.used = true;
        if let Some(forward) = &self.forward {
            forward.address(&mut request);
        }
        let answer = self.sender.send_request(request);
        self.drive(answer).await
    }

    /// Waits for `other` while the connection works: the two share one task.
    pub async fn drive<F: Future>(&mut self, other: F) -> F::Output {
        let mut other = std::pin::pin!(other);
        poll_fn(|cx| {
            // The connection first: what it reads now is what the other finds.
            if self.driver.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
                self.driver = None;
            }
            other.as_mut().poll(cx)
        })
        .await
    }

    /// Whether it can carry another request, as far as can be seen from here without waiting.
    async fn is_usable(&mut self) -> bool {
        // One look at the socket: a server that closed while nobody looked is noticed now.
        self.drive(std::future::ready(())).await;
        self.driver.is_some() && !self.sender.is_closed() && self.sender.is_ready()
    }
}

/// Opens connections, keeps the idle ones, and remembers the servers that promise to keep a connection and do not.
pub struct Connections {
    routes: Routes,
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    fresh_only: Mutex<HashSet<String>>,
}

impl Connections {
    /// With certificates from the system's store, and the proxies of the environment.
    ///
    /// # Errors
    /// When the system's store cannot be read.
    pub fn new() -> io::Result<Self> {
        Ok(Self { routes: Routes::new()?, idle: Mutex::default(), fresh_only: Mutex::default() })
    }

    /// A connection to the server of `uri`: an idle one, or a fresh one.
    ///
    /// # Errors
    /// When none can be opened within `limit`.
    pub async fn take(&self, uri: &Uri, limit: Duration) -> Result<Connection, Failure> {
        let server = server_of(uri);
        loop {
            let idle = locked(&self.idle).get_mut(&server).and_then(Vec::pop);
            match idle {
                None => return self.open(uri, limit).await,
                Some(mut connection) => {
                    if connection.is_usable().await {
                        return Ok(connection);
                    }
                    self.distrust(uri);
                }
            }
        }
    }

    /// Opens a fresh connection to the server of `uri`.
    ///
    /// # Errors
    /// When none can be opened within `limit`.
    pub async fn open(&self, uri: &Uri, limit: Duration) -> Result<Connection, Failure> {
        let server = server_of(uri);
        let began = clock::mono_ns();
        let opening = async {
            let (stream, forward) = self.routes.open(uri, &server).await?;
            let reads = Arc::new(Reads::default());
            let socket = TokioIo::new(Stamped { inner: TokioIo::new(stream), reads: Arc::clone(&reads) });
            let (sender, driver) = http1::handshake(socket)
                .await
                .map_err(|why| io_failure(FailureKind::Connect, &format!("cannot connect to {server}"), &why))?;
            Ok(Connection {
                sender,
                driver: Some(Box::pin(driver)),
                reads,
                used: false,
                opened_seconds: clock::between(began, clock::mono_ns()),
                forward,
            })
        };
        tokio::time::timeout(limit, opening).await.unwrap_or_else(|_| {
            Err(Failure {
                kind: FailureKind::Connect,
                status: None,
                message: format!("cannot connect to {server}: no answer within {limit:?}"),
                retryable: true,
            })
        })
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

fn server_of(uri: &Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |a| a.as_str()))
}

/// What a panicking thread left behind is still a list of connections.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener};

    #[tokio::test]
    async fn a_request_that_is_queued_when_the_connection_ends_is_given_up_and_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let connections = Connections::new().unwrap();
        let second = Duration::from_secs(1);
        let mut connection = connections.open(&uri, second).await.unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let request = || Request::post("/").header("host", "x").body(Full::new(Bytes::from_static(b"{}"))).unwrap();
        let answer = std::thread::spawn(move || {
            let _ = server.read(&mut [0; 4096]).unwrap();
            server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            server
        });
        assert_eq!(connection.send(request()).await.unwrap().status(), 200);
        assert!(connection.is_usable().await);
        answer.join().unwrap().shutdown(Shutdown::Both).unwrap();
        // The end has arrived, and nobody has looked.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let sent = tokio::time::timeout(10 * second, connection.send(request())).await;
        assert!(sent.unwrap().is_err());
    }
}
