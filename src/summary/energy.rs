//! What a group drew: its energy, the parts of it, and what the meter could do.

use serde::Serialize;
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, BTreeSet};

/// The lowest and the highest reading of a power domain while requests of the group ran.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// The lowest, in watts.
    pub low: f64,
    /// The highest, in watts.
    pub peak: f64,
}

/// The energy of a group: sums over the requests whose energy and output tokens are both known, so that the quotients
/// are of the same requests.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Energy {
    /// How many requests these are.
    pub requests: u64,
    /// Their output tokens.
    pub output_tokens: f64,
    /// Their energy, gross.
    pub joules: f64,
    /// It is at least this; absent where a request has no bound.
    pub lower_joules: Option<f64>,
    /// It is at most this.
    pub upper_joules: Option<f64>,
    /// Their energy less idling; absent where one of them has none.
    pub net_joules: Option<f64>,
    /// That is at least this, as long as idling drew what [`net_bounds`](super::net_bounds) takes it to; absent where one
    /// of them has no bound.
    pub net_lower_joules: Option<f64>,
    /// And at most this.
    pub net_upper_joules: Option<f64>,
    /// Energy ÷ output tokens.
    pub joules_per_output_token: Option<f64>,
    /// The lower bound ÷ output tokens.
    pub joules_per_output_token_lower: Option<f64>,
    /// The upper bound ÷ output tokens.
    pub joules_per_output_token_upper: Option<f64>,
    /// Energy less idling ÷ output tokens.
    pub net_joules_per_output_token: Option<f64>,
    /// The lower bound of the energy less idling ÷ output tokens.
    pub net_joules_per_output_token_lower: Option<f64>,
    /// The upper bound of the energy less idling ÷ output tokens.
    pub net_joules_per_output_token_upper: Option<f64>,
}

/// A part of the energy, summed over the requests where it is known.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Joules {
    /// How many requests, or loads, these are.
    pub n: u64,
    /// Their energy.
    pub joules: f64,
    /// It is at least this; absent where one of them has no bound.
    pub lower_joules: Option<f64>,
    /// It is at most this.
    pub upper_joules: Option<f64>,
}

impl Joules {
    /// Counts one more.
    pub fn add(&mut self, joules: f64, bounds: Option<(f64, f64)>) {
        let known = |sum: Option<f64>, first: bool| if first { Some(0.0) } else { sum };
        let first = self.n == 0;
        let ends = bounds.zip(known(self.lower_joules, first).zip(known(self.upper_joules, first)));
        self.lower_joules = ends.map(|((lower, _), (sum, _))| sum + lower);
        self.upper_joules = ends.map(|((_, upper), (_, sum))| sum + upper);
        self.n += 1;
        self.joules += joules;
    }

    /// The mean, with its lower and upper bound.
    pub fn mean(&self) -> Option<(f64, Option<(f64, f64)>)> {
        let n = (self.n > 0).then_some(self.n as f64)?;
        let bounds = self.lower_joules.zip(self.upper_joules).map(|(lower, upper)| (lower / n, upper / n));
        Some((self.joules / n, bounds))
    }
}

/// Where the energy went: each part over the requests that tell it, so that the parts need not add up to any one sum.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Split {
    /// Loading the model, once per run.
    pub load: Option<Joules>,
    /// From the start to the first token.
    pub prefill: Option<Joules>,
    /// From the first to the last token.
    pub decode: Option<Joules>,
    /// What idling would have taken in the same time: part of the others, not beside them.
    pub idle: Option<Joules>,
    /// The requests that tell both prefill and decode: what can be drawn as one whole and its parts.
    #[serde(skip)]
    pub same: Option<Same>,
}

/// The energy of requests that tell all of it, so that their parts do add up to less than the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Same {
    /// The whole requests.
    pub whole: Joules,
    /// From their starts to their first tokens.
    pub prefill: Joules,
    /// From their first to their last tokens.
    pub decode: Joules,
    /// What idling would have taken, of those of them where it is known.
    pub idle: Joules,
}

/// What the meter could do for the group.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Meter {
    /// The meters.
    pub meters: BTreeSet<String>,
    /// The domains that energies are of.
    pub total_domains: BTreeSet<String>,
    /// The lowest coverage of a request, 0 to 1.
    pub coverage_min: Option<f64>,
    /// How many requests have which quality of energy.
    pub quality: BTreeMap<String, u64>,
    /// How energy was shared among concurrent requests.
    pub attribution: BTreeSet<String>,
    /// Whether a meter estimates.
    pub estimated: bool,
    /// Whether a meter is simulated.
    pub simulated: bool,
    /// Why something is missing.
    pub reasons: BTreeMap<String, u64>,
}
