//! HTTP/1.1 over one connection, for requests that are timed: written and read by hand, one request at a time.
//!
//! A general client hands each piece of a body from a connection's task to the reader's through a queue, and keeps a buffer for
//! every connection. Here the task that waits for the answer reads the socket itself, into a buffer that all connections of
//! its thread share, and what came is looked at where it lies. It refuses what a chat never needs: upgrades, requests without
//! a length, several requests on the way at once. Sources: RFC 9110, RFC 9112.

use super::chunked::Chunked;
use super::wire::{Head, Read, Reads};
use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use hyper::{Request, StatusCode};
use std::cell::RefCell;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much one read may bring.
const READ_BYTES: usize = 64 << 10;

/// The longest head of a response that is read.
const LONGEST_HEAD: usize = 256 << 10;

thread_local! {
    /// What every connection of this thread reads into.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// How the end of a body is known.
#[derive(Debug)]
enum Framing {
    /// There is nothing more of it.
    Over,
    /// So many bytes are still to come.
    Length(u64),
    /// It comes in chunks.
    Chunked(Chunked),
    /// It ends with the connection.
    Closes,
}

/// One connection.
pub struct Line<S> {
    socket: S,
    /// What of the request is not written yet: its head, its body.
    out: (Bytes, Bytes),
    /// The server takes no more of the request; what it says of that may still be read.
    deaf: Option<io::Error>,
    /// What was read and not looked at: the beginning of a head; bytes of a body that came with the head.
    held: Vec<u8>,
    framing: Framing,
    /// Whether it may carry another request.
    keep: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            out: (Bytes::new(), Bytes::new()),
            deaf: None,
            held: Vec::new(),
            framing: Framing::Over,
            keep: true,
        }
    }

    /// Takes a request, to be written by [`Line::poll_head`].
    pub fn begin(&mut self, request: Request<Bytes>) {
        let (parts, body) = request.into_parts();
        let mut head = Vec::with_capacity(512);
        // Memory takes everything.
        let _ = write!(head, "{} {} HTTP/1.1\r\n", parts.method, parts.uri);
        for (name, value) in &parts.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let _ = write!(head, "content-length: {}\r\n\r\n", body.len());
        self.out = (head.into(), body);
        self.held = Vec::new();
        self.keep = false;
    }

    fn unwritten(&self) -> bool {
        !(self.out.0.is_empty() && self.out.1.is_empty())
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.unwritten() {
            let parts = [IoSlice::new(&self.out.0), IoSlice::new(&self.out.1)];
            let parts = if self.out.0.is_empty() { &parts[1..] } else { &parts[..] };
            match Pin::new(&mut self.socket).poll_write_vectored(cx, parts)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(n) => {
                    let of_head = n.min(self.out.0.len());
                    let _ = self.out.0.split_to(of_head);
                    let _ = self.out.1.split_to(n - of_head);
                }
            }
        }
        // TLS may hold back the end; what is not out now goes with the next poll.
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Writes the request and reads the head of its answer.
    ///
    /// # Errors
    /// When the connection ends first, or what comes is not HTTP.
    pub fn poll_head(&mut self, cx: &mut Context<'_>, reads: &Reads) -> Poll<io::Result<Head>> {
        if self.deaf.is_none()
            && let Err(why) = self.write(cx)
        {
            self.deaf = Some(why);
            self.out = (Bytes::new(), Bytes::new());
        }
        loop {
            let n = BUFFER.with_borrow_mut(|buffer| -> Poll<io::Result<usize>> {
                let bytes = ready!(read(&mut self.socket, cx, buffer, reads))?;
                self.held.extend_from_slice(bytes);
                Poll::Ready(Ok(bytes.len()))
            });
            match ready!(n) {
                Ok(0) if self.held.is_empty() => {
                    let why = self.deaf.take();
                    return Poll::Ready(Err(why.unwrap_or_else(|| ended("the connection was closed"))));
                }
                Ok(0) => return Poll::Ready(Err(ended("the connection was closed within the head of the answer"))),
                Ok(_) => {}
                Err(why) => return Poll::Ready(Err(why)),
            }
            while let Some(end) = end_of_head(&self.held) {
                let (head, version_1_1) = parse(&self.held[..end])?;
                self.held.drain(..end);
                if head.status.is_informational() {
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        return Poll::Ready(Err(io::Error::other("the server wants to speak another protocol")));
                    }
                    continue;
                }
                let whole = !self.unwritten() && self.deaf.is_none();
                (self.framing, self.keep) = framing(&head, version_1_1)?;
                // Who answers before it has heard all will not take another request for one.
                self.keep &= whole;
                return Poll::Ready(Ok(head));
            }
            if self.held.len() > LONGEST_HEAD {
                return Poll::Ready(Err(io::Error::other("the head of the answer has no end")));
            }
        }
    }

    /// Reads once, and hands on what came of the body; `false` when the body is over.
    ///
    /// # Errors
    /// When the connection ends before the body does, or its form is broken.
    pub fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        reads: &Reads,
        take: &mut impl FnMut(Read, &[u8]),
    ) -> Poll<io::Result<bool>> {
        if !self.held.is_empty() {
            // It came with the head.
            let held = std::mem::take(&mut self.held);
            self.body(&held, reads.last(), take)?;
            return Poll::Ready(Ok(!self.over()));
        }
        if self.over() {
            return Poll::Ready(Ok(false));
        }
        BUFFER.with_borrow_mut(|buffer| {
            let bytes = ready!(read(&mut self.socket, cx, buffer, reads))?;
            if bytes.is_empty() {
                self.keep = false;
                return Poll::Ready(match self.framing {
                    Framing::Closes => {
                        self.framing = Framing::Over;
                        Ok(false)
                    }
                    _ => Err(ended("the connection was closed within the answer")),
                });
            }
            self.body(bytes, reads.last(), take)?;
            Poll::Ready(Ok(!self.over()))
        })
    }

    fn over(&self) -> bool {
        matches!(self.framing, Framing::Over)
    }

    fn body(&mut self, bytes: &[u8], read: Read, take: &mut impl FnMut(Read, &[u8])) -> io::Result<()> {
        let surplus = match &mut self.framing {
            Framing::Over => bytes,
            Framing::Closes => {
                take(read, bytes);
                return Ok(());
            }
            Framing::Length(left) => {
                let of_body = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= of_body as u64;
                if of_body > 0 {
                    take(read, &bytes[..of_body]);
                }
                if *left == 0 {
                    self.framing = Framing::Over;
                }
                &bytes[of_body..]
            }
            Framing::Chunked(chunks) => {
                let surplus = chunks.take(bytes, |bytes| take(read, bytes))?;
                if chunks.ended() {
                    self.framing = Framing::Over;
                }
                surplus
            }
        };
        // Nobody asked for more: whatever it is, the next answer cannot be told from it.
        self.keep &= surplus.is_empty();
        Ok(())
    }

    /// Whether it can carry another request: the answer was read to its end, and nothing, not even an end, came since.
    pub fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        self.keep
            && self.over()
            && self.held.is_empty()
            && Pin::new(&mut self.socket).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// Reads once; stamps what came before anybody looks at it. No bytes are the end.
