//! A time limit on what a task waits for, over and over: one timer, whatever it is that comes in between.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// A time limit was passed.
#[derive(Debug)]
pub struct TimedOut;

/// The one timer of a request: it is set once and looked at when nothing else is to do, not set anew with each piece.
pub struct Timer {
    sleep: Pin<Box<Sleep>>,
    /// When it wakes this task, if it was set: at the requested moment or before. A copy of the timer's own deadline, whose memory is
    /// cold when a piece arrives.
    set: Option<Instant>,
}

impl Timer {
    /// A timer for moments until `at`.
    pub fn new(at: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(at)), set: None }
    }

    /// Ready once the moment has passed; wakes the task then or before.
    pub fn poll_past(&mut self, cx: &mut Context<'_>, moment: Instant) -> Poll<TimedOut> {
        // A task that has had its share of a turn, as one that a server floods, gets no answer of its timer.
        if Instant::now() >= moment {
            return Poll::Ready(TimedOut);
        }
        loop {
            if self.sleep.deadline() > moment {
                self.sleep.as_mut().reset(moment);
            }
            match self.sleep.as_mut().poll(cx) {
                Poll::Pending => {
                    self.set = Some(self.sleep.deadline());
                    return Poll::Pending;
                }
                Poll::Ready(()) if Instant::now() >= moment => return Poll::Ready(TimedOut),
                Poll::Ready(()) => self.sleep.as_mut().reset(moment),
            }
        }
    }

    /// The same for who has just done something else: as long as the alarm cannot have gone off meanwhile, it is not looked at.
    pub fn poll_past_when_busy(&mut self, cx: &mut Context<'_>, moment: Instant) -> Poll<TimedOut> {
        if self.set.is_some_and(|at| Instant::now() < at) { Poll::Pending } else { self.poll_past(cx, moment) }
    }

    /// The output of `other`, unless the moment passes first.
    pub async fn before<T>(
        &mut self,
        moment: Instant,
        mut other: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, TimedOut> {
        poll_fn(|cx| match other(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => self.poll_past(cx, moment).map(Err),
        })
        .await
    }
}
