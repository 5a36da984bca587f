//! What one result says by itself: its numbers, its doubts, and why it failed.
//!
//! It follows from the result alone, so that whoever read the result can work it out before it is its turn to be folded in.

use super::goodput::Slo;
use super::registry::Metric;
use crate::record::{JoinedPower, LatencyFields, Phase, ResultFields};
use crate::units::{Unit, possible};

/// The longest message that is kept of a failure, in characters; the record has all of it.
const LONGEST_MESSAGE: usize = 2000;

/// What a result says by itself. Numbers that cannot be are absent, and a doubt names them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Requests per second (open loop).
    pub rate: Option<f64>,
    /// When it was sent: Unix seconds.
    pub start_ts: Option<f64>,
    /// How long it waited for its turn after the moment it was due, in seconds (open loop).
    pub waited: Option<f64>,
    /// From the start to the end of the answer or of the attempt, in seconds; known of failures too.
    pub end_seconds: Option<f64>,
    /// Its numbers, in the order of the metrics.
    pub values: Vec<(Metric, f64)>,
    /// Its shortest and longest gap between chunks, in seconds.
    pub gap_ends: Option<(f64, f64)>,
    /// At least and at most its energy, in joules.
    pub energy_bounds: Option<(f64, f64)>,
    /// At least and at most its energy less idling, in joules.
    pub net_bounds: Option<(f64, f64)>,
    /// Its doubts.
    pub warnings: Vec<String>,
    /// Why it failed; `None` for a request that did not.
    pub failure: Option<RowFailure>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFailure {
    /// The kind, in the words of the contract; `error` where the record only has a sentence.
    pub kind: &'static str,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What was said.
    pub message: String,
}

impl Figures {
    /// What a result says.
    pub fn of(o: &ResultFields) -> Self {
        let timing = o.timing_seconds.as_ref();
        let power = o.power.as_ref().and_then(Option::as_ref);
        let mut warnings = o.warnings.clone();
        let mut sound = |name: &str, unit: Unit, value: Option<f64>| {
            let (good, bad) = (value.filter(|v| possible(unit, *v)), value.is_some_and(|v| !possible(unit, v)));
            if bad {
                warnings.push(format!("impossible_{name}"));
            }
            good
        };
        let end_seconds = sound("end", Unit::Seconds, o.generation_time_seconds.or(timing.and_then(|t| t.end)));
        // The schedule is before the start, so its offset is negative.
        let late = || Some(o.ttft_scheduled_seconds.flatten()? - o.ttft_seconds?);
        let waited = timing.and_then(|t| t.scheduled).map(|at| 0.0 - at).or_else(late);
        let waited = sound("schedule", Unit::Seconds, waited);
        let rate = sound("rate", Unit::PerSecond, o.rate);
        let energy_bounds = power.and_then(|p| Some((p.energy_lower_joules?, p.energy_upper_joules?)));
        let whole =
            |(low, high): &(f64, f64)| low <= high && possible(Unit::Joules, *low) && possible(Unit::Joules, *high);
        let start_ts = o.start_ts.filter(|ts| moment(*ts));
        if o.start_ts.is_some() && start_ts.is_none() {
            warnings.push("impossible_start".into());
        }
        let mut values = Vec::with_capacity(16);
        for metric in Metric::all() {
            match (metric.figure().of)(o) {
                Some(value) if metric.possible(value) => values.push((metric, value)),
                Some(_) => warnings.push(format!("impossible_{}", metric.name())),
                None => {}
            }
        }
        Self {
            rate,
            start_ts,
            waited,
            end_seconds,
            gap_ends: o.inter_chunk_latency_seconds.as_ref().and_then(gap_ends),
            values,
            energy_bounds: energy_bounds.filter(whole),
            net_bounds: power.and_then(|power| net_bounds(power)),
            warnings,
            failure: failure(o),
        }
    }

    /// Whether the request did not fail and is known to keep every limit.
    pub fn keeps(&self, slo: &Slo) -> bool {
        self.ok() && slo.kept(|metric| self.value(metric), self.waited.unwrap_or(0.0))
    }

    /// Whether the request did not fail.
    pub fn ok(&self) -> bool {
        self.failure.is_none()
    }

    /// One of its numbers.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == metric).map(|(_, value)| *value)
    }

    /// Adds a number of a metric that it has none of.
    pub fn insert(&mut self, metric: Metric, value: f64) {
        let at = self.values.partition_point(|(known, _)| *known < metric);
        self.values.insert(at, (metric, value));
    }
}

