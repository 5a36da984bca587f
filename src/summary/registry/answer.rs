//! What came out: tokens, why answers ended, files, and what is doubtful.

use super::cells::{outliers, rendered, tally, words};
use super::{Better, Cell, Columns, Figure, MetricDef, RequestFigure, Set, Show, Statistic, WORDS, each};
use crate::summary::group::{Error, Group};
use crate::units::Unit;

const ANSWER: MetricDef = MetricDef { set: Set::Answer, ..WORDS };
const TOKENS: MetricDef = MetricDef { unit: Some(Unit::Tokens), ..ANSWER };
const COUNT: MetricDef = MetricDef { unit: Some(Unit::Count), better: Better::Lower, ..ANSWER };
const PAGES: MetricDef =
    MetricDef { show: Show::PAGE, empty: "no page was shown to a browser (--screenshots)", ..ANSWER };
const OWN_ERROR: MetricDef = MetricDef {
    unit: Some(Unit::Milliseconds),
    better: Better::Lower,
    empty: "no result has the simulator's ground truth (bench-join --ground-truth)",
    ..ANSWER
};

/// A count of tokens as a number.
fn count(tokens: Option<u64>) -> Option<f64> {
    tokens.map(|n| n as f64)
}

/// The most by which the tool itself was wrong.
fn own_error(group: &Group, of: fn(&Error) -> Option<f64>) -> Cell {
    Cell::number(group.worst_error.as_ref().and_then(of))
}

