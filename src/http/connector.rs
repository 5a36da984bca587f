//! Opens the transport to a server: directly, or through a proxy of the environment.

use super::failure::io_failure;
use super::proxy::{ForwardProxy, host_and_port, open_tunnel};
use super::socket::Socket;
use super::tls;
use super::transport::Transport;
use super::url::is_loopback;
use crate::record::{Failure, FailureKind};
use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use std::error::Error;
use std::io;
use std::sync::OnceLock;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Opens transports.
pub struct Connector {
    /// Made for the first https server: reading the system's certificates takes longer than a request to this machine.
    tls: OnceLock<TlsConnector>,
    proxies: Matcher,
}

impl Connector {
    /// With the system's certificates and the proxies of the environment.
    pub fn new() -> Self {
        Self { tls: OnceLock::new(), proxies: Matcher::from_env() }
    }

    /// Opens a transport to the server of `uri`, which errors call `server`. With the second, its requests go to a proxy that
    /// forwards them. A server on this machine is never reached through a proxy.
    ///
    /// # Errors
    /// When no connection can be opened, the system's certificates cannot be read, or the server does not speak HTTP/1.1.
    pub async fn open(&self, uri: &Uri, server: &str) -> Result<(Transport, Option<ForwardProxy>), Failure> {
        let proxy = self.proxies.intercept(uri).filter(|_| !is_loopback(&uri.to_string()));
        if let Some(proxy) = &proxy {
            check_scheme(proxy, server)?;
        }
        let failed = |error: &(dyn Error + 'static)| cannot_connect(server, proxy.as_ref(), error);
        let tls =
            if uri.scheme_str() == Some("https") { Some(self.tls().map_err(|error| failed(&error))?) } else { None };
        let (host, port) = host_and_port(proxy.as_ref().map_or(uri, Intercept::uri));
        let mut socket = Socket::connect(host, port).await.map_err(|error| failed(&error))?;
        let Some(tls) = tls else {
            let forward = proxy.map(|proxy| ForwardProxy::new(server, proxy.basic_auth().cloned()));
            return Ok((Transport::Plain(socket), forward));
        };
        if let Some(proxy) = &proxy {
            open_tunnel(&mut socket, uri, proxy.basic_auth()).await.map_err(|error| failed(&error))?;
        }
        let name = ServerName::try_from(host_and_port(uri).0.to_owned()).map_err(|error| failed(&error))?;
        match tls.connect(name, socket).await {
            Ok(stream) => Ok((Transport::Tls(Box::new(stream)), None)),
            Err(error) if tls::lacks_http1(&error) => Err(refused(
                server,
                "the server does not speak HTTP/1.1: put a reverse proxy that does (nginx, Caddy) before it",
            )),
            Err(error) => Err(failed(&error)),
        }
    }

    fn tls(&self) -> io::Result<TlsConnector> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let tls = tls::connector()?;
        Ok(self.tls.get_or_init(|| tls).clone())
    }
}

/// Refuses a proxy that is not an http:// one.
fn check_scheme(proxy: &Intercept, server: &str) -> Result<(), Failure> {
    match proxy.uri().scheme_str() {
        Some("http") => Ok(()),
        scheme => {
            let scheme = scheme.unwrap_or("none");
            Err(refused(
                server,
                &format!("the scheme of its proxy is {scheme}: name an http:// proxy, or put the host into NO_PROXY"),
            ))
        }
    }
}

/// A failure to connect that another try would repeat.
fn refused(server: &str, reason: &str) -> Failure {
    let message = format!("cannot connect to {server}: {reason}");
    Failure { kind: FailureKind::Connect, message, retryable: false, ..Failure::default() }
}

fn cannot_connect(server: &str, proxy: Option<&Intercept>, error: &(dyn Error + 'static)) -> Failure {
    let through = proxy.map(|proxy| {
        let (host, port) = host_and_port(proxy.uri());
        format!(" through the proxy {host}:{port}")
    });
    io_failure(FailureKind::Connect, &format!("cannot connect to {server}{}", through.unwrap_or_default()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unusable_proxy_is_named_and_loopback_needs_none() {
        let mut connector = Connector::new();
        connector.proxies = Matcher::builder().all("socks5://127.0.0.1:1").build();
        let far = "http://far.example/v1".parse().unwrap();
        let refused = connector.open(&far, "http://far.example").await.err().unwrap();
        assert!(refused.message.contains("socks5") && refused.message.contains("NO_PROXY"), "{}", refused.message);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        assert!(connector.open(&here, "here").await.unwrap().1.is_none());
    }
}
