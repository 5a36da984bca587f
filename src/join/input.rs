//! Reads a line of results as far as the join needs it: most of a record goes out as it came, unread.

use super::time_axis::LONGEST;
use crate::record::{self, Load};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A line of results, as far as the join needs it.
#[derive(Debug)]
pub enum InputRecord {
    /// A run begins.
    Run {
        /// The run's id.
        run: String,
        /// The boot whose monotonic clock its stamps are of.
        boot: Option<String>,
        /// When it began: Unix seconds.
        started_ts: f64,
    },
    /// The text of a prompt.
    Prompt,
    /// A model was loaded, or failed to be.
    Load(Box<Load>),
    /// A request was sent.
    Start(RequestStart),
    /// A request ended.
    Result(Box<ResultView>),
    /// A record of a newer contract, with its `v`.
    Newer(u64),
    /// A summary of an earlier join, which this one replaces.
    Summary,
    /// Anything else.
    Other,
}

/// A request was sent.
#[derive(Debug, Deserialize)]
pub struct RequestStart {
    /// The run's id.
    pub run: Option<String>,
    /// The request's number in its run.
    pub id: u64,
    /// Unix seconds.
    pub start_ts: f64,
    /// Seconds of the monotonic clock.
    pub start_mono: Option<f64>,
}

/// The fields of a result that the join needs.
#[derive(Debug, Default)]
pub struct ResultView {
    /// The run's id.
    pub run: Option<String>,
    /// The request's number in its run.
    pub id: u64,
    /// The requested model.
    pub model: String,
    /// Unix seconds of the start.
    pub start_ts: Option<f64>,
    /// Seconds of the monotonic clock at the start.
    pub start_mono: Option<f64>,
    /// Seconds from the start to the first token.
    pub first_token: Option<f64>,
    /// Seconds from the start to the last token.
    pub last_token: Option<f64>,
    /// Seconds from the start to the end.
    pub end: Option<f64>,
    /// Tokens of the prompt.
    pub input: Option<u64>,
    /// Tokens of the answer.
    pub output: Option<u64>,
    /// Measured time to the first token, in seconds.
    pub ttft: Option<f64>,
    /// Measured mean gap between chunks with text, in seconds.
    pub gap: Option<f64>,
    /// Measured 99th percentile of those gaps, in seconds.
    pub gap_p99: Option<f64>,
    /// Whether another machine than the client's served it.
    pub elsewhere: bool,
    /// Whether an earlier join measured its power.
    pub had_power: bool,
    /// Whether an earlier join measured its memory.
    pub had_memory: bool,
    /// Whether the line has a field that the join writes.
    pub enriched: bool,
}

#[derive(Deserialize)]
struct WireRun {
    run: String,
    boot: Option<String>,
    started_ts: f64,
}

/// The fields that `--json-dir` needs.
#[derive(Deserialize)]
#[allow(dead_code)] // only their presence counts
struct WirePrompt {
    id: String,
    text: IgnoredAny,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    run: Option<Cow<'a, str>>,
    #[serde(default)]
    id: u64,
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    endpoint: Option<Cow<'a, str>>,
    start_ts: Option<f64>,
    start_mono: Option<f64>,
    timing_seconds: Option<WireTiming>,
    ttft_seconds: Option<f64>,
    inter_chunk_latency_seconds: Option<WireItl>,
    generation_time_seconds: Option<f64>,
    tokens: Option<WireTokens>,
    #[serde(default)]
    power: Present,
    #[serde(default)]
    power_reason: Present,
    #[serde(default)]
    memory: Present,
    #[serde(default)]
    memory_reason: Present,
    #[serde(default)]
    ground_truth: Present,
}

/// Whether a field stands in the line, null or not.
#[derive(Default)]
struct Present {
    there: bool,
    some: bool,
}

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<IgnoredAny>::deserialize(deserializer).map(|value| Present { there: true, some: value.is_some() })
    }
}

#[derive(Deserialize, Default)]
struct WireTiming {
    first_token: Option<f64>,
    last_token: Option<f64>,
    end: Option<f64>,
}

#[derive(Deserialize)]
struct WireItl {
    mean: Option<f64>,
    p99: Option<f64>,
}

#[derive(Deserialize)]
struct WireTokens {
    input: Option<u64>,
    output: Option<u64>,
}

/// Reads a line.
///
/// # Errors
/// When it is no JSON object, or has a type that the join reads and not that type's shape.
pub fn parse(line: &str) -> Result<InputRecord, serde_json::Error> {
    if !line.trim_start().starts_with('{') {
        // serde would read a list as the fields in their order.
        return Err(serde::de::Error::custom("not a JSON object"));
    }
    let (kind, v) = record::head(line)?;
    if let Some(v) = v.filter(|&v| v > record::V) {
        return Ok(InputRecord::Newer(v));
    }
    let unread = |record: InputRecord| record::is_json(line).map(|()| record);
    match kind.as_deref() {
        Some("run") => {
            let WireRun { run, boot, started_ts } = serde_json::from_str(line)?;
            Ok(InputRecord::Run { run, boot, started_ts })
        }
        Some("load") => serde_json::from_str(line).map(InputRecord::Load),
        Some("start") => serde_json::from_str(line).map(InputRecord::Start),
        Some("result") => result(line),
        Some("prompt") => serde_json::from_str(line).map(|WirePrompt { .. }| InputRecord::Prompt),
        Some("join_summary") => unread(InputRecord::Summary),
        _ => unread(InputRecord::Other),
    }
}

