//! Threads and the clock: a thread for each input, queues between them and [`Joiner`], and a wait that always ends.
//!
//! A stream whose samples are of the present is always taken in, so that a sampler never waits for us; one whose samples are
//! of the past is taken in only as far as the next result needs it, so that memory stays bounded.

mod growing_file;
mod queues;

use super::input::InputRecord;
use super::joiner::Joiner;
use super::output::OutputLine;
use super::sample::Sample;
use super::sample_stream::Role;
use crate::clock;
use queues::{Batch, QueueState, Queues, SampleQueue};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use growing_file::{EndSignal, GrowingFile};

/// How many records of the past are read ahead, per input; the last batch comes on top.
const AHEAD: usize = 512;

/// How many bytes of lines are read ahead; the last batch comes on top.
const AHEAD_BYTES: usize = 1 << 20;

/// How many samples of the present may wait while the output is blocked.
const BACKLOG: usize = 1 << 16;

/// Samples further from now than this, in seconds, are not of the present.
const PRESENT: f64 = 10.0;

/// Waits for the next samples of a stream and adds all that are at hand; `false` at its end.
pub type NextSamples = Box<dyn FnMut(&mut Vec<Sample>) -> anyhow::Result<bool> + Send>;

/// The same of lines of results.
pub type NextLines = Box<dyn FnMut(&mut Vec<(String, InputRecord)>) -> anyhow::Result<bool> + Send>;

/// Called when a file has been read to its present end, with the time since it was last written to.
pub type OnCaughtUp = Box<dyn FnMut(Duration) + Send>;

/// A stream of samples.
pub struct SampleInput {
    role: Role,
    grows: bool,
    open: Box<dyn FnOnce(OnCaughtUp) -> anyhow::Result<NextSamples> + Send>,
}

impl SampleInput {
    /// A stream of samples that `open` opens, on a thread of its own, since opening a FIFO waits for its writer. It gets what
    /// to call when a file that `grows` has been read to its present end.
    pub fn new(
        role: Role,
        grows: bool,
        open: impl FnOnce(OnCaughtUp) -> anyhow::Result<NextSamples> + Send + 'static,
    ) -> Self {
        Self { role, grows, open: Box::new(open) }
    }

    /// What it is read for, and whether it is a file whose present contents are read first.
    pub fn role(&self) -> (Role, bool) {
        (self.role, self.grows)
    }
}

/// Runs `joiner` over `lines` and `inputs` until all lines are out; `out` gets every line in order, and `None` when it must
/// not hold them any longer, since a wait follows; `warn` gets the notes. When `stop` is set, what has come is finished as far
/// as it goes.
///
/// # Errors
/// When an input fails, or `out` does.
pub fn run_live(
    joiner: &mut Joiner,
    lines: NextLines,
    inputs: Vec<SampleInput>,
    stop: &Arc<AtomicBool>,
    out: &mut dyn FnMut(Option<&OutputLine>) -> anyhow::Result<()>,
    warn: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let queues = Arc::new(Queues::default());
    queues.lock().streams = inputs.iter().map(|_| SampleQueue::default()).collect();
    for (i, input) in inputs.into_iter().enumerate() {
        let queues = Arc::clone(&queues);
        std::thread::spawn(move || read_samples(&queues, i, input));
    }
    let reader = Arc::clone(&queues);
    std::thread::spawn(move || read_lines(&reader, lines));
    let outcome = join(joiner, &queues, stop, out, warn);
    let flushed = out(None);
    queues.lock().finished = true;
    queues.emptied.notify_all();
    outcome.and(flushed)
}

fn join(
    joiner: &mut Joiner,
    queues: &Queues,
    stop: &AtomicBool,
    out: &mut dyn FnMut(Option<&OutputLine>) -> anyhow::Result<()>,
    warn: &dyn Fn(&str),
) -> anyhow::Result<()> {
    loop {
        // Looked at often: a signal sets it without waking a thread.
        if stop.load(Ordering::Relaxed) {
            queues.lock().lines_ended = true;
        }
        let progress = take(joiner, queues)?;
        let now = now();
        let due = loop {
            match joiner.next(now)? {
                Ok(line) => out(Some(&line))?,
                Err(due) => break due,
            }
        };
        joiner.notes().iter().for_each(|note| warn(note));
        if joiner.finished() {
            return Ok(());
        }
        if progress == Progress::Lines {
            continue;
        }
        out(None)?;
        if progress == Progress::Samples {
            continue;
        }
        let mut state = queues.lock();
        let wait = (due - now).clamp(0.001, 0.25);
        if state.error.is_none() && !state.has_news(joiner) {
            state.joiner_waits = true;
            drop(queues.filled.wait_timeout(state, Duration::from_secs_f64(wait)));
        }
    }
}

