//! What the server really did with each request: the `ground_truth` record, one line per request, written when the last byte
//! has left. See `docs/sim.md`.

use super::timing;
use crate::clock::{Stamp, between, micros};
use crate::locks::locked;
use crate::record::{self, Body};
use clap::ValueEnum;
use serde::Serialize;
use serde_with::skip_serializing_none;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

/// How much of the truth is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Every chunk.
    Chunk,
    /// The first and the last chunk, and how late chunks were.
    Request,
}

/// How late chunks were written, in seconds after their deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Lateness {
    mean: f64,
    max: f64,
}

#[skip_serializing_none]
#[derive(Debug, Serialize)]
struct TokenCounts {
    input: Option<u64>,
    output: u64,
    reasoning: u64,
}

/// The record on the wire. Times as in every record: `_ts` Unix seconds, `_mono` seconds of the monotonic clock.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
struct Line<'a> {
    request: Option<&'a str>,
    number: u64,
    model: &'a str,
    stream: bool,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: &'a Vec<String>,
    arrival_ts: f64,
    arrival_mono: f64,
    load_seconds: Option<f64>,
    queue_seconds: Option<f64>,
    first_token_ts: Option<f64>,
    first_token_mono: Option<f64>,
    last_token_ts: Option<f64>,
    last_token_mono: Option<f64>,
    end_ts: Option<f64>,
    end_mono: Option<f64>,
    ttft_seconds: Option<f64>,
    gap_seconds: Option<f64>,
    end_seconds: Option<f64>,
    tokens: TokenCounts,
    chunk_count: u64,
    lateness_seconds: Option<Lateness>,
    net_energy_joules: Option<f64>,
    chunks: Option<&'a Vec<(f64, f64, u32)>>,
}

impl Body for Line<'_> {
    const TYPE: &'static str = "ground_truth";
}

/// What is known of one request so far.
#[derive(Debug)]
pub struct Truth {
    /// The client's name for it: its `x-request-id`.
    pub request: Option<String>,
    /// Its number in this server, from 1.
    pub number: u64,
    /// The model that was asked for.
    pub model: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// How it ended: `done`, `refused`, `interrupted`, `left`.
    pub outcome: &'static str,
    /// The faults that befell it.
    pub faults: Vec<String>,
    /// When it arrived.
    pub arrival: Stamp,
    /// How long its model was loaded.
    pub load_seconds: Option<f64>,
    /// How long it waited for a slot, when there are slots.
    pub queue_seconds: Option<f64>,
    /// Tokens of its prompt, where they are known.
    pub input: Option<u64>,
    /// Tokens of a plain answer; those of a stream are counted as they leave.
    pub output: u64,
    /// The part of them that was reasoning.
    pub reasoning: u64,
    /// What it drew above idle.
    pub net_energy_joules: Option<f64>,
    chunks: Option<Vec<(f64, f64, u32)>>,
    first_ns: Option<u64>,
    last_ns: Option<u64>,
    end_ns: Option<u64>,
    count: u64,
    late_sum: f64,
    late_max: f64,
}

impl Truth {
    /// A request that has just arrived.
    pub fn new(arrival: Stamp, number: u64, level: Level) -> Self {
        Self {
            request: None,
            number,
            model: String::new(),
            stream: false,
            outcome: "refused",
            faults: Vec::new(),
            arrival,
            load_seconds: None,
            queue_seconds: None,
            input: None,
            output: 0,
            reasoning: 0,
            net_energy_joules: None,
            chunks: (level == Level::Chunk).then(Vec::new),
            first_ns: None,
            last_ns: None,
            end_ns: None,
            count: 0,
            late_sum: 0.0,
            late_max: f64::MIN,
        }
    }

    /// A chunk of `tokens` tokens, due at `due_ns`, was written at `now_ns`.
    pub fn written(&mut self, due_ns: u64, tokens: u32, reasoning: bool, now_ns: u64) {
        let late = between(due_ns, now_ns);
        self.first_ns.get_or_insert(now_ns);
        self.last_ns = Some(now_ns);
        self.count += 1;
        self.output += u64::from(tokens);
        self.reasoning += if reasoning { u64::from(tokens) } else { 0 };
        self.late_sum += late;
        self.late_max = self.late_max.max(late);
        if let Some(chunks) = &mut self.chunks {
            chunks.push((micros(now_ns as f64 / 1e9), micros(late), tokens));
        }
    }

    /// The last byte was written at `now_ns`.
    pub fn ended(&mut self, now_ns: u64) {
        self.end_ns = Some(now_ns);
    }

