//! The result of a request: what is known before it is sent, and what its response adds.

use super::config::RunConfig;
use super::jit_load::load_seconds;
use super::jobs::Job;
use super::planned_request::PlannedRequest;
use crate::clock;
use crate::load::event_loop_lag::EventLoopLag;
use crate::metrics;
use crate::protocol::{Protocol, Response};
use crate::record::{Attempt, Client, Failure, FailureKind, Outcome, Phase, TokenMethod};
use crate::sources;
use std::time::Duration;

/// The result of the next turn before it is sent.
pub fn begin(config: &RunConfig, job: &Job, id: u64, request: &PlannedRequest) -> Box<Outcome> {
    let target = &job.target;
    let (conversation, turn) = request.turn().unzip();
    let key = turn.map_or(job.keys.first(), |turn| job.keys.get(turn as usize - 1));
    let key = key.cloned().unwrap_or_default();
    // A turn with a good result in the resumed run is repeated only for the turns after it.
    let repeated = job.phase == Phase::Measure && config.done.contains(&key);
    // Boxed, because the futures it passes through would each hold it twice.
    let mut result = Box::new(Outcome {
        run: config.run.clone(),
        id,
        key,
        source: Some(target.source),
        model: target.model.id.clone(),
        provider: target.model.provider.clone(),
        pinned_provider: target.model.provider.clone(),
        load_time_seconds: job.load_seconds,
        concurrency: job.level.concurrency(),
        rate: job.level.rate(),
        phase: Some(if repeated { Phase::Warmup } else { job.phase }),
        repetition: Some(job.repetition),
        conversation,
        turn,
        prompt: Some(request.used(job.gpu_setting.clone())),
        ..Outcome::default()
    });
    if repeated {
        result.warnings.push("asked_again".into());
    }
    result
}

/// The result of a request that was due and is not sent: a failure without times.
pub fn not_sent(config: &RunConfig, job: Job, id: u64, reason: String) -> Box<Outcome> {
    let request = PlannedRequest::new(config, &job.target, job.prompt, job.nonce, id);
    let failure = Failure { kind: FailureKind::Cancelled, message: reason.clone(), ..Failure::default() };
    let mut result = Box::new(Outcome {
        run: config.run.clone(),
        id,
        key: job.keys.first().cloned().unwrap_or_default(),
        source: Some(job.target.source),
        model: job.target.model.id.clone(),
        provider: job.target.model.provider.clone(),
        pinned_provider: job.target.model.provider.clone(),
        rate: job.level.rate(),
        phase: Some(job.phase),
        repetition: Some(job.repetition),
        prompt: Some(request.used(job.gpu_setting)),
        error: Some(failure),
        ..Outcome::default()
    });
    result.errors.generation = Some(reason);
    result
}

/// Whether a request was given up before it was sent.
pub fn is_not_sent(result: &Outcome) -> bool {
    let cancelled = |error: &Failure| error.kind == FailureKind::Cancelled;
    result.start_ts.is_none() && result.error.as_ref().is_some_and(cancelled)
}

/// A failed attempt, as the result lists it.
pub fn attempt(response: &Response, wait: Duration) -> Attempt {
    Attempt {
        status: response.status,
        error: response.error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
        wait_seconds: Some(wait.as_secs_f64()),
        ..Attempt::default()
    }
}

/// Adds the response to a result. Returns the text of the answer.
pub fn finish(
    result: &mut Outcome,
    mut response: Response,
    (config, job, request): (&RunConfig, &Job, &PlannedRequest),
    protocol: &'static Protocol,
    lag: &EventLoopLag,
) -> String {
    let lag_at_first = response.answer.chunks.first().and_then(|first| lag.at(first.at.ns));
    if let Some(start) = response.start {
        let lag_seconds = lag.between(start.mono_ns, response.end_ns.max(clock::mono_ns()));
        result.client = Some(Client { lag_seconds });
        if config.save_stream {
            result.stream = Some(metrics::stream(&response.answer.chunks, start.mono_ns));
        }
    }
    // A load inside a request is part of its time to first token, whoever caused it.
    if let Some(seconds) = response.answer.metadata.rest_stats.as_ref().and_then(load_seconds) {
        result.load_time_seconds.get_or_insert(Some(seconds));
        result.warnings.push("loaded_by_request".into());
    }
    for name in protocol.unsupported(request.parameters()) {
        result.warnings.push(format!("{name}_not_sent"));
    }
    let unauthorized = response.error.as_mut().filter(|error| error.status == Some(401));
    if let Some(error) = unauthorized.filter(|_| job.target.key.is_none()) {
        error.message += &sources::kind(job.target.source).no_key_sent();
    }
    let text = std::mem::take(&mut response.answer.text);
    metrics::fill(result, response, &job.target.addressed(), request.parameters(), protocol);
    warn_of_lengths(result);
    warn_of_lag(result, lag_at_first);
    if config.save_text {
        result.text = Some(text.clone());
    }
    text
}

fn warn_of_lengths(result: &mut Outcome) {
    let warnings: Vec<String> = length_warnings(result).map(str::to_owned).collect();
    result.warnings.extend(warnings);
    let output = result.tokens.as_ref().and_then(|tokens| tokens.output);
    let wanted = result.prompt.as_ref().and_then(|prompt| prompt.wanted_output_tokens);
    if output.is_some() && wanted == output {
        // It was to end there.
        result.warnings.retain(|word| word != "truncated_by_length");
    }
}

/// The lag matters where it could have moved the first token by a twentieth: at the first token, or
/// usually while the request ran.
fn warn_of_lag(result: &mut Outcome, lag_at_first: Option<f64>) {
    let lag = result.client.as_ref().and_then(|client| client.lag_seconds.as_ref());
    let lag = lag.and_then(|lag| lag.p99).into_iter().chain(lag_at_first).reduce(f64::max);
    if lag.zip(result.ttft_seconds).is_some_and(|(lag, ttft)| lag > 0.001 && lag > ttft * 0.05) {
        result.warnings.push("client_lag".into());
    }
}

/// Warns of lengths that differ from those of a synthetic prompt, as far as the server counted.
fn length_warnings(result: &Outcome) -> impl Iterator<Item = &'static str> + use<> {
    let wanted = result.prompt.as_ref().filter(|_| result.error.is_none());
    let tokens = result.tokens.as_ref().filter(|tokens| tokens.method != Some(TokenMethod::Chunks));
    let differs = |wanted: Option<u64>, got: Option<u64>| wanted.zip(got).is_some_and(|(wanted, got)| wanted != got);
    let input = differs(wanted.and_then(|p| p.wanted_input_tokens), tokens.and_then(|t| t.input));
    let output = differs(wanted.and_then(|p| p.wanted_output_tokens), tokens.and_then(|t| t.output));
    [(input, "input_length_differs"), (output, "output_length_differs")]
        .into_iter()
        .filter_map(|(differs, word)| differs.then_some(word))
}
