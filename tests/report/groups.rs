//! What bench-report makes of results: which of them it puts together, over which part of a load, compared with what, and
//! what it says of numbers that cannot be relied on.

use super::browser::browser;
use super::html::data;
use super::{input, slower};
use crate::common::golden::{case, golden, shown};
use crate::common::run;
use llm_bench::record::fixture::{self, Fixture};
use llm_bench::record::{Outcome, Source, Timing};
use serde_json::{Value, json};
use std::fs;

type Results = Vec<Fixture<Outcome>>;

/// Results of model `m` at a level of the closed loop: worker after worker, one second each.
fn load(level: u64, each: u64, more: &Value) -> Results {
    let request = |worker: u64, i: u64| {
        let result = fixture::result(worker * 1000 + i, "m").source(Source::Openai).concurrency(level);
        result.sent(worker as f64 * 0.25 + i as f64).ttft(0.2).e2e(1.0).tokens(None, 20).merge(more.clone())
    };
    (0..level).flat_map(|w| (0..each).map(move |i| request(w, i))).collect()
}

/// Results of `n` requests, one after another.
fn alone(n: u64) -> Results {
    load(1, n, &json!({}))
}

fn each(results: Results, change: impl Fn(Fixture<Outcome>) -> Fixture<Outcome>) -> Results {
    results.into_iter().map(change).collect()
}

fn lines(results: Results) -> String {
    results.iter().map(Fixture::line).collect()
}

/// The lines of several loads, numbered as one run would.
fn numbered<const N: usize>(loads: [Results; N]) -> String {
    let all = (1..).zip(loads.into_iter().flatten());
    lines(all.map(|(id, result)| result.set(|o| o.id = id)).collect())
}

fn summary_of(args: &[&str], lines: &str) -> Value {
    let all = [&["-f", "json"], args].concat();
    serde_json::from_str(&run("bench-report", all, lines).exits(0).stdout).unwrap()
}

#[test]
fn requests_of_other_settings_are_never_pooled_and_what_differs_is_shown_in_every_format() {
    let prompt = |temperature: f64| json!({"prompt": {"id": "p", "temperature": temperature, "top_p": 0.9}});
    let lines = numbered([load(1, 3, &prompt(0.0)), load(1, 4, &prompt(0.7))]);
    let groups = &summary_of(&[], &lines)["groups"];
    assert_eq!(groups.as_array().unwrap().len(), 2);
    assert_eq!((&groups[0]["ok"], &groups[1]["settings"]["top_p"]), (&3.into(), &"0.9".into()));
    let subs = [0, 1].map(|at| groups[at]["sub"].as_str().unwrap());
    golden!("group-settings", subs.join("\n"));
    for format in ["text", "markdown", "csv", "csv-requests", "html", "openmetrics"] {
        let ran = run("bench-report", ["-f", format], &lines).exits(0);
        assert!(ran.stdout.contains(subs[1]), "{format}: {}", ran.stdout);
        let rows = if format == "html" { shown(&ran.stdout, "<tbody") } else { ran.stdout };
        assert!(!rows.contains(" 0.9"), "{format}: what is the same for all tells nothing apart");
    }
    let pooled = summary_of(&["--group-by", "model,load"], &lines);
    assert_eq!(pooled["groups"].as_array().unwrap().len(), 1);
    assert_eq!(pooled["groups"][0]["ok"], 7);
}

