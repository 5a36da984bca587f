//! llm-sim's log of what it wrote, and the errors of measurements against it.

use super::input::ResultView;
use super::time_axis::LONGEST;
use crate::clock::micros;
use crate::record::GroundTruth;
use crate::stats;
use serde::Deserialize;
use std::collections::HashMap;

/// The server's own times of one request: a line of `llm-sim --ground-truth`.
#[derive(Debug, Clone, Deserialize)]
pub struct GroundTruthRecord {
    /// The client's name for the request: its `x-request-id`.
    pub request: Option<String>,
    /// When the request arrived: Unix seconds.
    pub arrival_ts: f64,
    /// From the arrival to the write of the first token, in seconds.
    pub ttft_seconds: Option<f64>,
    /// The mean time between writes of tokens, in seconds.
    pub gap_seconds: Option<f64>,
    /// From the arrival to the last byte, in seconds.
    pub end_seconds: Option<f64>,
    /// Per chunk: when it was written, how late, and how many tokens it held.
    pub chunks: Option<Vec<(f64, f64, u64)>>,
    /// How late chunks were written after their deadlines.
    pub lateness_seconds: Option<Lateness>,
}

/// How late chunks were written after their deadlines, in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Lateness {
    /// On average.
    pub mean: f64,
    /// At the worst.
    pub max: f64,
}

impl GroundTruthRecord {
    /// Reads a line of the log; `None` for a line that is something else.
    ///
    /// # Errors
    /// When it is no JSON, or a `ground_truth` record of another shape.
    pub fn read(line: &str) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "type")]
            kind: Option<String>,
        }
        let head: Head = serde_json::from_str(line)?;
        if head.kind.as_deref() != Some("ground_truth") {
            return Ok(None);
        }
        let mut record: Self = serde_json::from_str(line)?;
        // An impossible time is no ground truth.
        for seconds in [&mut record.ttft_seconds, &mut record.gap_seconds, &mut record.end_seconds] {
            *seconds = seconds.filter(|seconds| (0.0..=LONGEST).contains(seconds));
        }
        Ok(Some(record))
    }

    /// When it ended, or else arrived: Unix seconds.
    pub fn end_ts(&self) -> f64 {
        self.arrival_ts + self.end_seconds.or(self.ttft_seconds).unwrap_or(0.0)
    }

    fn gap_p99(&self) -> Option<f64> {
        let chunks = self.chunks.as_ref()?;
        let gaps = stats::sorted(chunks.windows(2).map(|pair| pair[1].0 - pair[0].0));
        stats::quantile(&gaps, 0.99).filter(|gap| (0.0..=LONGEST).contains(gap))
    }

    /// The errors of what was measured.
    pub fn compare_with(&self, result: &ResultView) -> GroundTruth {
        // Adding zero turns a negative zero into one that people read as nothing.
        let error = |measured: Option<f64>, truth: Option<f64>| measured.zip(truth).map(|(m, t)| micros(m - t) + 0.0);
        let gap_p99 = self.gap_p99().map(micros);
        let late =
            |of: fn(Lateness) -> f64| self.lateness_seconds.map(of).filter(|late| (0.0..=LONGEST).contains(late));
        GroundTruth {
            ttft_seconds: self.ttft_seconds,
            gap_seconds: self.gap_seconds,
            gap_p99_seconds: gap_p99,
            end_seconds: self.end_seconds,
            ttft_error_seconds: error(result.ttft, self.ttft_seconds),
            gap_error_seconds: error(result.gap, self.gap_seconds),
            gap_p99_error_seconds: error(result.gap_p99, gap_p99),
            end_error_seconds: error(result.end, self.end_seconds),
            late_mean_seconds: late(|late| late.mean).map(micros),
            late_max_seconds: late(|late| late.max).map(micros),
        }
    }
}

/// Records of requests that are not joined yet, by the client's name for each; of several tries, the last.
#[derive(Debug, Default)]
pub struct GroundTruthLog {
    by_request: HashMap<String, (f64, GroundTruthRecord)>,
}

