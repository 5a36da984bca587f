//! A closed loop: a fixed number of workers, each sends its next request when the last has ended.

use super::arrivals::ramped;
use super::workload::{Planned, Workload, sleep_or_shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A closed loop.
#[derive(Debug, Clone, Copy)]
pub struct ClosedLoop {
    /// How many requests run at once.
    pub workers: u64,
    /// Over this time the workers begin one by one; what they send meanwhile is not measured.
    pub ramp: Duration,
    /// For how long requests are sent after the ramp; `None` until there are no more.
    pub duration: Option<Duration>,
}

/// What the workers share: the times, and the numbers of the next requests.
struct Progress {
    began: Instant,
    next: AtomicU64,
    next_in_ramp: AtomicU64,
}

impl ClosedLoop {
    /// Runs the loop to its end. Returns how many measured requests were taken.
    pub async fn run<W: Workload>(self, workload: &Arc<W>) -> u64 {
        let progress =
            Arc::new(Progress { began: Instant::now(), next: AtomicU64::new(0), next_in_ramp: AtomicU64::new(0) });
        let mut running = JoinSet::new();
        for worker in 0..self.workers {
            let handle = workload.event_loops().of(worker).handle.clone();
            let work = self.work(worker, Arc::clone(workload), Arc::clone(&progress));
            running.spawn_on(work, &handle);
        }
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                workload.worker_failed(&error);
            }
        }
        progress.next.load(Ordering::Relaxed)
    }

    async fn work<W: Workload>(self, worker: u64, workload: Arc<W>, progress: Arc<Progress>) {
        let (shutdown, event_loop) = (workload.shutdown(), Arc::clone(workload.event_loops().of(worker)));
        let ramp_end = progress.began + self.ramp;
        let end = self.duration.map(|duration| ramp_end + duration);
        let begin = progress.began + ramped(self.ramp, worker, self.workers);
        if !self.ramp.is_zero() && !sleep_or_shutdown(shutdown, begin).await {
            return;
        }
        while !shutdown.is_requested() {
            let now = Instant::now();
            let in_ramp = now < ramp_end;
            if !in_ramp && end.is_some_and(|end| now >= end) {
                return;
            }
            let next = if in_ramp { &progress.next_in_ramp } else { &progress.next };
            match workload.request(in_ramp, next.fetch_add(1, Ordering::Relaxed)) {
                Planned::Request(request) => workload.send(&event_loop, request, None).await,
                Planned::Done => {}
                Planned::End => return,
            }
        }
    }
}