#[test]
fn groups_are_made_by_whatever_is_asked_and_a_typo_is_told_with_what_there_is() {
    let asked = |prompt, turn| move |result: Fixture<Outcome>| result.prompt(prompt).set(|o| o.turn = Some(turn));
    let lines = numbered([each(alone(3), asked("a", 1)), each(alone(2), asked("b", 2))]);
    let prompt = r#"{"type":"prompt","v":1,"id":"a","category":"poem","text":"t","sha256":"x"}"#;
    let mut told = String::new();
    for keys in ["model,prompt", "model,category", "turn", "run", "source,model"] {
        let groups = summary_of(&["--group-by", keys], &format!("{prompt}\n{lines}"))["groups"].clone();
        let subs: Vec<&str> = groups.as_array().unwrap().iter().filter_map(|g| g["sub"].as_str()).collect();
        told += &case(keys, &subs.join("\n"));
        assert_eq!(groups[0]["model"], "m", "{keys}");
    }
    let page = run("bench-report", ["--group-by", "model,prompt"], &lines).exits(0).stdout;
    told += &case("name", data(&page)["groups"][1]["name"].as_str().unwrap());
    let ran = run("bench-report", ["--group-by", "model,promt"], "").exits(2);
    golden!("groups-as-asked", told + &case("a typo", &ran.stderr));
}

#[test]
fn endpoints_that_one_provider_serves_are_told_apart_by_what_was_pinned() {
    let result = |id, pinned: &str, provider: &str| {
        let more = json!({"pinned_provider": pinned, "provider": provider});
        fixture::result(id, "m").source(Source::Openrouter).merge(more)
    };
    let failed = result(3, "infra/fp4", "infra/fp4").set(|o| o.errors.generation = Some("no".into()));
    let lines = lines(vec![result(1, "infra/fp8", "Infra"), result(2, "infra/fp4", "Infra"), failed]);
    let groups = summary_of(&[], &lines)["groups"].clone();
    let said: Vec<String> = groups
        .as_array()
        .unwrap()
        .iter()
        .map(|g| format!("{} {} {}", g["sub"].as_str().unwrap(), g["ok"], g["failed"]))
        .collect();
    // A failure stays with its endpoint.
    golden!("groups-of-pinned-providers", said.join("\n"));
}

#[test]
fn throughput_is_of_the_steady_part_unless_all_is_asked_and_every_format_says_which() {
    let none = &json!({});
    let lines = self::lines(load(4, 10, none));
    let steady = &summary_of(&[], &lines)["groups"][0]["throughput"];
    assert_eq!(steady["part"]["steady"], true);
    assert_eq!((&steady["span_seconds"], &steady["concurrency"]), (&8.25.into(), &4.into()));
    let all = &summary_of(&["--window", "all"], &lines)["groups"][0]["throughput"];
    assert_eq!((&all["part"]["steady"], &all["span_seconds"]), (&false.into(), &10.75.into()));
    assert!(all["concurrency"].as_f64().unwrap() < 3.8);
    let said = |args: &[&str]| run("bench-report", args, &lines).exits(0).stdout;
    let mut told = String::new();
    for format in ["text", "markdown"] {
        told += &case(format, &said(&["-f", format]));
        told += &case((format, "all"), &said(&["-f", format, "--window", "all"]));
    }
    for args in [&[][..], &["--window", "all"]] {
        told += &case(("json", args), summary_of(args, &lines)["window"].as_str().unwrap());
    }
    let prom = run("bench-report", ["-f", "openmetrics"], &lines).exits(0).stdout;
    assert!(prom.contains("concurrency=\"4\",window=\"steady\"} 4.0\n"), "{prom}");
    let few = run("bench-report", ["-f", "text"], self::lines(load(4, 2, none))).exits(0).stdout;
    golden!("steady-part-or-all", told + &case("few", &few));
    run("bench-report", ["--window", "some"], "").exits(2);
}

