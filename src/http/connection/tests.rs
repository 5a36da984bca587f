use super::*;
use crate::http::proxy::host_and_port;
use crate::http::socket::Socket;
use http::Uri;
use std::io::{Read as _, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A server that reads one request, writes these pieces with a pause after each, and then returns its socket.
fn server(pieces: &'static [&'static str]) -> (Uri, JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 4096]).unwrap();
        for piece in pieces {
            socket.write_all(piece.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(30));
        }
        socket
    });
    (uri, serving)
}

async fn open(uri: &Uri) -> Connection {
    let (host, port) = host_and_port(uri);
    Connection::new(Transport::Plain(Socket::connect(host, port).await.unwrap()), None, 0.0)
}

fn request() -> Request<Bytes> {
    Request::post("/").header("host", "x").body(Bytes::from_static(b"{}")).unwrap()
}

async fn send(connection: &mut Connection) -> io::Result<Head> {
    connection.begin(request()).unwrap();
    let head = poll_fn(|cx| connection.poll_head(cx));
    tokio::time::timeout(10 * SECOND, head).await.unwrap()
}

/// Reads the body to its end; each piece with its stamp.
async fn pieces(connection: &mut Connection) -> io::Result<Vec<(ReadStamp, Vec<u8>)>> {
    let mut pieces = Vec::new();
    let mut take = |stamp: ReadStamp, bytes: &[u8]| pieces.push((stamp, bytes.to_vec()));
    while tokio::time::timeout(10 * SECOND, poll_fn(|cx| connection.poll_body(cx, &mut take))).await.unwrap()? {}
    Ok(pieces)
}

