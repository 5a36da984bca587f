//! What is to hold at a load: `ttft_p95<500ms`, `error_rate<1%`; and whether it did, as far as so many requests can tell.
//!
//! A request that failed, or was due and not sent, breaks every condition. A percentile that the sample cannot support is
//! not judged at all: fewer than five requests would lie beyond it.

use super::backlog::Backlog;
use crate::record::{Outcome, SearchValue};
use crate::stats::{self, Histogram};
use std::fmt;

/// A time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// To the first token; from the moment it was due, where there was one.
    Ttft,
    /// Per output token.
    Tpot,
    /// Between chunks.
    Itl,
    /// The whole request; from the moment it was due, where there was one.
    E2e,
}

const WHATS: [(&str, What); 4] = [("ttft", What::Ttft), ("tpot", What::Tpot), ("itl", What::Itl), ("e2e", What::E2e)];

impl What {
    fn of(self, outcome: &Outcome) -> Option<f64> {
        let waited = -outcome.timing_seconds.as_ref().and_then(|timing| timing.scheduled).unwrap_or(0.0);
        match self {
            What::Ttft => outcome.ttft_seconds.map(|ttft| ttft + waited),
            What::Tpot => outcome.tpot_corrected_seconds,
            What::Itl => outcome.inter_chunk_latency_seconds.as_ref().and_then(|itl| itl.mean),
            What::E2e => outcome.generation_time_seconds.map(|time| time + waited),
        }
    }
}

/// What of many requests is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    Mean(What),
    Quantile(What, f64),
    /// The share of requests that failed.
    ErrorRate,
    /// The share of requests that kept every limit of their own.
    Goodput,
}

/// One thing that is to hold of a load.
#[derive(Debug, Clone, PartialEq)]
struct Condition {
    text: String,
    measure: Measure,
    limit: f64,
    or_equal: bool,
}

/// Everything that is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    all: Vec<Condition>,
    /// What each request is to keep, for the goodput: a time, its limit, and whether the limit itself is kept.
    each: Vec<(What, f64, bool)>,
}

const FORM: &str = "write it as ttft_p95<500ms: ttft, itl, tpot or e2e, with _mean or _p50 to _p99.9; error_rate<1%; or \
                    ttft<500ms,goodput>=95%";

impl Conditions {
    /// Reads conditions with commas between them; `duration` reads a length of time with its unit, in seconds.
    ///
    /// # Errors
    /// When one is none; the sentence says how they are written.
    pub fn parse(text: &str, duration: impl Fn(&str) -> Result<f64, String>) -> Result<Self, String> {
        let mut conditions = Self { all: Vec::new(), each: Vec::new() };
        for text in text.split(',').map(str::trim) {
            let why = |why: &str| format!("{text}: {why}: {FORM}");
            let signs = [("<=", false, true), (">=", true, true), ("<", false, false), (">", true, false)];
            let (above, or_equal, (name, limit)) = signs
                .iter()
                .find_map(|(sign, above, equal)| Some((*above, *equal, text.split_once(sign)?)))
                .ok_or_else(|| why("no comparison"))?;
            let (name, limit) = (name.trim(), limit.trim());
            if above != (name == "goodput") {
                return Err(why(if above { "what is high breaks nothing" } else { "what is low breaks nothing" }));
            }
            let (measure, limit) = match name {
                "error_rate" => (Measure::ErrorRate, share(limit).map_err(|it| why(&it))?),
                "goodput" => (Measure::Goodput, share(limit).map_err(|it| why(&it))?),
                _ => {
                    let (of, stat) = name.split_once('_').unwrap_or((name, ""));
                    let what = WHATS.iter().find(|(word, _)| *word == of).ok_or_else(|| why("no such measure"))?.1;
                    let limit = duration(limit).map_err(|it| why(&it))?;
                    let quantile = stat.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
                    match (stat, quantile) {
                        ("", _) => {
                            conditions.each.push((what, limit, or_equal));
                            continue;
                        }
                        ("mean", _) => (Measure::Mean(what), limit),
                        (_, Some(percent)) if (50.0..=99.9).contains(&percent) => {
                            (Measure::Quantile(what, percent / 100.0), limit)
                        }
                        _ => return Err(why("no such statistic")),
                    }
                }
            };
            conditions.all.push(Condition { text: text.to_owned(), measure, limit, or_equal });
        }
        let goodput = conditions.all.iter().any(|condition| condition.measure == Measure::Goodput);
        match (goodput, conditions.each.is_empty()) {
            (true, true) => Err(format!("{text}: goodput of what? limits for each request stand beside it: {FORM}")),
            (false, false) => Err(format!(
                "{text}: a limit without a statistic is for each request: say what share is to keep it: {FORM}"
            )),
            _ => Ok(conditions),
        }
    }

