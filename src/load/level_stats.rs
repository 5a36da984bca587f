//! What a load level came to, in the client's own eyes: what was sent and when, how many ran at once, how late both the
//! schedule and the client were, and what it took. Touched when a request is sent and when it ends, never in between.

use super::event_loop::EventLoops;
use super::level::Level;
use super::search::Samples;
use crate::clock::{self, between, micros};
use crate::locks::locked;
use crate::record::{FailureKind, LoadLevel, Outcome, Phase, Quantiles};
use crate::stats::Histogram;
use std::sync::{Mutex, MutexGuard};

/// The level that runs.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Measured>);

#[derive(Debug, Default)]
struct Measured {
    flow: Flow,
    counts: Counts,
    /// What a search wants to know of it.
    samples: Option<Samples>,
    began_ns: u64,
    began_cpu: f64,
}

/// How many run, over time.
#[derive(Debug, Default)]
struct Flow {
    running: u64,
    most: u64,
    /// Request-seconds until `at_ns`.
    area: f64,
    at_ns: u64,
    /// Moment and area of the first and the last sending that counts.
    first: Option<(u64, f64)>,
    last: (u64, f64),
    sent: u64,
}

#[derive(Debug, Default)]
struct Counts {
    ok: u64,
    failed: u64,
    not_sent: u64,
    /// Of these, those whose time had come.
    due_not_sent: u64,
    chunks: u64,
    started_ts: Option<f64>,
    ended_ts: Option<f64>,
    schedule: Option<Histogram>,
}

impl Flow {
    fn pass(&mut self, ns: u64) {
        // Stamps of several event loops may come a moment out of order.
        if self.at_ns > 0 {
            self.area += self.running as f64 * ns.saturating_sub(self.at_ns) as f64 / 1e9;
        }
        self.at_ns = self.at_ns.max(ns);
    }

    fn sent(&mut self, ns: u64, counts: bool) {
        self.pass(ns);
        self.running += 1;
        self.most = self.most.max(self.running);
        if counts {
            self.sent += 1;
            self.first.get_or_insert((ns, self.area));
            self.last = (ns, self.area);
        }
    }

    fn ended(&mut self, ns: u64) {
        self.pass(ns);
        self.running = self.running.saturating_sub(1);
    }

    /// Seconds, and request-seconds, from the first to the last sending.
    fn span(&self) -> Option<(f64, f64)> {
        let (ns, area) = self.first?;
        let seconds = between(ns, self.last.0);
        (seconds > 0.0).then_some((seconds, self.last.1 - area))
    }
}

