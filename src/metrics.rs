//! From stamps to the numbers of a `result`: each formula once, with what makes it undefined.
//!
//! Chunks are not tokens: counts come from the server, and the record says from where. A number that cannot be known is
//! null or absent. The formulas and their sources are in `docs/benchmarking.md`.

use crate::clock;
use crate::protocol::{Chunk, ChunkKind, Parameters, Protocol, Response, StreamedAnswer, usage};
use crate::record::{
    Chunks, Cost, CostMethod, Derived, Errors, FirstTokens, Model, Outcome, Quantiles, Timing, TokenMethod, Tokens,
};
use crate::sources;
use crate::sources::openrouter::usage::{charge, same_provider, tried_several_providers};
use crate::stats::{self, Histogram};
use serde_json::{Map, Value};

/// Fills in the numbers of a response. The caller has filled in the request, its schedule and its endpoint.
pub fn fill(outcome: &mut Outcome, response: Response, model: &Model, parameters: &Parameters, protocol: &Protocol) {
    let Response { start, connect_seconds, headers_ns, end_ns, reads, mut answer, error, .. } = response;
    let mut timing = Timing { connect: connect_seconds, ..outcome.timing_seconds.take().unwrap_or_default() };
    if let Some(start) = start {
        let offset = |ns: u64| clock::between(start.mono_ns, ns);
        outcome.start_ts = Some(start.ts);
        outcome.start_mono = Some(start.mono());
        outcome.timestamp = clock::rfc3339(start.ts);
        timing.headers = headers_ns.map(offset);
        timing.end = Some(offset(end_ns));
        timing.first_event = answer.first_event.map(|at| offset(at.ns)).filter(|_| !answer.whole);
        if !answer.whole {
            let of = |chunk: Option<&Chunk>| chunk.map(|chunk| offset(chunk.at.ns));
            timing.first_token = of(answer.chunks.first());
            timing.first_output_token = of(answer.chunks.iter().find(|chunk| chunk.kind != ChunkKind::Reasoning));
            timing.last_token = of(answer.chunks.last());
        }
    }
    outcome.ttft_seconds = timing.first_token;
    outcome.time_to_first_output_token_seconds = timing.first_output_token;
    if let Some(scheduled) = timing.scheduled {
        outcome.ttft_scheduled_seconds = Some(timing.first_token.map(|first| first - scheduled));
    }
    outcome.generation_time_seconds = timing.end.filter(|_| error.is_none());

    let tokens = usage::tokens(&answer, protocol.usage);
    let first = first_tokens(&answer, tokens.output);
    if timing.last_token > timing.first_token
        && let (Some(from), Some(to), Some(output)) = (timing.first_token, timing.last_token, tokens.output)
        && tokens.method != Some(TokenMethod::Chunks)
    {
        let rest = output as f64 - first.as_ref().map_or(1.0, |first| first.tokens);
        outcome.tpot_corrected_seconds = (rest >= 0.5).then(|| (to - from) / rest);
        outcome.tpot_seconds = (output >= 2).then(|| (to - from) / (output - 1) as f64);
    }
    outcome.inter_chunk_latency_seconds = inter_chunk_latency(&answer.chunks);
    outcome.derived = derived(outcome, &answer, &tokens);
    outcome.cost = cost(&answer, &tokens, model);
    outcome.timing_seconds = start.map(|_| timing);

    outcome.warnings.extend(warnings(&answer, &tokens, outcome, model, parameters, error.is_none()).map(str::to_owned));
    if start.is_some() && (headers_ns.is_some() || error.is_none()) {
        outcome.chunks = (!answer.whole).then(|| Chunks {
            count: answer.chunks.len() as u64,
            reads: Some(reads),
            max_per_read: Some(most_per_read(&answer.chunks)),
            first_tokens: first,
            ..Chunks::default()
        });
        let counted = tokens.output.is_some() || tokens.input.is_some();
        outcome.tokens = counted.then_some(tokens);
    }
    outcome.served_model = answer.metadata.served_model.take();
    outcome.provider = answer.metadata.provider.take().or_else(|| outcome.provider.take());
    outcome.generation_id = answer.metadata.generation_id.take();
    outcome.finish_reason = answer.metadata.finish_reason.take();
    outcome.native_finish_reason = answer.metadata.native_finish_reason.take();
    (outcome.usage, outcome.rest_stats) = (answer.metadata.usage.take(), answer.metadata.rest_stats.take());
    (outcome.model_info, outcome.runtime) = (answer.metadata.model_info.take(), answer.metadata.runtime.take());
    outcome.timings = answer.metadata.timings.take();
    let fields = std::mem::take(&mut answer.metadata.server_fields).into_iter();
    let fields: Map<String, Value> =
        fields.filter_map(|(name, raw)| Some((name, serde_json::from_str(&raw).ok()?))).collect();
    outcome.server_fields = (!fields.is_empty()).then_some(fields);
    outcome.openrouter_metadata = answer.metadata.openrouter_metadata.take();
    outcome.errors = Errors { generation: error.as_ref().map(|error| error.message.clone()), ..outcome.errors.clone() };
    outcome.error = error;
}

