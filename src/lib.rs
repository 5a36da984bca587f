//! llm-bench: six filters and one contract.
//!
//! ```text
//! llm-models ──model──▶ llm-run ──result──▶ bench-join ──result + power, memory──▶ bench-report ──▶ html json text
//!                                             ▲     ▲
//!                            power-sample ────┘     └──── mem-sample
//! ```
//!
//! Each program is a thin file in `src/bin` over the modules here. Who may import whom (`tests/layering.rs` holds it):
//! programs import [`cli`], [`ndjson`], [`record`] and their own module; the modules of a domain import [`record`],
//! [`clock`], [`stats`], [`text`] and `http`; [`power`] and [`memory`] also import [`schedule`] and [`nvml`]; [`power`] and [`report`] import [`process_group`].
//! `protocol` imports `http` and knows no server; `sources` imports `protocol` and has all that is true of one kind of server; `metrics` imports both;
//! `load` imports `summary`, whose registry has the metrics that an SLO limits; `run` imports `load`, these three, `prompts` and `artifacts`; `report` imports `summary`;
//! [`cli`] imports `sources` for addresses and keys; [`record`], [`ndjson`], [`clock`], [`schedule`],
//! [`stats`], [`text`], [`units`], [`process_group`] and [`locks`] import nothing of ours, and whoever locks imports [`locks`]. Only programs and [`cli`] know
//! standard input, standard output, arguments and the environment.

pub mod artifacts;
pub mod cli;
pub mod clock;
pub mod join;
pub mod locks;
pub mod memory;
pub mod ndjson;
pub mod nvml;
pub mod power;
pub mod process_group;
pub mod prompts;
pub mod record;
pub mod report;
pub mod schedule;
pub mod stats;
pub mod summary;
pub mod text;
pub mod units;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http")]
pub mod load;
#[cfg(feature = "http")]
pub mod metrics;
#[cfg(feature = "http")]
pub mod protocol;
#[cfg(feature = "http")]
pub mod run;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "http")]
pub mod sources;
