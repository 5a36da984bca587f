//! The JSON summary: the fields of the token-rate harness that people already read, then our groups.

use super::Options;
use super::accuracy;
use crate::clock;
use crate::summary::{Aside, COLUMNS, Cell, Comparison, Group, Metric, Row, Stat, Summary};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Writes the summary as one indented JSON document.
///
/// # Errors
/// When the output is closed or full.
pub fn write(summary: &Summary, options: &Options, to: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, &Document { head: head(summary, options), summary })?;
    to.write_all(b"\n")
}

/// The whole document. There are many requests: each is written before the next is looked at.
struct Document<'a> {
    head: Map<String, Value>,
    summary: &'a Summary,
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        for (name, value) in &self.head {
            fields.serialize_entry(name, value)?;
        }
        fields.serialize_entry("results", &Results(self.summary))?;
        fields.end()
    }
}

/// The requests, warm-up left out.
struct Results<'a>(&'a Summary);

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.rows.iter().filter(|row| !row.warmup).map(|row| result(self.0, row)))
    }
}

/// Everything but the requests.
fn head(summary: &Summary, options: &Options) -> Map<String, Value> {
    let totals = &summary.totals;
    let mean = |stat: &Option<Stat>| number(stat.as_ref().and_then(|s| s.quantiles.mean));
    let ms = |stat: &Option<Stat>, name| number(stat.as_ref().and_then(|s| s.quantiles.get(name)).map(|s| s * 1e3));
    let mut top = Map::new();
    let mut put = |name: &str, value: Value| top.insert(name.to_owned(), value);
    put("mode", json!(totals.mode));
    put("concurrency", json!(totals.concurrency));
    put("num_prompts", json!(totals.requests));
    put("successful_runs", json!(totals.requests - totals.failed));
    put("failed_runs", json!(totals.failed));
    put("total_time_ms", number(totals.seconds.map(|s| s * 1e3)));
    put("avg_latency_ms", ms(&totals.latency, "mean"));
    put("avg_input_tokens", mean(&totals.tokens_in));
    put("avg_output_tokens", mean(&totals.tokens_out));
    put("avg_total_tokens", mean(&totals.tokens_both));
    put("avg_tokens_per_second", mean(&totals.token_rate));
    put("min_latency_ms", ms(&totals.latency, "min"));
    put("max_latency_ms", ms(&totals.latency, "max"));
    put("p50_latency_ms", ms(&totals.latency, "p50"));
    put("p95_latency_ms", ms(&totals.latency, "p95"));
    put("timestamp", json!(totals.started_ts.and_then(clock::rfc3339)));
    let unsupported = totals.latency.as_ref().map(|s| s.unsupported.clone());
    put("unsupported_latency_percentiles", json!(unsupported.unwrap_or_default()));
    if summary.unreadable > 0 {
        put("unreadable_lines", json!(summary.unreadable));
    }
    put("warmup_runs", json!(summary.warmups));
    put("runs", json!(summary.runs.iter().map(|run| &run.run).collect::<Vec<_>>()));
    if !summary.joined.is_empty() {
        let mut joined = json!(summary.joined);
        round_all(&mut joined);
        put("joined", joined);
    }
    put("window", json!(summary.window));
    for (name, mut value) in [
        ("doubled", json!(summary.doubled)),
        ("levels", json!(summary.levels)),
        ("searches", json!(summary.searches)),
        ("ends", json!(summary.ends)),
        ("accuracy", summary.accuracy.as_ref().map_or(Value::Null, |accuracy| json!(accuracy))),
        ("accuracy_says", accuracy(summary)),
    ] {
        if value.as_array().is_none_or(|list| !list.is_empty()) && !value.is_null() {
            round_all(&mut value);
            put(name, value);
        }
    }
    put("groups", Value::Array(summary.groups.iter().map(|one| group(one, options)).collect()));
    if let Some(slo) = &summary.slo {
        put("slo", json!(slo));
    }
    if let Some(comparison) = &summary.comparison {
        put("comparison", compared(summary, comparison));
    }
    put("results_sampled", json!(summary.sampled()));
    top
}

/// What the accuracy of a machine says of this run.
fn accuracy(summary: &Summary) -> Value {
    let Some(accuracy) = &summary.accuracy else { return Value::Null };
    let judged = accuracy::judged(summary);
    json!({
        "verdict": accuracy::verdict(accuracy),
        "right": judged.as_ref().map(|judged| judged.right),
        "sentence": judged.as_ref().map(|judged| &judged.sentence),
        "loads": judged.as_ref().map(|judged| {
            judged.loads.iter().map(|load| json!({ "right": load.right, "text": load.text })).collect::<Vec<_>>()
        }),
    })
}

