//! Every OpenAI-compatible server that llm-sim can be, asked by llm-run and llm-models: what each does differently changes no
//! number, and what each refuses is told in its words.

use super::{ask, near, one};
use crate::common::sim::Sim;
use crate::common::{Ran, command, run_with, wait_until};
use serde_json::{Value, json};

/// The servers, and where their counts come from.
const SERVERS: [(&str, &str); 10] = [
    ("plain", "usage"),
    ("llama-cpp", "usage"),
    ("llama-cpp-python", "chunks"),
    ("vllm", "usage"),
    ("sglang", "usage"),
    ("tgi", "usage"),
    ("mlx", "usage"),
    ("litellm", "usage"),
    ("mistral-rs", "usage"),
    ("transformers", "usage"),
];

fn server(flavor: &str, flags: &[&str]) -> Sim {
    Sim::start("openai", &[&["--flavor", flavor], flags].concat())
}

fn warnings(result: &Value) -> Vec<&str> {
    let all = result["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // A loaded machine is not the server's doing.
    all.filter(|word| *word != "client_lag").collect()
}

/// The truth about so many requests, when it is there: a server may write it after its last byte was read.
fn truths(path: &str, count: usize) -> Vec<Value> {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    wait_until("the truth", || read().lines().filter(|line| line.ends_with('}')).count() >= count);
    read().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_number_of_every_server_is_what_it_really_sent() {
    let folder = tempfile::tempdir().unwrap();
    for (flavor, source) in SERVERS {
        let truth = folder.path().join(flavor).to_str().unwrap().to_owned();
        let sim = server(flavor, &["--tokens", "24", "--itl", "6ms", "--ttft", "60ms", "--ground-truth", &truth]);
        let ran = ask(&sim, "openai", "finch-4b", &["--repeat", "3", "--retries", "0"]).exits(0);
        let (results, truths) = (ran.of_type("result"), truths(&truth, 3));
        assert_eq!(results.len(), 3, "{flavor}: {}", ran.stdout);
        for result in &results {
            let id = format!("{}-{}", result["run"].as_str().unwrap(), result["id"]);
            let sent = truths.iter().rfind(|truth| truth["request"] == id.as_str()).unwrap();
            let tokens = &result["tokens"];
            assert_eq!((&tokens["output"], &sent["tokens"]["output"]), (&json!(24), &json!(24)), "{flavor}: {result}");
            assert_eq!(tokens["source"], source, "{flavor}");
            if source == "usage" {
                assert_eq!(tokens["input"], sent["tokens"]["input"], "{flavor}");
                let timing = |name: &str| result["timing_seconds"][name].as_f64().unwrap();
                let span = timing("last_token") - timing("first_token");
                let rest = 24.0 - result["chunks"]["first_tokens"]["tokens"].as_f64().unwrap();
                // A starved client may find the whole stream in one read, and then knows no time per token.
                let tpot = result["tpot_corrected_seconds"].as_f64().unwrap_or(0.0);
                assert!((tpot - span / rest).abs() < 1e-9, "{flavor}: {result}");
            } else {
                assert_eq!(
                    (&tokens["input"], &result["tpot_corrected_seconds"]),
                    (&Value::Null, &Value::Null),
                    "{flavor}"
                );
                assert!(
                    result["derived"].get("tokens_per_second").is_none(),
                    "{flavor}: a rate of what nobody counted"
                );
            }
            assert_eq!(result["chunks"]["count"], sent["chunk_count"], "{flavor}");
            assert_eq!(
                (&result["finish_reason"], &result["served_model"]),
                (&json!("stop"), &json!("finch-4b")),
                "{flavor}"
            );
            near(result, sent, flavor);
            let doubts: &[&str] = if source == "usage" { &[] } else { &["usage_missing"] };
            let mut told = warnings(result);
            // The one request that found out that this server closes, against its promise.
            told.retain(|word| flavor != "llama-cpp" || *word != "reused_connection_died");
            assert_eq!(told, doubts, "{flavor}");
        }
        match flavor {
            "llama-cpp" => {
                assert!(results.iter().all(|r| r["timings"]["predicted_n"] == 24 && r["tokens"]["cached"] == 0));
                // It closes after every stream: each request has a connection of its own, opened before its stamp.
                assert!(results.iter().all(|r| r["timing_seconds"]["connect"].is_f64()), "{results:?}");
            }
            "vllm" => {
                assert!(results.iter().all(|r| r["timings"]["time_to_first_token_ms"] == 60.0));
                assert_eq!(results[0]["server_fields"]["system_fingerprint"], "vllm-0.32.0-llm-sim");
            }
            "sglang" => assert_eq!(results[0]["server_fields"]["matched_stop"], 2),
            "mlx" => assert!(results.iter().all(|r| r["timing_seconds"]["connect"].is_f64()), "HTTP/1.0 keeps nothing"),
            "mistral-rs" => assert!(results[0]["usage"]["total_time_sec"].is_f64()),
            "tgi" | "transformers" | "plain" => {
                let kept = |result: &Value| result["timing_seconds"].get("connect").is_none();
                assert!(results.iter().any(kept), "{flavor}: kept connections are used");
            }
            _ => {}
        }
    }
}

#[test]
fn reasoning_is_told_from_the_answer_on_every_server_and_in_every_field() {
    let mut runs: Vec<(String, Sim, Option<u64>)> = Vec::new();
    for (flavor, _) in SERVERS {
        // Only some count it, and one says zero whatever came.
        let counted = ["plain", "sglang"].contains(&flavor).then_some(6);
        runs.push((flavor.into(), server(flavor, &["--tokens", "24", "--itl", "8ms", "--models", "owl-20b"]), counted));
    }
    for place in ["reasoning", "reasoning_content", "both", "details", "details_only", "inline"] {
        let sim = Sim::start("openai", &["--tokens", "24", "--itl", "8ms", "--reasoning-in", place]);
        runs.push((place.into(), sim, Some(6)));
    }
    let mut texts = std::collections::BTreeSet::new();
    for (name, sim, counted) in &runs {
        let result = one(&ask(sim, "openai", "owl-20b", &["--save-text", "--save-stream"]).exits(0));
        assert_eq!(result["tokens"]["output"], 24, "{name}");
        assert_eq!(result["tokens"]["reasoning"].as_u64(), *counted, "{name}: {}", result["tokens"]);
        let kinds: Vec<&str> = result["stream"].as_array().unwrap().iter().map(|c| c[2].as_str().unwrap()).collect();
        assert_eq!((kinds[..6].to_vec(), kinds[6..].to_vec()), (vec!["reasoning"; 6], vec!["answer"; 18]), "{name}");
        let (first, answer) = (&result["ttft_seconds"], &result["time_to_first_output_token_seconds"]);
        assert!(answer.as_f64().unwrap() >= first.as_f64().unwrap(), "{name}");
        texts.insert(result["text"].as_str().unwrap().to_owned());
    }
    assert_eq!(texts.len(), 1, "the same words everywhere: {texts:?}");
}

#[test]
fn an_answer_in_one_piece_has_counts_and_no_token_times() {
    for (flavor, _) in SERVERS {
        let sim = server(flavor, &["--tokens", "24", "--models", "owl-20b"]);
        let result = one(&ask(&sim, "openai", "owl-20b", &["--no-stream", "--save-text"]).exits(0));
        assert_eq!(
            (&result["tokens"]["output"], &result["tokens"]["source"]),
            (&json!(24), &json!("usage")),
            "{flavor}"
        );
        assert_eq!(
            (&result["ttft_seconds"], &result["inter_chunk_latency_seconds"]),
            (&Value::Null, &Value::Null),
            "{flavor}"
        );
        assert!(result["generation_time_seconds"].as_f64().unwrap() > 0.02, "{flavor}");
        assert!(result["derived"]["tokens_per_second"].is_f64(), "{flavor}");
        assert!(warnings(&result).is_empty(), "{flavor}: {}", result["warnings"]);
        // Six of its tokens were thoughts.
        assert_eq!(result["text"].as_str().unwrap().split_whitespace().count(), 18, "{flavor}");
    }
}

#[test]
fn a_limit_holds_on_every_server_by_the_name_that_it_knows() {
    for (flavor, _) in SERVERS {
        let sim = server(flavor, &["--tokens", "24"]);
        let result = one(&ask(&sim, "openai", "finch-4b", &["--max-tokens", "5"]).exits(0));
        assert_eq!((&result["tokens"]["output"], &result["finish_reason"]), (&json!(5), &json!("length")), "{flavor}");
        assert!(warnings(&result).contains(&"truncated_by_length"), "{flavor}");
    }
    // llama-cpp-python does not know the newer name: what it does not read limits nothing.
    let sim = server("llama-cpp-python", &["--tokens", "24"]);
    let newer = one(&ask(&sim, "openai", "finch-4b", &["--extra-body", r#"{"max_completion_tokens":5}"#]).exits(0));
    assert_eq!(newer["tokens"]["output"], 24);
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
fn several_choices_are_counted_as_the_server_counts_them_and_the_first_is_the_answer() {
    for (flavor, output) in [
        ("llama-cpp", 48),
        ("vllm", 48),
        ("sglang", 48),
        ("litellm", 48),
        ("mistral-rs", 24),
        ("mlx", 24),
        ("llama-cpp-python", 24),
        ("transformers", 24),
    ] {
        let sim = server(flavor, &["--tokens", "24"]);
        let text = |extra: &str| {
            one(&ask(&sim, "openai", "finch-4b", &["--save-text", "--nonce", "off", "--extra-body", extra]).exits(0))
        };
        let (alone, two) = (text("{}"), text(r#"{"n":2}"#));
        assert_eq!(two["tokens"]["output"], output, "{flavor}");
        assert_eq!(two["text"], alone["text"], "{flavor}: choices are not mixed into one text");
        assert_eq!(two["finish_reason"], "stop", "{flavor}");
        let makes_two = ["llama-cpp", "vllm", "sglang", "litellm", "mistral-rs"].contains(&flavor);
        assert_eq!(warnings(&two).contains(&"several_choices"), makes_two, "{flavor}: {}", two["warnings"]);
    }
}

#[test]
fn an_unknown_model_is_what_each_server_makes_of_it() {
    for (flavor, status) in [
        ("llama-cpp", 200),
        ("llama-cpp-python", 200),
        ("tgi", 200),
        ("plain", 404),
        ("vllm", 404),
        ("sglang", 404),
        ("mlx", 404),
        ("litellm", 400),
        ("transformers", 400),
        ("mistral-rs", 500),
    ] {
        let ran = ask(&server(flavor, &[]), "openai", "no-such-model", &["--retries", "0"]);
        let result = one(&ran);
        if status == 200 {
            assert_eq!((&result["error"], &result["served_model"]), (&Value::Null, &json!("finch-4b")), "{flavor}");
            assert!(warnings(&result).contains(&"served_other_model"), "{flavor}");
            continue;
        }
        assert_eq!(result["error"]["status"], status, "{flavor}");
        let kind = if status == 500 { "server" } else { "refused" };
        assert_eq!(result["error"]["kind"], kind, "{flavor}");
        assert!(result["error"]["message"].as_str().unwrap().contains("no-such-model"), "{flavor}: {result}");
    }
}

#[test]
fn a_prompt_that_is_too_long_is_never_an_empty_success() {
    for (flavor, kind, word) in [
        ("llama-cpp", "refused", "exceed_context_size_error"),
        ("vllm", "refused", "exceeds the available context size"),
        ("sglang", "refused", "exceeds"),
        ("tgi", "refused", "validation"),
        ("litellm", "refused", "exceeds"),
        ("llama-cpp-python", "protocol", "status 200 with an empty body"),
        ("mistral-rs", "protocol", "not JSON: The prompt is too long"),
    ] {
        let sim = server(flavor, &[]);
        let models = sim.path("models");
        std::fs::write(&models, r#"{"type":"model","v":1,"id":"finch-4b","context_length":2}"#).unwrap();
        let short = server(flavor, &["--models", &models]);
        let result = one(&ask(&short, "openai", "finch-4b", &["--retries", "0"]).exits(1));
        assert_eq!(result["error"]["kind"], kind, "{flavor}: {result}");
        assert!(result["error"]["message"].as_str().unwrap().contains(word), "{flavor}: {}", result["error"]);
        assert_eq!((&result["ttft_seconds"], &result["generation_time_seconds"]), (&Value::Null, &Value::Null));
    }
}

#[test]
fn every_servers_error_is_told_with_its_kind() {
    for (flavor, _) in SERVERS {
        for (fault, kind) in [("http-500", "server"), ("rate-limit", "rate_limit"), ("error-in-stream", "server")] {
            let sim = server(flavor, &["--fault", fault]);
            let result = one(&ask(&sim, "openai", "finch-4b", &["--retries", "0"]).exits(1));
            assert_eq!(result["error"]["kind"], kind, "{flavor} {fault}: {}", result["error"]);
            let message = result["error"]["message"].as_str().unwrap();
            let told = message.contains("(simulated)") || (flavor, fault) == ("transformers", "http-500");
            assert!(told && !message.contains('{'), "{flavor} {fault}: {message}");
        }
    }
}

#[test]
fn the_tokens_of_the_first_chunk_are_exact_where_the_server_tells_with_each() {
    let include = r#""include_usage":true,"continuous_usage_stats":true"#;
    for (flavor, extra, exact) in [
        ("vllm", format!(r#"{{"stream_options":{{{include}}}}}"#), true),
        ("sglang", format!(r#"{{"stream_options":{{{include}}}}}"#), true),
        ("llama-cpp", r#"{"timings_per_token":true}"#.into(), true),
        ("llama-cpp", r#"{"logprobs":true}"#.into(), true),
        ("vllm", r#"{"logprobs":true}"#.into(), true),
        ("vllm", r#"{"return_token_ids":true}"#.into(), true),
        ("vllm", "{}".into(), false),
        ("plain", "{}".into(), false),
    ] {
        let sim = server(flavor, &["--tokens", "24", "--tokens-per-chunk", "4", "--itl", "5ms"]);
        let result = one(&ask(&sim, "openai", "finch-4b", &["--extra-body", &extra]).exits(0));
        let first = &result["chunks"]["first_tokens"];
        assert_eq!(first["exact"], exact, "{flavor} {extra}: {first}");
        assert_eq!(
            (&result["chunks"]["count"], &result["tokens"]["output"]),
            (&json!(6), &json!(24)),
            "{flavor} {extra}"
        );
        let tokens = first["tokens"].as_f64().unwrap();
        assert!(if exact { tokens == 4.0 } else { tokens > 1.0 && tokens < 10.0 }, "{flavor} {extra}: {first}");
        let timing = &result["timing_seconds"];
        let span = timing["last_token"].as_f64().unwrap() - timing["first_token"].as_f64().unwrap();
        let tpot = result["tpot_corrected_seconds"].as_f64().unwrap_or(0.0);
        assert!((tpot - span / (24.0 - tokens)).abs() < 1e-9, "{flavor} {extra}: {tpot}");
    }
}

#[test]
fn progress_of_the_prompt_is_no_token() {
    let sim = server("llama-cpp", &["--ttft", "800ms"]);
    let result = one(&ask(&sim, "openai", "finch-4b", &["--extra-body", r#"{"return_progress":true}"#]).exits(0));
    assert!(result["timing_seconds"]["first_event"].as_f64().unwrap() < 0.75, "{}", result["timing_seconds"]);
    assert!(result["ttft_seconds"].as_f64().unwrap() >= 0.795);
    assert_eq!(result["server_fields"]["prompt_progress"]["processed"], 3);
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
fn a_server_that_still_loads_is_waited_for_as_often_as_retries_allow() {
    let sim = server("llama-cpp", &["--ready-after", "2500ms"]);
    let result = one(&ask(&sim, "openai", "finch-4b", &["--retries", "3"]).exits(0));
    let attempts = result["attempts"].as_array().unwrap();
    assert!(!attempts.is_empty() && attempts.iter().all(|a| a["status"] == 503), "{attempts:?}");
    let never = server("llama-cpp", &["--ready-after", "1h"]);
    let result = one(&ask(&never, "openai", "finch-4b", &["--retries", "0"]).exits(1));
    assert_eq!(result["error"]["kind"], "server");
    assert!(result["error"]["message"].as_str().unwrap().starts_with("Loading model"), "{result}");
    let loading = models(&never).exits(0).of_type("model");
    assert_eq!((&loading[0]["loaded"], loading[0].get("size_bytes")), (&json!(false), None));
}

fn models(sim: &Sim) -> Ran {
    let mut list = command("llm-models");
    list.args(["openai", "--base-url", &sim.url]);
    run_with(list, "")
}

#[test]
fn a_server_is_recognised_and_tells_what_it_knows_of_its_model() {
    for (flavor, name, told) in [
        (
            "llama-cpp",
            Some("llama.cpp"),
            json!({"server_version": "b11669-llm-sim", "format": "gguf", "quantization": "Q4_K_M", "parameters": "4B",
                "size_bytes": 2_500_000_000u64, "context_length": 32768, "loaded_context_length": 16384, "loaded": true,
                "capabilities": ["tools"]}),
        ),
        ("llama-cpp-python", Some("llama-cpp-python"), json!({"format": "gguf"})),
        (
            "vllm",
            Some("vllm"),
            json!({"server_version": "0.32.0", "context_length": 32768, "loaded_context_length": 32768, "loaded": true}),
        ),
        (
            "sglang",
            Some("sglang"),
            json!({"server_version": "0.5.5", "quantization": "fp8", "context_length": 32768, "loaded_context_length": 32768, "loaded": true}),
        ),
        (
            "tgi",
            Some("tgi"),
            json!({"server_version": "3.3.6", "quantization": "awq", "loaded_context_length": 32768, "loaded": true}),
        ),
        ("mlx", Some("mlx-lm"), json!({})),
        ("litellm", Some("litellm"), json!({"publisher": "openai"})),
        ("plain", None, json!({"publisher": "llm-sim"})),
        ("transformers", None, json!({"publisher": "aviary"})),
        ("mistral-rs", None, json!({})),
    ] {
        let sim = server(flavor, &[]);
        let ran = models(&sim).exits(0);
        let mut model = ran.of_type("model").remove(0);
        let server = model.as_object_mut().unwrap().remove("server");
        assert_eq!(server.as_ref().and_then(Value::as_str), name, "{flavor}");
        for (field, value) in told.as_object().unwrap() {
            assert_eq!(&model[field], value, "{flavor} {field}: {model}");
        }
        let base = ["type", "v", "source", "id", "base_url"].len();
        assert_eq!(model.as_object().unwrap().len(), base + told.as_object().unwrap().len(), "{flavor}: {model}");

        // The same under a base URL with its version.
        let mut list = command("llm-models");
        list.args(["openai", "--base-url", &format!("{}/v1", sim.url)]);
        let again = run_with(list, "").exits(0).of_type("model").remove(0);
        assert_eq!(again.get("server").and_then(Value::as_str), name, "{flavor}");
    }
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
            (&result["tokens"]["output"], &result["tokens"]["source"]),
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
    assert_eq!((&result["tokens"]["output"], &result["tokens"]["source"]), (&json!(12), &json!("server_stats")));
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
