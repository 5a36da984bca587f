//! A record, ready to be folded into a summary.
//!
//! Records are folded in one after the other, because their order decides the last digit of a mean. What follows from one
//! result alone is therefore worked out before, by whichever thread has read it.

use super::figures::Figures;
use super::gap_map::Steps;
use crate::record::{self, Outcome, Record};
use crate::stats::ClassCounts;

/// A record that was read.
pub enum Prepared {
    /// A result.
    Result(Box<Request>),
    /// Any other, for which nothing is prepared.
    Other(Record),
}

/// A result and what follows from it.
pub struct Request {
    pub(super) outcome: Box<Outcome>,
    pub(super) figures: Figures,
    /// Its gaps between chunks, where it has any and they can be read.
    pub(super) gaps: Option<Result<ClassCounts, String>>,
    /// The gaps one by one, where the stream was kept.
    pub(super) steps: Option<Steps>,
}

/// Reads one line and prepares it.
///
/// # Errors
/// When the line is not a JSON object, or says a known type and does not keep that type's shape.
pub fn read(line: &str) -> Result<Prepared, serde_json::Error> {
    record::read(line).map(Prepared::from)
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
        let outcome = match record {
            Record::Result(outcome) => outcome,
            other => return Prepared::Other(other),
        };
        let latency = outcome.inter_chunk_latency_seconds.as_ref();
        let stream = outcome.stream.as_ref();
        Prepared::Result(Box::new(Request {
            figures: Figures::of(&outcome),
            gaps: latency.and_then(|latency| latency.histogram.as_deref()).map(ClassCounts::read),
            steps: stream.map(|stream| Steps::of(stream.iter().map(|(time, ..)| *time))),
            outcome,
        }))
    }
}
