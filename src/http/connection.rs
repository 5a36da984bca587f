//! One HTTP/1.1 connection, one request at a time.
//!
//! The protocol is ureq-proto's, which knows no sockets: it turns a request into bytes and bytes into a response. This file connects
//! it with a [`Transport`], in the task that waits for the response: no other task stands between a read and its stamp. Bytes are read
//! into buffers of the thread, so that a connection that waits holds none.

use super::proxy::ForwardProxy;
use super::socket::ReadStamp;
use super::transport::Transport;
use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use std::cell::RefCell;
use std::error::Error;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use ureq_proto::BodyMode;
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};

/// The most bytes of one read.
const READ_BYTES: usize = 16 << 10;

/// The longest head of a response, and the longest framing between two pieces of a body.
const MAX_PENDING: usize = 64 << 10;

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers { raw: vec![0; READ_BYTES], body: vec![0; READ_BYTES] });
}

/// The buffers that all connections of a thread read into: bytes as received, and the body without its framing.
struct Buffers {
    raw: Vec<u8>,
    body: Vec<u8>,
}

/// The head of a response.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// One open connection and the exchange on it.
pub struct Connection {
    transport: Transport,
    state: State,
    /// The last read that returned bytes of a response.
    last_read: ReadStamp,
    /// Bytes that were read and are incomplete: the start of a head, or of the framing between two pieces of a body.
    pending: Vec<u8>,
    /// Whether `pending` holds the start of a body that came with the head.
    body_pending: bool,
    unsent: Option<Box<Unsent>>,
    /// Whether another request may follow, as far as is known.
    keeps_alive: bool,
    used: bool,
    opened_seconds: f64,
    forward: Option<Box<ForwardProxy>>,
}

/// The state of the exchange.
enum State {
    /// There is none.
    Idle,
    /// The head of the response is due.
    Head(Call<RecvResponse>),
    /// The body of the response is due.
    Body(Call<RecvBody>),
}

/// The part of a request that is not written yet, or not flushed, as TLS may hold it back.
struct Unsent {
    head: Bytes,
    body: Bytes,
}

impl Connection {
    /// A connection that took `opened_seconds` to open, and whose requests go to a proxy that forwards them where there is one.
    pub fn new(transport: Transport, forward: Option<ForwardProxy>, opened_seconds: f64) -> Self {
        Self {
            transport,
            state: State::Idle,
            last_read: ReadStamp::default(),
            pending: Vec::new(),
            body_pending: false,
            unsent: None,
            keeps_alive: true,
            used: false,
            opened_seconds,
            forward: forward.map(Box::new),
        }
    }

    /// Whether it carried a request before.
    pub fn used(&self) -> bool {
        self.used
    }

    /// How long opening it took, TLS included, in seconds.
    pub fn opened_seconds(&self) -> f64 {
        self.opened_seconds
    }

    /// The last read that returned bytes of a response; what TLS alone reads, as its handshake, is none.
    pub fn last_read(&self) -> ReadStamp {
        self.last_read
    }

    /// Takes a request with a path and a `host` header, to be written by [`Connection::poll_head`].
    ///
    /// # Errors
    /// When the request cannot be written as HTTP.
    pub fn begin(&mut self, mut request: Request<Bytes>) -> io::Result<()> {
        self.used = true;
        if let Some(forward) = &self.forward {
            forward.address(&mut request);
        }
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
        // A request to a forwarding proxy names the whole URL, and ureq-proto writes the path only.
        let origin = parts.uri.scheme().zip(parts.uri.authority()).map(|(scheme, at)| format!("{scheme}://{at}"));
        let (head, call) = serialize(Request::from_parts(parts, ()), body.len()).map_err(malformed)?;
        let head = match origin.and_then(|origin| Some((head.iter().position(|byte| *byte == b' ')? + 1, origin))) {
            Some((at, origin)) => [&head[..at], origin.as_bytes(), &head[at..]].concat(),
            None => head,
        };
        self.unsent = Some(Box::new(Unsent { head: head.into(), body }));
        self.state = State::Head(call);
        self.pending = Vec::new();
        Ok(())
    }

