//! Power and energy: what the meter read while requests ran, and what they took.

use super::cells::{energy, joules, metered, reading, watts};
use super::{Better, Columns, Figure, Metric, MetricDef, RequestFigure, Set, Show, Statistic, WORDS, each};
use crate::record::{JoinedPower, ResultFields};
use crate::summary::energy::Energy;
use crate::units::Unit;

const ENERGY: MetricDef = MetricDef { set: Set::Energy, better: Better::Lower, ..WORDS };
const POWER: MetricDef = MetricDef { unit: Some(Unit::Watts), ..ENERGY };
const JOULES: MetricDef = MetricDef { unit: Some(Unit::Joules), ..ENERGY };
const PER_TOKEN: MetricDef = MetricDef { unit: Some(Unit::JoulesPerToken), ..ENERGY };

const NO_IDLE: &str = "not joined with readings and an idle power (bench-join --power, --idle auto)";
/// Idle power is known from a spread of readings: nothing of a net energy is certain.
const AS_KNOWN: &str = "as far as idling is known,";

fn power<'a>(o: &'a ResultFields) -> Option<&'a JoinedPower> {
    o.power.as_ref()?.as_deref()
}

pub(super) const ROWS: &[MetricDef] = &[
    MetricDef {
        key: "cpu_w",
        name: "cpu_watts",
        label: "CPU power",
        help: "Mean power of the processor during a request.",
        formula: "mean of the readings from start to end, by time",
        figure: Figure::Request(RequestFigure {
            columns: Columns::One(Statistic::MEDIAN, Show::HIDDEN),
            note: |g, cell| watts(g, cell, Metric::CPU_WATTS),
            ..each(|o| Some(power(o)?.cpu_watts.as_ref()?.avg))
        }),
        ..POWER
    },
    MetricDef {
        key: "cpu_w_peak",
        name: "peak_cpu_watts",
        label: "CPU power peak",
        help: "The highest reading of the processor while a request ran.",
        formula: "highest reading",
        figure: Figure::Group(|g| reading(g, Metric::CPU_WATTS, |range| range.peak)),
        ..POWER
    },
    MetricDef {
        key: "cpu_w_low",
        name: "low_cpu_watts",
        label: "CPU power low",
        help: "The lowest reading of the processor while a request ran.",
        formula: "lowest reading",
        figure: Figure::Group(|g| reading(g, Metric::CPU_WATTS, |range| range.low)),
        ..POWER
    },
    MetricDef {
        key: "gpu_w",
        name: "gpu_watts",
        label: "GPU power",
        help: "Mean power of the graphics processor during a request.",
        formula: "mean of the readings from start to end, by time",
        figure: Figure::Request(RequestFigure {
            columns: Columns::One(Statistic::MEDIAN, Show::PAGE),
            note: |g, cell| watts(g, cell, Metric::GPU_WATTS),
            ..each(|o| Some(power(o)?.gpu_watts.as_ref()?.avg))
        }),
        ..POWER
    },
    MetricDef {
        key: "gpu_w_peak",
        name: "peak_gpu_watts",
        label: "GPU power peak",
        help: "The highest reading of the graphics processor while a request ran.",
        formula: "highest reading",
        figure: Figure::Group(|g| reading(g, Metric::GPU_WATTS, |range| range.peak)),
        ..POWER
    },
    MetricDef {
        key: "gpu_w_low",
        name: "low_gpu_watts",
        label: "GPU power low",
        help: "The lowest reading of the graphics processor while a request ran.",
        formula: "lowest reading",
        figure: Figure::Group(|g| reading(g, Metric::GPU_WATTS, |range| range.low)),
        ..POWER
    },
    MetricDef {
        key: "ane_w",
        name: "ane_watts",
        label: "ANE power",
        help: "Mean power of the neural engine during a request.",
        formula: "mean of the readings from start to end, by time",
        figure: Figure::Request(RequestFigure {
            columns: Columns::One(Statistic::MEDIAN, Show::HIDDEN),
            note: |g, cell| watts(g, cell, Metric::ANE_WATTS),
            ..each(|o| Some(power(o)?.ane_watts.as_ref()?.avg))
        }),
        ..POWER
    },
    MetricDef {
        key: "ane_w_peak",
        name: "peak_ane_watts",
        label: "ANE power peak",
        help: "The highest reading of the neural engine while a request ran.",
        formula: "highest reading",
        figure: Figure::Group(|g| reading(g, Metric::ANE_WATTS, |range| range.peak)),
        ..POWER
    },
    MetricDef {
        key: "ane_w_low",
        name: "low_ane_watts",
        label: "ANE power low",
        help: "The lowest reading of the neural engine while a request ran.",
        formula: "lowest reading",
        figure: Figure::Group(|g| reading(g, Metric::ANE_WATTS, |range| range.low)),
        ..POWER
    },
    MetricDef {
        key: "total_w",
        name: "total_watts",
        label: "total power",
        help: "Mean power of the meter's total during a request.",
        formula: "mean of the readings from start to end, by time",
        figure: Figure::Request(RequestFigure {
            listed: true,
            columns: Columns::One(Statistic::MEDIAN, Show::SHOWN),
            note: |g, cell| watts(g, cell, Metric::TOTAL_WATTS),
            ..each(|o| Some(power(o)?.total_watts.as_ref()?.avg))
        }),
        ..POWER
    },
    MetricDef {
        key: "total_w_peak",
        name: "peak_total_watts",
        label: "total power peak",
        help: "The highest reading of the total while a request ran.",
        formula: "highest reading",
        figure: Figure::Group(|g| reading(g, Metric::TOTAL_WATTS, |range| range.peak)),
        ..POWER
    },
    MetricDef {
        key: "total_w_low",
        name: "low_total_watts",
        label: "total power low",
        help: "The lowest reading of the total while a request ran.",
        formula: "lowest reading",
        figure: Figure::Group(|g| reading(g, Metric::TOTAL_WATTS, |range| range.low)),
        ..POWER
    },
    MetricDef {
        key: "joules",
        name: "energy_joules",
        label: "energy",
        help: "Energy of a request, gross.",
        formula: "power over time from start to end, the request's share of it",
        figure: Figure::Request(RequestFigure {
            compared: true,
            note: |g, cell| joules(g, cell, None),
            ..each(|o| power(o)?.energy_joules)
        }),
        ..JOULES
    },
    MetricDef {
        key: "net_joules",
        name: "net_energy_joules",
        label: "net energy",
        help: "Energy of a request less what idling would have taken.",
        formula: "energy − idle power × time",
        figure: Figure::Request(RequestFigure { signed: true, note: metered, ..each(|o| power(o)?.net_energy_joules) }),
        empty: NO_IDLE,
        ..JOULES
    },
    MetricDef {
        key: "j_tok",
        name: "group_joules_per_output_token",
        label: "J/token",
        help: "Energy ÷ output tokens, gross: sums over the requests where both are known.",
        formula: "sum of energy ÷ sum of output tokens",
        figure: Figure::Group(|g| {
            let bounds = |e: &Energy| e.joules_per_output_token_lower.zip(e.joules_per_output_token_upper);
            energy(g, |e| e.joules_per_output_token, Some(("certainly", bounds)))
        }),
        show: Show::SHOWN,
        headline: "least energy per token",
        ..PER_TOKEN
    },
    MetricDef {
        key: "j_tok_lower",
        name: "group_joules_per_output_token_lower",
        label: "J/token at least",
        help: "Energy ÷ output tokens, gross, is certainly at least this.",
        formula: "sum of lower bounds ÷ sum of output tokens",
        figure: Figure::Group(|g| energy(g, |e| e.joules_per_output_token_lower, None)),
        ..PER_TOKEN
    },
    MetricDef {
        key: "j_tok_upper",
        name: "group_joules_per_output_token_upper",
        label: "J/token at most",
        help: "Energy ÷ output tokens, gross, is certainly at most this.",
        formula: "sum of upper bounds ÷ sum of output tokens",
        figure: Figure::Group(|g| energy(g, |e| e.joules_per_output_token_upper, None)),
        ..PER_TOKEN
    },
    MetricDef {
        key: "j_tok_net",
        name: "group_net_joules_per_output_token",
        label: "net J/token",
        help: "Energy less what idling would have taken ÷ output tokens.",
        formula: "sum of net energy ÷ sum of output tokens",
        figure: Figure::Group(|g| {
            let bounds = |e: &Energy| e.net_joules_per_output_token_lower.zip(e.net_joules_per_output_token_upper);
            energy(g, |e| e.net_joules_per_output_token, Some((AS_KNOWN, bounds)))
        }),
        empty: NO_IDLE,
        ..PER_TOKEN
    },
    MetricDef {
        key: "j_tok_net_lower",
        name: "group_net_joules_per_output_token_lower",
        label: "net J/token at least",
        help: "Net energy ÷ output tokens is at least this, while idling draws no more than the median of its readings and \
               their spread.",
        formula: "sum of lower bounds less idling ÷ sum of output tokens",
        figure: Figure::Group(|g| energy(g, |e| e.net_joules_per_output_token_lower, None)),
        empty: NO_IDLE,
        ..PER_TOKEN
    },
    MetricDef {
        key: "j_tok_net_upper",
        name: "group_net_joules_per_output_token_upper",
        label: "net J/token at most",
        help: "Net energy ÷ output tokens is at most this, while idling draws no less than the median of its readings less \
               their spread.",
        formula: "sum of upper bounds less idling ÷ sum of output tokens",
        figure: Figure::Group(|g| energy(g, |e| e.net_joules_per_output_token_upper, None)),
        empty: NO_IDLE,
        ..PER_TOKEN
    },
    MetricDef {
        key: "j_tok_request",
        name: "joules_per_output_token",
        label: "J/token of a request",
        help: "Energy ÷ output tokens of one request, gross.",
        formula: "energy ÷ output tokens",
        figure: Figure::Request(RequestFigure {
            compared: true,
            listed: true,
            note: metered,
            ..each(|o| power(o)?.joules_per_output_token)
        }),
        ..PER_TOKEN
    },
    MetricDef {
        key: "prefill_j",
        name: "prefill_energy_joules",
        label: "prefill energy",
        help: "Energy of a request from its start to its first token.",
        formula: "power over time from start to first token",
        figure: Figure::Request(RequestFigure {
            columns: Columns::One(Statistic::MEDIAN, Show::TEXT),
            note: |g, cell| joules(g, cell, g.energy_split.and_then(|split| split.prefill)),
            ..each(|o| power(o)?.prefill.as_ref()?.energy_joules)
        }),
        ..JOULES
    },
    MetricDef {
        key: "decode_j",
        name: "decode_energy_joules",
        label: "decode energy",
        help: "Energy of a request from its first to its last token.",
        formula: "power over time from first to last token",
        figure: Figure::Request(RequestFigure {
            columns: Columns::One(Statistic::MEDIAN, Show::TEXT),
            note: |g, cell| joules(g, cell, g.energy_split.and_then(|split| split.decode)),
            ..each(|o| power(o)?.decode.as_ref()?.energy_joules)
        }),
        ..JOULES
    },
    MetricDef {
        key: "idle_j",
        name: "idle_energy_joules",
        label: "idle energy",
        help: "What idling would have taken in the time of a request, part of its energy.",
        formula: "energy − net energy",
        figure: Figure::Request(RequestFigure {
            note: |g, cell| joules(g, cell, None),
            ..each(|o| power(o).and_then(|p| Some(p.energy_joules? - p.net_energy_joules?)))
        }),
        empty: NO_IDLE,
        ..JOULES
    },
    MetricDef {
        key: "load_j",
        name: "load_energy_joules",
        label: "model load energy",
        help: "Energy of loading the model.",
        formula: "power over time while the model was loaded",
        figure: Figure::Request(RequestFigure {
            once_per_run: true,
            note: |g, cell| joules(g, cell, g.energy_split.and_then(|split| split.load)),
            ..each(|o| power(o)?.load.as_ref()?.energy_joules)
        }),
        ..JOULES
    },
    MetricDef {
        key: "energy_cost",
        name: "energy_cost",
        label: "energy cost",
        unit: Some(Unit::Money),
        help: "What the energy cost, in the money of --price-per-kwh.",
        formula: "energy × price of a kilowatt-hour",
        figure: Figure::Request(RequestFigure {
            columns: Columns::One(Statistic::Sum, Show::TEXT),
            note: metered,
            ..each(|o| Some(power(o)?.cost.as_ref()?.amount))
        }),
        ..ENERGY
    },
    MetricDef {
        key: "carbon_g",
        name: "carbon_grams",
        label: "CO₂",
        unit: Some(Unit::Grams),
        help: "What the energy emitted, in grams of CO₂ equivalent.",
        formula: "energy × carbon intensity",
        aliases: &["carbon", "co2"],
        figure: Figure::Request(RequestFigure {
            columns: Columns::One(Statistic::Sum, Show::TEXT),
            note: metered,
            ..each(|o| Some(power(o)?.carbon.as_ref()?.amount))
        }),
        ..ENERGY
    },
];
