//! Servers of HTTP/2 that end connections and streams: what they did not take is sent once more, and nothing else is. The server
//! here speaks in frames (RFC 9113), so that the test says what is refused, and when.

use super::one;
use crate::common::{Ran, command, run_with};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;

const STREAM: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of an answer and the first word of its body: `:status: 200` is one byte in HPACK.
fn begun(stream: u32) -> Vec<u8> {
    [frame(HEADERS, 4, stream, &[0x88]), frame(DATA, 0, stream, STREAM.as_bytes())].concat()
}

fn answer(stream: u32) -> Vec<u8> {
    [begun(stream), frame(DATA, 1, stream, END.as_bytes())].concat()
}

fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &reason.to_be_bytes())
}

fn leave(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), NO_ERROR.to_be_bytes()].concat())
}

/// What a server says when it has read a request: the number of its connection, from 0, and the streams of the requests that
/// came on it. `None` closes the connection.
type Script = fn(usize, &[u32]) -> Option<Vec<u8>>;

/// A server, and how many connections it took.
fn serving(script: Script) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::<AtomicUsize>::default();
    let taken = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let number = taken.fetch_add(1, Ordering::Relaxed);
            // What ends a connection is the client's leaving.
            std::thread::spawn(move || serve(stream.unwrap(), |came| script(number, came)).unwrap_or_default());
        }
    });
    (url, count)
}

fn serve(mut socket: TcpStream, script: impl Fn(&[u32]) -> Option<Vec<u8>>) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    socket.read_exact(&mut [0; 24])?;
    socket.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let mut came = Vec::new();
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        socket.read_exact(&mut payload)?;
        match kind {
            SETTINGS | PING if flags & 1 == 0 => {
                socket.write_all(&frame(kind, 1, 0, if kind == PING { &payload } else { &[] }))?;
            }
            HEADERS | DATA if flags & 1 == 1 => {
                came.push(u32::from_be_bytes(stream));
                match script(&came) {
                    Some(said) => socket.write_all(&said)?,
                    None => return Ok(()),
                }
            }
            _ => {}
        }
    }
}

fn ask(url: &str, concurrency: &str, requests: &str) -> Ran {
    let mut ask = command("llm-run");
    ask.args(["--source", "openai", "--base-url", url, "--prompt", "x", "--retries", "0", "--http2", "--threads", "1"]);
    ask.args(["--concurrency", concurrency, "--requests", requests, "--timeout", "20s"]);
    run_with(ask, "m\n")
}

fn sent_again(result: &Value) -> bool {
    result["warnings"].as_array().is_some_and(|words| words.contains(&"reused_connection_died".into()))
}

#[test]
fn what_a_server_that_leaves_did_not_take_is_sent_once_more_on_a_fresh_connection() {
    let scripts: [(&str, Script, usize, usize); 3] = [
        (
            // Of four it answers two, and says so when all four are there.
            "the streams above the last one",
            |number, came| {
                Some(match (number, came.len()) {
                    (0, 4) => [leave(came[1]), answer(came[0]), answer(came[1])].concat(),
                    (0, _) => Vec::new(),
                    _ => answer(came[came.len() - 1]),
                })
            },
            2,
            2,
        ),
        (
            "a stream that is refused",
            |number, came| {
                let last = came[came.len() - 1];
                Some(if number == 0 && came.len() == 2 { reset(last, REFUSED_STREAM) } else { answer(last) })
            },
            1,
            2,
        ),
        (
            // Four streams, and none of them taken.
            "all of them",
            |number, came| {
                Some(match (number, came.len()) {
                    (0, 4) => leave(0),
                    (0, _) => Vec::new(),
                    _ => answer(came[came.len() - 1]),
                })
            },
            4,
            2,
        ),
    ];
    for (what, script, again, connections) in scripts {
        let (url, count) = serving(script);
        let ran = ask(&url, "4", "12").exits(0);
        let results = ran.of_type("result");
        assert_eq!(results.len(), 12, "{what}");
        assert!(results.iter().all(|result| result["error"].is_null() && result.get("attempts").is_none()), "{what}");
        assert_eq!(results.iter().filter(|result| sent_again(result)).count(), again, "{what}: {}", ran.stdout);
        assert_eq!(ran.of_type("start").len(), 12 + again, "{what}: both sendings are told");
        assert_eq!(count.load(Ordering::Relaxed), connections, "{what}: one fresh connection is enough for all");
    }
}

#[test]
fn a_connection_that_its_server_leaves_takes_no_new_streams() {
    // Three requests a connection, as servers do that change them from time to time.
    let (url, count) = serving(|_, came| {
        let last = came[came.len() - 1];
        Some(if came.len() == 3 { [leave(last), answer(last)].concat() } else { answer(last) })
    });
    let ran = ask(&url, "1", "9").exits(0);
    assert_eq!(ran.of_type("result").iter().filter(|result| sent_again(result)).count(), 0, "{}", ran.stdout);
    assert_eq!((ran.of_type("start").len(), count.load(Ordering::Relaxed)), (9, 3));
}

#[test]
fn what_is_not_taken_twice_has_failed_and_what_may_have_been_is_not_sent_again() {
    let never: Script = |_, came| Some(reset(came[came.len() - 1], REFUSED_STREAM));
    let leaves: Script = |_, _| Some(leave(0));
    for script in [never, leaves] {
        let (url, count) = serving(script);
        let ran = ask(&url, "1", "1").exits(1);
        let result = one(&ran);
        assert_eq!(result["error"]["message"], "the server did not take the request", "{result}");
        assert_eq!((&result["error"]["kind"], ran.of_type("start").len()), (&"protocol".into(), 2));
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
    // It took the stream, and then closed the connection.
    let taken: Script = |_, came| if came.len() == 1 { Some(leave(came[0])) } else { None };
    let closes: Script = |_, _| None;
    for script in [taken, closes] {
        let (url, _) = serving(script);
        let mut ask = command("llm-run");
        ask.args(["--source", "openai", "--base-url", &url, "--prompt", "x", "--retries", "0", "--http2"]);
        let ran = run_with(
            {
                ask.args(["--timeout", "2s"]);
                ask
            },
            "m\n",
        )
        .exits(1);
        assert_eq!(ran.of_type("start").len(), 1, "{}", ran.stdout);
        let message = one(&ran)["error"]["message"].to_string();
        assert!(!message.contains("not a result of an error"), "{message}");
    }
}

#[test]
fn a_stream_that_is_broken_off_is_not_blamed_on_the_connection() {
    let unread: Script = |_, came| Some(reset(came[0], INTERNAL_ERROR));
    let nameless: Script = |_, came| Some(reset(came[0], NO_ERROR));
    let midway: Script = |_, came| Some([begun(came[0]), reset(came[0], INTERNAL_ERROR)].concat());
    for (script, kind, text) in [
        (unread, "protocol", "the stream broke before any answer: stream error received: unexpected internal error"),
        (nameless, "protocol", "the stream broke before any answer"),
        (
            midway,
            "truncated",
            "the stream broke in the middle of the answer: stream error received: unexpected internal",
        ),
    ] {
        let (url, _) = serving(script);
        let error = one(&ask(&url, "1", "1").exits(1))["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert!(error["kind"] == kind && message.starts_with(text) && !message.contains("not a result"), "{error}");
    }
}