#[test]
fn an_open_loop_shows_what_was_asked_beside_what_came_of_it_and_counts_goodput_from_the_schedule() {
    let request = |i: u64| {
        let result = fixture::result(i, "m").rate(5.0).sent(i as f64 * 0.25).ttft(0.2).e2e(1.0).tokens(None, 20);
        let result = result.timing(Timing { scheduled: Some(-0.5), ..Timing::default() });
        result.set(|o| (o.ttft_scheduled_seconds, o.tpot_seconds) = (Some(Some(0.7)), Some(0.04)))
    };
    let lines = lines((0..40).map(request).collect());
    let args = ["-f", "csv", "--columns", "target_rate,sent_rate,completed_rate,requests_s,achieved_concurrency"];
    let ran = run("bench-report", args, &lines).exits(0);
    assert_eq!(ran.stdout.lines().nth(1).unwrap(), "5,4,4,4,4,", "{}", ran.stdout);
    for (slo, good) in [
        ("ttft=500ms", 0),
        ("ttft_sent=500ms", 40),
        ("ttft=700ms,tpot=40ms", 40),
        ("tpot=39ms", 0),
        ("e2e=1400ms", 0),
        ("e2e_sent=1s", 40),
    ] {
        assert_eq!(summary_of(&["--slo", slo], &lines)["groups"][0]["goodput"]["good"], good, "{slo}");
    }
    let gates = [
        "-f",
        "text",
        "--fail-if",
        "ttft_scheduled_p99 > 500ms",
        "--fail-if",
        "tpot_p50 > 30ms",
        "--fail-if",
        "requests_s < 3",
    ];
    let ran = run("bench-report", gates, &lines).exits(3);
    golden!("gates-of-an-open-loop", ran.stderr);
}

#[test]
fn numbers_that_cannot_be_are_absent_and_said_to_be() {
    let odd = json!({"cost": {"usd": -5, "method": "usage"}, "tpot_corrected_seconds": 1e308, "rate": 1e300});
    let odder = json!({"ttft_seconds": -3, "start_ts": 1e200});
    let lines = lines([load(1, 1, &odd), load(1, 1, &odder)].concat());
    for format in ["text", "markdown", "json", "csv", "csv-requests", "html", "openmetrics"] {
        let mut said = run("bench-report", ["-f", format], &lines).exits(0).stdout;
        if format == "html" {
            said = data(&said).to_string();
        }
        for number in ["e300", "e308", "e200", "e+", "inf", "NaN", "-3", "-5"] {
            assert!(!said.replace("reset", "").contains(number), "{format}: {number}: {said}");
        }
        let said = said.replace('\\', "");
        assert!(said.contains("impossible_ttft_seconds") || format == "openmetrics", "{format}: {said}");
    }
    let groups = summary_of(&[], &lines)["groups"].clone();
    let warnings: Vec<&String> =
        groups.as_array().unwrap().iter().flat_map(|g| g["warnings"].as_object().unwrap().keys()).collect();
    for word in
        ["impossible_cost_usd", "impossible_tpot_corrected_seconds", "impossible_ttft_seconds", "impossible_start"]
    {
        assert!(warnings.contains(&&word.to_owned()), "{word}: {warnings:?}");
    }
}

#[test]
fn the_memory_of_the_whole_machine_is_marked_and_its_doubt_is_told() {
    let high_water = json!({"system_used_bytes": 9_000_000_000_u64});
    let memory = json!({"memory": {"primary": "system_used", "samples": 3, "high_water": high_water}});
    let lines = lines(load(1, 1, &memory));
    let ran = run("bench-report", ["-f", "text"], &lines).exits(0);
    golden!("memory-of-the-machine-in-text", ran.stdout);
    let csv = run("bench-report", ["-f", "csv", "--columns", "model,mem_peak"], lines).exits(0).stdout;
    assert_eq!(csv, "model,mem_peak,doubtful\nm,9000000000,mem_peak\n");
}

