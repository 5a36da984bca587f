//! What each request drew and held: energy, attribution and memory windows, pure over two streams.
//!
//! [`Joiner`] takes lines of results and readings of samplers as values and hands out lines: it knows no thread and no
//! clock, so that every rule of it can be tested with numbers. [`drive`] is the thin part that does know them: a thread
//! per input, a queue that holds back what is not needed yet, and a wait that always ends. Nothing here measures, and
//! nothing is extrapolated: where no reading covers a request, the answer is null and says why.

mod active_starts;
mod attribute;
mod domains;
mod energy;
mod foreign_log;
mod ground_truth;
mod idle;
mod in_flight;
mod input;
mod intake;
mod joiner;
mod live;
mod memory_series;
mod meters;
mod output;
mod power_series;
mod queue_search;
mod run_energy;
mod run_summary;
mod sample;
mod sample_stream;
mod settings;
mod time_axis;

pub use foreign_log::foreign;
pub use ground_truth::Written;
pub use idle::{IdleFrom, Level, idle_of};
pub use input::{Heard, hear};
pub use joiner::Joiner;
pub use live::{Catch, Ends, Feed, NextLines, NextSamples, Tail, drive, now};
pub use output::{Emission, Kind};
pub use power_series::{Piece, Reading, Series};
pub use sample::{Sample, Sampling};
pub use sample_stream::Role;
pub use settings::{Attribution, Rates, Settings};
