//! How the cells of columns are made: numbers with their doubts, and with what else there is to say of them.

use super::{Cell, Metric, Statistic};
use crate::record::Quantiles;
use crate::summary::energy::{Energy, Joules, Range};
use crate::summary::group::{Group, Throughput};
use crate::summary::outlying::Outlying;
use crate::units::{self, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// Counted words as people read them: `stop`, or `stop 30, length 2`.
pub(super) fn tally(counts: &BTreeMap<String, u64>, counted: bool) -> Option<String> {
    let mut counts: Vec<_> = counts.iter().collect();
    if !counted {
        counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    }
    match counts[..] {
        [] => None,
        [(word, _)] if !counted => Some(word.clone()),
        _ => Some(counts.iter().map(|(word, n)| format!("{word} {n}")).collect::<Vec<_>>().join(", ")),
    }
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

/// A statistic of the requests of a group.
pub(super) fn statistic(group: &Group, metric: Metric, statistic: Statistic) -> Cell {
    let Some(numbers) = group.stat(metric).map(|stat| &stat.quantiles) else { return Cell::Absent };
    let Some(value) = statistic.of(numbers) else { return Cell::Absent };
    let (n, label) = (numbers.count, statistic.label());
    let Statistic::Percentile(_) = statistic else {
        return Cell::Number { value, doubt: None, more: spread(group, metric, statistic, numbers) };
    };
    // A single number is no percentile: it stands where the median stands, and nowhere else.
    if n == 1 && statistic != Statistic::MEDIAN {
        return Cell::Absent;
    }
    let what = match (metric.figure().merged, n) {
        (true, 1) => "one gap is".to_owned(),
        (true, n) => format!("{n} gaps are"),
        // Of one request the count carries the mark: all of its numbers are one measurement each.
        (false, 1) => return Cell::Number { value, doubt: None, more: spread(group, metric, statistic, numbers) },
        (false, n) => format!("{n} measurements are"),
    };
    let doubt = (!numbers.supports(statistic.name())).then(|| format!("{what} too few to know {label}"));
    Cell::Number { value, doubt, more: spread(group, metric, statistic, numbers) }
}

/// What else there is to say of a statistic.
fn spread(group: &Group, metric: Metric, statistic: Statistic, numbers: &Quantiles) -> Option<String> {
    let (n, say) = (numbers.count, |value| units::alone(value, metric.unit()));
    if statistic == Statistic::Sum {
        let missing = group.ok - n.min(group.ok);
        return (missing > 0).then(|| format!("of {n} requests; {missing} have none"));
    }
    Some(match (metric.figure().merged, n) {
        (true, 1) => "one gap".into(),
        (true, n) => format!("{n} gaps, longest {}", say(numbers.max?)),
        (false, 1) => "one measurement".into(),
        (false, n) => format!("n {n}, mean {}, {} to {}", say(numbers.mean?), say(numbers.min?), say(numbers.max?)),
    })
}

/// How many requests did not fail: the first thing to doubt where it is one.
pub(super) fn ok(group: &Group) -> Cell {
    let doubt = (group.ok == 1)
        .then(|| "one request: its numbers are one measurement each, and may be others next time".to_owned());
    Cell::Number { value: group.ok as f64, doubt, more: None }
}

/// A rate of the group, with the measurement window that it is over.
pub(super) fn rate(group: &Group, of: fn(&Throughput) -> Option<f64>) -> Cell {
    let Some((through, value)) = group.throughput.as_ref().and_then(|t| Some((t, of(t)?))) else { return Cell::Absent };
    let window = if through.part.steady { "the steady-state window" } else { "the whole load" };
    let more = format!("over {} of {window}", units::lasting(through.span_seconds));
    Cell::Number { value, doubt: through.doubt(), more: Some(more) }
}

/// The cell with one more thing to say.
fn with(cell: Cell, group: &Group, note: Option<String>) -> Cell {
    match cell {
        Cell::Number { value, doubt, more } => {
            let more: Vec<String> = more.into_iter().chain(note).collect();
            let more = (!more.is_empty()).then(|| more.join("; "));
            Cell::Number { value, doubt: doubt.or_else(|| weak(group)), more }
        }
        other => other,
    }
}

/// A metric of energy, with the mean's certain bounds.
pub(super) fn joules(group: &Group, cell: Cell, part: Option<Joules>) -> Cell {
    let bounds = part.and_then(|part| part.mean()?.1).map(|(low, high)| {
        let say = |v| units::alone(v, Unit::Joules);
        format!("mean certainly between {} and {}", say(low), say(high))
    });
    with(cell, group, bounds)
}

/// A figure of memory. That of the whole machine is no figure of the server, and is marked.
pub(super) fn memory(group: &Group, cell: Cell) -> Cell {
    let whole = group.memory_primary.iter().any(|figure| figure.starts_with("system_used"));
    match cell {
        Cell::Number { value, more, .. } if whole => {
            let doubt = "this is the memory of the whole machine: no process of the server was measured";
            Cell::Number { value, doubt: Some(doubt.into()), more }
        }
        other => other,
    }
}

/// A mean power, with the lowest and the highest reading.
pub(super) fn watts(group: &Group, cell: Cell, metric: Metric) -> Cell {
    let range = group.watts.get(&metric).map(|range| format!("readings {:.1} to {:.1} W", range.low, range.peak));
    match cell {
        Cell::Number { value, doubt, .. } => with(Cell::Number { value, doubt, more: None }, group, range),
        other => other,
    }
}

/// A reading of a power domain: its highest or its lowest.
pub(super) fn reading(group: &Group, metric: Metric, of: fn(&Range) -> f64) -> Cell {
    with(Cell::number(group.watts.get(&metric).map(of)), group, None)
}

/// How the lower and the upper bound of a number are taken from an energy.
type Bounds = fn(&Energy) -> Option<(f64, f64)>;

/// A number of the group's energy, with the bounds of it and what these are called.
pub(super) fn energy(group: &Group, of: fn(&Energy) -> Option<f64>, bounds: Option<(&str, Bounds)>) -> Cell {
    let Some(energy) = &group.energy else { return Cell::Absent };
    let bounds = bounds.and_then(|(words, bounds)| {
        let say = |value| units::write(value, Unit::JoulesPerToken, 3);
        bounds(energy).map(|(low, high)| format!("{words} between {} and {}", say(low), say(high)))
    });
    with(Cell::number(of(energy)), group, bounds)
}

/// The number with what is doubtful about the group's meter.
pub(super) fn metered(group: &Group, cell: Cell) -> Cell {
    with(cell, group, None)
}

/// How many requests are outliers, by metric, and the farthest of them: `ttft seconds 2 (r/7, r/9)`.
pub(super) fn outliers(group: &Group) -> Option<String> {
    let say = |(metric, far): (&Metric, &Outlying)| {
        let named: Vec<&str> = far.requests.iter().take(3).map(String::as_str).collect();
        let more = if far.n > 3 { ", …" } else { "" };
        format!("{} {} ({}{more})", metric.name().replace('_', " "), far.n, named.join(", "))
    };
    let words: Vec<String> = group.outliers.iter().map(say).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// Why energies of the group are to be taken with care.
fn weak(group: &Group) -> Option<String> {
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
