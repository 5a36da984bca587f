//! The shutdown of a run, in two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// How a run shuts down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Send no more requests; those in flight may finish.
    Graceful,
    /// Drop the requests in flight too.
    Immediate,
}

/// Requests the shutdown of a run, and tells whether it was requested. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct ShutdownSignal {
    graceful: CancellationToken,
    immediate: CancellationToken,
    requested: Arc<AtomicBool>,
}

impl ShutdownSignal {
    /// Requests a shutdown, which is never taken back. Returns whether it is the first request.
    pub fn request(&self, shutdown: Shutdown) -> bool {
        let first = !self.requested.swap(true, Ordering::Relaxed);
        self.graceful.cancel();
        if shutdown == Shutdown::Immediate {
            self.immediate.cancel();
        }
        first
    }

    /// Whether any shutdown was requested.
    pub fn is_requested(&self) -> bool {
        self.graceful.is_cancelled()
    }

    /// Waits for a shutdown of either kind.
    pub async fn requested(&self) {
        self.graceful.cancelled().await;
    }

    /// Waits for an immediate shutdown.
    pub async fn immediate(&self) {
        self.immediate.cancelled().await;
    }

    /// A signal that follows this one, for one event loop: requests check it with every chunk,
    /// and then no other thread touches its lock.
    pub fn child(&self) -> Self {
        Self {
            graceful: self.graceful.child_token(),
            immediate: self.immediate.child_token(),
            requested: Arc::clone(&self.requested),
        }
    }

    /// The token of either kind.
    pub fn token(&self, shutdown: Shutdown) -> &CancellationToken {
        match shutdown {
            Shutdown::Graceful => &self.graceful,
            Shutdown::Immediate => &self.immediate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn graceful_leaves_requests_in_flight_alone() {
        let signal = ShutdownSignal::default();
        let child = signal.child();
        assert!(!child.is_requested());
        assert!(signal.request(Shutdown::Graceful));
        child.requested().await;
        assert!(!child.token(Shutdown::Immediate).is_cancelled());
        assert!(!signal.request(Shutdown::Immediate));
        child.immediate().await;
        assert!(!signal.request(Shutdown::Graceful));
        assert!(child.token(Shutdown::Immediate).is_cancelled(), "never taken back");
    }
}
