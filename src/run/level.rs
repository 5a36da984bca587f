//! One load level: who sends when. A closed loop keeps so many requests running; an open loop sends each when it is due,
//! and what finds no room waits and says so.

use super::jobs::{Batch, Job, Part};
use super::{Event, Shared, Stop};
use crate::clock;
use crate::http::is_loopback;
use crate::load::{Arrival, Arrivals, Level, level_stats, ramped};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long before its time a request of an open loop gets its connection, by how far the server is. Not longer: some
/// servers have a thread for each open connection, and few of them.
fn ahead(batch: &Batch) -> Duration {
    let farthest = batch.targets.iter().map(|target| match &target.base_url {
        url if is_loopback(url) => 10,
        url if url.starts_with("https://") => 400,
        _ => 100,
    });
    Duration::from_millis(farthest.max().unwrap_or(0))
}

impl Shared {
    /// Runs the requests of one part of a level. The requests of the ramp go before those that count, without a pause.
    pub(super) async fn batch(self: &Arc<Self>, batch: Batch) {
        if batch.left(&self.settings, 0) == Some(0) {
            return;
        }
        match batch.level {
            Level::Open { rate, arrival, at_most } if batch.part == Part::Measure => {
                // What counts first is that each goes in its time.
                self.loops.expect(0);
                self.open(batch, rate, arrival, at_most).await;
            }
            _ => self.closed(batch).await,
        }
    }

    async fn closed(self: &Arc<Self>, batch: Batch) {
        let settings = &self.settings;
        // The requests of a warm-up are so many, and take what time they take.
        let counts = batch.part == Part::Measure;
        let ramp = if counts { settings.ramp } else { Duration::ZERO };
        let workers = batch.level.at_most(batch.len(settings));
        self.loops.expect(workers);
        let rising = Arc::new(Batch { part: Part::Ramp, ..batch.clone() });
        let (batch, next, next_rising) = (Arc::new(batch), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        if ramp.is_zero() && workers > 1 && !self.stopped() {
            self.warm(&batch, workers).await;
        }
        let began = Instant::now();
        let until = settings.duration.filter(|_| counts).map(|duration| began + ramp + duration);
        let mut running = JoinSet::new();
        for worker in 0..workers {
            let (shared, batch, rising) = (Arc::clone(self), Arc::clone(&batch), Arc::clone(&rising));
            let (next, next_rising) = (Arc::clone(&next), Arc::clone(&next_rising));
            let on = Arc::clone(self.loops.of(worker));
            let handle = on.handle.clone();
            let asks = async move {
                if !ramp.is_zero() && !shared.wait_until(began + ramped(ramp, worker, workers)).await {
                    return;
                }
                while !shared.stopped() {
                    let now = Instant::now();
                    let job = if now < began + ramp {
                        rising.job(&shared.settings, next_rising.fetch_add(1, Ordering::Relaxed))
                    } else if until.is_some_and(|until| now >= until) {
                        return;
                    } else {
                        batch.job(&shared.settings, next.fetch_add(1, Ordering::Relaxed))
                    };
                    match job {
                        Some(Some(job)) => shared.work(&on, job).await,
                        Some(None) => {}
                        None => return,
                    }
                }
            };
            running.spawn_on(asks, &handle);
        }
        while let Some(ended) = running.join_next().await {
            self.note_ended(ended);
        }
        self.unsent(&batch, next.load(Ordering::Relaxed));
    }

    /// Opens the connections of a closed loop before its time begins.
    async fn warm(&self, batch: &Batch, workers: u64) {
        let Some(target) = batch.targets.first() else { return };
        let dialect = self.settings.api.dialects(target.source)[target.dialect.load(Ordering::Relaxed)];
        let url = dialect.url(target.source, &target.base_url);
        let (loops, limit) = (self.loops.len() as u64, self.settings.limits.connect);
        let warming = self.loops.iter().enumerate().map(|(number, on)| {
            let n = (workers + loops - 1 - number as u64) / loops;
            let (on, url, handle) = (Arc::clone(on), url.clone(), on.handle.clone());
            handle.spawn(async move { on.connections.prewarm(&url, n as usize, limit).await })
        });
        let warmed = join_all(warming.collect::<Vec<_>>());
        tokio::select! {
            // What went wrong will go wrong again where it is told.
            _ = warmed => {}
            () = self.stop_at(Stop::Drain) => {}
        }
    }

    async fn open(self: &Arc<Self>, batch: Batch, rate: f64, arrival: Arrival, at_most: u64) {
        let settings = &self.settings;
        let rising = Batch { part: Part::Ramp, ..batch.clone() };
        let until = settings.duration.map(|duration| settings.ramp + duration);
        let room = Arc::new(Semaphore::new(usize::try_from(at_most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)));
        let ahead = ahead(&batch);
        let began = Instant::now() + ahead;
        let began_ns = clock::mono_ns() + nanoseconds(ahead);
        let mut running = JoinSet::new();
        let (mut due, mut in_ramp, mut found_no_room, mut stopped_before) = (0, 0, 0u64, 0u64);
        let mut stopped_at = None;
        for at in Arrivals::new(rate, arrival, settings.ramp, settings.load_seed.wrapping_add(batch.round)) {
            if until.is_some_and(|until| at >= until) {
                break;
            }
            let rises = at < settings.ramp;
            let job = if rises { rising.job(settings, in_ramp) } else { batch.job(settings, due) };
            let Some(job) = job else { break };
            if stopped_at.is_none() && !self.wait_until(began + at - ahead).await {
                stopped_at = Some(Instant::now());
            }
            let next = if rises { &mut in_ramp } else { &mut due };
            let over = pause_until(until.map(|until| began + until));
            let place = match first(self.stop_at(Stop::Drain), Arc::clone(&room).acquire_owned(), over).await {
                Came::Stop => {
                    if began + at > *stopped_at.get_or_insert_with(Instant::now) {
                        break;
                    }
                    // What was due by then is told as without a stop; what was not is only planned.
                    stopped_before += 1;
                    *next += 1;
                    self.not_sent(job, || "not sent: it was due, and the run was stopped before it had room".into())
                        .await;
                    continue;
                }
                Came::Room(place) => place.ok(),
                // What was due within the time and found no room until its end is not sent, and not forgotten either.
                Came::End => {
                    found_no_room += 1;
                    *next += 1;
                    let why = || format!("not sent: no room among {at_most} at once before the time was over");
                    self.not_sent(job, why).await;
                    continue;
                }
            };
            let Some(place) = place else { break };
            *next += 1;
            let Some(job) = job else { continue };
            let job = Job { due_ns: Some(began_ns + nanoseconds(at)), ..job };
            let (shared, on) = (Arc::clone(self), Arc::clone(self.loops.of(due + in_ramp)));
            let handle = on.handle.clone();
            let asks = async move {
                shared.work(&on, job).await;
                drop(place);
            };
            running.spawn_on(asks, &handle);
            while let Some(ended) = running.try_join_next() {
                self.note_ended(ended);
            }
        }
        if due == 0
            && let Some(until) = until
        {
            // That nothing arrived is known when the time is over, and not before.
            self.wait_until(began + until).await;
        }
        while let Some(ended) = running.join_next().await {
            self.note_ended(ended);
        }
        if stopped_before > 0 {
            self.tell(Event::Notice(format!(
                "{rate} requests/s: {stopped_before} arrivals were due before the run was stopped, and were not sent"
            )));
        }
        if found_no_room > 0 {
            self.tell(Event::Notice(format!(
                "{rate} requests/s: {found_no_room} arrivals found no room before the time was over, and were not sent: \
                 the server is slower than that, or --concurrency {at_most} is too few"
            )));
        }
        self.unsent(&batch, due);
    }

    /// Sleeps; `false` when the run was asked to stop meanwhile.
    async fn wait_until(&self, moment: Instant) -> bool {
        tokio::select! {
            biased;
            () = self.stop_at(Stop::Drain) => false,
            () = tokio::time::sleep_until(moment) => true,
        }
    }

    fn note_ended(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(why) = ended {
            self.count(|tally| tally.failed += 1);
            self.tell(Event::Notice(format!("a worker failed, and its request with it: {why}")));
        }
    }

    /// Counts what a stop left of a batch. Where only the time ends the requests, nobody knows how many there would have been.
    pub(super) fn unsent(&self, batch: &Batch, from: u64) {
        if !self.stopped() {
            return;
        }
        match batch.left(&self.settings, from) {
            Some(left) => self.left_unsent(left, batch.part == Part::Measure),
            None => self.count(|tally| tally.cut = true),
        }
    }
}

impl Shared {
    /// Runs the requests of a level that count, and tells what they came to.
    pub(super) async fn metered(self: &Arc<Self>, batch: Batch) {
        self.meter.begin(None);
        self.batch(batch.clone()).await;
        self.tell_level(&batch);
    }

