//! The flows as people run them: make, the pipelines, the folder they leave, and what they say when something is missing.

use crate::common::golden::{case, golden, numbers_in};
use crate::common::sim::Sim;
use crate::common::{Ran, bash, bin_dir, root, run_with};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A folder with the Makefile and the pipelines in it, where reports do no harm.
pub(crate) fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    for name in ["Makefile", "pipelines"] {
        std::os::unix::fs::symlink(root().join(name), desk.path().join(name)).unwrap();
    }
    desk
}

fn make(desk: &Path, target: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = bash(&format!("make -s {target}"));
    command.current_dir(desk).env("BIN", bin_dir()).envs(variables.iter().copied());
    command
}

pub(crate) fn flow(desk: &Path, target: &str, variables: &[(&str, &str)]) -> Ran {
    run_with(make(desk, target, variables), "")
}

/// The one folder of a flow.
pub(crate) fn folder(desk: &Path, flow: &str) -> PathBuf {
    let mut found = std::fs::read_dir(desk.join("reports")).unwrap().map(|entry| entry.unwrap().path());
    let folder = found.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(flow)).unwrap();
    assert_eq!(found.next(), None, "one run leaves one folder");
    folder
}

pub(crate) fn results(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("results.ndjson")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["type"] == "result").collect()
}

#[test]
fn the_demo_runs_the_three_flows_and_leaves_everything_and_no_process_behind() {
    let desk = desk();
    let ran = flow(desk.path(), "demo", &[]).exits(0);
    let folder = folder(desk.path(), "demo-");
    assert!(ran.stdout.contains(&format!("reports/{}/index.html", folder.file_name().unwrap().to_str().unwrap())));
    let results = results(&folder);
    for (source, count) in [("lmstudio", 3), ("openrouter", 3), ("minimax", 64)] {
        let of: Vec<&Value> = results.iter().filter(|result| result["source"] == source).collect();
        assert_eq!(of.len(), count, "{source}");
        for result in of {
            assert!(result["error"].is_null(), "{result}");
            let ttft = result["ttft_seconds"].as_f64().unwrap();
            assert!(ttft > 0.05 && ttft < result["generation_time_seconds"].as_f64().unwrap(), "{result}");
            assert!(result["tokens"]["output"].as_u64().unwrap() >= 80);
        }
    }
    for result in results.iter().filter(|result| result["source"] == "lmstudio") {
        assert!(result["load_time_seconds"].as_f64().unwrap() > 0.5);
        assert!(result["power"]["energy_joules"].as_f64().unwrap() > 0.0, "{result}");
        assert_eq!(result["power"]["simulated"], true);
        // llm-sim holds real memory while a model is loaded: 96 MB times the model's factor.
        assert!(result["memory"]["delta_load"]["anon_bytes"].as_i64().unwrap() > 50_000_000, "{result}");
    }
    for result in results.iter().filter(|result| result["source"] != "minimax") {
        for kind in ["html", "text", "json"] {
            let name = result["files"][kind].as_str().unwrap_or_else(|| panic!("no {kind}: {result}"));
            assert!(std::fs::metadata(folder.join(name)).unwrap().len() > 100, "{name}");
        }
    }
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.starts_with("<!") && page.contains("aviary/finch-4b"));
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("summary.json")).unwrap()).unwrap();
    assert_eq!((&summary["successful_runs"], &summary["failed_runs"]), (&70.into(), &0.into()));
}

#[test]
fn the_demo_stops_everything_it_started_when_it_is_interrupted() {
    let desk = desk();
    // A group of its own, as a terminal gives one to what it runs; ^C goes to the group.
    let mut command = bash(
        "set -m; make -s demo & group=$!; sleep 4; kill -INT -- -$group; wait $group || true; sleep 1; ps -o args= -g $group || true; pgrep -a -f llm-sim.*$DESK_TMP || true",
    );
    command.current_dir(desk.path()).env("BIN", bin_dir()).env("DESK_TMP", desk.path()).env("TMPDIR", desk.path());
    let ran = run_with(command, "").exits(0);
    let left: Vec<&str> =
        ran.stdout.lines().filter(|line| line.contains("llm-sim") || line.contains("-sample")).collect();
    assert_eq!(left, Vec::<&str>::new());
}

