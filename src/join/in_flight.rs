//! How many requests were in flight at every moment, and what part of the power a request may claim.
//!
//! Shares are kept as sums over ranges, so that a request costs the same however many others it ran beside.

use super::active_starts::Moment;
use super::queue_search::count_before;
use super::range_sums::{RangeSums, Sum};
use super::shares::{Attribution, Claim, EDGE, Share, Shares, TokenFlow};
use std::collections::{BTreeMap, VecDeque};

/// From `at` on, until the next step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    at: f64,
    requests: i64,
    emitting: i64,
    rate: f64,
}

/// The changes at a step.
#[derive(Debug, Clone, Copy, Default)]
struct Change {
    requests: i64,
    emitting: i64,
    rate: f64,
}

impl Step {
    fn apply(&mut self, change: Change) {
        self.requests += change.requests;
        self.emitting += change.emitting;
        // What is left when nothing is emitted is rounding.
        self.rate = if self.emitting == 0 { 0.0 } else { self.rate + change.rate };
    }

    /// The shares from `from` to `to`, both within the step.
    fn shares(&self, from: f64, to: f64, attribution: Attribution) -> Shares {
        let equal = 1.0 / self.requests.max(1) as f64;
        let (each, per_token) = match attribution {
            Attribution::Exclusive => (1.0, 0.0),
            Attribution::Tokens if self.emitting > 0 && self.rate > 0.0 => (0.0, 1.0 / self.rate),
            Attribution::Time | Attribution::Tokens => (equal, 0.0),
        };
        Shares {
            each: Share::even(from, to, each),
            per_token: Share::even(from, to, per_token),
            // A sliver that stamps cannot resolve is no company.
            most: if to - from > EDGE { self.requests } else { 0 },
        }
    }
}

/// The steps of what is in flight, as far back as they are needed.
#[derive(Debug)]
pub struct InFlight {
    attribution: Attribution,
    /// Changes behind the last step.
    pending: BTreeMap<Moment, Change>,
    steps: VecDeque<Step>,
    /// How many steps were forgotten.
    forgotten: usize,
    /// The shares of each step that has a next one.
    shares: RangeSums<Shares>,
    /// The earliest moment that has changed since it was last taken.
    changed: f64,
}

impl InFlight {
    /// Nothing is in flight yet.
    pub fn new(attribution: Attribution) -> Self {
        Self {
            attribution,
            pending: BTreeMap::new(),
            steps: VecDeque::new(),
            forgotten: 0,
            shares: RangeSums::default(),
            changed: f64::INFINITY,
        }
    }

    /// How energy is shared.
    pub fn attribution(&self) -> Attribution {
        self.attribution
    }

    /// A request is sent.
    pub fn add(&mut self, at: f64) {
        self.change(at, Change { requests: 1, ..Change::default() });
    }

    /// A request has ended.
    pub fn remove(&mut self, at: f64) {
        self.change(at, Change { requests: -1, ..Change::default() });
    }

    /// A request emits tokens.
    pub fn add_flow(&mut self, flow: TokenFlow) {
        self.change(flow.from, Change { requests: 0, emitting: 1, rate: flow.rate });
        self.change(flow.to, Change { requests: 0, emitting: -1, rate: -flow.rate });
    }

    fn change(&mut self, at: f64, change: Change) {
        self.changed = self.changed.min(at);
        if self.steps.back().is_none_or(|last| last.at < at) {
            let pending = self.pending.entry(Moment(at)).or_default();
            pending.requests += change.requests;
            pending.emitting += change.emitting;
            pending.rate += change.rate;
            return;
        }
        // A late change: few steps are behind it.
        let mut i = self.steps.len();
        while i > 0 && self.steps[i - 1].at >= at {
            i -= 1;
        }
        if self.steps.get(i).is_none_or(|step| step.at > at) {
            let before = i.checked_sub(1).map(|before| self.steps[before]);
            let step = before.unwrap_or(Step { at, requests: 0, emitting: 0, rate: 0.0 });
            self.steps.insert(i, Step { at, ..step });
        }
        self.steps.range_mut(i..).for_each(|step| step.apply(change));
        self.shares.truncate((self.forgotten + i).saturating_sub(1));
    }

