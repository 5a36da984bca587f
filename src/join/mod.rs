//! What each request drew and held: energy, attribution and memory windows, pure over two streams.
//!
//! [`Joiner`] takes lines of results and readings of samplers as values and hands out lines: it knows no thread and no
//! clock, so that every rule of it can be tested with numbers. [`drive`] is the thin part that does know them: a thread
//! per input, a queue that holds back what is not needed yet, and a wait that always ends. Nothing here measures, and
//! nothing is extrapolated: where no reading covers a request, the answer is null and says why.

mod axis;
mod domains;
mod drive;
mod emission;
mod enrich;
mod figures;
mod flights;
mod foreign;
mod heard;
mod idle;
mod intake;
mod joiner;
mod ledger;
mod memory;
mod moments;
mod power;
mod sampled;
mod seek;
mod series;
mod settings;
mod source;
mod summary;
mod tail;
mod truth;
mod verdict;

pub use drive::{Catch, Feed, NextLines, NextSamples, drive, now};
pub use emission::{Emission, Kind};
pub use foreign::foreign;
pub use heard::{Heard, hear};
pub use idle::{IdleFrom, Level, idle_of};
pub use joiner::Joiner;
pub use sampled::{Sample, Sampling};
pub use series::{Piece, Reading, Series};
pub use settings::{Attribution, Rates, Settings};
pub use source::Role;
pub use tail::{Ends, Tail};
pub use truth::Written;
