//! The life of a model in Ollama.

use super::{bare, one};
use crate::common::golden::{case, golden, time};
use crate::common::sim::Sim;
use crate::common::{Ran, run_with};
use serde_json::Value;

fn ollama(flags: &[&str]) -> Sim {
    Sim::start("ollama", &[&["--load-bytes", "1MB"], flags].concat())
}

fn ask(sim: &Sim, model: &str, flags: &[&str]) -> Ran {
    let mut run = bare("llm-run");
    run.args(["--source", "ollama", "--base-url", &sim.url, "--prompt", "hi", "--settle", "100ms"]).args(flags);
    run_with(run, format!("{model}\n"))
}

fn held(sim: &Sim) -> Vec<Value> {
    let mut list = bare("llm-models");
    list.args(["ollama", "--base-url", &sim.url]);
    run_with(list, "").exits(0).of_type("model").into_iter().filter(|model| model["loaded"] == true).collect()
}

#[test]
fn a_model_is_loaded_by_an_empty_prompt_with_its_context_verified_and_unloaded() {
    let sim = ollama(&["--load-time", "200ms"]);
    ask(&sim, "heron:12b", &["--no-load"]).exits(0);
    assert_eq!(held(&sim).len(), 1);
    let ran = ask(&sim, "finch:4b", &["--context-length", "4096", "--ttl", "90s"]).exits(0);
    let (load, result) = (one(&ran, "load"), one(&ran, "result"));
    assert_eq!(
        (&load["loader"], &load["load_time_method"], &load["context_length"]),
        (&"ollama".into(), &"wall".into(), &4096.into())
    );
    let seconds = load["load_time_seconds"].as_f64().unwrap();
    assert!((0.19..2.0).contains(&seconds), "{load}");
    assert!(load["baseline_ts"][1].as_f64().unwrap() - load["baseline_ts"][0].as_f64().unwrap() >= 0.099);
    assert_eq!(
        (&result["load_time_seconds"], &result["prompt"]["num_ctx"]),
        (&load["load_time_seconds"], &4096.into())
    );
    // The request found it loaded; its `load_duration` says only what the scheduler took.
    assert!(result["rest_stats"]["load_duration"].as_f64().unwrap() < 1e8, "{result}");
    assert_eq!(held(&sim), Vec::<Value>::new());
}

#[test]
fn a_server_that_keeps_nothing_is_told_to() {
    let sim = ollama(&["--quirk", "keep-nothing", "--load-time", "300ms"]);
    let ran = ask(&sim, "finch:4b", &["--repeat", "2"]).exits(0);
    assert_eq!(one(&ran, "load")["error"], Value::Null);
    for result in ran.of_type("result") {
        assert!(result["rest_stats"]["load_duration"].as_f64().unwrap() < 2.5e8, "loaded anew: {result}");
    }
}

#[test]
fn a_failed_load_is_a_result_and_a_flag_of_lm_studio_is_not_recorded_as_done() {
    let sim = ollama(&["--fault", "load-fails:1x"]);
    let ran = ask(&sim, "finch:4b\nheron:12b", &["--gpu", "max", "--parallel", "2"]).exits(1);
    let (results, loads) = (ran.of_type("result"), ran.of_type("load"));
    assert_eq!((&results[0]["error"]["kind"], &results[1]["error"]), (&"load".into(), &Value::Null));
    assert!(loads.iter().all(|load| load.get("gpu_setting").is_none()));
    assert!(results[1]["prompt"].get("gpu_setting").is_none(), "{}", results[1]);
    let gone = one(&ask(&sim, "no-such", &[]).exits(1), "load");
    golden!(
        "ollama-load-failed",
        case("models", &ran.stderr) + &case("no such", gone["error"].as_str().unwrap()),
        time()
    );
}

#[test]
fn a_name_without_a_tag_is_the_latest() {
    let sim = ollama(&["--models", "swift:latest"]);
    assert_eq!(one(&ask(&sim, "swift", &[]).exits(0), "load")["error"], Value::Null);
}

#[test]
fn models_that_are_elsewhere_or_make_embeddings_are_not_listed_and_not_loaded() {
    let sim = ollama(&["--quirk", "cloud"]);
    let list = |flags: &[&str]| {
        let mut list = bare("llm-models");
        list.args(["ollama", "--base-url", &sim.url, "--format", "ids"]).args(flags);
        run_with(list, "").exits(0).stdout
    };
    assert_eq!(list(&[]), "finch:4b\nheron:12b\nowl:20b\n");
    assert_eq!(list(&["--all"]).lines().count(), 5);
    let ran = ask(&sim, "albatross:1t-cloud", &["--retries", "0"]);
    assert_eq!(ran.of_type("load").len(), 0, "nobody loads what is on no machine of theirs");
}
