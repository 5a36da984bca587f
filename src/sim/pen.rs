//! A response body written by a plain sequence of awaits: the writer waits for its deadlines, hands over bytes, and is
//! dropped, where it stands, when the client leaves. No task of its own, no channel.

use crate::locks::locked;
use bytes::Bytes;
use futures_util::Stream;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

type Slot = Arc<Mutex<Option<Bytes>>>;

/// What the writer writes with.
#[derive(Debug)]
pub struct Pen(Slot);

impl Pen {
    /// Hands over `bytes`; returns when the server has taken them.
    pub async fn write(&self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return;
        }
        *locked(&self.0) = Some(bytes);
        // Whoever takes the bytes polls again: that is how streams are read, so nobody needs to be woken.
        poll_fn(|_| if locked(&self.0).is_some() { Poll::Pending } else { Poll::Ready(()) }).await;
    }
}

/// The body that a writer writes. An error from the writer breaks the connection.
pub struct Script {
    writer: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
    slot: Slot,
}

impl Script {
    /// The body that the future made by `writer` writes.
    pub fn new<F>(writer: impl FnOnce(Pen) -> F) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let slot = Slot::default();
        Self { writer: Some(Box::pin(writer(Pen(slot.clone())))), slot }
    }
}

impl Stream for Script {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(writer) = &mut self.writer else { return Poll::Ready(None) };
        let done = writer.as_mut().poll(context);
        let bytes = locked(&self.slot).take();
        match (bytes, done) {
            (Some(bytes), _) => Poll::Ready(Some(Ok(bytes))),
            (None, Poll::Pending) => Poll::Pending,
            (None, Poll::Ready(end)) => {
                self.writer = None;
                Poll::Ready(end.err().map(Err))
            }
        }
    }
}