/// What was handed to the joiner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Nothing,
    Samples,
    Lines,
}

/// Hands the joiner what has come and is of use.
fn take(joiner: &mut Joiner, queues: &Queues) -> anyhow::Result<Progress> {
    let mut state = queues.lock();
    if let Some(error) = state.error.take() {
        return Err(error);
    }
    let now = now();
    let lines = if joiner.wants_lines() {
        state.bytes = 0;
        std::mem::take(&mut state.lines)
    } else {
        VecDeque::new()
    };
    let ended = state.lines_ended && state.lines.is_empty();
    let batches: Vec<Batch> =
        state.streams.iter_mut().enumerate().map(|(i, stream)| stream.take(joiner.wants(i))).collect();
    let readers_wait = state.readers_waiting > 0;
    drop(state);
    if readers_wait {
        queues.emptied.notify_all();
    }
    let any_samples = batches.iter().any(|batch| !batch.is_empty());
    for (i, batch) in batches.into_iter().enumerate() {
        hand_samples(joiner, i, batch, now);
    }
    let ends = ended && !joiner.input_has_ended();
    let progress = match (lines.is_empty() && !ends, any_samples) {
        (false, _) => Progress::Lines,
        (true, true) => Progress::Samples,
        (true, false) => Progress::Nothing,
    };
    lines.into_iter().for_each(|(line, record)| joiner.line(line, record, now));
    if ends {
        joiner.input_ended();
    }
    Ok(progress)
}

fn hand_samples(joiner: &mut Joiner, stream: usize, batch: Batch, now: f64) {
    batch.samples.into_iter().for_each(|sample| joiner.sample(stream, sample, now));
    if let Some((quiet, at)) = batch.caught_up {
        joiner.caught_up(stream, quiet, at);
    }
    if batch.ended {
        joiner.stream_ended(stream);
    }
}

fn read_lines(queues: &Queues, mut next: NextLines) {
    let mut batch = Vec::new();
    loop {
        let more = next(&mut batch);
        let full = |state: &QueueState| state.bytes >= AHEAD_BYTES || state.lines.len() >= AHEAD;
        let Some(mut state) = queues.wait_for_room(queues.lock(), full) else { return };
        if state.lines_ended {
            return;
        }
        state.bytes += batch.iter().map(|(line, _)| line.len()).sum::<usize>();
        state.lines.extend(batch.drain(..));
        match more {
            Ok(more) => state.lines_ended = !more,
            Err(error) => state.error = Some(error),
        }
        let over = state.lines_ended || state.error.is_some();
        queues.wake_joiner(&mut state);
        if over {
            return;
        }
    }
}

fn read_samples(queues: &Arc<Queues>, i: usize, input: SampleInput) {
    let grows = input.grows;
    let caught_up = Arc::clone(queues);
    let on_caught_up = Box::new(move |quiet: Duration| {
        let mut state = caught_up.lock();
        state.streams[i].caught_up = Some((quiet.as_secs_f64(), now()));
        state.streams[i].present = true;
        caught_up.wake_joiner(&mut state);
    });
    let mut next = match (input.open)(on_caught_up) {
        Ok(next) => next,
        Err(error) => {
            let mut state = queues.lock();
            state.error = Some(error);
            queues.wake_joiner(&mut state);
            return;
        }
    };
    let mut batch = Vec::new();
    loop {
        let more = next(&mut batch);
        let mut state = queues.lock();
        let present = state.streams[i].present || !grows && batch.last().is_some_and(is_present);
        state.streams[i].present = present;
        let most = if present { BACKLOG } else { AHEAD };
        let Some(mut state) = queues.wait_for_room(state, |state| state.streams[i].samples.len() >= most) else {
            return;
        };
        state.streams[i].samples.extend(batch.drain(..));
        let over = !matches!(more, Ok(true));
        match more {
            Ok(more) => state.streams[i].ended = !more,
            Err(error) => state.error = Some(error),
        }
        queues.wake_joiner(&mut state);
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
        Sample::GroundTruth(record) => record.end_ts(),
    };
    (ts - clock::wall()).abs() <= PRESENT
}

/// Seconds of the monotonic clock.
pub fn now() -> f64 {
    clock::mono_ns() as f64 / 1e9
}
