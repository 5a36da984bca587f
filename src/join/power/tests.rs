use super::*;
use crate::record::{self, Record};
use serde_json::json;

fn power(kind: &str, source: &str, ts: f64, watts: serde_json::Value, joules: serde_json::Value) -> Power {
    let line = json!({
        "type": "power", "v": 1, "ts": ts, "seq": 1, "source": source, "kind": kind, "window_seconds": 1.0,
        "watts": watts, "joules": joules,
    });
    match record::read(&line.to_string()) {
        Ok(Record::Power(power)) => *power,
        other => panic!("{other:?}"),
    }
}

fn windows(meters: &mut Meters, stream: usize, watts: &serde_json::Value) {
    for at in 1..=10 {
        meters.add(stream, f64::from(at), &power("window", "m", f64::from(at), watts.clone(), json!(null)));
    }
}

fn named(meters: &mut Meters, stream: usize, total: &str) {
    let line = json!({
        "type": "sampler", "v": 1, "event": "start", "tool": {"name": "x", "version": "0"}, "ts": 0.0,
        "sources": ["m"], "total_domain": total,
    });
    match record::read(&line.to_string()) {
        Ok(Record::Sampler(sampler)) => meters.sampler(stream, &sampler),
        other => panic!("{other:?}"),
    }
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
        meters.add(
            1,
            f64::from(at),
            &power("counter", "nvml", f64::from(at), json!({"gpu0": 51.0}), json!({"gpu0": joules})),
        );
    }
    let drawn = meters.drawn(&Piece::whole(2.0, 4.0));
    assert_eq!(drawn.total.unwrap().energy, 100.0);
    assert_eq!(watts(&drawn.domains["gpu0"]), Watts { avg: 50.0, min: 51.0, max: 51.0, samples: 2 });
    assert_eq!(drawn.meters.into_iter().collect::<Vec<_>>(), ["nvml"]);
}

#[test]
fn an_exact_zero_of_what_cannot_be_zero_is_a_stuck_meter_and_no_measurement() {
    for (domain, measured) in
        [("cpu", false), ("package-1", false), ("system", false), ("ane", true), ("gpu", true), ("gpu0", true)]
    {
        let mut meters = Meters::new(1);
        windows(&mut meters, 0, &json!({domain: 0.0}));
        assert_eq!(meters.drawn(&Piece::whole(2.0, 4.0)).domains.contains_key(domain), measured, "{domain}");
    }
}

#[test]
fn quality_says_how_far_to_trust() {
    let e = |lower: f64, upper: f64, covered: f64, samples: u64, touched: f64| Estimate {
        energy: 100.0,
        lower,
        upper,
        gross: 100.0,
        covered,
        share_seconds: covered,
        min: 1.0,
        max: 1.0,
        samples,
        contained: 0,
        touched,
    };
    for (estimate, length, expect) in [
        (None, 10.0, Quality::None),
        (Some(e(100.0, 100.0, 10.0, 10, 10.0)), 10.0, Quality::Exact),
        (Some(e(92.0, 109.0, 10.0, 11, 11.0)), 10.0, Quality::Good),
        (Some(e(89.0, 109.0, 10.0, 11, 11.0)), 10.0, Quality::Coarse),
        (Some(e(92.0, 111.0, 10.0, 11, 11.0)), 10.0, Quality::Coarse),
        (Some(e(0.0, 200.0, 1.5, 3, 3.0)), 1.5, Quality::SubInterval),
        (Some(e(100.0, 100.0, 1.0, 1, 1.0)), 1.0, Quality::Exact),
        (Some(e(100.0, 100.0, 9.4, 10, 10.0)), 10.0, Quality::Partial),
        (Some(e(100.0, 100.0, 0.0, 0, 0.0)), 10.0, Quality::None),
    ] {
        assert_eq!(quality(estimate.as_ref(), length), expect, "{estimate:?}");
    }
}

#[test]
fn twelve_digits_are_kept() {
    for (value, expect) in [
        (0.1 + 0.2, 0.3),
        (0.0, 0.0),
        (123_456_789_012_345.6, 123_456_789_012_000.0),
        (-1.0 / 3.0, -0.333_333_333_333),
        (1e-300, 1e-300),
        (5e-324, 5e-324),
    ] {
        assert_eq!(round(value), expect);
    }
    assert!(round(f64::INFINITY).is_infinite());
}

#[test]
fn the_idle_power_of_a_recording_is_the_median_of_its_total() {
    let records = |watts: &[f64]| {
        let power = |(i, &watts): (usize, &f64)| {
            Record::Power(Box::new(power(
                "window",
                "m",
                1000.0 + i as f64,
                json!({"cpu": watts, "gpu": 1.0}),
                json!(null),
            )))
        };
        watts.iter().enumerate().map(power).collect::<Vec<_>>()
    };
    let level = idle_of(records(&[4.0, 5.0, 90.0])).unwrap();
    assert_eq!((level.watts, level.idle.source.as_str(), level.idle.samples), (6.0, "file", Some(3)));
    assert_eq!(idle_of(records(&[4.0, 5.0])), None);
}