/// The recorded stream of an answer: offset from `start_ns` in seconds, bytes, kind.
pub fn stream(chunks: &[Chunk], start_ns: u64) -> Vec<(f64, u64, String)> {
    chunks
        .iter()
        .map(|chunk| (clock::between(start_ns, chunk.at.ns), u64::from(chunk.bytes), chunk.kind.to_string()))
        .collect()
}

/// Tokens of the first chunk: as the server reports them; one, where there are as many chunks as tokens; else by its share of the text.
fn first_tokens(answer: &StreamedAnswer, output: Option<u64>) -> Option<FirstTokens> {
    if let Some(n) = answer.metadata.first_chunk_tokens {
        return Some(FirstTokens { tokens: n as f64, exact: true, ..FirstTokens::default() });
    }
    let (first, output) = (answer.chunks.first()?, output? as f64);
    let chunks = answer.chunks.len() as f64;
    if output <= chunks {
        return Some(FirstTokens { tokens: 1.0, ..FirstTokens::default() });
    }
    let bytes: f64 = answer.chunks.iter().map(|chunk| f64::from(chunk.bytes)).sum();
    Some(FirstTokens { tokens: (output * f64::from(first.bytes) / bytes).max(1.0), ..FirstTokens::default() })
}

fn inter_chunk_latency(chunks: &[Chunk]) -> Option<Quantiles> {
    let gaps = || chunks.windows(2).map(|pair| pair[1].at.ns.saturating_sub(pair[0].at.ns));
    let quantiles = stats::quantiles(gaps().map(|ns| ns as f64 / 1e9))?;
    let mut histogram = Histogram::new();
    gaps().for_each(|ns| histogram.add_ns(ns));
    Some(Quantiles { histogram: Some(histogram.encode()), ..quantiles })
}

fn most_per_read(chunks: &[Chunk]) -> u64 {
    chunks.chunk_by(|a, b| a.at.read == b.at.read).map(|group| group.len() as u64).max().unwrap_or(0)
}

fn derived(outcome: &Outcome, answer: &StreamedAnswer, tokens: &Tokens) -> Option<Derived> {
    let output = tokens.output.filter(|_| tokens.method != Some(TokenMethod::Chunks)).map(|n| n as f64);
    let rate = |n: Option<f64>, seconds: Option<f64>| Some(n? / seconds.filter(|s| *s > 0.0)?);
    let per_second = rate(output, outcome.generation_time_seconds);
    let server_rate = sources::has_rate(&answer.metadata);
    let derived = Derived {
        tokens_per_second: per_second,
        decode_tokens_per_second: outcome.tpot_corrected_seconds.filter(|s| *s > 0.0).map(|s| 1.0 / s),
        prompt_tokens_per_second: rate(
            tokens.input.and_then(|input| input.checked_sub(tokens.cached.unwrap_or(0))).map(|n| n as f64),
            outcome.ttft_seconds,
        ),
        tokens_per_second_fallback: per_second.filter(|_| !server_rate),
        ..Derived::default()
    };
    (derived != Derived::default()).then_some(derived)
}

