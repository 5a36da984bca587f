//! From results with the truth beside them to an accuracy curve: how far what was measured is from what happened, load by load.

use crate::clock::micros;
use crate::record::{Accuracy, AccuracyLevel, Host, LoadLevel, NotMeasured, Outcome, Phase, Quantiles, Run, Tool};
use crate::stats::Histogram;
use std::collections::BTreeMap;

/// Below this a load is measured right: it must hold the 99th percentile of both errors.
const LIMIT_SECONDS: f64 = 0.005;

/// How many loads are told apart.
const LOADS: usize = 1000;

/// What an accuracy curve is made from.
#[derive(Debug, Default)]
pub struct AccuracyCollector {
    loads: BTreeMap<u64, Load>,
    not_measured: Vec<NotMeasured>,
    machine: Option<(Tool, Host)>,
    ts: Option<f64>,
}

#[derive(Debug, Default)]
struct Load {
    requests: u64,
    failed: u64,
    ttft: Errors,
    gap_p99: Errors,
    late_sum: f64,
    lates: u64,
    late_max: f64,
    chunks: Option<u64>,
    cpu_seconds: Option<f64>,
    peak_bytes: Option<u64>,
    in_flight_mean: Option<f64>,
    loop_lag_p99: Option<f64>,
}

/// Errors: their sum with its sign, and their sizes.
#[derive(Debug, Default)]
struct Errors {
    sum: f64,
    sizes: Option<Histogram>,
}

impl Errors {
    fn add(&mut self, error: Option<f64>) {
        let Some(error) = error.filter(|error| error.is_finite()) else { return };
        self.sum += error;
        self.sizes.get_or_insert_default().add_ns((error.abs() * 1e9) as u64);
    }

    fn quantiles(&self) -> Option<Quantiles> {
        let sizes = self.sizes.as_ref()?.quantiles()?;
        Some(Quantiles { mean: Some(micros(self.sum / sizes.count as f64)), ..sizes })
    }
}

impl AccuracyCollector {
    /// The head of a run.
    pub fn run(&mut self, run: &Run) {
        self.machine.get_or_insert_with(|| (run.tool.clone(), run.host.clone()));
    }

    fn load(&mut self, concurrency: Option<u64>) -> Option<&mut Load> {
        let concurrency = concurrency?;
        (self.loads.len() < LOADS || self.loads.contains_key(&concurrency))
            .then(|| self.loads.entry(concurrency).or_default())
    }

    /// A request, with what the simulator says of it.
    pub fn result(&mut self, o: &Outcome) {
        if o.phase == Some(Phase::Warmup) || o.concurrency.is_none() {
            return;
        }
        if let (Some(ts), Some(_)) = (o.start_ts, &o.ground_truth) {
            self.ts = Some(self.ts.map_or(ts, |first| first.min(ts)));
        }
        let Some(load) = self.load(o.concurrency) else { return };
        if o.error.is_some() {
            load.failed += 1;
            return;
        }
        let Some(truth) = &o.ground_truth else { return };
        load.requests += 1;
        load.ttft.add(truth.ttft_error_seconds);
        load.gap_p99.add(truth.gap_p99_error_seconds);
        if let Some(late) = truth.late_mean_seconds.filter(|late| late.is_finite()) {
            load.late_sum += late;
            load.lates += 1;
            load.late_max = load.late_max.max(truth.late_max_seconds.filter(|late| late.is_finite()).unwrap_or(late));
        }
    }

    /// What a level took, or why it was not run.
    pub fn level(&mut self, level: &LoadLevel) {
        if let (Some(concurrency), Some(why)) = (level.concurrency, &level.skipped) {
            if self.not_measured.len() < LOADS {
                self.not_measured.push(NotMeasured { concurrency, reason: why.chars().take(500).collect() });
            }
            return;
        }
        let Some(load) = self.load(level.concurrency) else { return };
        let both = load.cpu_seconds.zip(level.cpu_seconds).map(|(sum, part)| sum + part);
        load.cpu_seconds = both.or(load.cpu_seconds).or(level.cpu_seconds);
        load.chunks = level.chunks.map(|chunks| chunks + load.chunks.unwrap_or(0)).or(load.chunks);
        load.peak_bytes = load.peak_bytes.max(level.peak_bytes);
        load.in_flight_mean = level.in_flight_mean.or(load.in_flight_mean);
        let lag = level.loop_lag_seconds.as_ref().and_then(|lag| lag.p99);
        load.loop_lag_p99 = load.loop_lag_p99.into_iter().chain(lag).reduce(f64::max);
    }

    /// The accuracy; `None` where no result has its truth beside it.
    pub fn finish(self) -> Option<Accuracy> {
        if !self.loads.iter().any(|(_, load)| load.requests > 0) {
            return None;
        }
        // A level at which everything failed is one that was tried.
        let tried = self.loads.into_iter().filter(|(_, load)| load.requests + load.failed > 0);
        let levels: Vec<AccuracyLevel> = tried.map(|(n, load)| load.finish(n)).collect();
        let accurate_up_to = levels.iter().take_while(|level| level.accurate == Some(true)).last();
        let (tool, host) = self.machine.unzip();
        Some(Accuracy {
            ts: self.ts,
            tool,
            host: host.unwrap_or_default(),
            limit_seconds: LIMIT_SECONDS,
            accurate_up_to: accurate_up_to.map(|level| level.concurrency),
            levels,
            not_measured: self.not_measured,
        })
    }
}