    /// The conditions as they were written, limits for each request beside the goodput that they are of.
    pub fn texts(&self) -> Vec<String> {
        let limits = || {
            let limit = |(what, limit, or_equal): &(What, f64, bool)| {
                let name = WHATS.iter().find(|(_, known)| known == what).map_or("", |(name, _)| name);
                format!("{name}{}{limit}s", if *or_equal { "<=" } else { "<" })
            };
            self.each.iter().map(limit).collect::<Vec<_>>().join(",")
        };
        let text = |condition: &Condition| match condition.measure {
            Measure::Goodput => format!("{} of {}", condition.text, limits()),
            _ => condition.text.clone(),
        };
        self.all.iter().map(text).collect()
    }

    /// How many requests it takes at least, when none of them fails, and which condition takes them. What is measured
    /// between chunks has more numbers than requests.
    pub fn needed(&self) -> (u64, &str) {
        let needed = |condition: &Condition| match condition.measure {
            Measure::Quantile(What::Itl, _) => 1,
            _ => condition.needed(),
        };
        let most = self.all.iter().map(|condition| (needed(condition), condition.text.as_str()));
        most.max_by_key(|(n, _)| *n).unwrap_or((1, ""))
    }
}

impl Condition {
    /// How many numbers can tell it.
    fn needed(&self) -> u64 {
        let beyond = match self.measure {
            Measure::Mean(_) => 1.0,
            Measure::Quantile(_, q) => 1.0 - q,
            // No failure at all is told by any number of requests; so is nothing but good ones.
            Measure::ErrorRate if self.limit > 0.0 => self.limit.min(1.0),
            Measure::Goodput if self.limit < 1.0 => 1.0 - self.limit,
            Measure::ErrorRate | Measure::Goodput => return 1,
        };
        (5.0 / beyond - 1e-9).ceil() as u64
    }

    fn keeps(&self, value: f64) -> bool {
        let equal = self.or_equal && value == self.limit;
        equal || if self.measure == Measure::Goodput { value > self.limit } else { value < self.limit }
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.texts().join(", "))
    }
}

fn share(text: &str) -> Result<f64, String> {
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits.trim(), 100.0));
    digits
        .parse::<f64>()
        .ok()
        .map(|value| value / scale)
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "not a share from 0% to 100%".to_owned())
}

/// The requests of one load, as far as conditions need them.
#[derive(Debug, Clone)]
pub struct Samples {
    conditions: Conditions,
    times: Vec<(What, Vec<f64>)>,
    gaps: Option<Histogram>,
    kept: u64,
    /// How many requests there were.
    pub requests: u64,
    /// How many of them failed or were not sent.
    pub failed: u64,
    /// What they failed of, the first few sentences, and how often.
    failures: Vec<(String, u64)>,
    /// When those that came by the clock were due, and ended.
    pub backlog: Backlog,
}

/// How many different failures are remembered.
const FAILURES: usize = 8;

impl Samples {
    /// None yet.
    pub fn new(conditions: Conditions) -> Self {
        let mut whats: Vec<What> = Vec::new();
        let mut gaps = None;
        for condition in &conditions.all {
            match condition.measure {
                Measure::Quantile(What::Itl, _) => gaps = Some(Histogram::new()),
                Measure::Mean(what) | Measure::Quantile(what, _) => whats.push(what),
                Measure::ErrorRate | Measure::Goodput => {}
            }
        }
        whats.sort();
        whats.dedup();
        let times = whats.into_iter().map(|what| (what, Vec::new())).collect();
        let (failures, backlog) = (Vec::new(), Backlog::default());
        Self { conditions, times, gaps, kept: 0, requests: 0, failed: 0, failures, backlog }
    }

    /// Counts a request that was due.
    pub fn add(&mut self, outcome: &Outcome) {
        self.requests += 1;
        self.backlog.add(outcome);
        if let Some(why) = &outcome.error {
            self.failed += 1;
            match self.failures.iter().position(|(known, _)| *known == why.message) {
                Some(place) => self.failures[place].1 += 1,
                None if self.failures.len() < FAILURES => self.failures.push((why.message.clone(), 1)),
                None => {}
            }
            return;
        }
        for (what, times) in &mut self.times {
            times.extend(what.of(outcome).filter(|time| time.is_finite()));
        }
        let histogram = outcome.inter_chunk_latency_seconds.as_ref().and_then(|itl| itl.histogram.as_ref());
        if let (Some(gaps), Some(text)) = (&mut self.gaps, histogram)
            && let Ok(theirs) = Histogram::decode(text)
        {
            // Both are of microseconds up to an hour.
            let _ = gaps.add(&theirs);
        }
        let keeps = |(what, limit, or_equal): &(What, f64, bool)| {
            what.of(outcome).is_some_and(|time| time < *limit || *or_equal && time == *limit)
        };
        self.kept += u64::from(self.conditions.each.iter().all(keeps));
    }

