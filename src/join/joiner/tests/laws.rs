//! What holds whatever is read.

use super::*;

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
        let whole = emission.line;
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
        reading["meter"] = json!("odd");
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
            reading["meter"] = json!("odd");
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
        // A null that came in goes out.
        let mut given = Vec::new();
        for line in &lines {
            prop_assert!(rec::read(&line.to_string()).is_ok(), "the test itself: {}", line);
            nulls_of(line, "", &mut given);
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
            nulls.retain(|at| !given.contains(at) && !ALLOWED_NULLS.iter().any(|end| at.ends_with(end)));
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
