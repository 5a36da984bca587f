use super::*;
use std::io::{Read as _, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// A server that reads one request and says these pieces, with a pause between them, and then hands out its socket.
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

fn request() -> Request<Bytes> {
    Request::post("/").header("host", "x").body(Bytes::from_static(b"{}")).unwrap()
}

async fn send(connection: &mut Connection) -> io::Result<Head> {
    connection.begin(request()).unwrap();
    let head = poll_fn(|cx| connection.poll_head(cx));
    tokio::time::timeout(10 * SECOND, head).await.unwrap()
}

async fn body(connection: &mut Connection) -> io::Result<String> {
    let mut said = Vec::new();
    while tokio::time::timeout(
        10 * SECOND,
        poll_fn(|cx| connection.poll_piece(cx, &mut |_: Read, bytes: &[u8]| said.extend_from_slice(bytes))),
    )
    .await
    .unwrap()?
    {}
    Ok(String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn answers_are_read_however_they_end_and_it_is_known_what_may_be_kept() {
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
        let mut connection = Connections::new(None).open(&uri, SECOND).await.unwrap();
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
async fn what_is_no_answer_is_refused() {
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
        let mut connection = Connections::new(None).open(&uri, SECOND).await.unwrap();
        std::thread::spawn(|| serving.join().unwrap().shutdown(Shutdown::Both));
        let refused = send(&mut connection).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{pieces:?}: {refused}");
    }
}

#[tokio::test]
async fn what_came_whole_is_handed_on_before_what_is_broken_behind_it() {
    let (uri, serving) =
        server(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\nzz\r\n"]);
    let mut connection = Connections::new(None).open(&uri, SECOND).await.unwrap();
    send(&mut connection).await.unwrap();
    let mut said = Vec::new();
    let piece = poll_fn(|cx| connection.poll_piece(cx, &mut |_: Read, bytes: &[u8]| said.extend_from_slice(bytes)));
    assert_eq!(piece.await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(said, b"hello!");
    drop(serving);
}

#[tokio::test]
async fn a_read_is_one_stamp_and_what_came_with_the_head_carries_the_stamp_of_the_head() {
    let (uri, serving) = server(&["HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab", "cdef"]);
    let mut connection = Connections::new(None).open(&uri, SECOND).await.unwrap();
    send(&mut connection).await.unwrap();
    let head = connection.last_read();
    let mut seen = Vec::new();
    while poll_fn(|cx| connection.poll_piece(cx, &mut |read: Read, bytes: &[u8]| seen.push((read, bytes.len()))))
        .await
        .unwrap()
    {}
    assert_eq!((seen[0], head.number), ((head, 2), 1));
    assert_eq!((seen[1].0.number, seen[1].1), (2, 4));
    assert!(seen[1].0.ns - head.ns > 10_000_000, "{seen:?}");
    drop(serving);
}

#[tokio::test]
async fn the_stamp_of_a_head_is_that_of_its_read_though_more_lies_in_the_socket() {
    // The head fills one read to its last byte, so that the next would bring the body at once.
    let begin = "HTTP/1.1 200 OK\r\ncontent-length: 40000\r\nx-pad: ";
    let pad = "x".repeat(16_384 - begin.len() - 4);
    let whole: &'static str = format!("{begin}{pad}\r\n\r\n{}", "y".repeat(40_000)).leak();
    let (uri, serving) = server(Vec::leak(vec![whole]));
    let mut connection = Connections::new(None).open(&uri, SECOND).await.unwrap();
    connection.begin(request()).unwrap();
    // Written, and then nobody looks until all has come.
    assert!(poll_fn(|cx| Poll::Ready(connection.poll_head(cx).is_pending())).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(10 * SECOND, poll_fn(|cx| connection.poll_head(cx))).await.unwrap().unwrap();
    assert_eq!(connection.last_read().number, 1);
    let (mut seen, mut bytes) = (1, 0);
    while poll_fn(|cx| {
        connection.poll_piece(cx, &mut |read: Read, piece: &[u8]| {
            assert!(read.number > seen, "each read is a piece of its own");
            (seen, bytes) = (read.number, bytes + piece.len());
        })
    })
    .await
    .unwrap()
    {}
    assert_eq!(bytes, 40_000);
    assert!(connection.is_usable().await);
    drop(serving);
}

#[tokio::test]
async fn a_request_into_a_connection_that_was_closed_meanwhile_fails_and_is_not_waited_for() {
    let (uri, serving) = server(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]);
    let mut connection = Connections::new(None).open(&uri, SECOND).await.unwrap();
    assert_eq!(send(&mut connection).await.unwrap().status, 200);
    assert!(connection.is_usable().await);
    serving.join().unwrap().shutdown(Shutdown::Both).unwrap();
    // The end has arrived, and nobody has looked.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(send(&mut connection).await.is_err());
}

#[tokio::test]
async fn an_answer_to_a_request_that_was_not_heard_to_its_end_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]).unwrap();
        socket.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno").unwrap();
        socket
    });
    let mut connection = Connections::new(None).open(&uri, SECOND).await.unwrap();
    let large = Bytes::from(vec![b'x'; 32 << 20]);
    connection.begin(Request::post("/").header("host", "x").body(large).unwrap()).unwrap();
    let head = tokio::time::timeout(10 * SECOND, poll_fn(|cx| connection.poll_head(cx))).await.unwrap().unwrap();
    assert_eq!(head.status, 413);
    assert_eq!(body(&mut connection).await.unwrap(), "no");
    assert!(!connection.is_usable().await);
    drop(serving);
}
