//! The event loops of a run: a thread each, with its own connections and its own lateness.
//!
//! Loops share nothing that happens with each chunk: no task queue, no timers, no connections,
//! no lock. Requests are dealt out to the loops in turn when they begin, and stay.

use super::event_loop_lag::EventLoopLag;
use super::sched::{BATCH_STREAMS, SchedPolicy};
use super::shutdown::ShutdownSignal;
use crate::http::ConnectionPool;
use std::io;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// One event loop.
pub struct EventLoop {
    /// Spawns its tasks.
    pub handle: Handle,
    /// Its connections.
    pub connections: Arc<ConnectionPool>,
    /// Its lateness.
    pub lag: EventLoopLag,
    /// The shutdown of the run, as its requests see it.
    pub shutdown: ShutdownSignal,
    sched: Arc<SchedPolicy>,
    /// The loop ends when this is dropped.
    _alive: oneshot::Sender<()>,
}

/// The event loops of a run.
pub struct EventLoops(Vec<Arc<EventLoop>>);

impl EventLoops {
    /// Starts `n` event loops.
    ///
    /// # Errors
    /// When the system has no thread for one.
    pub fn start(n: usize, shutdown: &ShutdownSignal) -> io::Result<Self> {
        let first = ConnectionPool::new();
        let mut pools: Vec<ConnectionPool> = (1..n).map(|_| first.sibling()).collect();
        pools.push(first);
        let started = pools.into_iter().enumerate().map(|(number, connections)| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (alive, dropped) = oneshot::channel::<()>();
            std::thread::Builder::new().name(format!("loop-{number}")).spawn(move || {
                // Nothing is ever sent: this waits until the sender is dropped.
                let _ = runtime.block_on(dropped);
            })?;
            let lag = EventLoopLag::new(&handle);
            Ok(Arc::new(EventLoop {
                handle,
                connections: Arc::new(connections),
                lag,
                shutdown: shutdown.child(),
                sched: Arc::default(),
                _alive: alive,
            }))
        });
        let loops: Vec<_> = started.collect::<io::Result<_>>()?;
        EventLoopLag::measure(loops.iter().map(|event_loop| event_loop.lag.clone()).collect());
        Ok(Self(loops))
    }

    /// The number of loops.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The loop of the `n`th request or worker.
    pub fn of(&self, n: u64) -> &Arc<EventLoop> {
        &self.0[(n % self.0.len() as u64) as usize]
    }

    /// Sets the scheduling policy for this many concurrent streams over all loops.
    pub fn expect(&self, streams: u64) {
        let batch = streams / self.0.len() as u64 >= BATCH_STREAMS;
        for event_loop in &self.0 {
            let sched = Arc::clone(&event_loop.sched);
            event_loop.handle.spawn(async move { sched.set_batch(batch) });
        }
    }

    /// Iterates over the loops.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<EventLoop>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn loops_are_dealt_out_in_turn() {
        let loops = EventLoops::start(3, &ShutdownSignal::default()).unwrap();
        assert_eq!(loops.count(), 3);
        let ran = |n| {
            let name = || std::thread::current().name().map(str::to_owned);
            let (sender, receiver) = std::sync::mpsc::channel();
            loops.of(n).handle.spawn(async move { sender.send(name()) });
            receiver.recv_timeout(Duration::from_secs(10)).unwrap().unwrap()
        };
        assert_eq!([0, 1, 2, 3].map(ran), ["loop-0", "loop-1", "loop-2", "loop-0"]);
        assert_eq!(loops.iter().count(), 3);
    }
}
