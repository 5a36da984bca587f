//! Energy and memory of each request: joins a stream of results with streams of samples.
//!
//! [`Joiner`] takes lines of results and samples as values and returns lines: it has no thread and no clock, so that
//! every rule can be tested with numbers. [`run_live`] has them: a thread for each input, a queue that holds back what
//! is not needed yet, and a wait that always ends. Nothing here measures, and
//! nothing is extrapolated: where no reading covers a request, the field is null and a reason stands beside it.

mod active_starts;
mod attribute;
mod domains;
mod energy;
mod foreign_log;
mod ground_truth;
mod idle;
mod in_flight;
mod input;
mod joiner;
mod line_queue;
mod live;
mod loads;
mod memory_figures;
mod memory_series;
mod meters;
mod notes;
mod output;
mod power_segment;
mod power_series;
mod queue_search;
mod range_sums;
mod requests;
mod run_clocks;
mod run_energy;
mod run_summary;
mod sample;
mod sample_stream;
mod samples;
mod settings;
mod shares;
mod streams;
mod time_axis;

pub use foreign_log::foreign_log;
pub use ground_truth::GroundTruthRecord;
pub use idle::{IdleFrom, IdlePower, idle_of};
pub use input::{InputRecord, parse};
pub use joiner::Joiner;
pub use live::{EndSignal, GrowingFile, NextLines, NextSamples, OnCaughtUp, SampleInput, now, run_live};
pub use output::{LineKind, OutputLine};
pub use power_series::{PowerReading, PowerSeries};
pub use sample::{Sample, SampleParser};
pub use sample_stream::Role;
pub use settings::{EnergyRates, Settings};
pub use shares::Attribution;
