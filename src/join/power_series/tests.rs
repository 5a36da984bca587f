mod reference;

use super::*;
use crate::join::shares::{Attribution, TokenFlow};
use proptest::prelude::*;
use serde_json::Value;
use std::path::Path;

/// A figure's name in a vector, and where it stands in an estimate.
type Figure = (&'static str, fn(&Estimate) -> f64);

/// All figures of an estimate.
const FIGURES: [Figure; 11] = [
    ("energy", |e| e.energy),
    ("lower", |e| e.lower),
    ("upper", |e| e.upper),
    ("gross", |e| e.gross),
    ("covered", |e| e.covered),
    ("share_seconds", |e| e.share_seconds),
    ("min", |e| e.min),
    ("max", |e| e.max),
    ("samples", |e| e.samples as f64),
    ("contained", |e| e.contained as f64),
    ("touched", |e| e.touched),
];

fn add(in_flight: &mut InFlight, claim: &Claim) {
    in_flight.add(claim.from);
    in_flight.remove(claim.to);
    claim.flow.into_iter().for_each(|flow| in_flight.add_flow(flow));
}

fn in_flight(attribution: Attribution, claims: &[Claim]) -> InFlight {
    let mut in_flight = InFlight::new(attribution);
    claims.iter().for_each(|claim| add(&mut in_flight, claim));
    in_flight.settle(f64::INFINITY);
    in_flight
}

fn series(kind: PowerKind, readings: impl IntoIterator<Item = (f64, f64, f64)>) -> PowerSeries {
    let mut series = PowerSeries::new(kind);
    for (at, span, value) in readings {
        let watts = (kind != PowerKind::Counter).then_some(value);
        let value = if kind == PowerKind::Window { value * span } else { value };
        series.add(PowerReading { at, span, value, watts, fresh: false });
    }
    series
}

fn near(got: f64, expect: f64) -> bool {
    (got - expect).abs() <= 1e-6 * expect.abs().max(1.0)
}

#[track_caller]
fn check(name: &str, got: Option<Estimate>, length: f64, expect: &Value, keys: &[Figure]) {
    for (key, of) in keys {
        match expect[*key].as_f64() {
            None => assert!(got.is_none(), "{name} {key}: {got:?}"),
            Some(number) => {
                let got = if *key == "coverage" {
                    got.map_or(0.0, |got| got.covered / length)
                } else {
                    got.as_ref().map_or(0.0, of)
                };
                assert!(near(got, number), "{name} {key}: {got}, not {number}");
            }
        }
    }
}

#[test]
fn energy_is_that_of_our_own_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/join/energy.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let kind: PowerKind = serde_json::from_value(case["kind"].clone()).unwrap();
        let readings: Vec<(f64, f64, f64)> = serde_json::from_value(case["readings"].clone()).unwrap();
        let [a, b]: [f64; 2] = serde_json::from_value(case["request"].clone()).unwrap();
        let got = series(kind, readings).estimate(a, b);
        let keys: [Figure; 8] = [
            ("energy", |e| e.energy),
            ("lower", |e| e.lower),
            ("upper", |e| e.upper),
            ("coverage", |e| e.covered),
            ("samples", |e| e.samples as f64),
            ("contained", |e| e.contained as f64),
            ("min", |e| e.min),
            ("max", |e| e.max),
        ];
        check(case["name"].as_str().unwrap(), got, b - a, &case["expect"], &keys);
    }
}

#[test]
fn energy_is_that_of_the_shared_vectors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/energy_vectors.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: {} is not here; testdata/join/energy.json was checked", path.display());
        return;
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let windows: Vec<(f64, f64, f64)> = serde_json::from_value(case["windows"].clone()).unwrap();
        let [a, b]: [f64; 2] = serde_json::from_value(case["request"].clone()).unwrap();
        let readings = windows.into_iter().map(|(from, to, watts)| (to, to - from, watts));
        let got = series(PowerKind::Window, readings).estimate(a, b);
        let name = format!("{} {a}..{b}", case["name"]);
        let keys: [Figure; 9] = [
            ("energy_j", |e| e.energy),
            ("energy_j_lower", |e| e.lower),
            ("energy_j_upper", |e| e.upper),
            ("avg_w", |e| e.gross / e.covered),
            ("min_w", |e| e.min),
            ("max_w", |e| e.max),
            ("covered_s", |e| e.covered),
            ("windows_overlapping", |e| e.samples as f64),
            ("windows_contained", |e| e.contained as f64),
        ];
        check(&name, got, b - a, &case["expect"], &keys);
        check(&name, got, b - a, &case["expect"], &[("coverage", |e| e.covered)]);
    }
}

