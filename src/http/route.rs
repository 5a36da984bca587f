//! The way to a server: straight, or through the proxy that the environment names, as every other client goes.
//!
//! `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (and their lower-case names) as curl reads them. To https servers
//! the proxy opens a tunnel (`CONNECT`); to plain http servers it forwards, and the request names the whole address. A
//! server on this machine is never asked through a proxy: what a proxy would measure is the proxy.

use super::io_failure;
use super::secret::is_loopback;
use super::wire::install_crypto;
use crate::record::{Failure, FailureKind};
use hyper::header::{HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Request, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use std::error::Error;
use std::io;
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
    tls: ClientConfig,
    proxies: Matcher,
}

impl Routes {
    /// With certificates from the system's store, and the proxies of the environment.
    ///
    /// # Errors
    /// When the system's store cannot be read.
    pub fn new() -> io::Result<Self> {
        install_crypto();
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let tls = ClientConfig::builder().with_native_roots()?.with_no_client_auth();
        Ok(Self { tcp, tls, proxies: Matcher::from_env() })
    }

    /// Opens a stream to the server of `uri`, which messages call `server`. With the second, its requests are for a proxy
    /// that forwards them.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self, uri: &Uri, server: &str) -> Result<(Stream, Option<Forward>), Failure> {
        let proxy = self.proxies.intercept(uri).filter(|_| !is_loopback(&uri.to_string()));
        let https = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone()).https_or_http().enable_http1();
        let Some(proxy) = proxy else {
            let stream = https.wrap_connector(self.tcp.clone()).call(uri.clone()).await;
            return Ok((stream.map_err(|why| failed(server, None, why.as_ref()))?, None));
        };
        let at = proxy.uri();
        if at.scheme_str() != Some("http") {
            return Err(Failure {
                kind: FailureKind::Connect,
                status: None,
                message: format!(
                    "cannot connect to {server}: its proxy is spoken to by {}: name one with http://, or put the host \
                     into NO_PROXY",
                    at.scheme_str().unwrap_or("nothing known"),
                ),
                retryable: false,
            });
        }
        if uri.scheme_str() == Some("https") {
            let mut tunnel = Tunnel::new(at.clone(), self.tcp.clone());
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let stream = https.wrap_connector(tunnel).call(uri.clone()).await;
            return Ok((stream.map_err(|why| failed(server, Some(at), why.as_ref()))?, None));
        }
        let stream = self.tcp.clone().call(at.clone()).await.map_err(|why| failed(server, Some(at), &why))?;
        let forward = Forward { origin: server.to_owned(), authorization: proxy.basic_auth().cloned() };
        Ok((MaybeHttpsStream::Http(stream), Some(forward)))
    }
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
        let mut routes = Routes::new().unwrap();
        routes.proxies = Matcher::builder().all("socks5://127.0.0.1:1").build();
        let refused = routes.open(&"http://far.example/v1".parse().unwrap(), "http://far.example").await.err().unwrap();
        assert!(refused.message.contains("socks5") && refused.message.contains("NO_PROXY"), "{}", refused.message);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        assert!(routes.open(&here, "here").await.unwrap().1.is_none());
    }
}
