//! The rows behind the page as JSON: columns of numbers, each word once.

use super::intervals::Intervals;
use super::links::href;
use super::table::ROWS;
use super::unseen;
use super::vocabulary::vocabulary;
use crate::record::{Accuracy, AccuracyLevel, LoadLevel, Percentile, Quantiles};
use crate::report::{Options, work};
use crate::stats::Histogram;
use crate::summary::{
    COLUMNS, Cell, Column, Columns, DRAWN, Energy, GapMap, Group, Joules, Metric, Row, Shape, Slo, Split, Stat, Summary,
};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The data of the page as JSON text.
pub fn json(summary: &Summary, options: &Options, names: &[String], intervals: &[Intervals]) -> String {
    let mut value = document(summary, options, names, intervals);
    show_hidden(&mut value);
    value.to_string()
}

fn document(summary: &Summary, options: &Options, names: &[String], intervals: &[Intervals]) -> Value {
    // Times are counted from the first stamp, so that they need few digits.
    let starts = summary.rows.iter().filter_map(|row| row.figures.start_ts);
    let t0 = starts.chain(summary.loads.iter().map(|load| load.started_ts)).fold(f64::INFINITY, f64::min);
    let t0 = if t0.is_finite() { t0.floor() } else { 0.0 };
    let loads: Vec<Value> = summary
        .loads
        .iter()
        .map(|load| {
            json!({
                "run": load.run, "model": load.model, "from": short(load.started_ts - t0), "to": short(load.ended_ts - t0),
                "baseline": load.baseline_ts.map(|b| [short(b[0] - t0), short(b[1] - t0)]), "failed": load.error.is_some(),
            })
        })
        .collect();
    // How many results each embedded one stands for, where they are a sample.
    let weight = summary.sampled().then(|| short(summary.results as f64 / summary.rows.len().max(1) as f64));
    json!({
        "v": 1, "t0": t0, "slo": summary.slo, "vocabulary": vocabulary(), "statistics": statistics(),
        "groups": groups(summary, names, intervals), "loads": loads,
        "results": summary.results, "weight": weight, "rows": rows(&summary.rows, summary.slo.as_ref(), options, t0),
        "power": series(&summary.power, t0), "memory": series(&summary.memory, t0),
        "levels": summary.levels.iter().filter(|level| level.skipped.is_none()).map(level).collect::<Vec<_>>(),
        "accuracy": summary.accuracy.as_ref().map(accuracy),
    })
}

/// The names of the numbers in each array of `stats`.
fn statistics() -> Vec<&'static str> {
    let percentiles = Percentile::ALL.iter().map(|percentile| percentile.name);
    ["count", "mean", "sd", "min"].into_iter().chain(percentiles).chain(["max"]).collect()
}

/// The groups, as far as the table has rows.
fn groups(summary: &Summary, names: &[String], intervals: &[Intervals]) -> Vec<Value> {
    let of_groups = summary.groups.iter().zip(work::kinds(summary)).zip(names).zip(intervals).take(ROWS);
    of_groups.map(|(((group, work), name), intervals)| {
        let between = |(key, (low, high)): (&&str, &(f64, f64))| ((*key).to_owned(), json!([short(*low), short(*high)]));
        json!({
            "name": name, "model": group.model, "cells": cells(group), "stats": stats(group), "ok": group.ok, "failed": group.failed,
            "concurrency": group.concurrency, "rate": group.rate, "work": work,
            "energy": group.energy.as_ref().map(|e| energy(e, group.energy_split.as_ref())),
            "shapes": summary.sampled().then(|| shapes(group)),
            "intervals": intervals.iter().map(between).collect::<Map<_, _>>(),
            "gaps": group.gap_map.as_ref().map(gaps),
            "facts": facts(group),
        })
    }).collect()
}

/// What stands in each column.
fn cells(group: &Group) -> Map<String, Value> {
    let cell = |column: &Column| match column.cell(group) {
        Cell::Absent => None,
        Cell::Text(text) => Some((column.key.clone(), json!(text))),
        Cell::Number { value, .. } => Some((column.key.clone(), short(value))),
    };
    COLUMNS.iter().filter_map(cell).collect()
}

/// The statistics of each metric of requests.
fn stats(group: &Group) -> Map<String, Value> {
    let of = |(metric, stat): (&Metric, &Stat)| {
        let number = |name: &&str| match *name {
            "count" => json!(stat.quantiles.count),
            "sd" => stat.sd.map_or(Value::Null, short),
            name => stat.quantiles.get(name).map_or(Value::Null, short),
        };
        (metric.name().to_owned(), statistics().iter().map(number).collect())
    };
    group.metrics.iter().map(of).collect()
}

