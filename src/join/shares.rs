//! The shares of power that requests may claim: weights, integrated over time.
//!
//! The weights are the same for all requests, 1 ÷ in flight or 1 ÷ the tokens per second of all, so that their integrals
//! can be shared too.

use super::range_sums::Sum;
use clap::ValueEnum;
use strum::Display;

/// Edges closer than this are the same moment: the resolution of the stamps, in seconds.
pub const EDGE: f64 = 1e-6;

/// How energy is shared among requests that ran at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Display)]
#[strum(serialize_all = "lowercase")]
pub enum Attribution {
    /// Equal parts of every moment.
    Time,
    /// By the tokens that each emitted; equal parts where nobody did. Waits for all that overlapped.
    Tokens,
    /// Nothing is shared: only a request that ran alone has an energy.
    Exclusive,
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

/// A time in which a request may claim a part of the power.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim {
    /// From, in seconds on the axis.
    pub from: f64,
    /// To.
    pub to: f64,
    /// Its tokens, where they count.
    pub flow: Option<TokenFlow>,
}

/// A part of a claim in which tokens come at one pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClaimPart {
    /// From, in seconds on the axis.
    pub from: f64,
    /// To.
    pub to: f64,
    /// Tokens per second.
    pub rate: f64,
}

impl Claim {
    /// Its parts, one after the other; an empty one has none.
    pub fn parts(&self) -> impl Iterator<Item = ClaimPart> + use<> {
        let Claim { from, to, flow } = *self;
        let flow = flow.unwrap_or(TokenFlow { from: to, to, rate: 0.0 });
        let (begin, end) = (flow.from.clamp(from, to), flow.to.clamp(from, to));
        let parts = [(from, begin, 0.0), (begin, end, flow.rate), (end, to, 0.0)];
        parts.into_iter().map(|(from, to, rate)| ClaimPart { from, to, rate }).filter(|part| part.to > part.from)
    }
}

/// An integral of a weight over a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    from: f64,
    /// The weight, integrated, in seconds.
    pub seconds: f64,
    /// The weight times the time since the beginning, integrated: what a power that rises or falls needs.
    pub moment: f64,
    /// The least weight.
    pub least: f64,
    /// The greatest weight.
    pub most: f64,
}

impl Share {
    /// A weight that stays the same.
    pub fn even(from: f64, to: f64, weight: f64) -> Self {
        let length = to - from;
        Self { from, seconds: weight * length, moment: weight * length * length / 2.0, least: weight, most: weight }
    }

    /// The same weights, with `rate` times those of `other` added.
    fn plus(self, rate: f64, other: Self) -> Self {
        Self {
            from: self.from,
            seconds: self.seconds + rate * other.seconds,
            moment: self.moment + rate * other.moment,
            least: self.least + rate * other.least,
            // What is above 1 is rounding.
            most: (self.most + rate * other.most).min(1.0),
        }
    }
}

impl Sum for Share {
    fn then(self, later: Self) -> Self {
        Self {
            from: self.from,
            seconds: self.seconds + later.seconds,
            moment: self.moment + later.moment + (later.from - self.from) * later.seconds,
            least: self.least.min(later.least),
            most: self.most.max(later.most),
        }
    }
}

/// The shares of a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// For every request that is in flight.
    pub each: Share,
    /// For each token per second that a request emits.
    pub per_token: Share,
    /// The most requests in flight.
    pub most: i64,
}

impl Shares {
    /// The share of a request that emits `rate` tokens per second.
    pub fn of(&self, rate: f64) -> Share {
        self.each.plus(rate, self.per_token)
    }
}

impl Sum for Shares {
    fn then(self, later: Self) -> Self {
        Self {
            each: self.each.then(later.each),
            per_token: self.per_token.then(later.per_token),
            most: self.most.max(later.most),
        }
    }
}