impl GroundTruthLog {
    /// Takes a line that arrived at `at` on the axis.
    pub fn add(&mut self, at: f64, record: GroundTruthRecord) {
        let Some(request) = record.request.clone() else { return };
        match self.by_request.get(&request) {
            Some((have, _)) if *have > at => {}
            _ => {
                self.by_request.insert(request, (at, record));
            }
        }
    }

    /// When the last try of that name arrived.
    pub fn arrival(&self, request: &str) -> Option<f64> {
        self.by_request.get(request).map(|(at, _)| *at)
    }

    /// Takes out what is known of a request.
    pub fn take(&mut self, request: &str) -> Option<GroundTruthRecord> {
        self.by_request.remove(request).map(|(_, record)| record)
    }

    /// Drops what arrived before `before`: whose result was that has passed.
    pub fn forget(&mut self, before: f64) {
        // Looked through only when it has grown: most are taken out by name.
        if self.by_request.len() > 1024 {
            self.by_request.retain(|_, (at, _)| *at >= before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_what_was_measured_less_what_was_done() {
        let line = r#"{"type":"ground_truth","v":1,"request":"r-1","number":1,"arrival_ts":100.0,"ttft_seconds":0.2,"gap_seconds":0.02,"end_seconds":0.5,"lateness_seconds":{"mean":0.001,"max":0.004},"chunks":[[1.0,0.0,1],[1.02,0.0,1],[1.04,0.0,1]]}"#;
        let record = GroundTruthRecord::read(line).unwrap().unwrap();
        assert_eq!(record.end_ts(), 100.5);
        let result =
            ResultView { ttft: Some(0.203), gap: Some(0.0205), gap_p99: None, end: None, ..ResultView::default() };
        let truth = record.compare_with(&result);
        assert_eq!(truth.ttft_error_seconds, Some(0.003));
        assert_eq!(truth.gap_error_seconds, Some(0.0005));
        assert_eq!(truth.gap_p99_seconds, Some(0.02));
        assert_eq!((truth.end_seconds, truth.end_error_seconds), (Some(0.5), None));
        assert_eq!((truth.late_mean_seconds, truth.late_max_seconds), (Some(0.001), Some(0.004)));
    }

    #[test]
    fn impossible_times_are_no_ground_truth() {
        let line = r#"{"type":"ground_truth","v":1,"arrival_ts":1.0,"ttft_seconds":-1,"gap_seconds":1e308,"end_seconds":0.5,"chunks":[[-1e308,0,1],[1e308,0,1],[1e308,0,1]]}"#;
        let truth = GroundTruthRecord::read(line)
            .unwrap()
            .unwrap()
            .compare_with(&ResultView { end: Some(0.75), ..ResultView::default() });
        let expect = GroundTruth {
            end_seconds: Some(0.5),
            end_error_seconds: Some(0.25),
            gap_p99_seconds: Some(0.0),
            ..GroundTruth::default()
        };
        assert_eq!(truth, expect);
    }

    #[test]
    fn other_records_are_skipped_and_broken_ones_are_errors() {
        assert!(GroundTruthRecord::read(r#"{"type":"model","id":"x"}"#).unwrap().is_none());
        assert!(GroundTruthRecord::read(r#"{"type":"ground_truth","arrival_ts":"x"}"#).is_err());
        assert!(GroundTruthRecord::read("x").is_err());
    }

    #[test]
    fn the_last_of_several_tries_counts() {
        let mut log = GroundTruthLog::default();
        let record = |at: f64| GroundTruthRecord {
            request: Some("r-1".into()),
            arrival_ts: at,
            ttft_seconds: None,
            gap_seconds: None,
            end_seconds: None,
            chunks: None,
            lateness_seconds: None,
        };
        log.add(2.0, record(2.0));
        log.add(1.0, record(1.0));
        assert_eq!(log.arrival("r-1"), Some(2.0));
        assert_eq!(log.take("r-1").unwrap().arrival_ts, 2.0);
        assert!(log.take("r-1").is_none());
    }
}