impl Load {
    fn finish(self, concurrency: u64) -> AccuracyLevel {
        let (ttft, gap) = (self.ttft.quantiles(), self.gap_p99.quantiles());
        // Where answers are one piece there are no gaps to be wrong about.
        let below = |error: &Option<Quantiles>| Some(error.as_ref()?.p99? < LIMIT_SECONDS);
        let right = match self.failed {
            0 => below(&ttft).map(|right| right && below(&gap).unwrap_or(true)),
            _ => Some(false),
        };
        let mut level = AccuracyLevel {
            concurrency,
            requests: self.requests,
            failed: self.failed,
            accurate: right,
            uncertain: None,
            ttft_error_seconds: ttft,
            gap_p99_error_seconds: gap,
            chunks: self.chunks,
            cpu_seconds_per_chunk: self
                .cpu_seconds
                .zip(self.chunks)
                .filter(|(_, n)| *n > 0)
                .map(|(cpu, n)| (cpu / n as f64 * 1e9).round() / 1e9),
            peak_bytes: self.peak_bytes,
            in_flight_mean: self.in_flight_mean.map(micros),
            loop_lag_p99_seconds: self.loop_lag_p99,
            simulator_late_mean_seconds: (self.lates > 0).then(|| micros(self.late_sum / self.lates as f64)),
            simulator_late_max_seconds: (self.lates > 0).then_some(self.late_max),
        };
        level.uncertain = right.map(|_| level.is_uncertain());
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FailureKind, GroundTruth, fixture, fixture::Fixture};

    fn result(concurrency: u64, ttft: f64, gap: f64) -> Fixture<Outcome> {
        let truth = GroundTruth {
            ttft_error_seconds: Some(ttft),
            gap_p99_error_seconds: Some(gap),
            late_mean_seconds: Some(0.001),
            late_max_seconds: Some(0.002),
            ..GroundTruth::default()
        };
        fixture::result(1, "m").concurrency(concurrency).sent(100.0).set(|o| o.ground_truth = Some(truth))
    }

    fn made(results: &[Fixture<Outcome>], levels: &[LoadLevel]) -> Option<Accuracy> {
        let mut accuracy = AccuracyCollector::default();
        results.iter().for_each(|result| accuracy.result(result));
        levels.iter().for_each(|level| accuracy.level(level));
        accuracy.finish()
    }

    #[test]
    fn it_is_right_up_to_the_load_before_the_first_that_is_not() {
        let of = |errors: &[(u64, f64, f64)]| {
            let results: Vec<_> = errors.iter().map(|(n, ttft, gap)| result(*n, *ttft, *gap)).collect();
            made(&results, &[]).unwrap().accurate_up_to
        };
        assert_eq!(of(&[(1, 0.001, 0.001), (8, -0.002, 0.0), (64, 0.003, 0.004)]), Some(64));
        assert_eq!(of(&[(1, 0.001, 0.001), (8, 0.006, 0.0), (64, 0.001, 0.0)]), Some(1), "a gap in the middle ends it");
        assert_eq!(of(&[(1, 0.001, -0.006)]), None, "gaps are measured too");
        let failed = result(8, 0.0, 0.0).failed(FailureKind::Connect);
        assert_eq!(
            made(&[result(8, 0.0, 0.0), failed], &[]).unwrap().accurate_up_to,
            None,
            "what is lost is not measured"
        );
    }

    #[test]
    fn errors_keep_their_sign_in_the_mean_only_and_costs_come_from_the_levels() {
        let level = LoadLevel {
            concurrency: Some(8),
            chunks: Some(1000),
            cpu_seconds: Some(0.01),
            peak_bytes: Some(5),
            loop_lag_seconds: Some(Quantiles { p99: Some(0.003), ..Quantiles::default() }),
            ..LoadLevel::default()
        };
        let skipped = LoadLevel { concurrency: Some(4096), skipped: Some("files".into()), ..LoadLevel::default() };
        let made = made(&[result(8, -0.002, 0.0), result(8, 0.001, 0.0)], &[level, skipped]).unwrap();
        let [level] = &made.levels[..] else { panic!("{made:?}") };
        let error = level.ttft_error_seconds.as_ref().unwrap();
        assert_eq!((error.count, error.mean), (2, Some(-0.0005)));
        assert!((error.p99.unwrap() - 0.00199).abs() < 1e-5, "{error:?}");
        assert!((level.cpu_seconds_per_chunk.unwrap() - 1e-5).abs() < 1e-12);
        assert_eq!((level.peak_bytes, level.loop_lag_p99_seconds), (Some(5), Some(0.003)));
        assert_eq!((level.simulator_late_mean_seconds, level.simulator_late_max_seconds), (Some(0.001), Some(0.002)));
        assert_eq!(made.not_measured, [NotMeasured { concurrency: 4096, reason: "files".into() }]);
    }

    #[test]
    fn fewer_than_a_hundred_requests_are_doubtful_whether_right_or_not() {
        for (n, error, right, doubtful) in
            [(3, 0.001, true, true), (99, 0.001, true, true), (100, 0.001, true, false), (3, 0.1, false, true)]
        {
            let made = made(&vec![result(8, error, 0.0); n], &[]).unwrap();
            assert_eq!(
                (made.levels[0].accurate, made.levels[0].uncertain),
                (Some(right), Some(doubtful)),
                "{n}, {error}"
            );
        }
    }

    #[test]
    fn without_truth_there_is_no_accuracy() {
        assert_eq!(made(&[result(1, 0.0, 0.0).set(|o| o.ground_truth = None)], &[]), None);
        assert_eq!(made(&[], &[]), None);
    }
}
