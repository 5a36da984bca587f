//! A group when its requests are all in: what its sums, samples and counts say.

use super::Building;
use super::Split;
use crate::summary::goodput::Goodput;
use crate::summary::group::{ErrorCount, Group, Throughput};
use crate::summary::registry::Metric;
use crate::summary::sample::Stat;
use crate::summary::shape::DRAWN;
use crate::summary::window::{Part, Tally, Target};
use crate::summary::words::WORDS;
use std::collections::BTreeMap;

impl Building {
    /// What it got through: in the steady part of its load where there is one, else from the first start to the last end.
    fn throughput(&self, steady: Option<Result<Tally, String>>) -> Option<Throughput> {
        let (tally, part) = match steady {
            Some(Ok(tally)) => {
                let (ramp_seconds, tail_seconds) = (tally.ramp_seconds, tally.tail_seconds);
                (tally, Part { steady: true, ramp_seconds, tail_seconds, reason: None })
            }
            other => {
                let reason = other.and_then(Result::err);
                (self.whole(), Part { steady: false, ramp_seconds: 0.0, tail_seconds: 0.0, reason })
            }
        };
        let rate = |n: f64| n / tally.seconds;
        (tally.seconds > 0.0 && tally.ok > 0.0).then(|| Throughput {
            span_seconds: tally.seconds,
            output_tokens_per_second: self.output_tokens.map(|_| rate(tally.tokens)),
            requests_per_second: rate(tally.ok),
            ended_per_second: rate(tally.shares),
            sent_per_second: tally.sent / tally.sent_seconds,
            good_per_second: rate(tally.good),
            ended: tally.ended,
            concurrency: rate(tally.flight_seconds),
            part,
        })
    }

    /// Everything from the first start to the last end of each run, with what of the ramp still ran then.
    fn whole(&self) -> Tally {
        let spans = || self.spans.values();
        let mut tally = Tally {
            seconds: spans().map(|span| span.to - span.from).sum(),
            ended: self.ok + self.failed,
            shares: (self.ok + self.failed) as f64,
            ok: self.ok as f64,
            good: self.good as f64,
            tokens: self.output_tokens.unwrap_or(0.0),
            flight_seconds: spans().map(|span| span.flight_seconds).sum(),
            ..Tally::default()
        };
        let target = self.key.rate().map_or(Target::Closed(1), |_| Target::Open);
        for (run, flight) in &self.ramp {
            if let Some(span) = self.spans.get(run) {
                tally.add(flight, target, (span.from, span.to));
            }
        }
        let between: f64 = spans().map(|span| span.last - span.from).sum();
        // Of what is sent by the clock, from send to send; unless all was sent at once.
        (tally.sent, tally.sent_seconds) = if target == Target::Open && between > 0.0 {
            (spans().map(|span| span.sent - 1).sum::<u64>() as f64, between)
        } else {
            (spans().map(|span| span.sent).sum::<u64>() as f64, tally.seconds)
        };
        tally
    }

    /// The finished group; with its goodput where there were limits to keep, and of the steady part of its load where that
    /// is told.
    pub fn finish(self, limits: bool, steady: Option<Result<Tally, String>>) -> Group {
        let throughput = self.throughput(steady);
        let tried = self.ok + self.failed;
        let goodput = (limits && tried > 0).then(|| Goodput {
            good: self.good,
            tried,
            share: self.good as f64 / tried as f64,
            requests_per_second: throughput.as_ref().map(|t| t.good_per_second),
        });
        let metrics = self
            .samples
            .iter()
            .filter_map(|(metric, sample)| Some((*metric, sample.stat()?)))
            .chain(self.gaps.quantiles().map(|quantiles| (Metric::ICL, Stat::classed(quantiles, None))))
            .collect();
        let mut samples = self.samples;
        samples.retain(|metric, _| DRAWN.contains(metric));
        let model = match (self.key.model.is_empty(), self.models.len()) {
            (false, _) | (true, 0) => self.key.model.clone(),
            (true, 1) => self.models.iter().next().cloned().unwrap_or_default(),
            (true, n) => format!("{n}{} models", if n >= WORDS { " or more" } else { "" }),
        };
        let energy = self.energy.map(|mut energy| {
            if !self.bounds_known {
                (energy.lower_joules, energy.upper_joules) = (None, None);
            }
            if !self.net_known {
                energy.net_joules = None;
            }
            if !self.net_bounds_known {
                (energy.net_lower_joules, energy.net_upper_joules) = (None, None);
            }
            let per_token = |joules: Option<f64>| joules.map(|joules| joules / energy.output_tokens);
            energy.joules_per_output_token = per_token(Some(energy.joules));
            energy.joules_per_output_token_lower = per_token(energy.lower_joules);
            energy.joules_per_output_token_upper = per_token(energy.upper_joules);
            energy.net_joules_per_output_token = per_token(energy.net_joules);
            energy.net_joules_per_output_token_lower = per_token(energy.net_lower_joules);
            energy.net_joules_per_output_token_upper = per_token(energy.net_upper_joules);
            energy
        });
        let cost = self.cost.map(|mut cost| {
            cost.usd_per_million_output_tokens =
                (self.paid_tokens > 0.0).then(|| self.paid_usd / self.paid_tokens * 1e6);
            cost
        });
        let mut error_messages: Vec<ErrorCount> = self
            .messages
            .into_iter()
            .map(|((kind, status, message), n)| ErrorCount { kind, status, message, n })
            .collect();
        error_messages.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| (&a.kind, &a.message).cmp(&(&b.kind, &b.message))));
        Group {
            source: self.key.source,
            rate: self.key.rate(),
            model,
            provider: self.key.provider.clone(),
            concurrency: self.key.concurrency,
            details: self.details,
            ok: self.ok,
            failed: self.failed,
            metrics,
            samples,
            gap_map: self.gap_map,
            watts: self.watts,
            energy,
            meter: self.meter,
            memory_primary: self.memory_primary,
            cost,
            throughput,
            goodput,
            no_power: self.no_power.0,
            no_memory: self.no_memory.0,
            outliers: BTreeMap::new(),
            energy_split: (self.split != Split::default()).then_some(self.split),
            settings: (*self.key.settings).clone(),
            sub: None,
            worst_error: self.worst_error,
            screens: None,
            finish_reasons: self.finish_reasons.0,
            errors: self.errors.0,
            error_messages,
            warnings: self.warnings.0,
            cached_requests: self.cached_requests,
            cache_known: self.cache_known,
            retried: self.retried,
            token_methods: self.token_methods.0,
            served_models: self.served_models,
            artifacts: self.artifacts.0,
            endpoints: self.endpoints,
            parameters: self.parameters,
            prompts: self.prompts,
            key: self.key,
        }
    }
}
