//! Records for tests and benchmarks, which make them here alone; no program uses this module.
//!
//! A record has the fields that its writer always writes. Methods set what tests vary; [`Fixture::merge`] sets the rest.

use super::{
    Body, Failure, FailureKind, Memory, Outcome, Phase, Power, PowerKind, Record, Run, Sampler, SamplerEvent, Source,
    Start, Timing, TokenMethod, Tokens, Tool, line,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

/// Unix time at which the monotonic clock of all records made here is zero: 2026-11-21, 16:20 UTC.
pub const EPOCH: f64 = 1_795_278_000.0;

/// A record that a test makes. It is displayed as its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture<T>(T);

impl<T: Body + DeserializeOwned> Fixture<T> {
    /// The record.
    pub fn record(self) -> T {
        self.0
    }

    /// The record as JSON, with its type and version.
    pub fn value(&self) -> Value {
        self.to_string().parse().expect("a record is JSON")
    }

    /// The line of the record, with its newline.
    pub fn line(&self) -> String {
        format!("{self}\n")
    }

    /// Changes fields that have no method of their own.
    pub fn set(mut self, change: impl FnOnce(&mut T)) -> Self {
        change(&mut self.0);
        self
    }

    /// Replaces the fields that `fields` has.
    ///
    /// # Panics
    /// When the contract does not have one of them, or has it in another shape.
    pub fn merge(mut self, fields: Value) -> Self {
        let mut value = self.value();
        let object = value.as_object_mut().expect("a record is an object");
        object.extend(fields.as_object().expect("fields are an object").clone());
        self.0 = serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}: {fields}"));
        assert!(has(&self.value(), &fields), "not of the contract: {fields}");
        self
    }
}

/// Whether `written` has all that `given` has. What is null or empty may be absent.
fn has(written: &Value, given: &Value) -> bool {
    match (written, given) {
        (Value::Null, given) => given.is_null() || *given == json!([]) || *given == json!({}) || *given == json!(false),
        (Value::Object(written), Value::Object(given)) => {
            given.iter().all(|(name, given)| has(written.get(name).unwrap_or(&Value::Null), given))
        }
        (Value::Array(written), Value::Array(given)) => {
            written.len() == given.len() && written.iter().zip(given).all(|(written, given)| has(written, given))
        }
        (Value::Number(written), Value::Number(given)) => written.as_f64() == given.as_f64(),
        (written, given) => written == given,
    }
}

impl<T> Deref for Fixture<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Body> fmt::Display for Fixture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.0).map_err(|_| fmt::Error)?)
    }
}

impl<T: Body> From<Fixture<T>> for Record {
    fn from(fixture: Fixture<T>) -> Self {
        super::read(&fixture.to_string()).expect("a record is read as it is written")
    }
}

/// A `result` of run `r` that says nothing but its number and model.
pub fn result(id: u64, model: impl Into<String>) -> Fixture<Outcome> {
    Fixture(Outcome { run: "r".into(), id, model: model.into(), ..Outcome::default() })
}

/// Times are in seconds; a method without a comment sets the field of its name.
impl Fixture<Outcome> {
    pub fn run(self, run: &str) -> Self {
        self.set(|o| o.run = run.into())
    }

    pub fn source(self, source: Source) -> Self {
        self.set(|o| o.source = Some(source))
    }

    /// Sets the start, from [`EPOCH`].
    pub fn sent(self, at: f64) -> Self {
        self.set(|o| (o.start_ts, o.start_mono) = (Some(EPOCH + at), Some(at)))
    }

    pub fn ttft(self, seconds: f64) -> Self {
        self.set(|o| o.ttft_seconds = Some(seconds))
    }

    /// Sets the end-to-end latency.
    pub fn e2e(self, seconds: f64) -> Self {
        self.set(|o| o.generation_time_seconds = Some(seconds))
    }

    pub fn timing(self, timing: Timing) -> Self {
        self.set(|o| o.timing_seconds = Some(timing))
    }

    /// Sets token counts, as a usage has them.
    pub fn tokens(self, input: impl Into<Option<u64>>, output: u64) -> Self {
        let (input, output, method) = (input.into(), Some(output), Some(TokenMethod::Usage));
        self.set(|o| o.tokens = Some(Tokens { input, output, method, ..Tokens::default() }))
    }

    pub fn concurrency(self, n: u64) -> Self {
        self.set(|o| o.concurrency = Some(n))
    }

    pub fn rate(self, per_second: f64) -> Self {
        self.set(|o| o.rate = Some(per_second))
    }

    pub fn phase(self, phase: Phase) -> Self {
        self.set(|o| o.phase = Some(phase))
    }

    /// Sets the id of the prompt.
    pub fn prompt(self, id: impl Into<String>) -> Self {
        self.set(|o| o.prompt.get_or_insert_default().id = id.into())
    }

    /// Sets an error with message `x`.
    pub fn failed(self, kind: FailureKind) -> Self {
        self.set(|o| o.error = Some(Failure { kind, message: "x".into(), ..Failure::default() }))
    }
}

/// The `run` of llm-run that starts at [`EPOCH`].
pub fn run(id: &str) -> Fixture<Run> {
    let tool = Tool { name: "llm-run".into(), version: "0".into() };
    Fixture(Run { run: id.into(), started_ts: EPOCH, tool, ..Run::default() })
}

/// The `start` of a request of run `r`, in seconds from [`EPOCH`].
pub fn start(id: u64, at: f64) -> Fixture<Start> {
    Fixture(Start { id, run: Some("r".into()), start_ts: EPOCH + at, start_mono: Some(at) })
}

/// The `power` of domain `cpu`, of a window that ends at a time in seconds from [`EPOCH`].
pub fn power(at: f64, window: f64, watts: f64) -> Fixture<Power> {
    Fixture(Power {
        ts: EPOCH + at,
        mono: Some(at),
        seq: 1,
        meter: "m".into(),
        kind: Some(PowerKind::Window),
        window_seconds: Some(window),
        watts: BTreeMap::from([("cpu".into(), Some(watts))]),
        ..Power::default()
    })
}

/// The `memory` of a process at a time in seconds from [`EPOCH`].
pub fn memory(at: f64, rss: u64) -> Fixture<Memory> {
    Fixture(Memory { ts: EPOCH + at, mono: Some(at), seq: 1, rss_bytes: Some(Some(rss)), ..Memory::default() })
}

/// The `sampler` of meter `m` at [`EPOCH`], on the same boot as a run with `boot`.
pub fn sampler(event: SamplerEvent, boot: &str, interval: f64) -> Fixture<Sampler> {
    Fixture(Sampler {
        event,
        tool: Some(Tool { name: "power-sample".into(), version: "0".into() }),
        ts: Some(EPOCH),
        mono: Some(0.0),
        boot: Some(boot.into()),
        meters: vec!["m".into()],
        total_domain: Some("cpu".into()),
        interval_seconds: Some(interval),
        ..Sampler::default()
    })
}
