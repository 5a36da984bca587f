//! Between which numbers a group's median lies, so that a page names no winner where there is none.

use crate::summary::{Group, Metric, Row, Summary};
use std::collections::BTreeMap;

/// The columns whose number is the median of a metric.
const MEDIANS: [(&str, Metric); 17] = [
    ("load_s", Metric::LoadTime),
    ("ttft_p50", Metric::Ttft),
    ("ttft_sched_p50", Metric::TtftScheduled),
    ("answer_p50", Metric::FirstAnswer),
    ("decode_tok_s", Metric::DecodeRate),
    ("tok_s", Metric::TokenRate),
    ("prompt_tok_s", Metric::PromptRate),
    ("gen_s", Metric::GenerationTime),
    ("cpu_w", Metric::CpuWatts),
    ("gpu_w", Metric::GpuWatts),
    ("ane_w", Metric::AneWatts),
    ("total_w", Metric::TotalWatts),
    ("joules", Metric::Energy),
    ("load_j", Metric::LoadEnergy),
    ("mem_load", Metric::MemoryLoad),
    ("mem_gen", Metric::MemoryGeneration),
    ("usd_request", Metric::Cost),
];

/// By column: at least and at most.
pub type Intervals = BTreeMap<&'static str, (f64, f64)>;

/// The intervals of each group.
pub fn intervals(summary: &Summary) -> Vec<Intervals> {
    let mut rows: Vec<Vec<&Row>> = vec![Vec::new(); summary.groups.len()];
    for row in summary.rows.iter().filter(|row| !row.warmup && row.ok()) {
        rows[row.group].push(row);
    }
    summary.groups.iter().zip(&rows).map(|(group, rows)| of(group, rows)).collect()
}

fn of(group: &Group, rows: &[&Row]) -> Intervals {
    let mut intervals = Intervals::new();
    for (key, metric) in MEDIANS {
        let between = if metric.once_per_run() {
            group.stat(metric).map(|stat| &stat.quantiles).filter(|q| q.count > 1).and_then(|q| q.min.zip(q.max))
        } else {
            let mut values: Vec<f64> = rows.iter().filter_map(|row| row.value(metric)).collect();
            values.sort_by(f64::total_cmp);
            of_median(&values)
        };
        intervals.extend(between.map(|between| (key, between)));
    }
    // Energy per token is a quotient of sums: what the meter is certain of bounds it.
    let bounds =
        group.energy.as_ref().and_then(|e| e.joules_per_output_token_lower.zip(e.joules_per_output_token_upper));
    intervals.extend(bounds.map(|between| ("j_tok", between)));
    intervals
}

/// The interval that holds the true median with at least 95 % certainty, whatever the distribution: order statistics, by
/// the binomial (David and Nagaraja, Order Statistics, 7.1). Of fewer than six numbers, the whole of them; of one, none.
fn of_median(sorted: &[f64]) -> Option<(f64, f64)> {
    let n = sorted.len();
    if n < 2 {
        return None;
    }
    // The most numbers that can be left out at each end.
    let mut cut = 0;
    if n >= 6 {
        // The binomial's terms, in logarithms: they are below the smallest double where n is large.
        let mut term = -(n as f64) * std::f64::consts::LN_2;
        let mut below = term.exp();
        while below <= 0.025 && cut < n / 2 {
            cut += 1;
            term += ((n - cut + 1) as f64 / cut as f64).ln();
            below += term.exp();
        }
        cut = cut.saturating_sub(1);
    }
    Some((*sorted.get(cut)?, *sorted.get(n - 1 - cut)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_median_is_that_of_the_tables() {
        // Ranks, counted from 1, of the 95 % interval for a median: Conover, Practical Nonparametric Statistics, table A3.
        for (n, expect) in [
            (1, None),
            (2, Some((1, 2))),
            (5, Some((1, 5))),
            (6, Some((1, 6))),
            (8, Some((1, 8))),
            (9, Some((2, 8))),
            (10, Some((2, 9))),
            (15, Some((4, 12))),
            (20, Some((6, 15))),
            (100, Some((40, 61))),
        ] {
            let values: Vec<f64> = (1..=n).map(f64::from).collect();
            let expect = expect.map(|(a, b)| (f64::from(a), f64::from(b)));
            assert_eq!(of_median(&values), expect, "n {n}");
        }
        let many: Vec<f64> = (1..=20_000).map(f64::from).collect();
        let (low, high) = of_median(&many).unwrap();
        assert!((low - 9861.0).abs() < 3.0 && (high - 10_140.0).abs() < 3.0, "{low} {high}");
    }
}
