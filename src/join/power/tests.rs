use super::*;
use crate::join::figures::watts;
use crate::join::sampled::{Sample, Sampling};
use crate::record::{SamplerEvent, Watts, fixture};
use serde_json::json;

fn power(kind: &str, source: &str, ts: f64, watts: serde_json::Value, joules: serde_json::Value) -> PowerSample {
    let fields = json!({"ts": ts, "mono": null, "meter": source, "kind": kind, "watts": watts, "joules": joules});
    match Sampling::default().sample(fixture::power(0.0, 1.0, 0.0).merge(fields).into()) {
        Some(Sample::Power(power)) => power,
        other => panic!("{other:?}"),
    }
}

fn windows(meters: &mut Meters, stream: usize, watts: &serde_json::Value) {
    for at in 1..=10 {
        meters.add(stream, f64::from(at), &power("window", "m", f64::from(at), watts.clone(), json!(null))).unwrap();
    }
}

fn named(meters: &mut Meters, stream: usize, total: &str) {
    let sampler = fixture::sampler(SamplerEvent::Start, "b", 1.0);
    meters.sampler(stream, &sampler.merge(json!({"total_domain": total, "interval_seconds": null})));
}

#[test]
fn the_total_is_the_one_that_is_named_or_the_largest_that_contains_the_others() {
    for (streams, total, joules) in [
        (vec![(Some("soc"), json!({"cpu": 1.0, "gpu": 2.0, "soc": 4.0}))], Some("soc"), Some(8.0)),
        (vec![(None, json!({"cpu": 1.0, "gpu": 2.0, "ane": 0.0}))], Some("cpu+gpu+ane"), Some(6.0)),
        (
            vec![(Some("package-0+dram-0"), json!({"package-0": 3.0, "dram-0": 1.0, "psys": 9.0}))],
            Some("package-0+dram-0"),
            Some(8.0),
        ),
        (
            vec![
                (Some("package-0"), json!({"package-0": 3.0})),
                (Some("gpu0+gpu1"), json!({"gpu0": 10.0, "gpu1": 20.0})),
            ],
            Some("package-0+gpu0+gpu1"),
            Some(66.0),
        ),
        (
            vec![(Some("wall"), json!({"wall": 50.0})), (Some("package-0"), json!({"package-0": 3.0}))],
            Some("wall"),
            Some(100.0),
        ),
        (vec![(Some("soc"), json!({"soc": 4.0})), (Some("soc"), json!({"soc": 4.0}))], Some("soc"), Some(8.0)),
        (vec![(Some("package-0+gpu0"), json!({"package-0": 3.0}))], Some("package-0+gpu0"), None),
        (vec![(None, json!({"cpu": null}))], None, None),
    ] {
        let mut meters = Meters::new(streams.len());
        for (i, (name, watts)) in streams.iter().enumerate() {
            name.iter().for_each(|name| named(&mut meters, i, name));
            windows(&mut meters, i, watts);
        }
        assert_eq!(meters.total_name().as_deref(), total, "{streams:?}");
        let drawn = meters.drawn(&Piece::whole(2.0, 4.0));
        assert_eq!(drawn.total.map(|total| total.energy), joules, "{streams:?}");
        assert_eq!(meters.total(&Piece::whole(2.0, 4.0)).map(|total| total.energy), joules, "{streams:?}");
    }
}

#[test]
fn a_domain_that_several_meters_read_is_taken_from_the_counter_and_never_added() {
    let mut meters = Meters::new(2);
    windows(&mut meters, 0, &json!({"gpu0": 100.0}));
    for at in 0..=10 {
        let joules = 50.0 * f64::from(at);
        meters
            .add(
                1,
                f64::from(at),
                &power("counter", "nvml", f64::from(at), json!({"gpu0": 51.0}), json!({"gpu0": joules})),
            )
            .unwrap();
    }
    let drawn = meters.drawn(&Piece::whole(2.0, 4.0));
    assert_eq!(drawn.total.unwrap().energy, 100.0);
    assert_eq!(watts(&drawn.domains[0].1), Watts { avg: 50.0, min: 51.0, max: 51.0, samples: Some(2) });
    assert_eq!((drawn.domains[0].0, drawn.meters), ("gpu0", vec!["nvml"]));
}

