//! What each request drew and held: energy, attribution and memory windows, pure over two streams.
//!
//! [`Joiner`] takes lines of results and readings of samplers as values and hands out lines: it knows no thread and no
//! clock, so that every rule of it can be tested with numbers. [`drive`] is the thin part that does know them: a thread
//! per input, a queue that holds back what is not needed yet, and a wait that always ends. Nothing here measures, and
//! nothing is extrapolated: where no reading covers a request, the answer is null and says why.

mod axis;
mod drive;
mod enrich;
mod flights;
mod heard;
mod joiner;
mod memory;
mod power;
mod series;
mod source;
mod tail;
mod verdict;

pub use drive::{Feed, drive, now};
pub use heard::{Heard, hear};
pub use joiner::{Attribution, Emission, Joiner, Kind, Settings};
pub use source::Role;
pub use tail::{Ends, Tail};
