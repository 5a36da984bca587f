//! Runs a load level: its requests by an open or a closed loop, and its record.

use super::context::RunContext;
use super::event::Event;
use super::jobs::{Batch, BatchPhase, Job};
use super::worker;
use crate::http::is_loopback;
use crate::load::closed::ClosedLoop;
use crate::load::event_loop::{EventLoop, EventLoops};
use crate::load::open::{OpenLoop, OpenLoopCounts};
use crate::load::shutdown::ShutdownSignal;
use crate::load::workload::{Planned, Workload};
use crate::load::{Level, level_text};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// How long before its time a request of an open loop gets its connection, by the distance of the
/// server. Not longer: some servers have few threads, one for each open connection.
fn lead(batch: &Batch) -> Duration {
    let farthest = batch.targets.iter().map(|target| match &target.base_url {
        url if is_loopback(url) => 10,
        url if url.starts_with("https://") => 400,
        _ => 100,
    });
    Duration::from_millis(farthest.max().unwrap_or(0))
}

/// Runs the measured requests of a level and reports their statistics.
pub async fn run_level(run: &Arc<RunContext>, batch: &Batch) {
    run.level.begin(None);
    run_batch(run, batch.clone()).await;
    report_level(run, batch);
}

/// Runs the requests of one phase of a level. The requests of the ramp precede the measured ones,
/// without a pause.
pub async fn run_batch(run: &Arc<RunContext>, batch: Batch) {
    if batch.left(&run.config, 0) == Some(0) {
        return;
    }
    let left_from = match batch.level {
        Level::Open { rate, arrival, at_most } if batch.phase == BatchPhase::Measure => {
            let open_loop = OpenLoop {
                rate,
                arrival,
                max_in_flight: at_most,
                seed: run.config.load_seed.wrapping_add(batch.round),
                ramp: run.config.ramp,
                duration: run.config.duration,
                lead: lead(&batch),
            };
            // A request that is due goes at once, whatever it preempts.
            run.event_loops.expect(0);
            let counts = open_loop.run(&BatchWorkload::new(run, &batch)).await;
            report_open_loop(run, open_loop, counts);
            counts.measured
        }
        _ => closed(run, &batch).await,
    };
    add_left(run, &batch, left_from);
}

async fn closed(run: &Arc<RunContext>, batch: &Batch) -> u64 {
    let config = &run.config;
    let workers = batch.level.at_most(batch.len(config));
    // The requests of a warm-up have a number, and take the time they take.
    let measured = batch.phase == BatchPhase::Measure;
    let ramp = if measured { config.ramp } else { Duration::ZERO };
    run.event_loops.expect(workers);
    if ramp.is_zero() && workers > 1 && !run.shutdown.is_requested() {
        prewarm(run, batch, workers).await;
    }
    let duration = config.duration.filter(|_| measured);
    ClosedLoop { workers, ramp, duration }.run(&BatchWorkload::new(run, batch)).await
}

/// Opens the connections of a closed loop before its time begins.
async fn prewarm(run: &RunContext, batch: &Batch, workers: u64) {
    let Some(target) = batch.targets.first() else { return };
    let url = target.url(run.config.api);
    let (loops, limit) = (run.event_loops.count() as u64, run.config.limits.connect);
    let tasks = run.event_loops.iter().enumerate().map(|(number, event_loop)| {
        let n = (workers + loops - 1 - number as u64) / loops;
        let (connections, url) = (Arc::clone(&event_loop.connections), url.clone());
        event_loop.handle.spawn(async move { connections.prewarm(&url, n as usize, limit).await })
    });
    let connected = join_all(tasks.collect::<Vec<_>>());
    tokio::select! {
        // A failure comes again with the request, which reports it.
        _ = connected => {}
        () = run.shutdown.requested() => {}
    }
}

/// The requests of a batch and of the ramp before it, sent by workers.
struct BatchWorkload {
    run: Arc<RunContext>,
    measured: Batch,
    ramp: Batch,
}

impl BatchWorkload {
    fn new(run: &Arc<RunContext>, batch: &Batch) -> Arc<Self> {
        let ramp = Batch { phase: BatchPhase::Ramp, ..batch.clone() };
        Arc::new(Self { run: Arc::clone(run), measured: batch.clone(), ramp })
    }
}

impl Workload for BatchWorkload {
    type Request = Job;

    fn request(&self, in_ramp: bool, n: u64) -> Planned<Job> {
        let batch = if in_ramp { &self.ramp } else { &self.measured };
        batch.job(&self.run.config, n)
    }

    async fn send(&self, event_loop: &Arc<EventLoop>, job: Job, due_ns: Option<u64>) {
        worker::work(&self.run, event_loop, Job { due_ns, ..job }).await;
    }

    async fn not_sent(&self, job: Job, reason: String) {
        worker::not_sent(&self.run, job, reason).await;
    }

    fn worker_failed(&self, error: &JoinError) {
        self.run.counts.add_failure();
        self.run.events.notice(format!("a worker failed, and its request with it: {error}"));
    }

    fn shutdown(&self) -> &ShutdownSignal {
        &self.run.shutdown
    }

    fn event_loops(&self) -> &EventLoops {
        &self.run.event_loops
    }
}

fn report_open_loop(run: &RunContext, open_loop: OpenLoop, counts: OpenLoopCounts) {
    let OpenLoop { rate, max_in_flight, .. } = open_loop;
    let OpenLoopCounts { due_at_shutdown, no_room, .. } = counts;
    if due_at_shutdown > 0 {
        run.events.notice(format!(
            "{rate} requests/s: {due_at_shutdown} arrivals were due before the run was stopped, and were not sent"
        ));
    }
    if no_room > 0 {
        run.events.notice(format!(
            "{rate} requests/s: {no_room} arrivals found no room before the time was over, and were not sent: \
             the server is slower than that, or --concurrency {max_in_flight} is too few"
        ));
    }
}

/// Counts what a shutdown left of a batch, from a number on. Of a duration the number is unknown.
pub fn add_left(run: &RunContext, batch: &Batch, from: u64) {
    if !run.shutdown.is_requested() {
        return;
    }
    match batch.left(&run.config, from) {
        Some(left) => run.add_not_sent(left, batch.phase == BatchPhase::Measure),
        None => run.counts.interrupt(),
    }
}

/// Reports the level that has just ended.
pub fn report_level(run: &RunContext, batch: &Batch) {
    let config = &run.config;
    let models = batch.targets.iter().map(|target| target.model.id.clone()).collect();
    let level = run.level.finish(&config.run, batch.level, models, &run.event_loops);
    let requests = level.sent + level.failed + level.not_sent;
    if requests == 0 && run.shutdown.is_requested() {
        return;
    }
    // A single request, or one after another and nothing else, is no load.
    let several = config.levels.len() > 1 || config.search.is_some();
    let load = level.concurrency != Some(1) && requests > 1;
    if several || config.duration.is_some() || level.rate.is_some() || load {
        run.events.notice(level_text::summary(&level));
        let enough = batch.len(config).is_none_or(|requests| Some(requests) >= level.concurrency);
        let warnings = level_text::warnings(&level, enough && !run.shutdown.is_requested());
        warnings.for_each(|text| run.events.notice(text));
    }
    run.events.send(Event::Level(Box::new(level)));
}
