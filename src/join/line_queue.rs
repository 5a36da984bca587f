//! The lines that have come and not gone out: what each waits for.

use super::input::ResultView;
use super::loads::PendingLoad;
use super::output::LineKind;
use super::requests::{RequestInterval, Requests};
use std::collections::VecDeque;

/// The most lines that wait behind a result before no more are read.
const MOST_WAITING: usize = 4096;

/// A line that goes out when its time has come.
#[derive(Debug)]
pub enum Waiting {
    /// As it came.
    Line(LineKind, String),
    /// A load, once the readings cover it.
    Load(String, PendingLoad),
    /// A result, once the readings cover its request, whose interval may not be known.
    Result(String, Box<ResultView>, Option<RequestInterval>),
}

/// Lines in the order in which they came.
#[derive(Debug, Default)]
pub struct LineQueue {
    /// When each came, and what it is.
    lines: VecDeque<(f64, Waiting)>,
    ended: bool,
}

impl LineQueue {
    /// Adds a line that came at `now`.
    pub fn push(&mut self, now: f64, line: Waiting) {
        self.lines.push_back((now, line));
    }

    /// Takes out the next line.
    pub fn pop(&mut self) -> Option<Waiting> {
        self.lines.pop_front().map(|(_, line)| line)
    }

    /// No more lines will come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether no more lines will come.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether all lines have gone out.
    pub fn is_finished(&self) -> bool {
        self.ended && self.lines.is_empty()
    }

    /// Whether more lines are of use now; otherwise they would only wait.
    pub fn wants_more(&self, requests: &Requests) -> bool {
        self.lines.len() < MOST_WAITING || requests.without_starts() || requests.share_by_tokens()
    }

    /// When the next line came; `None` where there is none.
    pub fn arrived(&self) -> Option<f64> {
        self.lines.front().map(|(arrived, _)| *arrived)
    }

    /// The next line's result and when its request ran, if it is one.
    pub fn next_result(&self) -> Option<(&ResultView, RequestInterval)> {
        match self.lines.front()? {
            (_, Waiting::Result(_, result, Some(interval))) => Some((result, *interval)),
            _ => None,
        }
    }

    /// To where the readings must have come for the next line to go out; `None` where it needs none, or not yet.
    pub fn needs_readings_until(&self, requests: &Requests) -> Option<f64> {
        match &self.lines.front()?.1 {
            Waiting::Line(..) => None,
            Waiting::Load(_, load) => Some(load.interval.to),
            Waiting::Result(..) if self.waits_for_end(requests) => None,
            Waiting::Result(_, _, interval) => interval.map(|interval| interval.to),
        }
    }

    /// Whether only more lines, or their end, can let the next line go out.
    pub fn waits_for_lines(&self, requests: &Requests) -> bool {
        match self.lines.front() {
            None => true,
            Some((_, Waiting::Result(..))) if self.waits_for_end(requests) => true,
            // The tokens of all that overlapped must be known.
            Some((_, Waiting::Result(_, _, Some(interval)))) => {
                requests.share_by_tokens() && !self.ended && requests.running_before(interval.to)
            }
            Some(_) => false,
        }
    }

    /// Without starts, what ran beside a request is known at the end only.
    fn waits_for_end(&self, requests: &Requests) -> bool {
        requests.without_starts() && !self.ended
    }
}
