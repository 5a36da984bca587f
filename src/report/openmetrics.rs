//! OpenMetrics: the numbers for Prometheus and its relatives, as a file that a collector picks up.
//!
//! Every metric is a gauge (what a benchmark found, not a process that lives), in the base unit its name ends with;
//! percentiles carry a `quantile` label. What tables mark is left out, because a scraper cannot see a mark: what the sample cannot
//! support. A single measurement stands as the median, as it does there, and as no other percentile.

use crate::record::{Percentile, Quantiles};
use crate::summary::{Group, Metric, Range, Stat, Summary, Throughput, Unit};
use std::collections::BTreeMap;
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
        group.inter_chunk_latency_seconds.as_ref().map(|gaps| supported(&gaps.quantiles)).unwrap_or_default()
    })?;
    counts(summary, to)?;
    energy(summary, to)?;
    through(summary, to)?;
    money(summary, to)?;
    writeln!(to, "# EOF")
}

/// What was counted: why answers ended, why requests failed, what is doubtful, what was tried again.
fn counts(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    type Of = fn(&Group) -> &BTreeMap<String, u64>;
    let tallies: [(&str, &str, &str, Of); 4] = [
        ("failed_requests", "kind", "Requests that failed, by why.", |g| &g.errors),
        ("finished_requests", "reason", "Requests that did not fail, by why the answer ended.", |g| &g.finish_reasons),
        ("doubtful_requests", "warning", "Requests that are doubtful, by what of them is.", |g| &g.warnings),
        ("requests_with_files", "file", "Requests that left a file, by its kind.", |g| &g.artifacts),
    ];
    for (name, label, help, of) in tallies {
        family(summary, to, &format!("llm_bench_{name}"), "", help, |group| {
            of(group).iter().map(|(word, n)| (format!("{label}=\"{}\"", escaped(word)), *n as f64)).collect()
        })?;
    }
    let known = |n: u64, of: u64| (of > 0).then_some(n as f64);
    one(summary, to, "retried_requests", "", "Requests that were tried more than once.", |g| {
        known(g.retried, g.retried)
    })?;
    one(summary, to, "cached_requests", "", "Requests whose prompt came, at least in part, from a cache.", |g| {
        known(g.cached_requests, g.cache_known)
    })?;
    let pages = |g: &Group| {
        g.screens.as_ref().filter(|screens| screens.unknown < screens.pages).map(|s| s.console_errors as f64)
    };
    one(summary, to, "page_console_errors", "", "Errors of the scripts of produced pages.", pages)?;
    one(summary, to, "model_size_bytes", "bytes", "The size of the model's files.", |g| {
        g.details.size_bytes.map(|n| n as f64)
    })?;
    one(
        summary,
        to,
        "model_context_tokens",
        "tokens",
        "The context length it was loaded with; else the longest it allows.",
        |g| g.details.context_length.map(|n| n as f64),
    )?;
    family(
        summary,
        to,
        "llm_bench_own_error_seconds",
        "seconds",
        "The most by which the tool was wrong, against llm-sim.",
        |g| {
            let Some(error) = &g.worst_error else { return Vec::new() };
            labelled("of", [("ttft", error.ttft_seconds), ("gap", error.gap_seconds), ("end", error.end_seconds)])
        },
    )
}

/// Energy per output token with its bounds, where the energy went, and the highest and lowest readings.
fn energy(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    let name = "llm_bench_group_energy_per_output_token";
    let help = "Energy per output token: sums over the requests where both are known.";
    family(summary, to, &format!("{name}_joules"), "joules", help, |group| {
        let Some(e) = &group.energy else { return Vec::new() };
        labelled("kind", [("gross", e.joules_per_output_token), ("net", e.net_joules_per_output_token)])
    })?;
    let help = "The same at least; of gross energy for certain, of net as far as idling is known.";
    family(summary, to, &format!("{name}_lower_joules"), "joules", help, |group| {
        let Some(e) = &group.energy else { return Vec::new() };
        labelled("kind", [("gross", e.joules_per_output_token_lower), ("net", e.net_joules_per_output_token_lower)])
    })?;
    family(summary, to, &format!("{name}_upper_joules"), "joules", "The same at most.", |group| {
        let Some(e) = &group.energy else { return Vec::new() };
        labelled("kind", [("gross", e.joules_per_output_token_upper), ("net", e.net_joules_per_output_token_upper)])
    })?;
    let help = "Where the energy went: sums over the requests, or loads, that tell it. Idle is part of the others.";
    family(summary, to, "llm_bench_group_energy_joules", "joules", help, |group| {
        let Some(split) = &group.energy_split else { return Vec::new() };
        let parts = [("load", split.load), ("prefill", split.prefill), ("decode", split.decode), ("idle", split.idle)];
        labelled("part", parts.map(|(name, part)| (name, part.map(|part| part.joules))))
    })?;
    type Of = fn(&Range) -> f64;
    let ends: [(&str, &str, Of); 2] = [
        ("low", "The lowest reading of a domain while a request ran.", |range| range.low),
        ("peak", "The highest reading of a domain while a request ran.", |range| range.peak),
    ];
    for (end, help, of) in ends {
        family(summary, to, &format!("llm_bench_power_{end}_watts"), "watts", help, |group| {
            let said = |(metric, range): (&Metric, &Range)| {
                (format!("domain=\"{}\"", metric.name().trim_end_matches("_watts")), of(range))
            };
            group.watts.iter().map(said).collect()
        })?;
    }
    Ok(())
}