/// The comparison with the baseline, groups by their model and what tells them apart.
fn compared(summary: &Summary, comparison: &Comparison) -> Value {
    let changes = comparison.changes.iter().map(|change| {
        let group = &summary.groups[change.group];
        let mut value = serde_json::to_value(change).unwrap_or(Value::Null);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("model".into(), json!(group.model));
            fields.insert("provider".into(), json!(group.provider));
            fields.insert("concurrency".into(), json!(group.concurrency));
            fields.insert("rate".into(), json!(group.rate));
            fields.insert("settings".into(), json!(group.sub));
            fields.insert("baseline".into(), json!(comparison.baselines.get(change.baseline)));
        }
        round_all(&mut value);
        value
    });
    let aside = |asides: &[Aside]| -> Vec<Value> {
        let say = |aside: &Aside| json!({ "baseline": comparison.baselines.get(aside.baseline), "group": aside.group });
        asides.iter().map(say).collect()
    };
    json!({
        "baselines": comparison.baselines,
        "changes": changes.collect::<Vec<_>>(),
        "only_before": aside(&comparison.only_before),
        "only_now": aside(&comparison.only_now),
        "set_otherwise": aside(&comparison.set_otherwise),
    })
}

/// A group, its long floats cut where measurement ends and arithmetic noise begins.
fn group(group: &Group, options: &Options) -> Value {
    let mut value = serde_json::to_value(group).unwrap_or(Value::Null);
    if let Some(fields) = value.as_object_mut() {
        let (columns, doubtful) = cells(group, options);
        fields.insert("columns".into(), columns);
        fields.insert("doubtful".into(), doubtful);
    }
    round_all(&mut value);
    value
}

/// The columns of a group by the names that they have in every format, in base units and without those that were not
/// measured; and which of them are doubtful, with why.
fn cells(group: &Group, options: &Options) -> (Value, Value) {
    let (mut columns, mut doubtful) = (Map::new(), Map::new());
    let all = || COLUMNS.iter().collect();
    for column in options.columns.clone().unwrap_or_else(all) {
        let cell = column.cell(group);
        if let Some(why) = cell.doubt() {
            doubtful.insert(column.key.to_owned(), json!(why));
        }
        match cell {
            Cell::Absent => {}
            Cell::Text(text) => drop(columns.insert(column.key.to_owned(), json!(text))),
            Cell::Number { value, .. } => drop(columns.insert(column.key.to_owned(), number(Some(value)))),
        }
    }
    (Value::Object(columns), Value::Object(doubtful))
}

/// A request: the harness's fields, then every number that was measured under its own name.
fn result(summary: &Summary, row: &Row) -> Value {
    let group = &summary.groups[row.group];
    let latency = row.value(Metric::E2E);
    let (input, output) = (row.value(Metric::INPUT_TOKENS), row.value(Metric::OUTPUT_TOKENS));
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("run", json!(row.run));
    put("id", json!(row.id));
    put("model", json!(row.model));
    put("source", json!(row.source));
    put("provider", json!(row.provider));
    put("settings", json!(group.sub));
    put("prompt_id", json!(row.prompt));
    for (name, value) in [("conversation", row.conversation), ("turn", row.turn), ("in_flight", row.in_flight)] {
        if value.is_some() {
            put(name, json!(value));
        }
    }
    put("success", json!(row.ok()));
    put("timestamp", json!(row.timestamp));
    put("latency_ms", number(latency.map(|s| s * 1e3)));
    put("input_tokens", number(input));
    put("output_tokens", number(output));
    put("total_tokens", number(input.zip(output).map(|(a, b)| a + b)));
    put("tokens_per_second", number(row.value(Metric::OUTPUT_RATE)));
    put("finish_reason", json!(row.finish_reason));
    put("error", json!(row.figures.failure.as_ref().map(|failure| &failure.message)));
    put("error_kind", json!(row.figures.failure.as_ref().map(|failure| failure.kind)));
    if !row.figures.warnings.is_empty() {
        put("warnings", json!(row.figures.warnings));
    }
    for (name, reason) in [
        ("pinned_provider", &row.pinned_provider),
        ("power_reason", &row.power_reason),
        ("memory_reason", &row.memory_reason),
    ] {
        if reason.is_some() {
            put(name, json!(reason));
        }
    }
    let files: Map<String, Value> = row.files().map(|(kind, path)| (kind.to_owned(), json!(path))).collect();
    if !files.is_empty() {
        put("files", Value::Object(files));
    }
    if let Some(screen) = &row.screen {
        put("rendered", json!(screen.rendered));
        put("console_errors", json!(screen.console_errors));
        put("hosts", json!(screen.hosts));
        put("screenshot", json!(screen.picture));
    }
    for &(metric, value) in &row.figures.values {
        fields.entry(metric.name()).or_insert_with(|| number(Some(value)));
    }
    Value::Object(fields)
}

/// A number with twelve significant digits, whole numbers without a point; null for none.
pub fn number(value: Option<f64>) -> Value {
    let Some(value) = value.filter(|v| v.is_finite()) else { return Value::Null };
    let whole = |v: f64| v.fract() == 0.0 && v.abs() < 9e15;
    let cut = if whole(value) { value } else { format!("{value:.11e}").parse().unwrap_or(value) };
    if whole(cut) { json!(cut as i64) } else { json!(cut) }
}

fn round_all(value: &mut Value) {
    match value {
        Value::Number(n) if n.is_f64() => *value = number(n.as_f64()),
        Value::Array(items) => items.iter_mut().for_each(round_all),
        Value::Object(fields) => fields.values_mut().for_each(round_all),
        _ => {}
    }
}
