//! The columns of a report: one list for every format, so that a name means the same in all of them.

mod cells;

use crate::summary::{Better, Group, Metric, Unit};
use cells::*;

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What it is.
    Model,
    /// How fast.
    Speed,
    /// How hungry.
    Energy,
    /// How heavy.
    Memory,
    /// How dear.
    Cost,
    /// What came out.
    Answer,
}

impl Set {
    /// The name, as the page's switches show it.
    pub fn name(self) -> &'static str {
        match self {
            Set::Model => "model",
            Set::Speed => "speed",
            Set::Energy => "energy",
            Set::Memory => "memory",
            Set::Cost => "cost",
            Set::Answer => "answer",
        }
    }
}

/// What stands in a column for a group.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Not measured.
    Absent,
    /// Words.
    Text(String),
    /// A number in the column's unit.
    Number {
        /// The number.
        value: f64,
        /// Why it is doubtful; `None` for a number that is not.
        doubt: Option<String>,
        /// What else there is to say of it: its spread, its bounds.
        more: Option<String>,
    },
}

impl Cell {
    fn number(value: Option<f64>) -> Self {
        value.map_or(Cell::Absent, |value| Cell::Number { value, doubt: None, more: None })
    }

    fn text(text: Option<impl Into<String>>) -> Self {
        text.map_or(Cell::Absent, |text| Cell::Text(text.into()))
    }

    /// Why the number is doubtful, where it is.
    pub fn doubt(&self) -> Option<&str> {
        match self {
            Cell::Number { doubt, .. } => doubt.as_deref(),
            _ => None,
        }
    }

    /// The number, where it is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Cell::Number { value, .. } => Some(*value),
            _ => None,
        }
    }
}

/// A column.
pub struct Column {
    /// Its name on the command line, in the hash of a page and in the head of a CSV.
    pub key: &'static str,
    /// What stands above it.
    pub label: &'static str,
    /// What it belongs to.
    pub set: Set,
    /// The unit of its numbers; `None` for words.
    pub unit: Option<Unit>,
    /// Which way is better.
    pub better: Better,
    /// What it means, in one sentence.
    pub help: &'static str,
    /// Its cell for a group.
    pub of: fn(&Group) -> Cell,
}

macro_rules! column {
    ($key:literal, $label:literal, $set:ident, $unit:expr, $better:ident, $help:literal, $of:expr) => {
        Column { key: $key, label: $label, set: Set::$set, unit: $unit, better: Better::$better, help: $help, of: $of }
    };
}

const S: Option<Unit> = Some(Unit::Seconds);
const MS: Option<Unit> = Some(Unit::Gap);
const RATE: Option<Unit> = Some(Unit::TokensPerSecond);
const TOK: Option<Unit> = Some(Unit::Tokens);
const W: Option<Unit> = Some(Unit::Watts);
const J: Option<Unit> = Some(Unit::Joules);
const JT: Option<Unit> = Some(Unit::JoulesPerToken);
const GB: Option<Unit> = Some(Unit::Bytes);
const USD: Option<Unit> = Some(Unit::Usd);
const SHARE: Option<Unit> = Some(Unit::Share);
const N: Option<Unit> = Some(Unit::Count);
const HZ: Option<Unit> = Some(Unit::PerSecond);
const AVG: Option<Unit> = Some(Unit::Average);
const MONEY: Option<Unit> = Some(Unit::Money);
const G: Option<Unit> = Some(Unit::Grams);

