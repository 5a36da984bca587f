//! A metric of which each request has a number: a handle as small as a number, so that groups and requests can hold many.

use super::{Better, Figure, MetricDef, ROWS, RequestFigure, metrics};
use crate::units::{Unit, possible};
use serde::{Serialize, Serializer};
use std::sync::LazyLock;

/// A metric of which each request has a number: its place among the rows of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metric(u8);

type RequestRow = (&'static MetricDef, &'static RequestFigure);

/// The rows of which each request has a number.
static REQUESTS: LazyLock<Vec<RequestRow>> =
    LazyLock::new(|| metrics().filter_map(|metric| Some((metric, metric.request()?))).collect());

/// Those that code refers to by name.
#[allow(missing_docs)]
impl Metric {
    pub const LOAD_TIME: Metric = Metric::of_key("load_s");
    pub const TTFT: Metric = Metric::of_key("ttft");
    pub const TTFT_SCHEDULED: Metric = Metric::of_key("ttft_scheduled");
    pub const DECODE_RATE: Metric = Metric::of_key("decode_tok_s");
    pub const OUTPUT_RATE: Metric = Metric::of_key("tok_s");
    pub const ICL: Metric = Metric::of_key("icl");
    pub const E2E: Metric = Metric::of_key("e2e");
    pub const CLIENT_LAG: Metric = Metric::of_key("client_lag");
    pub const CPU_WATTS: Metric = Metric::of_key("cpu_w");
    pub const GPU_WATTS: Metric = Metric::of_key("gpu_w");
    pub const ANE_WATTS: Metric = Metric::of_key("ane_w");
    pub const TOTAL_WATTS: Metric = Metric::of_key("total_w");
    pub const ENERGY: Metric = Metric::of_key("joules");
    pub const NET_ENERGY: Metric = Metric::of_key("net_joules");
    pub const PREFILL_ENERGY: Metric = Metric::of_key("prefill_j");
    pub const DECODE_ENERGY: Metric = Metric::of_key("decode_j");
    pub const IDLE_ENERGY: Metric = Metric::of_key("idle_j");
    pub const LOAD_ENERGY: Metric = Metric::of_key("load_j");
    pub const ENERGY_COST: Metric = Metric::of_key("energy_cost");
    pub const COST: Metric = Metric::of_key("usd_request");
    pub const INPUT_TOKENS: Metric = Metric::of_key("in_tok");
    pub const OUTPUT_TOKENS: Metric = Metric::of_key("out_tok");
    pub const CACHED_TOKENS: Metric = Metric::of_key("cached_tok");
}

impl Metric {
    /// How many there are.
    pub const COUNT: usize = Metric::place("").1;

    /// The metric with this key, of which each request must have a number: another key does not compile.
    const fn of_key(key: &str) -> Metric {
        match Metric::place(key) {
            (Some(at), _) => Metric(at),
            (None, _) => panic!("no row of a request's metric has this key"),
        }
    }

    /// The place of the row with this key among those of requests, and how many of those there are.
    const fn place(key: &str) -> (Option<u8>, usize) {
        let (mut found, mut n, mut set) = (None, 0, 0);
        while set < ROWS.len() {
            let mut at = 0;
            while at < ROWS[set].len() {
                if let Figure::Request(_) = ROWS[set][at].figure {
                    if same(ROWS[set][at].key, key) {
                        found = Some(n as u8);
                    }
                    n += 1;
                }
                at += 1;
            }
            set += 1;
        }
        (found, n)
    }

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Metric> {
        (0..Metric::COUNT).map(|at| Metric(at as u8))
    }

    /// The metric of a row; `None` where requests have no number of it.
    pub fn of_row(row: &MetricDef) -> Option<Metric> {
        Metric::all().find(|metric| metric.row().key == row.key)
    }

    /// Its row.
    pub fn row(self) -> &'static MetricDef {
        REQUESTS[usize::from(self.0)].0
    }

    /// How requests have it.
    pub fn figure(self) -> &'static RequestFigure {
        REQUESTS[usize::from(self.0)].1
    }

    /// The name in outputs for machines, with its unit.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The unit.
    pub fn unit(self) -> Unit {
        self.row().unit()
    }

    /// Which way is better.
    pub fn better(self) -> Better {
        self.row().better
    }

    /// Whether every result of a model in a run repeats the same measurement, so that it counts once per run.
    pub fn once_per_run(self) -> bool {
        self.figure().once_per_run
    }

    /// Whether the number of each request counts by itself in the statistics of its group.
    pub fn counts_each_request(self) -> bool {
        !self.figure().once_per_run && !self.figure().merged
    }

    /// Whether a number can be one of this metric. A record may hold anything that is a number: a negative length of time, a
    /// price of 10³⁰⁸. Only differences may be negative.
    pub fn possible(self, value: f64) -> bool {
        possible(self.unit(), value) || (self.figure().signed && possible(self.unit(), -value))
    }

    /// Its place among all, from 0.
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
