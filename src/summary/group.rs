//! A group: what the requests of one model, from one source and provider, at one load, say together.

use super::energy::{Energy, Meter, Range, Split};
use super::gap_map::GapMap;
use super::goodput::Goodput;
use super::key::{Key, Settings};
use super::outlying::Outlying;
use super::prompts::Prompts;
use super::registry::Metric;
use super::sample::{Sample, Stat};
use super::screen::Screens;
use super::shape::Shape;
use super::window::{LEAST, Part};
use crate::record::Source;
use serde::Serialize;
use serde_with::skip_serializing_none;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the model besides its numbers, from its `model` record, its `load` record, and what the server said
/// with the answers.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Details {
    /// The server's display name.
    pub name: Option<String>,
    /// The architecture.
    pub arch: Option<String>,
    /// The file format.
    pub format: Option<String>,
    /// The quantization.
    pub quantization: Option<String>,
    /// The number of parameters, in the publisher's words.
    pub parameters: Option<String>,
    /// The size of the model's files.
    pub size_bytes: Option<u64>,
    /// The context, in tokens, that it was loaded with; else the longest it allows.
    pub context_length: Option<u64>,
    /// The price of a million input tokens, in US dollars, as listed.
    pub listed_usd_per_million_input_tokens: Option<f64>,
    /// The price of a million output tokens, in US dollars, as listed.
    pub listed_usd_per_million_output_tokens: Option<f64>,
}

/// What the group cost: sums over the requests whose cost is known.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Money {
    /// How many requests these are.
    pub requests: u64,
    /// US dollars.
    pub usd: f64,
    /// US dollars for a million output tokens: what was paid ÷ the output tokens that were paid for, input included.
    pub usd_per_million_output_tokens: Option<f64>,
    /// Who said so, and how often.
    pub methods: BTreeMap<String, u64>,
}

/// What the group got through, all its requests together: in the part of the load that [`Part`] names.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Throughput {
    /// How long that part is, summed over runs.
    pub span_seconds: f64,
    /// Output tokens of the requests that did not fail ÷ the span; of a request that lies in it in part, that part.
    pub output_tokens_per_second: Option<f64>,
    /// Requests that did not fail ÷ the span, counted like their tokens.
    pub requests_per_second: f64,
    /// Requests, failed ones included, ÷ the span, counted the same.
    pub ended_per_second: f64,
    /// Requests that were sent per second: of a rate from the first to the last that was sent in the span, unless all were
    /// sent at once; of a level as many as ended.
    pub sent_per_second: f64,
    /// Requests that kept every limit ÷ the span, counted like the others.
    #[serde(skip)]
    pub good_per_second: f64,
    /// How many requests ended in the span, failed ones included.
    pub ended: u64,
    /// Requests in flight on average over the span, failed ones included.
    pub concurrency: f64,
    /// The part of the load that all this is of.
    pub part: Part,
}

impl Throughput {
    /// Why its rates cannot be relied on: a steady part was looked for and not found, or too few requests ended.
    pub fn doubt(&self) -> Option<String> {
        // Where one request is all there was, its count is marked, as for its other numbers.
        let few =
            (2..LEAST).contains(&self.ended).then(|| format!("{} requests are too few to know a rate", self.ended));
        let whole = self.part.reason.as_ref().map(|why| format!("of the whole load, its ramp and its end too: {why}"));
        whole.or(few)
    }
}

/// How far the tool was from what a simulated server says it really did: the worst of the group, in seconds.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Error {
    /// Over how many requests.
    pub requests: u64,
    /// Of the time to first token.
    pub ttft_seconds: Option<f64>,
    /// Of the mean gap.
    pub gap_seconds: Option<f64>,
    /// Of the end.
    pub end_seconds: Option<f64>,
}

/// An error as it was said, and how often.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorCount {
    /// The kind.
    pub kind: String,
    /// The HTTP status.
    pub status: Option<u16>,
    /// The message.
    pub message: String,
    /// How often.
    pub n: u64,
}