impl Meter {
    fn measured(&self) -> MutexGuard<'_, Measured> {
        locked(&self.0)
    }

    /// A level begins; with what a search wants to know of it.
    pub fn begin(&self, samples: Option<Samples>) {
        let mut measured = self.measured();
        let running = measured.flow.running;
        *measured = Measured {
            flow: Flow { running, ..Flow::default() },
            counts: Counts::default(),
            samples,
            began_ns: clock::mono_ns(),
            began_cpu: clock::cpu_seconds(),
        };
    }

    /// A part of a level that is searched begins.
    pub fn part(&self) {
        self.measured().samples.iter_mut().for_each(|samples| samples.backlog.next_part());
    }

    /// A request was sent at `ns`; whether it counts.
    pub fn sent(&self, ns: u64, phase: Phase) {
        self.measured().flow.sent(ns, phase == Phase::Measure);
    }

    /// A request that was sent has ended.
    pub fn ended(&self, ns: u64) {
        self.measured().flow.ended(ns);
    }

    /// What came of a request, or of one that was due and not sent.
    pub fn done(&self, outcome: &Outcome) {
        let mut measured = self.measured();
        let counts = &mut measured.counts;
        counts.chunks += outcome.chunks.as_ref().map_or(0, |chunks| chunks.count);
        if outcome.phase != Some(Phase::Measure) {
            return;
        }
        // As the whole run counts: what was given up before it was sent is unsent, what found no connection failed.
        match &outcome.error {
            None => counts.ok += 1,
            Some(why) if outcome.start_ts.is_none() && why.kind == FailureKind::Cancelled => {
                counts.not_sent += 1;
                counts.due_not_sent += 1;
            }
            Some(_) => counts.failed += 1,
        }
        if let Some(start) = outcome.start_ts {
            let end = start + outcome.timing_seconds.as_ref().and_then(|timing| timing.end).unwrap_or(0.0);
            counts.started_ts = Some(counts.started_ts.map_or(start, |first| first.min(start)));
            counts.ended_ts = Some(counts.ended_ts.map_or(end, |last| last.max(end)));
        }
        if let Some(scheduled) = outcome.timing_seconds.as_ref().and_then(|timing| timing.scheduled) {
            let late = (-scheduled).max(0.0);
            counts.schedule.get_or_insert_default().add_ns((late * 1e9) as u64);
        }
        if let Some(samples) = &mut measured.samples {
            samples.add(outcome);
        }
    }

    /// So many requests that count had been planned, are not sent any more, and have no result.
    pub fn unsent(&self, requests: u64) {
        self.measured().counts.not_sent += requests;
    }

    /// The record of the level, which ran in these event loops.
    pub fn record(&self, run: &str, level: Level, models: Vec<String>, loops: &EventLoops) -> LoadLevel {
        let measured = self.measured();
        let (flow, counts) = (&measured.flow, &measured.counts);
        let mut lag = Histogram::new();
        let now_ns = clock::mono_ns();
        loops.iter().for_each(|on| on.lag.add_to(measured.began_ns, now_ns, &mut lag));
        let span = counts.started_ts.zip(counts.ended_ts).map(|(from, to)| to - from).filter(|span| *span > 0.0);
        // A closed loop that is over before it has gone round is all rise and fall.
        let went_round = match level {
            Level::Closed { concurrency } => flow.sent >= concurrency.saturating_mul(2),
            Level::Open { .. } => flow.sent > 1,
        };
        LoadLevel {
            run: run.to_owned(),
            models,
            concurrency: level.concurrency(),
            rate: level.rate(),
            skipped: None,
            started_ts: counts.started_ts,
            ended_ts: counts.ended_ts.map(micros),
            sent: flow.sent,
            failed: counts.failed,
            not_sent: counts.not_sent,
            due_not_sent: level.rate().map(|_| counts.due_not_sent),
            sent_per_second: flow.span().map(|(seconds, _)| (flow.sent - 1) as f64 / seconds),
            requests_per_second: span.map(|span| counts.ok as f64 / span),
            in_flight_mean: flow.span().filter(|_| went_round).map(|(seconds, area)| area / seconds),
            in_flight_max: Some(flow.most).filter(|most| *most > 0),
            chunks: Some(counts.chunks),
            cpu_seconds: Some(micros(clock::cpu_seconds() - measured.began_cpu)),
            peak_bytes: None,
            schedule_lag_seconds: counts.schedule.as_ref().and_then(lateness),
            loop_lag_seconds: lateness(&lag),
        }
    }

    /// What the objectives of a search came to until now.
    pub fn samples<T>(&self, look: impl FnOnce(&Samples) -> T) -> Option<T> {
        self.measured().samples.as_ref().map(look)
    }
}

/// What a histogram says; `None` for an empty one.
fn lateness(histogram: &Histogram) -> Option<Quantiles> {
    let quantiles = histogram.quantiles()?;
    let mean = quantiles.mean.map(micros);
    Some(Quantiles { mean, histogram: Some(histogram.encode()), ..quantiles })
}

/// The lateness of the event loop, at its 99th percentile in seconds, from which on the client's own part in a time is told.
const LATE: f64 = 0.005;

