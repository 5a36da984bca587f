//! Who is given which energy: requests at once, phases, loads, idling, and the whole.

use super::*;

#[test]
fn energy_is_shared_by_time_by_tokens_or_not_at_all() {
    let lines = records_of(&[(0.0, 4.0), (2.0, 6.0), (7.0, 8.0)]);
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
fn prefill_and_decode_have_their_own_energy_and_quality() {
    let joined = join(
        settings(),
        &records_of(&[(0.0, 8.0)]),
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
fn a_total_of_zero_is_null_with_a_reason_everywhere() {
    let mut samples = power("b", &[0.0; 9]);
    samples[0]["total_domain"] = json!("gpu0");
    samples[1..].iter_mut().for_each(|sample| sample["watts"] = json!({"gpu0": 0.0}));
    let lines = records_of(&[(1.0, 3.0), (4.0, 6.0)]);
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
fn a_model_load_has_its_own_energy_and_memory() {
    let mut lines = records_of(&[(6.0, 8.0)]);
    lines.insert(1, load(4.0, 6.0));
    let held = [(1.0, 10), (3.9, 12), (4.2, 30), (5.0, 95), (6.0, 80), (7.0, 85), (8.1, 82)].map(|(t, b)| memory(t, b));
    let streams = [
        (Role::Power, power("b", &[5.0, 6.0, 5.0, 5.0, 50.0, 60.0, 30.0, 30.0, 5.0])),
        (Role::Memory, std::iter::once(sampler("b", 1.0)).chain(held).collect()),
    ];
    let settings = Settings {
        idle: IdleFrom::Auto,
        rates: EnergyRates { price_per_kwh: Some(0.36), carbon_g_per_kwh: Some(360.0), pue: Some(2.0) },
        ..settings()
    };
    let joined = join(settings, &lines, &streams, false);
    let (power, held) = (&joined[2]["power"], &joined[2]["memory"]);
    assert_eq!((&power["load"]["energy_joules"], &power["load"]["quality"]), (&json!(110.0), &json!("exact")));
    assert_eq!((&power["idle_watts"], &power["net_energy_joules"]), (&json!(5.0), &json!(50.0)));
    assert_eq!(power["idle"], json!({"method": "baseline", "seconds": 4.0, "samples": 4, "spread_watts": 0.25}));
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
fn settled_gaps_between_requests_give_the_idle_power() {
    let mut watts = vec![7.0; 40];
    watts[0] = 50.0;
    watts[1..6].fill(20.0);
    let lines = records_of(&[(0.0, 1.0), (20.0, 21.0), (39.0, 40.0)]);
    let settings = Settings { idle: IdleFrom::Auto, ..settings() };
    let joined = join(settings, &lines, &[(Role::Power, power("b", &watts))], true);
    let idle = |i: usize| results(&joined)[i]["power"]["idle"].clone();
    assert_eq!(idle(0), Value::Null, "nothing is known yet");
    assert_eq!(idle(1), json!({"method": "gaps", "seconds": 13.0, "samples": 13, "spread_watts": 0.0}));
    assert_eq!(results(&joined)[2]["power"]["idle_watts"], 7.0);
}

#[test]
fn the_summary_counts_every_moment_once() {
    let lines = records_of(&[(0.0, 4.0), (2.0, 6.0), (8.0, 9.0)]);
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
