//! One request of a run: put into the server's dialect, sent, tried again where that may help, turned into its result.

use super::jobs::Job;
use super::progress::Flight;
use super::{Asking, Event, Shared, Stop, Target};
use crate::chat::{self, Call, Dialect, Question, Told, ask, metrics};
use crate::clock::{self, Stamp};
use crate::http::{no_key_sent, shown};
use crate::load::event_loop::EventLoop;
use crate::record::{
    Attempt, Client, FailureKind, Load, LoadTimeSource, Loader, Outcome, Phase, Source, Start, Timing, TokenSource,
};
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The shortest wait before the same request is sent again, whatever a server asks.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);

/// How often it is noted how far an answer is, in nanoseconds: eyes see no more.
const SHOWN_NS: u64 = 50_000_000;

/// The longest that a server's `Retry-After` is obeyed; a longer one ends the request.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Sends the turn of a job that is next; returns its result and the answer's text.
pub async fn perform(
    shared: &Arc<Shared>,
    on: &EventLoop,
    job: &Job,
    id: u64,
    asking: &Asking,
) -> (Box<Outcome>, String) {
    let settings = &shared.settings;
    let target = &job.target;
    let flight = Arc::new(Flight::new(id, &target.model.id));
    let text = asking.text();
    let addressed = target.addressed();
    let question = asking.question(target, &addressed, &text);
    let (conversation, turn) = asking.turn().unzip();
    let key = turn.map_or(job.keys.first(), |turn| job.keys.get(turn as usize - 1)).cloned().unwrap_or_default();
    // A turn that was answered well in the run that is resumed is asked once more only for the turns after it.
    let again = job.phase == Phase::Measure && settings.done.contains(&key);
    // It is handed on through several hands, each of which would hold it twice while it waits.
    let mut outcome = Box::new(Outcome {
        run: settings.run.clone(),
        id,
        key,
        source: Some(target.source),
        model: target.model.id.clone(),
        provider: target.model.provider.clone(),
        pinned_provider: target.model.provider.clone(),
        load_time_seconds: job.load_seconds,
        concurrency: job.level.concurrency(),
        rate: job.level.rate(),
        phase: Some(if again { Phase::Warmup } else { job.phase }),
        repetition: Some(job.repeat),
        conversation,
        turn,
        prompt: Some(asking.used(job.gpu_setting.clone())),
        ..Outcome::default()
    });
    if again {
        outcome.warnings.push("asked_again".into());
    }

    let dialects = settings.api.dialects(target.source);
    let mut spoken = target.dialect.load(Ordering::Relaxed);
    while spoken + 1 < dialects.len() && !asking.speaks(dialects[spoken]) {
        spoken += 1;
    }
    let (sent, on_its_way) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
    let load_told = Arc::new(AtomicBool::new(false));
    // What came of the try before, and whether it stands among the attempts.
    let mut before: Option<Box<(Told, Dialect, bool)>> = None;
    let (told, dialect) = loop {
        let dialect = dialects[spoken];
        on_its_way.store(false, Ordering::Relaxed);
        let newer_limit = target.newer_limit.load(Ordering::Relaxed);
        let call = call(shared, job, &question, dialect, newer_limit, id);
        outcome.endpoint = Some(shown(&call.url));
        let on_start = |stamp: Stamp| {
            on_its_way.store(true, Ordering::Relaxed);
            if !sent.swap(true, Ordering::Relaxed) {
                outcome.in_flight = Some(shared.in_flight.fetch_add(1, Ordering::Relaxed) + 1);
                shared.meter.sent(stamp.mono_ns, job.phase);
                shared.tell(Event::Running(Arc::clone(&flight)));
            }
            flight.sent(stamp.mono_ns);
            let run = Some(settings.run.clone());
            shared.tell(Event::Start(Start { id, run, start_ts: stamp.ts, start_mono: Some(stamp.mono()) }));
        };
        let on_piece = {
            let (shared, target) = (Arc::clone(shared), Arc::clone(target));
            let (flight, load_told) = (Arc::clone(&flight), Arc::clone(&load_told));
            let mut shown_ns = 0;
            move |answer: &chat::Answer| {
                // A server that loads tells how far it is.
                if answer.progress > 0
                    && let Some(load) = jit_load(&shared.settings.run, &target, answer)
                    && !load_told.swap(true, Ordering::Relaxed)
                {
                    shared.tell(Event::Load(Box::new(load)));
                }
                // Nobody looks more often.
                if let Some(last) = answer.chunks.last().filter(|last| last.at.ns >= shown_ns) {
                    flight.piece(answer);
                    shown_ns = last.at.ns + SHOWN_NS;
                }
            }
        };
        // What is on its way may finish; what waits for its time or its connection is not sent any more, a second try included.
        let far = {
            let on_its_way = Arc::clone(&on_its_way);
            move || if on_its_way.load(Ordering::Relaxed) { Stop::Leave } else { Stop::Drain }
        };
        let cancelled = Arc::clone(&on.halt).at(far);
        let told = ask(&on.connections, &call, settings.limits, cancelled, on_start, on_piece).await;
        if told.start.is_none()
            && told.error.as_ref().is_some_and(|error| error.kind == FailureKind::Cancelled)
            && let Some(last) = before.take()
        {
            // A try that was never written changes nothing: the one before it is what came of the request.
            let (told, dialect, listed) = *last;
            if listed {
                outcome.attempts.pop();
            }
            break (told, dialect);
        }
        if metrics::endpoint_missing(&told) && spoken + 1 < dialects.len() {
            spoken += 1;
            target.dialect.fetch_max(spoken, Ordering::Relaxed);
            before = Some(Box::new((told, dialect, false)));
            continue;
        }
        if !newer_limit && !shared.stopped() && metrics::limit_refused(&told) {
            // OpenAI's reasoning models, wherever they are served: they say under which name they take the limit.
            target.newer_limit.store(true, Ordering::Relaxed);
            outcome.attempts.push(attempt(&told, Duration::ZERO));
            before = Some(Box::new((told, dialect, true)));
            continue;
        }
        match wait_before_retry(&told, outcome.attempts.len() as u32, settings.retries, id) {
            Some(wait) if !shared.stopped() => {
                flight.waits();
                tokio::select! {
                    biased;
                    // No more is sent, a second try included.
                    () = shared.stop_at(Stop::Drain) => break (told, dialect),
                    () = tokio::time::sleep(wait) => {}
                }
                outcome.attempts.push(attempt(&told, wait));
                before = Some(Box::new((told, dialect, true)));
            }
            _ => break (told, dialect),
        }
    };
    if sent.load(Ordering::Relaxed) {
        shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        shared.meter.ended(told.end_ns);
    }
    outcome.api = Some(dialect.to_string());
    if let (Some(due), Some(start)) = (job.due_ns, told.start) {
        let scheduled = Some(-clock::between(due, start.mono_ns));
        outcome.timing_seconds = Some(Timing { scheduled, ..Timing::default() });
    }
    if told.start.is_some() {
        on.lag.known_until(told.end_ns).await;
    }
    let answer = finish(shared, on, &mut outcome, told, job, asking, dialect);
    (outcome, answer)
}

