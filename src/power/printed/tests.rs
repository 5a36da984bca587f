//! What programs print, and what is to be taken from it.

use super::*;

fn read(pattern: Option<&str>, unit: Unit, lines: &[&str]) -> Vec<Item> {
    let pattern = pattern.map(|pattern| Regex::new(pattern).unwrap());
    let mut reader = Printed::new(pattern, unit, "wall").unwrap();
    let mut items = Vec::new();
    for (line, second) in lines.iter().zip(1..) {
        reader.line(line, Stamp { mono_ns: second * 1_000_000_000, ts: 0.0 }, &mut items);
    }
    reader.end(&mut items);
    items
}

fn watts(items: &[Item]) -> Vec<Option<f64>> {
    items
        .iter()
        .map(|item| match item {
            Item::Sample(sample) => sample.watts.values().next().copied().flatten(),
            _ => Some(f64::NAN),
        })
        .collect()
}

#[test]
fn a_number_counts_alone_or_with_its_unit_and_never_with_a_comma() {
    for (line, expect) in [
        ("220", Some(220.0)),
        (" 12.5 \r", Some(12.5)),
        ("    Instantaneous power reading:                   220 Watts", Some(220.0)),
        ("power: 1.15W", Some(1.15)),
        ("1500 mW", Some(1.5)),
        ("1.2kW now", Some(1200.0)),
        ("1,872 W", None),
        ("1872,08 W", None),
        ("3 Webs", None),
        ("5 kWh", None),
        ("Sensor: ok", None),
        ("", None),
    ] {
        assert_eq!(watts(&read(None, Unit::Watts, &[line])).first().copied().flatten(), expect, "{line:?}");
    }
}

#[test]
fn a_pattern_picks_the_number_and_the_domain() {
    let items = read(Some(r"^(?P<domain>\w+): (?P<value>\S+)"), Unit::Milliwatts, &["psu1: 1500", "psu2: 1,5", "none"]);
    let [Item::Sample(sample), Item::Sample(comma)] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((sample.watts["psu1"], comma.watts["psu2"]), (Some(1.5), None));
    assert!(comma.unavailable["psu2"].contains("1,5"));
    assert_eq!(watts(&read(Some(r"now (\d+)"), Unit::Watts, &["was 5, now 7"])), [Some(7.0)]);
    assert!(Printed::new(None, Unit::Watts, "a domain").is_err());
}

#[test]
fn of_several_numbers_in_one_breath_none_is_taken_without_a_pattern_that_says_which() {
    let said =
        ["Instantaneous power reading: 220 Watts", "Minimum during sampling period: 9 Watts", "Average: 200 Watts"];
    let once = |pattern: Option<&str>, lines: &[&str]| {
        let pattern = pattern.map(|pattern| Regex::new(pattern).unwrap());
        let mut reader = Printed::new(pattern, Unit::Watts, "wall").unwrap();
        let mut items = Vec::new();
        lines.iter().for_each(|line| reader.line(line, Stamp { mono_ns: 7, ts: 0.0 }, &mut items));
        items
    };
    let items = once(None, &said);
    let [Item::Sample(none)] = items.as_slice() else { panic!("{items:?}") };
    assert!(none.watts["wall"].is_none() && none.unavailable["wall"].contains("--pattern"));
    assert_eq!(watts(&once(Some(r"Instantaneous.*?(\d+) Watts"), &said)), [Some(220.0)]);
    let sums = once(Some(r"^(?P<domain>\w+) (?P<value>\d+)"), &["psu1 200", "psu2 100"]);
    assert_eq!(watts(&sums), [Some(200.0), Some(100.0)]);
    assert_eq!(watts(&once(None, &["220", "220"])).first(), Some(&Some(220.0)));
}

#[test]
fn bytes_that_are_no_text_hold_no_number() {
    let items = read(None, Unit::Watts, &["\u{fffd}\0\u{1}x", "9", "7 W"]);
    assert!(matches!(items.as_slice(), [Item::Torn]), "{items:?}");
    assert_eq!(watts(&read(None, Unit::Watts, &["T: 41 \u{fffd}C, P: 12 W"])), [Some(12.0)]);
}

#[test]
fn what_is_no_number_is_unavailable_with_what_was_said() {
    for (text, unit) in [
        ("NaN", Unit::Watts),
        ("inf", Unit::Joules),
        ("1e400", Unit::Watts),
        ("N/A", Unit::Watts),
        ("[Not Supported]", Unit::KilowattHours),
        ("-5", Unit::Joules),
        ("1e300", Unit::KilowattHours),
    ] {
        let items = read(None, unit, &[text]);
        let [Item::Sample(sample)] = items.as_slice() else { panic!("{text}: {items:?}") };
        assert_eq!(sample.watts["wall"], None, "{text}");
        assert!(!sample.unavailable["wall"].is_empty(), "{text}");
        assert!(sample.joules.as_ref().is_none_or(|joules| joules["wall"].is_none()), "{text}");
    }
}

#[test]
fn energy_is_a_counter() {
    let items = read(None, Unit::WattHours, &["10", "10.01", "10.02"]);
    let [Item::Sample(first), Item::Sample(second), Item::Sample(_)] = items.as_slice() else { panic!("{items:?}") };
    assert!(first.watts.is_empty() && first.kind == PowerKind::Counter);
    assert_eq!((second.watts["wall"], second.window_seconds), (Some(36.0), Some(1.0)));
    assert_eq!(second.joules.as_ref().unwrap()["wall"], Some(36036.0));
}

#[test]
fn a_scrape_of_dcgm_is_one_reading_per_card() {
    let items = read(
        None,
        Unit::Watts,
        &[
            "# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).",
            "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",UUID=\"GPU-a\",device=\"nvidia0\"} 61.5",
            "DCGM_FI_DEV_POWER_USAGE{gpu=\"1\",UUID=\"GPU-b\"} 65.25",
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu=\"0\",UUID=\"GPU-a\"} 2000",
        ],
    );
    let [Item::Sample(first), Item::Sample(second)] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((first.kind, first.watts["gpu0"]), (PowerKind::Counter, Some(61.5)));
    assert_eq!(first.joules.as_ref().unwrap()["gpu0"], Some(2.0));
    assert_eq!((second.kind, second.watts["gpu1"]), (PowerKind::Instant, Some(65.25)));
}
