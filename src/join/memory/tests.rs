use super::*;
use crate::join::Sample;
use crate::join::sampled::Sampling;
use crate::record::fixture;
use serde_json::json;

fn memory(value: serde_json::Value) -> MemorySample {
    let bare = fixture::memory(0.0, 0).set(|memory| (memory.mono, memory.rss_bytes) = (None, None));
    match Sampling::default().sample(bare.merge(value).into()) {
        Some(Sample::Memory(memory)) => memory,
        other => panic!("{other:?}"),
    }
}

fn held(readings: &[(f64, u64)]) -> Held {
    let mut held = Held::new(1);
    for &(at, rss) in readings {
        held.add(0, at, &memory(json!({"ts": at, "rss_bytes": rss})));
    }
    held
}

#[test]
fn a_point_is_the_nearest_reading_and_says_how_near() {
    let held = held(&[(1.0, 10), (2.0, 20), (4.0, 40)]);
    for (at, rss, distance) in [(0.0, 10, 1.0), (1.4, 10, -0.4), (1.6, 20, 0.4), (4.0, 40, 0.0), (8.0, 40, -4.0)] {
        let point = held.nearest(at).unwrap();
        assert_eq!((point.figures.rss_bytes, point.distance_seconds), (Some(rss), Some(distance)), "{at}");
    }
    assert_eq!(held.nearest(9.0), None, "further than three intervals, nothing was read about it");
    assert_eq!(held.nearest(-4.0), None);
    assert_eq!(Held::new(2).nearest(1.0), None);
}

#[test]
fn the_high_water_counts_what_was_read_in_between_and_next_to_both_ends() {
    let held = held(&[(1.0, 10), (2.0, 50), (3.0, 20), (4.0, 90)]);
    for (from, to, rss, samples) in
        [(1.5, 3.2, 50, 2), (2.9, 3.1, 20, 1), (3.2, 3.4, 20, 0), (3.6, 3.8, 90, 0), (0.0, 9.0, 90, 4)]
    {
        let (figures, n) = held.highest(from, to).unwrap();
        assert_eq!((figures.rss_bytes, n), (Some(rss), samples), "{from}..{to}");
    }
}

#[test]
fn streams_complete_each_other_and_the_first_that_has_a_figure_tells_it() {
    let mut held = Held::new(2);
    held.add(0, 1.0, &memory(json!({"rss_bytes": 10, "anon_bytes": null})));
    held.add(1, 1.0, &memory(json!({"rss_bytes": 99, "gpu": {"gpu0": {"used_bytes": 3}, "gpu1": {"used_bytes": 4}}})));
    let figures = held.nearest(1.0).unwrap().figures;
    assert_eq!((figures.rss_bytes, figures.anon_bytes, figures.gpu_used_bytes), (Some(10), None, Some(7)));
    assert_eq!(held.highest(0.0, 2.0).unwrap().0.gpu_used_bytes, Some(7));
}

#[test]
fn readings_may_come_late_and_twice() {
    let held = held(&[(3.0, 30), (1.0, 10), (3.0, 31), (2.0, 20)]);
    assert_eq!(held.nearest(2.1).unwrap().figures.rss_bytes, Some(20));
    assert_eq!(held.highest(0.0, 9.0).unwrap().1, 3);
}

#[test]
fn a_difference_is_known_where_both_are_and_may_be_negative() {
    let (a, b) = (memory(json!({"rss_bytes": 5, "pss_bytes": 1})), memory(json!({"rss_bytes": 8})));
    let difference = less(&write(&a.figures), &write(&b.figures));
    assert_eq!((difference.rss_bytes, difference.pss_bytes), (Some(-3), None));
}

#[test]
fn the_primary_figure_is_what_the_platform_compares() {
    for (figures, expect) in [
        (json!({"rss_bytes": 1, "footprint_bytes": 2}), Some("footprint")),
        (json!({"rss_bytes": 1, "pss_bytes": 2}), Some("pss")),
        (json!({"rss_bytes": 1, "system": {"used_bytes": 1, "available_bytes": 1, "total_bytes": 2}}), Some("rss")),
        (
            json!({"rss_bytes": null, "system": {"used_bytes": 1, "available_bytes": 1, "total_bytes": 2}}),
            Some("system_used"),
        ),
        (json!({"rss_bytes": 1, "gpu": {"gpu0": {"process_bytes": 9}}}), Some("gpu")),
        (json!({"rss_bytes": 1, "gpu": {"gpu0": {"process_bytes": 0}}}), Some("rss")),
        (json!({}), None),
    ] {
        let figures_read = write(&memory(figures.clone()).figures);
        assert_eq!(primary(&figures_read), expect, "{figures}");
        assert_eq!(primary(&figures_read).is_some_and(|name| figure(&figures_read, name).is_some()), expect.is_some());
    }
}
