//! The way to a server: straight, or through the proxy that the environment names, as every other client goes.
//!
//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (and their lower-case names) as curl reads them. To https servers
//! the proxy opens a tunnel (`CONNECT`); to plain http servers it forwards, and the request names the whole address. A
//! server on this machine is never asked through a proxy: what a proxy would measure is the proxy.

use super::io_failure;
use super::secret::is_loopback;
use super::wire::{install_crypto, refused};
use crate::record::{Failure, FailureKind};
use hyper::header::{HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, ClientConfig};
use std::error::Error;
use std::io;
use std::sync::OnceLock;
use tokio::net::TcpStream;
use tower_service::Service;

/// An open stream to a server or to its proxy.
pub type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// How requests are addressed that a proxy forwards.
#[derive(Debug)]
pub struct Forward {
    origin: String,
    authorization: Option<HeaderValue>,
}

impl Forward {
    /// Puts the whole address into the request, and what the proxy wants to know.
    pub fn address<B>(&self, request: &mut Request<B>) {
        if let Ok(whole) = format!("{}{}", self.origin, request.uri()).parse() {
            *request.uri_mut() = whole;
        }
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
    }
}

/// Opens streams.
pub struct Routes {
    tcp: HttpConnector,
    /// Read when the first server wants it: the certificates of a system take longer than a request to this machine.
    tls: OnceLock<ClientConfig>,
    proxies: Matcher,
}

impl Routes {
    /// With certificates from the system's store, and the proxies of the environment.
    pub fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        Self { tcp, tls: OnceLock::new(), proxies: Matcher::from_env() }
    }

    fn tls(&self) -> io::Result<ClientConfig> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        install_crypto();
        let tls = ClientConfig::builder().with_native_roots()?.with_no_client_auth();
        Ok(self.tls.get_or_init(|| tls).clone())
    }

    /// Opens a stream to the server of `uri`, which messages call `server`; with `http2` one on which HTTP/2 is spoken. With the
    /// second, its requests are for a proxy that forwards them.
    ///
    /// # Errors
    /// When it cannot be opened, the system's certificates cannot be read, or the server does not agree to HTTP/2.
    pub async fn open(&self, uri: &Uri, server: &str, http2: bool) -> Result<(Stream, Option<Forward>), Failure> {
        let proxy = self.proxies.intercept(uri).filter(|_| !is_loopback(&uri.to_string()));
        if uri.scheme_str() != Some("https") {
            return self.plain(uri, server, proxy.as_ref()).await;
        }
        let tls = self.tls().map_err(|why| failed(server, None, &why))?;
        let stream = match &proxy {
            None => over_tls(tls, http2, self.tcp.clone()).call(uri.clone()).await,
            Some(proxy) => {
                speaks_http(proxy, server)?;
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
                if let Some(authorization) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(authorization.clone());
                }
                over_tls(tls, http2, tunnel).call(uri.clone()).await
            }
        };
        let no_http2 = || refused(server, "it does not speak HTTP/2: leave --http2 out");
        match stream {
            Ok(stream) if http2 && !agreed_on_http2(&stream) => Err(no_http2()),
            Ok(stream) => Ok((stream, None)),
            Err(why) if http2 && nothing_to_agree_on(why.as_ref()) => Err(no_http2()),
            Err(why) => Err(failed(server, proxy.as_ref().map(Intercept::uri), why.as_ref())),
        }
    }

    async fn plain(
        &self,
        uri: &Uri,
        server: &str,
        proxy: Option<&Intercept>,
    ) -> Result<(Stream, Option<Forward>), Failure> {
        let Some(proxy) = proxy else {
            let stream = self.tcp.clone().call(uri.clone()).await.map_err(|why| failed(server, None, &why))?;
            return Ok((MaybeHttpsStream::Http(stream), None));
        };
        speaks_http(proxy, server)?;
        let at = proxy.uri();
        let stream = self.tcp.clone().call(at.clone()).await.map_err(|why| failed(server, Some(at), &why))?;
        let forward = Forward { origin: server.to_owned(), authorization: proxy.basic_auth().cloned() };
        Ok((MaybeHttpsStream::Http(stream), Some(forward)))
    }
}

/// TLS over what another connector opens, with the one version of HTTP to agree on.
fn over_tls<C>(tls: ClientConfig, http2: bool, under: C) -> HttpsConnector<C> {
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only();
    if http2 { https.enable_http2().wrap_connector(under) } else { https.enable_http1().wrap_connector(under) }
}

fn agreed_on_http2(stream: &Stream) -> bool {
    match stream {
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().1.alpn_protocol() == Some(b"h2"),
        MaybeHttpsStream::Http(_) => false,
    }
}

/// Whether a server ended the handshake because it speaks nothing of what was offered (RFC 7301, section 3.2).
fn nothing_to_agree_on(why: &(dyn Error + 'static)) -> bool {
    if let Some(why) = why.downcast_ref::<rustls::Error>() {
        return *why == rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol);
    }
    // What an I/O error carries is not its source, but it itself.
    match why.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => nothing_to_agree_on(carried),
        None => why.source().is_some_and(nothing_to_agree_on),
    }
}

/// Whether a proxy can be asked at all.
fn speaks_http(proxy: &Intercept, server: &str) -> Result<(), Failure> {
    if proxy.uri().scheme_str() == Some("http") {
        return Ok(());
    }
    let scheme = proxy.uri().scheme_str().unwrap_or("nothing known");
    let why = format!("its proxy is spoken to by {scheme}: name one with http://, or put the host into NO_PROXY");
    Err(refused(server, &why))
}

fn failed(server: &str, proxy: Option<&Uri>, why: &(dyn Error + 'static)) -> Failure {
    let host = |at: &Uri| format!("{}:{}", at.host().unwrap_or_default(), at.port_u16().unwrap_or(80));
    let through = proxy.map(|at| format!(" through the proxy {}", host(at))).unwrap_or_default();
    io_failure(FailureKind::Connect, &format!("cannot connect to {server}{through}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_request_names_the_whole_address() {
        let mut request = Request::post("/v1/chat?x=1").body(()).unwrap();
        let authorization = Some(HeaderValue::from_static("Basic eA=="));
        Forward { origin: "http://far:8000".into(), authorization }.address(&mut request);
        assert_eq!(request.uri().to_string(), "http://far:8000/v1/chat?x=1");
        assert_eq!(request.headers()["proxy-authorization"], "Basic eA==");
    }

    #[tokio::test]
    async fn a_proxy_that_cannot_be_spoken_to_is_named_and_this_machine_needs_none() {
        let mut routes = Routes::new();
        routes.proxies = Matcher::builder().all("socks5://127.0.0.1:1").build();
        let refused =
            routes.open(&"http://far.example/v1".parse().unwrap(), "http://far.example", false).await.err().unwrap();
        assert!(refused.message.contains("socks5") && refused.message.contains("NO_PROXY"), "{}", refused.message);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        assert!(routes.open(&here, "here", false).await.unwrap().1.is_none());
    }
}
