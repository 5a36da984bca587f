//! OpenMetrics: the numbers for Prometheus and its relatives, as a file that a collector picks up.
//!
//! Every metric of the registry is a gauge (what a benchmark found, not a process that lives) under `llm_bench_` and its name,
//! in the base unit that the name ends with. Metrics of requests carry a `quantile` label; what adds up has its sum as
//! `llm_bench_total_…` too. What tables mark is left out, because a scraper cannot see a mark: what the sample cannot support. A
//! single measurement stands as the median, as it does there, and as no other percentile.

use crate::record::Percentile;
use crate::summary::{Figure, Group, Metric, MetricDef, Statistic, Summary, metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::io::{self, Write};

/// Writes the exposition.
///
/// # Errors
/// When the output is closed or full.
pub fn write(summary: &Summary, to: &mut dyn Write) -> io::Result<()> {
    let families = metrics().flat_map(|row| families(summary, row)).filter(|family| !family.samples.is_empty());
    let mut registry = Registry::with_prefix("llm_bench");
    registry.register_collector(Box::new(Families(families.collect())));
    let mut exposition = String::new();
    text::encode(&mut exposition, &registry).map_err(io::Error::other)?;
    to.write_all(exposition.as_bytes())
}

/// The labels of a sample.
type Labels = Vec<(&'static str, String)>;

/// A metric with its samples.
#[derive(Debug)]
struct Family {
    name: String,
    unit: Option<Unit>,
    help: String,
    samples: Vec<(Labels, f64)>,
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for Family { name, unit, help, samples } in &self.0 {
            let mut family = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            for (labels, value) in samples {
                ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

/// A row's families: one, and of what adds up the sums too.
fn families(summary: &Summary, row: &'static MetricDef) -> Vec<Family> {
    let of = |name: &str, help: String, samples: &dyn Fn(&Group) -> Vec<(Labels, f64)>| {
        // The format wants the unit at the end of the name and adds it there itself.
        let unit = row.unit.map_or("", crate::units::Unit::base);
        let bare = name.strip_suffix(unit).and_then(|name| name.strip_suffix('_')).filter(|_| !unit.is_empty());
        let each = summary.groups.iter().flat_map(|group| {
            samples(group).into_iter().map(|(more, value)| (labels(group).into_iter().chain(more).collect(), value))
        });
        Family {
            name: bare.unwrap_or(name).to_owned(),
            unit: bare.map(|_| Unit::Other(unit.to_owned())),
            help,
            samples: each.collect(),
        }
    };
    let none = Labels::new;
    match (&row.figure, Metric::of_row(row)) {
        (Figure::Request(_), Some(metric)) => {
            let sum = |group: &Group| {
                let value = Statistic::Sum.of(&group.stat(metric)?.quantiles)?;
                Some((none(), value))
            };
            let adds_up = row.unit.is_some_and(crate::units::Unit::adds_up);
            let total = adds_up.then(|| {
                let help = format!("{} Sum over the requests that have it.", row.help);
                of(&format!("total_{}", row.name), help, &|group| sum(group).into_iter().collect())
            });
            let quantiles = of(row.name, row.help.to_owned(), &|group| quantiles(group, metric));
            std::iter::once(quantiles).chain(total).collect()
        }
        (Figure::Rate(rate), _) => {
            let sample = |group: &Group| {
                let through = group.throughput.as_ref()?;
                let window = if through.part.steady { "steady" } else { "all" };
                Some((vec![("window", window.to_owned())], rate(through)?))
            };
            vec![of(row.name, row.help.to_owned(), &|group| sample(group).into_iter().collect())]
        }
        (Figure::Group(cell), _) => {
            let sample = |group: &Group| cell(group).value().map(|value| (none(), value));
            vec![of(row.name, row.help.to_owned(), &|group| sample(group).into_iter().collect())]
        }
        (Figure::Tally { of: counts, word, .. }, _) => {
            let sample = |(text, n): (&String, &u64)| (vec![(*word, visible(text))], *n as f64);
            vec![of(row.name, row.help.to_owned(), &|group| counts(group).iter().map(sample).collect())]
        }
        (Figure::Words(_) | Figure::Request(_), _) => Vec::new(),
    }
}

/// The extremes and the percentiles that the sample supports.
fn quantiles(group: &Group, metric: Metric) -> Vec<(Labels, f64)> {
    let Some(numbers) = group.stat(metric).map(|stat| &stat.quantiles) else { return Vec::new() };
    let single = |percentile: &Percentile| numbers.count == 1 && percentile.fraction == 0.5;
    let supported = Percentile::ALL.iter().filter(|p| single(p) || p.is_supported_by(numbers.count));
    let percentiles = supported.filter_map(|p| Some((p.fraction, numbers.get(p.name)?)));
    let all = numbers.min.map(|min| (0.0, min)).into_iter().chain(percentiles).chain(numbers.max.map(|max| (1.0, max)));
    all.map(|(fraction, value)| (vec![("quantile", fraction.to_string())], value)).collect()
}

fn labels(group: &Group) -> Labels {
    let mut labels = vec![("model", visible(&group.model))];
    labels.extend(group.source.map(|source| ("source", source.to_string())));
    labels.extend(group.provider.as_ref().map(|provider| ("provider", visible(provider))));
    labels.extend(group.concurrency.map(|n| ("concurrency", n.to_string())));
    labels.extend(group.rate.map(|rate| ("rate", rate.to_string())));
    labels.extend(group.sub.as_ref().map(|sub| ("settings", visible(sub))));
    labels
}

/// A label's value in which what cannot be seen stands by its number. It is not left out: two names that differ in nothing else
/// would be one series twice, which no scraper takes.
fn visible(text: &str) -> String {
    let show = |c: char| match c {
        '\n' => c.to_string(),
        c if super::number::hidden(c) => format!("<U+{:04X}>", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(show).collect()
}