    /// Tells what the level came to that has just ended.
    pub(super) fn tell_level(&self, batch: &Batch) {
        let level = self.meter.record(
            &self.settings.run,
            batch.level,
            batch.targets.iter().map(|target| target.model.id.clone()).collect(),
            &self.loops,
        );
        if level.sent + level.failed + level.not_sent == 0 && self.stopped() {
            return;
        }
        // A single request, or one after another and nothing else, is no load.
        let several = self.settings.levels.len() > 1 || self.settings.search.is_some();
        let load = level.concurrency != Some(1) && level.sent + level.failed + level.not_sent > 1;
        if several || self.settings.duration.is_some() || level.rate.is_some() || load {
            self.tell(Event::Notice(level_stats::said(&level)));
            let enough = batch.len(&self.settings).is_none_or(|requests| Some(requests) >= level.concurrency);
            level_stats::not_kept(&level, enough && !self.stopped()).for_each(|text| self.tell(Event::Notice(text)));
        }
        self.tell(Event::Level(Box::new(level)));
    }
}

/// What a request of an open loop that is due comes to first.
#[derive(Debug, PartialEq)]
enum Came<T> {
    Stop,
    Room(T),
    End,
}

/// Where several are there at once: a stop that was said is obeyed, and what was due and has room is sent though the time is over.
async fn first<T>(
    stop: impl Future<Output = ()>,
    room: impl Future<Output = T>,
    end: impl Future<Output = ()>,
) -> Came<T> {
    tokio::select! {
        biased;
        () = stop => Came::Stop,
        place = room => Came::Room(place),
        () = end => Came::End,
    }
}

/// Returns at the moment; never without one.
async fn pause_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn a_stop_goes_before_a_request_that_is_due_and_that_before_the_end_of_the_time() {
        // Often, for what is drawn by lot is right now and then.
        for _ in 0..100 {
            assert_eq!(first(ready(()), ready(7), ready(())).await, Came::Stop);
            assert_eq!(first(ready(()), pending::<u8>(), ready(())).await, Came::Stop);
            assert_eq!(first(pending(), ready(7), ready(())).await, Came::Room(7));
            assert_eq!(first(pending(), pending::<u8>(), ready(())).await, Came::End);
        }
    }
}
