//! docs/migrating.md is true: each row of its table is run, against llm-sim, and has its check here by the first cell.

use crate::common::sim::Sim;
use crate::common::{Ran, bash, bin_dir, command, root, run_with, testdata};
use crate::flows::{desk, flow, folder, results};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The first cells of the table, as they are read.
fn rows() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let (mut rows, mut cell, mut at) = (Vec::new(), String::new(), 0);
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::TableRow) => at = 0,
            Event::Start(Tag::TableCell) => cell.clear(),
            Event::End(TagEnd::TableCell) => {
                if at == 0 {
                    rows.push(cell.clone());
                }
                at += 1;
            }
            Event::Text(text) | Event::Code(text) => cell.push_str(&text),
            _ => {}
        }
    }
    // The head is a row of cells too.
    rows.retain(|row| row != "theirs" && row != "ours");
    rows
}

/// A flow that was run, and the folder that it left.
struct Run {
    desk: TempDir,
    folder: PathBuf,
    ran: Ran,
    _sim: Sim,
}

impl Run {
    fn make(target: &str, sim: Sim, variables: &[(&str, &str)]) -> Self {
        let desk = desk();
        std::fs::write(desk.path().join("models.txt"), "aviary/finch-4b\naviary/heron-12b\n").unwrap();
        std::fs::write(desk.path().join("prompt.txt"), "Write a page about owls.\n").unwrap();
        std::fs::write(desk.path().join("key"), "sk-or-v1-test\n").unwrap();
        let ran = flow(desk.path(), target, variables).exits(0);
        let folder = folder(desk.path(), target);
        Self { desk, folder, ran, _sim: sim }
    }

    fn results(&self) -> Vec<Value> {
        results(&self.folder)
    }

