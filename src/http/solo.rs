//! HTTP/1.1 over one connection, one request at a time.
//!
//! The protocol is ureq-proto's, which knows no sockets: it turns a request into bytes and bytes into an answer. Here is what lies
//! between it and a socket, in the task that waits for the answer: no other task stands between a read and its stamp, and what a
//! read brings is stamped before anything else is made of it. Bytes are read into the room of the thread, so that a connection
//! that waits holds nothing.

use super::wire::{Head, Read};
use crate::clock;
use bytes::{Buf, Bytes};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use std::cell::RefCell;
use std::error::Error;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use ureq_proto::BodyMode;
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};

/// How much one read may bring.
const READ_BYTES: usize = 16 << 10;

/// How long the head of an answer may be, and what stands between the pieces of a body.
const MOST_REST: usize = 64 << 10;

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room { read: vec![0; READ_BYTES], body: vec![0; READ_BYTES] });
}

/// Where the connections of a thread read to, one after another: as it came, and without its framing.
struct Room {
    read: Vec<u8>,
    body: Vec<u8>,
}

/// One connection, and the request on it.
pub struct Solo<S> {
    socket: S,
    stage: Stage,
    /// The last read that brought bytes.
    last: Read,
    /// What was read and waits for what follows it: the beginning of a head, or of what stands between the pieces of a body.
    rest: Vec<u8>,
    /// Whether something came with the head that nobody has looked at.
    with_head: bool,
    unsent: Option<Box<Unsent>>,
    /// Whether another request may follow, as far as is known.
    keeps: bool,
}

/// How far the exchange is.
enum Stage {
    /// There is none.
    Idle,
    /// The head of the answer is due.
    Head(Call<RecvResponse>),
    /// The body of the answer is due.
    Body(Call<RecvBody>),
}

/// What is still to be written of a request, and to be flushed, as TLS may hold it.
struct Unsent {
    head: Bytes,
    body: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Solo<S> {
    /// On a socket whose reads are stamped here.
    pub fn new(socket: S) -> Self {
        Self {
            socket,
            stage: Stage::Idle,
            last: Read::default(),
            rest: Vec::new(),
            with_head: false,
            unsent: None,
            keeps: true,
        }
    }

    /// The last read that brought bytes.
    pub fn last_read(&self) -> Read {
        self.last
    }

    /// Takes a request, to be written by [`Solo::poll_head`].
    ///
    /// # Errors
    /// When it is none that can be written.
    pub fn begin(&mut self, request: Request<Bytes>) -> io::Result<()> {
        let (mut parts, body) = request.into_parts();
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
        // What a proxy forwards names the whole address, and ureq-proto writes none but a path.
        let origin = parts.uri.scheme().zip(parts.uri.authority()).map(|(scheme, at)| format!("{scheme}://{at}"));
        let (head, call) = written(Request::from_parts(parts, ()), body.len()).map_err(malformed)?;
        let head = match origin.and_then(|origin| Some((head.iter().position(|byte| *byte == b' ')? + 1, origin))) {
            Some((at, origin)) => [&head[..at], origin.as_bytes(), &head[at..]].concat(),
            None => head,
        };
        self.unsent = Some(Box::new(Unsent { head: head.into(), body }));
        self.stage = Stage::Head(call);
        self.rest = Vec::new();
        Ok(())
    }

    /// Writes the request and reads the head of its answer.
    ///
    /// # Errors
    /// When the connection ends first, or what comes is not HTTP.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Head>> {
        // A server may answer what it does not read to the end, and then hang up on it: what it says counts. That it hung up is
        // seen when reading, too.
        let unwritten = write(&mut self.unsent, &mut self.socket, cx).err();
        ROOM.with_borrow_mut(|room| {
            loop {
                let Stage::Head(call) = &mut self.stage else {
                    return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
                };
                let fresh = ready!(read(&mut self.socket, &mut self.last, cx, &mut room.read))?;
                if fresh.is_empty() {
                    return Poll::Ready(Err(unwritten.unwrap_or_else(cut)));
                }
                self.rest.extend_from_slice(fresh);
                let answered = loop {
                    match call.try_response(&self.rest, false).map_err(malformed)? {
                        (used, Some(answer)) => break Some((used, answer)),
                        (0, None) => break None,
                        // What is only said in between, as `103 Early Hints`.
                        (used, None) => drop(self.rest.drain(..used)),
                    }
                };
                if let Some((used, answer)) = answered {
                    self.rest.drain(..used);
                    return Poll::Ready(self.answered(answer));
                }
                if self.rest.len() > MOST_REST {
                    return Poll::Ready(Err(malformed(format!("a head of more than {MOST_REST} bytes"))));
                }
            }
        })
    }

