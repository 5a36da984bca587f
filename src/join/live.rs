//! The thin part that knows threads and the clock: a thread per input, a queue between them and the core, and a wait
//! that always ends.
//!
//! A stream whose readings are of the present is always taken in, so that a sampler never waits for us; one whose
//! readings are of the past is taken in only as far as the next result needs it, so that memory stays bounded.

mod growing_file;

use super::input::InputRecord;
use super::joiner::Joiner;
use super::output::OutputLine;
use super::sample::Sample;
use super::sample_stream::Role;
use crate::clock;
use crate::locks::{locked, regardless};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

pub use growing_file::{EndSignal, GrowingFile};

/// How many records of the past are read ahead, per input; those that are at hand with the last of them on top.
const AHEAD: usize = 512;

/// How many bytes of lines are read ahead; those that are at hand with the last of them on top.
const AHEAD_BYTES: usize = 1 << 20;

/// How many readings of the present may wait while the output is blocked.
const BACKLOG: usize = 1 << 16;

/// Readings further from now than this, in seconds, are not of the present.
const PRESENT: f64 = 10.0;

/// Waits for what a stream of samples says next, and takes it with what else is at hand; `false` at its end.
pub type NextSamples = Box<dyn FnMut(&mut Vec<Sample>) -> anyhow::Result<bool> + Send>;

/// The same of lines of results.
pub type NextLines = Box<dyn FnMut(&mut Vec<(String, InputRecord)>) -> anyhow::Result<bool> + Send>;

/// A stream of samples.
pub struct SampleInput {
    role: Role,
    grows: bool,
    read: Box<dyn FnOnce(OnCaughtUp) -> anyhow::Result<NextSamples> + Send>,
}

/// Told when a file has been read to its present end, and how long ago it was last written to.
pub type OnCaughtUp = Box<dyn FnMut(Duration) + Send>;

impl SampleInput {
    /// A stream of samples that `read` opens, on a thread of its own, since opening a FIFO waits for its writer. It is
    /// handed what to call when a file that `grows` has been read to its present end.
    pub fn new(
        role: Role,
        grows: bool,
        read: impl FnOnce(OnCaughtUp) -> anyhow::Result<NextSamples> + Send + 'static,
    ) -> Self {
        Self { role, grows, read: Box::new(read) }
    }

    /// What it is read for, and whether it is a file whose present contents are read first.
    pub fn role(&self) -> (Role, bool) {
        (self.role, self.grows)
    }
}

#[derive(Default)]
struct SampleQueue {
    records: VecDeque<Sample>,
    present: bool,
    caught_up: Option<(f64, f64)>,
    ended: bool,
}

#[derive(Default)]
struct QueueState {
    lines: VecDeque<(String, InputRecord)>,
    bytes: usize,
    lines_ended: bool,
    lanes: Vec<SampleQueue>,
    failed: Option<anyhow::Error>,
    /// The core waits for something to come.
    idle: bool,
    /// How many readers wait for room.
    waiting: usize,
    /// Nobody listens any more.
    done: bool,
}

#[derive(Default)]
struct Queues {
    inbox: Mutex<QueueState>,
    came: Condvar,
    taken: Condvar,
}

impl Queues {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        locked(&self.inbox)
    }

    fn tell(&self, inbox: &mut QueueState) {
        if std::mem::take(&mut inbox.idle) {
            self.came.notify_one();
        }
    }

    /// Waits while `full`; `false` when nobody listens any more.
    fn room<'a>(
        &'a self,
        mut inbox: MutexGuard<'a, QueueState>,
        full: impl Fn(&QueueState) -> bool,
    ) -> Option<MutexGuard<'a, QueueState>> {
        while full(&inbox) && !inbox.done {
            inbox.waiting += 1;
            inbox = regardless(self.taken.wait(inbox));
            inbox.waiting -= 1;
        }
        (!inbox.done).then_some(inbox)
    }
}

/// Runs `core` over `lines` and `feeds` until all lines are out; `out` gets every line in order, and `None` when it must not
/// hold them any longer, since a wait follows; `say` gets what people should know. When `stop` is set, what has come is finished as far as it goes.
///
/// # Errors
/// When an input fails, or `out` does.
pub fn run_live(
    core: &mut Joiner,
    lines: NextLines,
    feeds: Vec<SampleInput>,
    stop: &Arc<AtomicBool>,
    out: &mut dyn FnMut(Option<&OutputLine>) -> anyhow::Result<()>,
    say: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let hub = Arc::new(Queues::default());
    hub.lock().lanes = feeds.iter().map(|_| SampleQueue::default()).collect();
    for (i, feed) in feeds.into_iter().enumerate() {
        let hub = Arc::clone(&hub);
        std::thread::spawn(move || sample(&hub, i, feed));
    }
    let reader = Arc::clone(&hub);
    std::thread::spawn(move || read(&reader, lines));
    let outcome = work(core, &hub, stop, out, say);
    let flushed = out(None);
    hub.lock().done = true;
    hub.taken.notify_all();
    outcome.and(flushed)
}

fn work(
    core: &mut Joiner,
    hub: &Queues,
    stop: &AtomicBool,
    out: &mut dyn FnMut(Option<&OutputLine>) -> anyhow::Result<()>,
    say: &dyn Fn(&str),
) -> anyhow::Result<()> {
    loop {
        // ResultView often: a signal sets it without waking anyone.
        if stop.load(Ordering::Relaxed) {
            hub.lock().lines_ended = true;
        }
        let took = take(core, hub)?;
        let now = now();
        let due = loop {
            match core.next(now)? {
                Ok(emission) => out(Some(&emission))?,
                Err(due) => break due,
            }
        };
        core.notes().iter().for_each(|note| say(note));
        if core.finished() {
            return Ok(());
        }
        if took == Progress::Lines {
            continue;
        }
        out(None)?;
        if took == Progress::Samples {
            continue;
        }
        let mut inbox = hub.lock();
        let wait = (due - now).clamp(0.001, 0.25);
        if inbox.failed.is_none() && nothing_new(core, &inbox) {
            inbox.idle = true;
            drop(hub.came.wait_timeout(inbox, Duration::from_secs_f64(wait)));
        }
    }
}