/// What the server charged; else its prices times its counts. Prices without counts are no cost.
fn cost(answer: &StreamedAnswer, tokens: &Tokens, model: &Model) -> Option<Cost> {
    if let Some(usd) = answer.metadata.usage.as_ref().and_then(charge) {
        return Some(Cost { usd, method: Some(CostMethod::Usage), ..Cost::default() });
    }
    let pricing = model.pricing.as_ref()?;
    let price = |text: &Option<String>| text.as_deref()?.parse::<f64>().ok().filter(|price| (0.0..1e6).contains(price));
    if tokens.method == Some(TokenMethod::Chunks) {
        return None;
    }
    let usd = tokens.input? as f64 * price(&pricing.prompt_usd_per_token)?
        + tokens.output? as f64 * price(&pricing.completion_usd_per_token)?
        + pricing.request_usd.as_ref().map_or(Some(0.0), |_| price(&pricing.request_usd))?;
    Some(Cost { usd, method: Some(CostMethod::Pricing), ..Cost::default() })
}

fn warnings<'a>(
    answer: &'a StreamedAnswer,
    tokens: &Tokens,
    outcome: &Outcome,
    model: &Model,
    parameters: &Parameters,
    succeeded: bool,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let mut warnings: Vec<&'a str> = answer.metadata.warnings.iter().copied().collect();
    let mut warn = |doubt: bool, word: &'static str| {
        if doubt {
            warnings.push(word);
        }
    };
    // A chat template is a prefix that every prompt shares: a few tokens of it in a cache warm nothing.
    let cached = tokens.cached.zip(tokens.input).is_some_and(|(cached, input)| cached * 10 > input);
    warn(cached, "cached_prompt");
    let cut = parameters.max_tokens.is_some_and(|max| tokens.output.is_some_and(|n| n >= max));
    warn(
        answer.metadata.finish_reason.as_deref() == Some("length") || (answer.metadata.finish_reason.is_none() && cut),
        "truncated_by_length",
    );
    warn(
        answer.metadata.served_model.as_deref().is_some_and(|served| !same_model(&model.id, served)),
        "served_other_model",
    );
    let pinned = model.provider.as_deref().zip(answer.metadata.provider.as_deref());
    let other = pinned.is_some_and(|(tag, served)| !same_provider(tag, model.provider_name.as_deref(), served));
    warn(other, "served_other_provider");
    warn(answer.metadata.openrouter_metadata.as_ref().is_some_and(tried_several_providers), "provider_retried");
    warn(succeeded && tokens.method == Some(TokenMethod::Chunks), "usage_missing");
    warn(succeeded && answer.whole && parameters.stream, "not_streamed");
    warn(succeeded && answer.chunks.is_empty(), "empty_answer");
    // Many chunks in one read, and nearly all of the time before it: something on the way collected the stream.
    let spread = outcome.inter_chunk_latency_seconds.as_ref().and_then(|itl| Some(itl.mean? * itl.count as f64));
    let buffered = most_per_read(&answer.chunks) as usize * 2 > answer.chunks.len()
        && answer.chunks.len() >= 8
        && spread.zip(outcome.ttft_seconds).is_some_and(|(spread, ttft)| spread < 0.05 * ttft);
    warn(buffered, "buffered_stream");
    warnings.into_iter()
}

/// Whether a server means the same model: instances are numbered, vendors and variants come and go, dates are appended.
fn same_model(asked: &str, served: &str) -> bool {
    let plain = |id: &str| {
        let id = id.rsplit('/').next().unwrap_or(id).to_lowercase();
        let id = id.split([':', '@']).next().unwrap_or(&id).to_owned();
        id.trim_end_matches(".gguf").to_owned()
    };
    let (asked_plain, served_plain) = (plain(asked), plain(served));
    let router = asked.starts_with("openrouter/") || asked.starts_with('~');
    router || served_plain.starts_with(&asked_plain) || asked_plain.starts_with(&served_plain)
}

#[cfg(test)]
mod tests;