/// What was got through, and how much of it was good.
fn through(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    type Of = fn(&Throughput) -> Option<f64>;
    let rates: [(&str, &str, Of); 5] = [
        ("throughput_tokens_per_second", "Output tokens of all requests together per second.", |t| {
            t.output_tokens_per_second
        }),
        ("requests_per_second", "Requests that ended and did not fail per second.", |t| Some(t.requests_per_second)),
        ("ended_requests_per_second", "Requests that ended per second.", |t| Some(t.ended_per_second)),
        ("sent_requests_per_second", "Requests that were sent per second.", |t| Some(t.sent_per_second)),
        ("requests_in_flight", "Requests in flight on average, by time.", |t| Some(t.concurrency)),
    ];
    for (name, help, of) in rates {
        family(summary, to, &format!("llm_bench_{name}"), "", help, |group| {
            let Some(through) = &group.throughput else { return Vec::new() };
            let window = if through.part.steady { "steady" } else { "all" };
            of(through).map(|rate| (format!("window=\"{window}\""), rate)).into_iter().collect()
        })?;
    }
    one(summary, to, "asked_requests_per_second", "", "Requests per second that were asked for.", |group| group.rate)?;
    one(summary, to, "goodput_ratio", "ratio", "The share of all requests that kept every limit of --slo.", |group| {
        group.goodput.as_ref().map(|good| good.share)
    })?;
    one(summary, to, "good_requests", "", "Requests that kept every limit of --slo.", |group| {
        group.goodput.as_ref().map(|good| good.good as f64)
    })?;
    one(summary, to, "good_requests_per_second", "", "Requests that kept every limit of --slo, per second.", |group| {
        group.goodput.as_ref().and_then(|good| good.requests_per_second)
    })
}

/// What it cost: requests, and the energy of requests.
fn money(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    one(
        summary,
        to,
        "group_cost_usd",
        "usd",
        "US dollars for all requests, failed ones that were billed included.",
        |g| g.cost.as_ref().map(|cost| cost.usd),
    )?;
    one(summary, to, "group_usd_per_million_output_tokens", "", "US dollars paid for a million output tokens.", |g| {
        g.cost.as_ref().and_then(|cost| cost.usd_per_million_output_tokens)
    })?;
    family(summary, to, "llm_bench_listed_usd_per_million_tokens", "", "The listed price of a million tokens.", |g| {
        let listed = &g.details;
        let prices = [
            ("input", listed.listed_usd_per_million_input_tokens),
            ("output", listed.listed_usd_per_million_output_tokens),
        ];
        labelled("tokens", prices)
    })?;
    let sum = |group: &Group, metric| group.stat(metric).and_then(|stat| total(&stat.quantiles));
    one(
        summary,
        to,
        "group_energy_cost",
        "",
        "What the energy of all requests cost, in the money of its price.",
        |g| sum(g, Metric::EnergyPrice),
    )?;
    one(
        summary,
        to,
        "group_carbon_grams",
        "grams",
        "What the energy of all requests emitted, in CO₂ equivalent.",
        |g| sum(g, Metric::Carbon),
    )
}

/// Samples that one label tells apart, of those that there are.
fn labelled<const N: usize>(label: &str, values: [(&str, Option<f64>); N]) -> Vec<(String, f64)> {
    values.into_iter().filter_map(|(name, value)| Some((format!("{label}=\"{name}\""), value?))).collect()
}

/// A family with at most one number per group.
fn one(
    summary: &Summary,
    to: &mut dyn Write,
    name: &str,
    unit: &str,
    help: &str,
    of: impl Fn(&Group) -> Option<f64>,
) -> io::Result<()> {
    family(summary, to, &format!("llm_bench_{name}"), unit, help, |group| {
        of(group).map(|value| (String::new(), value)).into_iter().collect()
    })
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
    let numbers = &stat.quantiles;
    // A single number is no percentile, but stands for the median.
    let single = (numbers.count == 1).then_some(numbers.p50).flatten().map(|p50| labelled_quantile(0.5, p50));
    let low = numbers.min.map(|min| labelled_quantile(0.0, min));
    let high = numbers.max.map(|max| labelled_quantile(1.0, max));
    low.into_iter().chain(single).chain(supported(numbers)).chain(high).collect()
}

/// The percentiles that there are enough numbers for.
fn supported(numbers: &Quantiles) -> Vec<(String, f64)> {
    let supported = Percentile::ALL.iter().filter(|p| p.is_supported_by(numbers.count));
    supported.filter_map(|p| Some(labelled_quantile(p.fraction, numbers.get(p.name)?))).collect()
}

fn labelled_quantile(fraction: f64, value: f64) -> (String, f64) {
    (format!("quantile=\"{fraction}\""), value)
}

/// The sum of all numbers.
fn total(numbers: &Quantiles) -> Option<f64> {
    Some(numbers.mean? * numbers.count as f64)
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
        Unit::Seconds | Unit::Gap => "seconds",
        Unit::Watts => "watts",
        Unit::Joules | Unit::JoulesPerToken => "joules",
        Unit::Bytes => "bytes",
        Unit::Usd => "usd",
        Unit::Tokens => "tokens",
        Unit::Grams => "grams",
        Unit::TokensPerSecond | Unit::PerSecond | Unit::Money | Unit::Count | Unit::Average | Unit::Share => "",
    }
}

/// A label's value: the three characters that the format escapes, and by its number what cannot be seen. It is not left out: two
/// names that differ in nothing else would be one series twice, which no scraper takes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            '"' => safe.push_str("\\\""),
            '\n' => safe.push_str("\\n"),
            c if super::number::hidden(c) => safe.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}
