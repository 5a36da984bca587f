//! Gates: conditions on columns that make a run fail, for CI.
//!
//! `ttft_p95 > 500ms`, `failed > 0`, `tok_s < 0.95 * baseline`: a gate fails when its condition holds for any group, and
//! when a group does not have the number that it asks for, because what was not measured was not shown to be right.
//!
//! What is judged by a number that cannot be relied on says so. A count is as sure when it is small as when it is large: the mark
//! that tables put at the count of a single request is about the numbers beside it, and here it stands with those.

use super::number;
use crate::summary::{Better, Cell, Column, Group, Set, Sign, Summary, column, counterparts};
use crate::units::{Unit, quantity};

/// A condition.
#[derive(Clone)]
pub struct Gate {
    text: String,
    column: &'static Column,
    sign: Sign,
    limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    /// A number in the column's base unit.
    Number(f64),
    /// A factor of the same column of the same group of the baseline.
    OfBaseline(f64),
}

impl Gate {
    /// Reads a condition.
    ///
    /// # Errors
    /// When it has no comparison, names no column of numbers (the sentence names the nearest), or has no number of its unit.
    pub fn parse(text: &str) -> Result<Self, String> {
        let split = Sign::split(text).filter(|(_, sign, _)| *sign != Sign::Equal);
        let (name, sign, limit) = split.ok_or_else(|| "no comparison: write it as 'ttft_p95 > 500ms'".to_owned())?;
        let column = column(name)?;
        let unit = column.unit().ok_or_else(|| format!("{name}: no column of numbers"))?;
        let limit = match limit.strip_suffix("baseline") {
            Some(factor) => {
                let factor = factor.trim().trim_end_matches('*').trim();
                let factor = if factor.is_empty() { Some(1.0) } else { factor.parse().ok() };
                Limit::OfBaseline(factor.filter(|f: &f64| f.is_finite()).ok_or("not of the form 0.95 * baseline")?)
            }
            None => Limit::Number(quantity(limit, unit)?),
        };
        Ok(Self { text: text.trim().to_owned(), column, sign, limit })
    }

    /// Whether it needs a baseline.
    pub fn needs_baseline(&self) -> bool {
        matches!(self.limit, Limit::OfBaseline(_))
    }

    /// What the gate finds, group by group and against every baseline, each under its name: it fails where its condition
    /// holds against any of them.
    pub fn judge(&self, summary: &Summary, baselines: &[(String, Summary)]) -> Judged {
        let mut judged = Judged::default();
        if summary.groups.is_empty() {
            judged.failures.push(format!("{}: there are no results to judge", self.text));
        }
        match self.limit {
            Limit::Number(_) => summary.groups.iter().for_each(|group| self.judge_group(group, "", None, &mut judged)),
            Limit::OfBaseline(_) => {
                for (name, old) in baselines {
                    for (group, at) in summary.groups.iter().zip(counterparts(summary, old)) {
                        self.judge_group(group, name, at.map(|at| &old.groups[at]), &mut judged);
                    }
                }
            }
        }
        judged
    }

    fn judge_group(&self, group: &Group, baseline: &str, before: Option<&Group>, judged: &mut Judged) {
        let said = |what: String| format!("{}: {}: {what}", self.text, group.name());
        let unit = self.column.row.unit();
        let cell = self.column.cell(group);
        let Some(value) = cell.value() else {
            return judged.failures.push(said(self.column.why_empty(Some(group)).into()));
        };
        let limit = match self.limit {
            Limit::Number(limit) => limit,
            Limit::OfBaseline(factor) => match before.and_then(|group| self.column.cell(group).value()) {
                Some(old) => old * factor,
                None => return judged.failures.push(said(format!("not in the baseline {baseline}"))),
            },
        };
        let holds = self.sign.holds(value, limit);
        let old = before.map(|group| self.column.cell(group));
        let against = match self.limit {
            Limit::OfBaseline(factor) if factor != 1.0 => {
                let (of, limit) = (old.as_ref().and_then(Cell::value).unwrap_or(limit), number::alone(limit, unit));
                // The unit stands once, where both have the same.
                let of = number::alone(of, unit);
                let same = of.split_once(' ').filter(|(_, unit)| limit.ends_with(&format!(" {unit}")));
                format!(
                    ", against {factor} × {} = {limit} from {baseline}",
                    same.map_or(of.as_str(), |(digits, _)| digits)
                )
            }
            Limit::OfBaseline(_) => format!(", against {} from {baseline}", number::alone(limit, unit)),
            Limit::Number(_) => String::new(),
        };
        let told = [(Some(group), Some(&cell)), (before, old.as_ref())].into_iter();
        let doubts: Vec<&str> = told.filter_map(|(group, cell)| doubt_of(self.column, group?, cell?)).collect();
        let doubt = doubts.first().map_or(String::new(), |why| format!(" ({why})"));
        let what = said(format!("{}{against}{doubt}", number::alone(value, unit)));
        if holds {
            judged.failures.push(what);
        } else if !doubts.is_empty() {
            judged.doubts.push(what);
        }
    }
}