fn finish(
    shared: &Shared,
    on: &EventLoop,
    outcome: &mut Outcome,
    mut told: Told,
    job: &Job,
    asking: &Asking,
    dialect: Dialect,
) -> String {
    let settings = &shared.settings;
    let at_first = told.answer.chunks.first().and_then(|first| on.lag.at(first.at.ns));
    if let Some(start) = told.start {
        outcome.client = Some(Client { lag_seconds: on.lag.between(start.mono_ns, told.end_ns.max(clock::mono_ns())) });
        if settings.save_stream {
            outcome.stream = Some(metrics::stream(&told.answer.chunks, start.mono_ns));
        }
    }
    // A load inside a request is part of its time to first token, whoever was to load.
    if let Some(seconds) = told.answer.said.rest_stats.as_ref().and_then(loaded_seconds) {
        outcome.load_time_seconds.get_or_insert(Some(seconds));
        outcome.warnings.push("loaded_by_request".into());
    }
    for name in dialect.unsupported(asking.parameters()) {
        outcome.warnings.push(format!("{name}_not_sent"));
    }
    if let Some(why) = told.error.as_mut().filter(|why| why.status == Some(401) && job.target.key.is_none()) {
        why.message += &no_key_sent(job.target.source);
    }
    let answer = std::mem::take(&mut told.answer.text);
    metrics::fill(outcome, told, &job.target.addressed(), asking.parameters(), dialect);
    outcome.warnings.extend(lengths(outcome).map(str::to_owned));
    let output = outcome.tokens.as_ref().and_then(|tokens| tokens.output);
    if output.is_some() && outcome.prompt.as_ref().is_some_and(|prompt| prompt.wanted_output_tokens == output) {
        // It was to end there.
        outcome.warnings.retain(|word| word != "truncated_by_length");
    }
    if settings.save_text {
        outcome.text = Some(answer.clone());
    }
    // The lag matters where it could have moved the first token by a twentieth: then, or as a rule while the request ran.
    let usual = outcome.client.as_ref().and_then(|client| client.lag_seconds.as_ref()).and_then(|lag| lag.p99);
    let lag = usual.into_iter().chain(at_first).reduce(f64::max);
    if lag.zip(outcome.ttft_seconds).is_some_and(|(lag, ttft)| lag > 0.001 && lag > ttft * 0.05) {
        outcome.warnings.push("client_lag".into());
    }
    answer
}