#[test]
fn energy_is_split_and_priced() {
    let power = json!({
        "energy_joules": 3600, "net_energy_joules": 3000, "coverage": 1, "quality": "good", "samples": 9, "clock": "mono",
        "prefill": {"energy_joules": 600, "energy_lower_joules": 500, "energy_upper_joules": 700, "coverage": 1, "quality": "good"},
        "decode": {"energy_joules": 2900, "coverage": 1, "quality": "good"},
        "load": {"energy_joules": 1200, "coverage": 1, "quality": "good"}, "carbon": {"amount": 0.38, "per_kwh": 380},
    });
    let lines = lines(load(1, 2, &json!({ "power": power })));
    let args =
        ["-f", "csv", "--price-per-kwh", "0.5", "--columns", "prefill_j,decode_j,idle_j,load_j,energy_cost,carbon_g"];
    let ran = run("bench-report", args, &lines).exits(0);
    assert_eq!(
        ran.stdout.lines().nth(1).unwrap().split(',').take(6).collect::<Vec<_>>().join(","),
        "600,2900,600,1200,0.001,0.76"
    );
    let split = summary_of(&[], &lines)["groups"][0]["energy_split"].clone();
    assert_eq!(split["prefill"], json!({"n": 2, "joules": 1200, "lower_joules": 1000, "upper_joules": 1400}));
    assert_eq!(split["load"], json!({"n": 1, "joules": 1200}), "a load counts once per run");
    let text = run("bench-report", ["-f", "text", "--price-per-kwh", "0.5"], &lines).exits(0).stdout;
    golden!("energy-priced", text);
    for bad in ["-1", "x", "nan"] {
        run("bench-report", ["--price-per-kwh", bad], "").exits(2);
    }
}