#[test]
fn nothing_is_concluded_across_a_restart_or_a_hole() {
    for kind in [PowerKind::Counter, PowerKind::Instant] {
        let mut series = PowerSeries::new(kind);
        for (at, fresh) in [(0.0, false), (1.0, false), (2.0, true), (3.0, false)] {
            series.add(PowerReading { at, span: 0.0, value: 10.0 + at, watts: None, fresh });
        }
        let covered = series.estimate(0.0, 3.0).unwrap().covered;
        assert_eq!(covered, 2.0, "{kind:?}: from 1 to 2 the sampler was not running");
    }
    let mut instants = series(PowerKind::Instant, [(0.0, 0.0, 10.0), (1.0, 0.0, 10.0), (9.0, 0.0, 10.0)]);
    instants.promise(Some(1.0));
    assert_eq!(instants.estimate(0.0, 9.0).unwrap().covered, 1.0);
}

#[test]
fn bounds_follow_from_the_extreme_shares_of_each_window() {
    let mut series = series(PowerKind::Window, [(1.0, 1.0, 10.0), (2.0, 1.0, 20.0)]);
    let mut in_flight = InFlight::new(Attribution::Time);
    [0.0, 0.5].into_iter().for_each(|at| in_flight.add(at));
    in_flight.settle(1.5);
    series.sum_up(1.5, 0.0, &in_flight);
    let got = series.share(&Claim { from: 0.0, to: 1.5, flow: None }, &in_flight).unwrap();
    assert_eq!((got.energy, got.lower, got.upper), (5.0 + 2.5 + 5.0, 5.0, 10.0 + 10.0));
    assert_eq!((got.gross, got.covered, got.share_seconds), (20.0, 1.5, 1.0));
}

#[test]
fn forgetting_keeps_what_the_rest_is_understood_by() {
    let mut series = series(PowerKind::Counter, (0..10).map(|t| (f64::from(t), 0.0, 10.0 * f64::from(t))));
    let whole = series.estimate(5.5, 9.0);
    series.forget(5.5);
    assert!(series.first().unwrap() > 3.0);
    assert_eq!(series.estimate(5.5, 9.0), whole);
}

/// Readings of any kind: distances in time, lengths, values.
fn any_series() -> impl Strategy<Value = (PowerKind, Vec<(f64, f64, f64)>)> {
    let kind = prop_oneof![Just(PowerKind::Window), Just(PowerKind::Counter), Just(PowerKind::Instant)];
    let step = (0.001..2.0f64, 0.1..1.5f64, 0.0..100.0f64);
    (kind, proptest::collection::vec(step, 1..30)).prop_map(|(kind, steps)| {
        let (mut at, mut count) = (0.0, 0.0);
        let readings = steps.into_iter().map(|(distance, part, watts)| {
            at += distance;
            count += watts * distance;
            (at, distance * part, if kind == PowerKind::Counter { count } else { watts })
        });
        (kind, readings.collect())
    })
}

/// Requests, most of which emit tokens in a part of their time.
fn any_claims() -> impl Strategy<Value = Vec<Claim>> {
    let claim = (-1.0..25.0f64, 0.001..12.0f64, 0.0..0.6f64, 0.001..0.4f64, 0.0..400.0f64);
    let claim = claim.prop_map(|(from, length, first, part, tokens)| {
        let (begin, end) = (from + first * length, from + (first + part) * length);
        let flow = TokenFlow { from: begin, to: end, rate: tokens / (end - begin) };
        Claim { from, to: from + length, flow: Some(flow).filter(|_| tokens > 40.0) }
    });
    proptest::collection::vec(claim, 1..12)
}

fn energy(series: &PowerSeries, a: f64, b: f64) -> f64 {
    series.estimate(a, b).map_or(0.0, |estimate| estimate.energy)
}