    /// The head is there.
    fn answered(&mut self, answer: Response<()>) -> io::Result<Head> {
        let (parts, ()) = answer.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(malformed("the server wants to speak another protocol"));
        }
        let Stage::Head(call) = std::mem::replace(&mut self.stage, Stage::Idle) else { return Err(cut()) };
        match call.proceed() {
            Some(RecvResponseResult::RecvBody(mut body)) => {
                // Else what came whole would be lost with what is broken behind it in the same read.
                body.stop_on_chunk_boundary(true);
                self.with_head = !self.rest.is_empty();
                self.stage = Stage::Body(body);
            }
            Some(RecvResponseResult::Cleanup(end)) => self.ended(end.must_close_connection()),
            Some(RecvResponseResult::Redirect(end)) => self.ended(end.must_close_connection()),
            None => return Err(cut()),
        }
        Ok(Head { status: parts.status, headers: parts.headers })
    }

    /// Reads once, and hands on what came of the body; `false` when it is over.
    ///
    /// # Errors
    /// When the connection ends before the body does, or its form is broken.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, take: &mut impl FnMut(Read, &[u8])) -> Poll<io::Result<bool>> {
        let Stage::Body(call) = &mut self.stage else { return Poll::Ready(Ok(false)) };
        if self.unsent.is_some() && write(&mut self.unsent, &mut self.socket, cx).is_err() {
            // It wants no more of the request.
            (self.unsent, self.keeps) = (None, false);
        }
        let over = ready!(ROOM.with_borrow_mut(|room| {
            let mut fresh: &[u8] = &[];
            if !std::mem::take(&mut self.with_head) {
                fresh = ready!(read(&mut self.socket, &mut self.last, cx, &mut room.read))?;
                if fresh.is_empty() {
                    // Without a length it is over when the connection is; and the last chunk may lack its last line.
                    let over = call.body_mode() == BodyMode::CloseDelimited || call.is_ended_chunked();
                    return Poll::Ready(if over { Ok(true) } else { Err(cut()) });
                }
                if !self.rest.is_empty() {
                    self.rest.extend_from_slice(fresh);
                }
            }
            let bytes = if self.rest.is_empty() { fresh } else { &self.rest };
            let mut used = 0;
            while used < bytes.len() {
                let (from, to) = call.read(&bytes[used..], &mut room.body).map_err(malformed)?;
                if to > 0 {
                    take(self.last, &room.body[..to]);
                }
                if from == 0 {
                    break;
                }
                used += from;
            }
            if used == bytes.len() {
                self.rest.clear();
            } else if self.rest.is_empty() {
                self.rest.extend_from_slice(&fresh[used..]);
            } else {
                self.rest.drain(..used);
            }
            if self.rest.len() > MOST_REST {
                return Poll::Ready(Err(malformed(format!("more than {MOST_REST} bytes between two pieces"))));
            }
            Poll::Ready(Ok(call.can_proceed() && call.body_mode() != BodyMode::CloseDelimited))
        }));
        match over {
            Ok(false) => return Poll::Ready(Ok(true)),
            Ok(true) => self.over(),
            Err(_) => (self.stage, self.keeps) = (Stage::Idle, false),
        }
        Poll::Ready(over.map(|_| false))
    }

    /// The body was read to its end.
    fn over(&mut self) {
        let Stage::Body(call) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        match call.proceed() {
            Some(RecvBodyResult::Cleanup(end)) => self.ended(end.must_close_connection()),
            Some(RecvBodyResult::Redirect(end)) => self.ended(end.must_close_connection()),
            None => self.keeps = false,
        }
    }

    /// The answer is over. What came behind it was not asked for, and what it did not wait for is not written any more.
    fn ended(&mut self, close: bool) {
        self.keeps &= !close && self.rest.is_empty() && self.unsent.is_none();
    }

    /// Whether it can carry another request: the answer was read to its end, and nothing, not even an end, came since.
    pub fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        let idle = matches!(self.stage, Stage::Idle) && self.keeps;
        idle && Pin::new(&mut self.socket).poll_read(cx, &mut ReadBuf::new(&mut [0])).is_pending()
    }
}

/// Writes what can be written now.
fn write(
    unsent: &mut Option<Box<Unsent>>,
    socket: &mut (impl AsyncWrite + Unpin),
    cx: &mut Context<'_>,
) -> io::Result<()> {
    let Some(Unsent { head, body }) = unsent.as_deref_mut() else { return Ok(()) };
    while head.has_remaining() || body.has_remaining() {
        let parts = [IoSlice::new(head), IoSlice::new(body)];
        let Poll::Ready(written) = Pin::new(&mut *socket).poll_write_vectored(cx, &parts) else { return Ok(()) };
        let written = written?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let of_head = written.min(head.len());
        head.advance(of_head);
        body.advance(written - of_head);
    }
    if Pin::new(socket).poll_flush(cx)?.is_ready() {
        *unsent = None;
    }
    Ok(())
}

/// Reads once, into the room of the thread. Nothing is the end of the connection.
fn read<'room>(
    socket: &mut (impl AsyncRead + Unpin),
    last: &mut Read,
    cx: &mut Context<'_>,
    room: &'room mut [u8],
) -> Poll<io::Result<&'room [u8]>> {
    let mut filled = ReadBuf::new(room);
    ready!(Pin::new(socket).poll_read(cx, &mut filled))?;
    let length = filled.filled().len();
    if length > 0 {
        *last = Read { ns: clock::mono_ns(), number: last.number + 1 };
    }
    Poll::Ready(Ok(&room[..length]))
}

/// The bytes of a request's head, and the exchange that waits for its answer. It is told at once that the body was sent: an answer
/// may come before it was, and is read then.
fn written(request: Request<()>, body: usize) -> Result<(Vec<u8>, Call<RecvResponse>), ureq_proto::Error> {
    // What a line of the head has besides its words is less than this.
    let words = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 8;
    let room = request.uri().path().len() + request.uri().query().map_or(0, str::len) + 64;
    let mut head = vec![0; room + request.headers().iter().map(words).sum::<usize>()];
    let mut call = Call::new(request)?.proceed();
    let length = call.write(&mut head)?;
    head.truncate(length);
    let call = match call.proceed()? {
        Some(SendRequestResult::SendBody(mut call)) => {
            call.consume_direct_write(body)?;
            call.proceed()
        }
        Some(SendRequestResult::RecvResponse(call)) => Some(call),
        // Nobody is asked whether to go on.
        Some(SendRequestResult::Await100(_)) | None => None,
    };
    Ok((head, call.ok_or(ureq_proto::Error::OutputOverflow)?))
}

/// What came is not HTTP.
fn malformed(why: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The connection ended too early.
fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "connection closed before message completed")
}