fn result(line: &str) -> Result<InputRecord, serde_json::Error> {
    let wire: Wire = serde_json::from_str(line)?;
    let timing = wire.timing_seconds.unwrap_or_default();
    let tokens = wire.tokens.as_ref();
    // A negative time is no measurement, nor is one of decades.
    let length = |seconds: Option<f64>| seconds.filter(|seconds| (0.0..=LONGEST).contains(seconds));
    Ok(InputRecord::Result(Box::new(ResultView {
        run: wire.run.map(Cow::into_owned),
        id: wire.id,
        model: wire.model.into_owned(),
        start_ts: wire.start_ts,
        start_mono: wire.start_mono,
        first_token: length(timing.first_token.or(wire.ttft_seconds)),
        last_token: length(timing.last_token),
        end: length(timing.end.or(wire.generation_time_seconds)),
        input: tokens.and_then(|tokens| tokens.input),
        output: tokens.and_then(|tokens| tokens.output),
        ttft: length(wire.ttft_seconds),
        gap: length(wire.inter_chunk_latency_seconds.as_ref().and_then(|itl| itl.mean)),
        gap_p99: length(wire.inter_chunk_latency_seconds.as_ref().and_then(|itl| itl.p99)),
        elsewhere: wire.endpoint.is_some_and(|endpoint| !is_of_this_machine(&endpoint)),
        had_power: wire.power.some,
        had_memory: wire.memory.some,
        enriched: [wire.power, wire.power_reason, wire.memory, wire.memory_reason, wire.ground_truth]
            .iter()
            .any(|field| field.there),
    })))
}

/// Whether an address is of the machine that the client ran on.
fn is_of_this_machine(endpoint: &str) -> bool {
    let authority = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_of_this_machine() {
        for (endpoint, here) in [
            ("http://127.0.0.1:1234/v1/chat/completions", true),
            ("http://localhost/api/chat", true),
            ("http://[::1]:11434/api/chat", true),
            ("https://openrouter.ai/api/v1/chat/completions", false),
            ("http://192.168.1.7:1234/v1", false),
            ("http://127.0.0.1.example/v1", false),
        ] {
            assert_eq!(is_of_this_machine(endpoint), here, "{endpoint}");
        }
    }

    #[test]
    fn lines_are_read_as_far_as_the_join_needs() {
        for (line, expect) in [
            (r#"{"type":"result","v":1,"model":"m"}"#, "result"),
            (r#"{"v":1,"model":"m","type":"result"}"#, "result"),
            (r#"{"type":"result","v":2,"model":3}"#, "newer"),
            (r#"{"type":"result","v":1}"#, "error"),
            (r#"{"type":"result","v":1,"model":"m","start_ts":"now"}"#, "error"),
            (r#"{"type":"result","v":1,"model":"m""#, "error"),
            (r#"{"type":"weather","start_ts":"now"}"#, "other"),
            (r#"{"type":"start","v":1,"id":1,"start_ts":2.5}"#, "start"),
            (r#"{"type":"start","v":1}"#, "error"),
            (r#"{"type":"weather","v":1,"start_ts":}"#, "error"),
            (r#"{"type":"prompt","v":1,"id"}"#, "error"),
            (r#"{"type":"prompt","v":1,"id":"p"}"#, "error"),
            (r#"{"type":"prompt","v":1,"id":"p","text":"x"}"#, "another"),
            (r#"{"type":"start","v":1,"id":1,"start_ts":2.5"#, "error"),
            ("[]", "error"),
            ("{}", "other"),
        ] {
            let got = match parse(line) {
                Ok(InputRecord::Result(_)) => "result",
                Ok(InputRecord::Start(_)) => "start",
                Ok(InputRecord::Newer(2)) => "newer",
                Ok(InputRecord::Other) => "other",
                Ok(_) => "another",
                Err(_) => "error",
            };
            assert_eq!(got, expect, "{line}");
        }
    }

    #[test]
    fn fields_of_an_earlier_join_are_found() {
        for field in ["power", "power_reason", "memory", "memory_reason", "ground_truth", "other"] {
            let line = format!(r#"{{"type":"result","v":1,"model":"m","{field}":null}}"#);
            let Ok(InputRecord::Result(result)) = parse(&line) else { panic!("{line}") };
            assert_eq!(result.enriched, field != "other", "{field}");
        }
    }

    #[test]
    fn the_end_is_the_stamp_or_the_generation_time() {
        let end = |line: &str| match parse(line) {
            Ok(InputRecord::Result(result)) => result.end,
            other => panic!("{other:?}"),
        };
        assert_eq!(end(r#"{"type":"result","v":1,"model":"m","timing_seconds":{"end":2.5}}"#), Some(2.5));
        assert_eq!(end(r#"{"type":"result","v":1,"model":"m","generation_time_seconds":2}"#), Some(2.0));
        assert_eq!(end(r#"{"type":"result","v":1,"model":"m","generation_time_seconds":-2}"#), None);
        assert_eq!(end(r#"{"type":"result","v":1,"model":"m","generation_time_seconds":null}"#), None);
    }
}