    /// The line of the record.
    ///
    /// # Errors
    /// Never in practice; the signature is serde's.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        let since = |ns: Option<u64>| ns.map(|ns| micros(between(self.arrival.mono_ns, ns)));
        let ts = |ns: Option<u64>| since(ns).map(|seconds| micros(self.arrival.ts + seconds));
        let mono = |ns: Option<u64>| ns.map(|ns| micros(ns as f64 / 1e9));
        let gaps = self.count.saturating_sub(1);
        let gap = self.first_ns.zip(self.last_ns).filter(|_| gaps > 0);
        record::line(&Line {
            request: self.request.as_deref(),
            number: self.number,
            model: &self.model,
            stream: self.stream,
            outcome: self.outcome,
            faults: &self.faults,
            arrival_ts: self.arrival.ts,
            arrival_mono: self.arrival.mono(),
            load_seconds: self.load_seconds.map(micros),
            queue_seconds: self.queue_seconds.map(micros),
            first_token_ts: ts(self.first_ns),
            first_token_mono: mono(self.first_ns),
            last_token_ts: ts(self.last_ns),
            last_token_mono: mono(self.last_ns),
            end_ts: ts(self.end_ns),
            end_mono: mono(self.end_ns),
            ttft_seconds: since(self.first_ns),
            gap_seconds: gap.map(|(first, last)| micros(between(first, last) / gaps as f64)),
            end_seconds: since(self.end_ns),
            tokens: TokenCounts { input: self.input, output: self.output, reasoning: self.reasoning },
            chunk_count: self.count,
            lateness_seconds: (self.count > 0)
                .then(|| Lateness { mean: micros(self.late_sum / self.count as f64), max: micros(self.late_max) }),
            net_energy_joules: self.net_energy_joules.map(micros),
            chunks: self.chunks.as_ref().filter(|chunks| !chunks.is_empty()),
        })
    }
}

/// The file of the truth.
#[derive(Debug)]
pub struct Log {
    /// How much is written.
    pub level: Level,
    file: Mutex<File>,
}

impl Log {
    /// Makes the file anew.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path, level: Level) -> io::Result<Self> {
        Ok(Self { level, file: Mutex::new(File::create(path)?) })
    }

    /// Writes one record. A disk that is full does not stop the server; the line is then missing.
    pub fn write(&self, truth: &Truth) {
        if let Ok(mut line) = truth.line() {
            line.push('\n');
            let _ = locked(&self.file).write_all(line.as_bytes());
        }
    }
}

/// A wire id for the request `number`: letters and digits that follow from the seed.
pub fn wire_id(seed: u64, number: u64, length: usize) -> String {
    use rand::Rng;
    let mut rng = timing::rng(seed, "id", number);
    (0..length).map(|_| char::from(rng.sample(rand::distr::Alphanumeric))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_by_its_first_and_last_write() {
        let mut truth = Truth::new(Stamp { mono_ns: 1_000_000_000, ts: 100.0 }, 1, Level::Chunk);
        truth.request = Some("r-1".into());
        truth.written(1_200_000_000, 1, true, 1_201_000_000);
        truth.written(1_220_000_000, 2, false, 1_223_000_000);
        truth.ended(1_224_000_000);
        let line: serde_json::Value = serde_json::from_str(&truth.line().unwrap()).unwrap();
        assert_eq!(line["type"], "ground_truth");
        assert_eq!(line["ttft_seconds"], 0.201);
        assert_eq!(line["gap_seconds"], 0.022);
        assert_eq!(line["end_seconds"], 0.224);
        assert_eq!(line["first_token_ts"], 100.201);
        assert_eq!(line["last_token_mono"], 1.223);
        assert_eq!(line["tokens"], serde_json::json!({"output": 3, "reasoning": 1}));
        assert_eq!(line["lateness_seconds"], serde_json::json!({"mean": 0.002, "max": 0.003}));
        assert_eq!(line["chunks"], serde_json::json!([[1.201, 0.001, 1], [1.223, 0.003, 2]]));
    }

    #[test]
    fn what_never_left_has_no_time() {
        let truth = Truth::new(Stamp { mono_ns: 5, ts: 1.0 }, 1, Level::Request);
        let line: serde_json::Value = serde_json::from_str(&truth.line().unwrap()).unwrap();
        for absent in ["ttft_seconds", "gap_seconds", "end_seconds", "lateness_seconds", "chunks", "request"] {
            assert!(line.get(absent).is_none(), "{absent}");
        }
    }
}