fn nothing_new(core: &Joiner, inbox: &QueueState) -> bool {
    let lane = |(i, lane): (usize, &SampleQueue)| {
        if lane.records.is_empty() { lane.caught_up.is_none() && !lane.ended } else { !lane.present && !core.wants(i) }
    };
    let ended = inbox.lines_ended && inbox.lines.is_empty() && !core.input_has_ended();
    !ended && (inbox.lines.is_empty() || !core.wants_lines()) && inbox.lanes.iter().enumerate().all(lane)
}

/// What has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    Samples,
    Lines,
}

/// Hands the core what has come and is of use, and says what it was.
fn take(core: &mut Joiner, hub: &Queues) -> anyhow::Result<Progress> {
    let mut inbox = hub.lock();
    if let Some(why) = inbox.failed.take() {
        return Err(why);
    }
    let now = now();
    let lines = if core.wants_lines() {
        inbox.bytes = 0;
        std::mem::take(&mut inbox.lines)
    } else {
        VecDeque::new()
    };
    let ended = inbox.lines_ended && inbox.lines.is_empty();
    let mut lanes = Vec::new();
    for (i, lane) in inbox.lanes.iter_mut().enumerate() {
        let wanted = lane.present || core.wants(i);
        let records = if wanted { std::mem::take(&mut lane.records) } else { VecDeque::new() };
        let whole = lane.records.is_empty();
        let caught_up = if whole { lane.caught_up.take() } else { None };
        lanes.push((i, records, caught_up, whole && std::mem::take(&mut lane.ended)));
    }
    let waiting = inbox.waiting > 0;
    drop(inbox);
    if waiting {
        hub.taken.notify_all();
    }
    let mut took = if lines.is_empty() { Progress::Nothing } else { Progress::Lines };
    for (i, records, caught_up, ended) in lanes {
        if took == Progress::Nothing && (!records.is_empty() || caught_up.is_some() || ended) {
            took = Progress::Samples;
        }
        records.into_iter().for_each(|record| core.sample(i, record, now));
        if let Some((quiet, at)) = caught_up {
            core.caught_up(i, quiet, at);
        }
        if ended {
            core.source_ended(i);
        }
    }
    for (line, heard) in lines {
        core.line(line, heard, now);
    }
    if ended && !core.input_has_ended() {
        core.input_ended();
        took = Progress::Lines;
    }
    Ok(took)
}

fn read(hub: &Queues, mut lines: NextLines) {
    let mut batch = Vec::new();
    loop {
        let next = lines(&mut batch);
        let Some(mut inbox) = hub.room(hub.lock(), |inbox| inbox.bytes >= AHEAD_BYTES || inbox.lines.len() >= AHEAD)
        else {
            return;
        };
        if inbox.lines_ended {
            return;
        }
        inbox.bytes += batch.iter().map(|(line, _)| line.len()).sum::<usize>();
        inbox.lines.extend(batch.drain(..));
        match next {
            Ok(more) => inbox.lines_ended = !more,
            Err(why) => inbox.failed = Some(why),
        }
        let over = inbox.lines_ended || inbox.failed.is_some();
        hub.tell(&mut inbox);
        if over {
            return;
        }
    }
}

fn sample(hub: &Arc<Queues>, i: usize, feed: SampleInput) {
    let grows = feed.grows;
    let told = Arc::clone(hub);
    let catch = Box::new(move |quiet: Duration| {
        let mut inbox = told.lock();
        inbox.lanes[i].caught_up = Some((quiet.as_secs_f64(), now()));
        inbox.lanes[i].present = true;
        told.tell(&mut inbox);
    });
    let mut next = match (feed.read)(catch) {
        Ok(next) => next,
        Err(why) => {
            let mut inbox = hub.lock();
            inbox.failed = Some(why);
            hub.tell(&mut inbox);
            return;
        }
    };
    let mut batch = Vec::new();
    loop {
        let more = next(&mut batch);
        let mut inbox = hub.lock();
        let present = inbox.lanes[i].present || !grows && batch.last().is_some_and(is_present);
        inbox.lanes[i].present = present;
        let most = if present { BACKLOG } else { AHEAD };
        let Some(mut inbox) = hub.room(inbox, |inbox| inbox.lanes[i].records.len() >= most) else { return };
        inbox.lanes[i].records.extend(batch.drain(..));
        let over = match more {
            Ok(more) => {
                inbox.lanes[i].ended = !more;
                !more
            }
            Err(why) => {
                inbox.failed = Some(why);
                true
            }
        };
        hub.tell(&mut inbox);
        if over {
            return;
        }
    }
}

fn is_present(sample: &Sample) -> bool {
    let ts = match sample {
        Sample::Power(power) => power.ts,
        Sample::Memory(memory) => memory.ts,
        Sample::Sampler(sampler) => sampler.ts.unwrap_or(f64::NEG_INFINITY),
        Sample::GroundTruth(written) => written.end_ts(),
    };
    (ts - clock::wall()).abs() <= PRESENT
}

/// Seconds of the monotonic clock.
pub fn now() -> f64 {
    clock::mono_ns() as f64 / 1e9
}
