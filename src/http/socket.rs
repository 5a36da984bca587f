//! The TCP socket of a timed exchange: the one place that reads its bytes and stamps them.
//!
//! TLS is decoded above this file, so a decrypted piece carries the stamp of the TCP read that completed its record.

use crate::clock;
use futures_util::future::{Either, select};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long the preferred address family may connect before the other one is tried beside it (RFC 8305, section 5).
const FALLBACK_DELAY: Duration = Duration::from_millis(250);

/// When a TCP read returned bytes, and which read of its socket it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStamp {
    /// Nanoseconds of the monotonic clock.
    pub ns: u64,
    /// The number of the read, from 1; 0 stands for no read.
    pub number: u64,
}

/// A TCP socket that stamps its reads.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    last: ReadStamp,
}

impl Socket {
    /// Connects to a host name or an IP address, over IPv6 or IPv4, whichever answers first.
    ///
    /// # Errors
    /// When the name cannot be resolved, or none of its addresses can be connected to.
    pub async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
        let prefers_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (preferred, fallback) = addresses.into_iter().partition(|address| address.is_ipv6() == prefers_ipv6);
        let tcp = connect_either(preferred, fallback).await?;
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, last: ReadStamp::default() })
    }

    /// Reads once into `buffer`: the bytes, and the stamp taken right after the system call returned. No bytes are the end of the
    /// connection.
    ///
    /// Every byte of a timed response, plain or TLS, is read here and nowhere else. The stamp is taken on the raw TCP socket, below
    /// TLS and before a byte is parsed, so that another source of stamps (the kernel's, by `recvmsg`) changes this function only.
    ///
    /// # Errors
    /// When the read fails.
    pub fn read<'buffer>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &'buffer mut [u8],
    ) -> Poll<io::Result<(&'buffer [u8], ReadStamp)>> {
        let mut filled = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut filled))?;
        let length = filled.filled().len();
        if length > 0 {
            self.last = ReadStamp { ns: clock::mono_ns(), number: self.last.number + 1 };
        }
        Poll::Ready(Ok((&buffer[..length], self.last)))
    }

    /// The stamp of the last read that returned bytes.
    pub fn last_read(&self) -> ReadStamp {
        self.last
    }
}

/// For TLS, which reads through [`Socket::read`] as well.
impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (bytes, _) = ready!(self.read(cx, buffer.initialize_unfilled()))?;
        let length = bytes.len();
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Connects to the first address that answers: those of one family in turn, and those of the other beside them when the first ones
/// fail or are slow.
async fn connect_either(preferred: Vec<SocketAddr>, fallback: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut first = pin!(TcpStream::connect(&*preferred));
    if fallback.is_empty() {
        return first.await;
    }
    match timeout(FALLBACK_DELAY, first.as_mut()).await {
        Ok(Ok(tcp)) => return Ok(tcp),
        Ok(Err(_)) => return TcpStream::connect(&*fallback).await,
        Err(_) => {}
    }
    match select(first, pin!(TcpStream::connect(&*fallback))).await {
        Either::Left((Ok(tcp), _)) | Either::Right((Ok(tcp), _)) => Ok(tcp),
        Either::Left((Err(_), second)) => second.await,
        Either::Right((Err(_), first)) => first.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn connect_falls_back_when_the_first_family_refuses() {
        let (closed, refusing) = listener();
        drop(closed);
        let (_open, answering) = listener();
        let tcp = connect_either(vec![refusing], vec![answering]).await.unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), answering);
        let error = connect_either(vec![refusing], vec![refusing]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    /// A listener with a full queue drops what tries to connect, as a broken route does.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connect_falls_back_when_the_first_family_is_silent() {
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = full.listen(1).unwrap();
        let silent = full.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(tcp)) = timeout(Duration::from_millis(200), TcpStream::connect(silent)).await {
            queued.push(tcp);
        }
        let (_open, answering) = listener();
        let connecting = connect_either(vec![silent], vec![answering]);
        let tcp = timeout(Duration::from_secs(10), connecting).await.unwrap().unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), answering);
    }
}
