use super::*;
use std::future::poll_fn;
use std::io::{Read as _, Write};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::task::Poll;

/// The preface of HTTP/2's own settings: an empty SETTINGS frame (RFC 9113, section 6.5).
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

fn call(url: &str) -> Call {
    Call {
        dialect: Dialect::Openai,
        url: url.to_owned(),
        body: Bytes::from_static(b"{\"this is\":\"the request\"}"),
        request_id: "r-1".into(),
        key: None,
        headers: Vec::new(),
        not_before_ns: None,
    }
}

const LIMITS: Limits =
    Limits { connect: TEN_SECONDS, idle: TEN_SECONDS, total: Duration::from_secs(20), text_bytes: 1 << 20 };
const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_request_is_with_the_server_before_anything_is_done_about_its_start() {
    for http2 in [None, Some(4)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (say, arrived) = channel();
        std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            if http2.is_some() {
                socket.write_all(&SETTINGS).unwrap();
            }
            let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
            while let Ok(n @ 1..) = socket.read(&mut piece) {
                heard.extend_from_slice(&piece[..n]);
                // The body goes as it is, over both.
                if heard.windows(11).any(|part| part == b"the request") {
                    let _ = say.send(());
                    return;
                }
            }
        });
        let connections = Connections::new(http2);
        let mut starts = Vec::new();
        // Who is told of the start holds up the event loop, and with it all that has not left by now.
        let on_start = |start| starts.push((start, arrived.recv_timeout(TEN_SECONDS)));
        let told = ask(&connections, &call(&url), LIMITS, std::future::pending(), on_start, |_| ()).await;
        assert!(told.error.is_some(), "the server says nothing");
        let [(start, Ok(()))] = starts[..] else { panic!("{http2:?}: {starts:?}") };
        assert_eq!(told.start.map(|stamp| stamp.mono_ns), Some(start.mono_ns));
    }
}

#[tokio::test]
async fn a_request_that_is_cancelled_as_soon_as_it_is_written_was_started_all_the_same() {
    for http2 in [None, Some(4)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                if http2.is_some() {
                    socket.write_all(&SETTINGS).unwrap();
                }
                open.push(socket);
            }
        });
        let mut started = [0, 0];
        // In each turn of the task, from the first on: some of them lie between the writing and the telling. Where the machine is
        // busy, nothing is written for many turns.
        let later = (5..25).map(|doubled| 1 << doubled);
        for last in (1..20).chain(later) {
            if last > 20 && started[1] > 0 {
                break;
            }
            let connections = Connections::new(http2);
            let (mut starts, mut turns) = (0, 0);
            let cancelled = poll_fn(move |cx| {
                turns += 1;
                cx.waker().wake_by_ref();
                if turns == last { Poll::Ready(()) } else { Poll::Pending }
            });
            let told = ask(&connections, &call(&url), LIMITS, cancelled, |_| starts += 1, |_| ()).await;
            let kind = told.error.as_ref().map(|error| error.kind);
            assert_eq!(kind, Some(FailureKind::Cancelled), "{http2:?} {last}: {told:?}");
            assert_eq!(starts, usize::from(told.start.is_some()), "{http2:?} {last}");
            started[starts] += 1;
        }
        assert!(started[0] > 0 && started[1] > 0, "{http2:?}: {started:?}");
    }
}