/// What was not kept of what was asked, for people: fewer at once though there were `enough` requests, and a client that was late itself.
pub fn not_kept(level: &LoadLevel, enough: bool) -> impl Iterator<Item = String> {
    let of = level.concurrency.map_or_else(
        || format!("{}/s", level.rate.map_or_else(String::new, |rate| rate.to_string())),
        |n| format!("{n} at once"),
    );
    let few = level
        .concurrency
        .zip(level.in_flight_max)
        .filter(|(asked, most)| enough && level.sent >= *asked && most < asked);
    let few = few.map(|(_, most)| {
        format!(
            "{of} was not reached: at most {most} ran at once, because the first had ended when the last were sent: \
             ask for more --requests, a --duration or longer answers, or for fewer at once"
        )
    });
    let late = level.loop_lag_seconds.as_ref().and_then(|lag| lag.p99).filter(|p99| *p99 > LATE).map(|p99| {
        format!(
            "{of}: this client was {:.0} ms late itself (event loop, p99), and its times are as much too long: ask for less at \
             once, give it more --threads, or a machine with less to do",
            p99 * 1e3
        )
    });
    few.into_iter().chain(late)
}

/// The level in a line, for people: what was asked, and what was kept of it.
pub fn said(level: &LoadLevel) -> String {
    let short = |value: f64| {
        let text = format!("{value:.*}", if value < 10.0 { 2 } else { 1 });
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let ms = |seconds: f64| format!("{} ms", short(seconds * 1e3));
    let p99 = |lag: &Option<Quantiles>| lag.as_ref().and_then(|lag| lag.p99);
    let per_second = |rate: Option<f64>| rate.map(|rate| format!("{}/s", short(rate)));
    let mut parts = Vec::new();
    let asked = match (level.concurrency, level.rate) {
        (Some(n), _) => {
            parts.extend(level.in_flight_mean.map(|mean| format!("{} running on average", short(mean))));
            parts.extend(per_second(level.requests_per_second).map(|rate| format!("{rate} done")));
            format!("{n} at once asked")
        }
        (None, rate) => {
            parts.extend(per_second(level.sent_per_second).map(|rate| format!("{rate} sent")));
            parts.extend(p99(&level.schedule_lag_seconds).map(|p99| format!("lag p99 {}", ms(p99))));
            parts.extend(level.in_flight_mean.map(|mean| format!("{} running on average", short(mean))));
            format!("{}/s asked", rate.map_or_else(String::new, |rate| rate.to_string()))
        }
    };
    if level.sent + level.failed + level.not_sent == 0 {
        return format!(
            "{asked}: no request was due before its time was over: give a longer --duration, or another --load-seed"
        );
    }
    parts.push(format!("{} requests", level.sent));
    if level.failed > 0 {
        parts.push(format!("{} failed", level.failed));
    }
    if level.not_sent > 0 {
        parts.push(format!("{} not sent", level.not_sent));
    }
    parts.extend(p99(&level.loop_lag_seconds).map(|p99| format!("event loop p99 {} late", ms(p99))));
    format!("{asked}: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Failure, Timing};

    #[test]
    fn how_many_ran_is_counted_from_the_first_to_the_last_sending() {
        let mut flow = Flow::default();
        let second = 1_000_000_000;
        flow.sent(second, false);
        flow.sent(2 * second, true);
        flow.sent(3 * second, true);
        flow.ended(5 * second);
        flow.sent(6 * second, true);
        flow.ended(9 * second);
        // Two until 3 s, three until 5 s, two until 6 s; what is before and after counts nowhere.
        assert_eq!(flow.span(), Some((4.0, 2.0 + 6.0 + 2.0)));
        assert_eq!((flow.sent, flow.most, flow.running), (3, 3, 2));
        assert_eq!(Flow::default().span(), None);
    }

    #[test]
    fn stamps_out_of_order_take_nothing_away() {
        let mut flow = Flow::default();
        flow.sent(2_000, true);
        flow.sent(1_000, true);
        flow.ended(500);
        assert!(flow.area >= 0.0 && flow.running == 1);
        assert_eq!(flow.span(), None, "no time has passed");
    }

    #[test]
    fn warm_up_brings_chunks_and_nothing_else() {
        let meter = Meter::default();
        meter.begin(None);
        let outcome = |phase, start_ts, late: f64| Outcome {
            phase: Some(phase),
            start_ts,
            timing_seconds: Some(Timing { scheduled: Some(-late), end: Some(0.5), ..Timing::default() }),
            chunks: Some(crate::record::Chunks { count: 7, ..Default::default() }),
            ..Outcome::default()
        };
        meter.done(&outcome(Phase::Warmup, Some(1.0), 0.0));
        meter.done(&outcome(Phase::Measure, Some(2.0), 0.002));
        meter.done(&outcome(Phase::Measure, Some(3.0), 0.004));
        let failed = |kind| Failure { kind, status: None, message: "x".into(), retryable: true };
        for kind in [FailureKind::Cancelled, FailureKind::Connect] {
            meter.done(&Outcome { error: Some(failed(kind)), ..outcome(Phase::Measure, None, 0.0) });
        }
        meter.unsent(6);
        let measured = meter.measured();
        let counts = &measured.counts;
        assert_eq!((counts.chunks, counts.ok, counts.failed, counts.not_sent, counts.due_not_sent), (35, 2, 1, 7, 1));
        assert_eq!((counts.started_ts, counts.ended_ts), (Some(2.0), Some(3.5)));
        let late = lateness(counts.schedule.as_ref().unwrap()).unwrap();
        assert!((late.max.unwrap() - 0.004).abs() < 1e-5 && late.count == 4, "{late:?}");
    }

    #[test]
    fn what_was_not_kept_is_said() {
        let lag = |p99| Some(Quantiles { p99: Some(p99), ..Quantiles::default() });
        let level = |sent, most, p99| LoadLevel {
            concurrency: Some(8),
            sent,
            in_flight_max: Some(most),
            loop_lag_seconds: lag(p99),
            ..LoadLevel::default()
        };
        for (level, enough, expect) in [
            (level(8, 8, 0.001), true, &[][..]),
            (level(8, 7, 0.001), true, &["8 at once was not reached: at most 7"]),
            (level(8, 7, 0.001), false, &[]),
            (level(7, 7, 0.001), true, &[]),
            (level(8, 8, 0.0121), true, &["8 at once: this client was 12 ms late"]),
            (level(9, 3, 0.5), true, &["8 at once was not", "8 at once: this client was 500 ms"]),
            (
                LoadLevel { rate: Some(2.5), loop_lag_seconds: lag(0.006), ..LoadLevel::default() },
                true,
                &["2.5/s: this"],
            ),
        ] {
            let told: Vec<String> = not_kept(&level, enough).collect();
            assert_eq!(told.len(), expect.len(), "{told:?}");
            assert!(told.iter().zip(expect).all(|(told, expect)| told.starts_with(expect)), "{told:?}");
        }
    }

    #[test]
    fn a_level_is_said_with_what_was_asked_first() {
        let lag = Quantiles { p99: Some(0.0009), ..Quantiles::default() };
        let open = LoadLevel {
            rate: Some(50.0),
            sent: 499,
            sent_per_second: Some(49.83),
            in_flight_mean: Some(7.25),
            schedule_lag_seconds: Some(lag.clone()),
            not_sent: 1,
            ..LoadLevel::default()
        };
        assert_eq!(
            said(&open),
            "50/s asked: 49.8/s sent, lag p99 0.9 ms, 7.25 running on average, 499 requests, 1 not sent"
        );
        let closed = LoadLevel {
            concurrency: Some(8),
            sent: 40,
            failed: 2,
            in_flight_mean: Some(8.0),
            requests_per_second: Some(12.0),
            loop_lag_seconds: Some(lag),
            ..LoadLevel::default()
        };
        assert_eq!(
            said(&closed),
            "8 at once asked: 8 running on average, 12/s done, 40 requests, 2 failed, event loop p99 0.9 ms late"
        );
        assert_eq!(
            said(&LoadLevel { concurrency: Some(1), sent: 1, ..LoadLevel::default() }),
            "1 at once asked: 1 requests"
        );
    }
}
