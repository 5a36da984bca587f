//! OpenMetrics: the numbers for Prometheus and its relatives, as a file that a collector picks up.
//!
//! Every metric is a gauge (what a benchmark found, not a process that lives), in the base unit its name ends with;
//! percentiles carry a `quantile` label. What the sample cannot support is left out, because a scraper cannot see a mark.

use crate::summary::{Group, Metric, Stat, Summary, Throughput, Unit};
use std::io::{self, Write};

/// Writes the exposition.
///
/// # Errors
/// When the output is closed or full.
pub fn write(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    family(summary, to, "llm_bench_requests", "", "Requests, by whether they failed.", |group| {
        vec![("status=\"ok\"".into(), group.ok as f64), ("status=\"failed\"".into(), group.failed as f64)]
    })?;
    for metric in Metric::ALL {
        let name = format!("llm_bench_{}", exposed(metric));
        let help = format!("Over requests that did not fail: {}.", metric.name());
        family(summary, to, &name, unit(metric), &help, |group| group.stat(metric).map(quantiles).unwrap_or_default())?;
    }
    family(summary, to, "llm_bench_itl_seconds", "seconds", "Gaps between chunks with text, merged.", |group| {
        let Some(gaps) = &group.itl_seconds else { return Vec::new() };
        [("p50", "0.5", gaps.p50), ("p90", "0.9", gaps.p90), ("p95", "0.95", gaps.p95), ("p99", "0.99", gaps.p99)]
            .into_iter()
            .filter(|(name, ..)| !gaps.unsupported.contains(name))
            .map(|(_, q, value)| (format!("quantile=\"{q}\""), value))
            .collect()
    })?;
    let energy = "Energy per output token: sums over the requests where both are known.";
    family(summary, to, "llm_bench_group_energy_per_output_token_joules", "joules", energy, |group| {
        let energy = group.energy.as_ref();
        let kinds = [
            ("gross", energy.and_then(|e| e.joules_per_output_token)),
            ("net", energy.and_then(|e| e.net_joules_per_output_token)),
        ];
        kinds.into_iter().filter_map(|(kind, v)| Some((format!("kind=\"{kind}\""), v?))).collect()
    })?;
    type Of = fn(&Throughput) -> Option<f64>;
    let rates: [(&str, &str, Of); 5] = [
        ("throughput_tokens_per_second", "Output tokens of all requests together per second.", |t| {
            t.output_tokens_per_second
        }),
        ("requests_per_second", "Requests that ended and did not fail per second.", |t| Some(t.requests_per_second)),
        ("ended_requests_per_second", "Requests that ended per second.", |t| Some(t.ended_per_second)),
        ("sent_requests_per_second", "Requests that were sent per second.", |t| t.sent_per_second),
        ("requests_in_flight", "Requests in flight on average, by time.", |t| Some(t.concurrency)),
    ];
    for (name, help, of) in rates {
        family(summary, to, &format!("llm_bench_{name}"), "", help, |group| {
            let Some(through) = &group.throughput else { return Vec::new() };
            let window = if through.part.steady { "steady" } else { "all" };
            of(through).map(|rate| (format!("window=\"{window}\""), rate)).into_iter().collect()
        })?;
    }
    writeln!(to, "# EOF")
}

/// One family: its metadata, then its samples; nothing at all where no group has any.
fn family(
    summary: &Summary,
    to: &mut dyn Write,
    name: &str,
    unit: &str,
    help: &str,
    of: impl Fn(&Group) -> Vec<(String, f64)>,
) -> io::Result<()> {
    let samples: Vec<(&Group, String, f64)> =
        summary.groups.iter().flat_map(|group| of(group).into_iter().map(move |(l, v)| (group, l, v))).collect();
    if samples.is_empty() {
        return Ok(());
    }
    writeln!(to, "# TYPE {name} gauge")?;
    if !unit.is_empty() {
        writeln!(to, "# UNIT {name} {unit}")?;
    }
    writeln!(to, "# HELP {name} {help}")?;
    for (group, label, value) in samples {
        let comma = if label.is_empty() { "" } else { "," };
        writeln!(to, "{name}{{{}{comma}{label}}} {value}", labels(group))?;
    }
    Ok(())
}

fn labels(group: &Group) -> String {
    let mut labels = vec![format!("model=\"{}\"", escaped(&group.model))];
    labels.extend(group.source.map(|source| format!("source=\"{source}\"")));
    labels.extend(group.provider.as_ref().map(|provider| format!("provider=\"{}\"", escaped(provider))));
    labels.extend(group.concurrency.map(|n| format!("concurrency=\"{n}\"")));
    labels.extend(group.rate.map(|rate| format!("rate=\"{rate}\"")));
    labels.extend(group.sub.as_ref().map(|sub| format!("set=\"{}\"", escaped(sub))));
    labels.join(",")
}

fn quantiles(stat: &Stat) -> Vec<(String, f64)> {
    [("min", "0"), ("p50", "0.5"), ("p90", "0.9"), ("p95", "0.95"), ("p99", "0.99"), ("max", "1")]
        .into_iter()
        .filter(|(name, _)| if stat.n == 1 { *name == "p50" } else { stat.supports(name) })
        .filter_map(|(name, q)| Some((format!("quantile=\"{q}\""), stat.percentile(name)?)))
        .collect()
}

/// The name with its unit at the end, as the format wants it.
fn exposed(metric: Metric) -> &'static str {
    match metric {
        Metric::EnergyPerToken => "energy_per_output_token_joules",
        other => other.name(),
    }
}

/// The unit that the name ends with; none for rates and counts, which have no base unit of their own.
fn unit(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Seconds => "seconds",
        Unit::Watts => "watts",
        Unit::Joules | Unit::JoulesPerToken => "joules",
        Unit::Bytes => "bytes",
        Unit::Usd => "usd",
        Unit::Tokens => "tokens",
        Unit::Grams => "grams",
        Unit::TokensPerSecond | Unit::PerSecond | Unit::Money | Unit::Count | Unit::Average | Unit::Share => "",
    }
}

/// A label's value: the three characters that the format escapes, and no control characters.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            '"' => safe.push_str("\\\""),
            '\n' => safe.push_str("\\n"),
            c if super::number::hidden(c) => {}
            c => safe.push(c),
        }
    }
    safe
}
