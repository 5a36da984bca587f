//! A record, ready to be folded into a summary.
//!
//! Records are folded in one after the other, because their order decides the last digit of a mean. What follows from one
//! result alone is therefore worked out before, by whichever thread has read it.

use super::alike;
use super::figures::Figures;
use super::gap_map::Steps;
use crate::record::{self, Field, Outcome, Record};
use crate::stats::ClassCounts;

/// What a summary reads of a result: neither what servers said, raw, nor words that it never shows.
fn field(name: &str) -> Field {
    match name {
        "usage" | "rest_stats" | "runtime" | "timings" | "server_fields" | "openrouter_metadata" | "generation" => {
            Field::PassOver
        }
        "generation_id" => Field::PassOverText("generation_id", 0),
        "native_finish_reason" => Field::PassOverText("native_finish_reason", 1),
        _ => Field::Read,
    }
}

/// A record that was read.
pub enum Prepared {
    /// A result.
    Result(Box<Request>),
    /// Any other, for which nothing is prepared.
    Other(Record),
}

/// A result and what follows from it.
#[derive(Default)]
pub struct Request {
    pub(super) outcome: Outcome,
    pub(super) figures: Figures,
    /// The number of its kind, as [`alike::kind`] has it.
    pub(super) kind: u64,
    /// Its gaps between chunks, where it has any and they can be read.
    pub(super) gaps: Option<Result<ClassCounts, String>>,
    /// The gaps one by one, where the stream was kept.
    pub(super) steps: Option<Steps>,
}

/// Reads one line as far as a summary needs it, and prepares it; a result in the room of one that is no longer needed, where
/// there is one.
///
/// # Errors
/// When the line is not a JSON object, or says a known type and does not keep that type's shape.
pub fn read(line: &str, room: Option<Prepared>) -> Result<Prepared, serde_json::Error> {
    let mut request = match room {
        Some(Prepared::Result(request)) => request,
        _ => Box::default(),
    };
    Ok(match record::read_into(&mut request.outcome, line, field)? {
        Some(other) => Prepared::Other(other),
        None => {
            request.prepare();
            Prepared::Result(request)
        }
    })
}

impl Prepared {
    /// The version of the contract, where it is newer than ours.
    pub fn newer(&self) -> Option<u64> {
        match self {
            Prepared::Other(Record::Newer(v)) => Some(*v),
            _ => None,
        }
    }
}

impl From<Record> for Prepared {
    fn from(record: Record) -> Self {
        match record {
            Record::Result(outcome) => {
                let mut request = Box::new(Request { outcome: *outcome, ..Request::default() });
                request.prepare();
                Prepared::Result(request)
            }
            other => Prepared::Other(other),
        }
    }
}

impl Request {
    fn prepare(&mut self) {
        let o = &self.outcome;
        self.figures = Figures::of(o);
        self.kind = alike::kind(o);
        let histogram = o.inter_chunk_latency_seconds.as_ref().and_then(|itl| itl.histogram.as_ref());
        self.gaps = histogram.map(|text| ClassCounts::read(text));
        self.steps = o.stream.as_ref().map(|stream| Steps::of(stream.iter().map(|(time, ..)| *time)));
    }
}