/// What the client says of a load level: what was kept of what was asked, and how late it was, as upper ends of classes in
/// seconds with their counts.
fn level(level: &LoadLevel) -> Value {
    let late = |late: &Option<Quantiles>| {
        late.as_ref().map(|late| {
        let classes = Histogram::decode(late.histogram.as_deref().unwrap_or_default()).map(|histogram| {
            histogram.classes().map(|(seconds, n)| json!([short(seconds), n])).collect::<Vec<_>>()
        });
        json!({ "n": late.count, "p50": late.p50.map(short), "p99": late.p99.map(short), "max": late.max.map(short), "classes": classes.ok() })
    })
    };
    json!({
        "run": level.run, "models": level.models, "concurrency": level.concurrency, "rate": level.rate,
        "sent": level.sent, "failed": level.failed, "not_sent": level.not_sent, "due_not_sent": level.due_not_sent,
        "sent_per_second": level.sent_per_second.map(short), "requests_per_second": level.requests_per_second.map(short),
        "in_flight_mean": level.in_flight_mean.map(short), "in_flight_max": level.in_flight_max,
        "schedule_lag": late(&level.schedule_lag_seconds), "loop_lag": late(&level.loop_lag_seconds),
    })
}

/// The curve of an accuracy curve.
fn accuracy(accuracy: &Accuracy) -> Value {
    let error = |error: &Option<Quantiles>| {
        error.as_ref().map(|e| json!({ "mean": e.mean.map(short), "p50": e.p50.map(short), "p99": e.p99.map(short) }))
    };
    let level = |l: &AccuracyLevel| json!({ "n": l.concurrency, "ttft": error(&l.ttft_error_seconds), "gap": error(&l.gap_p99_error_seconds) });
    json!({
        "limit": short(accuracy.limit_seconds), "accurate_up_to": accuracy.accurate_up_to,
        "levels": accuracy.levels.iter().map(level).collect::<Vec<_>>(),
    })
}

/// Puts a visible sign in the place of characters that hide or reorder what stands around them.
fn show_hidden(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().any(unseen) => *text = super::visible(text),
        Value::Array(items) => items.iter_mut().for_each(show_hidden),
        Value::Object(fields) => fields.values_mut().for_each(show_hidden),
        _ => {}
    }
}

/// What the numbers of a group do not say.
fn facts(group: &Group) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut say = |what, words: Vec<String>| {
        if !words.is_empty() {
            facts.push((what, words.join(", ")));
        }
    };
    let set = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    say("endpoint", set(&group.endpoints));
    say("parameters", set(&group.parameters));
    say("answered by", set(&group.served_models));
    say("architecture", group.details.arch.iter().cloned().collect());
    say("format", group.details.format.iter().cloned().collect());
    say("tokens counted by", group.token_methods.iter().map(|(word, n)| format!("{word} {n}")).collect());
    if let Some(throughput) = &group.throughput {
        let rate = super::super::json::number(Some((throughput.requests_per_second * 1e4).round() / 1e4));
        say("requests per second", vec![rate.to_string()]);
    }
    say("no power because", group.no_power.keys().cloned().collect());
    if let Some(meter) = &group.meter {
        say("meter", set(&meter.meters));
        say("total is", set(&meter.total_domains));
        say("energy shared by", set(&meter.attribution));
        say("quality of energy", meter.quality.iter().map(|(word, n)| format!("{word} {n}")).collect());
        say("missing because", meter.reasons.keys().cloned().collect());
    }
    if group.retried > 0 {
        say("tried more than once", vec![group.retried.to_string()]);
    }
    facts
}

/// The requests: one array per field, words by their number in a list.
fn rows(all: &[Row], slo: Option<&Slo>, options: &Options, t0: f64) -> Value {
    let rows: Vec<&Row> = all.iter().filter(|row| row.group < ROWS).collect();
    let mut words = Words::default();
    let mut columns = Map::new();
    let mut put = |name: &str, values: Vec<Value>| {
        // A column that nobody has is left out.
        if values.iter().any(|v| !v.is_null()) {
            columns.insert(name.to_owned(), Value::Array(values));
        }
    };
    let number = |v: Option<f64>| v.map_or(Value::Null, short);
    put("group", rows.iter().map(|r| json!(r.group)).collect());
    put("run", rows.iter().map(|r| words.of(Some(&r.run))).collect());
    put("id", rows.iter().map(|r| json!(r.id)).collect());
    put("prompt", rows.iter().map(|r| words.of(r.prompt.as_deref())).collect());
    put("warmup", rows.iter().map(|r| if r.warmup { json!(1) } else { Value::Null }).collect());
    put(
        "start",
        rows.iter()
            .map(|r| r.figures.start_ts.map_or(Value::Null, |ts| json!(((ts - t0) * 1e4).round() / 1e4)))
            .collect(),
    );
    put("end", rows.iter().map(|r| number(r.figures.end_seconds)).collect());
    put("waited_seconds", rows.iter().map(|r| number(r.figures.waited)).collect());
    // What was asked for is judged here, by numbers that are not yet short.
    let good = |r: &Row| slo.is_some_and(|slo| r.figures.keeps(slo)).then_some(1);
    put("good", rows.iter().map(|r| json!(good(r))).collect());
    put("in_flight", rows.iter().map(|r| json!(r.in_flight)).collect());
    put("finish_reason", rows.iter().map(|r| words.of(r.finish_reason.as_deref())).collect());
    put("kind", rows.iter().map(|r| words.of(r.figures.failure.as_ref().map(|f| f.kind))).collect());
    put("status", rows.iter().map(|r| json!(r.figures.failure.as_ref().and_then(|f| f.status))).collect());
    put("error", rows.iter().map(|r| words.of(r.figures.failure.as_ref().map(|f| f.message.as_str()))).collect());
    let doubts = |r: &Row| (!r.figures.warnings.is_empty()).then(|| r.figures.warnings.join(", "));
    put("warnings", rows.iter().map(|r| words.of(doubts(r).as_deref())).collect());
    put("attempts", rows.iter().map(|r| if r.attempts > 0 { json!(r.attempts) } else { Value::Null }).collect());
    for (name, file) in FILES {
        let link = |r: &Row| file(r).and_then(|file| href(options, r.folder, file));
        put(name, rows.iter().map(|r| json!(link(r))).collect());
    }
    for metric in Metric::all() {
        put(metric.name(), rows.iter().map(|r| number(r.value(metric))).collect());
    }
    json!({ "n": rows.len(), "words": words.list, "columns": columns })
}