    /// What each condition came to, in their order.
    pub fn values(&self) -> Vec<SearchValue> {
        self.conditions.all.iter().map(|condition| self.value(condition)).collect()
    }

    /// Whether everything held; `None` when nothing broke and something cannot be told.
    pub fn hold(&self) -> Option<bool> {
        let values = self.values();
        if values.iter().any(|value| value.passes == Some(false)) {
            return Some(false);
        }
        values.iter().all(|value| value.passes == Some(true)).then_some(true)
    }

    /// What all of them failed of, most often; `None` where one ended well, or there was none.
    pub fn all_failed_of(&self) -> Option<&str> {
        let most = self.failures.iter().rev().max_by_key(|(_, times)| *times);
        most.filter(|_| self.failed == self.requests).map(|(why, _)| why.as_str())
    }

    /// How many times as many requests it takes to tell what cannot be told yet; `None` where there is not one number of it. Where there
    /// was no request at all nobody knows, and once is as good a guess as any.
    pub fn times_needed(&self) -> Option<u64> {
        if self.requests == 0 {
            return Some(1);
        }
        let values = self.values();
        let unclear = self.conditions.all.iter().zip(&values).filter(|(_, value)| value.passes.is_none());
        let times = |(condition, value): (&Condition, &SearchValue)| {
            (value.n > 0).then(|| condition.needed().div_ceil(value.n).max(2))
        };
        unclear.map(times).try_fold(1, |most, times| Some(most.max(times?)))
    }

    fn value(&self, condition: &Condition) -> SearchValue {
        let share = |part: u64| (self.requests > 0).then(|| part as f64 / self.requests as f64);
        let (value, n) = match condition.measure {
            Measure::ErrorRate => (share(self.failed), self.requests),
            Measure::Goodput => (share(self.kept), self.requests),
            Measure::Quantile(What::Itl, q) => {
                let n = self.gaps.as_ref().map_or(0, Histogram::count);
                let broken = share(self.failed).is_some_and(|failed| failed > 1.0 - q);
                (self.gaps.as_ref().filter(|_| !broken).and_then(|gaps| gaps.quantile(q)), n)
            }
            Measure::Quantile(what, q) => {
                let mut times = stats::sorted(self.times(what).iter().copied());
                let n = times.len() as u64 + self.failed;
                // What failed took longer than any limit.
                times.extend(std::iter::repeat_n(f64::INFINITY, usize::try_from(self.failed).unwrap_or(0)));
                (stats::quantile(&times, q).filter(|value| value.is_finite()), n)
            }
            Measure::Mean(what) => {
                let times = self.times(what);
                (stats::mean(times).filter(|_| self.failed == 0), times.len() as u64 + self.failed)
            }
        };
        let enough = n >= condition.needed();
        let failures_break = value.is_none() && self.failed > 0;
        let passes =
            (enough && (value.is_some() || failures_break)).then(|| value.is_some_and(|value| condition.keeps(value)));
        SearchValue { value, n, passes }
    }

    fn times(&self, what: What) -> &[f64] {
        self.times.iter().find(|(known, _)| *known == what).map_or(&[], |(_, times)| times)
    }

    /// What the conditions came to, for people.
    pub fn said(&self) -> String {
        let say = |(condition, value): (&Condition, SearchValue)| {
            let shown = match (value.value, condition.measure) {
                (None, _) if self.failed > 0 => "broken by failures".to_owned(),
                (None, _) => "not measured".to_owned(),
                (Some(share), Measure::ErrorRate | Measure::Goodput) => format!("{:.1}%", share * 100.0),
                (Some(seconds), _) if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
                (Some(seconds), _) => format!("{seconds:.2} s"),
            };
            let verdict = match value.passes {
                Some(true) => "passes",
                Some(false) => "fails",
                None => "too few to tell",
            };
            let needed = if value.passes.is_none() { format!(" of {}", condition.needed()) } else { String::new() };
            format!("{} {verdict}: {shown}, n={}{needed}", condition.text, value.n)
        };
        let said: Vec<String> = self.conditions.all.iter().zip(self.values()).map(say).collect();
        said.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Failure, FailureKind, Timing};

    fn parse(text: &str) -> Result<Conditions, String> {
        Conditions::parse(text, |limit| {
            limit
                .strip_suffix("ms")
                .and_then(|n| n.parse::<f64>().ok())
                .map(|n| n / 1e3)
                .ok_or_else(|| "no time".into())
        })
    }

    fn ended(ttft: f64, waited: f64) -> Outcome {
        Outcome {
            start_ts: Some(1.0),
            ttft_seconds: Some(ttft),
            generation_time_seconds: Some(1.0),
            timing_seconds: Some(Timing { scheduled: Some(-waited), ..Timing::default() }),
            ..Outcome::default()
        }
    }

