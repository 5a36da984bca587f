//! The page as text: what stands in it before any script runs, how large it gets, and whether its colours can be told apart.

use super::{input, page, report};
use crate::common::run;
use base64::Engine as _;
use flate2::read::GzDecoder;
use llm_bench::record::{Derived, Phase, Source, fixture};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

/// The embedded data of a page, unpacked where it is packed.
pub fn data(page: &str) -> Value {
    let start = page.find(r#" id="data""#).unwrap();
    let (head, rest) = page[start..].split_once('>').unwrap();
    let text = rest.split("</script>").next().unwrap();
    if !head.contains("data-packed") {
        return serde_json::from_str(text).unwrap();
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let mut json = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn result(model: &str, id: u64, ttft: f64) -> Value {
    let (rate, decode) = (Some(55.0 + (id % 7) as f64), Some(60.0 + (id % 5) as f64));
    let derived = Derived { tokens_per_second: rate, decode_tokens_per_second: decode, ..Derived::default() };
    let result =
        fixture::result(id, model).source(Source::Openai).sent(202.0 + id as f64 * 0.01).ttft(ttft).e2e(ttft + 1.0);
    let result = result.tokens(10, 60).concurrency(8).phase(Phase::Measure);
    result.set(|o| (o.time_to_first_output_token_seconds, o.derived) = (Some(ttft), Some(derived))).value()
}

fn lines(results: impl IntoIterator<Item = Value>) -> String {
    results.into_iter().map(|result| format!("{result}\n")).collect()
}

#[test]
fn a_hundred_thousand_results_are_a_page_that_can_be_sent() {
    let ttft = |id: u64| 0.2 + (id * 7919 % 1000) as f64 / 1000.0;
    let text = lines((0..100_000).map(|id| result(&format!("model-{}", id % 5), id, ttft(id))));
    let page = run("bench-report", [] as [&str; 0], text).exits(0).stdout;
    assert!(page.len() < 20_000_000, "{} bytes", page.len());
    assert!(page.contains("20000 of 100000 requests"), "the sample is stated");
    let data = data(&page);
    assert_eq!(data["results"], 100_000);
    assert_eq!(data["rows"]["n"], 20_000);
    let groups = data["groups"].as_array().unwrap();
    let counted: u64 = groups.iter().map(|group| group["ok"].as_u64().unwrap()).sum();
    assert_eq!(counted, 100_000, "the groups are of all of them");
    // A browser that cannot unpack it has a sentence and the table.
    assert!(page.contains(r#"data-packed="gzip""#) && page.contains(r#"id="no-data""#));
    assert_eq!(page.matches("<tr class=\"group\"").count(), 5);
}

#[test]
fn more_rows_than_a_browser_holds_are_counted_and_left_to_other_formats() {
    let text = lines((0..2600).map(|id| result(&format!("model-{id:04}"), id, 0.5)));
    let page = run("bench-report", [] as [&str; 0], text).exits(0).stdout;
    assert!(page.len() < 20_000_000, "{} bytes", page.len());
    assert_eq!(page.matches("<tr class=\"group\"").count(), 2000);
    assert!(page.contains("600 more rows are not on this page"));
    let data = data(&page);
    assert_eq!(data["groups"].as_array().unwrap().len(), 2000);
    assert_eq!(data["rows"]["n"], 2000, "no request without its row");
}

#[test]
fn the_head_says_what_was_run_and_how_to_run_it_again() {
    let page = page("run-folder");
    let head = &page[..page.find("<main>").unwrap()];
    for expect in [
        "lmstudio-bench-20261121-155300",
        "2026-11-21 16:23 UTC",
        "Apple M4 Max",
        "llm-run 0.1.0",
        "temperature 0.6",
        "max tokens 16384",
        "Build one self-contained web page",
        "--source lmstudio --base-url http://127.0.0.1:1234",
        "--suite website",
    ] {
        assert!(head.contains(expect), "the head does not say {expect}");
    }
    // The streams that the page was made of are linked where they lie, and nowhere else.
    for name in ["results.ndjson", "power.ndjson"] {
        assert!(head.contains(&format!("href=\"{name}\"")), "{name}");
    }
    assert!(!head.contains("href=\"summary.json\""), "a file that is not there has no link");
}

#[test]
fn the_command_of_the_head_is_read_back_by_a_shell() {
    let argv = ["llm-run", "--prompt", "it's $(touch pwned) `x`", "--concurrency", "2"];
    let hostile = fixture::run("r").set(|run| run.argv = argv.map(Into::into).into());
    let text = hostile.line() + &lines([result("a'b; rm -rf /", 1, 0.5)]);
    let page = run("bench-report", [] as [&str; 0], text).exits(0).stdout;
    let command = page.split("id=\"again\"><pre class=\"text\">").nth(1).unwrap().split("</pre>").next().unwrap();
    let command = command.replace("&#39;", "'").replace("&#38;", "&").replace("&#60;", "<");
    let shell = format!("llm-run() {{ cat; printf '%s\\n' \"$@\"; }}; {}", command);
    let folder = tempfile::tempdir().unwrap();
    let ran = std::process::Command::new("bash").args(["-c", &shell]).current_dir(&folder).output().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let expect = "a'b; rm -rf /\n--source\nopenai\n--prompt\nit's $(touch pwned) `x`\n--concurrency\n2\n";
    assert_eq!(said, expect, "{command}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_run_that_did_all_it_was_asked_to_is_valid_and_any_other_has_its_reservations() {
    let of = |more: Value| {
        let head = fixture::run("r").value();
        let page = run("bench-report", [] as [&str; 0], lines([head, result("m", 1, 0.5), more])).exits(0).stdout;
        let badges = page.split("<ul class=\"badges\"").nth(1).unwrap();
        badges.split("</li>").next().unwrap().to_owned()
    };
    let end = |run: &str, cut: bool, unsent: u64| json!({ "type": "run_end", "v": 1, "run": run, "ended_ts": 2.0, "ok": 1, "failed": 0, "not_sent": unsent, "interrupted": cut });
    assert!(of(end("r", false, 0)).contains("<summary>valid</summary>"));
    for (more, why) in [
        (end("r", false, 7), "7 requests due or planned, and never sent"),
        (end("r", true, 0), "1 run stopped before its time"),
        (end("other", false, 0), "1 run without an end"),
    ] {
        let badge = of(more);
        assert!(badge.contains("with reservations") && badge.contains(why), "{badge}");
    }
    // Of a run that does not tell how it ended nothing is said.
    assert!(!of(result("m", 2, 0.5)).contains("valid"));
}

#[test]
fn a_winner_is_named_only_where_there_is_one() {
    let spread = |model: &'static str, middle: f64, from: u64| {
        (0..20).map(move |i| result(model, from + i, middle + (i as f64 - 9.5) * 0.01))
    };
    let clear = lines(spread("fast", 0.5, 0).chain(spread("slow", 1.5, 100)));
    let tied = lines(spread("fast", 0.5, 0).chain(spread("near", 0.51, 100)).chain(spread("slow", 1.5, 200)));
    let standout = |text: String| {
        let page = run("bench-report", [] as [&str; 0], text).exits(0).stdout;
        let one = page.split("lowest TTFT").nth(1).unwrap().split("</li>").next().unwrap().to_owned();
        (one, data(&page))
    };
    let (one, _) = standout(clear);
    assert!(one.contains(">fast<") && !one.contains("tied"), "{one}");
    let (one, data) = standout(tied);
    assert!(one.contains(">fast<") && one.contains("tied with near"), "{one}");
    // The table has the intervals to do the same.
    let between = data["groups"][0]["intervals"]["ttft_p50"].as_array().unwrap();
    assert!(between[0].as_f64() < Some(0.5) && between[1].as_f64() > Some(0.5), "{between:?}");
}

#[test]
fn the_memory_of_a_whole_machine_wins_nothing() {
    let with = |model: &str, id: u64, figure: &str, bytes: u64| {
        let mut one = result(model, id, 0.5);
        one["memory"] = json!({
            "primary": figure, "high_water": { format!("{figure}_bytes"): bytes }, "samples": 3, "clock": "mono",
        });
        one
    };
    let rows = [
        with("machine", 1, "system_used", 1_000_000_000),
        with("own", 2, "rss", 5_000_000_000),
        with("more", 3, "rss", 6_000_000_000),
    ];
    let page = run("bench-report", [] as [&str; 0], lines(rows)).exits(0).stdout;
    let one = page.split("least memory").nth(1).unwrap().split("</li>").next().unwrap();
    assert!(one.contains(">own<"), "{one}");
    assert!(page.contains("the memory of the whole machine"), "and it is marked where it stands");
}

#[test]
fn streams_that_were_kept_become_a_map_of_gaps() {
    let mut kept = result("m", 1, 0.5);
    kept["stream"] = json!([[0.5, 4, "answer"], [0.52, 3, "answer"], [0.52, 2, "answer"], [0.9, 3, "answer"]]);
    let page = run("bench-report", [] as [&str; 0], lines([kept, result("m", 2, 0.5)])).exits(0).stdout;
    let data = data(&page);
    let gaps = &data["groups"][0]["gaps"];
    assert_eq!((&gaps["streams"], &gaps["together"]), (&json!(1), &json!(1)));
    let places: Vec<&Value> = gaps["cells"].as_array().unwrap().iter().map(|cell| &cell[0]).collect();
    assert_eq!(places, [0, 2]);
}

#[test]
fn what_is_empty_says_why() {
    for (name, why) in [
        ("levels.ndjson", "no price is listed: "),
        ("levels.ndjson", "no limits were given (--slo)"),
        ("openrouter.ndjson", "not joined with readings that tell it (bench-join --power)"),
        ("run-folder", "no request succeeded"),
    ] {
        let page = page(name);
        assert!(page.contains(why), "{name} does not say: {why}");
        assert!(page.contains(r#"id="left-out""#), "{name}");
    }
    let nothing = report(&[], "empty.ndjson").exits(0).stdout;
    assert!(!nothing.contains(r#"id="left-out""#));
}

/// The colours of a theme by their names.
fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
    let all = block.split(';').filter_map(|part| part.trim().trim_start_matches(|c| c != '-').split_once(": #"));
    all.filter(|(_, hex)| hex.len() == 3 || hex.len() == 6)
        .map(|(name, hex)| {
            let digit = |at: usize| {
                let text = if hex.len() == 3 { hex[at..=at].repeat(2) } else { hex[2 * at..2 * at + 2].to_owned() };
                f64::from(u8::from_str_radix(&text, 16).unwrap()) / 255.0
            };
            (name, [digit(0), digit(1), digit(2)])
        })
        .collect()
}

fn linear(colour: [f64; 3]) -> [f64; 3] {
    colour.map(|c| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) })
}

/// Contrast as WCAG 2.2 defines it.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let light = |c| {
        let [r, g, b] = linear(c);
        0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
    };
    let (a, b) = (light(a), light(b));
    a.max(b) / a.min(b)
}

/// How far apart two colours are to an eye of a kind: CIE76 in Lab, after the matrix of that eye.
fn apart(a: [f64; 3], b: [f64; 3], eye: [[f64; 3]; 3]) -> f64 {
    let lab = |colour| {
        let l = linear(colour);
        let [r, g, b] = eye.map(|row| row.iter().zip(l).map(|(m, c)| m * c).sum::<f64>().clamp(0.0, 1.0));
        let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.950_47);
        let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
        let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.088_83);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    };
    let (a, b) = (lab(a), lab(b));
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn every_text_can_be_read_and_every_mark_be_told_from_the_others_by_any_eye() {
    // Machado, Oliveira, Fernandes (2009): what dichromats see of linear light.
    let eyes = [
        ("any eye", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "deuteranopia",
            [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
        ),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "tritanopia",
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ),
    ];
    let page = page("one.ndjson");
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    // The light theme, the dark one as the system asks for it, and the dark one by choice.
    let themes: Vec<_> =
        style.split("--bg:").skip(1).take(3).map(|rest| format!("--bg:{}", rest.split('}').next().unwrap())).collect();
    assert_eq!(themes.len(), 3);
    assert_eq!(colours(&themes[1]), colours(&themes[2]), "both ways into the dark are the same");
    for theme in &themes[..2] {
        let of = colours(theme);
        for (text, grounds) in [
            ("--ink", &["--bg", "--card", "--hover"][..]),
            ("--soft", &["--bg", "--card", "--hover", "--line2"]),
            ("--faint", &["--bg", "--card"]),
            ("--accent", &["--bg", "--card", "--accent-soft"]),
            ("--good", &["--card", "--good-soft"]),
            ("--warn", &["--card", "--bg", "--warn-soft"]),
            ("--bad", &["--card", "--bad-soft"]),
            ("--bg", &["--ink"]),
        ] {
            for ground in grounds {
                let found = contrast(of[text], of[ground]);
                assert!(found >= 4.5, "{text} on {ground}: {found:.2} in {theme}");
            }
        }
        let marks: Vec<String> = (0..8).map(|i| format!("--c{i}")).collect();
        for mark in marks.iter().map(String::as_str).chain(["--prompt", "--reasoning", "--answer"]) {
            let found = contrast(of[mark], of["--card"]);
            assert!(found >= 3.0, "{mark}: {found:.2} in {theme}");
        }
        for (eye, matrix) in eyes {
            for (i, a) in marks.iter().enumerate() {
                for b in &marks[i + 1..] {
                    let found = apart(of[a.as_str()], of[b.as_str()], matrix);
                    assert!(found >= 12.0, "{a} and {b} are {found:.1} apart to {eye} in {theme}");
                }
            }
            for [a, b] in [["--prompt", "--reasoning"], ["--prompt", "--answer"], ["--reasoning", "--answer"]] {
                let found = apart(of[a], of[b], matrix);
                assert!(found >= 12.0, "{a} and {b} are {found:.1} apart to {eye} in {theme}");
            }
        }
    }
}

#[test]
fn the_files_of_the_page_load_nothing_and_hold_no_handler_in_their_markup() {
    for name in ["run-folder", "levels.ndjson"] {
        let page = page(name);
        for handler in [" onclick=", " onload=", " onerror=", " style=\"", "javascript:"] {
            let markup = &page[..page.rfind("<script>").unwrap()];
            assert!(!markup.contains(handler), "{name}: {handler}");
        }
    }
    assert!(input("run-folder").is_dir());
}
