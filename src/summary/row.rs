//! One request as a report holds it: the numbers and the few words that a page shows, without the raw bulk.

use super::metric::{Metric, failed, kind_name};
use super::screen::Screen;
use crate::record::{Outcome, Phase, Quality, TokenSource};
use std::collections::BTreeMap;

/// The longest message that a row keeps, in characters; the record has all of it.
const LONGEST_MESSAGE: usize = 2000;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The index of its group in the summary.
    pub group: usize,
    /// The run's id.
    pub run: String,
    /// The request's number in its run.
    pub id: u64,
    /// The id of its prompt.
    pub prompt: Option<String>,
    /// Whether it only warmed the server.
    pub warmup: bool,
    /// When it was sent: Unix seconds.
    pub start_ts: Option<f64>,
    /// The same, for people.
    pub timestamp: Option<String>,
    /// From the start to the end of the answer or of the attempt, in seconds; known of failures too.
    pub end_seconds: Option<f64>,
    /// Its numbers.
    pub values: BTreeMap<Metric, f64>,
    /// Its median and 99th percentile gap between chunks, in seconds.
    pub itl: Option<(f64, f64)>,
    /// Its mean gap between chunks, in seconds.
    pub itl_mean: Option<f64>,
    /// At least and at most its energy, in joules.
    pub energy_bounds: Option<(f64, f64)>,
    /// How far to trust its energy.
    pub quality: Option<Quality>,
    /// How many requests ran when it was sent.
    pub in_flight: Option<u64>,
    /// Which repetition it is.
    pub repeat: Option<u64>,
    /// How many tries there were before.
    pub attempts: usize,
    /// Who counted its tokens.
    pub token_source: Option<TokenSource>,
    /// Why it ended.
    pub finish_reason: Option<String>,
    /// Why it failed; `None` for a request that did not.
    pub failure: Option<RowFailure>,
    /// Its doubts.
    pub warnings: Vec<String>,
    /// Its artifacts: relative paths, as the record has them.
    pub html: Option<String>,
    /// The answer as a text file.
    pub text_file: Option<String>,
    /// The joined result.
    pub json: Option<String>,
    /// The power meter's log.
    pub power_log: Option<String>,
    /// The folder that the paths are relative to, as the caller named it; `None` for the place of the report itself.
    pub folder: Option<usize>,
    /// The answer, where the record has it.
    pub text: Option<String>,
    /// What a browser saw of its page, where one was asked.
    pub screen: Option<Screen>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFailure {
    /// The kind, in the words of the contract; `error` where the record only has a sentence.
    pub kind: &'static str,
    /// The HTTP status.
    pub status: Option<u16>,
    /// What was said.
    pub message: String,
}

impl Row {
    /// The row of a result.
    pub fn of(o: &Outcome, group: usize) -> Self {
        let files = o.files.as_ref();
        let timing = o.timing_seconds.as_ref();
        let power = o.power.as_ref().and_then(Option::as_ref);
        Self {
            group,
            run: o.run.clone(),
            id: o.id,
            prompt: o.prompt.as_ref().map(|prompt| prompt.id.clone()),
            warmup: o.phase == Some(Phase::Warmup),
            start_ts: o.start_ts,
            timestamp: o.timestamp.clone(),
            end_seconds: o.generation_time_seconds.or(timing.and_then(|t| t.end)).filter(|end| end.is_finite()),
            values: Metric::ALL.iter().filter_map(|&metric| Some((metric, metric.of(o)?))).collect(),
            itl: o.itl_seconds.as_ref().map(|itl| (itl.p50, itl.p99)),
            itl_mean: o.itl_seconds.as_ref().map(|itl| itl.mean),
            energy_bounds: power.and_then(|p| Some((p.energy_lower_joules?, p.energy_upper_joules?))),
            quality: power.map(|p| p.quality),
            in_flight: o.in_flight,
            repeat: o.repeat,
            attempts: o.attempts.len(),
            token_source: o.tokens.as_ref().map(|tokens| tokens.source),
            finish_reason: o.finish_reason.clone(),
            failure: failure(o),
            warnings: o.warnings.clone(),
            html: files.and_then(|f| f.html.clone()),
            text_file: files.and_then(|f| f.text.clone()),
            json: files.and_then(|f| f.json.clone()),
            power_log: files.and_then(|f| f.power_log.clone()),
            folder: None,
            text: o.text.clone(),
            screen: None,
        }
    }

    /// Whether the request did not fail.
    pub fn ok(&self) -> bool {
        self.failure.is_none()
    }

    /// One of its numbers.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values.get(&metric).copied()
    }
}

/// Why a result failed, from whichever of its error fields says most.
fn failure(o: &Outcome) -> Option<RowFailure> {
    if !failed(o) {
        return None;
    }
    let sentence = o.errors.load.as_ref().or(o.errors.generation.as_ref());
    Some(match &o.error {
        Some(error) => {
            RowFailure { kind: kind_name(error.kind), status: error.status, message: shortened(&error.message) }
        }
        None => RowFailure {
            kind: if o.errors.load.is_some() { "load" } else { "error" },
            status: None,
            message: shortened(sentence.map_or("", String::as_str)),
        },
    })
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
