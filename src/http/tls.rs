//! TLS of the clients: cryptography, trusted certificates, the protocol that is offered, and what its failures mean.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Once, OnceLock};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// What is trusted beside the certificates of the system.
#[derive(Debug, Default)]
struct Named {
    certificates: Vec<CertificateDer<'static>>,
    /// Trusts every certificate.
    insecure: bool,
}

static NAMED: OnceLock<Named> = OnceLock::new();
static VERIFIER: OnceLock<Arc<Verifier>> = OnceLock::new();

/// Sets what this process trusts beside the system's certificates: those in PEM files, of authorities or of servers themselves, or
/// every certificate. The first call counts, before the first connection.
///
/// # Errors
/// When a file cannot be read or holds no certificate.
pub fn trust(files: &[PathBuf], insecure: bool) -> io::Result<()> {
    let certificates = named_certificates(files)?;
    NAMED.get_or_init(|| Named { certificates, insecure });
    Ok(())
}

/// Sets up the cryptography of TLS, once per process.
fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only where a provider is installed already.
        let _ = ring::default_provider().install_default();
    });
}

/// A connector for timed requests. It offers HTTP/1.1 only, so that a server without it refuses the handshake instead of answering
/// in another protocol.
///
/// # Errors
/// When the system has no certificate that can be read.
pub fn connector() -> io::Result<TlsConnector> {
    let mut config = client_config()?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What every client of this process trusts; each has sessions of its own, so that one does not shorten the handshakes of another.
///
/// # Errors
/// When the system has no certificate that can be read, and no other is named.
pub fn client_config() -> io::Result<ClientConfig> {
    if let Some(verifier) = VERIFIER.get() {
        return Ok(verifying(Arc::clone(verifier)));
    }
    let verifier = process_verifier()?;
    Ok(verifying(Arc::clone(VERIFIER.get_or_init(|| verifier))))
}

/// Reads the certificates of the system from disk, which takes milliseconds.
fn process_verifier() -> io::Result<Arc<Verifier>> {
    let named = NAMED.get_or_init(Named::default);
    let found = rustls_native_certs::load_native_certs();
    let mut certificates = named.certificates.clone();
    certificates.extend(found.certs);
    if certificates.is_empty() && !named.insecure {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let message = format!("the system has no CA certificates that can be read: {}", reasons.join("; "));
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    Ok(Arc::new(Verifier::new(certificates, named.insecure)))
}

fn verifying(verifier: Arc<Verifier>) -> ClientConfig {
    install_provider();
    ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

/// A configuration that trusts these certificates only.
#[cfg(test)]
pub fn trusting(certificates: Vec<CertificateDer<'static>>) -> ClientConfig {
    verifying(Arc::new(Verifier::new(certificates, false)))
}

fn named_certificates(files: &[PathBuf]) -> io::Result<Vec<CertificateDer<'static>>> {
    let mut certificates = Vec::new();
    for file in files {
        let failed = |reason: &dyn std::fmt::Display| io::Error::other(format!("{}: {reason}", file.display()));
        let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
        let read = read.map_err(|error| failed(&error))?;
        if read.is_empty() {
            return Err(failed(&"holds no certificate: a PEM file begins with -----BEGIN CERTIFICATE-----"));
        }
        certificates.extend(read);
    }
    Ok(certificates)
}

/// Verifies by the certificates of authorities and, as curl does, accepts a server's own certificate that is trusted by name:
/// what `openssl req -x509` makes is an authority's, which webpki takes for no server's.
#[derive(Debug)]
struct Verifier {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    insecure: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(certificates: Vec<CertificateDer<'static>>, insecure: bool) -> Self {
        let provider = ring::default_provider();
        let algorithms = provider.signature_verification_algorithms;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        // Fails only without a root.
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider)).build().ok();
        Self { certificates, authorities, insecure, algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        if self.certificates.contains(end_entity) {
            return verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)
                .map(|()| ServerCertVerified::assertion());
        }
        let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let authorities = self.authorities.as_ref().ok_or_else(unknown)?;
        authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a failed handshake means and what to do; another attempt would fail in the same way. `None` for any other failure.
pub fn handshake_failure(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<Error>() {
            return reason(tls);
        }
        // An io::Error hands out the source of what it holds, and not what it holds.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inner.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}

fn reason(error: &Error) -> Option<String> {
    use CertificateError as Certificate;
    let reason = match error {
        Error::InvalidCertificate(Certificate::UnknownIssuer) => {
            "its certificate is not trusted: name it, or its authority's, with --cacert FILE"
        }
        Error::InvalidCertificate(Certificate::NotValidForName | Certificate::NotValidForNameContext { .. }) => {
            "its certificate is for another name: use that name in the base URL"
        }
        Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "its certificate has expired: renew it, or use --insecure for a server that you trust"
        }
        Error::InvalidCertificate(Certificate::NotValidYet | Certificate::NotValidYetContext { .. }) => {
            "its certificate is not valid yet: check the clocks of both machines"
        }
        Error::InvalidCertificate(other) => {
            return Some(format!("its certificate is invalid ({other}): use --insecure for a server that you trust"));
        }
        // RFC 7301, section 3.2.
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "the server does not speak HTTP/1.1: put a reverse proxy that does (nginx, Caddy) before it"
        }
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            "the server requires a client certificate, which llm-bench cannot send: use a proxy that does"
        }
        Error::InvalidMessage(_) => "the server does not speak TLS on this port: use http:// in the base URL",
        _ => return None,
    };
    Some(reason.to_owned())
}