#[test]
fn every_baseline_is_compared_by_itself_and_gates_hold_against_each() {
    let folder = tempfile::tempdir().unwrap();
    let (fast, slow) = (folder.path().join("fast.ndjson"), folder.path().join("slow.ndjson"));
    fs::write(&fast, fs::read_to_string(input("token-rate.ndjson")).unwrap()).unwrap();
    fs::write(&slow, slower()).unwrap();
    let baselines = ["--baseline", fast.to_str().unwrap(), "--baseline", slow.to_str().unwrap()];
    let summary = summary_of(&baselines, &slower());
    let comparison = &summary["comparison"];
    assert_eq!(comparison["baselines"].as_array().unwrap().len(), 2);
    let verdicts: Vec<&str> = comparison["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["metric"] == "ttft_seconds")
        .map(|change| change["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["worse", "same"]);
    let gated =
        |gate: &str| run("bench-report", [&["-f", "text", "--fail-if", gate], &baselines[..]].concat(), slower());
    let ran = gated("ttft_p50 > 1.1 * baseline").exits(3);
    let told = case("one", &ran.stderr);
    // Kept against one and not against the other is not kept; against both it is.
    let ran = gated("ttft_p50 >= baseline").exits(3);
    golden!("gates-of-two-baselines", told + &case("both", &ran.stderr));
    gated("ttft_p50 > 1.5 * baseline").exits(0);
}

#[test]
fn every_line_of_a_comparison_names_its_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.ndjson"), folder.path().join("b.ndjson"));
    let of = |model: &str, ttft| each(alone(8), |result| result.ttft(ttft).set(|o| o.model = model.into()));
    fs::write(&a, numbered([of("m", 0.4), of("only-a", 0.2)])).unwrap();
    fs::write(&b, numbered([of("n", 0.1), of("only-b", 0.2)])).unwrap();
    let now = numbered([of("m", 0.2), of("n", 0.2)]);
    let baselines = ["--baseline", a.to_str().unwrap(), "--baseline", b.to_str().unwrap()];
    let of = |format: &str| run("bench-report", [&["-f", format], &baselines[..]].concat(), &now).exits(0).stdout;
    let told = case("text", &of("text")) + &case("markdown", &of("markdown"));
    golden!("compared-with-two-baselines", told + &case("html", &shown(&of("html"), "id=\"compared\"")));
    for format in ["text", "markdown"] {
        let said = of(format);
        let verdicts: Vec<&str> =
            said.lines().filter(|line| line.contains("ttft")).filter(|l| l.contains('%')).collect();
        assert_eq!(verdicts.len(), 2, "{said}");
        // What is worse stands first, whichever baseline it is of.
        assert!(verdicts[0].contains("b.ndjson") && verdicts[1].contains("a.ndjson"), "{verdicts:?}");
    }
    let comparison = summary_of(&baselines, &now)["comparison"].clone();
    let missing = |side: &str, at: usize| {
        let group = comparison[side][at]["group"].as_str().unwrap().split(' ').next().unwrap();
        (comparison[side][at]["baseline"].as_str().unwrap(), group)
    };
    assert_eq!(missing("only_before", 1), ("b.ndjson", "only-b"));
    assert_eq!(missing("only_now", 0), ("a.ndjson", "n"));
    let ran =
        run("bench-report", [&["-f", "text", "--fail-if", "ttft_p50 > 9 * baseline"], &baselines[..]].concat(), &now)
            .exits(3);
    golden!("gate-not-in-the-baseline", ran.stderr);
}

#[test]
fn a_request_that_lies_far_out_is_named_and_still_counts() {
    let lines = lines(each(alone(20), |result| if result.id == 0 { result.ttft(9.5) } else { result }));
    let group = &summary_of(&[], &lines)["groups"][0];
    assert_eq!(group["outliers"]["ttft_seconds"]["requests"], json!(["r/0"]));
    assert_eq!((&group["ok"], &group["metrics"]["ttft_seconds"]["max"]), (&20.into(), &9.5.into()));
    let text = run("bench-report", ["-f", "text"], &lines).exits(0).stdout;
    golden!("request-far-out", text);
}

#[test]
fn every_format_names_the_machines_where_there_are_several() {
    let on = |run: &str, cpu: &str| {
        let host = json!({"cpu": cpu, "ram_bytes": 16_u64 << 30});
        fixture::run(run).merge(json!({ "host": host })).line() + &lines(each(alone(3), |result| result.run(run)))
    };
    let lines = on("x", "Chip One") + &on("y", "Chip Two");
    let written = |format: &str| run("bench-report", ["-f", format], &lines).exits(0).stdout;
    let page = ["class=\"facts\"", "class=\"sub\""].map(|place| shown(&written("html"), place)).join("\n");
    let told = case("text", &written("text")) + &case("markdown", &written("markdown")) + &case("html", &page);
    let groups = |args: &[&str]| summary_of(args, &lines)["groups"].as_array().unwrap().len();
    assert_eq!((groups(&[]), groups(&["--group-by", "model,machine"]), groups(&["--group-by", "model"])), (2, 2, 1));
    let pooled = run("bench-report", ["-f", "text", "--group-by", "model"], &lines).exits(0).stdout;
    golden!("several-machines", told + &case("pooled", &pooled));
    let one = run("bench-report", ["-f", "text"], on("x", "Chip One") + &on("y", "Chip One")).exits(0).stdout;
    assert!(!one.contains("machine"), "{one}");
}

#[test]
fn only_rows_that_did_the_same_work_are_compared_for_the_best() {
    let of = |model: &str, prompt: &str, seconds, tokens| {
        let change = |result: Fixture<Outcome>| result.prompt(prompt).e2e(seconds).tokens(None, tokens);
        each(alone(12), |result| change(result).set(|o| o.model = model.into()))
    };
    let page = |results: &[Results]| run("bench-report", ["-f", "html"], numbered([results.concat()])).exits(0).stdout;
    let best = |page: &str| {
        if page.contains("class=\"standouts\"") { shown(page, "class=\"standouts\"") } else { String::new() }
    };
    // Short chats beside long websites: each kind has its own best.
    let (a, b, d) = (of("a", "chat", 1.0, 80), of("b", "chat", 1.5, 80), of("d", "website", 4.0, 400));
    let chats = [a.clone(), b.clone()];
    let mixed = page(&[a.clone(), b.clone(), of("c", "website", 5.0, 400), d.clone()]);
    let mut told = case("chats and websites", &best(&mixed));
    let works = |page: &str| {
        data(page)["groups"].as_array().unwrap().iter().map(|group| group["work"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (works(&mixed), works(&page(&chats))),
        (vec![0.into(), 0.into(), 1.into(), 1.into()], vec![0.into(), 0.into()])
    );
    // In the table, too, the best of each kind is marked.
    if let Some(mut browser) = browser() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.html");
        std::fs::write(&file, &mixed).unwrap();
        browser.open(&file, "");
        let marked = "[...document.querySelectorAll('table.models tr.group')].map((row) => row.children[[...document.querySelectorAll(\
                      'table.models thead th')].findIndex((head) => head.dataset.key === 'e2e_p50')]).map((cell) => cell.classList.contains(\
                      'best') ? cell.title : '').join('|')";
        golden!("best-of-each-work-in-the-table", browser.eval(marked).as_str().unwrap().replace('|', "\n"));
    }
    // Where one alone did something, nothing is said of it.
    told += &case("one of each", &best(&page(&[a.clone(), d])));
    // Whoever writes little is not done sooner.
    told += &case("a terse one", &best(&page(&[a, b, of("terse", "chat", 0.3, 5)])));
    golden!("best-of-each-work", told);
}

#[test]
fn a_single_request_never_looks_surer_than_eight_in_any_format() {
    // Of one request the count is marked, of eight each percentile that they cannot tell.
    for (n, marked, shown) in [(1, "ok", "1? 0.200"), (8, "ttft_p50", "8 0.200?")] {
        let lines = lines(alone(n));
        let summary = summary_of(&[], &lines);
        assert_eq!(summary["groups"][0]["metrics"]["ttft_seconds"]["unsupported"][0], "p50", "{n}");
        let doubtful: Vec<&String> = summary["groups"][0]["doubtful"].as_object().unwrap().keys().collect();
        assert!(doubtful.iter().any(|column| *column == marked), "{n}: {doubtful:?}");
        assert_eq!(summary["unsupported_latency_percentiles"][0], "p50", "{n}");
        let text = run("bench-report", ["-f", "text", "--columns", "model,ok,ttft_p50"], &lines).exits(0).stdout;
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(shown), "{n}: {text}");
        let exposed = run("bench-report", ["-f", "openmetrics"], &lines).exits(0).stdout;
        // What is marked is left out there; what is not stands beside its count.
        let median = exposed.lines().any(|line| line.contains("ttft") && line.contains("quantile=\"0.5\""));
        assert_eq!(median, n == 1, "{exposed}");
        assert!(
            exposed.contains(&format!(
                "llm_bench_successful_requests{{model=\"m\",source=\"openai\",concurrency=\"1\"}} {n}.0\n"
            )),
            "{exposed}"
        );
    }
}

#[test]
fn a_comparison_says_what_is_worse_first_and_what_nobody_can_tell_as_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("old.ndjson");
    let of = |model: &str, source, n, ttft| {
        each(alone(n), |result| result.source(source).ttft(ttft).set(|o| o.model = model.into()))
    };
    let few = || of("few", Source::Openai, 2, 0.2);
    let both = |a, b| numbered([few(), of("m", Source::Lmstudio, 8, a), of("m", Source::Openai, 8, b)]);
    fs::write(&file, both(0.4, 0.2)).unwrap();
    let against = |format: &str, lines: &str| {
        run("bench-report", ["-f", format, "--baseline", file.to_str().unwrap()], lines).exits(0).stdout
    };
    let text = against("text", &both(0.2, 0.4));
    let page = shown(&against("html", &both(0.2, 0.4)), "id=\"compared\"");
    let markdown = against("markdown", &both(0.2, 0.4));
    let told = case("text", &text) + &case("markdown", &markdown) + &case("html", &page);
    // Few of all: there is no empty table.
    fs::write(&file, lines(few())).unwrap();
    let text = against("text", &lines(few()));
    golden!("compared-worse-first", told + &case("few of all", &text));
}