/// At least and at most the energy less idling, in joules, from what the join says of a request: its certain bounds, less
/// what idling took.
///
/// Gross less net is what idling took, at the median of the readings of an idle machine. `idle.spread_watts` is the distance
/// between the quartiles of those readings, and so neither quartile is farther from the median than that: idling is taken to
/// have drawn between the median less the spread, at least nothing, and the median plus the spread. With *I* = gross − net
/// and *s* = spread ÷ idle watts, the bounds are lower − *I*·(1 + *s*) and upper − *I*·max(0, 1 − *s*). An idle power that
/// was given has no spread.
///
/// Unlike the bounds of the gross energy they are not certain: a machine may idle outside its quartiles.
pub fn net_bounds(power: &JoinedPower) -> Option<(f64, f64)> {
    let (lower, upper) = power.energy_lower_joules.zip(power.energy_upper_joules)?;
    let (gross, net) = power.energy_joules.zip(power.net_energy_joules)?;
    let joules = |value: &f64| possible(Unit::Joules, *value);
    // Idling that took less than nothing cannot be.
    let idle = Some(gross - net).filter(|idle| joules(&lower) && joules(&upper) && joules(idle) && lower <= upper)?;
    let share = match power.idle.as_ref().and_then(|idle| idle.spread_watts) {
        None | Some(0.0) => 0.0,
        Some(spread) => spread / power.idle_watts?,
    };
    // Of a spread around nothing there is no share.
    (share >= 0.0 && share.is_finite()).then(|| (lower - idle * (1.0 + share), upper - idle * (1.0 - share).max(0.0)))
}

/// Whether a result is a failure: it carries an error, in any of the forms that the contract has.
pub fn failed(o: &ResultFields) -> bool {
    o.error.is_some() || o.errors.load.is_some() || o.errors.generation.is_some()
}

/// Whether a result counts: everything but warm-up.
pub fn counts(o: &ResultFields) -> bool {
    o.phase != Some(Phase::Warmup)
}

/// Whether a moment can be one of a run: Unix seconds of this or the next few thousand years.
pub fn moment(ts: f64) -> bool {
    (0.0..=1e11).contains(&ts)
}

/// Why a result failed, from whichever of its error fields says most.
fn failure(o: &ResultFields) -> Option<RowFailure> {
    if !failed(o) {
        return None;
    }
    let sentence = o.errors.load.as_ref().or(o.errors.generation.as_ref());
    Some(match &o.error {
        Some(error) => RowFailure { kind: error.kind.into(), status: error.status, message: shortened(&error.message) },
        None => RowFailure {
            kind: if o.errors.load.is_some() { "load" } else { "error" },
            status: None,
            message: shortened(sentence.map_or("", |sentence| sentence)),
        },
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The shortest and the longest gap, where both are times.
fn gap_ends(gaps: &LatencyFields) -> Option<(f64, f64)> {
    let (min, max) = (gaps.min?, gaps.max?);
    (min <= max && possible(Unit::Seconds, min) && possible(Unit::Seconds, max)).then_some((min, max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Idle;

    #[test]
    fn net_energy_is_bounded_by_the_bounds_of_the_gross_one_and_by_the_spread_of_idling() {
        // Gross 100 J of 20 to 140 J, net 60 J: idling took 40 J.
        let power = |lower, upper, watts, spread: Option<f64>| JoinedPower {
            energy_joules: Some(100.0),
            energy_lower_joules: lower,
            energy_upper_joules: upper,
            net_energy_joules: Some(60.0),
            idle_watts: watts,
            idle: Some(Idle { spread_watts: spread, ..Idle::default() }),
            ..JoinedPower::default()
        };
        for (lower, upper, watts, spread, expect) in [
            // An idle power that was given is what it is.
            (Some(80.0), Some(140.0), Some(8.0), None, Some((40.0, 100.0))),
            (Some(80.0), Some(140.0), Some(8.0), Some(0.0), Some((40.0, 100.0))),
            // A quarter up and down: idling took 30 to 50 J.
            (Some(80.0), Some(140.0), Some(8.0), Some(2.0), Some((30.0, 110.0))),
            // Idling takes no less than nothing, however unsteady it is.
            (Some(80.0), Some(140.0), Some(8.0), Some(16.0), Some((-40.0, 140.0))),
            // A request so short that no window lies in it: certainly no more than nothing is known.
            (Some(0.0), Some(140.0), Some(8.0), None, Some((-40.0, 100.0))),
            (None, Some(140.0), Some(8.0), None, None),
            (Some(80.0), None, Some(8.0), None, None),
            (Some(140.0), Some(80.0), Some(8.0), None, None),
            (Some(80.0), Some(1e300), Some(8.0), None, None),
            (Some(80.0), Some(140.0), None, Some(2.0), None),
            (Some(80.0), Some(140.0), Some(0.0), Some(2.0), None),
            (Some(80.0), Some(140.0), Some(8.0), Some(-2.0), None),
        ] {
            assert_eq!(
                net_bounds(&power(lower, upper, watts, spread)),
                expect,
                "{lower:?} {upper:?} {watts:?} {spread:?}"
            );
        }
        let unknown = JoinedPower { net_energy_joules: None, ..power(Some(80.0), Some(140.0), Some(8.0), None) };
        assert_eq!(net_bounds(&unknown), None);
        let impossible = JoinedPower { net_energy_joules: Some(130.0), ..unknown };
        assert_eq!(net_bounds(&impossible), None, "idling did not give energy back");
    }
}
