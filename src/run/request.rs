//! One request of a run: sent in a protocol of its server, repeated where that may help, and turned
//! into its result.

use super::config::Target;
use super::context::RunContext;
use super::event::Event;
use super::fallback::Fallback;
use super::jit_load::jit_load;
use super::jobs::Job;
use super::planned_request::PlannedRequest;
use super::progress::RequestProgress;
use super::result;
use super::retry::{Attempt, NextStep, next_step};
use crate::clock::{self, Stamp};
use crate::http::shown;
use crate::load::event_loop::EventLoop;
use crate::load::shutdown::Shutdown;
use crate::protocol::{
    Cancellation, ChatRequest, ExchangeEvent, HttpRequest, Protocol, Response, StreamedAnswer, TimedExchange,
};
use crate::record::{Outcome, Phase, Start, Timing};
use crate::sources;
use bytes::Bytes;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often the progress of an answer is updated, in nanoseconds.
const PROGRESS_INTERVAL_NS: u64 = 50_000_000;

/// The next turn of a job, in the event loop that sends it.
pub struct Sender<'a> {
    pub run: &'a Arc<RunContext>,
    pub event_loop: &'a EventLoop,
    pub job: &'a Job,
    pub request: &'a PlannedRequest,
    pub id: u64,
}

/// A response and how it was asked for.
struct Attempted {
    response: Response,
    protocol: &'static Protocol,
    /// Whether the result lists it among its attempts.
    listed: bool,
}

impl Sender<'_> {
    /// Sends the turn. Returns its result and the text of the answer.
    pub async fn send(&self) -> (Box<Outcome>, String) {
        let (run, job) = (self.run, self.job);
        let mut result = result::begin(&run.config, job, self.id, self.request);
        let mut observer = Observer::new(self);
        let Attempted { response, protocol, .. } = self.attempts(&mut result, &mut observer).await;
        if observer.in_flight.is_some() {
            run.end_request();
            run.level.ended(response.end_ns);
        }
        result.in_flight = observer.in_flight;
        result.api = Some(protocol.to_string());
        if let (Some(due), Some(start)) = (job.due_ns, response.start) {
            let scheduled = Some(-clock::between(due, start.mono_ns));
            result.timing_seconds = Some(Timing { scheduled, ..Timing::default() });
        }
        let lag = &self.event_loop.lag;
        if response.start.is_some() {
            lag.known_until(response.end_ns).await;
        }
        let plan = (&run.config, job, self.request);
        let text = result::finish(&mut result, response, plan, protocol, lag);
        (result, text)
    }

    /// Sends the turn until it has a response that stands.
    async fn attempts(&self, result: &mut Outcome, observer: &mut Observer) -> Attempted {
        let (run, target) = (self.run, &self.job.target);
        let protocols = run.config.api.dialects(target.source);
        let mut fallback = Fallback::new(target, protocols, |protocol| self.request.fits(protocol));
        let mut before: Option<Box<Attempted>> = None;
        loop {
            let protocol = fallback.protocol();
            let limit_renamed = target.newer_limit.load(Ordering::Relaxed);
            let call = self.call(protocol, limit_renamed);
            result.endpoint = Some(shown(&call.url));
            let response = self.exchange(call, observer).await;
            let mut attempted = Attempted { response, protocol, listed: false };
            if attempted.is_not_sent()
                && let Some(before) = before.take()
            {
                // An attempt that was never sent changes nothing.
                if before.listed {
                    result.attempts.pop();
                }
                return *before;
            }
            let attempt = Attempt {
                number: result.attempts.len() as u32,
                jitter: rand::random(),
                other_protocol: fallback.has_next(),
                limit_renamed,
                shutdown: run.shutdown.is_requested(),
            };
            let wait = match next_step(&attempted.response, attempt, run.config.retries) {
                NextStep::Finish => return attempted,
                NextStep::NextProtocol => {
                    fallback.advance();
                    before = Some(Box::new(attempted));
                    continue;
                }
                NextStep::RenameLimit => {
                    target.newer_limit.store(true, Ordering::Relaxed);
                    Duration::ZERO
                }
                NextStep::RetryAfter(wait) => {
                    observer.progress.waiting();
                    tokio::select! {
                        biased;
                        () = run.shutdown.requested() => return attempted,
                        () = tokio::time::sleep(wait) => wait,
                    }
                }
            };
            result.attempts.push(result::attempt(&attempted.response, wait));
            attempted.listed = true;
            before = Some(Box::new(attempted));
        }
    }

    /// Sends a request once and reads its response.
    async fn exchange(&self, call: HttpRequest, observer: &mut Observer) -> Response {
        let (event_loop, limits) = (self.event_loop, self.run.config.limits);
        // A request in flight may finish; one that waits for its time or its connection is not sent.
        let cancellation = Cancellation {
            before_sent: event_loop.shutdown.token(Shutdown::Graceful).clone(),
            after_sent: event_loop.shutdown.token(Shutdown::Immediate).clone(),
        };
        let connections = Arc::clone(&event_loop.connections);
        let mut exchange = TimedExchange::new(connections, call, limits, cancellation);
        // Moved into the task, beside what a chunk touches anyway.
        let mut observing = observer.clone();
        let (response, observed) = own_task(async move {
            loop {
                match exchange.next().await {
                    ExchangeEvent::Sent(start) => observing.sent(start),
                    ExchangeEvent::Chunk => observing.chunk(exchange.answer()),
                    ExchangeEvent::Done => break,
                }
            }
            let response = exchange.finish();
            // The last chunk may have ended the response.
            observing.chunk(&response.answer);
            (response, observing)
        })
        .await;
        *observer = observed;
        response
    }

    fn call(&self, protocol: &'static Protocol, limit_renamed: bool) -> HttpRequest {
        let target = &self.job.target;
        let (text, addressed) = (self.request.text(), target.addressed());
        let question: ChatRequest = self.request.question(target, &addressed, &text);
        let mut body = protocol.body(&question);
        if limit_renamed && let Some(limit) = body.shift_remove("max_tokens") {
            body.insert("max_completion_tokens".into(), limit);
        }
        HttpRequest {
            dialect: protocol,
            url: protocol.url(&target.base_url),
            body: Bytes::from(Value::Object(body).to_string()),
            request_id: format!("{}-{}", self.run.config.run, self.id),
            key: target.key.clone(),
            headers: sources::kind(target.source).headers,
            not_before_ns: self.job.due_ns,
        }
    }
}

