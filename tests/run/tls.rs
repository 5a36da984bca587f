//! Servers behind TLS: which HTTP is agreed on in the handshake, and what is said where none can be.

use super::{asking, one};
use crate::common::sim::Sim;
use crate::common::{Ran, run_with};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

/// What stands before a server and speaks TLS for it, as nginx or Caddy do; it ends with the test.
struct Front {
    url: String,
    /// The certificate that whoever is to trust it must know.
    certificate: PathBuf,
    _folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// Offers these protocols in the handshake (ALPN), and hands on what comes.
fn front(sim: &Sim, offers: &[&str]) -> Front {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let certificate = folder.path().join("certificate.pem");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = offers.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let to = sim.url.trim_start_matches("http://").to_owned();
    runtime.spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
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
fn http2_is_agreed_on_in_the_handshake_and_only_where_it_was_asked_for() {
    let sim = Sim::start("openai", &["--ttft", "50ms"]);
    for offers in [&["h2"][..], &["h2", "http/1.1"], &["http/1.1", "h2"]] {
        let front = front(&sim, offers);
        let flags = ["--http2", "--threads", "1", "--concurrency", "3", "--requests", "6", "--retries", "0"];
        let results = ask(&front, true, &flags).exits(0).of_type("result");
        assert_eq!(results.len(), 6);
        for result in &results {
            assert_eq!(
                (&result["error"], &result["tokens"]["output"]),
                (&Value::Null, &json!(12)),
                "{offers:?}: {result}"
            );
            assert_eq!(result["http_version"], "2", "{offers:?}: {result}");
            assert!(result["ttft_seconds"].as_f64().unwrap() > 0.045, "{offers:?}: {result}");
        }
        let opened = results.iter().filter(|result| result["timing_seconds"]["connect"].is_f64()).count();
        assert_eq!(opened, 1, "{offers:?}: one connection for all");
    }
    for offers in [&["http/1.1"][..], &["h2", "http/1.1"], &[]] {
        let result = one(&ask(&front(&sim, offers), true, &["--retries", "0"]).exits(0));
        assert_eq!((&result["tokens"]["output"], result.get("http_version")), (&json!(12), None), "{offers:?}");
    }
}

#[test]
fn a_server_that_agrees_to_http1_only_is_refused_with_that_word_and_not_asked_again() {
    let sim = Sim::start("openai", &[]);
    for offers in [&["http/1.1"][..], &[]] {
        let result = one(&ask(&front(&sim, offers), true, &["--http2", "--retries", "1"]).exits(2));
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains("does not speak HTTP/2: leave --http2 out"), "{offers:?}: {message}");
        assert_eq!(
            (&result["error"]["kind"], result.get("attempts")),
            (&json!("connect"), None),
            "{offers:?}: {result}"
        );
        assert_eq!(result.get("http_version"), None);
    }
}

#[test]
fn a_certificate_that_nobody_here_knows_is_not_trusted() {
    let sim = Sim::start("openai", &[]);
    for flags in [&[][..], &["--http2"]] {
        let result =
            one(&ask(&front(&sim, &["h2", "http/1.1"]), false, &[flags, &["--retries", "0"]].concat()).exits(2));
        let message = result["error"]["message"].as_str().unwrap();
        assert!(message.contains("certificate") && message.contains("https://localhost:"), "{message}");
        assert_eq!(result["error"]["kind"], "connect");
    }
}