#[test]
fn the_lm_studio_flow_loads_asks_and_reports_every_model() {
    let (desk, sim) = (desk(), Sim::start("lmstudio", &["--tokens", "60"]));
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("SETTLE", "100ms"),
        ("INTERVAL", "100ms"),
        ("POWER", "no"),
        ("TEMPERATURE", "0.6"),
        ("MAX_TOKENS", "50"),
    ];
    let ran = flow(desk.path(), "lmstudio-bench", &variables).exits(0);
    assert!(ran.stdout.contains("aviary/finch-4b"), "{}", ran.stdout);
    let folder = folder(desk.path(), "lmstudio-bench-");
    let results = results(&folder);
    assert_eq!(results.len(), 3);
    for result in &results {
        assert_eq!((&result["prompt"]["temperature"], &result["prompt"]["max_tokens"]), (&0.6.into(), &50.into()));
        assert_eq!(result["tokens"]["output"], 50);
        assert!(result.get("power").is_none(), "no meter was given");
        let json: Value = serde_json::from_str(
            &std::fs::read_to_string(folder.join(result["files"]["json"].as_str().unwrap())).unwrap(),
        )
        .unwrap();
        assert!(json["prompt"]["text"].as_str().unwrap().contains("Kanban"));
        assert_eq!(json["load_time_seconds"], result["load_time_seconds"]);
    }
    for name in ["models.ndjson", "run.ndjson", "memory.ndjson", "results.ndjson", "index.html", "summary.json"] {
        assert!(folder.join(name).exists(), "{name}");
    }
}

#[test]
fn the_openrouter_flow_tells_costs_and_goes_on_without_a_model_that_is_not_there() {
    let (desk, sim) = (desk(), Sim::start("openrouter", &["--api-key", "sk-or-v1-test"]));
    std::fs::write(desk.path().join("models.txt"), "# two\naviary/finch-4b\nno/such-model\naviary/heron-12b\n")
        .unwrap();
    let variables =
        [("BASE_URL", sim.url.as_str()), ("MODELS_FILE", "models.txt"), ("OPENROUTER_API_KEY", "sk-or-v1-test")];
    let ran = flow(desk.path(), "openrouter-bench", &variables);
    // make turns the flow's 1 into its own 2.
    golden!("flow-model-not-there", told(&ran));
    let folder = folder(desk.path(), "openrouter-bench-");
    let results = results(&folder);
    assert_eq!(results.len(), 2);
    for result in &results {
        assert_eq!(result["cost"]["method"], "usage");
        assert!(result["cost"]["usd"].as_f64().unwrap() > 0.0);
        assert_eq!(result["concurrency"], 4);
    }
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let text = std::fs::read(entry.path()).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("sk-or-v1-test"), "the key is in {:?}", entry.path());
    }
}

#[test]
fn the_token_rate_flow_writes_the_summary_people_know() {
    let (desk, sim) = (desk(), Sim::start("minimax", &[]));
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("MODE", "minimax"),
        ("CONCURRENCY", "4"),
        ("PROMPTS", "10"),
        ("OUTPUT", "out.json"),
    ];
    flow(desk.path(), "token-rate", &variables).exits(0);
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(desk.path().join("out.json")).unwrap()).unwrap();
    assert_eq!((&summary["mode"], &summary["concurrency"]), (&"minimax".into(), &4.into()));
    assert_eq!(
        (&summary["num_prompts"], &summary["successful_runs"], &summary["failed_runs"]),
        (&10.into(), &10.into(), &0.into())
    );
    for field in [
        "total_time_ms",
        "avg_latency_ms",
        "avg_input_tokens",
        "avg_output_tokens",
        "avg_total_tokens",
        "avg_tokens_per_second",
        "min_latency_ms",
        "max_latency_ms",
        "p50_latency_ms",
        "p95_latency_ms",
    ] {
        assert!(summary[field].as_f64().unwrap() > 0.0, "{field}: {}", summary[field]);
    }
    assert_eq!(summary["results"].as_array().unwrap().len(), 10);
    assert!(summary["timestamp"].is_string());
}