#[test]
fn an_exact_zero_of_what_cannot_be_zero_is_a_stuck_meter_and_no_measurement() {
    for (domain, measured) in
        [("cpu", false), ("package-1", false), ("system", false), ("ane", true), ("gpu", true), ("gpu0", true)]
    {
        let mut meters = Meters::new(1);
        windows(&mut meters, 0, &json!({domain: 0.0}));
        let drawn = meters.drawn(&Piece::whole(2.0, 4.0));
        assert_eq!(drawn.domains.iter().any(|(name, _)| *name == domain), measured, "{domain}");
        assert_eq!(drawn.total, None, "{domain}: a total of exactly nothing");
    }
}

#[test]
fn a_total_of_exactly_nothing_is_a_stuck_meter_whatever_it_is_made_of_but_a_part_of_it_may_be_nothing() {
    for (watts, energy) in [
        (json!({"gpu0": 0.0}), None),
        (json!({"gpu": 0.0}), None),
        (json!({"gpu0": 0.0, "gpu1": 0.0}), None),
        (json!({"gpu0": 0.0, "gpu1": 30.0}), Some(60.0)),
        (json!({"cpu": 5.0, "gpu": 0.0, "ane": 0.0}), Some(10.0)),
        (json!({"gpu0": 0.001}), Some(0.002)),
    ] {
        let mut meters = Meters::new(1);
        windows(&mut meters, 0, &watts);
        let pieces = Piece::whole(2.0, 4.0);
        let drawn = meters.drawn(&pieces);
        assert_eq!(drawn.total.map(|total| total.energy), energy, "{watts}");
        assert_eq!(meters.total(&pieces).map(|total| total.energy), energy, "{watts}");
        assert_eq!(drawn.stuck, energy.is_none(), "{watts}");
        assert_eq!(meters.idle_readings(0.0, 10.0).is_empty(), energy.is_none(), "{watts}");
    }
    // A counter that does not move is the same.
    let mut meters = Meters::new(1);
    for at in 0..=10 {
        let reading = power("counter", "rapl", f64::from(at), json!({}), json!({"package-0": 7.0}));
        meters.add(0, f64::from(at), &reading).unwrap();
    }
    let drawn = meters.drawn(&Piece::whole(2.0, 4.0));
    assert_eq!((drawn.total, drawn.stuck), (None, true));
}

#[test]
fn what_nothing_can_draw_is_left_out_and_told() {
    for (kind, watts, joules, why) in [
        ("window", 1e308, None, "watts below 0 or beyond 1e9"),
        ("window", -1.0, None, "watts below 0 or beyond 1e9"),
        ("window", 5.0, Some(1e308), "windows of less than 0 W or more than 1e9 W"),
        ("window", 5.0, Some(-5.0), "windows of less than 0 W or more than 1e9 W"),
        ("instant", 1e10, None, "watts below 0 or beyond 1e9"),
        ("counter", 5.0, Some(1e300), "joules below 0 or beyond 1e18"),
    ] {
        let mut meters = Meters::new(1);
        let reading = power(kind, "m", 1.0, json!({"soc": watts}), json!({"soc": joules}));
        assert_eq!(meters.add(0, 1.0, &reading), Err(why), "{kind} {watts} {joules:?}");
        assert!(meters.first().is_none(), "{kind} {watts} {joules:?}");
    }
    for (length, measured) in [(1e308, false), (0.0, false), (-1.0, false), (2.0, true)] {
        let mut reading = power("window", "m", 1.0, json!({"soc": 5.0}), json!(null));
        reading.window_seconds = Some(length);
        let mut meters = Meters::new(1);
        assert_eq!(meters.add(0, 1.0, &reading).is_ok(), measured, "{length}");
        assert_eq!(meters.first().is_some(), measured, "{length}");
    }
}
