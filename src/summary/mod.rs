//! What results mean together: groups of comparable requests, with the spread of everything that was measured.
//!
//! Pure: records in, numbers out. It reads no file, knows no format, and decides nothing about presentation. Warm-up
//! never counts. A request that failed counts as failed, and its latencies do not count. Nothing is invented: a metric
//! that no request has is absent.
//!
//! Memory is bounded by what a report holds, not by its input: [`ROWS`] requests one by one, exact samples up to
//! [`EXACT`] numbers per group and metric, the starts and ends of [`FLIGHTS`] requests, and 4,000 points of each stream of
//! readings.

mod accuracy;
mod building;
mod collect;
mod compare;
mod describe;
mod energy;
mod figures;
mod gap_map;
mod goodput;
mod group;
mod key;
mod label;
mod outlying;
mod prepared;
mod prompts;
mod registry;
mod row;
mod sample;
mod screen;
mod seen;
mod series;
mod shape;
mod window;
mod words;

pub use collect::{Asked, Collector, ROWS};
pub use compare::{Aside, Change, Comparison, Test, Verdict, compare, counterparts};
pub use energy::{Energy, Joules, Meter, Range, Same, Split};
pub use figures::{Figures, RowFailure, net_bounds};
pub use gap_map::GapMap;
pub use goodput::{Goodput, Limit, Slo};
pub use group::{Details, Error, ErrorCount, Group, Money, Throughput};
pub use key::is_task;
pub use key::{By, GroupBy, Key, Settings};
use key::{MACHINE, machine};
pub use outlying::Outlying;
pub use prepared::{Prepared, Request, read};
pub use prompts::Prompts;
pub use registry::{
    Better, COLUMNS, Cell, Column, Figure, Metric, MetricDef, Named, PEERS, RequestFigure, Set, Show, Sign, Statistic,
    When, column, metric, metrics, names, nearest,
};
pub use row::Row;
pub use sample::{EXACT, Stat};
pub use screen::{Screen, Screens};
pub use seen::{Doubled, Runs, Seen};
pub use series::Columns;
pub use shape::{DRAWN, Shape};
pub use window::{FLIGHTS, LEAST, Part, Window};

use crate::record::{Accuracy, JoinSummary, Load, LoadLevel, Prompt, Run, RunEnd, Sampler, Search};

/// Everything that a report is made from.
#[derive(Debug)]
pub struct Summary {
    /// The groups, by source, model, provider, load, settings and machine, or by what was asked for.
    pub groups: Vec<Group>,
    /// What part of their loads the throughputs are of, in a sentence; `None` where no group has a load.
    pub window: Option<String>,
    /// The requests in order of their start, warm-up included and marked: all of them up to [`ROWS`], else an even sample.
    pub rows: Vec<Row>,
    /// How many results there were, warm-up included.
    pub results: u64,
    /// How many of them were warm-up.
    pub warmups: u64,
    /// How many lines of the input could not be read, in the count of whoever read them.
    pub unreadable: u64,
    /// Runs that have more results than numbers for them.
    pub doubled: Vec<Doubled>,
    /// All measured requests together.
    pub totals: Totals,
    /// What a request had to keep to be good.
    pub slo: Option<Slo>,
    /// What it was compared with.
    pub comparison: Option<Comparison>,
    /// The heads of the runs.
    pub runs: Vec<Run>,
    /// What each run asked, whom and where.
    pub seen: Runs,
    /// The prompts, each text once.
    pub prompts: Vec<Prompt>,
    /// The loads of models.
    pub loads: Vec<Load>,
    /// What whole streams drew and held, as the join summed them up.
    pub joined: Vec<JoinSummary>,
    /// What the client says of each load level, with how late it was.
    pub levels: Vec<LoadLevel>,
    /// What searches for the highest load found.
    pub searches: Vec<Search>,
    /// How runs ended, and what they took.
    pub ends: Vec<RunEnd>,
    /// How right the client measured here, where llm-sim's truth stands beside the results.
    pub calibrated: Option<Accuracy>,
    /// How right the client was seen to measure on a machine, at another time.
    pub accuracy: Option<Accuracy>,
    /// The samplers that measured.
    pub samplers: Vec<Sampler>,
    /// Watts over time, by domain.
    pub power: Columns,
    /// Bytes over time, by figure.
    pub memory: Columns,
}

/// All measured requests together, whatever their model.
#[derive(Debug)]
pub struct Totals {
    /// The sources, joined by `+`; `None` when nothing was measured.
    pub mode: Option<String>,
    /// Requests at once, where all were of one level.
    pub concurrency: Option<u64>,
    /// How many.
    pub requests: u64,
    /// How many failed.
    pub failed: u64,
    /// The first start: Unix seconds.
    pub started_ts: Option<f64>,
    /// From the first start to the last end; `None` where no end is known.
    pub seconds: Option<f64>,
    /// The whole requests' time, in seconds.
    pub latency: Option<Stat>,
    /// Tokens of the prompts.
    pub tokens_in: Option<Stat>,
    /// Tokens of the answers.
    pub tokens_out: Option<Stat>,
    /// Both.
    pub tokens_both: Option<Stat>,
    /// Output tokens over the whole request's time.
    pub token_rate: Option<Stat>,
}

impl Summary {
    /// Puts the groups into another order; rows and changes go with them.
    pub fn order_groups(&mut self, order: impl FnMut(&Group, &Group) -> std::cmp::Ordering) {
        let mut order = order;
        let mut places: Vec<usize> = (0..self.groups.len()).collect();
        places.sort_by(|a, b| order(&self.groups[*a], &self.groups[*b]));
        let mut rank = vec![0; places.len()];
        places.iter().enumerate().for_each(|(new, old)| rank[*old] = new);
        let mut groups: Vec<Option<Group>> = std::mem::take(&mut self.groups).into_iter().map(Some).collect();
        self.groups = places.iter().filter_map(|old| groups[*old].take()).collect();
        self.rows.iter_mut().for_each(|row| row.group = rank[row.group]);
    }

    /// The machines that were measured on, each once, in the order of the runs. Where others are known, one of which nothing is
    /// known is named too.
    pub fn machines(&self) -> Vec<String> {
        let mut machines: Vec<Option<String>> = Vec::new();
        for machine in self.runs.iter().map(|run| machine(&run.host)) {
            if !machines.contains(&machine) {
                machines.push(machine);
            }
        }
        let of_unknown = self.groups.iter().any(|group| !group.settings.contains_key(MACHINE));
        let told = self.groups.iter().any(|group| group.settings.contains_key(MACHINE));
        if told && of_unknown && !machines.contains(&None) {
            machines.push(None);
        }
        if machines.iter().all(Option::is_none) {
            return Vec::new();
        }
        machines.into_iter().map(|machine| machine.unwrap_or_else(|| "a machine that is not told".into())).collect()
    }

    /// Whether the rows are a sample rather than all results.
    pub fn sampled(&self) -> bool {
        (self.rows.len() as u64) < self.results
    }
}
