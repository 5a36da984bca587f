//! Proxies of the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (and their lower-case names) as curl reads
//! them. An https server is reached through a tunnel (`CONNECT`), a plain http server by forwarding.

use super::socket::Socket;
use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, Uri};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ureq_proto::parser::try_parse_response;

/// The largest head of a proxy's answer to `CONNECT`, in bytes, and the most headers in it.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 128;

/// Addresses requests to a proxy that forwards them.
#[derive(Debug)]
pub struct ForwardProxy {
    origin: String,
    authorization: Option<HeaderValue>,
}

impl ForwardProxy {
    /// A proxy that forwards to `origin` (scheme, host and port).
    pub fn new(origin: &str, authorization: Option<HeaderValue>) -> Self {
        Self { origin: origin.to_owned(), authorization }
    }

    /// Puts the whole URL and the proxy's authorization into a request.
    pub fn address<B>(&self, request: &mut Request<B>) {
        if let Ok(url) = format!("{}{}", self.origin, request.uri()).parse() {
            *request.uri_mut() = url;
        }
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }
}

/// Asks the proxy at the other end of `socket` to connect it to a server.
///
/// # Errors
/// When the proxy refuses, closes the connection, or answers something else than HTTP.
pub async fn open_tunnel(socket: &mut Socket, server: &Uri, authorization: Option<&HeaderValue>) -> io::Result<()> {
    let target = format!("{}:{}", server.host().unwrap_or_default(), host_and_port(server).1);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend([b"Proxy-Authorization: ", authorization.as_bytes(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    socket.write_all(&request).await?;
    let mut head = Vec::new();
    while head.len() < MAX_HEAD_BYTES {
        if socket.read_buf(&mut head).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the proxy closed the connection"));
        }
        let parsed = try_parse_response::<MAX_HEADERS>(&head);
        match parsed.map_err(|error| invalid(format!("the proxy's answer is not HTTP: {error}")))? {
            None => {}
            Some((_, response)) if !response.status().is_success() => {
                return Err(io::Error::other(format!("the proxy refused the tunnel: status {}", response.status())));
            }
            Some((used, _)) if used < head.len() => return Err(invalid("the proxy spoke before TLS".into())),
            Some(_) => return Ok(()),
        }
    }
    Err(invalid(format!("the proxy's answer has more than {MAX_HEAD_BYTES} bytes")))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The host of a URL without the brackets of an IPv6 address, and its port.
pub fn host_and_port(uri: &Uri) -> (&str, u16) {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    (host, uri.port_u16().unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn a_forwarded_request_names_the_whole_url() {
        let mut request = Request::post("/v1/chat?x=1").body(()).unwrap();
        let authorization = Some(HeaderValue::from_static("Basic eA=="));
        ForwardProxy::new("http://far:8000", authorization).address(&mut request);
        assert_eq!(request.uri().to_string(), "http://far:8000/v1/chat?x=1");
        assert_eq!(request.headers()["proxy-authorization"], "Basic eA==");
    }

    #[tokio::test]
    async fn a_refused_tunnel_says_why() {
        for (answer, error) in [
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 407 Who are you\r\ncontent-length: 2\r\n\r\nno", Some("status 407")),
            ("SSH-2.0-OpenSSH\r\n\r\n", Some("not HTTP")),
            ("HTTP/1.1 200 OK\r\n\r\nsurplus", Some("before TLS")),
            ("HTTP/1.1 200 O", Some("closed the connection")),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let proxy = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let mut socket = Socket::connect("127.0.0.1", port).await.unwrap();
            let opened = open_tunnel(&mut socket, &"https://far.test/v1".parse().unwrap(), None)
                .await
                .map_err(|error| error.to_string());
            assert_eq!(opened.is_ok(), error.is_none(), "{answer}");
            assert!(error.is_none_or(|part| opened.unwrap_err().contains(part)), "{answer}");
            proxy.join().unwrap();
        }
    }

    #[test]
    fn a_url_has_a_host_and_a_port() {
        for (url, host, port) in [
            ("http://far.test/v1", "far.test", 80),
            ("https://far.test", "far.test", 443),
            ("http://[::1]:8080/", "::1", 8080),
            ("https://10.0.0.1:1", "10.0.0.1", 1),
        ] {
            assert_eq!(host_and_port(&url.parse().unwrap()), (host, port));
        }
    }
}
