//! The interface between a load loop, which decides when to send, and what it sends.

use super::event_loop::{EventLoop, EventLoops};
use super::shutdown::ShutdownSignal;
use std::future::Future;
use std::sync::Arc;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until};

/// A request of a workload, by its number.
#[derive(Debug)]
pub enum Planned<R> {
    /// It is to be sent.
    Request(R),
    /// An earlier run has its result.
    Done,
    /// There are no more.
    End,
}

/// The requests of a load level.
pub trait Workload: Send + Sync + 'static {
    /// A request.
    type Request: Send + 'static;

    /// The `n`th request of the ramp, or of what is measured, from 0.
    fn request(&self, in_ramp: bool, n: u64) -> Planned<Self::Request>;

    /// Sends a request, not before `due_ns` of the monotonic clock, and waits for its result.
    fn send(
        &self,
        event_loop: &Arc<EventLoop>,
        request: Self::Request,
        due_ns: Option<u64>,
    ) -> impl Future<Output = ()> + Send;

    /// Reports a request that was due and is not sent.
    fn not_sent(&self, request: Self::Request, reason: String) -> impl Future<Output = ()> + Send;

    /// Reports a worker that panicked.
    fn worker_failed(&self, error: &JoinError);

    /// The shutdown of the run.
    fn shutdown(&self) -> &ShutdownSignal;

    /// The event loops that send.
    fn event_loops(&self) -> &EventLoops;
}

/// Sleeps until a moment; `false` when a shutdown was requested before it.
pub async fn sleep_or_shutdown(shutdown: &ShutdownSignal, moment: Instant) -> bool {
    tokio::select! {
        biased;
        () = shutdown.requested() => false,
        () = sleep_until(moment) => true,
    }
}
