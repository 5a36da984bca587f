//! An open loop: each request is sent when it is due, whatever the server does. One that finds no
//! room waits, and its waiting is recorded.

use super::arrivals::{Arrival, Arrivals};
use super::workload::{Planned, Workload, sleep_or_shutdown};
use crate::clock;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// An open loop.
#[derive(Debug, Clone, Copy)]
pub struct OpenLoop {
    /// Requests per second.
    pub rate: f64,
    /// Their spacing.
    pub arrival: Arrival,
    /// Seed of random arrivals.
    pub seed: u64,
    /// The most requests at once.
    pub max_in_flight: u64,
    /// Over this time the rate rises; what is sent meanwhile is not measured.
    pub ramp: Duration,
    /// For how long requests are sent after the ramp; `None` until there are no more.
    pub duration: Option<Duration>,
    /// How long before its time a request gets its connection.
    pub lead: Duration,
}

/// What became of the arrivals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenLoopCounts {
    /// Arrivals that were measured, those included that were not sent.
    pub measured: u64,
    /// Arrivals in the ramp.
    pub in_ramp: u64,
    /// Arrivals that were due before a shutdown and were not sent.
    pub due_at_shutdown: u64,
    /// Arrivals that found no room before the time was over.
    pub no_room: u64,
}

impl OpenLoopCounts {
    fn taken(&mut self, in_ramp: bool) -> &mut u64 {
        if in_ramp { &mut self.in_ramp } else { &mut self.measured }
    }
}

impl OpenLoop {
    /// Runs the loop to its end.
    pub async fn run<W: Workload>(self, workload: &Arc<W>) -> OpenLoopCounts {
        let mut run = Run::new(self, workload);
        let end = self.duration.map(|duration| self.ramp + duration);
        for offset in Arrivals::new(self.rate, self.arrival, self.ramp, self.seed) {
            if end.is_some_and(|end| offset >= end) || !run.arrival(offset, end).await {
                break;
            }
        }
        if run.counts.measured == 0
            && let Some(end) = end
        {
            // That nothing arrived is known when the time is over, and not before.
            sleep_or_shutdown(workload.shutdown(), run.began + end).await;
        }
        while let Some(ended) = run.running.join_next().await {
            report(&**workload, ended);
        }
        run.counts
    }
}

/// An open loop that runs.
struct Run<'a, W> {
    open_loop: OpenLoop,
    workload: &'a Arc<W>,
    began: Instant,
    began_ns: u64,
    room: Arc<Semaphore>,
    running: JoinSet<()>,
    counts: OpenLoopCounts,
    shutdown_at: Option<Instant>,
}

impl<'a, W: Workload> Run<'a, W> {
    fn new(open_loop: OpenLoop, workload: &'a Arc<W>) -> Self {
        let OpenLoop { lead, max_in_flight, .. } = open_loop;
        let permits = usize::try_from(max_in_flight).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            open_loop,
            workload,
            began: Instant::now() + lead,
            began_ns: clock::mono_ns() + nanoseconds(lead),
            room: Arc::new(Semaphore::new(permits)),
            running: JoinSet::new(),
            counts: OpenLoopCounts::default(),
            shutdown_at: None,
        }
    }

    /// Sends the next request when it is due; `false` when there are no more.
    async fn arrival(&mut self, offset: Duration, end: Option<Duration>) -> bool {
        let in_ramp = offset < self.open_loop.ramp;
        let request = match self.workload.request(in_ramp, *self.counts.taken(in_ramp)) {
            Planned::Request(request) => Some(request),
            Planned::Done => None,
            Planned::End => return false,
        };
        let (shutdown, due) = (self.workload.shutdown(), self.began + offset);
        if self.shutdown_at.is_none() && !sleep_or_shutdown(shutdown, due - self.open_loop.lead).await {
            self.shutdown_at = Some(Instant::now());
        }
        let over = sleep_until_some(end.map(|end| self.began + end));
        let reason = match first(shutdown.requested(), Arc::clone(&self.room).acquire_owned(), over).await {
            Admission::Room(permit) => {
                let Ok(permit) = permit else { return false };
                *self.counts.taken(in_ramp) += 1;
                if let Some(request) = request {
                    self.spawn(request, offset, permit);
                }
                return true;
            }
            Admission::Shutdown => {
                if due > *self.shutdown_at.get_or_insert_with(Instant::now) {
                    // It was not due yet, only planned.
                    return false;
                }
                self.counts.due_at_shutdown += 1;
                "not sent: it was due, and the run was stopped before it had room".to_owned()
            }
            Admission::End => {
                self.counts.no_room += 1;
                let most = self.open_loop.max_in_flight;
                format!("not sent: no room among {most} at once before the time was over")
            }
        };
        *self.counts.taken(in_ramp) += 1;
        if let Some(request) = request {
            self.workload.not_sent(request, reason).await;
        }
        true
    }

    fn spawn(&mut self, request: W::Request, offset: Duration, permit: OwnedSemaphorePermit) {
        let (workload, due_ns) = (Arc::clone(self.workload), self.began_ns + nanoseconds(offset));
        let number = self.counts.measured + self.counts.in_ramp;
        let event_loop = Arc::clone(workload.event_loops().of(number));
        let handle = event_loop.handle.clone();
        let send = async move {
            workload.send(&event_loop, request, Some(due_ns)).await;
            drop(permit);
        };
        self.running.spawn_on(send, &handle);
        while let Some(ended) = self.running.try_join_next() {
            report(&**self.workload, ended);
        }
    }
}

fn report(workload: &impl Workload, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        workload.worker_failed(&error);
    }
}

/// What an arrival gets first.
#[derive(Debug, PartialEq)]
enum Admission<T> {
    Shutdown,
    Room(T),
    End,
}

/// Of several at once a shutdown goes first, and room before the end of the time.
async fn first<T>(
    shutdown: impl Future<Output = ()>,
    room: impl Future<Output = T>,
    end: impl Future<Output = ()>,
) -> Admission<T> {
    tokio::select! {
        biased;
        () = shutdown => Admission::Shutdown,
        permit = room => Admission::Room(permit),
        () = end => Admission::End,
    }
}

async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[tokio::test]
    async fn shutdown_goes_before_room_and_room_before_the_end() {
        // Often, because an unbiased choice would be right now and then.
        for _ in 0..100 {
            assert_eq!(first(ready(()), ready(7), ready(())).await, Admission::Shutdown);
            assert_eq!(first(ready(()), pending::<u8>(), ready(())).await, Admission::Shutdown);
            assert_eq!(first(pending(), ready(7), ready(())).await, Admission::Room(7));
            assert_eq!(first(pending(), pending::<u8>(), ready(())).await, Admission::End);
        }
    }
}