type FileOf = fn(&Row) -> Option<&str>;

/// The artifacts of a request by the names of their links.
pub const FILES: [(&str, FileOf); 4] = [
    ("page", |r| r.html.as_deref()),
    ("text", |r| r.text_file.as_deref()),
    ("json", |r| r.json.as_deref()),
    ("power log", |r| r.power_log.as_deref()),
];

#[derive(Default)]
struct Words {
    list: Vec<String>,
    known: HashMap<String, usize>,
}

impl Words {
    fn of(&mut self, word: Option<&str>) -> Value {
        let Some(word) = word else { return Value::Null };
        let next = self.list.len();
        let at = *self.known.entry(word.to_owned()).or_insert(next);
        if at == next {
            self.list.push(word.to_owned());
        }
        json!(at)
    }
}

/// The energy of a group: sums; means of its parts with their bounds and how many they are of; and the means of those requests
/// that tell all parts, which alone can be drawn as one whole.
fn energy(energy: &Energy, split: Option<&Split>) -> Value {
    let part = |joules: &Joules| {
        let (mean, bounds) = joules.mean()?;
        let (low, high) = (bounds.map(|b| short(b.0)), bounds.map(|b| short(b.1)));
        Some(json!({ "mean": short(mean), "low": low, "high": high, "n": joules.n }))
    };
    let same = split.and_then(|s| s.same).map(|same| {
        json!({ "whole": part(&same.whole), "prefill": part(&same.prefill), "decode": part(&same.decode), "idle": part(&same.idle) })
    });
    json!({
        "j": short(energy.joules), "low": energy.lower_joules.map(short), "high": energy.upper_joules.map(short),
        "net": energy.net_joules.map(short), "n": energy.requests, "same": same,
        "load": split.and_then(|s| part(&s.load?)), "idle": split.and_then(|s| part(&s.idle?)),
    })
}

/// The distribution of requests over times and rates, where the page does not hold them one by one: numbers and their counts.
fn shapes(group: &Group) -> Value {
    let shape = |metric: Metric| Some((metric.name().to_owned(), group.shape(metric)?));
    let pairs = |shape: Shape| shape.numbers().map(|(value, n)| json!([short(value), n])).collect();
    Value::Object(DRAWN.into_iter().filter_map(shape).map(|(name, shape)| (name, pairs(shape))).collect())
}

/// Where in the answers gaps are long, as the classes that hold any.
fn gaps(map: &GapMap) -> Value {
    let cells: Vec<Value> =
        map.cells().map(|(place, [low, high], n)| json!([place, short(low), short(high), n])).collect();
    json!({ "per": map.chunks_per_place, "streams": map.streams, "together": map.together, "cells": cells })
}

fn series(columns: &Columns, t0: f64) -> Value {
    let channels: Vec<Value> = columns
        .channels
        .iter()
        .map(|(name, values)| json!([name, values.iter().map(|v| v.map_or(Value::Null, short)).collect::<Vec<_>>()]))
        .collect();
    let ts: Vec<Value> = columns.ts.iter().map(|ts| json!(((ts - t0) * 1e3).round() / 1e3)).collect();
    json!({ "ts": ts, "channels": channels })
}

/// Six significant digits: more than any eye or any of these measurements has.
fn short(value: f64) -> Value {
    if !value.is_finite() {
        return Value::Null;
    }
    if value.fract() == 0.0 && value.abs() < 1e6 {
        return json!(value as i64);
    }
    let cut: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    super::super::json::number(Some(cut))
}
