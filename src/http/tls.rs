//! TLS of the clients: the provider of cryptography, the certificates that are trusted, the protocol that is offered.

use std::io;
use std::sync::{Arc, Once};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{AlertDescription, ClientConfig, Error, RootCertStore, crypto::ring};

/// Sets up the cryptography of TLS, once per process.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where a provider is installed already.
        let _ = ring::default_provider().install_default();
    });
}

/// A connector that trusts the system's certificates. It reads them from disk, which takes milliseconds.
///
/// # Errors
/// When the system has no certificate that can be read.
pub fn connector() -> io::Result<TlsConnector> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let message = format!("the system has no CA certificates that can be read: {}", reasons.join("; "));
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    Ok(trusting(roots))
}

/// A connector that trusts these certificates and offers HTTP/1.1 only, so that a server without it refuses the handshake instead of
/// answering in another protocol.
pub fn trusting(roots: RootCertStore) -> TlsConnector {
    install_provider();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// Whether a server ended the handshake because it does not speak HTTP/1.1 (RFC 7301, section 3.2).
pub fn lacks_http1(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    tls == Some(&Error::AlertReceived(AlertDescription::NoApplicationProtocol))
}
