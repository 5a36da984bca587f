//! How fast: times and rates of requests, and what a load level got through.

use super::{Better, Cell, Columns, Figure, MetricDef, RequestFigure, Set, Show, WORDS, When, each};
use crate::units::Unit;

const SPEED: MetricDef = MetricDef { set: Set::Speed, better: Better::Lower, ..WORDS };
const LATENCY: MetricDef = MetricDef { unit: Some(Unit::Seconds), ..SPEED };
const GAP: MetricDef = MetricDef { unit: Some(Unit::Milliseconds), ..SPEED };
const TOKEN_RATE: MetricDef = MetricDef { unit: Some(Unit::TokensPerSecond), better: Better::Higher, ..SPEED };
const REQUEST_RATE: MetricDef =
    MetricDef { unit: Some(Unit::PerSecond), better: Better::Higher, show: Show::LOADS, ..SPEED };

/// A load is judged by its tail.
const QUIET: Show = Show { page: When::Always, text: When::NoLoads };

pub(super) const ROWS: &[MetricDef] = &[
    MetricDef {
        key: "load_s",
        name: "load_time_seconds",
        label: "model load",
        help: "How long the model took to load.",
        formula: "end of the load − its start",
        peers: ["", "", "", "model_load_time_seconds", "load_duration"],
        aliases: &["load_time"],
        figure: Figure::Request(RequestFigure {
            once_per_run: true,
            compared: true,
            columns: Columns::One(super::Statistic::MEDIAN, Show::SHOWN),
            ..each(|o| o.load_time_seconds.flatten())
        }),
        empty: "no model was loaded",
        ..LATENCY
    },
    MetricDef {
        key: "ttft",
        name: "ttft_seconds",
        label: "TTFT",
        help: "Time to first token of any kind, reasoning included.",
        formula: "first token − start",
        peers: ["ttft", "time_to_first_token", "time_to_first_token_ms", "time_to_first_token_seconds", ""],
        figure: Figure::Request(RequestFigure {
            from_due: true,
            compared: true,
            listed: true,
            slider: true,
            columns: Columns::Percentiles(&[("p50", Show::SHOWN), ("p95", QUIET), ("p99", Show::LOADS)]),
            ..each(|o| o.ttft_seconds)
        }),
        headline: "lowest TTFT",
        ..LATENCY
    },
    MetricDef {
        key: "ttft_scheduled",
        name: "ttft_scheduled_seconds",
        label: "TTFT from schedule",
        help: "Time to first token from the scheduled moment of sending (open loop), free of coordinated omission.",
        formula: "first token − scheduled start",
        aliases: &["ttft_sched"],
        figure: Figure::Request(RequestFigure {
            columns: Columns::Percentiles(&[]),
            ..each(|o| o.ttft_scheduled_seconds.flatten())
        }),
        empty: "nothing was sent at a rate (llm-run --rate)",
        ..LATENCY
    },
    MetricDef {
        key: "ttfo",
        name: "time_to_first_output_token_seconds",
        label: "first output token",
        help: "Time to the first token that is not reasoning.",
        formula: "first token that is not reasoning − start",
        peers: ["", "time_to_first_output_token", "", "", ""],
        aliases: &["ttfot", "time_to_first_answer_token"],
        figure: Figure::Request(RequestFigure {
            compared: true,
            listed: true,
            columns: Columns::Percentiles(&[("p50", Show::PAGE)]),
            ..each(|o| o.time_to_first_output_token_seconds)
        }),
        ..LATENCY
    },
    MetricDef {
        key: "decode_tok_s",
        name: "decode_tokens_per_second",
        label: "decode tok/s",
        help: "Output tokens per second between the first and the last token, tokens of the first chunk left out.",
        formula: "1 ÷ TPOT corrected",
        peers: ["", "output_token_throughput_per_user", "", "tokens_per_second", "eval_count / eval_duration"],
        aliases: &["decode", "decode_rate"],
        figure: Figure::Request(RequestFigure {
            compared: true,
            listed: true,
            columns: Columns::One(super::Statistic::MEDIAN, Show::SHOWN),
            ..each(|o| o.derived.as_ref()?.decode_tokens_per_second)
        }),
        headline: "fastest decode",
        ..TOKEN_RATE
    },
    MetricDef {
        key: "tok_s",
        name: "tokens_per_second",
        label: "output tok/s per request",
        help: "Output tokens over the whole request's time.",
        formula: "output tokens ÷ E2E latency",
        aliases: &["output_tok_s"],
        figure: Figure::Request(RequestFigure {
            compared: true,
            columns: Columns::One(super::Statistic::MEDIAN, Show::SHOWN),
            ..each(|o| o.derived.as_ref().and_then(|d| d.tokens_per_second.or(d.tokens_per_second_fallback)))
        }),
        ..TOKEN_RATE
    },
    MetricDef {
        key: "prefill_tok_s",
        name: "prompt_tokens_per_second",
        label: "prefill tok/s",
        help: "Input tokens that were not cached over the time to first token, queue and network included.",
        formula: "(input − cached tokens) ÷ TTFT",
        peers: ["", "", "", "", "prompt_eval_count / prompt_eval_duration"],
        aliases: &["prefill", "prefill_rate"],
        figure: Figure::Request(RequestFigure {
            compared: true,
            ..each(|o| o.derived.as_ref()?.prompt_tokens_per_second)
        }),
        ..TOKEN_RATE
    },
    MetricDef {
        key: "icl",
        name: "inter_chunk_latency_seconds",
        label: "inter-chunk latency",
        help: "Gap between chunks with text, over all gaps of all requests.",
        formula: "chunk n − chunk n−1; of one request the mean",
        peers: ["itl", "inter_chunk_latency", "", "", ""],
        figure: Figure::Request(RequestFigure {
            merged: true,
            between_chunks: true,
            slider: true,
            columns: Columns::Percentiles(&[("p99", Show::PAGE)]),
            ..each(|o| o.inter_chunk_latency_seconds.as_ref()?.mean)
        }),
        ..GAP
    },
    MetricDef {
        key: "icl_tail",
        name: "inter_chunk_latency_p99_seconds",
        label: "gap p99 of a request",
        help: "The 99th percentile of the gaps of one request.",
        formula: "99th percentile of a request's gaps",
        figure: Figure::Request(RequestFigure {
            listed: true,
            ..each(|o| o.inter_chunk_latency_seconds.as_ref()?.p99)
        }),
        ..GAP
    },
    MetricDef {
        key: "tpot",
        name: "tpot_seconds",
        label: "TPOT",
        help: "Time per output token after the first.",
        formula: "(last token − first token) ÷ (output − 1)",
        peers: ["tpot", "inter_token_latency", "inter_token_latency_ms", "", ""],
        aliases: &["time_per_output_token"],
        figure: Figure::Request(RequestFigure {
            between_chunks: true,
            slider: true,
            columns: Columns::Percentiles(&[]),
            ..each(|o| o.tpot_seconds)
        }),
        ..GAP
    },
    MetricDef {
        key: "tpot_corrected",
        name: "tpot_corrected_seconds",
        label: "TPOT corrected",
        help: "Time per output token after the first chunk, whose tokens are left out.",
        formula: "(last token − first token) ÷ (output − tokens of the first chunk)",
        figure: Figure::Request(RequestFigure {
            between_chunks: true,
            columns: Columns::Percentiles(&[]),
            ..each(|o| o.tpot_corrected_seconds)
        }),
        ..GAP
    },
    MetricDef {
        key: "e2e",
        name: "generation_time_seconds",
        label: "E2E latency",
        help: "The whole request, from its start to the end of the answer.",
        formula: "end of the answer − start",
        peers: ["e2el", "request_latency", "request_latency", "", "total_duration"],
        aliases: &["latency", "e2e_latency", "generation_time"],
        figure: Figure::Request(RequestFigure {
            from_due: true,
            compared: true,
            listed: true,
            slider: true,
            columns: Columns::Percentiles(&[("p50", Show::SHOWN)]),
            ..each(|o| o.generation_time_seconds)
        }),
        headline: "fastest response",
        ..LATENCY
    },
    MetricDef {
        key: "client_lag",
        name: "client_lag_seconds",
        label: "client lag",
        help: "The worst lateness of the client's event loop while a request ran.",
        formula: "longest wait of a due timer",
        figure: Figure::Request(each(|o| o.client.as_ref()?.lag_seconds.as_ref()?.max)),
        ..GAP
    },
    MetricDef {
        key: "throughput",
        name: "output_throughput_tokens_per_second",
        label: "output token throughput (tok/s)",
        help: "Output tokens per second over all requests in the measurement window.",
        formula: "output tokens in the window ÷ its length",
        peers: ["output_throughput", "output_token_throughput", "output_tokens_per_second", "", ""],
        figure: Figure::Rate(|t| t.output_tokens_per_second),
        show: Show::LOADS,
        ..TOKEN_RATE
    },
    MetricDef {
        key: "requests_s",
        name: "requests_per_second",
        label: "request throughput",
        help: "Requests that did not fail per second in the measurement window; one that lies in it in part counts in part, \
               like its tokens.",
        formula: "requests that did not fail in the window ÷ its length",
        peers: ["request_throughput", "request_throughput", "requests_per_second", "", ""],
        figure: Figure::Rate(|t| Some(t.requests_per_second)),
        ..REQUEST_RATE
    },
    MetricDef {
        key: "target_rate",
        name: "target_requests_per_second",
        label: "target rate",
        better: Better::Neither,
        help: "Requests per second that were to be sent (open loop).",
        formula: "--rate of llm-run",
        peers: ["request_rate", "", "", "", ""],
        figure: Figure::Group(|g| Cell::number(g.rate)),
        announced: true,
        empty: "nothing was sent at a rate (llm-run --rate)",
        ..REQUEST_RATE
    },
    MetricDef {
        key: "sent_rate",
        name: "sent_requests_per_second",
        label: "sent/s",
        better: Better::Neither,
        help: "Requests sent per second in the measurement window: of a rate from send to send, of a level as many as ended.",
        formula: "requests sent in the window ÷ its length",
        figure: Figure::Rate(|t| Some(t.sent_per_second)),
        ..REQUEST_RATE
    },
    MetricDef {
        key: "completed_rate",
        name: "completed_requests_per_second",
        label: "completed/s",
        help: "Requests that ended per second in the measurement window, failed ones included.",
        formula: "requests that ended in the window ÷ its length",
        figure: Figure::Rate(|t| Some(t.ended_per_second)),
        show: Show { page: When::Loads, text: When::Never },
        ..REQUEST_RATE
    },
    MetricDef {
        key: "achieved_concurrency",
        name: "requests_in_flight",
        label: "in flight",
        unit: Some(Unit::Average),
        better: Better::Neither,
        help: "Requests in flight on average, by time, in the measurement window.",
        formula: "time that requests were in flight in the window ÷ its length",
        peers: ["", "", "request_concurrency", "", ""],
        figure: Figure::Rate(|t| Some(t.concurrency)),
        show: Show::LOADS,
        ..SPEED
    },
    MetricDef {
        key: "goodput",
        name: "goodput_ratio",
        label: "goodput",
        unit: Some(Unit::Share),
        better: Better::Higher,
        help: "The share of all requests, failed ones included, that kept every limit of --slo.",
        formula: "requests that kept every limit ÷ all requests",
        figure: Figure::Group(|g| Cell::number(g.goodput.map(|good| good.share))),
        show: Show::SHOWN,
        empty: "no limits were given (--slo)",
        ..SPEED
    },
    MetricDef {
        key: "goodput_rate",
        name: "good_requests_per_second",
        label: "good requests/s",
        help: "Requests that kept every limit of --slo, per second in the measurement window.",
        formula: "requests that kept every limit in the window ÷ its length",
        peers: ["request_goodput", "goodput", "", "", ""],
        figure: Figure::Group(|g| Cell::number(g.goodput.and_then(|good| good.requests_per_second))),
        show: Show::HIDDEN,
        empty: "no limits were given (--slo)",
        ..REQUEST_RATE
    },
];
