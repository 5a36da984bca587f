//! A record, ready to be folded into a summary.
//!
//! Records are folded in one after the other, because their order decides the last digit of a mean. What follows from one
//! result alone is therefore worked out before, by whichever thread has read it.

use super::figures::Figures;
use super::gap_map::Steps;
use crate::record::{self, Record, ResultFields};
use crate::stats::ClassCounts;

/// A record that was read.
// There are millions of results and few of all others.
#[allow(clippy::large_enum_variant)]
pub enum Prepared<'a> {
    /// A result.
    Result(Request<'a>),
    /// Any other, for which nothing is prepared.
    Other(Record),
}

/// A result and what follows from it.
pub struct Request<'a> {
    pub(super) result: ResultFields<'a>,
    pub(super) figures: Figures,
    /// Its gaps between chunks, where it has any and they can be read.
    pub(super) gaps: Option<Result<ClassCounts, String>>,
    /// The gaps one by one, where the stream was kept.
    pub(super) steps: Option<Steps>,
}

/// Reads one line as far as a summary needs it, and prepares it.
///
/// # Errors
/// When the line is not a JSON object, or says a known type and does not keep that type's shape.
pub fn read(line: &str) -> Result<Prepared<'_>, serde_json::Error> {
    Ok(match record::read_unless_result(line)? {
        Some(other) => Prepared::Other(other),
        None => Prepared::Result(serde_json::from_str::<ResultFields>(line)?.into()),
    })
}

impl Prepared<'_> {
    /// The version of the contract, where it is newer than ours.
    pub fn newer(&self) -> Option<u64> {
        match self {
            Prepared::Other(Record::Newer(v)) => Some(*v),
            _ => None,
        }
    }
}

impl<'a> From<ResultFields<'a>> for Request<'a> {
    fn from(result: ResultFields<'a>) -> Self {
        let latency = result.inter_chunk_latency_seconds.as_ref();
        let stream = result.stream.as_ref();
        Self {
            figures: Figures::of(&result),
            gaps: latency.and_then(|latency| latency.histogram.as_deref()).map(ClassCounts::read),
            steps: stream.map(|stream| Steps::of(stream.iter().map(|(time, ..)| *time))),
            result,
        }
    }
}