impl Attempted {
    fn is_not_sent(&self) -> bool {
        use crate::record::FailureKind::Cancelled;
        let error = self.response.error.as_ref();
        self.response.start.is_none() && error.is_some_and(|error| error.kind == Cancelled)
    }
}

/// Runs a future as its own task in this event loop, until its caller stops waiting. With many
/// streams most of the cost of a chunk is cold memory: it wakes a small task, and the memory of the
/// caller is not touched.
async fn own_task<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(future);
    match task.join_next().await {
        Some(Ok(output)) => output,
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The event loop ends.
        Some(Err(_)) | None => std::future::pending().await,
    }
}

/// Reports the events of an exchange: its starts, its progress, and a model load it caused.
#[derive(Clone)]
struct Observer {
    run: Arc<RunContext>,
    target: Arc<Target>,
    progress: Arc<RequestProgress>,
    id: u64,
    phase: Phase,
    /// How many requests were in flight with it when it was sent first.
    in_flight: Option<u64>,
    load_reported: bool,
    /// When the progress is updated next.
    update_ns: u64,
}

impl Observer {
    fn new(sender: &Sender) -> Self {
        let Sender { run, job, id, .. } = *sender;
        Self {
            run: Arc::clone(run),
            target: Arc::clone(&job.target),
            progress: Arc::new(RequestProgress::new(id, &job.target.model.id)),
            id,
            phase: job.phase,
            in_flight: None,
            load_reported: false,
            update_ns: 0,
        }
    }

    fn sent(&mut self, start: Stamp) {
        let events = &self.run.events;
        if self.in_flight.is_none() {
            self.in_flight = Some(self.run.begin_request());
            self.run.level.sent(start.mono_ns, self.phase);
            events.send(Event::Running(Arc::clone(&self.progress)));
        }
        self.progress.sent(start.mono_ns);
        self.update_ns = 0;
        let run = Some(self.run.config.run.clone());
        events.send(Event::Start(Start { id: self.id, run, start_ts: start.ts, start_mono: Some(start.mono()) }));
    }

    fn chunk(&mut self, answer: &StreamedAnswer) {
        // A server that loads a model reports its progress.
        if answer.progress > 0
            && !self.load_reported
            && let Some(load) = jit_load(&self.run.config.run, &self.target, answer)
        {
            self.load_reported = true;
            self.run.events.send(Event::Load(Box::new(load)));
        }
        if let Some(last) = answer.chunks.last().filter(|last| last.at.ns >= self.update_ns) {
            self.progress.chunk(answer);
            self.update_ns = last.at.ns + PROGRESS_INTERVAL_NS;
        }
    }
}
