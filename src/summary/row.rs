//! One request as a report holds it: the numbers and the few words that a page shows, without the raw bulk.

use super::metric::{Metric, Unit, failed, kind_name, moment, possible};
use super::screen::Screen;
use crate::record::{JoinedPower, Outcome, Phase, Quality, Source, TokenSource};
use std::collections::BTreeMap;

/// The longest message that a row keeps, in characters; the record has all of it.
const LONGEST_MESSAGE: usize = 2000;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The index of its group in the summary.
    pub group: usize,
    /// The kind of server.
    pub source: Option<Source>,
    /// The model that was asked for.
    pub model: String,
    /// Who served it, behind a router.
    pub provider: Option<String>,
    /// The endpoint that it was pinned to.
    pub pinned: Option<String>,
    /// Requests at once (closed loop).
    pub concurrency: Option<u64>,
    /// Requests per second (open loop).
    pub rate: Option<f64>,
    /// The run's id.
    pub run: String,
    /// The request's number in its run.
    pub id: u64,
    /// The id of its prompt.
    pub prompt: Option<String>,
    /// Whether it only warmed the server.
    pub warmup: bool,
    /// When it was sent: Unix seconds.
    pub start_ts: Option<f64>,
    /// The same, for people.
    pub timestamp: Option<String>,
    /// Of a conversation: the number of its first request.
    pub conversation: Option<u64>,
    /// Of a conversation: which turn of it.
    pub turn: Option<u64>,
    /// How long it waited for its turn after the moment it was due, in seconds (open loop).
    pub waited: Option<f64>,
    /// From the start to the end of the answer or of the attempt, in seconds; known of failures too.
    pub end_seconds: Option<f64>,
    /// Its numbers.
    pub values: BTreeMap<Metric, f64>,
    /// Its median and 99th percentile gap between chunks, in seconds.
    pub itl: Option<(f64, f64)>,
    /// Its mean gap between chunks, in seconds.
    pub itl_mean: Option<f64>,
    /// At least and at most its energy, in joules.
    pub energy_bounds: Option<(f64, f64)>,
    /// At least and at most its energy less idling, in joules.
    pub net_bounds: Option<(f64, f64)>,
    /// Why it has no power, or why something of it is missing.
    pub power_reason: Option<String>,
    /// Why it has no memory, or why something of it is missing.
    pub memory_reason: Option<String>,
    /// How far to trust its energy.
    pub quality: Option<Quality>,
    /// How many requests ran when it was sent.
    pub in_flight: Option<u64>,
    /// Which repetition it is.
    pub repeat: Option<u64>,
    /// How many tries there were before.
    pub attempts: usize,
    /// Who counted its tokens.
    pub token_source: Option<TokenSource>,
    /// Why it ended.
    pub finish_reason: Option<String>,
    /// Why it failed; `None` for a request that did not.
    pub failure: Option<RowFailure>,
    /// Its doubts.
    pub warnings: Vec<String>,
    /// Its artifacts: relative paths, as the record has them.
    pub html: Option<String>,
    /// The answer as a text file.
    pub text_file: Option<String>,
    /// The joined result.
    pub json: Option<String>,
    /// The power meter's log.
    pub power_log: Option<String>,
    /// The folder that the paths are relative to, as the caller named it; `None` for the place of the report itself.
    pub folder: Option<usize>,
    /// The answer, where the record has it.
    pub text: Option<String>,
    /// What a browser saw of its page, where one was asked.
    pub screen: Option<Screen>,
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

