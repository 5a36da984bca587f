//! Servers behind TLS: HTTP/1.1 whatever else they offer, and clear errors where the handshake fails.

use super::{asking, one};
use crate::common::golden::{case, golden};
use crate::common::sim::Sim;
use crate::common::{Ran, run, run_with};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

/// A reverse proxy that speaks TLS for a server, as nginx or Caddy do; it ends with the test.
pub(super) struct Front {
    pub url: String,
    /// The certificate for a client to trust.
    pub certificate: PathBuf,
    _folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// Offers these protocols in the handshake (ALPN), and forwards what comes. Of the connections, numbered from 0, it serves those that
/// `serves` says; the others stay open, and nothing is ever sent on them.
pub(super) fn front(sim: &Sim, offers: &[&str], serves: impl Fn(usize) -> bool + Send + 'static) -> Front {
    front_with(sim, offers, serves, |_| {})
}

/// The same, with a certificate of other parameters.
fn front_with(
    sim: &Sim,
    offers: &[&str],
    serves: impl Fn(usize) -> bool + Send + 'static,
    change: impl Fn(&mut rcgen::CertificateParams),
) -> Front {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned(), "llm.test".to_owned()]).unwrap();
    change(&mut params);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&signing_key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("certificate.pem");
    std::fs::write(&certificate, cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
    config.alpn_protocols = offers.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let to = sim.url.trim_start_matches("http://").to_owned();
    runtime.spawn(async move {
        let mut silent = Vec::new();
        for number in 0.. {
            let (socket, _) = listener.accept().await.unwrap();
            if !serves(number) {
                silent.push(socket);
                continue;
            }
            let (acceptor, to) = (acceptor.clone(), to.clone());
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(socket).await else { return };
                let mut inside = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    Front { url, certificate, _folder: folder, _runtime: runtime }
}

fn ask(front: &Front, trusts: bool, flags: &[&str]) -> Ran {
    let mut ask = asking(&front.url, "openai", flags);
    if trusts {
        ask.env("SSL_CERT_FILE", &front.certificate);
    }
    run_with(ask, "finch-4b\n")
}

#[test]
fn https_speaks_http1_whatever_else_is_offered() {
    let sim = Sim::start("openai", &["--ttft", "50ms"]);
    for offers in [&["http/1.1"][..], &["h2", "http/1.1"], &[]] {
        let front = front(&sim, offers, |_| true);
        let flags = ["--threads", "1", "--concurrency", "3", "--requests", "6", "--retries", "0"];
        let results = ask(&front, true, &flags).exits(0).of_type("result");
        assert_eq!(results.len(), 6);
        for result in &results {
            let got = (&result["error"], &result["tokens"]["output"]);
            assert_eq!(got, (&Value::Null, &json!(12)), "{offers:?}: {result}");
            assert!(result["ttft_seconds"].as_f64().unwrap() > 0.045, "{offers:?}: {result}");
        }
        let opened = results.iter().filter(|result| result["timing_seconds"]["connect"].is_f64()).count();
        assert_eq!(opened, 3, "{offers:?}: a connection for each stream, and all of them kept");
    }
}

#[test]
fn a_server_with_http2_only_is_a_clear_error() {
    let sim = Sim::start("openai", &[]);
    let result = one(&ask(&front(&sim, &["h2"], |_| true), true, &["--retries", "1"]).exits(2));
    let message = result["error"]["message"].as_str().unwrap();
    golden!("server-http2-only", message);
    assert_eq!((&result["error"]["kind"], result.get("attempts")), (&json!("connect"), None), "{result}");
}

#[test]
fn certificates_are_trusted_by_name_or_not_at_all() {
    let sim = Sim::start("openai", &[]);
    let front = front(&sim, &["h2", "http/1.1"], |_| true);
    let file = front.certificate.to_str().unwrap();
    let by_address = front.url.replace("localhost", "127.0.0.1");
    let mut messages = String::new();
    for (name, url, flags, trusted) in [
        ("unknown", &front.url, &[][..], false),
        ("named", &front.url, &["--cacert", file], true),
        ("of another name", &by_address, &["--cacert", file], false),
        ("insecure", &by_address, &["--insecure"], true),
    ] {
        let status = if trusted { 0 } else { 2 };
        let ran = run_with(asking(url, "openai", &[flags, &["--retries", "1"]].concat()), "finch-4b\n").exits(status);
        let result = one(&ran);
        assert_eq!(result["error"].is_null(), trusted, "{flags:?}");
        assert!(result.get("attempts").is_none(), "another attempt would fail in the same way");
        let insecure = flags.contains(&"--insecure").then_some(true);
        assert_eq!(ran.of_type("run")[0]["settings"]["insecure"].as_bool(), insecure);
        let listed = run("llm-models", [&["openai", "--base-url", url][..], flags].concat(), "").exits(status);
        let message = result["error"]["message"].as_str().unwrap_or_default();
        messages += &case(name, &format!("{message}\n{}", listed.stderr));
    }
    golden!("certificates-trusted-or-not", messages);
}

#[test]
fn a_certificate_that_openssl_makes_is_trusted_when_named() {
    let sim = Sim::start("openai", &[]);
    let authority =
        |made: &mut rcgen::CertificateParams| made.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let front = front_with(&sim, &["http/1.1"], |_| true, authority);
    for flags in [&["--cacert", front.certificate.to_str().unwrap()][..], &[]] {
        let mut ask = asking(&front.url, "openai", flags);
        if flags.is_empty() {
            ask.env("SSL_CERT_FILE", &front.certificate);
        }
        assert_eq!(one(&run_with(ask, "finch-4b\n").exits(0))["error"], Value::Null);
    }
}

#[test]
fn a_file_without_a_certificate_and_a_port_without_tls_are_named() {
    let sim = Sim::start("openai", &[]);
    let file = crate::common::root().join("Cargo.toml");
    let file = file.to_str().unwrap();
    let ran = run_with(asking(&sim.url, "openai", &["--cacert", file]), "finch-4b\n").exits(2);
    golden!("cacert-without-certificate", ran.stderr);
    let url = sim.url.replace("http:", "https:");
    let result = one(&run_with(asking(&url, "openai", &["--retries", "0"]), "finch-4b\n").exits(2));
    golden!("port-without-tls", result["error"]["message"].as_str().unwrap());
}

/// TLS reads of its own (a ticket, the alert that ends it) must not pass for the beginning of a response.
#[test]
fn a_kept_tls_connection_that_dies_is_replaced() {
    let sim = Sim::start("openai", &["--fault", "close-reused", "--ttft", "80ms"]);
    let front = front(&sim, &["http/1.1"], |_| true);
    let ran = ask(&front, true, &["--repeat", "4", "--retries", "0"]).exits(0);
    let results = ran.of_type("result");
    assert!(results.iter().all(|result| result["error"].is_null() && result.get("attempts").is_none()), "{results:?}");
    let died = |result: &&Value| {
        let warnings = result["warnings"].as_array();
        warnings.is_some_and(|words| words.contains(&"reused_connection_died".into()))
    };
    assert_eq!(results.iter().filter(died).count(), 1, "{results:?}");
    assert_eq!(ran.of_type("start").len(), 5, "one request is sent twice");
}
