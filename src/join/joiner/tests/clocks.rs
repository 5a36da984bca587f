//! Which clock joins the two sides, and how a foreign one is set right.

use super::*;

#[test]
fn one_boot_is_joined_by_its_own_clock_and_others_by_the_wall() {
    let mut stepped = power("b", &[10.0, 20.0, 30.0]);
    stepped[3]["ts"] = json!(T + 3600.0);
    let lines = records_of(&[(0.0, 3.0)]);
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
    let joined = join(settings, &records_of(&[(0.0, 3.0)]), &[(Role::Power, other)], true);
    assert_eq!(energies(&joined), [Some(60.0)]);
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
    let lines = records_of(&[(0.0, 3.0)]);
    for (offsets, expect) in [(vec![-100.0, 7.0], Some(120.0)), (vec![-100.0], None), (vec![-99.0, 7.0], Some(90.0))] {
        let joined = join(Settings { offsets: offsets.clone(), ..settings() }, &lines, &streams, true);
        assert_eq!(energies(&joined), [expect], "{offsets:?}");
    }
}
