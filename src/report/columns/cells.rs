//! How the cells of columns are made: numbers with their doubts, and with what else there is to say of them.

use super::Cell;
use crate::record::Quantiles;
use crate::report::number;
use crate::summary::{Energy, Group, Joules, Metric, Outlying, Range, Throughput, Unit};
use std::collections::BTreeSet;

/// Counted words as people read them: `stop`, or `stop 30, length 2`.
pub(super) fn tally<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> Option<String> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    match counts[..] {
        [] => None,
        [(word, _)] if counts.len() == 1 => Some(word.clone()),
        _ => Some(counts.iter().map(|(word, n)| format!("{word} {n}")).collect::<Vec<_>>().join(", ")),
    }
}

/// Counted words, each with its count: `html 3, json 3`.
pub(super) fn tally_all<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> Option<String> {
    let counts: Vec<String> = counts.map(|(word, n)| format!("{word} {n}")).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

pub(super) fn words(set: &BTreeSet<String>) -> Option<String> {
    (!set.is_empty()).then(|| set.iter().cloned().collect::<Vec<_>>().join(", "))
}

/// Whether the pages of a group show anything: `yes`, `no`, or how many of them.
pub(super) fn rendered(group: &Group) -> Option<String> {
    let screens = group.screens.as_ref().filter(|screens| screens.unknown < screens.pages)?;
    Some(match (screens.rendered, screens.pages) {
        (0, 1) => "no".into(),
        (1, 1) => "yes".into(),
        (rendered, pages) => format!("{rendered} of {pages}"),
    })
}

pub(super) fn p50(group: &Group, metric: Metric) -> Cell {
    percentile(group, metric, "p50")
}

pub(super) fn percentile(group: &Group, metric: Metric, name: &'static str) -> Cell {
    let Some(stat) = group.stat(metric) else { return Cell::Absent };
    // A single number is no percentile: it stands where the median stands, and nowhere else.
    if stat.quantiles.count == 1 && !matches!(name, "p50" | "max") {
        return Cell::Absent;
    }
    let numbers = &stat.quantiles;
    let Some(value) = numbers.get(name) else { return Cell::Absent };
    // Of one request the count carries the mark: all of its numbers are one measurement each, and a mark on each would say nothing.
    let doubt = (numbers.count > 1 && !numbers.supports(name)).then(|| too_few(numbers.count, name));
    Cell::Number { value, doubt, more: spread(numbers, metric.unit()) }
}

/// How many requests did not fail: the first thing to doubt where it is one.
pub(super) fn ok(group: &Group) -> Cell {
    let doubt = (group.ok == 1)
        .then(|| "one request: its numbers are one measurement each, and may be others next time".to_owned());
    Cell::Number { value: group.ok as f64, doubt, more: None }
}

/// Why a percentile of several is marked.
fn too_few(n: u64, name: &str) -> String {
    format!("{n} measurements are too few to know {name}")
}

fn spread(numbers: &Quantiles, unit: Unit) -> Option<String> {
    let say = |value| number::alone(value, unit);
    Some(match numbers.count {
        1 => "one measurement".into(),
        n => format!("n {n}, mean {}, {} to {}", say(numbers.mean?), say(numbers.min?), say(numbers.max?)),
    })
}

/// A number of what the group got through, with the part of the load that it is of.
pub(super) fn through(group: &Group, of: fn(&Throughput) -> Option<f64>) -> Cell {
    let Some((through, value)) = group.throughput.as_ref().and_then(|t| Some((t, of(t)?))) else { return Cell::Absent };
    let part = if through.part.steady { "the steady part of the load" } else { "the whole load" };
    let more = format!("over {} of {part}", number::lasting(through.span_seconds));
    Cell::Number { value, doubt: through.doubt(), more: Some(more) }
}

/// A metric of energy: the median, with the mean's certain bounds.
pub(super) fn joules(group: &Group, metric: Metric, part: Option<Joules>) -> Cell {
    let bounds = part.and_then(|part| part.mean()).and_then(|(mean, bounds)| Some((mean, bounds?)));
    match p50(group, metric) {
        Cell::Number { value, doubt, more } => {
            let say = |v| number::alone(v, Unit::Joules);
            let bounds =
                bounds.map(|(_, (low, high))| format!("mean certainly between {} and {}", say(low), say(high)));
            let more = more.into_iter().chain(bounds).collect::<Vec<_>>().join("; ");
            Cell::Number { value, doubt: doubt.or_else(|| weak(group)), more: Some(more) }
        }
        other => other,
    }
}

/// The sum of a metric over the requests that have it.
pub(super) fn total(group: &Group, metric: Metric) -> Cell {
    let Some(stat) = group.stat(metric) else { return Cell::Absent };
    let (n, Some(mean)) = (stat.quantiles.count, stat.quantiles.mean) else { return Cell::Absent };
    let missing = group.ok - n.min(group.ok);
    let more = (missing > 0).then(|| format!("of {n} requests; {missing} have none"));
    Cell::Number { value: mean * n as f64, doubt: weak(group), more }
}

/// A figure of memory. That of the whole machine is no figure of the server, and is marked.
pub(super) fn memory(group: &Group, metric: Metric, name: &'static str) -> Cell {
    let whole = group.memory_primary.iter().any(|figure| figure.starts_with("system_used"));
    match percentile(group, metric, name) {
        Cell::Number { value, doubt, more } => {
            let why =
                whole.then(|| "this is the memory of the whole machine: no process of the server was measured".into());
            Cell::Number { value, doubt: why.or(doubt), more }
        }
        other => other,
    }
}

/// How many requests lie far out, by metric, and the farthest of them: `ttft 2 (r/7, r/9)`.
pub(super) fn far_out(group: &Group) -> Option<String> {
    let say = |(metric, far): (&Metric, &Outlying)| {
        let named: Vec<&str> = far.requests.iter().take(3).map(String::as_str).collect();
        let more = if far.n > 3 { ", …" } else { "" };
        format!("{} {} ({}{more})", metric.name().replace('_', " "), far.n, named.join(", "))
    };
    let words: Vec<String> = group.outliers.iter().map(say).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

pub(super) fn gap(group: &Group, name: &'static str) -> Cell {
    let Some(gaps) = &group.inter_chunk_latency_seconds else { return Cell::Absent };
    let (n, Some(value)) = (gaps.quantiles.count, gaps.quantiles.get(name)) else { return Cell::Absent };
    if n == 1 && name != "p50" {
        return Cell::Absent;
    }
    let few = || match n {
        1 => format!("one gap is too few to know {name}"),
        n => format!("{n} gaps are too few to know {name}"),
    };
    let doubt = (!gaps.quantiles.supports(name)).then(few);
    let more = match (n, gaps.quantiles.max) {
        (1, _) => Some("one gap".to_owned()),
        (n, max) => max.map(|max| format!("{n} gaps, longest {}", number::alone(max, Unit::Gap))),
    };
    Cell::Number { value, doubt, more }
}

pub(super) fn watts(group: &Group, metric: Metric) -> Cell {
    let range = group.watts.get(&metric).map(|range| format!("readings {:.1} to {:.1} W", range.low, range.peak));
    match p50(group, metric) {
        Cell::Number { value, doubt, .. } => Cell::Number { value, doubt: doubt.or_else(|| weak(group)), more: range },
        other => other,
    }
}

/// A reading of a power domain: its highest or its lowest.
pub(super) fn reading(group: &Group, metric: Metric, of: fn(&Range) -> f64) -> Cell {
    doubtful(group, group.watts.get(&metric).map(of), None)
}

/// Energy per output token with its bounds, and what these are called.
pub(super) struct PerToken {
    value: fn(&Energy) -> Option<f64>,
    lower: fn(&Energy) -> Option<f64>,
    upper: fn(&Energy) -> Option<f64>,
    said: &'static str,
}

pub(super) const GROSS: PerToken = PerToken {
    value: |e| e.joules_per_output_token,
    lower: |e| e.joules_per_output_token_lower,
    upper: |e| e.joules_per_output_token_upper,
    said: "certainly",
};

/// What idling took is known from a spread of readings: nothing of it is certain.
pub(super) const NET: PerToken = PerToken {
    value: |e| e.net_joules_per_output_token,
    lower: |e| e.net_joules_per_output_token_lower,
    upper: |e| e.net_joules_per_output_token_upper,
    said: "as far as idling is known,",
};

pub(super) fn per_token(group: &Group, which: PerToken) -> Cell {
    let Some(energy) = &group.energy else { return Cell::Absent };
    let bounds = (which.lower)(energy).zip((which.upper)(energy)).map(|(low, high)| {
        let say = |value| number::write(value, Unit::JoulesPerToken, 3);
        format!("{} between {} and {}", which.said, say(low), say(high))
    });
    doubtful(group, (which.value)(energy), bounds)
}

pub(super) fn per_token_bound(group: &Group, of: fn(&Energy) -> Option<f64>) -> Cell {
    doubtful(group, group.energy.as_ref().and_then(of), None)
}

pub(super) fn doubtful(group: &Group, value: Option<f64>, more: Option<String>) -> Cell {
    value.map_or(Cell::Absent, |value| Cell::Number { value, doubt: weak(group), more })
}

/// Why energies of the group are to be taken with care.
pub(super) fn weak(group: &Group) -> Option<String> {
    let meter = group.meter.as_ref()?;
    let mut why = Vec::new();
    if meter.simulated {
        why.push("the meter is simulated".to_owned());
    }
    if meter.estimated {
        why.push("the meter estimates".to_owned());
    }
    for (quality, text) in [
        ("sub_interval", "requests are shorter than two windows of the meter"),
        ("partial", "requests are not fully covered by readings"),
        ("coarse", "bounds are further apart than 10 %"),
    ] {
        if let Some(n) = meter.quality.get(quality) {
            why.push(format!("{n} × {quality}: {text}"));
        }
    }
    (!why.is_empty()).then(|| why.join("; "))
}