/// The requests of one model, source, provider and load.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// The kind of server.
    pub source: Option<Source>,
    /// The model that was asked for.
    pub model: String,
    /// Who served it.
    pub provider: Option<String>,
    /// What was set, and whatever else its requests are told apart by.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub settings: Settings,
    /// Those of the settings that are not the same in all groups of its model, in words: `context length 8192, temperature 0.7`.
    pub sub: Option<String>,
    /// Requests at once.
    pub concurrency: Option<u64>,
    /// Requests per second.
    pub rate: Option<f64>,
    /// What else is known of the model.
    pub details: Details,
    /// Requests that did not fail.
    pub ok: u64,
    /// Requests that failed.
    pub failed: u64,
    /// The statistics of each metric over the requests that did not fail; of gaps between chunks, over all gaps of all requests.
    pub metrics: BTreeMap<Metric, Stat>,
    /// Where in the answers they are, of the streams that were kept; for pages.
    #[serde(skip)]
    pub gap_map: Option<GapMap>,
    /// The lowest and highest watts by metric.
    pub watts: BTreeMap<Metric, Range>,
    /// Its energy.
    pub energy: Option<Energy>,
    /// Where the energy went.
    pub energy_split: Option<Split>,
    /// What the meter could do; absent where no request was joined with one.
    pub meter: Option<Meter>,
    /// Which figure of memory is the primary one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub memory_primary: BTreeSet<String>,
    /// Its cost.
    pub cost: Option<Money>,
    /// What it got through.
    pub throughput: Option<Throughput>,
    /// How many of its requests were good; absent where nobody asked for limits.
    pub goodput: Option<Goodput>,
    /// Why requests have no power, where a meter was asked and could not tell.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub no_power: BTreeMap<String, u64>,
    /// Why requests have no memory, where it was sampled and could not be told.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub no_memory: BTreeMap<String, u64>,
    /// Requests that lie far out, by metric; they count like all others.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outliers: BTreeMap<Metric, Outlying>,
    /// The numbers of the metrics whose distribution is drawn.
    #[serde(skip)]
    pub(super) samples: BTreeMap<Metric, Sample>,
    /// The key that the group was made by.
    #[serde(skip)]
    pub(super) key: Key,
    /// The tool's own error, known only against a simulated server.
    pub worst_error: Option<Error>,
    /// What a browser saw of the pages that it produced; absent where none was asked.
    pub screens: Option<Screens>,
    /// How often answers ended for which reason.
    pub finish_reasons: BTreeMap<String, u64>,
    /// How often requests failed, by kind.
    pub errors: BTreeMap<String, u64>,
    /// What was said when they failed, most frequent first.
    pub error_messages: Vec<ErrorCount>,
    /// How often requests are doubtful, by word.
    pub warnings: BTreeMap<String, u64>,
    /// Requests whose prompt came, at least in part, from a cache; of those where the server tells.
    pub cached_requests: u64,
    /// Requests where the server tells.
    pub cache_known: u64,
    /// Requests that were tried more than once.
    pub retried: u64,
    /// Who counted the tokens, by number of requests.
    pub token_methods: BTreeMap<String, u64>,
    /// The models that the server says answered, where they are not the one that was asked for.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub served_models: BTreeSet<String>,
    /// How many requests left a file of which kind: `html`, `text`, `json`, `power_log`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub artifacts: BTreeMap<String, u64>,
    /// Where the requests went.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub endpoints: BTreeSet<String>,
    /// The parameters that were sent.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub parameters: BTreeSet<String>,
    /// Which prompts were asked.
    #[serde(skip)]
    pub prompts: Prompts,
}

impl Group {
    /// The key that the group was made by.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What tells it from the other groups of its model: its provider, its load, what was set.
    pub fn parts(&self) -> impl Iterator<Item = String> {
        [self.provider.clone(), self.key.load(), self.sub.clone()].into_iter().flatten()
    }

    /// Its model, and what tells it from the other groups of its model.
    pub fn name(&self) -> String {
        [self.model.clone()].into_iter().chain(self.parts()).collect::<Vec<_>>().join(" · ")
    }

    /// The spread of one metric; `None` where no request has it.
    pub fn stat(&self, metric: Metric) -> Option<&Stat> {
        self.metrics.get(&metric)
    }

    /// The distribution of one of the metrics that are drawn.
    pub fn shape(&self, metric: Metric) -> Option<Shape> {
        self.samples.get(&metric).map(Sample::shape)
    }

    /// All its requests.
    pub fn requests(&self) -> u64 {
        self.ok + self.failed
    }
}