impl Row {
    /// The row of a result.
    pub fn of(o: &Outcome, group: usize) -> Self {
        let files = o.files.as_ref();
        let timing = o.timing_seconds.as_ref();
        let power = o.power.as_ref().and_then(Option::as_ref);
        let memory = o.memory.as_ref().and_then(Option::as_ref);
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
        let waited = sound("schedule", Unit::Seconds, timing.and_then(|t| t.scheduled).map(|at| 0.0 - at));
        let rate = sound("rate", Unit::PerSecond, o.rate);
        let itl = o.itl_seconds.as_ref();
        let itl_mean = sound("itl", Unit::Seconds, itl.map(|itl| itl.mean));
        let known = itl.filter(|itl| possible(Unit::Seconds, itl.p50) && possible(Unit::Seconds, itl.p99));
        let energy_bounds = power.and_then(|p| Some((p.energy_lower_joules?, p.energy_upper_joules?)));
        let whole =
            |(low, high): &(f64, f64)| low <= high && possible(Unit::Joules, *low) && possible(Unit::Joules, *high);
        let start_ts = o.start_ts.filter(|ts| moment(*ts));
        if o.start_ts.is_some() && start_ts.is_none() {
            warnings.push("impossible_start".into());
        }
        let mut values = BTreeMap::new();
        for metric in Metric::ALL {
            match metric.of(o) {
                Some(value) if metric.possible(value) => drop(values.insert(metric, value)),
                Some(_) => warnings.push(format!("impossible_{}", metric.name())),
                None => {}
            }
        }
        Self {
            group,
            source: o.source,
            model: o.model.clone(),
            provider: o.provider.clone(),
            pinned: o.pinned.clone(),
            concurrency: o.concurrency,
            rate,
            run: o.run.clone(),
            id: o.id,
            prompt: o.prompt.as_ref().map(|prompt| prompt.id.clone()),
            warmup: o.phase == Some(Phase::Warmup),
            start_ts,
            timestamp: o.timestamp.clone(),
            conversation: o.conversation,
            turn: o.turn,
            waited,
            end_seconds,
            values,
            itl: known.map(|itl| (itl.p50, itl.p99)),
            itl_mean,
            energy_bounds: energy_bounds.filter(whole),
            net_bounds: power.and_then(|power| net_bounds(power)),
            power_reason: o.power_reason.clone().or_else(|| power?.reason.clone()),
            memory_reason: o.memory_reason.clone().or_else(|| memory?.reason.clone()),
            quality: power.map(|p| p.quality),
            in_flight: o.in_flight,
            repeat: o.repeat,
            attempts: o.attempts.len(),
            token_source: o.tokens.as_ref().map(|tokens| tokens.source),
            finish_reason: o.finish_reason.clone(),
            failure: failure(o),
            warnings,
            html: files.and_then(|f| f.html.clone()),
            text_file: files.and_then(|f| f.text.clone()),
            json: files.and_then(|f| f.json.clone()),
            power_log: files.and_then(|f| f.power_log.clone()),
            folder: None,
            text: o.text.clone(),
            screen: None,
        }
    }

    /// Time to first token as its user had it: from the moment it was due, where there was one (open loop).
    pub fn ttft_due(&self) -> Option<f64> {
        let sent = || Some(self.value(Metric::Ttft)? + self.waited.unwrap_or(0.0));
        self.value(Metric::TtftScheduled).or_else(sent)
    }

    /// The whole request as its user had it: from the moment it was due, where there was one.
    pub fn e2e_due(&self) -> Option<f64> {
        Some(self.value(Metric::GenerationTime)? + self.waited.unwrap_or(0.0))
    }

    /// The files that it left, by their kind.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("html", &self.html), ("text", &self.text_file), ("json", &self.json), ("power_log", &self.power_log)]
            .into_iter()
            .filter_map(|(kind, path)| Some((kind, path.as_deref()?)))
    }

    /// Whether the request did not fail.
    pub fn ok(&self) -> bool {
        self.failure.is_none()
    }

    /// One of its numbers.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values.get(&metric).copied()
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

/// Why a result failed, from whichever of its error fields says most.
fn failure(o: &Outcome) -> Option<RowFailure> {
    if !failed(o) {
        return None;
    }
    let sentence = o.errors.load.as_ref().or(o.errors.generation.as_ref());
    Some(match &o.error {
        Some(error) => {
            RowFailure { kind: kind_name(error.kind), status: error.status, message: shortened(&error.message) }
        }
        None => RowFailure {
            kind: if o.errors.load.is_some() { "load" } else { "error" },
            status: None,
            message: shortened(sentence.map_or("", String::as_str)),
        },
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
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
