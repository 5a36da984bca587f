//! Money: what requests cost, and what the models are listed for.

use super::{Better, Cell, Figure, MetricDef, RequestFigure, Set, Show, WORDS, each};
use crate::units::Unit;

const COST: MetricDef = MetricDef { set: Set::Cost, unit: Some(Unit::Usd), better: Better::Lower, ..WORDS };
const LISTED: MetricDef = MetricDef {
    show: Show::TEXT,
    announced: true,
    empty: "no price is listed: the models' records (llm-models) carry prices",
    ..COST
};

pub(super) const ROWS: &[MetricDef] = &[
    MetricDef {
        key: "usd",
        name: "billed_usd",
        label: "cost",
        help: "US dollars for all requests of the group, failed ones included where they were billed.",
        formula: "sum of the cost of all requests",
        figure: Figure::Group(|g| Cell::number(g.cost.as_ref().map(|cost| cost.usd))),
        show: Show::SHOWN,
        ..COST
    },
    MetricDef {
        key: "usd_request",
        name: "cost_usd",
        label: "cost per request",
        help: "US dollars for one request.",
        formula: "the server's usage.cost; else listed prices × tokens",
        figure: Figure::Request(RequestFigure { compared: true, listed: true, ..each(|o| Some(o.cost.as_ref()?.usd)) }),
        ..COST
    },
    MetricDef {
        key: "usd_1m",
        name: "usd_per_million_output_tokens",
        label: "cost per 1M output tokens",
        help: "US dollars paid, input included, for a million output tokens.",
        formula: "sum of cost ÷ sum of output tokens × 10⁶",
        figure: Figure::Group(|g| Cell::number(g.cost.as_ref().and_then(|cost| cost.usd_per_million_output_tokens))),
        show: Show::SHOWN,
        headline: "cheapest per 1M tokens",
        ..COST
    },
    MetricDef {
        key: "usd_1m_in_list",
        name: "listed_usd_per_million_input_tokens",
        label: "list price 1M input",
        help: "The listed price of a million input tokens.",
        formula: "as the server lists it",
        figure: Figure::Group(|g| Cell::number(g.details.listed_usd_per_million_input_tokens)),
        ..LISTED
    },
    MetricDef {
        key: "usd_1m_out_list",
        name: "listed_usd_per_million_output_tokens",
        label: "list price 1M output",
        help: "The listed price of a million output tokens.",
        formula: "as the server lists it",
        figure: Figure::Group(|g| Cell::number(g.details.listed_usd_per_million_output_tokens)),
        ..LISTED
    },
];
