//! The queues between the threads that read and the one that joins.

use crate::join::input::InputRecord;
use crate::join::joiner::Joiner;
use crate::join::sample::Sample;
use crate::locks::{locked, regardless};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

/// The samples of one stream that were read and not taken yet.
#[derive(Default)]
pub struct SampleQueue {
    /// In the order in which they were read.
    pub samples: VecDeque<Sample>,
    /// Whether they are of the present.
    pub present: bool,
    /// How long the file was silent when it was read to its present end, and when that was.
    pub caught_up: Option<(f64, f64)>,
    /// Whether the stream has ended.
    pub ended: bool,
}

impl SampleQueue {
    /// Takes what is of use: samples of the past only when they are `wanted`.
    pub fn take(&mut self, wanted: bool) -> Batch {
        let samples = if self.present || wanted { std::mem::take(&mut self.samples) } else { VecDeque::new() };
        let empty = self.samples.is_empty();
        Batch {
            samples,
            caught_up: if empty { self.caught_up.take() } else { None },
            ended: empty && std::mem::take(&mut self.ended),
        }
    }

    /// Whether there is something to take.
    pub fn has_news(&self, wanted: impl FnOnce() -> bool) -> bool {
        if self.samples.is_empty() { self.caught_up.is_some() || self.ended } else { self.present || wanted() }
    }
}

/// What was taken of a stream of samples.
pub struct Batch {
    /// In the order in which they were read.
    pub samples: VecDeque<Sample>,
    /// See [`SampleQueue::caught_up`].
    pub caught_up: Option<(f64, f64)>,
    /// Whether nothing will follow.
    pub ended: bool,
}

impl Batch {
    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.caught_up.is_none() && !self.ended
    }
}

/// What was read and not taken yet.
#[derive(Default)]
pub struct QueueState {
    /// Lines of results.
    pub lines: VecDeque<(String, InputRecord)>,
    /// Their length.
    pub bytes: usize,
    /// Whether no more lines will come.
    pub lines_ended: bool,
    /// Samples, by stream.
    pub streams: Vec<SampleQueue>,
    /// Why a reader gave up.
    pub error: Option<anyhow::Error>,
    /// Whether the joiner waits for something to come.
    pub joiner_waits: bool,
    /// How many readers wait for room.
    pub readers_waiting: usize,
    /// Whether the joiner has finished.
    pub finished: bool,
}

impl QueueState {
    /// Whether something has come that is of use to the joiner.
    pub fn has_news(&self, joiner: &Joiner) -> bool {
        let end = self.lines_ended && self.lines.is_empty() && !joiner.input_has_ended();
        let lines = !self.lines.is_empty() && joiner.wants_lines();
        end || lines || self.streams.iter().enumerate().any(|(i, stream)| stream.has_news(|| joiner.wants(i)))
    }
}

/// The queues between the readers and the joiner.
#[derive(Default)]
pub struct Queues {
    state: Mutex<QueueState>,
    /// Something was read.
    pub filled: Condvar,
    /// Something was taken.
    pub emptied: Condvar,
}

impl Queues {
    /// The state, for the moment.
    pub fn lock(&self) -> MutexGuard<'_, QueueState> {
        locked(&self.state)
    }

    /// Wakes the joiner, if it waits.
    pub fn wake_joiner(&self, state: &mut QueueState) {
        if std::mem::take(&mut state.joiner_waits) {
            self.filled.notify_one();
        }
    }

    /// Waits while the queue is `full`; `None` when the joiner has finished.
    pub fn wait_for_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, QueueState>,
        full: impl Fn(&QueueState) -> bool,
    ) -> Option<MutexGuard<'a, QueueState>> {
        while full(&state) && !state.finished {
            state.readers_waiting += 1;
            state = regardless(self.emptied.wait(state));
            state.readers_waiting -= 1;
        }
        (!state.finished).then_some(state)
    }
}