    /// Writes the request and reads the head of its response.
    ///
    /// # Errors
    /// When the connection ends first, or what comes is not HTTP.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Head>> {
        // A server may respond before it has read the request, and then close: its response counts. That it closed shows when
        // reading, too.
        let write_error = write(&mut self.unsent, &mut self.transport, cx).err();
        BUFFERS.with_borrow_mut(|buffers| {
            loop {
                let State::Head(call) = &mut self.state else {
                    return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
                };
                let (bytes, stamp) = ready!(self.transport.read(cx, &mut buffers.raw))?;
                if bytes.is_empty() {
                    return Poll::Ready(Err(write_error.unwrap_or_else(closed_early)));
                }
                self.last_read = stamp;
                self.pending.extend_from_slice(bytes);
                let parsed = loop {
                    match call.try_response(&self.pending, false).map_err(malformed)? {
                        (used, Some(response)) => break Some((used, response)),
                        (0, None) => break None,
                        // An interim response, as `103 Early Hints`.
                        (used, None) => drop(self.pending.drain(..used)),
                    }
                };
                if let Some((used, response)) = parsed {
                    self.pending.drain(..used);
                    return Poll::Ready(self.take_head(response));
                }
                if self.pending.len() > MAX_PENDING {
                    return Poll::Ready(Err(malformed(format!("a head of more than {MAX_PENDING} bytes"))));
                }
            }
        })
    }

    fn take_head(&mut self, response: Response<()>) -> io::Result<Head> {
        let (parts, ()) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(malformed("the server wants to speak another protocol"));
        }
        let State::Head(call) = std::mem::replace(&mut self.state, State::Idle) else { return Err(closed_early()) };
        match call.proceed() {
            Some(RecvResponseResult::RecvBody(mut body)) => {
                // Without this a broken chunk would take the whole chunks before it in the same read along.
                body.stop_on_chunk_boundary(true);
                self.body_pending = !self.pending.is_empty();
                self.state = State::Body(body);
            }
            Some(RecvResponseResult::Cleanup(end)) => self.finish_exchange(end.must_close_connection()),
            Some(RecvResponseResult::Redirect(end)) => self.finish_exchange(end.must_close_connection()),
            None => return Err(closed_early()),
        }
        Ok(Head { status: parts.status, headers: parts.headers })
    }

    /// Reads once and hands the pieces of the body to `take`, each with the stamp of its read; `false` when the body is over.
    ///
    /// # Errors
    /// When the connection ends before the body does, or its framing is broken.
    pub fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(ReadStamp, &[u8]),
    ) -> Poll<io::Result<bool>> {
        if !matches!(self.state, State::Body(_)) {
            return Poll::Ready(Ok(false));
        }
        if self.unsent.is_some() && write(&mut self.unsent, &mut self.transport, cx).is_err() {
            // The server reads no more of the request.
            (self.unsent, self.keeps_alive) = (None, false);
        }
        let over = ready!(BUFFERS.with_borrow_mut(|buffers| self.read_body(cx, buffers, take)));
        match over {
            Ok(false) => return Poll::Ready(Ok(true)),
            Ok(true) => self.finish_body(),
            Err(_) => (self.state, self.keeps_alive) = (State::Idle, false),
        }
        Poll::Ready(over.map(|_| false))
    }

    /// One read of the body; whether the body is over.
    fn read_body(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut Buffers,
        take: &mut impl FnMut(ReadStamp, &[u8]),
    ) -> Poll<io::Result<bool>> {
        let State::Body(call) = &mut self.state else { return Poll::Ready(Ok(true)) };
        let mut fresh: &[u8] = &[];
        if !std::mem::take(&mut self.body_pending) {
            let (bytes, stamp) = ready!(self.transport.read(cx, &mut buffers.raw))?;
            if bytes.is_empty() {
                // A body without a length ends with its connection; and the last chunk may lack its last line.
                let over = call.body_mode() == BodyMode::CloseDelimited || call.is_ended_chunked();
                return Poll::Ready(if over { Ok(true) } else { Err(closed_early()) });
            }
            (fresh, self.last_read) = (bytes, stamp);
            if !self.pending.is_empty() {
                self.pending.extend_from_slice(fresh);
            }
        }
        let bytes = if self.pending.is_empty() { fresh } else { &self.pending };
        let mut used = 0;
        while used < bytes.len() {
            let (consumed, length) = call.read(&bytes[used..], &mut buffers.body).map_err(malformed)?;
            if length > 0 {
                take(self.last_read, &buffers.body[..length]);
            }
            if consumed == 0 {
                break;
            }
            used += consumed;
        }
        if used == bytes.len() {
            self.pending.clear();
        } else if self.pending.is_empty() {
            self.pending.extend_from_slice(&fresh[used..]);
        } else {
            self.pending.drain(..used);
        }
        if self.pending.len() > MAX_PENDING {
            return Poll::Ready(Err(malformed(format!("more than {MAX_PENDING} bytes between two pieces"))));
        }
        Poll::Ready(Ok(call.can_proceed() && call.body_mode() != BodyMode::CloseDelimited))
    }

    fn finish_body(&mut self) {
        let State::Body(call) = std::mem::replace(&mut self.state, State::Idle) else { return };
        match call.proceed() {
            Some(RecvBodyResult::Cleanup(end)) => self.finish_exchange(end.must_close_connection()),
            Some(RecvBodyResult::Redirect(end)) => self.finish_exchange(end.must_close_connection()),
            None => self.keeps_alive = false,
        }
    }

    /// The response is over. Bytes behind it, or a request that it did not wait for, leave the connection in an unknown state.
    fn finish_exchange(&mut self, close: bool) {
        self.keeps_alive &= !close && self.pending.is_empty() && self.unsent.is_none();
    }

    /// Whether it can carry another request, as far as can be seen without waiting: the response was read to its end, and nothing, not
    /// even an end, came since.
    pub async fn is_usable(&mut self) -> bool {
        let idle = matches!(self.state, State::Idle) && self.keeps_alive;
        idle && poll_fn(|cx| Poll::Ready(self.transport.read(cx, &mut [0]).is_pending())).await
    }
}

