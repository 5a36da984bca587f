//! What HTTP is spoken over: a TCP socket, or TLS on one.

use super::socket::{ReadStamp, Socket};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

/// An open byte stream to a server. TLS is boxed: it is large, and most streams have none.
#[derive(Debug)]
pub enum Transport {
    /// Plain TCP.
    Plain(Socket),
    /// TLS on TCP.
    Tls(Box<TlsStream<Socket>>),
}

impl Transport {
    /// Reads once into `buffer`: the bytes of the response, and the stamp that [`Socket::read`] gave the last TCP read among them.
    /// No bytes are the end of the stream.
    ///
    /// # Errors
    /// When the connection breaks, or TLS cannot be decoded.
    pub fn read<'buffer>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &'buffer mut [u8],
    ) -> Poll<io::Result<(&'buffer [u8], ReadStamp)>> {
        match self {
            Self::Plain(socket) => socket.read(cx, buffer),
            Self::Tls(tls) => {
                // Not `poll_read`: it goes on reading until the buffer is full, and the stamp of the first bytes would be lost.
                let decrypted = ready!(Pin::new(&mut **tls).poll_fill_buf(cx))?;
                let length = decrypted.len().min(buffer.len());
                buffer[..length].copy_from_slice(&decrypted[..length]);
                Pin::new(&mut **tls).consume(length);
                Poll::Ready(Ok((&buffer[..length], tls.get_ref().0.last_read())))
            }
        }
    }

    /// Writes some of `slices`; how many bytes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(cx, slices),
        }
    }

    /// Hands what TLS holds back to the socket.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::http::tls::trusting;
    use std::future::poll_fn;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::rustls::{ServerConfig, ServerConnection, crypto::ring};

    /// A client of a TLS server that writes these records after the handshake, all at once; and the server's socket.
    async fn client_of(records: &'static [&'static [u8]]) -> (Transport, TcpStream) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let connector = TlsConnector::from(Arc::new(trusting(vec![made.cert.der().clone()])));
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            while tls.is_handshaking() {
                tls.complete_io(&mut socket).unwrap();
            }
            let mut written = Vec::new();
            for record in records {
                tls.writer().write_all(record).unwrap();
                while tls.wants_write() {
                    tls.write_tls(&mut written).unwrap();
                }
            }
            socket.write_all(&written).unwrap();
            socket
        });
        let socket = Socket::connect("127.0.0.1", port).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let transport = Transport::Tls(Box::new(connector.connect(name, socket).await.unwrap()));
        // All of it is in the client's socket when this returns.
        let server = tokio::task::spawn_blocking(|| serving.join().unwrap()).await.unwrap();
        (transport, server)
    }

    async fn read(transport: &mut Transport, length: usize) -> (Vec<u8>, ReadStamp) {
        let mut buffer = vec![0; length];
        let read = poll_fn(|cx| transport.read(cx, &mut buffer).map_ok(|(bytes, stamp)| (bytes.to_vec(), stamp)));
        tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn tls_reads_are_stamped_at_the_socket() {
        let (mut transport, _server) = client_of(&[b"ab"]).await;
        let (first, stamp) = read(&mut transport, 1).await;
        let before_second_ns = clock::mono_ns();
        let (second, same) = read(&mut transport, 1).await;
        assert_eq!([first, second].concat(), b"ab");
        // Both bytes came in one TCP read: TLS hands on the second one later, and its stamp is not later.
        assert_eq!(same, stamp);
        assert!(same.ns < before_second_ns);
        let Transport::Tls(tls) = &transport else { unreachable!() };
        assert_eq!(tls.get_ref().0.last_read(), stamp);
        assert!(stamp.number > 1, "the socket counts the reads of the handshake");
    }

    #[tokio::test]
    async fn a_tls_record_is_stamped_by_the_read_that_completed_it() {
        // rustls reads less than all of this at once, and there is room for all of it.
        let (mut transport, _server) = client_of(&[&[1; 9000], &[2; 9000], &[3; 9000]]).await;
        let mut stamps = Vec::new();
        for record in 1..=3 {
            let (bytes, stamp) = read(&mut transport, 64 << 10).await;
            assert_eq!(bytes, vec![record; 9000]);
            stamps.push(stamp);
        }
        assert!(stamps.is_sorted_by(|a, b| a.ns < b.ns && a.number < b.number), "{stamps:?}");
    }
}
