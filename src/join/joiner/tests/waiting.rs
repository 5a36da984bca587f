//! When lines go out: in order, once a reading covers it, and without waiting for what never comes.

use super::*;

#[test]
fn results_go_out_in_order_once_readings_cover_them() {
    let mut joiner = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    read(&mut joiner, 0, &sampler("b", 1.0), 0.0);
    for line in [run("b"), start(1, 0.5), result(1, 0.5, 2.5), json!({"type": "weather"})] {
        hand(&mut joiner, &line, 2.5);
    }
    let kinds = |lines: Vec<Value>| lines.iter().map(|l| l["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(out(&mut joiner, 2.5)), ["run"]);
    read(&mut joiner, 0, &window(1.0, 1.0, 10.0), 2.5);
    read(&mut joiner, 0, &window(2.0, 1.0, 10.0), 2.6);
    assert!(out(&mut joiner, 2.6).is_empty());
    assert!(joiner.wants(0));
    read(&mut joiner, 0, &window(3.0, 1.0, 30.0), 3.0);
    let lines = out(&mut joiner, 3.0);
    assert_eq!(lines[0]["power"]["energy_joules"], 5.0 + 10.0 + 15.0);
    assert_eq!(kinds(lines), ["result", "weather"]);
    assert!(!joiner.wants(0));
}

#[test]
fn missing_readings_are_awaited_for_three_intervals() {
    let mut joiner = Joiner::new(settings(), &[(Role::Power, false), (Role::Memory, false)], 0.0);
    read(&mut joiner, 0, &sampler("b", 0.5), 9.9);
    read(&mut joiner, 0, &window(10.0, 1.0, 10.0), 10.0);
    read(&mut joiner, 1, &memory(10.5, 7), 10.5);
    for line in [run("b"), start(1, 9.0), result(1, 9.0, 10.5)] {
        hand(&mut joiner, &line, 10.5);
    }
    out(&mut joiner, 10.5);
    let due = joiner.next(10.6).unwrap().unwrap_err();
    assert!(due > 10.6 && due <= 12.0, "{due}");
    let lines = out(&mut joiner, due);
    assert_eq!(lines[0]["power"]["quality"], "partial");
    assert_eq!(lines[0]["power"]["coverage"], 0.666667);
    assert_eq!(lines[0]["power"]["energy_joules"], 10.0);
    assert_eq!(lines[0]["memory"]["after_generation"]["rss_bytes"], 7);
}

#[test]
fn no_stream_adds_nothing_and_an_empty_one_null_and_reason() {
    let lines = records_of(&[(1.0, 2.0)]);
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
fn a_request_without_a_result_still_has_its_share() {
    let mut lines = records_of(&[(0.0, 4.0), (0.0, 2.0)]);
    lines.retain(|line| line["type"] != "result" || line["id"] != 1);
    let joined = join(settings(), &lines, &[(Role::Power, power("b", &[10.0; 4]))], true);
    assert_eq!(energies(&joined), [Some(10.0)]);
    let summary = joined.last().unwrap();
    assert_eq!((&summary["unfinished"], &summary["power"]["unattributed_joules"]), (&json!(1), &json!(10.0)));
}

#[test]
fn killed_runs_do_not_overlap_the_next_but_merged_runs_do() {
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
    let mut lines = records_of(&[(0.0, 4.0), (2.0, 6.0)]);
    lines.retain(|line| line["type"] != "start");
    lines.swap(1, 2);
    let mut joiner = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    for line in &lines {
        hand(&mut joiner, line, 0.0);
    }
    power("b", &[10.0; 7]).iter().for_each(|sample| read(&mut joiner, 0, sample, 0.0));
    joiner.stream_ended(0);
    assert_eq!(out(&mut joiner, 100.0).len(), 1, "the run alone");
    assert!(joiner.notes()[0].starts_with("results without start records"));
    joiner.input_ended();
    assert_eq!(energies(&out(&mut joiner, 100.0)), [Some(30.0), Some(30.0)]);
}

#[test]
fn readings_count_once_whatever_happens_to_the_sampler() {
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
            let joined = join(settings(), &records_of(&[(0.0, 4.0)]), &streams, lines_first);
            let power = &results(&joined)[0]["power"];
            assert_eq!((&power["energy_joules"], &power["coverage"]), (&json!(energy), &json!(coverage)), "{what}");
            let clock = if what == "rebooted" { "wall" } else { "mono" };
            assert_eq!(power["clock"], clock, "{what}");
        }
    }
}

#[test]
fn memory_is_forgotten_as_the_stream_goes_on() {
    let mut joiner = Joiner::new(settings(), &[(Role::Power, false)], 0.0);
    read(&mut joiner, 0, &sampler("b", 1.0), 0.0);
    hand(&mut joiner, &run("b"), 0.0);
    for i in 0..2000_u32 {
        let at = f64::from(i) * 2.0;
        hand(&mut joiner, &start(1, at), at);
        read(&mut joiner, 0, &window(at + 1.0, 1.0, 10.0), at);
        read(&mut joiner, 0, &window(at + 2.0, 1.0, 10.0), at);
        hand(&mut joiner, &result(1, at, at + 1.5), at);
        out(&mut joiner, at);
        assert!(joiner.samples.meters().first().unwrap() >= at - 5.0, "{at}");
        assert!(joiner.requests.in_flight(at).busy_times(0.0, at + 2.0).len() < 20, "{at}");
    }
}
