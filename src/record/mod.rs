//! The contract between the programs: one JSON object per line, `"type"` first, `"v":1` next, then the fields.
//!
//! The types are its only definition: `docs/records.md` and the JSON Schema are generated from them. [`crate::ndjson`] reads and
//! writes lines; the modules that measure define what the numbers mean.
//!
//! *Absent* means not measured, `null` tried and failed, `0` measured zero: a struct leaves out its `None` (`skip_serializing_none`),
//! `#[serialize_always]` marks a field whose `None` is null, and an `Option<Option<T>>` is absent, null or a value. A program that adds
//! to a record works on [`Object`], not on the struct, so that unknown fields survive byte for byte.

mod accuracy;
#[cfg(test)]
mod docs;
#[doc(hidden)]
pub mod fixture;
mod join_summary;
mod joined;
mod level;
mod load;
mod memory;
mod model;
mod object;
mod power;
mod prompt;
mod quantiles;
mod result;
mod run;
mod sampler;
pub mod schema;
mod search;
mod settings;
mod start;

pub use accuracy::{Accuracy, AccuracyLevel, NotMeasured};
pub use join_summary::{JoinSummary, RunMemory, RunPower};
pub use joined::{
    EnergyCost, GroundTruth, Idle, JoinedMemory, JoinedPower, MemoryFigures, MemoryPhase, MemoryPoint, PhaseEnergy,
    Quality, Watts,
};
pub use level::{LoadLevel, RunEnd};
pub use load::{Load, LoadTimeMethod, Loader};
pub use memory::{GpuMemory, Memory, ProcessMemory, SystemMemory};
pub use model::{Model, Pricing, Source};
pub use object::Object;
pub use power::{Power, PowerKind};
pub use prompt::{Counted, Prompt, Synthetic};
pub use quantiles::{Percentile, Quantiles, supports};
pub use result::{
    Attempt, Chunks, Client, ClientFields, Cost, CostMethod, Derived, ErrorFields, Errors, Failure, FailureKind,
    FileFields, Files, FirstTokens, LatencyFields, Outcome, Phase, PromptFields, PromptUsed, ResultFields, Text,
    Timing, TimingFields, TokenMethod, Tokens,
};
pub use run::{Host, Run, Tool};
pub use sampler::{Sampler, SamplerEvent};
pub use search::{Search, SearchOutcome, SearchOver, SearchPoint, SearchQueue, SearchValue};
pub use settings::{Effect, RunSettings, SearchSettings};
pub use start::Start;

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The version of the contract that this program speaks. Adding a field keeps it; renaming, removing or re-meaning one
/// raises it.
pub const V: u64 = 1;

/// A record type of the contract: its name on the wire.
pub trait Body: Serialize {
    /// The value of `"type"`.
    const TYPE: &'static str;
}

/// A line, understood as far as this version of the contract understands it.
#[derive(Debug)]
pub enum Record {
    /// What a server offers.
    Model(Box<Model>),
    /// The head of a run.
    Run(Box<Run>),
    /// The text of a prompt.
    Prompt(Box<Prompt>),
    /// A model was loaded, or failed to.
    Load(Box<Load>),
    /// A request was sent.
    Start(Start),
    /// A request ended.
    Result(Box<Outcome>),
    /// What a power meter read.
    Power(Box<Power>),
    /// What the process table read.
    Memory(Box<Memory>),
    /// A sampler began or ended.
    Sampler(Box<Sampler>),
    /// What one load level came to.
    Level(Box<LoadLevel>),
    /// What a search for the highest load found.
    Search(Box<Search>),
    /// A run ended.
    RunEnd(Box<RunEnd>),
    /// What a whole stream of results drew and held.
    JoinSummary(Box<JoinSummary>),
    /// How right a client measures on a machine.
    Accuracy(Box<Accuracy>),
    /// A JSON object of a type that this version does not know: pass it on as it came.
    Unknown,
    /// A record of a newer contract, with its `v`: pass it on unread, and say so once.
    Newer(u64),
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Cow<'a, str>>,
    v: Option<u64>,
}

