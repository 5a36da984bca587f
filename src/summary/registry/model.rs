//! What was measured: the model, where it was served, the load level, and how many requests there were.

use super::cells::ok;
use super::{Better, Cell, Figure, MetricDef, Set, Show, WORDS};
use crate::units::Unit;

const MODEL: MetricDef = MetricDef { set: Set::Model, ..WORDS };

pub(super) const ROWS: &[MetricDef] = &[
    MetricDef {
        key: "model",
        label: "model",
        help: "The model that was requested.",
        figure: Figure::Words(|g| Some(g.model.clone())),
        show: Show::SHOWN,
        ..MODEL
    },
    MetricDef {
        key: "source",
        label: "source",
        help: "The kind of server.",
        figure: Figure::Words(|g| g.source.map(|source| source.to_string())),
        show: Show::TEXT,
        ..MODEL
    },
    MetricDef {
        key: "provider",
        label: "provider",
        help: "Who served it, behind a router.",
        figure: Figure::Words(|g| g.provider.clone()),
        show: Show::TEXT,
        empty: "no provider behind a router was reported",
        ..MODEL
    },
    MetricDef {
        key: "load_level",
        label: "load level",
        help: "How many requests ran concurrently, or were sent per second.",
        figure: Figure::Words(|g| g.key().load()),
        show: Show::TEXT,
        ..MODEL
    },
    MetricDef {
        key: "settings",
        label: "settings",
        help: "The settings that are not the same for all groups of the model, and what else --group-by tells apart.",
        figure: Figure::Words(|g| g.sub.clone()),
        show: Show::TEXT,
        empty: "all rows used the same settings",
        ..MODEL
    },
    MetricDef {
        key: "quantization",
        label: "quantization",
        aliases: &["quant"],
        help: "The quantization of the weights.",
        figure: Figure::Words(|g| g.details.quantization.clone()),
        ..MODEL
    },
    MetricDef {
        key: "parameters",
        label: "parameters",
        aliases: &["params"],
        help: "The number of parameters, as the publisher writes it.",
        figure: Figure::Words(|g| g.details.parameters.clone()),
        ..MODEL
    },
    MetricDef {
        key: "size",
        name: "model_size_bytes",
        label: "size",
        unit: Some(Unit::Bytes),
        help: "The size of the model's files.",
        formula: "as the server lists it",
        figure: Figure::Group(|g| Cell::number(g.details.size_bytes.map(|bytes| bytes as f64))),
        announced: true,
        ..MODEL
    },
    MetricDef {
        key: "context",
        name: "model_context_tokens",
        label: "context",
        unit: Some(Unit::Tokens),
        help: "The context length it was loaded with; else the longest it allows.",
        formula: "as the server lists it",
        figure: Figure::Group(|g| Cell::number(g.details.context_length.map(|tokens| tokens as f64))),
        announced: true,
        ..MODEL
    },
    MetricDef {
        key: "ok",
        name: "successful_requests",
        label: "ok",
        unit: Some(Unit::Count),
        better: Better::Higher,
        help: "Requests that did not fail, warm-up not counted.",
        formula: "count of results without an error",
        peers: ["completed", "request_count", "", "", ""],
        figure: Figure::Group(ok),
        show: Show::SHOWN,
        ..MODEL
    },
    MetricDef {
        key: "failed",
        name: "failed_requests",
        label: "failed",
        unit: Some(Unit::Count),
        better: Better::Lower,
        help: "Requests that failed; their times count nowhere.",
        formula: "count of results with an error",
        peers: ["failed", "error_request_count", "", "", ""],
        figure: Figure::Group(|g| Cell::number(Some(g.failed as f64))),
        show: Show::SHOWN,
        ..MODEL
    },
    MetricDef {
        key: "error_rate",
        name: "error_ratio",
        label: "error rate",
        unit: Some(Unit::Share),
        better: Better::Lower,
        help: "The share of all requests that failed.",
        formula: "failed ÷ (ok + failed)",
        figure: Figure::Group(|g| Cell::number((g.requests() > 0).then(|| g.failed as f64 / g.requests() as f64))),
        ..MODEL
    },
];
