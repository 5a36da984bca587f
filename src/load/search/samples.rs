//! The requests of a load level, and whether they meet its SLOs.
//!
//! A request that failed, or was due and not sent, breaks every objective. A percentile with fewer
//! than five requests beyond it is not judged.

use super::queue::QueueTest;
use crate::load::slo::{Measure, Objective, Slos};
use crate::record::{Outcome, ResultFields, SearchValue};
use crate::stats::{self, Histogram};
use crate::summary::{Better, Metric, Statistic};
use crate::units::{self, Unit};

/// The requests of one load level, as its objectives need them.
#[derive(Debug, Clone)]
pub struct SloSamples {
    slos: Slos,
    numbers: Vec<(Metric, Vec<f64>)>,
    gaps: Option<Histogram>,
    good: u64,
    /// The number of requests.
    pub requests: u64,
    /// Those of them that failed or were not sent.
    pub failed: u64,
    /// Their first few messages, and how often each came.
    failures: Vec<(String, u64)>,
    /// When requests of an open loop were due and ended.
    pub queue: QueueTest,
}

/// The most messages that are kept.
const MAX_MESSAGES: usize = 8;

impl SloSamples {
    /// Without requests.
    pub fn new(slos: Slos) -> Self {
        let mut metrics: Vec<Metric> = Vec::new();
        let mut gaps = None;
        for objective in &slos.all {
            match objective.measure {
                Measure::Of(metric, Statistic::Percentile(_)) if metric.figure().merged => {
                    gaps = Some(Histogram::new())
                }
                Measure::Of(metric, _) => metrics.push(metric),
                Measure::ErrorRate | Measure::Goodput => {}
            }
        }
        metrics.sort();
        metrics.dedup();
        let numbers = metrics.into_iter().map(|metric| (metric, Vec::new())).collect();
        let (failures, queue) = (Vec::new(), QueueTest::default());
        Self { slos, numbers, gaps, good: 0, requests: 0, failed: 0, failures, queue }
    }

    /// Adds a request that was due.
    pub fn add(&mut self, result: &Outcome) {
        self.requests += 1;
        self.queue.add(result);
        if let Some(error) = &result.error {
            self.failed += 1;
            match self.failures.iter().position(|(known, _)| *known == error.message) {
                Some(place) => self.failures[place].1 += 1,
                None if self.failures.len() < MAX_MESSAGES => self.failures.push((error.message.clone(), 1)),
                None => {}
            }
            return;
        }
        let waited = -result.timing_seconds.as_ref().and_then(|timing| timing.scheduled).unwrap_or(0.0);
        let fields = ResultFields::from(result);
        let number = |metric: Metric| (metric.figure().of)(&fields);
        for (metric, numbers) in &mut self.numbers {
            let waited = if metric.figure().from_due { waited } else { 0.0 };
            numbers.extend(number(*metric).map(|number| number + waited).filter(|number| number.is_finite()));
        }
        let histogram = result.inter_chunk_latency_seconds.as_ref().and_then(|itl| itl.histogram.as_ref());
        if let (Some(gaps), Some(text)) = (&mut self.gaps, histogram)
            && let Ok(theirs) = Histogram::decode(text)
        {
            // Both are of microseconds up to an hour.
            let _ = gaps.add(&theirs);
        }
        self.good += u64::from(self.slos.each.kept(number, waited));
    }

    /// The value of each objective, in order.
    pub fn values(&self) -> Vec<SearchValue> {
        self.slos.all.iter().map(|objective| self.value(objective)).collect()
    }

    /// Whether all pass; `None` when none fails and one is not clear.
    pub fn passes(&self) -> Option<bool> {
        let values = self.values();
        if values.iter().any(|value| value.passes == Some(false)) {
            return Some(false);
        }
        values.iter().all(|value| value.passes == Some(true)).then_some(true)
    }

    /// The most frequent message where all requests failed.
    pub fn common_failure(&self) -> Option<&str> {
        let most = self.failures.iter().rev().max_by_key(|(_, times)| *times);
        most.filter(|_| self.failed == self.requests).map(|(message, _)| message.as_str())
    }

