//! The registry of metrics: one row for everything that a report shows, gates judge, an SLO limits or a glossary explains.
//!
//! A row is the only place that names a metric: its key, its name in JSON, its label, unit, meaning and formula, the names that
//! other tools use, and how to take it from a result or from a group. Columns, CSV, JSON, OpenMetrics, gates, SLOs, `--sort`,
//! `--columns`, comparison, the page and `docs/glossary.md` are loops over the rows. The order of the rows is the order of
//! every output.

mod answer;
mod cells;
mod column;
mod comparison;
mod cost;
mod energy;
mod memory;
mod metric;
mod model;
mod names;
mod speed;
mod statistic;

pub use column::{COLUMNS, Cell, Column};
pub use comparison::Sign;
pub use metric::Metric;
pub use names::{Named, column, metric, names, nearest};
pub use statistic::Statistic;

use super::group::{Group, Throughput};
use crate::record::ResultFields;
use crate::units::Unit;
use std::collections::BTreeMap;

/// One metric: a row of the registry.
pub struct MetricDef {
    /// Its short name: in `--columns`, gates and SLOs, in the head of the CSV, in the filter and the address of a page.
    pub key: &'static str,
    /// Its long name with the unit: in JSON, in `csv-requests` and, after `llm_bench_`, in OpenMetrics. Empty for words.
    pub name: &'static str,
    /// The head of its column.
    pub label: &'static str,
    /// What it belongs to.
    pub set: Set,
    /// The unit of its numbers; `None` for words.
    pub unit: Option<Unit>,
    /// Which way is better.
    pub better: Better,
    /// What it means, in one sentence.
    pub help: &'static str,
    /// How it is computed. Empty for words.
    pub formula: &'static str,
    /// What each of [`PEERS`] calls it; empty where that tool has no such number.
    pub peers: [&'static str; PEERS.len()],
    /// Other names that are accepted wherever a metric is named.
    pub aliases: &'static [&'static str],
    /// Where its numbers come from.
    pub figure: Figure,
    /// Where its column is shown unasked; of a request's metric each statistic has its own.
    pub show: Show,
    /// The headline of the page that names the best group; empty for none.
    pub headline: &'static str,
    /// Whether it is what somebody announced, as a listed price, and not a measurement.
    pub announced: bool,
    /// Why a cell may be empty; empty for the reason of its set.
    pub empty: &'static str,
}

/// The tools and servers whose names for a metric the glossary gives.
pub const PEERS: [&str; 5] = ["vLLM bench", "AIPerf", "guidellm", "LM Studio", "Ollama"];

/// Where the numbers of a metric come from.
pub enum Figure {
    /// Each request has a number; a group has its statistics.
    Request(RequestFigure),
    /// A rate over the measurement window of a group.
    Rate(fn(&Throughput) -> Option<f64>),
    /// A number of a group.
    Group(fn(&Group) -> Cell),
    /// Words of a group.
    Words(fn(&Group) -> Option<String>),
    /// Words of a group with how often each occurred.
    Tally {
        /// The words and their counts.
        of: fn(&Group) -> &BTreeMap<String, u64>,
        /// What a word is called as a label of OpenMetrics.
        word: &'static str,
        /// Whether a single word is written with its count too.
        counted: bool,
    },
}

/// A number of each request.
pub struct RequestFigure {
    /// The number that a result holds; `None` where it was not measured.
    pub of: fn(&ResultFields) -> Option<f64>,
    /// Which statistics of a group have a column.
    pub columns: Columns,
    /// What else a cell says: bounds, extremes, doubts.
    pub note: fn(&Group, Cell) -> Cell,
    /// Whether every result of a model in a run repeats the same measurement, so that it counts once per run.
    pub once_per_run: bool,
    /// Whether it is a difference, which may be negative.
    pub signed: bool,
    /// Whether a request has many numbers, whose merged histograms make the statistics of a group.
    pub merged: bool,
    /// Whether an SLO counts it from the moment a request was due, where there was one (open loop).
    pub from_due: bool,
    /// Whether an answer of one chunk has none and keeps every limit on it.
    pub between_chunks: bool,
    /// Whether groups are compared by it with a baseline.
    pub compared: bool,
    /// Whether the page has it in its list of requests.
    pub listed: bool,
    /// Whether the page has a slider for a limit on it.
    pub slider: bool,
}

/// Which statistics of a request's metric have a column, and where these are shown unasked.
pub enum Columns {
    /// Every percentile of the list has one, `KEY_p50` and so on. Those that are not named here are shown only when asked for.
    Percentiles(&'static [(&'static str, Show)]),
    /// One, called by the key alone.
    One(Statistic, Show),
}

