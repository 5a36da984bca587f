//! How many requests were in flight at every moment, and what part of the power each may claim.

use super::power_series::{EDGE, Piece};
use super::queue_search::count_before;
use std::collections::VecDeque;

/// What a request may claim of the power while it runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Claim {
    /// An equal part with everyone in flight.
    Time,
    /// A part by tokens, where anyone emits; an equal part where nobody does.
    Tokens(Option<TokenFlow>),
    /// All of it.
    Whole,
}

/// Tokens that come at an even pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenFlow {
    /// From, in seconds on the axis.
    pub from: f64,
    /// To.
    pub to: f64,
    /// Tokens per second.
    pub rate: f64,
}

/// From `at` on, until the next step.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    at: f64,
    flying: i64,
    emitting: i64,
    rate: f64,
}

/// The steps of what is in flight, as far back as they are needed.
#[derive(Debug, Default)]
pub struct InFlight {
    steps: VecDeque<Step>,
}

impl InFlight {
    /// A request is sent, or, with −1, has ended.
    pub fn fly(&mut self, at: f64, count: i64) {
        self.change(at, count, 0, 0.0);
    }

    /// Tokens flow.
    pub fn flow(&mut self, flow: TokenFlow) {
        self.change(flow.from, 0, 1, flow.rate);
        self.change(flow.to, 0, -1, -flow.rate);
    }

    fn change(&mut self, at: f64, flying: i64, emitting: i64, rate: f64) {
        // Nearly in order: the place is found from the end.
        let mut i = self.steps.len();
        while i > 0 && self.steps[i - 1].at > at {
            i -= 1;
        }
        if i == 0 || self.steps[i - 1].at < at {
            let before = i.checked_sub(1).map(|i| self.steps[i]);
            let step = before.unwrap_or(Step { at, flying: 0, emitting: 0, rate: 0.0 });
            self.steps.insert(i, Step { at, ..step });
        } else {
            i -= 1;
        }
        for step in self.steps.range_mut(i..) {
            step.flying += flying;
            step.emitting += emitting;
            // What is left when nobody emits is rounding.
            step.rate = if step.emitting == 0 { 0.0 } else { step.rate + rate };
        }
    }

    /// The pieces of `from` to `to` and what `claim` is worth in each, neighbours that are alike as one; and the most
    /// that were in flight.
    pub fn pieces(&self, from: f64, to: f64, claim: Claim) -> (Vec<Piece>, u64) {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut most = 1;
        let mut push = |from: f64, to: f64, share: f64| {
            if to <= from {
                return;
            }
            match pieces.last_mut() {
                Some(last) if last.share == share => last.to = to,
                _ => pieces.push(Piece { from, to, share }),
            }
        };
        let mut at = from;
        let begin = count_before(&self.steps, |step| step.at <= from).saturating_sub(1);
        let mut step = Step { at: from, flying: 1, emitting: 0, rate: 0.0 };
        for i in begin..=self.steps.len() {
            let next = self.steps.get(i);
            let until = next.map_or(to, |next| next.at.min(to));
            if until > at {
                // A sliver that stamps cannot resolve is nobody's company.
                if until - at > EDGE {
                    most = most.max(step.flying);
                }
                push(at, until, share(&step, claim, at));
                at = until;
            }
            match next {
                Some(next) if next.at < to => step = *next,
                _ => break,
            }
        }
        (pieces, u64::try_from(most).unwrap_or(1))
    }

    /// The stretches of `from` to `to`, and whether anyone was in flight in each.
    pub fn stretches(&self, from: f64, to: f64) -> Vec<(f64, f64, bool)> {
        let mut stretches: Vec<(f64, f64, bool)> = Vec::new();
        let begin = count_before(&self.steps, |step| step.at <= from);
        let mut busy = begin.checked_sub(1).is_some_and(|i| self.steps[i].flying > 0);
        let mut at = from;
        for step in self.steps.range(begin..) {
            let until = step.at.min(to);
            let now = step.flying > 0;
            if now != busy || step.at >= to {
                if until > at {
                    stretches.push((at, until, busy));
                }
                (at, busy) = (until, now);
            }
            if step.at >= to {
                break;
            }
        }
        if to > at {
            stretches.push((at, to, busy));
        }
        stretches
    }

    /// Drops the steps before `before`, but for the one that holds there.
    pub fn forget(&mut self, before: f64) {
        while self.steps.len() > 1 && self.steps[1].at <= before {
            self.steps.pop_front();
        }
    }
}

fn share(step: &Step, claim: Claim, at: f64) -> f64 {
    let equal = 1.0 / step.flying.max(1) as f64;
    match claim {
        Claim::Whole => 1.0,
        Claim::Time => equal,
        Claim::Tokens(_) if step.emitting == 0 || step.rate <= 0.0 => equal,
        Claim::Tokens(Some(flow)) if flow.from <= at && at < flow.to => (flow.rate / step.rate).min(1.0),
        Claim::Tokens(_) => 0.0,
    }
}

#[cfg(test)]
mod tests;