proptest! {
    #[test]
    fn energy_adds_up((kind, readings) in any_series(), part in 0.0..1.0f64, b in 0.0..10.0f64, c in 0.1..10.0f64) {
        let (first, last) = (readings[0].0 - readings[0].1 - 1.0, readings[readings.len() - 1].0);
        let series = series(kind, readings);
        let a = first + part * (last - first);
        let (b, c) = (a + b, a + b + c);
        let (whole, parts) = (energy(&series, a, c), energy(&series, a, b) + energy(&series, b, c));
        // Too many cases without energy fail the test: it must not pass for want of readings.
        prop_assume!(whole > 0.0);
        prop_assert!((whole - parts).abs() <= 1e-9 * whole.abs().max(1.0), "{whole} {parts}");
    }

    #[test]
    fn bounds_contain_the_estimate((kind, readings) in any_series(), a in -1.0..30.0f64, length in 0.0..20.0f64, requests in any_claims()) {
        let mut series = series(kind, readings);
        let claim = Claim { from: a, to: a + length, flow: None };
        let mut all = requests;
        all.push(claim);
        let in_flight = in_flight(Attribution::Time, &all);
        series.sum_up(claim.to, f64::NEG_INFINITY, &in_flight);
        for e in [series.share(&claim, &in_flight), series.estimate(claim.from, claim.to)] {
            let Some(e) = e else { return Err(TestCaseError::reject("nothing is covered")) };
            prop_assert!(e.lower <= e.energy && e.energy <= e.upper, "{e:?}");
            prop_assert!(e.covered > 0.0 && e.covered <= length + 1e-9);
            let average = e.gross / e.covered;
            if e.samples > 0 && kind != PowerKind::Window {
                prop_assert!(e.min <= average * (1.0 + 1e-6) && average <= e.max * (1.0 + 1e-6) + 1e-9, "{e:?}");
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_slow_reference(
        (kind, readings) in any_series(), claims in any_claims(), by_tokens in any::<bool>(),
        stops in proptest::collection::vec(0.0..1.0f64, 0..4),
    ) {
        let attribution = if by_tokens { Attribution::Tokens } else { Attribution::Time };
        let claims: Vec<Claim> =
            claims.into_iter().map(|claim| Claim { flow: claim.flow.filter(|_| by_tokens), ..claim }).collect();
        let mut series = series(kind, readings.clone());
        let mut in_flight = InFlight::new(attribution);
        // What was summed up too early must not stay wrong.
        for (i, claim) in claims.iter().enumerate() {
            add(&mut in_flight, claim);
            if let Some(part) = stops.get(i) {
                in_flight.settle(30.0 * part);
                series.sum_up(30.0 * part, in_flight.take_changed(), &in_flight);
            }
        }
        in_flight.settle(f64::INFINITY);
        series.sum_up(f64::INFINITY, in_flight.take_changed(), &in_flight);
        let mut shared = 0.0;
        for claim in &claims {
            let got = series.share(claim, &in_flight);
            let expect = reference::estimate(&series, &reference::pieces(&claims, claim, attribution));
            prop_assert_eq!(got.is_some(), expect.is_some());
            let Some((got, expect)) = got.zip(expect) else { continue };
            for (name, of) in FIGURES {
                let (got, expect) = (of(&got), of(&expect));
                prop_assert!((got - expect).abs() <= 1e-9 * expect.abs().max(1.0), "{}: {} {}", name, got, expect);
            }
            shared += got.energy;
        }
        // Every moment counts once, however many shared it.
        let busy = in_flight.busy_times(-1e3, 1e3).into_iter().filter(|(.., busy)| *busy);
        let whole: f64 = busy.map(|(from, to, _)| energy(&series, from, to)).sum();
        prop_assert!((shared - whole).abs() <= 1e-9 * whole.max(1.0), "{} {}", shared, whole);
    }

    #[test]
    fn energy_scales_with_power((kind, readings) in any_series(), a in -1.0..30.0f64, length in 0.0..20.0f64, by in 0.1..10.0f64) {
        let scaled = readings.iter().map(|&(at, span, value)| (at, span, value * by));
        let (one, many) = (series(kind, readings.clone()), series(kind, scaled));
        let (one, many) = (energy(&one, a, a + length), energy(&many, a, a + length));
        prop_assume!(one > 0.0);
        prop_assert!((many - one * by).abs() <= 1e-9 * many.abs().max(1.0));
    }

    #[test]
    fn neither_the_order_of_readings_nor_their_number_matters(
        (kind, readings) in any_series(), a in -1.0..30.0f64, length in 0.0..20.0f64,
        shuffled in any::<proptest::sample::Index>(),
    ) {
        let mut other = readings.clone();
        other.extend(readings.clone());
        other.rotate_left(shuffled.index(readings.len()));
        other.reverse();
        prop_assert_eq!(series(kind, readings).estimate(a, a + length), series(kind, other).estimate(a, a + length));
    }

    #[test]
    fn nothing_is_drawn_outside_the_readings((kind, readings) in any_series()) {
        let (first, last) = (readings[0].0 - readings[0].1, readings[readings.len() - 1].0);
        let series = series(kind, readings);
        prop_assert_eq!(series.estimate(first - 5.0, first), None);
        prop_assert_eq!(series.estimate(last, last + 5.0), None);
    }
}