impl RequestFigure {
    /// Whether each percentile of a group has a column.
    pub fn has_percentiles(&self) -> bool {
        matches!(self.columns, Columns::Percentiles(_))
    }
}

/// A number of each request whose median has a column that is shown when asked for.
const fn each(of: fn(&ResultFields) -> Option<f64>) -> RequestFigure {
    RequestFigure {
        of,
        columns: Columns::One(Statistic::MEDIAN, Show::HIDDEN),
        note: |_, cell| cell,
        once_per_run: false,
        signed: false,
        merged: false,
        from_due: false,
        between_chunks: false,
        compared: false,
        listed: false,
        slider: false,
    }
}

/// Where a column is shown unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// On the page.
    pub page: When,
    /// In the tables of text and markdown.
    pub text: When,
}

/// Of which reports a column is shown unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Of none.
    Never,
    /// Of all.
    Always,
    /// Of load tests.
    Loads,
    /// Of all but load tests.
    NoLoads,
}

impl Show {
    const HIDDEN: Show = Show { page: When::Never, text: When::Never };
    const SHOWN: Show = Show { page: When::Always, text: When::Always };
    const PAGE: Show = Show { page: When::Always, text: When::Never };
    const TEXT: Show = Show { page: When::Never, text: When::Always };
    const LOADS: Show = Show { page: When::Loads, text: When::Loads };
}

impl When {
    /// Whether it is shown of a report that is, or is not, of a load test.
    pub fn holds(self, loads: bool) -> bool {
        match self {
            When::Never => false,
            When::Always => true,
            When::Loads => loads,
            When::NoLoads => !loads,
        }
    }
}

/// Which way a number is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// It only describes.
    Neither,
}

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What was measured.
    Model,
    /// How fast.
    Speed,
    /// Power and energy.
    Energy,
    /// Memory.
    Memory,
    /// Money.
    Cost,
    /// What came out.
    Answer,
}

impl Set {
    /// All of them, in the order of the rows.
    pub const ALL: [Set; 6] = [Set::Model, Set::Speed, Set::Energy, Set::Memory, Set::Cost, Set::Answer];

    /// Its name, why cells of it may be empty, and why all of it may be.
    fn words(self) -> [&'static str; 3] {
        match self {
            Set::Model => ["model", "not reported", ""],
            Set::Speed => ["speed", "not measured", "Nothing was measured."],
            Set::Energy => [
                "energy",
                "not joined with readings that tell it (bench-join --power)",
                "No request was joined with a power meter: see bench-join --power.",
            ],
            Set::Memory => [
                "memory",
                "not joined with readings that tell it (bench-join --mem)",
                "No request was joined with memory readings: see bench-join --mem.",
            ],
            Set::Cost => [
                "cost",
                "the server reported no cost, and no price is known",
                "No request has a cost, and no model a price.",
            ],
            Set::Answer => ["answer", "not measured", "No request was answered."],
        }
    }

    /// The name, as the page's switches show it.
    pub fn name(self) -> &'static str {
        self.words()[0]
    }

    /// Why no column of it may have a value, in a sentence.
    pub fn missing(self) -> &'static str {
        self.words()[2]
    }

    /// Its rows.
    fn rows(self) -> &'static [MetricDef] {
        ROWS[self as usize]
    }
}

/// The rows by their sets.
const ROWS: [&[MetricDef]; Set::ALL.len()] =
    [model::ROWS, speed::ROWS, energy::ROWS, memory::ROWS, cost::ROWS, answer::ROWS];

/// A row of words, and the base of all others.
const WORDS: MetricDef = MetricDef {
    key: "",
    name: "",
    label: "",
    set: Set::Model,
    unit: None,
    better: Better::Neither,
    help: "",
    formula: "",
    peers: [""; PEERS.len()],
    aliases: &[],
    figure: Figure::Words(|_| None),
    show: Show::HIDDEN,
    headline: "",
    announced: false,
    empty: "",
};

/// Every row, in order.
pub fn metrics() -> impl Iterator<Item = &'static MetricDef> {
    Set::ALL.into_iter().flat_map(Set::rows)
}

impl MetricDef {
    /// Its numbers of requests, where each request has one.
    pub fn request(&self) -> Option<&RequestFigure> {
        match &self.figure {
            Figure::Request(figure) => Some(figure),
            _ => None,
        }
    }

    /// The unit of its numbers; that of a count for words.
    pub fn unit(&self) -> Unit {
        self.unit.unwrap_or(Unit::Count)
    }
}

#[cfg(test)]
mod tests;