/// Writes what can be written now.
fn write(unsent: &mut Option<Box<Unsent>>, transport: &mut Transport, cx: &mut Context<'_>) -> io::Result<()> {
    let Some(Unsent { head, body }) = unsent.as_deref_mut() else { return Ok(()) };
    while head.has_remaining() || body.has_remaining() {
        let slices = [IoSlice::new(head), IoSlice::new(body)];
        let Poll::Ready(written) = transport.poll_write(cx, &slices) else { return Ok(()) };
        let written = written?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_head = written.min(head.len());
        head.advance(of_head);
        body.advance(written - of_head);
    }
    if transport.poll_flush(cx)?.is_ready() {
        *unsent = None;
    }
    Ok(())
}

/// The bytes of a request's head, and the exchange that waits for its response. ureq-proto is told at once that the body was sent: a
/// response may come before that, and is read then.
fn serialize(request: Request<()>, body: usize) -> Result<(Vec<u8>, Call<RecvResponse>), ureq_proto::Error> {
    // A line of the head has less than this besides its name and value.
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 8;
    let first_line = request.uri().path().len() + request.uri().query().map_or(0, str::len) + 64;
    let mut head = vec![0; first_line + request.headers().iter().map(line).sum::<usize>()];
    let mut call = Call::new(request)?.proceed();
    let length = call.write(&mut head)?;
    head.truncate(length);
    let call = match call.proceed()? {
        Some(SendRequestResult::SendBody(mut call)) => {
            call.consume_direct_write(body)?;
            call.proceed()
        }
        Some(SendRequestResult::RecvResponse(call)) => Some(call),
        // No request here expects `100 Continue`.
        Some(SendRequestResult::Await100(_)) | None => None,
    };
    Ok((head, call.ok_or(ureq_proto::Error::OutputOverflow)?))
}

/// What came is not HTTP.
fn malformed(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn closed_early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed before message completed")
}

#[cfg(test)]
mod tests;