    /// How many times as many requests the unclear objectives need; `None` where one has no number at
    /// all. Without any request the guess is one.
    pub fn times_needed(&self) -> Option<u64> {
        if self.requests == 0 {
            return Some(1);
        }
        let values = self.values();
        let unclear = self.slos.all.iter().zip(&values).filter(|(_, value)| value.passes.is_none());
        let times = |(objective, value): (&Objective, &SearchValue)| {
            (value.n > 0).then(|| objective.needed().div_ceil(value.n).max(2))
        };
        unclear.map(times).try_fold(1, |most, times| Some(most.max(times?)))
    }

    fn value(&self, objective: &Objective) -> SearchValue {
        let share = |part: u64| (self.requests > 0).then(|| part as f64 / self.requests as f64);
        let (value, n) = match objective.measure {
            Measure::ErrorRate => (share(self.failed), self.requests),
            Measure::Goodput => (share(self.good), self.requests),
            Measure::Of(metric, Statistic::Percentile(fraction)) if metric.figure().merged => {
                let n = self.gaps.as_ref().map_or(0, Histogram::count);
                let broken = share(self.failed).is_some_and(|failed| failed > 1.0 - fraction);
                (self.gaps.as_ref().filter(|_| !broken).and_then(|gaps| gaps.quantile(fraction)), n)
            }
            Measure::Of(metric, Statistic::Percentile(fraction)) => {
                let mut numbers = stats::sorted(self.numbers(metric).iter().copied());
                let n = numbers.len() as u64 + self.failed;
                // A failure is worse than any limit.
                let failed = std::iter::repeat_n(f64::INFINITY, usize::try_from(self.failed).unwrap_or(0));
                if metric.better() == Better::Higher {
                    numbers.splice(0..0, failed.map(|longest| -longest));
                } else {
                    numbers.extend(failed);
                }
                (stats::quantile(&numbers, fraction).filter(|value| value.is_finite()), n)
            }
            Measure::Of(metric, _) => {
                let numbers = self.numbers(metric);
                (stats::mean(numbers).filter(|_| self.failed == 0), numbers.len() as u64 + self.failed)
            }
        };
        let enough = n >= objective.needed();
        let failures_break = value.is_none() && self.failed > 0;
        let passes = (enough && (value.is_some() || failures_break))
            .then(|| value.is_some_and(|value| objective.sign.holds(value, objective.limit)));
        SearchValue { value, n, passes }
    }

    fn numbers(&self, metric: Metric) -> &[f64] {
        self.numbers.iter().find(|(known, _)| *known == metric).map_or(&[], |(_, numbers)| numbers)
    }

    /// The values of the objectives, for people.
    pub fn describe(&self) -> String {
        let describe = |(objective, value): (&Objective, SearchValue)| {
            let shown = match (value.value, objective.measure) {
                (None, _) if self.failed > 0 => "broken by failures".to_owned(),
                (None, _) => "not measured".to_owned(),
                (Some(share), Measure::ErrorRate | Measure::Goodput) => format!("{:.1}%", share * 100.0),
                (Some(value), Measure::Of(metric, _)) => written(value, metric.unit()),
            };
            let verdict = match value.passes {
                Some(true) => "passes",
                Some(false) => "fails",
                None => "too few to tell",
            };
            let needed = if value.passes.is_none() { format!(" of {}", objective.needed()) } else { String::new() };
            format!("{} {verdict}: {shown}, n={}{needed}", objective.text, value.n)
        };
        let texts: Vec<String> = self.slos.all.iter().zip(self.values()).map(describe).collect();
        texts.join("; ")
    }
}

