use super::*;
use crate::join::figures::round;
use crate::join::{Heard, Rates, Sample, Sampling, hear};
use crate::record as rec;
use proptest::prelude::*;
use serde_json::{Value, json};

const T: f64 = 1_700_000_000.0;

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
    json!({"type": "run", "v": 1, "run": "r", "started_ts": T, "boot": boot, "tool": {"name": "llm-run", "version": "0"},
        "host": {}, "settings": {}, "argv": []})
}

fn start(id: u64, at: f64) -> Value {
    json!({"type": "start", "v": 1, "id": id, "run": "r", "start_ts": T + at, "start_mono": at})
}

fn result(id: u64, from: f64, to: f64) -> Value {
    json!({"type": "result", "v": 1, "run": "r", "id": id, "model": "m", "start_ts": T + from, "start_mono": from,
        "timing_seconds": {"first_token": (to - from) / 4.0, "last_token": to - from, "end": to - from},
        "tokens": {"input": 10, "output": 20 * id, "source": "usage"}})
}

fn sampler(boot: &str, interval: f64) -> Value {
    json!({"type": "sampler", "v": 1, "event": "start", "tool": {"name": "s", "version": "0"}, "ts": T, "mono": 0.0,
        "boot": boot, "sources": ["m"], "total_domain": "cpu", "interval_seconds": interval})
}

fn window(at: f64, length: f64, watts: f64) -> Value {
    json!({"type": "power", "v": 1, "ts": T + at, "mono": at, "seq": 1, "source": "m", "kind": "window",
        "window_seconds": length, "watts": {"cpu": watts}})
}

