use super::*;
use crate::protocol::chat_completions::PROTOCOL;
use crate::record::FailureKind;
use bytes::Bytes;
use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn call(url: &str) -> HttpRequest {
    HttpRequest {
        dialect: &PROTOCOL,
        url: url.to_owned(),
        body: Bytes::from_static(b"{\"this is\":\"the request\"}"),
        request_id: "r-1".into(),
        key: None,
        headers: &[],
        not_before_ns: None,
    }
}

const LIMITS: Limits =
    Limits { connect: TEN_SECONDS, idle: TEN_SECONDS, total: Duration::from_secs(20), text_bytes: 1 << 20 };
const TEN_SECONDS: Duration = Duration::from_secs(10);

fn exchange(url: &str, cancel: &CancellationToken) -> TimedExchange {
    let cancellation = Cancellation { before_sent: cancel.clone(), after_sent: cancel.clone() };
    TimedExchange::new(Arc::new(ConnectionPool::new()), call(url), LIMITS, cancellation)
}

#[tokio::test]
async fn the_start_is_reported_after_the_write() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, arrived) = channel();
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut received, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(n @ 1..) = socket.read(&mut piece) {
            received.extend_from_slice(&piece[..n]);
            if received.windows(11).any(|part| part == b"the request") {
                let _ = sender.send(());
                return;
            }
        }
    });
    let mut exchange = exchange(&url, &CancellationToken::new());
    let ExchangeEvent::Sent(start) = exchange.next().await else { panic!("it was sent") };
    // This blocks the event loop, and with it all that has not left by now.
    arrived.recv_timeout(TEN_SECONDS).unwrap();
    assert!(matches!(exchange.next().await, ExchangeEvent::Done));
    let response = exchange.finish();
    assert!(response.error.is_some(), "the server says nothing");
    assert_eq!(response.start.map(|stamp| stamp.mono_ns), Some(start.mono_ns));
}

#[tokio::test]
async fn a_cancelled_exchange_keeps_its_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    for sends in [false, true] {
        let cancel = CancellationToken::new();
        let mut exchange = exchange(&url, &cancel);
        if sends {
            assert!(matches!(exchange.next().await, ExchangeEvent::Sent(_)));
        }
        cancel.cancel();
        let event = exchange.next().await;
        let response = match event {
            ExchangeEvent::Done => exchange.finish(),
            // It was written before the token was looked at.
            _ => continue,
        };
        let kind = response.error.as_ref().map(|error| error.kind);
        assert_eq!(kind, Some(FailureKind::Cancelled), "{response:?}");
        assert_eq!(response.start.is_some(), sends);
    }
}