/// Whether the lengths that a synthetic prompt was to have came about, as far as the server counted.
fn lengths(outcome: &Outcome) -> impl Iterator<Item = &'static str> + use<> {
    let wanted = outcome.prompt.as_ref().filter(|_| outcome.error.is_none());
    let tokens = outcome.tokens.as_ref().filter(|tokens| tokens.source != Some(TokenSource::Chunks));
    let differs = |wanted: Option<u64>, got: Option<u64>| wanted.zip(got).is_some_and(|(wanted, got)| wanted != got);
    let input = differs(wanted.and_then(|p| p.wanted_input_tokens), tokens.and_then(|t| t.input));
    let output = differs(wanted.and_then(|p| p.wanted_output_tokens), tokens.and_then(|t| t.output));
    [(input, "input_length_differs"), (output, "output_length_differs")]
        .into_iter()
        .filter_map(|(differs, word)| differs.then_some(word))
}

fn attempt(told: &Told, wait: Duration) -> Attempt {
    Attempt {
        status: told.status,
        error: told.error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
        wait_seconds: Some(wait.as_secs_f64()),
    }
}

fn call(shared: &Shared, job: &Job, question: &Question, dialect: Dialect, newer_limit: bool, id: u64) -> Call {
    let target = &job.target;
    let mut body = dialect.body(question);
    if newer_limit && let Some(limit) = body.shift_remove("max_tokens") {
        body.insert("max_completion_tokens".into(), limit);
    }
    let mut headers = Vec::new();
    if target.source == Source::Openrouter {
        headers.push(("x-openrouter-title", "llm-bench".to_owned()));
        // Which providers were tried: the time of those that failed is in the answer's.
        headers.push(("x-openrouter-metadata", "enabled".to_owned()));
    }
    Call {
        dialect,
        url: dialect.url(target.source, &target.base_url),
        body: Bytes::from(Value::Object(body).to_string()),
        request_id: format!("{}-{id}", shared.settings.run),
        key: target.key.clone(),
        headers,
        not_before_ns: job.due_ns,
    }
}

fn loaded_seconds(stats: &Value) -> Option<f64> {
    stats.get("model_load_time_seconds").and_then(Value::as_f64).filter(|seconds| (0.0..1e6).contains(seconds))
}

/// The load that a server made of itself, because a request named a model that was not there: told when it is done, by a
/// server that tells of it (LM Studio's native chat). There is no baseline before it.
fn jit_load(run: &str, target: &Target, answer: &chat::Answer) -> Option<Load> {
    let stats = answer.said.rest_stats.as_ref()?;
    let mono = |name: &str| stats.get(name).and_then(Value::as_f64);
    let (started_mono, ended_mono) = (mono("model_load_start_mono")?, mono("model_load_end_mono")?);
    let now = Stamp::now();
    let ts = |mono: f64| clock::micros(now.ts - (now.mono() - mono));
    Some(Load {
        run: run.to_owned(),
        source: target.source,
        model: target.model.id.clone(),
        baseline_ts: None,
        baseline_mono: None,
        started_ts: ts(started_mono),
        started_mono,
        ended_ts: ts(ended_mono),
        ended_mono,
        load_time_seconds: loaded_seconds(stats),
        load_time_source: loaded_seconds(stats).map(|_| LoadTimeSource::Server),
        loader: Loader::Jit,
        gpu_setting: None,
        context_length: None,
        instance: answer.said.served_model.clone().filter(|name| *name != target.model.id),
        error: None,
    })
}

