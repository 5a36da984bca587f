//! The joiner, by subject. Here is what its tests are told in.

mod clocks;
mod energy;
mod fields;
mod laws;
mod waiting;

use super::*;
use crate::join::figures::round;
use crate::join::{Heard, Rates, Sample, Sampling, hear};
use crate::record::fixture::{self, EPOCH as T};
use crate::record::{self as rec, SamplerEvent, Timing};
use proptest::prelude::*;
use serde_json::{Value, json};

fn settings() -> Settings {
    Settings {
        attribution: Attribution::Time,
        wait: None,
        offsets: Vec::new(),
        idle: IdleFrom::Nowhere,
        rates: Rates::default(),
    }
}

fn run(boot: &str) -> Value {
    fixture::run("r").set(|run| run.boot = Some(boot.into())).value()
}

fn start(id: u64, at: f64) -> Value {
    fixture::start(id, at).value()
}

fn result(id: u64, from: f64, to: f64) -> Value {
    let (first, end) = (Some((to - from) / 4.0), Some(to - from));
    let timing = Timing { first_token: first, last_token: end, end, ..Timing::default() };
    fixture::result(id, "m").sent(from).timing(timing).tokens(10, 20 * id).value()
}

fn load(from: f64, to: f64) -> Value {
    json!({"type": "load", "v": 1, "run": "r", "source": "lmstudio", "model": "m", "loader": "rest",
        "baseline_ts": [T, T + from], "baseline_mono": [0.0, from], "load_time_seconds": to - from, "error": null,
        "started_ts": T + from, "started_mono": from, "ended_ts": T + to, "ended_mono": to})
}

fn sampler(boot: &str, interval: f64) -> Value {
    fixture::sampler(SamplerEvent::Start, boot, interval).value()
}

fn window(at: f64, length: f64, watts: f64) -> Value {
    fixture::power(at, length, watts).value()
}

fn memory(at: f64, rss: u64) -> Value {
    fixture::memory(at, rss).value()
}

/// A stream of one-second windows of `watts`, from 0.
fn power(boot: &str, watts: &[f64]) -> Vec<Value> {
    let windows = watts.iter().enumerate().map(|(i, &watts)| window(i as f64 + 1.0, 1.0, watts));
    std::iter::once(sampler(boot, 1.0)).chain(windows).collect()
}

/// Requests as the runner tells them: starts and results in order of time.
fn told(requests: &[(f64, f64)]) -> Vec<Value> {
    let mut lines: Vec<(f64, Value)> = Vec::new();
    for (i, &(from, to)) in requests.iter().enumerate() {
        lines.push((from, start(i as u64 + 1, from)));
        lines.push((to, result(i as u64 + 1, from, to)));
    }
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    std::iter::once(run("b")).chain(lines.into_iter().map(|(_, line)| line)).collect()
}

fn hand(core: &mut Joiner, line: &Value, now: f64) {
    let text = line.to_string();
    let heard = hear(&text).unwrap();
    core.line(text, heard, now);
}

fn read(core: &mut Joiner, source: usize, sample: &Value, now: f64) {
    if let Some(sample) = Sampling::default().sample(rec::read(&sample.to_string()).unwrap()) {
        core.sample(source, sample, now);
    }
}

fn out(core: &mut Joiner, now: f64) -> Vec<Value> {
    let mut out = Vec::new();
    while let Ok(emission) = core.next(now).unwrap() {
        out.push(serde_json::from_str(&emission.line).unwrap());
    }
    out
}

/// Joins finished streams; `lines_first` says which side is there first.
fn join(settings: Settings, lines: &[Value], streams: &[(Role, Vec<Value>)], lines_first: bool) -> Vec<Value> {
    let roles: Vec<_> = streams.iter().map(|(role, _)| (*role, false)).collect();
    let mut core = Joiner::new(settings, &roles, 0.0);
    let mut all = Vec::new();
    for side in [lines_first, !lines_first] {
        if side {
            for line in lines {
                hand(&mut core, line, 0.0);
                all.extend(out(&mut core, 0.0));
            }
            core.input_ended();
        } else {
            for (i, (_, samples)) in streams.iter().enumerate() {
                for sample in samples {
                    read(&mut core, i, sample, 0.0);
                    all.extend(out(&mut core, 0.0));
                }
                core.source_ended(i);
            }
        }
        all.extend(out(&mut core, 0.0));
    }
    assert!(core.finished());
    all
}

fn results(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["type"] == "result").collect()
}

fn energies(lines: &[Value]) -> Vec<Option<f64>> {
    results(lines).iter().map(|line| line["power"]["energy_joules"].as_f64()).collect()
}
