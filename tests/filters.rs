//! How every program behaves, whatever it is for: names, help, exit statuses, lines good and bad, pipes that close.

use crate::common::sim::Sim;
use crate::common::{PROGRAMS, Ran, bash, command, run, run_with, signal, testdata, wait_until};
use llm_bench::record::{Timing, fixture};
use std::io::Read;
use std::process::{Child, Command, Stdio};

#[test]
fn every_program_of_src_bin_is_tested_here() {
    let mut built: Vec<String> = std::fs::read_dir(crate::common::root().join("src/bin"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().trim_end_matches(".rs").to_owned())
        .collect();
    let mut listed: Vec<&str> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    built.sort();
    listed.sort_unstable();
    assert_eq!(built, listed);
}

#[test]
fn every_program_names_itself_and_explains_itself() {
    for (name, _) in PROGRAMS {
        let version = run(name, ["--version"], "").exits(0);
        assert_eq!(version.stdout, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
        let short = run(name, ["-h"], "").exits(0).stdout;
        let long = run(name, ["--help"], "").exits(0).stdout;
        assert!(short.len() < long.len(), "{name}: -h is not shorter than --help");
        for word in ["Usage:", "Examples:", "Exit status:", "Environment:", "Memory:"] {
            assert!(long.contains(word), "{name} --help lacks {word}");
        }
        assert!(long.contains(&format!("Usage: {name}")), "{name}");
    }
}

#[test]
fn every_program_generates_its_man_page_its_completions_and_the_schema() {
    for (name, _) in PROGRAMS {
        for (what, word) in
            [("man", ".TH"), ("bash", "complete"), ("zsh", "#compdef"), ("fish", "complete"), ("schema", "$defs")]
        {
            let text = run(name, ["--generate", what], "").exits(0).stdout;
            assert!(text.contains(word) && (what == "schema" || text.contains(name)), "{name} --generate {what}");
        }
        run(name, ["--generate", "nonsense"], "").exits(2);
    }
}

#[test]
fn a_wrong_flag_is_exit_2_and_one_message_that_begins_with_the_program() {
    for (name, _) in PROGRAMS {
        let ran = run(name, ["--no-such-flag"], "").exits(2);
        assert!(ran.stderr.starts_with(&format!("{name}: ")), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn a_missing_file_is_exit_2_and_named() {
    for name in ["llm-run", "bench-join", "bench-report"] {
        let args: &[&str] = if name == "llm-run" { &["--prompt", "x", "/no/such/file"] } else { &["/no/such/file"] };
        let ran = run(name, args, "").exits(2);
        assert!(ran.stderr.starts_with(&format!("{name}: ")) && ran.stderr.contains("/no/such/file"), "{}", ran.stderr);
    }
}

/// What a filter must pass on: unknown types, unknown fields, long numbers, odd spacing, newer versions.
const FOREIGN: [&str; 4] = [
    r#"{"type":"weather","v":1,"celsius": -3.50,"id":123456789012345678901234567890}"#,
    r#"{"z":[1, 2,{"y":null}],"type":"note","text":"ünïcödé \u0000 \ud83d\ude00"}"#,
    r#"{"no":"type"}"#,
    r#"{"type":"result","v":99,"model":["from","the","future"]}"#,
];

fn join(input: impl AsRef<[u8]>) -> Ran {
    run("bench-join", [""; 0], input)
}

#[test]
fn unknown_lines_pass_byte_for_byte_and_in_order() {
    let ran = join(FOREIGN.join("\n")).exits(0);
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| !line.contains("\"join_summary\"")).collect();
    assert_eq!(lines, FOREIGN);
    assert_eq!(ran.stderr.matches("contract version 99").count(), 1, "{}", ran.stderr);

    let sim = Sim::start("openai", &[]);
    let models = format!("{}\nfinch-4b\n", FOREIGN.join("\n"));
    let ran = run("llm-run", ["--source", "openai", "--base-url", &sim.url, "--prompt", "x"], models).exits(0);
    let passed: Vec<&str> = ran.stdout.lines().filter(|line| FOREIGN.contains(line)).collect();
    assert_eq!(passed, FOREIGN);
}

#[test]
fn unknown_fields_of_a_result_survive_the_join() {
    let line =
        r#"{"type":"result","v":1,"model":"m","mine":{"b": 1.10,"a":123456789012345678901234567890},"error":null}"#;
    let ran = join(line).exits(0);
    assert!(ran.stdout.contains(r#""mine":{"b": 1.10,"a":123456789012345678901234567890}"#), "{}", ran.stdout);
}

#[test]
fn lines_are_forgiven_what_can_be_forgiven() {
    let good = r#"{"type":"note","n":1}"#;
    for input in [format!("{good}\n"), good.to_owned(), format!("\u{feff}{good}\r\n\r\n"), format!("\n\n{good}\n\n")] {
        let ran = join(&input).exits(0);
        assert_eq!(ran.stdout.lines().next(), Some(good), "{input:?}");
    }
}

#[test]
fn a_bad_line_is_named_skipped_and_counted_or_ends_it_when_strict() {
    let good = r#"{"type":"note"}"#;
    for bad in [&b"{\"type\":"[..], b"nonsense", b"\xff\xfe", b"[]", b"{\"type\":\"result\",\"v\":1}"] {
        let input = [good.as_bytes(), b"\n", bad, b"\n", good.as_bytes()].concat();
        let ran = join(&input).exits(1);
        assert_eq!(ran.stdout.lines().filter(|line| *line == good).count(), 2);
        assert!(ran.stderr.starts_with("bench-join: -:2: "), "{}", ran.stderr);
        let strict = run("bench-join", ["--strict"], &input).exits(2);
        assert!(strict.stderr.starts_with("bench-join: -:2: "), "{}", strict.stderr);
    }
}

#[test]
fn of_very_many_bad_lines_every_program_tells_ten_and_the_rest_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    // A good line first, so that a list of models or prompts is one, then a thousand that are nothing.
    let flood = |good: &str| format!("{good}\n") + &"{torn\n".repeat(1000);
    let model = r#"{"type":"model","v":1,"source":"openai","id":"m","base_url":"http://127.0.0.1:9"}"#;
    let result = r#"{"type":"result","v":1,"model":"m"}"#;
    let sharegpt = r#"{"conversations":[{"from":"human","value":"hi"}]}"#;
    for (name, text) in [
        ("results", flood(result)),
        ("power", flood(r#"{"type":"power","v":1,"ts":1.0,"seq":1,"meter":"x","kind":"instant","watts":{"cpu":1.0}}"#)),
        ("models", flood(model)),
        ("ids", flood("m")),
        ("prompts", flood(r#"{"text":"hi"}"#)),
        ("sharegpt", flood(sharegpt)),
        ("sharegpt.json", format!("[{sharegpt}{}]", ",{}".repeat(1000))),
    ] {
        std::fs::write(at(name), text).unwrap();
    }
    let (one, later) = (at("one"), at("later"));
    std::fs::write(&one, model).unwrap();
    // It needs readings that never come: all that there are are read.
    let needs =
        fixture::result(1, "m").sent(100.0).e2e(1.0).timing(Timing { end: Some(1.0), ..Timing::default() }).line();
    std::fs::write(&later, needs).unwrap();
    for (program, args, input) in [
        ("bench-report", vec!["-f".into(), "text".into(), at("results")], "results"),
        ("bench-join", vec![at("results")], "results"),
        ("bench-join", vec!["--power".into(), at("power"), later], "power"),
        ("llm-run", vec!["--dry-run".into(), "--prompt".into(), "x".into(), at("models")], "models"),
        ("llm-run", vec!["--dry-run".into(), "--input-file".into(), at("prompts"), one.clone()], "prompts"),
        ("llm-run", vec!["--dry-run".into(), "--input-file".into(), at("sharegpt"), one.clone()], "sharegpt"),
        ("llm-run", vec!["--dry-run".into(), "--input-file".into(), at("sharegpt.json"), one], "sharegpt.json"),
        ("llm-models", vec!["file".into(), at("ids")], "ids"),
    ] {
        let ran = run(program, &args, "").exits(1);
        let said: Vec<&str> =
            ran.stderr.lines().filter(|line| line.starts_with(&format!("{program}: {}", at(input)))).collect();
        assert_eq!(said.len(), 11, "{program} {input}: {}", ran.stderr);
        let what = if input == "sharegpt.json" { "entries" } else { "lines" };
        let more = format!("{program}: {}: 990 more {what} could not be read (12 to 1001): 1000 in all", at(input));
        assert_eq!(said[10], more);
    }
}

#[test]
fn a_line_of_ten_megabytes_passes() {
    let long = format!(r#"{{"type":"note","text":"{}"}}"#, "x".repeat(10 << 20));
    let ran = join(&long).exits(0);
    assert_eq!(ran.stdout.lines().next().map(str::len), Some(long.len()));
}

#[test]
fn a_reader_that_leaves_ends_a_program_quietly() {
    for script in [
        "mem-sample --interval 100ms | head -1",
        r#"bench-join <(yes '{"type":"note"}' | head -100000) | head -1"#,
        "llm-run --print-suite token-rate | head -1",
        "llm-run --help | head -1",
        "llm-models --generate man | head -1",
        r#"printf '{"type":"result","v":1,"model":"m"}\n' | bench-report | head -c 1"#,
    ] {
        let ran = run_with(bash(script), "").exits(0);
        assert_eq!(ran.stderr, "", "{script}");
        assert!(!ran.stdout.is_empty(), "{script}");
    }
}

#[test]
fn llm_run_says_what_it_did_not_send_when_its_reader_left() {
    let sim = Sim::start("openai", &["--tokens", "2"]);
    let ask = format!(
        "echo finch-4b | llm-run --source openai --base-url {} --prompt x --requests 50 --concurrency 4",
        sim.url
    );
    let ran = run_with(bash(&format!("{ask} | head -1")), "").exits(0);
    assert_eq!(ran.stdout.lines().count(), 1);
    let told: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let rest =
        told[0].strip_prefix("llm-run: the reader of the records has left: ").unwrap_or_else(|| panic!("{told:?}"));
    if rest != "nothing was sent" {
        let unsent: u64 = rest.strip_suffix(" of 50 planned requests are not sent").unwrap().parse().unwrap();
        assert!((1..=50).contains(&unsent), "{rest}");
    }
}

#[test]
fn an_output_that_is_closed_is_refused_and_one_that_is_not_wanted_is_not() {
    let sim = Sim::start("openai", &["--tokens", "2"]);
    let ask = |rest: &str| {
        let script = format!("echo finch-4b | llm-run --source openai --base-url {} --prompt x {rest}", sim.url);
        run_with(bash(&script), "")
    };
    let refused = ask(">&-").exits(2);
    assert!(refused.stderr.starts_with("llm-run: standard output is closed: "), "{}", refused.stderr);
    let full = ask(">/dev/full").exits(2);
    assert!(full.stderr.contains("No space left"), "{}", full.stderr);
    for wanted in [">/dev/null", "-o /dev/null >&-", "--artifacts \"$(mktemp -d)\" >&-"] {
        assert!(ask(wanted).exits(0).stderr.contains("1 ok, 0 failed"), "{wanted}");
    }
}

#[test]
fn llm_run_stops_asking_when_its_reader_leaves() {
    let sim = Sim::start("openai", &["--tokens", "2000", "--itl", "5ms"]);
    let mut script =
        bash(r#"echo finch-4b | llm-run --source openai --base-url "$URL" --prompt x --repeat 50 | head -1"#);
    script.env("URL", &sim.url);
    let started = std::time::Instant::now();
    run_with(script, "").exits(0);
    // One answer takes ten seconds, fifty take minutes.
    assert!(started.elapsed().as_secs() < 60);
}

#[test]
fn an_output_that_is_also_an_input_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.ndjson");
    let text = "{\"type\":\"result\",\"v\":1,\"model\":\"m\"}\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    for (name, args) in [
        ("bench-join", &[path, "-o", path][..]),
        ("bench-join", &["--power", path, "-o", path]),
        ("llm-run", &["--prompt", "x", "--resume", path, "-o", path]),
        ("llm-run", &["--prompt", "x", path, "-o", path]),
        ("llm-run", &["-o", path]),
    ] {
        let ran = run(name, args, "").exits(2);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{name} {args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_full_disk_is_exit_2_and_said() {
    for script in [
        "mem-sample --once > /dev/full",
        r#"echo '{"type":"note"}' | bench-join > /dev/full"#,
        "llm-run --print-suite website > /dev/full",
        r#"echo '{"type":"result","v":1,"model":"m"}' | bench-report --format json > /dev/full"#,
        "bench-report --generate man > /dev/full",
    ] {
        let ran = run_with(bash(script), "").exits(2);
        assert!(ran.stderr.contains("No space left"), "{script}: {}", ran.stderr);
    }
}

fn spawn(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_sampler_that_is_told_to_stop_writes_its_last_line_and_exits_0() {
    for name in ["INT", "TERM"] {
        let mut sampler = command("mem-sample");
        sampler.args(["--interval", "100ms"]);
        let mut child = spawn(sampler);
        let mut first = [0; 1];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        signal(&child, name);
        let ran = end(child).exits(0);
        assert!(ran.stdout.ends_with('\n'));
        assert!(ran.stdout.lines().last().unwrap().contains(r#""event":"end""#), "{name}: {}", ran.stdout);
    }
}

#[test]
fn llm_run_lets_running_requests_finish_after_one_signal_and_leaves_after_two() {
    let sim = Sim::start("openai", &["--tokens", "30", "--itl", "50ms"]);
    for (signals, errors) in [(1, vec![serde_json::Value::Null]), (2, vec!["cancelled".into()])] {
        let mut asked = command("llm-run");
        let out = sim.path(&format!("out-{signals}"));
        asked.args(["--source", "openai", "--base-url", &sim.url, "--prompt", "x", "--repeat", "5", "-o", &out]);
        asked.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = asked.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"finch-4b\n").unwrap();
        wait_until("the first request", || std::fs::read_to_string(&out).is_ok_and(|text| text.contains(r#""start""#)));
        for _ in 0..signals {
            signal(&child, "INT");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let ran = end(child).exits(1);
        assert!(ran.stderr.contains("4 not sent"), "{}", ran.stderr);
        let text = std::fs::read_to_string(&out).unwrap();
        let results: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|r: &serde_json::Value| r["type"] == "result")
            .collect();
        let kinds: Vec<_> =
            results.iter().map(|result| result["error"].get("kind").cloned().unwrap_or_default()).collect();
        assert_eq!(kinds, errors);
    }
}

/// What Windows PowerShell writes by `>`: UTF-16 with a byte-order mark and CRLF.
fn by_powershell(text: &str) -> Vec<u8> {
    let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn files_of_powershell_read_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    let file = file.to_str().unwrap();
    let read = |path: &str| std::fs::read_to_string(testdata(path)).unwrap();
    let (results, samples) = (read("report/one.ndjson"), read("meters/nvidia-smi.csv"));
    let llm_run = ["llm-run", "--source", "openai", "--base-url", "http://127.0.0.1:9", "--dry-run"];
    let prompts = [&llm_run[..], &["--input-file", file]].concat();
    let prompt_file = [&llm_run[..], &["--prompt-file", file]].concat();
    for (text, line, stdin) in [
        (results.as_str(), &["bench-report", "--format", "json", "--quiet", file][..], ""),
        (&results, &["bench-join", "--quiet", file], ""),
        (&samples, &["power-sample", "--quiet", "--from", file], ""),
        ("finch\nowl\n", &["llm-models", "file", file], ""),
        ("{\"prompt\":\"Why?\"}\n{\"prompt\":\"Wie groß?\"}\n", &prompts, "finch\n"),
        ("Wie groß?\n", &prompt_file, "finch\n"),
    ] {
        let ran = |bytes: Vec<u8>| {
            std::fs::write(file, bytes).unwrap();
            let ran = run(line[0], &line[1..], stdin);
            (ran.status, ran.stderr, ran.stdout.lines().count())
        };
        let expect = ran(text.into());
        assert_eq!((expect.0, ran(by_powershell(text))), (Some(0), expect.clone()), "{line:?}");
        assert_eq!(ran(["\u{feff}", text].concat().into()), expect, "{line:?}");
    }
    let ids = |bytes: Vec<u8>| run("llm-run", [&llm_run[1..], &["--prompt", "hi"]].concat(), bytes).stderr;
    assert_eq!(ids(by_powershell("finch\nowl\n")), ids("finch\nowl\n".into()));
}