/// How long to wait before the same request is sent again; `None` when it is not to be. Only what may be repeated: nothing
/// of an answer came, and the failure is one that passes (408, 429, 5xx, no connection).
fn wait_before_retry(told: &Told, tried: u32, retries: u32, id: u64) -> Option<Duration> {
    let error = told.error.as_ref()?;
    let passes = match error.kind {
        FailureKind::Connect | FailureKind::RateLimit | FailureKind::Server => error.retryable,
        // A limit of ours has no status; a 408 is the server's, as a status or inside a 200.
        FailureKind::Timeout => error.status.is_some() && error.retryable,
        _ => false,
    };
    if !passes || !told.answer.chunks.is_empty() || tried >= retries {
        return None;
    }
    // Half to all of 1, 2, 4 … seconds; or what is asked for, and up to a tenth more: requests that failed together do not
    // come back together.
    let number = id.wrapping_mul(31).wrapping_add(u64::from(tried));
    let share = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / f64::from(1 << 24);
    let backoff = Duration::from_secs_f64(2f64.powi(tried.min(6) as i32) * (0.5 + share / 2.0));
    match told.retry_after {
        None => Some(backoff),
        Some(asked) if asked > LONGEST_WAIT => None,
        Some(asked) => Some(asked.mul_f64(1.0 + share / 10.0).max(SHORTEST_WAIT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Answer, Arrival};
    use crate::record::Failure;

    fn told(kind: FailureKind, status: Option<u16>, retryable: bool) -> Told {
        Told {
            start: None,
            connect_seconds: None,
            headers_ns: None,
            end_ns: 0,
            status,
            answer: Answer::default(),
            reads: 0,
            error: Some(Failure { kind, status, message: "x".into(), retryable }),
            retry_after: None,
        }
    }

    #[test]
    fn only_what_may_be_repeated_is_repeated() {
        for (kind, status, retryable, expect) in [
            (FailureKind::RateLimit, Some(429), true, true),
            (FailureKind::Server, Some(503), true, true),
            (FailureKind::Timeout, Some(408), true, true),
            (FailureKind::Timeout, Some(200), true, true),
            (FailureKind::Server, Some(503), false, false),
            (FailureKind::Refused, Some(402), false, false),
            (FailureKind::Connect, None, true, true),
            (FailureKind::Timeout, None, true, false),
            (FailureKind::IdleTimeout, None, true, false),
            (FailureKind::Refused, Some(429), false, false),
            (FailureKind::Refused, Some(401), false, false),
            (FailureKind::Truncated, None, true, false),
        ] {
            assert_eq!(
                wait_before_retry(&told(kind, status, retryable), 0, 2, 1).is_some(),
                expect,
                "{kind:?} {status:?}"
            );
        }
        assert_eq!(wait_before_retry(&told(FailureKind::RateLimit, Some(429), true), 2, 2, 1), None);
        let mut begun = told(FailureKind::Server, Some(200), true);
        begun.answer.event(Arrival::default());
        begun.answer.content(Arrival::default(), "a");
        assert_eq!(wait_before_retry(&begun, 0, 2, 1), None);
    }

    #[test]
    fn the_server_s_wish_is_obeyed_unless_it_is_too_long() {
        let mut limited = told(FailureKind::RateLimit, Some(429), true);
        limited.retry_after = Some(Duration::from_secs(7));
        let waits: Vec<_> = (1..100).map(|id| wait_before_retry(&limited, 0, 2, id).unwrap()).collect();
        let range = Duration::from_secs(7)..=Duration::from_millis(7700);
        assert!(waits.iter().all(|wait| range.contains(wait)), "{waits:?}");
        let different: std::collections::HashSet<_> = waits.iter().collect();
        assert!(different.len() > 90, "they do not come back together");
        limited.retry_after = Some(Duration::from_secs(3600));
        assert_eq!(wait_before_retry(&limited, 0, 2, 1), None);
        let backoff = wait_before_retry(&told(FailureKind::Server, Some(500), true), 1, 2, 9).unwrap();
        assert!(backoff >= Duration::from_secs(1) && backoff <= Duration::from_secs(2), "{backoff:?}");
    }
}