fn memory(at: f64, rss: u64) -> Value {
    json!({"type": "memory", "v": 1, "ts": T + at, "mono": at, "seq": 1, "rss_bytes": rss})
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
        out.push(serde_json::from_str(&emission.parts().concat()).unwrap());
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

#[test]
fn a_result_goes_out_when_a_reading_covers_its_end_and_everything_in_order() {
    let mut core = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    read(&mut core, 0, &sampler("b", 1.0), 0.0);
    for line in [run("b"), start(1, 0.5), result(1, 0.5, 2.5), json!({"type": "weather"})] {
        hand(&mut core, &line, 2.5);
    }
    let kinds = |lines: Vec<Value>| lines.iter().map(|l| l["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(out(&mut core, 2.5)), ["run"]);
    read(&mut core, 0, &window(1.0, 1.0, 10.0), 2.5);
    read(&mut core, 0, &window(2.0, 1.0, 10.0), 2.6);
    assert!(out(&mut core, 2.6).is_empty());
    assert!(core.wants(0));
    read(&mut core, 0, &window(3.0, 1.0, 30.0), 3.0);
    let lines = out(&mut core, 3.0);
    assert_eq!(lines[0]["power"]["energy_joules"], 5.0 + 10.0 + 15.0);
    assert_eq!(kinds(lines), ["result", "weather"]);
    assert!(!core.wants(0));
}

#[test]
fn what_never_comes_is_not_waited_for_beyond_three_intervals() {
    let mut core = Joiner::new(settings(), &[(Role::Power, false), (Role::Memory, false)], 0.0);
    read(&mut core, 0, &sampler("b", 0.5), 9.9);
    read(&mut core, 0, &window(10.0, 1.0, 10.0), 10.0);
    read(&mut core, 1, &memory(10.5, 7), 10.5);
    for line in [run("b"), start(1, 9.0), result(1, 9.0, 10.5)] {
        hand(&mut core, &line, 10.5);
    }
    out(&mut core, 10.5);
    let due = core.next(10.6).unwrap().unwrap_err();
    assert!(due > 10.6 && due <= 12.0, "{due}");
    let lines = out(&mut core, due);
    assert_eq!(lines[0]["power"]["quality"], "partial");
    assert_eq!(lines[0]["power"]["coverage"], 0.666667);
    assert_eq!(lines[0]["power"]["energy_joules"], 10.0);
    assert_eq!(lines[0]["memory"]["after_generation"]["rss_bytes"], 7);
}

#[test]
fn nothing_is_added_without_a_source_and_null_with_a_reason_where_it_measured_nothing() {
    let lines = told(&[(1.0, 2.0)]);
    let alone = join(settings(), &lines, &[], true);
    assert_eq!(alone, [run("b"), result(1, 1.0, 2.0)], "and no summary");
    let streams = [(Role::Power, vec![]), (Role::Memory, vec![])];
    let joined = join(settings(), &lines, &streams, true);
    assert_eq!(joined[1]["power"], Value::Null);
    assert_eq!(joined[1]["power_reason"], "the meter gave no reading");
    assert_eq!(joined[1]["memory"], Value::Null);
    assert_eq!(joined[1]["memory_reason"], "the memory sampler gave no reading");
    assert_eq!((&joined[2]["power"], &joined[2]["memory"]), (&Value::Null, &Value::Null));
    let late = [(Role::Power, vec![sampler("b", 1.0), window(9.0, 1.0, 5.0)])];
    let joined = join(settings(), &lines, &late, true);
    assert_eq!(joined[1]["power_reason"], "no reading of the meter covers the request");
}

#[test]
fn one_boot_is_joined_by_its_own_clock_and_others_by_the_wall() {
    let mut stepped = power("b", &[10.0, 20.0, 30.0]);
    stepped[3]["ts"] = json!(T + 3600.0);
    let lines = told(&[(0.0, 3.0)]);
    let joined = join(settings(), &lines, &[(Role::Power, stepped)], true);
    assert_eq!((&joined[1]["power"]["energy_joules"], &joined[1]["power"]["clock"]), (&json!(60.0), &json!("mono")));
    let warnings = joined[2]["warnings"].to_string();
    assert!(warnings.contains("the wall clock stepped by 3597.000 s"), "{warnings}");
    for boot in [json!("elsewhere"), Value::Null] {
        let mut other = power("elsewhere", &[10.0, 20.0, 30.0]);
        for sample in &mut other {
            sample["boot"] = boot.clone();
            sample["mono"] = json!(sample["ts"].as_f64().unwrap() - T + 777.0);
        }
        let joined = join(settings(), &lines, &[(Role::Power, other)], true);
        let power = &joined[1]["power"];
        assert_eq!((&power["energy_joules"], &power["clock"]), (&json!(60.0), &json!("wall")), "{boot}");
    }
}

#[test]
fn a_foreign_clock_is_set_right_by_an_offset() {
    let mut other = power("x", &[10.0, 20.0, 30.0]);
    for sample in &mut other {
        sample["ts"] = json!(sample["ts"].as_f64().unwrap() + 100.0);
        sample.as_object_mut().unwrap().remove("mono");
    }
    let settings = Settings { offsets: vec![-100.0], ..settings() };
    let joined = join(settings, &told(&[(0.0, 3.0)]), &[(Role::Power, other)], true);
    assert_eq!(energies(&joined), [Some(60.0)]);
}

#[test]
fn energy_is_shared_by_time_by_tokens_or_not_at_all() {
    let lines = told(&[(0.0, 4.0), (2.0, 6.0), (7.0, 8.0)]);
    let watts = [10.0; 10];
    let with = |attribution| {
        let settings = Settings { attribution, ..settings() };
        join(settings, &lines, &[(Role::Power, power("b", &watts))], true)
    };
    let time = with(Attribution::Time);
    assert_eq!(energies(&time), [Some(30.0), Some(30.0), Some(10.0)]);
    assert_eq!(results(&time)[0]["power"]["in_flight_max"], 2);
    assert_eq!(results(&time)[0]["power"]["warnings"], json!(["phase_mixed"]));
    // The first emits 20 tokens from 1 to 4, the second 40 from 3 to 6: a third and two thirds while both do.
    let tokens = with(Attribution::Tokens);
    let third = 10.0 * (20.0 / 3.0) / (20.0 / 3.0 + 40.0 / 3.0);
    let got = energies(&tokens);
    assert!((got[0].unwrap() - (30.0 + third)).abs() < 1e-7 && (got[1].unwrap() - (30.0 - third)).abs() < 1e-7);
    let exclusive = with(Attribution::Exclusive);
    assert_eq!(energies(&exclusive), [None, None, Some(10.0)]);
    assert_eq!(results(&exclusive)[2]["power"]["quality"], "exact");
    let power = &results(&exclusive)[0]["power"];
    for of in [power, &power["prefill"], &power["decode"]] {
        assert_eq!((&of["energy_joules"], &of["quality"]), (&Value::Null, &json!("none")), "no trust in no energy");
    }
    assert_eq!(power["reason"], "up to 2 requests ran at once, and energy is not shared");
    assert_eq!(power["total_watts"]["avg"], 10.0);
}

#[test]
fn prefill_and_decode_are_told_apart_each_with_its_quality() {
    let joined = join(
        settings(),
        &told(&[(0.0, 8.0)]),
        &[(Role::Power, power("b", &[40.0, 40.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0]))],
        true,
    );
    let power = &joined[1]["power"];
    assert_eq!((&power["prefill"]["energy_joules"], &power["prefill"]["quality"]), (&json!(80.0), &json!("exact")));
    assert_eq!((&power["decode"]["energy_joules"], &power["decode"]["avg_watts"]), (&json!(60.0), &json!(10.0)));
    assert_eq!(power["joules_per_output_token"], 7.0);
    assert_eq!(power["wh_per_1k_output_tokens"], json!(round(7.0 / 3.6)));
    assert_eq!(power["output_tokens_per_joule"], json!(round(1.0 / 7.0)));
    assert_eq!(power["joules_per_total_token"], json!(round(140.0 / 30.0)));
}

#[test]
fn a_total_of_exactly_nothing_is_null_with_the_reason_in_every_phase_and_in_the_summary() {
    let mut samples = power("b", &[0.0; 9]);
    samples[0]["total_domain"] = json!("gpu0");
    samples[1..].iter_mut().for_each(|sample| sample["watts"] = json!({"gpu0": 0.0}));
    let lines = told(&[(1.0, 3.0), (4.0, 6.0)]);
    let joined = join(settings(), &lines, &[(Role::Power, samples.clone())], true);
    let power = &results(&joined)[0]["power"];
    assert_eq!((&power["energy_joules"], &power["quality"]), (&Value::Null, &json!("none")));
    assert!(power["reason"].as_str().unwrap().contains("exactly 0 W"), "{power}");
    assert_eq!(power["domains"]["gpu0"]["max"], 0.0, "what was read is told");
    assert_eq!(power["decode"]["energy_joules"], Value::Null);
    assert_eq!(joined.last().unwrap()["power"], Value::Null);
    // The meter works after all: of what it read, nothing is left out of the account.
    samples[6]["watts"] = json!({"gpu0": 8.0});
    let joined = join(settings(), &lines, &[(Role::Power, samples)], true);
    assert_eq!(energies(&joined), [None, Some(8.0)]);
    assert_eq!(joined.last().unwrap()["power"]["energy_joules"], 8.0);
}

#[test]
fn several_clocks_are_set_right_one_by_one() {
    let shifted = |by: f64, domain: &str| {
        let mut samples = power("x", &[10.0, 20.0, 30.0]);
        samples[0]["total_domain"] = json!(domain);
        for sample in &mut samples {
            sample["ts"] = json!(sample["ts"].as_f64().unwrap() + by);
            sample.as_object_mut().unwrap().remove("mono");
            if sample["type"] == "power" {
                sample["watts"] = json!({domain: sample["watts"]["cpu"]});
            }
        }
        samples
    };
    let streams = [(Role::Power, shifted(100.0, "package-0")), (Role::Power, shifted(-7.0, "gpu0"))];
    let lines = told(&[(0.0, 3.0)]);
    for (offsets, expect) in [(vec![-100.0, 7.0], Some(120.0)), (vec![-100.0], None), (vec![-99.0, 7.0], Some(90.0))] {
        let joined = join(Settings { offsets: offsets.clone(), ..settings() }, &lines, &streams, true);
        assert_eq!(energies(&joined), [expect], "{offsets:?}");
    }
}

fn load(from: f64, to: f64) -> Value {
    json!({"type": "load", "v": 1, "run": "r", "source": "lmstudio", "model": "m", "loader": "rest",
        "baseline_ts": [T, T + from], "baseline_mono": [0.0, from], "load_time_seconds": to - from, "error": null,
        "started_ts": T + from, "started_mono": from, "ended_ts": T + to, "ended_mono": to})
}

#[test]
fn the_load_is_accounted_for_too() {
    let mut lines = told(&[(6.0, 8.0)]);
    lines.insert(1, load(4.0, 6.0));
    let held = [(1.0, 10), (3.9, 12), (4.2, 30), (5.0, 95), (6.0, 80), (7.0, 85), (8.1, 82)].map(|(t, b)| memory(t, b));
    let streams = [
        (Role::Power, power("b", &[5.0, 6.0, 5.0, 5.0, 50.0, 60.0, 30.0, 30.0, 5.0])),
        (Role::Memory, std::iter::once(sampler("b", 1.0)).chain(held).collect()),
    ];
    let settings = Settings {
        idle: IdleFrom::Auto,
        rates: Rates { price_per_kwh: Some(0.36), carbon_g_per_kwh: Some(360.0), pue: Some(2.0) },
        ..settings()
    };
    let joined = join(settings, &lines, &streams, false);
    let (power, held) = (&joined[2]["power"], &joined[2]["memory"]);
    assert_eq!((&power["load"]["energy_joules"], &power["load"]["quality"]), (&json!(110.0), &json!("exact")));
    assert_eq!((&power["idle_watts"], &power["net_energy_joules"]), (&json!(5.0), &json!(50.0)));
    assert_eq!(power["idle"], json!({"source": "baseline", "seconds": 4.0, "samples": 4, "spread_watts": 0.25}));
    assert_eq!(power["cost"], json!({"amount": 1.2e-5, "per_kwh": 0.36, "pue": 2.0}));
    assert_eq!(power["carbon"], json!({"amount": 0.012, "per_kwh": 360.0, "pue": 2.0}));
    assert_eq!((&held["baseline"]["rss_bytes"], &held["after_load"]["rss_bytes"]), (&json!(12), &json!(80)));
    assert_eq!((&held["after_generation"]["rss_bytes"], &held["high_water"]["rss_bytes"]), (&json!(82), &json!(95)));
    assert_eq!((&held["delta_load"]["rss_bytes"], &held["delta_generation"]["rss_bytes"]), (&json!(68), &json!(2)));
    assert_eq!(held["load"], json!({"high_water": {"rss_bytes": 95}, "samples": 3}));
    assert_eq!((&held["primary"], &held["samples"]), (&json!("rss"), &json!(2)));
    assert_eq!(joined[3]["power"]["load_joules"], 110.0);
    assert_eq!(joined[3]["memory"]["peak_bytes"], 95);
}

#[test]
fn gaps_between_requests_tell_the_idle_power_once_power_has_settled() {
    let mut watts = vec![7.0; 40];
    watts[0] = 50.0;
    watts[1..6].fill(20.0);
    let lines = told(&[(0.0, 1.0), (20.0, 21.0), (39.0, 40.0)]);
    let settings = Settings { idle: IdleFrom::Auto, ..settings() };
    let joined = join(settings, &lines, &[(Role::Power, power("b", &watts))], true);
    let idle = |i: usize| results(&joined)[i]["power"]["idle"].clone();
    assert_eq!(idle(0), Value::Null, "nothing is known yet");
    assert_eq!(idle(1), json!({"source": "gaps", "seconds": 13.0, "samples": 13, "spread_watts": 0.0}));
    assert_eq!(results(&joined)[2]["power"]["idle_watts"], 7.0);
}

#[test]
fn the_summary_counts_every_moment_once() {
    let lines = told(&[(0.0, 4.0), (2.0, 6.0), (8.0, 9.0)]);
    let joined = join(settings(), &lines, &[(Role::Power, power("b", &[10.0; 12]))], true);
    let summary = joined.last().unwrap();
    assert_eq!((&summary["type"], &summary["results"]), (&json!("join_summary"), &json!(3)));
    assert_eq!((&summary["span_seconds"], &summary["busy_seconds"]), (&json!(9.0), &json!(7.0)));
    let power = &summary["power"];
    assert_eq!((&power["energy_joules"], &power["span_energy_joules"]), (&json!(70.0), &json!(90.0)));
    assert_eq!((&power["attributed_joules"], &power["unattributed_joules"]), (&json!(70.0), &json!(20.0)));
    assert_eq!((&power["quality"], &power["coverage"]), (&json!("exact"), &json!(1.0)));
    assert_eq!(power["joules_per_output_token"], json!(round(70.0 / 120.0)));
}

#[test]
fn a_request_that_is_never_heard_of_again_still_had_its_part() {
    let mut lines = told(&[(0.0, 4.0), (0.0, 2.0)]);
    lines.retain(|line| line["type"] != "result" || line["id"] != 1);
    let joined = join(settings(), &lines, &[(Role::Power, power("b", &[10.0; 4]))], true);
    assert_eq!(energies(&joined), [Some(10.0)]);
    let summary = joined.last().unwrap();
    assert_eq!((&summary["unfinished"], &summary["power"]["unattributed_joules"]), (&json!(1), &json!(10.0)));
}

#[test]
fn a_run_that_was_killed_is_no_company_of_the_next_but_merged_runs_are_of_each_other() {
    let of = |run: &str, mut line: Value| {
        line["run"] = json!(run);
        line
    };
    let mut second = of("s", run("b"));
    second["started_ts"] = json!(T + 2.0);
    let killed = [run("b"), start(1, 0.0), second.clone(), of("s", start(1, 4.0)), of("s", result(1, 4.0, 6.0))];
    let streams = [(Role::Power, power("b", &[10.0; 9]))];
    assert_eq!(energies(&join(settings(), &killed, &streams, true)), [Some(20.0)]);
    let mut merged = killed.to_vec();
    merged.insert(4, result(1, 0.0, 4.5));
    merged.push(of("s", start(2, 6.0)));
    merged.push(of("s", result(2, 6.0, 7.0)));
    assert_eq!(energies(&join(settings(), &merged, &streams, true)), [Some(42.5), Some(17.5), Some(10.0)]);
}

#[test]
fn results_without_starts_wait_for_the_end_and_are_joined_then() {
    let mut lines = told(&[(0.0, 4.0), (2.0, 6.0)]);
    lines.retain(|line| line["type"] != "start");
    lines.swap(1, 2);
    let mut core = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    for line in &lines {
        hand(&mut core, line, 0.0);
    }
    power("b", &[10.0; 7]).iter().for_each(|sample| read(&mut core, 0, sample, 0.0));
    core.source_ended(0);
    assert_eq!(out(&mut core, 100.0).len(), 1, "the run alone");
    assert!(core.notes()[0].starts_with("results without start records"));
    core.input_ended();
    assert_eq!(energies(&out(&mut core, 100.0)), [Some(30.0), Some(30.0)]);
}

#[test]
fn samplers_restart_repeat_come_late_and_die_and_what_they_read_counts_once() {
    let whole = power("b", &[10.0; 6]);
    let again = |mut boot: Vec<Value>, since: usize| {
        boot.iter_mut().skip(1).for_each(|reading| reading["mono"] = json!(reading["mono"].as_f64().unwrap() + 5000.0));
        boot.drain(1..since);
        boot
    };
    let counter = |joules: &[f64]| {
        let reads = joules.iter().enumerate().map(|(i, &joules)| {
            let mut reading = window(i as f64, 1.0, 1.0);
            (reading["kind"], reading["joules"]) = (json!("counter"), json!({"cpu": joules}));
            reading
        });
        reads.collect::<Vec<_>>()
    };
    let counted = [vec![sampler("b", 1.0)], counter(&[50.0, 60.0, 70.0, 80.0, 90.0, 100.0])].concat();
    let mut rebooted = counter(&[500.0, 510.0, 520.0, 530.0, 540.0, 550.0]);
    rebooted.drain(..3);
    for (what, samples, energy, coverage) in [
        ("whole", whole.clone(), 40.0, 1.0),
        ("each twice", whole.iter().flat_map(|s| [s.clone(), s.clone()]).collect(), 40.0, 1.0),
        ("all twice", [whole.clone(), whole.clone()].concat(), 40.0, 1.0),
        ("out of order", [&whole[..1], &whole[2..3], &whole[1..2], &whole[3..]].concat(), 40.0, 1.0),
        ("late", [&whole[..1], &whole[3..]].concat(), 20.0, 0.5),
        ("dead", whole[..3].to_vec(), 20.0, 0.5),
        ("restarted", [&whole[..3], &whole[..1], &whole[3..]].concat(), 40.0, 1.0),
        ("restarted later", [&whole[..2], &whole[..1], &whole[3..]].concat(), 30.0, 0.75),
        ("rebooted", [whole[..3].to_vec(), again(power("c", &[10.0; 6]), 3)].concat(), 40.0, 1.0),
        ("counter", counted.clone(), 40.0, 1.0),
        ("counter, twice", counted.iter().flat_map(|s| [s.clone(), s.clone()]).collect(), 40.0, 1.0),
        ("counter, restarted", [&counted[..4], &[sampler("b", 1.0)], &rebooted[..]].concat(), 30.0, 0.75),
    ] {
        for lines_first in [true, false] {
            let streams = [(Role::Power, samples.clone())];
            let joined = join(settings(), &told(&[(0.0, 4.0)]), &streams, lines_first);
            let power = &results(&joined)[0]["power"];
            assert_eq!((&power["energy_joules"], &power["coverage"]), (&json!(energy), &json!(coverage)), "{what}");
            let clock = if what == "rebooted" { "wall" } else { "mono" };
            assert_eq!(power["clock"], clock, "{what}");
        }
    }
}

#[test]
fn a_failed_request_and_one_without_time_are_told_apart() {
    let mut failed = result(1, 1.0, 2.0);
    failed["error"] = json!({"kind": "timeout"});
    let never = json!({"type": "result", "v": 1, "run": "r", "id": 2, "model": "m", "error": {"kind": "load"}});
    let lines = [run("b"), start(1, 1.0), failed, never];
    let joined = join(settings(), &lines, &[(Role::Power, power("b", &[10.0; 3]))], true);
    assert_eq!(joined[1]["power"]["energy_joules"], 10.0);
    assert_eq!(joined[2]["power"], Value::Null);
    assert_eq!(joined[2]["power_reason"], "the result does not say when it began and ended");
}

#[test]
fn fields_that_are_not_known_survive_byte_for_byte_and_what_an_earlier_join_measured_is_not_lost() {
    let mut core = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    let line = r#"{"type":"result","v":1, "model":"m","power":{"old":1},"memory":null,"z":1.10,"n":123456789012345678901234567890}"#;
    core.line(line.to_owned(), hear(line).unwrap(), 0.0);
    core.line(r#"{"type":"join_summary","v":1}"#.to_owned(), Heard::Summary, 0.0);
    core.source_ended(0);
    core.input_ended();
    let Ok(emission) = core.next(0.0).unwrap() else { panic!() };
    assert_eq!(
        emission.parts().concat(),
        r#"{"type":"result","v":1,"model":"m","power":{"old":1},"memory":null,"z":1.10,"n":123456789012345678901234567890}"#
    );
    assert_eq!(out(&mut core, 0.0).len(), 1, "one summary, not two");
}

#[test]
fn truth_is_joined_by_the_name_of_the_request() {
    let mut core = Joiner::new(settings(), &[(Role::Truth, false)], 0.0);
    let written = |request: &str, at: f64| {
        let line = json!({"type": "truth", "v": 1, "request": request, "arrival_ts": T + at, "ttft_seconds": 0.2, "end_seconds": 0.9});
        Sample::Truth(Box::new(crate::join::Written::read(&line.to_string()).unwrap().unwrap()))
    };
    let mut asked = result(1, 1.0, 2.0);
    asked["ttft_seconds"] = json!(0.25);
    for line in [run("b"), start(1, 1.0), asked] {
        hand(&mut core, &line, 2.0);
    }
    core.sample(0, written("r-2", 1.0), 2.0);
    assert_eq!(out(&mut core, 2.0).len(), 1, "the run alone");
    core.sample(0, written("r-1", 1.001), 2.0);
    let lines = out(&mut core, 2.0);
    assert_eq!(lines[0]["truth"]["ttft_error_seconds"], 0.05);
    assert_eq!(lines[0]["truth"]["end_error_seconds"], 0.1);
}

#[test]
fn memory_is_forgotten_as_the_stream_goes_on() {
    let mut core = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    read(&mut core, 0, &sampler("b", 1.0), 0.0);
    hand(&mut core, &run("b"), 0.0);
    for i in 0..2000_u32 {
        let at = f64::from(i) * 2.0;
        hand(&mut core, &start(1, at), at);
        read(&mut core, 0, &window(at + 1.0, 1.0, 10.0), at);
        read(&mut core, 0, &window(at + 2.0, 1.0, 10.0), at);
        hand(&mut core, &result(1, at, at + 1.5), at);
        out(&mut core, at);
        assert!(core.meters.first().unwrap() >= at - 5.0, "{at}");
        assert!(core.flights.pieces(0.0, at + 2.0, Claim::Time).0.len() < 20, "{at}");
    }
}

/// Requests in seconds, and the watts of each second.
fn any_run() -> impl Strategy<Value = (Vec<(f64, f64)>, Vec<f64>)> {
    let request =
        (0u32..3000, 1u32..900).prop_map(|(from, length)| (f64::from(from) / 100.0, f64::from(from + length) / 100.0));
    (proptest::collection::vec(request, 1..20), proptest::collection::vec(0.5..90.0f64, 42..43))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_and_what_is_left_make_the_whole((requests, watts) in any_run(), by_tokens in any::<bool>(), lines_first in any::<bool>()) {
        let attribution = if by_tokens { Attribution::Tokens } else { Attribution::Time };
        let joined = join(Settings { attribution, ..settings() }, &told(&requests), &[(Role::Power, power("b", &watts))], lines_first);
        let first = requests.iter().map(|r| r.0).fold(f64::INFINITY, f64::min);
        let last = requests.iter().map(|r| r.1).fold(0.0, f64::max);
        let whole: f64 = watts.iter().enumerate().map(|(i, w)| {
            w * ((i as f64 + 1.0).min(last) - (i as f64).max(first)).max(0.0)
        }).sum();
        let idle: f64 = {
            let mut edges: Vec<f64> = requests.iter().flat_map(|r| [r.0, r.1]).collect();
            edges.sort_by(f64::total_cmp);
            edges.windows(2).filter(|e| !requests.iter().any(|r| r.0 <= e[0] && e[1] <= r.1)).map(|e| {
                watts.iter().enumerate().map(|(i, w)| w * ((i as f64 + 1.0).min(e[1]) - (i as f64).max(e[0])).max(0.0)).sum::<f64>()
            }).sum()
        };
        let shares: f64 = energies(&joined).into_iter().map(Option::unwrap).sum();
        prop_assert!((shares + idle - whole).abs() <= 1e-9 * whole, "{} + {} is not {}", shares, idle, whole);
        let power = &joined.last().unwrap()["power"];
        let of = |key: &str| power[key].as_f64().unwrap();
        prop_assert!((of("span_energy_joules") - whole).abs() <= 1e-9 * whole);
        prop_assert!((of("attributed_joules") + of("unattributed_joules") - whole).abs() <= 1e-9 * whole);
        prop_assert!((of("between_joules") - idle).abs() <= 1e-9 * whole);
        prop_assert!((of("energy_joules") - (whole - idle)).abs() <= 1e-9 * whole);
        for result in results(&joined) {
            let of = |key: &str| result["power"][key].as_f64().unwrap();
            prop_assert!(of("energy_lower_joules") <= of("energy_joules") && of("energy_joules") <= of("energy_upper_joules"));
        }
    }

    #[test]
    fn it_does_not_matter_which_side_is_there_first((requests, watts) in any_run()) {
        let lines = told(&requests);
        let one = join(settings(), &lines, &[(Role::Power, power("b", &watts))], true);
        let bounds = |key: &str| one.last().unwrap()["power"][key].as_f64().unwrap();
        prop_assert!(bounds("energy_lower_joules") <= bounds("energy_joules"));
        prop_assert!(bounds("energy_upper_joules") >= bounds("energy_joules"));
        let other = join(settings(), &lines, &[(Role::Power, power("b", &watts))], false);
        prop_assert_eq!(one, other);
    }

    #[test]
    fn fields_that_are_not_known_survive_byte_for_byte(
        fields in proptest::collection::vec((".{0,8}", ".{0,12}", any::<i128>(), any::<bool>()), 0..8),
        space in "[ \t]{0,2}",
    ) {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let more: String = fields.iter().enumerate().map(|(i, (key, text, number, deep))| {
            let value = if *deep { format!("[{number}.50e0,{{{}:null}}]", quoted(text)) } else { quoted(text) };
            format!(",{space}{}:{space}{value}", quoted(&format!("x{i}{key}")))
        }).collect();
        let line = result(1, 1.0, 2.0).to_string();
        let line = format!("{}{more}}}", line.strip_suffix('}').unwrap());
        let mut core = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
        hand(&mut core, &run("b"), 0.0);
        hand(&mut core, &start(1, 1.0), 0.0);
        core.line(line.clone(), hear(&line).unwrap(), 0.0);
        power("b", &[10.0; 3]).iter().for_each(|sample| read(&mut core, 0, sample, 0.0));
        prop_assert!(core.next(0.0).unwrap().is_ok(), "the run");
        let Ok(emission) = core.next(0.0).unwrap() else { panic!("nothing came out") };
        let whole = emission.parts().concat();
        let rest = whole.strip_prefix(line.strip_suffix('}').unwrap());
        prop_assert!(rest.is_some_and(|rest| rest.starts_with(",\"power\":{\"cpu_watts\"")), "{}", whole);
        prop_assert!(serde_json::from_str::<Value>(&whole).is_ok(), "{}", whole);
    }

    #[test]
    fn absurd_numbers_harm_nobody_else(
        times in proptest::collection::vec(prop_oneof![any::<f64>(), -1e12..1e12f64, -20.0..20.0f64], 6),
        watts in any::<f64>(), kind in 0..3usize,
    ) {
        let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
        let times: Vec<f64> = times.into_iter().map(finite).collect();
        let mut odd = result(7, 0.0, 1.0);
        odd["start_ts"] = json!(times[0]);
        odd["start_mono"] = json!(times[1]);
        odd["timing_seconds"] = json!({"first_token": times[2], "last_token": times[3], "end": times[4]});
        let mut reading = window(times[4], times[5], finite(watts));
        reading["kind"] = json!(["window", "counter", "instant"][kind]);
        reading["source"] = json!("odd");
        reading["joules"] = json!({"cpu": finite(watts)});
        reading["watts"] = json!({"odd": finite(watts)});
        let mut lines = told(&[(1.0, 2.0), (3.0, 4.0)]);
        lines.push(odd);
        let mut samples = power("b", &[10.0; 9]);
        samples.insert(5, reading);
        let joined = join(settings(), &lines, &[(Role::Power, samples)], true);
        prop_assert_eq!(results(&joined).len(), 3);
        for result in &results(&joined)[..2] {
            let energy = result["power"]["energy_joules"].as_f64().unwrap();
            prop_assert!(energy > 0.0 && energy <= 10.0, "{}", energy);
        }
        prop_assert_eq!(&joined.last().unwrap()["type"], "join_summary");
    }

    #[test]
    fn whatever_is_read_every_line_that_goes_out_is_a_record_of_the_contract(
        numbers in proptest::collection::vec(hostile(), 24), kind in 0..3usize, attribution in 0..3usize,
        sane in any::<bool>(),
    ) {
        let mut next = numbers.iter().copied().cycle();
        let mut odd = || json!(next.next().unwrap());
        let mut samples = if sane { power("b", &[10.0; 9]) } else { vec![sampler("b", 1.0)] };
        samples[0]["interval_seconds"] = odd();
        for (i, domain) in ["cpu", "cpu", "gpu0", "cpu", "odd"].into_iter().enumerate() {
            let mut reading = window(i as f64 + 0.5, 1.0, 1.0);
            reading["kind"] = json!(["window", "counter", "instant"][(kind + i / 3) % 3]);
            reading["source"] = json!("odd");
            reading["watts"] = json!({domain: odd()});
            reading["joules"] = json!({domain: odd()});
            reading["window_seconds"] = odd();
            if i == 4 {
                reading["ts"] = odd();
                reading["mono"] = odd();
            }
            samples.insert(1 + i, reading);
        }
        let bytes = |x: Value| json!(x.as_f64().unwrap().abs() as u64);
        let held = (0..4).map(|i| {
            let mut reading = memory(f64::from(i) + 0.5, 1);
            reading["rss_bytes"] = bytes(odd());
            reading["system"] = json!({"used_bytes": bytes(odd()), "available_bytes": 1, "total_bytes": bytes(odd())});
            reading["gpu"] = json!({"gpu0": {"used_bytes": u64::MAX, "process_bytes": bytes(odd())}});
            reading
        }).collect();
        let mut lines = told(&[(1.0, 2.0), (1.5, 4.0)]);
        lines.insert(1, load(0.25, 1.0));
        let mut strange = result(7, 3.0, 4.0);
        strange["start_ts"] = odd();
        strange["timing_seconds"] = json!({"first_token": odd(), "last_token": odd(), "end": odd()});
        strange["tokens"]["output"] = bytes(odd());
        lines.push(strange);
        for line in &lines {
            prop_assert!(rec::read(&line.to_string()).is_ok(), "the test itself: {}", line);
        }
        let settings = Settings {
            attribution: [Attribution::Time, Attribution::Tokens, Attribution::Exclusive][attribution],
            idle: IdleFrom::Auto,
            rates: Rates { price_per_kwh: Some(1e9), carbon_g_per_kwh: Some(1e9), pue: Some(1e9) },
            ..settings()
        };
        let streams = [(Role::Power, samples), (Role::Memory, held)];
        let joined = join(settings, &lines, &streams, true);
        prop_assert_eq!(joined.len(), 6, "the run, the load, three results, the summary");
        for line in &joined {
            let text = line.to_string();
            let read = rec::read(&text);
            prop_assert!(!matches!(read, Err(_) | Ok(rec::Record::Unknown | rec::Record::Newer(_))), "{:?}: {}", read, text);
            let mut nulls = Vec::new();
            nulls_of(line, "", &mut nulls);
            nulls.retain(|at| !ALLOWED_NULLS.iter().any(|end| at.ends_with(end)));
            prop_assert!(nulls.is_empty(), "{:?}: {}", nulls, text);
        }
        if sane {
            prop_assert!(results(&joined)[1]["power"]["domains"]["cpu"]["avg"].is_f64());
        }
    }
}

/// Where null is a word of the contract: nothing was measured, and a reason or a quality beside it says so.
const ALLOWED_NULLS: [&str; 4] = [".power", ".memory", ".energy_joules", ".error"];

fn nulls_of(value: &Value, at: &str, to: &mut Vec<String>) {
    match value {
        Value::Null => to.push(at.to_owned()),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| nulls_of(value, &format!("{at}.{key}"), to)),
        _ => {}
    }
}

/// Finite numbers of the kind that breaks sums.
fn hostile() -> impl Strategy<Value = f64> {
    let extremes = [0.0, -0.0, 5e-324, 1e-300, 1e-9, -1.0, 1e9, 1e18, 9.3e18, 1e300, 1e308, f64::MAX, f64::MIN];
    prop_oneof![
        proptest::sample::select(extremes.to_vec()),
        any::<f64>().prop_filter("finite", |x| x.is_finite()),
        0.0..100.0f64,
    ]
}