    fn read(&self, name: &str) -> String {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// The MODEL.json of the first result.
    fn model_json(&self) -> Value {
        self.json(self.results()[0]["files"]["json"].as_str().unwrap())
    }
}

/// The three flows, run once for all rows.
struct Flows {
    lmstudio: Run,
    openrouter: Run,
    token_rate: Run,
}

impl Flows {
    fn run() -> Self {
        let lmstudio = {
            let folder = tempfile::tempdir().unwrap();
            let meter = folder.path().join("meter");
            run_with(bash(&format!("mkfifo {}", meter.display())), "").exits(0);
            let timing = ["--tokens", "60", "--itl", "10ms", "--power-interval", "100ms"];
            let sim = Sim::start("lmstudio", &[&timing[..], &["--power-log", meter.to_str().unwrap()]].concat());
            let url = sim.url.clone();
            let power = format!("--meter powermetrics --from {}", meter.display());
            let variables = [
                ("LMSTUDIO_API_BASE", url.as_str()),
                ("PROMPT", "Write a page about owls."),
                ("TEMPERATURE", "0.6"),
                ("TOP_P", "0.95"),
                ("MAX_TOKENS", "40"),
                ("CONTEXT_LENGTH", "16384"),
                ("INTERVAL", "200ms"),
                ("SETTLE", "50ms"),
                ("POWER_ARGS", &power),
            ];
            Run::make("lmstudio-bench", sim, &variables)
        };
        let openrouter = {
            let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-test"]);
            let url = sim.url.clone();
            let variables = [
                ("BASE_URL", url.as_str()),
                ("OPENROUTER_API_KEY", "sk-or-v1-test"),
                ("MODELS_FILE", "models.txt"),
                ("CONCURRENCY", "8"),
                ("PROMPT_FILE", "prompt.txt"),
            ];
            Run::make("openrouter-bench", sim, &variables)
        };
        let token_rate = {
            let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-test"]);
            let url = sim.url.clone();
            let variables = [
                ("MODE", "openrouter"),
                ("MODEL", "aviary/finch-4b"),
                ("BASE_URL", url.as_str()),
                ("API_KEY_FILE", "key"),
                ("CONCURRENCY", "1,5"),
                ("PROMPTS", "10"),
                ("OUTPUT", "results.json"),
            ];
            Run::make("token-rate", sim, &variables)
        };
        Self { lmstudio, openrouter, token_rate }
    }
}

fn all(results: &[Value], pointer: &str, expect: impl Into<Value>) {
    let expect = expect.into();
    assert!(!results.is_empty());
    for result in results {
        assert_eq!(result.pointer(pointer), Some(&expect), "{pointer} of {result}");
    }
}

fn ask(profile: &str, sim: &Sim, model: &str, flags: &[&str]) -> Value {
    let mut run = command("llm-run");
    run.args(["--source", profile, "--base-url", &sim.url, "--prompt", "x", "--settle", "10ms"]).args(flags);
    run_with(run, format!("{model}\n")).exits(0).of_type("result").remove(0)
}

/// What holds the row that begins with `theirs`; `false` when nothing does.
fn check(theirs: &str, flows: &Flows) -> bool {
    let Flows { lmstudio, openrouter, token_rate } = flows;
    match theirs {
        "sudo -E python3 bench_lmstudio_models.py" => {
            let results = lmstudio.results();
            assert_eq!(results.len(), 3, "every model that LM Studio lists, but for embeddings");
            all(&results, "/error", Value::Null);
            assert!(results.iter().all(|result| result["load_time_seconds"].as_f64().unwrap() > 0.0));
        }
        "bench_openrouter_models.py --models_file F --concurrency 8" => {
            assert_eq!(openrouter.results().len(), 2);
            all(&openrouter.results(), "/concurrency", 8);
        }
        "PROMPT" => {
            assert_eq!(lmstudio.model_json()["prompt"]["text"], "Write a page about owls.");
            assert_eq!(openrouter.model_json()["prompt"]["text"], "Write a page about owls.");
            assert!(lmstudio.read("index.html").contains("Write a page about owls."), "the page shows it in full");
        }
        "TEMP, TOP_P, MAX_TOKENS" => {
            for (name, value) in [("temperature", 0.6.into()), ("top_p", 0.95.into()), ("max_tokens", Value::from(40))]
            {
                all(&lmstudio.results(), &format!("/prompt/{name}"), value);
                assert!(openrouter.results()[0]["prompt"].get(name).is_none(), "sent only when given");
            }
            all(&lmstudio.results(), "/tokens/output", 40);
        }
        "num_ctx (was ignored by the server)" => {
            all(&lmstudio.results(), "/prompt/num_ctx", 16384);
            let loads = lmstudio.read("run.ndjson");
            assert_eq!(loads.matches("\"type\":\"load\"").count(), 3, "a load that was not so long would have failed");
        }
        "GPU_SETTING = max, off" => {
            let sim = Sim::start("lmstudio", &["--models", "aviary/finch-4b"]);
            let (url, calls) = (sim.url.clone(), tempfile::tempdir().unwrap());
            let path = format!("{}:{}", root().join("tests/fake").display(), std::env::var("PATH").unwrap());
            let variables = [
                ("BASE_URL", url.as_str()),
                ("GPU", "max"),
                ("SETTLE", "50ms"),
                ("POWER", "no"),
                ("PATH", &path),
                ("FAKE_LMS_URL", &url),
                ("FAKE_LMS_FOLDER", calls.path().to_str().unwrap()),
            ];
            let run = Run::make("lmstudio-bench", sim, &variables);
            all(&run.results(), "/prompt/gpu_setting", "max");
            let calls = std::fs::read_to_string(calls.path().join("calls")).unwrap();
            assert!(calls.lines().any(|call| call.starts_with("load ") && call.contains("--gpu max")), "{calls}");
        }
        "USE_ASITOP_CSV" => {
            let folder = tempfile::tempdir().unwrap();
            // The logger began a minute ago, and goes on.
            let script = "row() { echo \"$1,1.5,4.0,0.0,5.5,Nominal\"; }; \
                (echo 'timestamp,CPU Power (W),GPU Power (W),ANE Power (W),Package Power (W),Thermal Pressure'; \
                for s in 60 59 58; do row $(date -u -d \"-$s seconds\" +%FT%T); done) > asitop_metrics_1.csv; \
                (for s in 1 2 3 4 5 6; do sleep 1; row $(date -u +%FT%T); done) >> asitop_metrics_1.csv & \
                timeout 20 power-sample --meter asitop --from asitop_metrics_1.csv --follow --count 2";
            let mut run = bash(script);
            run.current_dir(folder.path());
            let power = run_with(run, "").exits(0).of_type("power");
            assert_eq!(power.len(), 2, "what was written before is of another time");
            assert!(power.iter().all(|sample| sample["watts"]["gpu"] == 4.0));
        }
        "POWERMETRICS_INTERVAL_MS (1000)" => {
            let first: Value = serde_json::from_str(lmstudio.read("memory.ndjson").lines().next().unwrap()).unwrap();
            assert_eq!(first["interval_seconds"], 0.2);
            let help = run_with(
                {
                    let mut c = command("power-sample");
                    c.arg("--help");
                    c
                },
                "",
            )
            .exits(0)
            .stdout;
            assert!(help.contains("--interval"));
            let ran = run_with(
                {
                    let mut c = command("power-sample");
                    c.args(["--interval", "50ms"]);
                    c
                },
                "",
            )
            .exits(2);
            assert!(ran.stderr.contains("100ms"), "{}", ran.stderr);
        }
        "LMSTUDIO_API_BASE" => all(&lmstudio.results(), "/endpoint", format!("{}/api/v1/chat", lmstudio._sim.url)),
        "OPENROUTER_API_KEY" => {
            all(&openrouter.results(), "/error", Value::Null);
            assert!(!openrouter.read("results.ndjson").contains("sk-or-v1-test"), "and it is in no record");
        }
        "/api/v0 first, then /v1" => {
            let sim = Sim::start("lmstudio", &[]);
            let of = |api: &str| ask("lmstudio", &sim, "aviary/finch-4b", &["--api", api])["api"].clone();
            let apis = ["auto", "v1", "v0", "chat"].map(of);
            assert_eq!(apis, ["lmstudio-v1", "lmstudio-v1", "lmstudio-v0", "chat"]);
        }
        "reports/lmstudio-bench-YYYYMMDD-HHMMSS/" => {
            for (run, flow) in
                [(lmstudio, "lmstudio-bench"), (openrouter, "openrouter-bench"), (token_rate, "token-rate")]
            {
                let name = run.folder.file_name().unwrap().to_str().unwrap();
                let shape: String = name.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
                assert_eq!(shape, format!("{flow}-00000000-000000"));
                assert_eq!(run.folder.parent().unwrap(), run.desk.path().join("reports"));
            }
        }
        "MODEL.html, MODEL.json" => {
            for name in ["html", "json", "txt"] {
                assert!(
                    lmstudio.folder.join(format!("aviary_finch-4b.{name}")).exists(),
                    "{:?}",
                    names(&lmstudio.folder)
                );
            }
        }
        _ if theirs.starts_with("load_time_seconds, generation_time_seconds, rest_stats, usage") => {
            let (local, remote) = (lmstudio.model_json(), openrouter.model_json());
            for field in
                ["load_time_seconds", "generation_time_seconds", "rest_stats", "power", "memory", "files", "prompt"]
            {
                assert!(!local[field].is_null(), "{field}: {local}");
            }
            for field in ["generation_time_seconds", "usage", "files", "prompt"] {
                assert!(!remote[field].is_null(), "{field}: {remote}");
            }
            assert!(remote["derived"]["tokens_per_second_fallback"].as_f64().unwrap() > 0.0);
            assert!(local["memory"]["high_water"].is_object() && local["memory"]["baseline"].is_object());
        }
        "RAM of processes whose command line says lms" => {
            let first: Value = serde_json::from_str(lmstudio.read("memory.ndjson").lines().next().unwrap()).unwrap();
            assert!(first.to_string().contains("lmstudio"), "{first}");
        }
        "build_bench_report.py RUN_FOLDER --out report.html" => {
            for folder in [&lmstudio.folder, &openrouter.folder, &testdata("report/python-folder")] {
                let out = lmstudio.desk.path().join("report.html");
                let mut report = command("bench-report");
                report.arg(folder).arg("--out").arg(&out);
                run_with(report, "").exits(0);
                let page = std::fs::read_to_string(&out).unwrap();
                assert!(page.contains("<table") && page.len() > 10_000, "{}", folder.display());
                std::fs::remove_file(out).unwrap();
            }
        }
        "report saved to RUN_FOLDER/index.html, refreshed" => {
            assert!(lmstudio.read("index.html").contains("aviary/finch-4b"));
            assert!(lmstudio.ran.stdout.contains("/index.html"));
            let script = std::fs::read_to_string(root().join("pipelines/lmstudio.sh")).unwrap();
            assert!(script.contains("keep each"), "the page is made anew after each result");
        }
        "token_benchmark.py --mode openrouter" => all(&token_rate.results(), "/source", "openrouter"),
        "token_benchmark.py --mode minimax (local)" => {
            let sim = Sim::start("minimax", &[]);
            let url = sim.url.clone();
            let run = Run::make("token-rate", sim, &[("MODE", "minimax"), ("BASE_URL", &url), ("PROMPTS", "2")]);
            all(&run.results(), "/source", "minimax");
            assert_eq!(run.results().len(), 2);
        }
        "--concurrency 5" => {
            let levels: Vec<u64> =
                token_rate.results().iter().map(|result| result["concurrency"].as_u64().unwrap()).collect();
            assert_eq!(
                (levels.iter().filter(|n| **n == 1).count(), levels.iter().filter(|n| **n == 5).count()),
                (10, 10)
            );
        }
        "--prompts 10" => {
            let mut ids: Vec<String> = token_rate.results().iter().map(|r| r["prompt"]["id"].to_string()).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 10);
        }
        "--output results.json" => {
            let text = std::fs::read_to_string(token_rate.desk.path().join("results.json")).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["num_prompts"], 20);
        }
        "--api-key KEY" => {
            all(&token_rate.results(), "/error", Value::Null);
            let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-test"]);
            let mut run = command("llm-run");
            run.args(["--source", "openrouter", "--base-url", &sim.url, "--prompt", "x", "--api-key", "sk-or-v1-test"]);
            let ran = run_with(run, "aviary/finch-4b\n").exits(0);
            assert!(ran.stderr.contains("--api-key") && !ran.stdout.contains("sk-or-v1-test"), "{}", ran.stderr);
        }
        _ if theirs.starts_with("avg_latency_ms, p50_latency_ms") => {
            let summary = token_rate.json("summary.json");
            for field in ["avg_latency_ms", "p50_latency_ms", "p95_latency_ms", "avg_tokens_per_second"] {
                assert!(summary[field].as_f64().unwrap() > 0.0, "{field}");
            }
            assert_eq!(summary["results"].as_array().unwrap().len(), 20);
            assert_eq!(summary["mode"], "openrouter");
        }
        _ => return false,
    }
    true
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_row_of_the_table_from_theirs_to_ours_is_run() {
    assert!(bin_dir().exists());
    let flows = Flows::run();
    let rows = rows();
    assert!(rows.len() > 20, "{rows:?}");
    let unchecked: Vec<&String> = rows.iter().filter(|row| !check(row, &flows)).collect();
    assert_eq!(unchecked, Vec::<&String>::new(), "a row of docs/migrating.md without a check");
}