    fn failed() -> Outcome {
        let failure = Failure { kind: FailureKind::Server, status: None, message: "x".into(), retryable: false };
        Outcome { error: Some(failure), ..ended(0.01, 0.0) }
    }

    fn samples(text: &str, outcomes: impl IntoIterator<Item = Outcome>) -> Samples {
        let mut samples = Samples::new(parse(text).unwrap());
        outcomes.into_iter().for_each(|outcome| samples.add(&outcome));
        samples
    }

    #[test]
    fn conditions_are_read_and_what_is_none_is_told_how_to_write_one() {
        for (text, expect) in [
            ("ttft_p95<500ms", "ttft_p95<500ms"),
            (" itl_p99.9 <= 50ms , error_rate<1%", "itl_p99.9 <= 50ms, error_rate<1%"),
            ("ttft<500ms,e2e<=2000ms,goodput>=95%", "goodput>=95% of ttft<0.5s,e2e<=2s"),
            ("tpot_mean<20ms", "tpot_mean<20ms"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expect);
        }
        for (text, expect) in [
            ("", "no comparison"),
            ("ttft_p95=500ms", "no comparison"),
            ("ttft_p95<500", "no time"),
            ("ttft_p95>500ms", "breaks nothing"),
            ("goodput<95%,ttft<1ms", "breaks nothing"),
            ("ttfb_p95<5ms", "no such measure"),
            ("ttft_p20<5ms", "no such statistic"),
            ("ttft_max<5ms", "no such statistic"),
            ("error_rate<200%", "not a share"),
            ("goodput>=95%", "goodput of what"),
            ("ttft<500ms", "what share"),
            ("ttft_p95<500ms,", "no comparison"),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(expect), "{text}: {why}");
        }
    }

    #[test]
    fn a_tail_is_told_only_by_enough_requests() {
        for (text, needed) in [
            ("ttft_p95<1ms", 100),
            ("ttft_p50<1ms,ttft_p99<1ms", 500),
            ("error_rate<1%", 500),
            ("error_rate<=0%", 1),
            ("ttft<1ms,goodput>=90%", 50),
            ("ttft_mean<1ms", 5),
            ("itl_p99<1ms", 1),
        ] {
            assert_eq!(parse(text).unwrap().needed().0, needed, "{text}");
        }
        let few = samples("ttft_p95<500ms", (0..99).map(|_| ended(0.1, 0.0)));
        assert_eq!((few.hold(), few.times_needed()), (None, Some(2)));
        assert_eq!(few.said(), "ttft_p95<500ms too few to tell: 100.0 ms, n=99 of 100");
        assert_eq!(samples("ttft_p95<500ms", (0..100).map(|_| ended(0.1, 0.0))).hold(), Some(true));
        let none = samples("tpot_p50<500ms", (0..100).map(|_| ended(0.1, 0.0)));
        assert_eq!((none.hold(), none.times_needed()), (None, None));
        assert_eq!(none.said(), "tpot_p50<500ms too few to tell: not measured, n=0 of 10");
    }

    #[test]
    fn waiting_before_the_sending_counts() {
        let late = samples("ttft_p50<500ms,e2e_mean<1200ms", (0..10).map(|_| ended(0.1, 0.3)));
        let values: Vec<f64> = late.values().iter().map(|value| value.value.unwrap()).collect();
        assert!((values[0] - 0.4).abs() < 1e-9 && (values[1] - 1.3).abs() < 1e-9, "{values:?}");
        assert_eq!(late.hold(), Some(false));
    }

    #[test]
    fn a_failure_breaks_what_it_is_counted_in() {
        let with = |text, failures: usize| {
            let good = (0..100 - failures).map(|_| ended(0.1, 0.0));
            samples(text, good.chain((0..failures).map(|_| failed()))).hold()
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
        ] {
            assert_eq!(with(text, failures), expect, "{text} with {failures}");
        }
        let all = samples("ttft_p95<500ms", (0..100).map(|_| failed()));
        assert_eq!(all.said(), "ttft_p95<500ms fails: broken by failures, n=100");
        let because = |why: &str| Failure { message: why.into(), ..failed().error.unwrap() };
        let other = |why| Outcome { error: Some(because(why)), ..failed() };
        assert_eq!(all.all_failed_of(), Some("x"));
        assert_eq!(samples("error_rate<1%", [other("y"), other("z"), other("z")]).all_failed_of(), Some("z"));
        assert_eq!(samples("error_rate<1%", [failed(), ended(0.1, 0.0)]).all_failed_of(), None);
        assert_eq!(samples("error_rate<1%", []).all_failed_of(), None);
    }
}