/// The type and the version that an object says. Of a line that begins as these programs write it, the rest has not been
/// looked at: who knows the type reads it anyway, who does not is to ask [`is_json`].
///
/// # Errors
/// When it is not JSON, or says one of them in another shape.
pub fn head(line: &str) -> Result<(Option<Cow<'_, str>>, Option<u64>), serde_json::Error> {
    // What these programs write begins like this, and needs no second look.
    if let Some((kind, rest)) = line.strip_prefix(r#"{"type":""#).and_then(|rest| rest.split_once('"'))
        && rest.starts_with(r#","v":1,"#)
        && !kind.contains('\\')
    {
        return Ok((Some(kind.into()), Some(V)));
    }
    serde_json::from_str(line).map(|Head { kind, v }| (kind, v))
}

/// Reads a line for nothing but its being JSON.
///
/// # Errors
/// When it is not.
pub fn is_json(line: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str(line).map(|serde::de::IgnoredAny| ())
}

/// Reads one line.
///
/// # Errors
/// When the line is not a JSON object, or says a known type and does not keep that type's shape.
pub fn read(line: &str) -> Result<Record, serde_json::Error> {
    Ok(match read_unless_result(line)? {
        Some(other) => other,
        None => Record::Result(serde_json::from_str(line)?),
    })
}

/// Reads one line unless it is a result: `None` leaves it to a reader of fewer fields, such as [`ResultFields`].
///
/// # Errors
/// When the line is not a JSON object, or says a known type and does not keep that type's shape.
pub fn read_unless_result(line: &str) -> Result<Option<Record>, serde_json::Error> {
    if !line.trim_start().starts_with('{') {
        // Serde takes a list for a struct's fields in their order; a record is an object.
        return Err(serde::de::Error::custom("not a JSON object"));
    }
    let (kind, v) = head(line)?;
    let Some(kind) = kind else { return Ok(Some(Record::Unknown)) };
    if let Some(v) = v.filter(|&v| v > V) {
        return Ok(Some(Record::Newer(v)));
    }
    Ok(Some(match kind.as_ref() {
        Outcome::TYPE => return Ok(None),
        Model::TYPE => Record::Model(serde_json::from_str(line)?),
        Run::TYPE => Record::Run(serde_json::from_str(line)?),
        Prompt::TYPE => Record::Prompt(serde_json::from_str(line)?),
        Load::TYPE => Record::Load(serde_json::from_str(line)?),
        Start::TYPE => Record::Start(serde_json::from_str(line)?),
        Power::TYPE => Record::Power(Box::new(Power::read(line)?)),
        Memory::TYPE => Record::Memory(serde_json::from_str(line)?),
        Sampler::TYPE => Record::Sampler(serde_json::from_str(line)?),
        LoadLevel::TYPE => Record::Level(serde_json::from_str(line)?),
        Search::TYPE => Record::Search(serde_json::from_str(line)?),
        RunEnd::TYPE => Record::RunEnd(serde_json::from_str(line)?),
        JoinSummary::TYPE => Record::JoinSummary(serde_json::from_str(line)?),
        Accuracy::TYPE => Record::Accuracy(serde_json::from_str(line)?),
        _ => {
            is_json(line)?;
            Record::Unknown
        }
    }))
}

/// A record as it goes on the wire: the type and the version before the fields.
#[derive(Serialize)]
struct Tagged<'a, T: Body> {
    #[serde(rename = "type")]
    kind: &'static str,
    v: u64,
    #[serde(flatten)]
    body: &'a T,
}

/// The line of a record, without its newline.
///
/// # Errors
/// When a map in the record has a key that is no string; no record of the contract has one.
pub fn line<T: Body>(body: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Tagged { kind: T::TYPE, v: V, body })
}

/// `true` for `false`: for flags that are only written when set.
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_its_type_and_refused_by_its_shape() {
        for (line, expect) in [
            (r#"{"type":"start","v":1,"id":3,"start_ts":1.5,"start_mono":2.5}"#, "start"),
            (r#"{"v":1,"id":3,"start_ts":1.5,"start_mono":2.5,"type":"start"}"#, "start"),
            (r#"{"type":"weather","v":1}"#, "unknown"),
            (r#"{"type":"weather","v":"one"}"#, "error"),
            (r#"{"id":3}"#, "unknown"),
            (r#"{"type":"start","v":2,"id":"now a string"}"#, "newer"),
            (r#"{"type":"start","v":1,"id":"three"}"#, "error"),
            (r#"{"type":"start","v":1}"#, "error"),
            ("[1]", "error"),
            ("[]", "error"),
            ("3", "error"),
            ("", "error"),
            (r#"{"type":"start""#, "error"),
            (r#"{"type":"start","v":1,"id":3,"start_ts":1.5,"start_mono":2.5"#, "error"),
            (r#"{"type":"st\u0061rt","v":1,"id":3,"start_ts":1.5,"start_mono":2.5}"#, "start"),
            (r#"{"type":"weather","v":1,"of":"tomorrow"}"#, "unknown"),
            (r#"{"type":"weather","v":1,"of"}"#, "error"),
            (r#"{"type":"weather","v":12,"of":1}"#, "other"),
        ] {
            let got = match read(line) {
                Ok(Record::Start(_)) => "start",
                Ok(Record::Unknown) => "unknown",
                Ok(Record::Newer(2)) => "newer",
                Ok(_) => "other",
                Err(_) => "error",
            };
            assert_eq!(got, expect, "{line}");
        }
    }

    #[test]
    fn the_type_and_the_version_come_first() {
        let start = Start { id: 7, run: None, start_ts: 1.25, start_mono: Some(0.5) };
        assert_eq!(line(&start).unwrap(), r#"{"type":"start","v":1,"id":7,"start_ts":1.25,"start_mono":0.5}"#);
    }
}
