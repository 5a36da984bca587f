//! The simulated servers, with faults: what a stream lacks or repeats changes no number. Other servers are in `tests/servers.rs`.

use super::{ask, one};
use crate::common::sim::Sim;
use crate::common::{Ran, command, run_with};
use serde_json::{Value, json};

fn warnings(result: &Value) -> Vec<&str> {
    let all = result["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // A loaded machine is not the server's doing.
    all.filter(|word| *word != "client_lag").collect()
}

#[test]
fn a_server_that_wants_the_newer_name_of_the_limit_is_asked_again_once_and_then_by_that_name() {
    let sim = Sim::start("openai", &["--fault", "reject-max-tokens"]);
    let flags = ["--max-tokens", "5", "--repeat", "2", "--retries", "0"];
    let results = ask(&sim, "openai", "finch-4b", &flags).exits(0).of_type("result");
    assert!(results.iter().all(|result| result["tokens"]["output"] == 5), "{results:?}");
    let attempts = results[0]["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["status"]), (1, &json!(400)));
    assert!(results[1].get("attempts").is_none(), "{}", results[1]);
}

#[test]
fn what_a_stream_lacks_or_says_twice_changes_no_count() {
    for (faults, ok, doubts) in [
        (&["no-finish"][..], true, &[][..]),
        (&["no-finish", "no-done"], true, &[]),
        (&["no-finish", "no-done", "no-usage"], false, &[]),
        (&["no-done", "no-usage"], true, &["usage_missing"]),
        (&["zero-usage"], true, &["usage_missing"]),
        (&["cumulative-usage"], true, &[]),
        (&["wrong-type"], true, &[]),
        (&["usage-with-choice", "no-done"], true, &[]),
        (&["bom", "crlf", "comments", "split-utf8", "wrong-type"], true, &[]),
        (&["not-streamed"], true, &["not_streamed"]),
        (&["not-streamed", "whitespace-padding"], true, &["not_streamed"]),
        (&["not-streamed", "wrong-type"], true, &["not_streamed"]),
        (&["buffered"], true, &["buffered_stream"]),
        (&["slow-headers"], true, &[]),
        (&["early-headers"], true, &[]),
    ] {
        let flags: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
        let sim = Sim::start("openai", &[&flags[..], &["--tokens", "20", "--ttft", "100ms", "--itl", "10ms"]].concat());
        let ran = ask(&sim, "openai", "finch-4b", &["--retries", "0", "--save-text"]).exits(i32::from(!ok));
        let result = one(&ran);
        if !ok {
            assert_eq!(result["error"]["kind"], "truncated", "{faults:?}");
            continue;
        }
        assert_eq!(warnings(&result), doubts, "{faults:?}: {result}");
        assert_eq!(result["tokens"]["output"], 20, "{faults:?}");
        assert!(!result["text"].as_str().unwrap().is_empty());
        let (ttft, headers) = (result["ttft_seconds"].as_f64(), result["timing_seconds"]["headers"].as_f64().unwrap());
        match faults[0] {
            "not-streamed" => {
                assert_eq!((ttft, &result["inter_chunk_latency_seconds"]), (None, &Value::Null), "{faults:?}")
            }
            "slow-headers" => assert!(headers >= 0.095 && ttft.unwrap() >= headers, "{headers} {ttft:?}"),
            _ => assert!(ttft.unwrap() >= 0.095 && headers <= ttft.unwrap(), "{faults:?}: {headers} {ttft:?}"),
        }
    }
}

#[test]
fn loading_server_is_retried_as_often_as_allowed() {
    let sim = Sim::start("openai", &["--ready-after", "2500ms"]);
    let result = one(&ask(&sim, "openai", "finch-4b", &["--retries", "3"]).exits(0));
    let attempts = result["attempts"].as_array().unwrap();
    assert!(!attempts.is_empty() && attempts.iter().all(|a| a["status"] == 503), "{attempts:?}");
    let never = Sim::start("openai", &["--ready-after", "1h"]);
    let result = one(&ask(&never, "openai", "finch-4b", &["--retries", "0"]).exits(1));
    assert_eq!(result["error"]["kind"], "server");
    assert!(result["error"]["message"].as_str().unwrap().starts_with("Loading model"), "{result}");
}

fn models(sim: &Sim) -> Ran {
    let mut list = command("llm-models");
    list.args(["openai", "--base-url", &sim.url]);
    run_with(list, "")
}

#[test]
fn the_openai_layers_of_other_servers_are_recognised_and_asked() {
    for (profile, name) in [("lmstudio", Some("lmstudio")), ("ollama", Some("ollama")), ("minimax", None)] {
        let sim = Sim::start(profile, &["--load-bytes", "1MB"]);
        let model = models(&sim).exits(0).of_type("model").remove(0);
        assert_eq!(model.get("server").and_then(Value::as_str), name, "{profile}");
        let id = model["id"].as_str().unwrap();
        let result = one(&ask(&sim, "openai", id, &["--retries", "0"]).exits(0));
        assert_eq!(
            (&result["tokens"]["output"], &result["tokens"]["method"]),
            (&json!(12), &json!("usage")),
            "{profile}"
        );
    }
}

#[test]
fn the_statistics_of_the_native_apis_are_kept_in_their_own_words() {
    let sim = Sim::start("ollama", &["--itl", "5ms", "--load-bytes", "1MB"]);
    let result = one(&ask(&sim, "ollama", "finch:4b", &[]).exits(0));
    let stats = &result["rest_stats"];
    assert_eq!(
        (&stats["eval_count"], &stats["eval_duration"]),
        (&json!(12), &json!(55_000_000)),
        "nanoseconds: {stats}"
    );
    assert_eq!((&result["tokens"]["output"], &result["tokens"]["method"]), (&json!(12), &json!("server_stats")));
    assert!(result["derived"].get("tokens_per_second_fallback").is_none(), "the server gave a rate of its own");

    let sim = Sim::start("lmstudio", &["--itl", "5ms", "--ttft", "100ms", "--load-bytes", "1MB"]);
    let result = one(&ask(&sim, "lmstudio", "aviary/finch-4b", &[]).exits(0));
    let stats = &result["rest_stats"];
    assert_eq!((&stats["total_output_tokens"], &result["tokens"]["output"]), (&json!(12), &json!(12)), "{stats}");
    assert!(stats["tokens_per_second"].is_f64() && stats["time_to_first_token_seconds"].is_f64(), "{stats}");
    let at = |name: &str| stats[name].as_f64().unwrap() - result["start_mono"].as_f64().unwrap();
    let (began, ended) = (at("prompt_processing_start_mono"), at("prompt_processing_end_mono"));
    assert!(0.0 <= began && began < ended && ended <= result["ttft_seconds"].as_f64().unwrap() + 1e-6, "{stats}");
}