/// Every column, in order.
#[rustfmt::skip]
pub const COLUMNS: &[Column] = &[
    column!("model", "model", Model, None, Neither, "The model that was asked for.", |g| Cell::Text(g.model.clone())),
    column!("source", "source", Model, None, Neither, "The kind of server.", |g| Cell::text(g.source.map(|s| s.to_string()))),
    column!("provider", "provider", Model, None, Neither, "Who served it, behind a router.", |g| Cell::text(g.provider.clone())),
    column!("load", "load", Model, None, Neither, "How many requests ran at once, or were sent per second.", |g| Cell::text(g.key().load())),
    column!("set", "set", Model, None, Neither, "What was set, where it is not the same for all groups of the model, and what else --group-by tells apart.", |g| Cell::text(g.sub.clone())),
    column!("quantization", "quant", Model, None, Neither, "The quantization of the weights.", |g| Cell::text(g.details.quantization.clone())),
    column!("parameters", "params", Model, None, Neither, "The number of parameters, in the publisher's words.", |g| Cell::text(g.details.parameters.clone())),
    column!("size", "size", Model, GB, Neither, "The size of the model's files.", |g| Cell::number(g.details.size_bytes.map(|b| b as f64))),
    column!("context", "context", Model, TOK, Neither, "The context length it was loaded with; else the longest it allows.", |g| Cell::number(g.details.context_length.map(|n| n as f64))),
    column!("ok", "ok", Model, N, Higher, "Requests that did not fail, warm-up not counted.", ok),
    column!("failed", "failed", Model, N, Lower, "Requests that failed; their times count nowhere.", |g| Cell::number(Some(g.failed as f64))),

    column!("load_s", "load time", Speed, S, Lower, "How long the model took to load, once per run (median of runs).", |g| p50(g, Metric::LoadTime)),
    column!("ttft_p50", "ttft", Speed, S, Lower, "Time to first token of any kind, reasoning included: median.", |g| p50(g, Metric::Ttft)),
    column!("ttft_p95", "ttft p95", Speed, S, Lower, "Time to first token: 95th percentile.", |g| percentile(g, Metric::Ttft, "p95")),
    column!("ttft_p99", "ttft p99", Speed, S, Lower, "Time to first token: 99th percentile.", |g| percentile(g, Metric::Ttft, "p99")),
    column!("ttft_sched_p50", "ttft sched", Speed, S, Lower, "Time to first token from the scheduled moment of sending (open loop): median.", |g| p50(g, Metric::TtftScheduled)),
    column!("ttft_sched_p99", "ttft sched p99", Speed, S, Lower, "Time to first token from the scheduled moment of sending (open loop): 99th percentile.", |g| percentile(g, Metric::TtftScheduled, "p99")),
    column!("answer_p50", "first answer", Speed, S, Lower, "Time to the first token that is not reasoning: median.", |g| p50(g, Metric::FirstAnswer)),
    column!("decode_tok_s", "decode", Speed, RATE, Higher, "Output tokens per second between the first and the last token, tokens of the first chunk left out: median.", |g| p50(g, Metric::DecodeRate)),
    column!("tok_s", "tok/s", Speed, RATE, Higher, "Output tokens over the whole request's time: median.", |g| p50(g, Metric::TokenRate)),
    column!("prompt_tok_s", "prompt", Speed, RATE, Higher, "Input tokens that were not cached over the time to first token, queue and network included: median.", |g| p50(g, Metric::PromptRate)),
    column!("itl_p50", "itl", Speed, MS, Lower, "Gap between chunks with text: median over all gaps of all requests, merged.", |g| gap(g, "p50")),
    column!("itl_p95", "itl p95", Speed, MS, Lower, "Gap between chunks with text: 95th percentile over all gaps of all requests, merged.", |g| gap(g, "p95")),
    column!("itl_p99", "itl p99", Speed, MS, Lower, "Gap between chunks with text: 99th percentile over all gaps of all requests, merged.", |g| gap(g, "p99")),
    column!("tpot_p50", "tpot", Speed, MS, Lower, "Time per output token after the first chunk: median.", |g| p50(g, Metric::Tpot)),
    column!("tpot_p95", "tpot p95", Speed, MS, Lower, "Time per output token after the first chunk: 95th percentile.", |g| percentile(g, Metric::Tpot, "p95")),
    column!("tpot_p99", "tpot p99", Speed, MS, Lower, "Time per output token after the first chunk: 99th percentile.", |g| percentile(g, Metric::Tpot, "p99")),
    column!("gen_s", "time", Speed, S, Lower, "The whole request, from its start to the end of the answer: median.", |g| p50(g, Metric::GenerationTime)),
    column!("gen_s_p95", "time p95", Speed, S, Lower, "The whole request: 95th percentile.", |g| percentile(g, Metric::GenerationTime, "p95")),
    column!("gen_s_p99", "time p99", Speed, S, Lower, "The whole request: 99th percentile.", |g| percentile(g, Metric::GenerationTime, "p99")),
    column!("throughput", "together", Speed, RATE, Higher, "Output tokens per second of all requests together, over the part of the load that is told.", |g| through(g, |t| t.output_tokens_per_second)),
    column!("requests_s", "requests", Speed, HZ, Higher, "Requests that did not fail per second, over the same part; one that lies in it in part counts in part, like its tokens.", |g| through(g, |t| Some(t.requests_per_second))),
    column!("offered_rate", "asked rate", Speed, HZ, Neither, "Requests per second that were asked for (open loop).", |g| Cell::number(g.rate)),
    column!("sent_rate", "sent", Speed, HZ, Neither, "Requests per second that were sent, over the same part: of a rate from send to send, of a level as many as ended.", |g| through(g, |t| Some(t.sent_per_second))),
    column!("achieved_rate", "ended", Speed, HZ, Higher, "Requests per second, failed ones included, over the same part, counted the same.", |g| through(g, |t| Some(t.ended_per_second))),
    column!("achieved_concurrency", "in flight", Speed, AVG, Neither, "Requests in flight on average, by time, over the same part.", |g| through(g, |t| Some(t.concurrency))),
    column!("goodput", "goodput", Speed, SHARE, Higher, "The share of all requests, failed ones included, that kept every limit of --slo.", |g| Cell::number(g.goodput.map(|good| good.share))),

    column!("cpu_w", "CPU", Energy, W, Lower, "Mean power of the processor during a request: median of requests.", |g| watts(g, Metric::CpuWatts)),
    column!("cpu_w_peak", "CPU peak", Energy, W, Lower, "The highest reading of the processor while a request ran.", |g| reading(g, Metric::CpuWatts, |r| r.peak)),
    column!("cpu_w_low", "CPU low", Energy, W, Lower, "The lowest reading of the processor while a request ran.", |g| reading(g, Metric::CpuWatts, |r| r.low)),
    column!("gpu_w", "GPU", Energy, W, Lower, "Mean power of the graphics processor during a request: median of requests.", |g| watts(g, Metric::GpuWatts)),
    column!("gpu_w_peak", "GPU peak", Energy, W, Lower, "The highest reading of the graphics processor while a request ran.", |g| reading(g, Metric::GpuWatts, |r| r.peak)),
    column!("gpu_w_low", "GPU low", Energy, W, Lower, "The lowest reading of the graphics processor while a request ran.", |g| reading(g, Metric::GpuWatts, |r| r.low)),
    column!("ane_w", "ANE", Energy, W, Lower, "Mean power of the neural engine during a request: median of requests.", |g| watts(g, Metric::AneWatts)),
    column!("ane_w_peak", "ANE peak", Energy, W, Lower, "The highest reading of the neural engine while a request ran.", |g| reading(g, Metric::AneWatts, |r| r.peak)),
    column!("ane_w_low", "ANE low", Energy, W, Lower, "The lowest reading of the neural engine while a request ran.", |g| reading(g, Metric::AneWatts, |r| r.low)),
    column!("total_w", "total", Energy, W, Lower, "Mean power of the meter's total during a request: median of requests.", |g| watts(g, Metric::TotalWatts)),
    column!("total_w_peak", "peak", Energy, W, Lower, "The highest reading of the total while a request ran.", |g| reading(g, Metric::TotalWatts, |r| r.peak)),
    column!("total_w_low", "low", Energy, W, Lower, "The lowest reading of the total while a request ran.", |g| reading(g, Metric::TotalWatts, |r| r.low)),
    column!("joules", "energy", Energy, J, Lower, "Energy of a request, gross: median.", |g| joules(g, Metric::Energy, None)),
    column!("j_tok", "J/token", Energy, JT, Lower, "Energy ÷ output tokens, gross: sums over the requests where both are known.", |g| per_token(g, GROSS)),
    column!("j_tok_lower", "J/token at least", Energy, JT, Lower, "Energy ÷ output tokens, gross, is certainly at least this.", |g| per_token_bound(g, |e| e.joules_per_output_token_lower)),
    column!("j_tok_upper", "J/token at most", Energy, JT, Lower, "Energy ÷ output tokens, gross, is certainly at most this.", |g| per_token_bound(g, |e| e.joules_per_output_token_upper)),
    column!("j_tok_net", "net J/token", Energy, JT, Lower, "Energy less what idling would have taken ÷ output tokens.", |g| per_token(g, NET)),
    column!("j_tok_net_lower", "net J/token at least", Energy, JT, Lower, "Net energy ÷ output tokens is at least this, while idling draws no more than the median of its readings and their spread.", |g| per_token_bound(g, |e| e.net_joules_per_output_token_lower)),
    column!("j_tok_net_upper", "net J/token at most", Energy, JT, Lower, "Net energy ÷ output tokens is at most this, while idling draws no less than the median of its readings less their spread.", |g| per_token_bound(g, |e| e.net_joules_per_output_token_upper)),
    column!("prefill_j", "prefill", Energy, J, Lower, "Energy of a request from its start to its first token: median.", |g| joules(g, Metric::PrefillEnergy, g.energy_split.and_then(|s| s.prefill))),
    column!("decode_j", "decoding", Energy, J, Lower, "Energy of a request from its first to its last token: median.", |g| joules(g, Metric::DecodeEnergy, g.energy_split.and_then(|s| s.decode))),
    column!("idle_j", "idle", Energy, J, Lower, "What idling would have taken in the time of a request, part of its energy: median.", |g| joules(g, Metric::IdleEnergy, None)),
    column!("load_j", "load energy", Energy, J, Lower, "Energy of loading the model, once per run (median of runs).", |g| joules(g, Metric::LoadEnergy, g.energy_split.and_then(|s| s.load))),
    column!("energy_cost", "energy cost", Energy, MONEY, Lower, "What the energy of all requests cost, in the money of --price-per-kwh.", |g| total(g, Metric::EnergyPrice)),
    column!("carbon_g", "CO₂", Energy, G, Lower, "What the energy of all requests emitted, in grams of CO₂ equivalent.", |g| total(g, Metric::Carbon)),

    column!("mem_load", "Δ loading", Memory, GB, Lower, "Memory after the load less before it: of the figure that says best what the model takes here.", |g| memory(g, Metric::MemoryLoad, "p50")),
    column!("mem_gen", "Δ answer", Memory, GB, Lower, "Memory after the answer less after the load: median.", |g| memory(g, Metric::MemoryGeneration, "p50")),
    column!("mem_high", "high water", Memory, GB, Lower, "The most memory held from the start of the load to the end of the answer: highest of all requests.", |g| memory(g, Metric::MemoryHighWater, "max")),
    column!("mem_figure", "figure", Memory, None, Neither, "Which figure of memory the others are of.", |g| Cell::text(words(&g.memory_primary))),

    column!("usd", "cost", Cost, USD, Lower, "US dollars for all requests of the group, failed ones included where they were billed.", |g| Cell::number(g.cost.as_ref().map(|c| c.usd))),
    column!("usd_request", "per request", Cost, USD, Lower, "US dollars for one request: median.", |g| p50(g, Metric::Cost)),
    column!("usd_1m", "per 1M tok", Cost, USD, Lower, "US dollars paid, input included, for a million output tokens.", |g| Cell::number(g.cost.as_ref().and_then(|c| c.usd_per_million_output_tokens))),
    column!("usd_1m_in_list", "list 1M in", Cost, USD, Lower, "The listed price of a million input tokens.", |g| Cell::number(g.details.listed_usd_per_million_input_tokens)),
    column!("usd_1m_out_list", "list 1M out", Cost, USD, Lower, "The listed price of a million output tokens.", |g| Cell::number(g.details.listed_usd_per_million_output_tokens)),

    column!("in_tok", "in", Answer, TOK, Neither, "Tokens of the prompt: median.", |g| p50(g, Metric::TokensIn)),
    column!("out_tok", "out", Answer, TOK, Neither, "Tokens of the answer, reasoning included: median.", |g| p50(g, Metric::TokensOut)),
    column!("reasoning_tok", "reasoning", Answer, TOK, Neither, "Tokens of reasoning: median.", |g| p50(g, Metric::TokensReasoning)),
    column!("finish", "finish", Answer, None, Neither, "Why answers ended, and how often.", |g| Cell::text(tally(g.finish_reasons.iter()))),
    column!("artifacts", "files", Answer, None, Neither, "What files the requests left, and of how many requests there is one.", |g| Cell::text(tally_all(g.artifacts.iter()))),
    column!("rendered", "rendered", Answer, None, Neither, "Whether the produced page shows anything in a browser without a network (--screenshots).", |g| Cell::text(rendered(g))),
    column!("console_errors", "console errors", Answer, N, Lower, "Errors that the scripts of produced pages made or wrote to the console (--screenshots).", |g| Cell::number(g.screens.as_ref().filter(|s| s.unknown < s.pages).map(|s| s.console_errors as f64))),
    column!("hosts", "hosts", Answer, None, Neither, "The hosts that produced pages asked for; none was reached (--screenshots).", |g| Cell::text(g.screens.as_ref().and_then(|s| words(&s.hosts)))),
    column!("errors", "errors", Answer, None, Neither, "Why requests failed, and how often.", |g| Cell::text(tally(g.errors.iter()))),
    column!("warnings", "doubts", Answer, None, Neither, "What is doubtful about requests, and how often.", |g| Cell::text(tally(g.warnings.iter()))),
    column!("outliers", "far out", Answer, None, Neither, "Requests that lie far out in a metric, by the modified z-score; they count like all others.", |g| Cell::text(far_out(g))),
    column!("no_power", "no power", Answer, None, Neither, "Why requests have no power, or why something of it is missing, and how often.", |g| Cell::text(tally(g.no_power.iter().chain(g.meter.iter().flat_map(|m| m.reasons.iter()))))),
];

/// The columns that a page shows at first, where there is anything to show.
pub const MAIN: [&str; 26] = [
    "model",
    "ok",
    "failed",
    "goodput",
    "load_s",
    "ttft_p50",
    "ttft_p95",
    "answer_p50",
    "decode_tok_s",
    "tok_s",
    "itl_p99",
    "gen_s",
    "gpu_w",
    "total_w",
    "j_tok",
    "mem_load",
    "mem_high",
    "usd",
    "usd_1m",
    "out_tok",
    "reasoning_tok",
    "finish",
    "rendered",
    "console_errors",
    "hosts",
    "warnings",
];

/// A column by its key.
pub fn column(key: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_every_column_says_what_it_means() {
        let mut keys: Vec<_> = COLUMNS.iter().map(|column| column.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), COLUMNS.len());
        for column in COLUMNS {
            assert!(column.help.ends_with('.'), "{}", column.key);
        }
    }
}