#[test]
fn a_flow_asks_what_its_variables_say() {
    let (desk, sim) = (desk(), Sim::start("openai", &[]));
    std::fs::write(
        desk.path().join("mine.ndjson"),
        r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]}"#,
    )
    .unwrap();
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("MODE", "openai"),
        ("MODEL", "finch-4b"),
        ("SYNTHETIC", "in=9,out=20,n=2"),
        ("INPUT_FILE", "mine.ndjson"),
        ("TURNS", "all"),
        ("SHARED_PREFIX", "4"),
        ("EXTRA_BODY", r#"{"ignore_eos":true}"#),
    ];
    flow(desk.path(), "token-rate", &variables).exits(0);
    let results = results(&folder(desk.path(), "token-rate-"));
    let turns: Vec<_> = results.iter().map(|result| result["turn"].as_u64()).collect();
    assert_eq!(turns, [Some(1), Some(2), None, None], "no suite besides");
    for result in &results[2..] {
        assert_eq!((&result["tokens"]["input"], &result["tokens"]["output"]), (&13.into(), &20.into()));
    }
}

#[test]
fn the_ollama_flow_runs_each_level() {
    let (desk, sim) = (desk(), Sim::start("ollama", &[]));
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("CONCURRENCY", "1,2"),
        ("PROMPTS", "2"),
        ("SETTLE", "50ms"),
        ("INTERVAL", "100ms"),
        ("POWER", "no"),
    ];
    flow(desk.path(), "ollama-bench", &variables).exits(0);
    let results = results(&folder(desk.path(), "ollama-bench-"));
    assert_eq!(results.len(), 3 * 2 * 2);
    assert!(results.iter().all(|result| result["rest_stats"]["eval_count"] == result["tokens"]["output"]));
}

#[test]
fn what_was_answered_before_an_interrupt_is_in_the_report() {
    let (desk, sim) = (desk(), Sim::start("minimax", &["--ttft", "80ms", "--tokens", "4"]));
    // As a terminal does it: the whole group gets the signal, whatever each of its programs is doing.
    let script = "set -m; make -s token-rate & group=$!; \
        until [ \"$(cat reports/*/run.ndjson 2> /dev/null | grep -c '\"type\":\"result\"')\" -ge 6 ]; do sleep 0.02; done; \
        kill -INT -- -$group; wait $group || true";
    let mut command = bash(script);
    let variables = [("MODE", "minimax"), ("BASE_URL", sim.url.as_str()), ("CONCURRENCY", "3")];
    command.current_dir(desk.path()).env("BIN", bin_dir()).envs(variables);
    let ran = run_with(command, "").exits(0);
    let folder = folder(desk.path(), "token-rate-");
    let count = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        text.lines().filter(|line| line.starts_with("{\"type\":\"result\"")).count()
    };
    let told = ran.stderr.lines().rfind(|line| line.starts_with("llm-run: ")).unwrap();
    let ok = numbers_in(told)[0] as usize;
    assert!((6..32).contains(&ok), "{told}");
    assert_eq!((count("run.ndjson"), count("results.ndjson")), (ok, ok), "{}", ran.stderr);
    let summary: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["successful_runs"], ok);
}

#[test]
fn quotes_hold_words_together_and_variables_of_another_flow_are_told() {
    let (desk, sim) = (desk(), Sim::start("minimax", &[]));
    let variables = [
        ("MODE", "minimax"),
        ("BASE_URL", sim.url.as_str()),
        ("PROMPTS", "1"),
        ("RUN_ARGS", "--system 'be short'"),
        ("REPORT_ARGS", "--fail-if 'ttft_p50 > 60s'"),
    ];
    flow(desk.path(), "token-rate", &variables).exits(0);
    let prompt = std::fs::read_to_string(folder(desk.path(), "token-rate-").join("run.ndjson")).unwrap();
    assert!(prompt.contains("\"system\":\"be short\""), "{prompt}");
    let mut all = String::new();
    for (target, name, value) in
        [("lmstudio-bench", "MODEL", "finch"), ("token-rate", "MATCH", "finch"), ("ollama-bench", "GPU_SETTING", "max")]
    {
        let ran = flow(desk.path(), target, &[("BASE_URL", sim.url.as_str()), (name, value)]);
        assert_ne!(ran.status, Some(0));
        all += &case(target, &told(&ran));
    }
    golden!("flow-variable-of-another", all);
}