/// A number with its unit; times below a second in milliseconds.
fn written(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds | Unit::Milliseconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds | Unit::Milliseconds => format!("{value:.2} s"),
        other => units::alone(value, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Derived, FailureKind, Timing, fixture, fixture::Fixture};

    fn ended(ttft: f64, waited: f64) -> Fixture<Outcome> {
        let derived = Derived { decode_tokens_per_second: Some(30.0), ..Derived::default() };
        let timing = Timing { scheduled: Some(-waited), ..Timing::default() };
        fixture::result(1, "m").sent(1.0).ttft(ttft).e2e(1.0).timing(timing).set(|o| o.derived = Some(derived))
    }

    fn failed() -> Fixture<Outcome> {
        ended(0.01, 0.0).failed(FailureKind::Server)
    }

    fn samples(text: &str, outcomes: impl IntoIterator<Item = Fixture<Outcome>>) -> SloSamples {
        let mut samples = SloSamples::new(Slos::parse(text).unwrap());
        outcomes.into_iter().for_each(|outcome| samples.add(&outcome));
        samples
    }

    #[test]
    fn percentiles_need_enough_requests() {
        for (text, needed) in [
            ("ttft_p95<1ms", 100),
            ("ttft_p50<1ms,ttft_p99<1ms", 500),
            ("error_rate<1%", 500),
            ("error_rate<=0%", 1),
            ("ttft<1ms,goodput>=90%", 50),
            ("ttft_mean<1ms", 5),
            ("itl_p99<1ms", 1),
            ("decode_tok_s_p10>20", 50),
        ] {
            assert_eq!(Slos::parse(text).unwrap().needed().0, needed, "{text}");
        }
        let few = samples("ttft_p95<500ms", (0..99).map(|_| ended(0.1, 0.0)));
        assert_eq!((few.passes(), few.times_needed()), (None, Some(2)));
        assert_eq!(few.describe(), "ttft_p95<500ms too few to tell: 100.0 ms, n=99 of 100");
        assert_eq!(samples("ttft_p95<500ms", (0..100).map(|_| ended(0.1, 0.0))).passes(), Some(true));
        let none = samples("tpot_p50<500ms", (0..100).map(|_| ended(0.1, 0.0)));
        assert_eq!((none.passes(), none.times_needed()), (None, None));
        assert_eq!(none.describe(), "tpot_p50<500ms too few to tell: not measured, n=0 of 10");
    }

    #[test]
    fn schedule_lag_counts() {
        let late = samples("ttft_p50<500ms,e2e_mean<1200ms", (0..10).map(|_| ended(0.1, 0.3)));
        let values: Vec<f64> = late.values().iter().map(|value| value.value.unwrap()).collect();
        assert!((values[0] - 0.4).abs() < 1e-9 && (values[1] - 1.3).abs() < 1e-9, "{values:?}");
        assert_eq!(late.passes(), Some(false));
    }

    #[test]
    fn failures_break_objectives() {
        let with = |text, failures: usize| {
            let good = (0..100 - failures).map(|_| ended(0.1, 0.0));
            samples(text, good.chain((0..failures).map(|_| failed()))).passes()
        };
        for (text, failures, expect) in [
            ("ttft_p95<500ms", 4, Some(true)),
            ("ttft_p95<500ms", 6, Some(false)),
            ("ttft_mean<500ms", 1, Some(false)),
            ("error_rate<5%", 4, Some(true)),
            ("error_rate<5%", 5, Some(false)),
            ("error_rate<=5%", 5, Some(true)),
            ("ttft<500ms,goodput>=90%", 10, Some(true)),
            ("ttft<500ms,goodput>=90%", 11, Some(false)),
            ("ttft<50ms,goodput>=90%", 0, Some(false)),
            ("ttft_p95<500ms,error_rate<5%", 6, Some(false)),
            ("decode_tok_s_p10>20", 9, Some(true)),
            ("decode_tok_s_p10>20", 11, Some(false)),
        ] {
            assert_eq!(with(text, failures), expect, "{text} with {failures}");
        }
        let all = samples("ttft_p95<500ms", (0..100).map(|_| failed()));
        assert_eq!(all.describe(), "ttft_p95<500ms fails: broken by failures, n=100");
        let other = |why: &str| failed().set(|o| o.error.as_mut().unwrap().message = why.into());
        assert_eq!(all.common_failure(), Some("x"));
        assert_eq!(samples("error_rate<1%", [other("y"), other("z"), other("z")]).common_failure(), Some("z"));
        assert_eq!(samples("error_rate<1%", [failed(), ended(0.1, 0.0)]).common_failure(), None);
        assert_eq!(samples("error_rate<1%", []).common_failure(), None);
    }
}