    /// Applies the changes until `until`, which must be done before anything is computed up to there.
    pub fn settle(&mut self, until: f64) {
        while let Some(entry) = self.pending.first_entry().filter(|entry| entry.key().0 <= until) {
            let (at, change) = entry.remove_entry();
            let before = self.steps.back().copied();
            let mut step =
                Step { at: at.0, ..before.unwrap_or(Step { at: at.0, requests: 0, emitting: 0, rate: 0.0 }) };
            step.apply(change);
            self.steps.push_back(step);
        }
        for i in self.shares.end() - self.forgotten..self.steps.len().saturating_sub(1) {
            let shares = self.steps[i].shares(self.steps[i].at, self.steps[i + 1].at, self.attribution);
            self.shares.push(shares);
        }
    }

    /// The earliest moment that has changed since the last call.
    pub fn take_changed(&mut self) -> f64 {
        std::mem::replace(&mut self.changed, f64::INFINITY)
    }

    /// The shares from `from` to `to`.
    pub fn shares(&self, from: f64, to: f64) -> Shares {
        // Before all that is known, a request was alone.
        let alone = Step { at: from, requests: 1, emitting: 0, rate: 0.0 };
        let begin = count_before(&self.steps, |step| step.at <= from);
        let end = count_before(&self.steps, |step| step.at < to);
        let step = begin.checked_sub(1).map_or(alone, |i| self.steps[i]);
        if end <= begin {
            return step.shares(from, to, self.attribution);
        }
        let mut shares = step.shares(from, self.steps[begin].at, self.attribution);
        if let Some(whole) = self.shares.sum(self.forgotten + begin..self.forgotten + end - 1) {
            shares = shares.then(whole);
        }
        let last = self.steps[end - 1];
        shares.then(last.shares(last.at, to, self.attribution))
    }

    /// The share of a claim from `from` to `to`; `None` where they do not meet.
    pub fn share(&self, claim: &Claim, from: f64, to: f64) -> Option<Share> {
        let parts = claim.parts().filter_map(|part| {
            let (from, to) = (part.from.max(from), part.to.min(to));
            (to > from).then(|| self.shares(from, to).of(part.rate))
        });
        parts.reduce(Share::then)
    }

    /// The most requests that were in flight between two moments.
    pub fn most(&self, from: f64, to: f64) -> u64 {
        u64::try_from(self.shares(from, to).most).unwrap_or(0).max(1)
    }

    /// The times of `from` to `to` one after the other, and whether anything was in flight in each.
    pub fn busy_times(&self, from: f64, to: f64) -> Vec<(f64, f64, bool)> {
        let mut times: Vec<(f64, f64, bool)> = Vec::new();
        let begin = count_before(&self.steps, |step| step.at <= from);
        let mut busy = begin.checked_sub(1).is_some_and(|i| self.steps[i].requests > 0);
        let mut at = from;
        for step in self.steps.range(begin..) {
            let until = step.at.min(to);
            let now = step.requests > 0;
            if now != busy || step.at >= to {
                if until > at {
                    times.push((at, until, busy));
                }
                (at, busy) = (until, now);
            }
            if step.at >= to {
                break;
            }
        }
        if to > at {
            times.push((at, to, busy));
        }
        times
    }

    /// Drops the steps before `before`, but for the one that holds there.
    pub fn forget(&mut self, before: f64) {
        self.settle(before);
        while self.steps.len() > 1 && self.steps[1].at <= before {
            self.steps.pop_front();
            self.forgotten += 1;
        }
        self.shares.forget(self.forgotten);
    }
}

#[cfg(test)]
mod tests;