#[test]
fn the_openrouter_flow_can_ask_each_provider() {
    let (desk, sim) = (desk(), Sim::start("openrouter", &[]));
    let variables = [("BASE_URL", sim.url.as_str()), ("MATCH", "finch"), ("ENDPOINTS", "yes")];
    flow(desk.path(), "openrouter-bench", &variables).exits(0);
    let results = results(&folder(desk.path(), "openrouter-bench-"));
    let mut providers: Vec<&str> = results.iter().map(|result| result["provider"].as_str().unwrap()).collect();
    providers.sort_unstable();
    assert_eq!(providers, ["Aviary", "Roost"]);
}

#[test]
fn what_is_missing_is_told_with_its_fix_in_one_line() {
    let taken = Sim::start("openai", &[]);
    let empty = Sim::start("ollama", &["--models", "wren-embed"]);
    let port = taken.url.rsplit('/').next().unwrap().to_owned();
    let mut all = String::new();
    for (target, variables) in [
        ("openrouter-bench", vec![]),
        ("openrouter-bench", vec![("OPENROUTER_API_KEY", "k")]),
        ("token-rate", vec![]),
        ("token-rate", vec![("MODE", "minimax")]),
        ("token-rate", vec![("MODE", "nonsense")]),
        ("lmstudio-bench", vec![("BASE_URL", "http://127.0.0.1:1")]),
        ("ollama-bench", vec![("BASE_URL", "http://127.0.0.1:1")]),
        ("lmstudio-bench", vec![("BASE_URL", taken.url.as_str()), ("MATCH", "^nobody/")]),
        ("ollama-bench", vec![("BASE_URL", empty.url.as_str())]),
    ] {
        let desk = desk();
        let ran = flow(desk.path(), target, &variables);
        assert_ne!(ran.status, Some(0), "{target} {variables:?}");
        all += &case((target, variables), &told(&ran));
    }
    golden!("flow-what-is-missing", all);
    let mut sim = crate::common::command("llm-sim");
    sim.args(["--listen", &port]);
    let ran = run_with(sim, "").exits(2);
    assert!(ran.stderr.contains(&port), "{}", ran.stderr);
}

#[test]
fn a_flow_without_a_power_meter_goes_on_and_says_so() {
    let (desk, sim) = (desk(), Sim::start("lmstudio", &["--models", "aviary/finch-4b"]));
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("SETTLE", "50ms"),
        ("POWER_ARGS", "--meter powermetrics --from /no/such/log"),
    ];
    let ran = flow(desk.path(), "lmstudio-bench", &variables).exits(0);
    golden!("flow-without-power", told(&ran));
    assert_eq!(results(&folder(desk.path(), "lmstudio-bench-")).len(), 1);
}

/// What a flow and its programs say, but for make and those programs that tell times or work beside each other.
fn told(ran: &Ran) -> String {
    let others = ["make", "llm-run: ", "mem-sample: ", "power-sample: "];
    let told = ran.stderr.lines().filter(|line| !others.iter().any(|other| line.starts_with(other)));
    told.collect::<Vec<_>>().join("\n")
}

/// What stands in a run folder's streams: how many records of a type, and how many lines that are none.
fn counted(folder: &Path, file: &str, kind: &str) -> (usize, usize) {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let records: Vec<Option<Value>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
    let of_kind = records.iter().flatten().filter(|record| record["type"] == kind).count();
    (of_kind, records.iter().filter(|record| record.is_none()).count())
}

