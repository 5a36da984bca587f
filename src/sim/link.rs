//! The connection: where bytes really leave, and so the only place that can say when they did. It is also where a fault
//! can close a connection that the HTTP library would keep.

use super::truth::{Log, Truth};
use crate::clock::mono_ns;
use crate::locks::locked;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, Sleep, sleep};

#[derive(Debug, Default)]
struct State {
    truth: Option<Box<Truth>>,
    /// Chunks that were handed over and not yet written: deadline, tokens, whether reasoning.
    awaiting: Vec<(u64, u32, bool)>,
    /// The answer is complete, and the last write since then.
    closing: bool,
    last_ns: Option<u64>,
    gone: bool,
}

impl State {
    fn finish(&mut self, log: Option<&Log>) {
        if let (Some(mut truth), Some(log)) = (self.truth.take(), log) {
            if let Some(ns) = self.last_ns {
                truth.ended(ns);
            }
            log.write(&truth);
        }
        (self.closing, self.last_ns) = (false, None);
        self.awaiting.clear();
    }
}

/// The state that a connection shares with the request that it answers.
#[derive(Debug, Default)]
pub struct Link {
    log: Option<Arc<Log>>,
    state: Mutex<State>,
    severed: AtomicBool,
    closes: AtomicBool,
    /// How many requests it carried.
    requests: AtomicU64,
    /// The last bytes in either direction, on the monotonic clock.
    active_ns: AtomicU64,
    /// Who reads from the connection, and would sleep through its end.
    reader: Mutex<Option<Waker>>,
}

impl Link {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn new(log: Option<Arc<Log>>) -> Self {
        Self { log, active_ns: AtomicU64::new(mono_ns()), ..Self::default() }
    }

    /// The head of a request was read.
    pub fn begins(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests came on this connection, the present one included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn busy(&self) -> bool {
        let state = self.state();
        state.truth.is_some() && !state.closing
    }

    /// A request begins.
    pub fn open(&self, truth: Truth) {
        let mut state = self.state();
        state.finish(self.log.as_deref());
        state.truth = Some(Box::new(truth));
    }

    /// Notes something about the request that is being answered.
    pub fn note(&self, with: impl FnOnce(&mut Truth)) {
        if let Some(truth) = &mut self.state().truth {
            with(truth);
        }
    }

    /// The next bytes hold a chunk that was due at `due_ns`.
    pub fn chunk(&self, due_ns: u64, tokens: u32, reasoning: bool) {
        self.state().awaiting.push((due_ns, tokens, reasoning));
    }

    /// Nothing more will be handed over for this request, which ended as `outcome` says. Its record is written once
    /// the last byte has left, or at once when there is no connection any more.
    pub fn close(&self, outcome: &'static str) {
        let mut state = self.state();
        if state.closing {
            return;
        }
        state.closing = true;
        if let Some(truth) = &mut state.truth {
            truth.outcome = outcome;
        }
        if state.gone {
            state.finish(self.log.as_deref());
        }
    }

    /// Lets the connection die before its next byte.
    pub fn sever(&self) {
        self.severed.store(true, Ordering::Release);
    }

    /// Closes the connection, without a word, when the answer that is being written has left.
    pub fn close_after_answer(&self) {
        self.closes.store(true, Ordering::Release);
    }

    /// Bytes left at `now`.
    fn wrote(&self, now: u64) {
        self.active_ns.store(now, Ordering::Relaxed);
        let mut state = self.state();
        if state.truth.is_none() {
            return;
        }
        state.last_ns = Some(now);
        let State { truth, awaiting, .. } = &mut *state;
        if let Some(truth) = truth {
            awaiting.drain(..).for_each(|(due, tokens, reasoning)| truth.written(due, tokens, reasoning, now));
        }
    }

    fn flushed(&self) {
        let mut state = self.state();
        if state.closing && state.last_ns.is_some() && state.awaiting.is_empty() {
            state.finish(self.log.as_deref());
        }
        if self.closes.load(Ordering::Acquire) {
            let reader = locked(&self.reader).take();
            reader.into_iter().for_each(Waker::wake);
        }
    }

    fn gone(&self) {
        let mut state = self.state();
        state.gone = true;
        if state.closing {
            state.finish(self.log.as_deref());
        }
    }
}

/// A socket that stamps its writes.
#[derive(Debug)]
pub struct Wire {
    socket: TcpStream,
    link: Arc<Link>,
    /// How long it may be idle, and when that is looked at next.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl Wire {
    /// Whether nothing has come or gone for as long as a connection may be idle; wakes the reader when that will be so.
    fn idled_out(&mut self, cx: &mut Context<'_>) -> bool {
        let Some((limit, alarm)) = &mut self.idle else { return false };
        while alarm.as_mut().poll(cx).is_ready() {
            let idle_ns = mono_ns().saturating_sub(self.link.active_ns.load(Ordering::Relaxed));
            let left = limit.saturating_sub(Duration::from_nanos(idle_ns));
            let busy = self.link.busy();
            if left.is_zero() && !busy {
                return true;
            }
            alarm.as_mut().reset(Instant::now() + if busy { *limit } else { left });
        }
        false
    }

    fn dead(&self) -> io::Result<()> {
        if self.link.severed.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.link.gone();
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.link.closes.load(Ordering::Acquire) {
            return Poll::Ready(Ok(())); // the end of what the client sends, as far as we care
        }
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if read.is_ready() {
            self.link.active_ns.store(mono_ns(), Ordering::Relaxed);
        } else if self.idled_out(cx) {
            return Poll::Ready(Ok(()));
        } else {
            let mut reader = locked(&self.link.reader);
            if !reader.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *reader = Some(cx.waker().clone());
            }
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.dead()?;
        let n = ready!(Pin::new(&mut self.socket).poll_write(cx, buf))?;
        self.link.wrote(mono_ns());
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.dead()?;
        let n = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, bufs))?;
        self.link.wrote(mono_ns());
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.link.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Where an event loop gets its connections: each has come in at the one socket that listens, and stays in its loop.
#[derive(Debug)]
pub struct Door {
    /// Who is let in.
    pub guests: UnboundedReceiver<(std::net::TcpStream, SocketAddr)>,
    /// Where everybody came in.
    pub address: SocketAddr,
    /// Where the truth goes.
    pub log: Option<Arc<Log>>,
    /// How long a connection may be idle.
    pub idle_close: Option<Duration>,
}

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            // When nobody comes any more the loop ends, and this with it.
            let Some((socket, from)) = self.guests.recv().await else { std::future::pending().await };
            // A connection that is gone already fails at its first read.
            let Ok(socket) = TcpStream::from_std(socket) else { continue };
            let _ = socket.set_nodelay(true);
            let link = Link::new(self.log.clone());
            let idle = self.idle_close.map(|limit| (limit, Box::pin(sleep(limit))));
            return (Wire { socket, link: Arc::new(link), idle }, from);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The link of the connection that a request came on.
#[derive(Debug, Clone)]
pub struct On(pub Arc<Link>);

impl Connected<IncomingStream<'_, Door>> for On {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        On(stream.io().link.clone())
    }
}