/// Why a number is not to be relied on, where it is one that can be doubted: a count cannot, nor what was asked for or is listed.
fn doubt_of<'a>(column: &Column, group: &Group, cell: &'a Cell) -> Option<&'a str> {
    if column.unit() == Some(Unit::Count) {
        return None;
    }
    let row = column.row;
    let measured = row.set != Set::Model && row.better != Better::Neither && !row.announced;
    let alone = (group.ok == 1 && measured && cell.value().is_some()).then_some("of one request");
    cell.doubt().or(alone)
}

/// What a gate finds, in sentences.
#[derive(Debug, Default, PartialEq)]
pub struct Judged {
    /// Groups that fail it.
    pub failures: Vec<String>,
    /// Groups that pass by a number that cannot be relied on, with why.
    pub doubts: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;
    use crate::summary::Collector;

    fn summary(seconds: &[Option<f64>]) -> Summary {
        let mut collector = Collector::default();
        for (i, ttft) in (0..).zip(seconds) {
            collector.add(fixture::result(i, format!("m{i}")).set(|o| o.ttft_seconds = *ttft).into(), None);
        }
        collector.finish()
    }

    #[test]
    fn a_gate_fails_for_every_group_that_holds_its_condition_or_lacks_its_number() {
        let now = summary(&[Some(0.4), Some(0.6), None]);
        let before = || summary(&[Some(0.4), Some(0.5)]);
        for (gate, expect) in [
            ("ttft_p50 > 500ms", vec!["m1: 0.600 s (of one request)", "m2: not measured"]),
            (
                "ttft_p50 >= 0.4s",
                vec!["m0: 0.400 s (of one request)", "m1: 0.600 s (of one request)", "m2: not measured"],
            ),
            ("ok < 1", vec![]),
            ("ok < 2", vec!["m0: 1", "m1: 1", "m2: 1"]),
            ("failed > 0", vec![]),
            (
                "ttft_p50 > 1.1 * baseline",
                vec!["m1: 0.600 s, against 1.1 × 0.500 = 0.550 s from old (of one request)", "m2: not measured"],
            ),
            ("ttft_p50>baseline", vec!["m1: 0.600 s, against 0.500 s from old (of one request)", "m2: not measured"]),
        ] {
            let failures = Gate::parse(gate).unwrap().judge(&now, &[("old".to_owned(), before())]).failures;
            let expect: Vec<String> = expect.iter().map(|what| format!("{gate}: {what}")).collect();
            assert_eq!(failures, expect);
        }
    }

    #[test]
    fn a_typo_is_told_with_what_there_is() {
        for (gate, expect) in [
            ("tfft_p95 > 500ms", "ttft_p95"),
            ("model > 3", "no column of numbers"),
            ("ttft_p95 = 3s", "no comparison"),
            ("ttft_p95 > 500", "the unit must be us, ms, s, m, min, h"),
            ("ttft_p95 > fast", "not a number"),
            ("tok_s < x * baseline", "0.95 * baseline"),
            ("mem_peak > 3s", "GB"),
            ("throughput_p95 > 3", "has no statistics"),
        ] {
            let why = Gate::parse(gate).err().unwrap();
            assert!(why.contains(expect), "{gate}: {why}");
        }
    }

    #[test]
    fn a_percentile_that_the_sample_cannot_tell_says_so_whichever_way_it_is_judged() {
        let mut collector = Collector::default();
        for (id, (level, ttft)) in (1..).zip([(1, 0.2), (1, 0.3), (8, 0.5), (8, 0.9)]) {
            collector.add(fixture::result(id, "m").concurrency(level).ttft(ttft).into(), None);
        }
        let judged = Gate::parse("ttft_p99 > 500ms").unwrap().judge(&collector.finish(), &[]);
        let why = "(2 measurements are too few to know p99)";
        assert_eq!(judged.failures, [format!("ttft_p99 > 500ms: m · 8 at once: 0.896 s {why}")]);
        assert_eq!(judged.doubts, [format!("ttft_p99 > 500ms: m · 1 at once: 0.299 s {why}")]);
    }

    #[test]
    fn of_one_request_its_numbers_are_in_doubt_and_their_count_is_not() {
        let now = summary(&[Some(0.4)]);
        for (gate, doubts) in [
            ("ok < 1", vec![]),
            ("failed > 0", vec![]),
            ("ok < baseline", vec![]),
            ("ttft_p50 > 500ms", vec!["ttft_p50 > 500ms: m0: 0.400 s (of one request)"]),
        ] {
            let judged = Gate::parse(gate).unwrap().judge(&now, &[("old".to_owned(), summary(&[Some(0.4)]))]);
            assert_eq!(
                (judged.failures, judged.doubts),
                (vec![], doubts.into_iter().map(str::to_owned).collect()),
                "{gate}"
            );
        }
    }

    #[test]
    fn a_gate_over_nothing_fails() {
        assert_eq!(Gate::parse("failed > 0").unwrap().judge(&summary(&[]), &[]).failures.len(), 1);
    }
}