#[test]
fn each_flow_goes_on_in_the_folder_of_one_that_failed_or_was_torn() {
    for (profile, flow_name, more, prompts) in [
        ("openrouter", "openrouter-bench", &[("MATCH", "^aviary/")][..], 2),
        ("minimax", "token-rate", &[("MODE", "minimax"), ("PROMPTS", "4")], 4),
        (
            "lmstudio",
            "lmstudio-bench",
            &[("MATCH", "^aviary/"), ("SETTLE", "50ms"), ("INTERVAL", "100ms"), ("POWER", "no")],
            2,
        ),
    ] {
        // LM Studio's first is a load.
        let fault = if profile == "lmstudio" { "http-500:2x" } else { "http-500:1x" };
        let (desk, sim) = (desk(), Sim::start(profile, &["--fault", fault]));
        let variables = [&[("BASE_URL", sim.url.as_str()), ("RETRIES", "0")], more].concat();
        let first = flow(desk.path(), flow_name, &variables);
        assert_ne!(first.status, Some(0), "{flow_name}: one request failed");
        let run = folder(desk.path(), flow_name);
        // As an end in the middle of a line leaves it.
        for file in ["results.ndjson", "run.ndjson"] {
            let mut text = std::fs::read_to_string(run.join(file)).unwrap();
            text.push_str(r#"{"type":"result","v":1,"truncated_samples"#);
            std::fs::write(run.join(file), text).unwrap();
        }
        let resume = [&variables[..], &[("RESUME", run.to_str().unwrap())]].concat();
        let second = flow(desk.path(), flow_name, &resume).exits(0);
        assert_eq!(folder(desk.path(), flow_name), run, "no other folder is made");
        let good = results(&run);
        assert_eq!(good.len(), prompts, "{flow_name}: {}", second.stderr);
        assert!(good.iter().all(|result| result["error"].is_null()), "{flow_name}");
        assert_eq!(counted(&run, "failed.ndjson", "result"), (1, 0), "{flow_name}: what failed is set aside");
        assert_eq!(counted(&run, "run.ndjson", "result"), (prompts + 1, 0), "{flow_name}: nothing was asked twice");
        if profile != "minimax" {
            assert_eq!(counted(&run, "models.ndjson", "model"), (2, 0), "{flow_name}: each model is listed once");
        }
        if profile == "lmstudio" {
            assert_eq!(counted(&run, "memory.ndjson", "sampler"), (4, 0), "the readings of both runs");
            assert!(good.iter().all(|result| result["memory"].is_object()), "{good:?}");
        }
        let summary: Value = serde_json::from_str(&std::fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
        assert_eq!((&summary["successful_runs"], &summary["failed_runs"]), (&prompts.into(), &0.into()), "{flow_name}");

        let third = flow(desk.path(), flow_name, &resume).exits(0);
        golden!("flow-nothing-left", third.lines_with("llm-run: "));
        assert_eq!(results(&run).len(), prompts, "{flow_name}");
    }
}

#[test]
fn a_folder_that_cannot_be_taken_up_is_told_with_what_to_do() {
    let desk = desk();
    let mut all = String::new();
    for (variables, key) in [
        (&[("RESUME", ".")][..], "RESUME=."),
        (&[("RESUME", "."), ("DIR", "elsewhere")], "DIR=elsewhere"),
        (&[("RESUME", "no-such-file")], "no-such-file"),
    ] {
        let sim = Sim::start("lmstudio", &[]);
        let ran = flow(
            desk.path(),
            "lmstudio-bench",
            &[&[("BASE_URL", sim.url.as_str()), ("POWER", "no")], variables].concat(),
        );
        assert_ne!(ran.status, Some(0), "{variables:?}");
        all += &case(variables, &ran.lines_with(key));
    }
    golden!("flow-folder-not-taken-up", all);
}

#[test]
fn openrouter_s_wishes_are_variables_of_its_flow() {
    let (desk, sim) = (desk(), Sim::start("openrouter", &["--api-key", "sk-or-v1-test"]));
    let variables = [
        ("BASE_URL", sim.url.as_str()),
        ("MATCH", "finch"),
        ("OPENROUTER_API_KEY", "sk-or-v1-test"),
        ("PROVIDER", "roost"),
        ("VERIFY_COST", "yes"),
        ("GRACE", "5s"),
    ];
    flow(desk.path(), "openrouter-bench", &variables).exits(0);
    let result = results(&folder(desk.path(), "openrouter-bench-")).remove(0);
    assert_eq!(result["provider"], "Roost");
    assert_eq!(result["cost"]["verified_usd"], result["cost"]["usd"]);
}