pub(super) const ROWS: &[MetricDef] = &[
    MetricDef {
        key: "in_tok",
        name: "input_tokens",
        label: "input tokens",
        help: "Tokens of the prompt, cached ones included.",
        formula: "usage of the server",
        peers: ["", "input_sequence_length", "prompt_token_count", "input_tokens", "prompt_eval_count"],
        aliases: &["prompt_tokens", "isl"],
        figure: Figure::Request(RequestFigure { listed: true, ..each(|o| count(o.tokens.as_ref()?.input)) }),
        ..TOKENS
    },
    MetricDef {
        key: "out_tok",
        name: "output_tokens",
        label: "output tokens",
        help: "Tokens of the answer, reasoning included.",
        formula: "usage of the server",
        peers: ["", "output_sequence_length", "output_token_count", "total_output_tokens", "eval_count"],
        aliases: &["completion_tokens", "osl"],
        figure: Figure::Request(RequestFigure {
            listed: true,
            columns: Columns::One(Statistic::MEDIAN, Show::SHOWN),
            ..each(|o| count(o.tokens.as_ref()?.output))
        }),
        ..TOKENS
    },
    MetricDef {
        key: "reasoning_tok",
        name: "reasoning_tokens",
        label: "reasoning tokens",
        help: "Tokens of reasoning, part of the output.",
        formula: "usage of the server",
        peers: ["", "reasoning_token_count", "", "reasoning_output_tokens", ""],
        figure: Figure::Request(RequestFigure {
            listed: true,
            columns: Columns::One(Statistic::MEDIAN, Show::PAGE),
            ..each(|o| count(o.tokens.as_ref()?.reasoning))
        }),
        empty: "the server reported no reasoning tokens",
        ..TOKENS
    },
    MetricDef {
        key: "cached_tok",
        name: "cached_tokens",
        label: "cached tokens",
        help: "Tokens of the prompt that came from a prompt cache.",
        formula: "usage of the server",
        figure: Figure::Request(each(|o| count(o.tokens.as_ref()?.cached))),
        empty: "the server reported no cached tokens",
        ..TOKENS
    },
    MetricDef {
        key: "cached_requests",
        name: "cached_requests",
        label: "cached requests",
        help: "Requests whose prompt came, at least in part, from a prompt cache.",
        formula: "count of requests with cached tokens",
        figure: Figure::Group(|g| Cell::number((g.cache_known > 0).then_some(g.cached_requests as f64))),
        better: Better::Neither,
        empty: "the server reported no cached tokens",
        ..COUNT
    },
    MetricDef {
        key: "retried",
        name: "retried_requests",
        label: "retried",
        help: "Requests that were tried more than once.",
        formula: "count of requests with more than one attempt",
        figure: Figure::Group(|g| Cell::number((g.retried > 0).then_some(g.retried as f64))),
        empty: "no request was tried more than once",
        ..COUNT
    },
    MetricDef {
        key: "finish",
        name: "finish_reasons",
        label: "finish reason",
        help: "Why answers ended, and how often.",
        figure: Figure::Tally { of: |g| &g.finish_reasons, word: "reason", counted: false },
        show: Show::SHOWN,
        ..ANSWER
    },
    MetricDef {
        key: "artifacts",
        name: "requests_with_files",
        label: "files",
        help: "What files the requests left, and how many requests left one.",
        figure: Figure::Tally { of: |g| &g.artifacts, word: "file", counted: true },
        empty: "no files were written (llm-run --artifacts, --json-dir)",
        ..ANSWER
    },
    MetricDef {
        key: "rendered",
        label: "rendered",
        help: "Whether the produced page shows anything in a browser without a network (--screenshots).",
        figure: Figure::Words(rendered),
        ..PAGES
    },
    MetricDef {
        key: "console_errors",
        name: "page_console_errors",
        label: "console errors",
        unit: Some(Unit::Count),
        better: Better::Lower,
        help: "Errors that the scripts of produced pages made or wrote to the console (--screenshots).",
        formula: "sum over the produced pages",
        figure: Figure::Group(|g| {
            let screens = g.screens.as_ref().filter(|screens| screens.unknown < screens.pages);
            Cell::number(screens.map(|screens| screens.console_errors as f64))
        }),
        ..PAGES
    },
    MetricDef {
        key: "hosts",
        label: "external hosts",
        help: "The hosts that produced pages tried to reach; none was reached (--screenshots).",
        figure: Figure::Words(|g| words(&g.screens.as_ref()?.hosts)),
        ..PAGES
    },
    MetricDef {
        key: "errors",
        name: "request_errors",
        label: "errors",
        help: "Why requests failed, and how often.",
        figure: Figure::Tally { of: |g| &g.errors, word: "kind", counted: false },
        empty: "nothing failed",
        ..ANSWER
    },
    MetricDef {
        key: "warnings",
        name: "request_warnings",
        label: "warnings",
        help: "What is doubtful about requests, and how often.",
        figure: Figure::Tally { of: |g| &g.warnings, word: "warning", counted: false },
        show: Show::PAGE,
        empty: "nothing is doubtful",
        ..ANSWER
    },
    MetricDef {
        key: "outliers",
        label: "outliers",
        help: "Requests that are outliers in a metric, by the modified z-score; they count like all others.",
        figure: Figure::Words(outliers),
        empty: "there are no outliers, or a row has fewer than 8 requests",
        ..ANSWER
    },
    MetricDef {
        key: "no_power",
        label: "no power",
        help: "Why requests have no power, or why something of it is missing, and how often.",
        figure: Figure::Words(|g| {
            let reasons = g.no_power.iter().chain(g.meter.iter().flat_map(|meter| &meter.reasons));
            let mut all = std::collections::BTreeMap::new();
            reasons.for_each(|(reason, n)| *all.entry(reason.clone()).or_default() += n);
            tally(&all, false)
        }),
        empty: "no reason for missing power was recorded",
        ..ANSWER
    },
    MetricDef {
        key: "own_error_ttft",
        name: "own_error_ttft_seconds",
        label: "own error TTFT",
        help: "The most by which a time to first token was measured wrong, against what llm-sim really did.",
        formula: "largest |measured − true|",
        figure: Figure::Group(|g| own_error(g, |error| error.ttft_seconds)),
        ..OWN_ERROR
    },
    MetricDef {
        key: "own_error_gap",
        name: "own_error_gap_seconds",
        label: "own error gap",
        help: "The most by which a mean gap was measured wrong, against what llm-sim really did.",
        formula: "largest |measured − true|",
        figure: Figure::Group(|g| own_error(g, |error| error.gap_seconds)),
        ..OWN_ERROR
    },
    MetricDef {
        key: "own_error_end",
        name: "own_error_end_seconds",
        label: "own error end",
        help: "The most by which the end of an answer was measured wrong, against what llm-sim really did.",
        formula: "largest |measured − true|",
        figure: Figure::Group(|g| own_error(g, |error| error.end_seconds)),
        ..OWN_ERROR
    },
];