fn read<'a>(
    socket: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &'a mut [u8],
    reads: &Reads,
) -> Poll<io::Result<&'a [u8]>> {
    let mut filled = ReadBuf::new(buffer);
    ready!(Pin::new(socket).poll_read(cx, &mut filled))?;
    let n = filled.filled().len();
    if n > 0 {
        reads.stamp();
    }
    Poll::Ready(Ok(&buffer[..n]))
}

fn ended(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

/// Where the head ends: behind the first empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = from + memchr::memchr(b'\n', &bytes[from..])?;
        // Some servers send an empty line before a head.
        if matches!(&bytes[from..end], b"" | b"\r") && !bytes[..from].trim_ascii().is_empty() {
            return Some(end + 1);
        }
        from = end + 1;
    }
}

/// The head, and whether its version is one that keeps connections unless it says otherwise.
fn parse(bytes: &[u8]) -> io::Result<(Head, bool)> {
    let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not an answer of HTTP: {what}"));
    let mut lines =
        bytes.trim_ascii_start().split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let rest = first.strip_prefix(b"HTTP/1.").ok_or_else(|| strange("it does not begin with HTTP/1"))?;
    let status = rest.get(1..5).filter(|text| text[0] == b' ').map(|text| &text[1..]);
    let status =
        status.and_then(|digits| StatusCode::from_bytes(digits).ok()).ok_or_else(|| strange("it has no status"))?;
    let mut headers = HeaderMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let colon = memchr::memchr(b':', line).ok_or_else(|| strange("a line of its head has no colon"))?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| strange("a name in its head is none"))?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
            .map_err(|_| strange("a value in its head is none"))?;
        headers.append(name, value);
    }
    Ok((Head { status, headers }, rest[0] != b'0'))
}

/// How the body ends, and whether the connection is kept then.
fn framing(head: &Head, version_1_1: bool) -> io::Result<(Framing, bool)> {
    let has = |name: &HeaderName, word: &str| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    let keep = if version_1_1 { !has(&CONNECTION, "close") } else { has(&CONNECTION, "keep-alive") };
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Framing::Over, keep));
    }
    if has(&TRANSFER_ENCODING, "chunked") {
        return Ok((Framing::Chunked(Chunked::default()), keep));
    }
    let mut lengths =
        head.headers.get_all(CONTENT_LENGTH).iter().flat_map(|value| value.as_bytes().split(|&b| b == b','));
    let Some(first) = lengths.next() else { return Ok((Framing::Closes, false)) };
    let length = std::str::from_utf8(first).ok().and_then(|text| text.trim().parse::<u64>().ok());
    match length {
        Some(0) => Ok((Framing::Over, keep)),
        Some(length) if lengths.all(|other| other.trim_ascii() == first.trim_ascii()) => {
            Ok((Framing::Length(length), keep))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the length of the answer is no number")),
    }
}
