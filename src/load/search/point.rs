//! The verdict on one load of a search: its SLOs, its queue, and whether another round may help.

use super::queue::Growth;
use super::samples::SloSamples;
use crate::record::SearchQueue;

/// The most rounds of a load before it is given up that its requests are enough.
pub const MAX_ROUNDS: u64 = 20;

/// The same where the SLOs pass, and only the growth of the queue is not clear.
const MAX_QUEUE_ROUNDS: u64 = 4;

/// The verdict on a load, from its requests until now.
#[derive(Debug)]
pub struct PointVerdict {
    /// Whether it passes; `None` while that is not clear.
    pub passes: Option<bool>,
    /// Whether another round may make it clear.
    pub repeat: bool,
    /// The queue of an open loop.
    pub queue: Option<SearchQueue>,
    /// Why it does not pass, or is not clear, where the values of the SLOs do not say so.
    pub reason: Option<String>,
    /// All of it, for people.
    pub text: String,
}

impl PointVerdict {
    /// Judges a load, of `rate` requests per second in an open loop. `rounds` is the number of rounds
    /// until now, where another is possible.
    pub fn new(samples: &SloSamples, rate: Option<f64>, rounds: Option<u64>) -> Self {
        let (slos_pass, values) = (samples.passes(), samples.describe());
        let verdict = rate.and_then(|rate| samples.queue.verdict(rate));
        let growth = verdict.as_ref().map(|verdict| verdict.growth);
        let times = samples.times_needed().filter(|_| slos_pass.is_none());
        let enough = |times: u64| rounds.is_some_and(|rounds| rounds.max(1).saturating_mul(times) <= MAX_ROUNDS);
        let unclear = slos_pass == Some(true) && growth == Some(Growth::Unclear);
        let (passes, repeat) = match (slos_pass, growth) {
            (Some(false), _) | (_, Some(Growth::Grows)) => (Some(false), false),
            (None, _) => (None, times.is_some_and(enough)),
            // A load passes only where the server was seen to keep up with it.
            (Some(true), Some(Growth::Unclear)) => {
                (Some(false), rounds.is_some_and(|rounds| rounds < MAX_QUEUE_ROUNDS))
            }
            (Some(true), Some(Growth::TooShort)) => (None, false),
            (Some(true), Some(Growth::KeptUp) | None) => (Some(true), false),
        };
        let queue = verdict.map(|verdict| verdict.queue);
        let all_failed = samples.common_failure().map(|error| format!("every request failed: {error}"));
        let reason =
            all_failed.or_else(|| growth.zip(queue.as_ref()).and_then(|(growth, queue)| queue_reason(growth, queue)));
        let text = match &reason {
            Some(reason) if unclear && repeat => reason.clone(),
            Some(reason) => format!("{reason}; {values}"),
            None => values,
        };
        Self { passes, repeat, queue, reason: reason.filter(|_| passes != Some(true)), text }
    }
}

/// Why a server did not keep up, or may not have.
fn queue_reason(growth: Growth, queue: &SearchQueue) -> Option<String> {
    let ended = queue.ended_per_second.map_or_else(String::new, |ended| format!("{ended:.1}/s ended: "));
    let first = queue.ttft_first_third_seconds.zip(queue.ttft_last_third_seconds);
    let waited = first.map_or_else(String::new, |(first, last)| {
        format!(" (first tokens after {first:.2} s at its beginning, {last:.2} s at its end)")
    });
    match growth {
        Growth::KeptUp => None,
        Growth::Grows => Some(format!("{ended}the queue still grows{waited}")),
        Growth::Unclear => Some(format!("{ended}the queue grew, and was not seen to shrink{waited}")),
        Growth::TooShort => Some(format!(
            "the queue grew, and answers take so long that this was too short to tell whether it goes on{waited}"
        )),
    }
}
