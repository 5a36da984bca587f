use super::*;
use crate::protocol::chat_completions::PROTOCOL;
use crate::record::FailureKind;
use bytes::Bytes;
use std::io::Read as _;
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::Duration;

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

#[tokio::test]
async fn start_is_reported_after_the_request_is_written() {
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
    let connections = ConnectionPool::new();
    let mut starts = Vec::new();
    // The callback blocks the event loop, and with it all that has not left by now.
    let on_start = |start| starts.push((start, arrived.recv_timeout(TEN_SECONDS)));
    let response = send(&connections, &call(&url), LIMITS, std::future::pending(), on_start, |_| ()).await;
    assert!(response.error.is_some(), "the server says nothing");
    let [(start, Ok(()))] = starts[..] else { panic!("{starts:?}") };
    assert_eq!(response.start.map(|stamp| stamp.mono_ns), Some(start.mono_ns));
}

#[tokio::test]
async fn cancelled_request_reports_its_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let mut started = [0, 0];
    // In each turn of the task, from the first on: some of them lie between the writing and the report. On a busy machine nothing is
    // written for many turns.
    let later = (5..25).map(|doubled| 1 << doubled);
    for last in (1..20).chain(later) {
        if last > 20 && started[1] > 0 {
            break;
        }
        let connections = ConnectionPool::new();
        let (mut starts, mut turns) = (0, 0);
        let cancelled = poll_fn(move |cx| {
            turns += 1;
            cx.waker().wake_by_ref();
            if turns == last { Poll::Ready(()) } else { Poll::Pending }
        });
        let response = send(&connections, &call(&url), LIMITS, cancelled, |_| starts += 1, |_| ()).await;
        let kind = response.error.as_ref().map(|error| error.kind);
        assert_eq!(kind, Some(FailureKind::Cancelled), "{last}: {response:?}");
        assert_eq!(starts, usize::from(response.start.is_some()), "{last}");
        started[starts] += 1;
    }
    assert!(started[0] > 0 && started[1] > 0, "{started:?}");
}