async fn body(connection: &mut Connection) -> io::Result<String> {
    let bytes = pieces(connection).await?.into_iter().flat_map(|(_, bytes)| bytes).collect();
    Ok(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn bodies_of_every_framing_are_read() {
    for (pieces, status, text, keeps) in [
        (&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe", "llo"][..], 200, Some("hello"), true),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], 200, Some(""), true),
        (&["HTTP/1.1 204 No Content\r\n\r\n"], 204, Some(""), true),
        (&["HTTP/1.1 200\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"], 200, Some("hi"), false),
        (&["HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi"], 200, Some("hi"), false),
        (&["HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi"], 200, Some("hi"), true),
        (&["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 500 No\nContent-Length: 2, 2\n\nno"], 500, Some("no"), true),
        (
            &["HTTP/1.1 200 OK\r\ntransfer-enc", "oding: chunked\r\n\r\n5\r", "\nhello\r\n1\r\n!\r", "\n0\r\n\r\n"],
            200,
            Some("hello!"),
            true,
        ),
        (&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nsurplus"], 200, Some(""), false),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi, surplus"], 200, Some("hi"), false),
        (&["HTTP/1.1 200 OK\r\n\r\nto the", " end"], 200, Some("to the end"), false),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut"], 200, None, false),
        (&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ncut"], 200, None, false),
        (&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n"], 200, None, false),
    ] {
        let (uri, serving) = server(pieces);
        let mut connection = open(&uri).await;
        assert_eq!(send(&mut connection).await.unwrap().status, status, "{pieces:?}");
        // Where the server's end matters it has to come.
        let ends = text.is_none() || pieces[0].ends_with("to the");
        let held = if ends {
            tokio::task::spawn_blocking(|| drop(serving.join())).await.map(|()| None).unwrap()
        } else {
            Some(serving)
        };
        assert_eq!(body(&mut connection).await.ok().as_deref(), text, "{pieces:?}");
        assert_eq!(connection.is_usable().await, keeps, "{pieces:?}");
        drop(held);
    }
}

#[tokio::test]
async fn malformed_heads_are_errors() {
    for (pieces, why) in [
        (&["SSH-2.0-OpenSSH_9.6\r\n\r\n"][..], "HTTP version"),
        (&["HTTP/1.1 abc\r\n\r\n"], "response status"),
        (&["HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"], "header name"),
        (&["HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n"], "content-length"),
        (&["HTTP/1.1 101 Switching\r\n\r\n"], "another protocol"),
        (&["HTTP/1.1 200 O"], "before message completed"),
        (&[], "before message completed"),
    ] {
        let (uri, serving) = server(pieces);
        let mut connection = open(&uri).await;
        std::thread::spawn(|| serving.join().unwrap().shutdown(Shutdown::Both));
        let error = send(&mut connection).await.unwrap_err();
        assert!(error.to_string().contains(why), "{pieces:?}: {error}");
    }
}

#[tokio::test]
async fn whole_chunks_before_a_broken_one_are_handed_on() {
    let (uri, serving) =
        server(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\nzz\r\n"]);
    let mut connection = open(&uri).await;
    send(&mut connection).await.unwrap();
    let mut received = Vec::new();
    let mut take = |_: ReadStamp, bytes: &[u8]| received.extend_from_slice(bytes);
    let error = poll_fn(|cx| connection.poll_body(cx, &mut take)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(received, b"hello!");
    drop(serving);
}

#[tokio::test]
async fn a_body_piece_with_the_head_has_the_stamp_of_the_head() {
    let (uri, serving) = server(&["HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab", "cdef"]);
    let mut connection = open(&uri).await;
    send(&mut connection).await.unwrap();
    let head = connection.last_read();
    let pieces = pieces(&mut connection).await.unwrap();
    assert_eq!((pieces[0].0, &*pieces[0].1, head.number), (head, &b"ab"[..], 1));
    assert_eq!((pieces[1].0.number, &*pieces[1].1), (2, &b"cdef"[..]));
    assert!(pieces[1].0.ns - head.ns > 10_000_000, "{pieces:?}");
    drop(serving);
}

#[tokio::test]
async fn the_head_is_stamped_by_its_own_read() {
    // The head fills one read to its last byte, so that the next would bring the body at once.
    let begin = "HTTP/1.1 200 OK\r\ncontent-length: 40000\r\nx-pad: ";
    let pad = "x".repeat(16_384 - begin.len() - 4);
    let whole: &'static str = format!("{begin}{pad}\r\n\r\n{}", "y".repeat(40_000)).leak();
    let (uri, serving) = server(Vec::leak(vec![whole]));
    let mut connection = open(&uri).await;
    connection.begin(request()).unwrap();
    // Written, and then nobody looks until all has come.
    assert!(poll_fn(|cx| Poll::Ready(connection.poll_head(cx).is_pending())).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(10 * SECOND, poll_fn(|cx| connection.poll_head(cx))).await.unwrap().unwrap();
    assert_eq!(connection.last_read().number, 1);
    let pieces = pieces(&mut connection).await.unwrap();
    let numbers: Vec<u64> = pieces.iter().map(|(stamp, _)| stamp.number).collect();
    assert!(numbers[0] > 1 && numbers.is_sorted_by(|a, b| a < b), "each read is a piece of its own: {numbers:?}");
    let bytes: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(bytes, 40_000);
    assert!(connection.is_usable().await);
    drop(serving);
}

#[tokio::test]
async fn a_request_on_a_closed_connection_fails_at_once() {
    let (uri, serving) = server(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]);
    let mut connection = open(&uri).await;
    assert_eq!(send(&mut connection).await.unwrap().status, 200);
    assert!(connection.is_usable().await);
    serving.join().unwrap().shutdown(Shutdown::Both).unwrap();
    // The end has arrived, and nobody has looked.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(send(&mut connection).await.is_err());
}

#[tokio::test]
async fn a_response_before_the_request_was_read_counts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]).unwrap();
        socket.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").unwrap();
        socket
    });
    let mut connection = open(&uri).await;
    let large = Bytes::from(vec![b'x'; 32 << 20]);
    connection.begin(Request::post("/").header("host", "x").body(large).unwrap()).unwrap();
    let head = tokio::time::timeout(10 * SECOND, poll_fn(|cx| connection.poll_head(cx))).await.unwrap().unwrap();
    assert_eq!(head.status, 413);
    assert_eq!(body(&mut connection).await.unwrap(), "no");
    assert!(!connection.is_usable().await);
    drop(serving);
}
