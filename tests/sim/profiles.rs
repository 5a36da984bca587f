//! Each server's own wire form, as its reference describes it.

use super::client::{Sim, chat, user};
use serde_json::{Value, json};

const QUICK: [&str; 8] = ["--ttft", "4ms", "--itl", "1ms", "--tokens", "12", "--load-time", "5ms"];

fn sim(profile: &str, more: &[&str]) -> Sim {
    Sim::start(&[&["--profile", profile, "--load-bytes", "1MB"], &QUICK[..], more].concat())
}

/// Where a profile's chat completions are, and its first and its reasoning model.
const COMPLETIONS: [(&str, &str, &str, &str); 6] = [
    ("openai", "/v1/chat/completions", "finch-4b", "owl-20b"),
    ("openrouter", "/api/v1/chat/completions", "aviary/finch-4b", "nocturne/owl-20b"),
    ("lmstudio", "/v1/chat/completions", "aviary/finch-4b", "nocturne/owl-20b"),
    ("lmstudio", "/api/v0/chat/completions", "aviary/finch-4b", "nocturne/owl-20b"),
    ("ollama", "/v1/chat/completions", "finch:4b", "owl:20b"),
    ("minimax", "/v1/chat/completions", "MiniMax-Finch", "MiniMax-Owl"),
];

fn usages(events: &[Value]) -> Vec<&Value> {
    events.iter().map(|event| &event["usage"]).filter(|usage| usage.is_object()).collect()
}

#[test]
fn streamed_and_plain_completions_say_and_count_the_same() {
    for (profile, path, model, _) in COMPLETIONS {
        let sim = sim(profile, &[]);
        let mut body = chat(model, "say it twice", true);
        body["stream_options"] = json!({"include_usage": true});
        let streamed = sim.post(path, body).ok();
        assert_eq!(streamed.header("content-type"), Some("text/event-stream"), "{profile}");
        let events = streamed.events();
        let plain = sim.post(path, chat(model, "say it twice", false)).ok().json();
        assert_eq!(plain["choices"][0]["message"]["content"], streamed.text(), "{profile} {path}");
        assert_eq!(plain["choices"][0]["finish_reason"], "stop");
        let usage = usages(&events);
        assert_eq!(usage.len(), 1, "{profile} {path}");
        for usage in [usage[0], &plain["usage"]] {
            assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(3), &json!(12)), "{profile}");
            assert_eq!(usage["total_tokens"], 15);
        }
        assert!(events.iter().all(|event| event["model"] == model), "{profile}");
        let ends_with_done = streamed.str().ends_with("data: [DONE]\n\n");
        assert_eq!(ends_with_done, profile != "minimax", "{profile}");
    }
}

#[test]
fn usage_comes_unasked_only_where_the_server_does_so() {
    for (profile, path, model, _) in COMPLETIONS {
        let events = sim(profile, &[]).post(path, chat(model, "hi", true)).ok().events();
        let unasked = ["openrouter", "minimax"].contains(&profile);
        assert_eq!(usages(&events).len(), usize::from(unasked), "{profile}");
    }
}

#[test]
fn a_limit_cuts_the_answer_and_says_so_under_either_name() {
    for (profile, path, model, _) in COMPLETIONS {
        let sim = sim(profile, &["--tokens-per-chunk", "1"]);
        for name in ["max_tokens", "max_completion_tokens"] {
            let mut body = chat(model, "hi", false);
            body[name] = json!(4);
            let plain = sim.post(path, body).ok().json();
            assert_eq!(plain["choices"][0]["finish_reason"], "length", "{profile} {name}");
            assert_eq!(plain["usage"]["completion_tokens"], 4, "{profile} {name}");
        }
    }
}

#[test]
fn reasoning_comes_first_and_in_the_servers_own_field() {
    for (profile, path, _, owl) in COMPLETIONS {
        let sim = sim(profile, &["--tokens-per-chunk", "1"]);
        let mut body = chat(owl, "think", true);
        body["stream_options"] = json!({"include_usage": true});
        let streamed = sim.post(path, body).ok();
        let events = streamed.events();
        assert_eq!(usages(&events)[0]["completion_tokens_details"]["reasoning_tokens"], 3, "{profile}");
        let of = |name: &str| events.iter().filter(|e| e["choices"][0]["delta"][name].is_string()).count();
        let (plain_name, plain) = (sim.post(path, chat(owl, "think", false)).ok().json(), streamed.text());
        let message = &plain_name["choices"][0]["message"];
        match profile {
            "openai" | "lmstudio" => assert_eq!((of("reasoning_content"), of("reasoning")), (3, 0), "{profile}"),
            "openrouter" => assert_eq!((of("reasoning"), message["reasoning_details"].is_array()), (3, true)),
            "ollama" => assert_eq!((of("reasoning"), of("reasoning_content")), (3, 0)),
            _ => {
                assert!(plain.starts_with("<think>\n") && plain.contains("\n</think>\n\n"), "{plain}");
                assert_eq!(message["content"], plain);
            }
        }
    }
}

#[test]
fn openai_says_its_role_before_the_first_token_and_null_usage_when_asked() {
    let sim = sim("openai", &[]);
    let mut body = chat("finch-4b", "hi", true);
    body["stream_options"] = json!({"include_usage": true});
    let events = sim.post("/v1/chat/completions", body).ok().events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert!(events[..events.len() - 1].iter().all(|event| event["usage"].is_null() && event.get("usage").is_some()));
    let last = events.last().unwrap();
    assert_eq!((&last["choices"], last["usage"].is_object()), (&json!([]), true));
    assert_eq!(sim.get("/health").ok().json(), json!({"status": "ok"}));
    assert_eq!(sim.get("/v1/models").ok().json()["data"][0]["id"], "finch-4b");
    assert_eq!(sim.get("/nothing").status, 404);
}

#[test]
fn openrouter_lists_prices_as_text_and_counts_the_cost() {
    let sim = sim("openrouter", &["--api-key", "sk-or-v1-x"]);
    let models = sim.get("/api/v1/models").ok().json();
    let finch = &models["data"][0];
    assert_eq!((&finch["id"], &finch["pricing"]["completion"]), (&json!("aviary/finch-4b"), &json!("0.0000004")));
    assert_eq!(sim.get("/api/v1/key").status, 401);
    let key = ["authorization: Bearer sk-or-v1-x"];
    assert!(sim.request("GET", "/api/v1/key", &key, "").ok().json()["data"]["label"].is_string());
    let endpoints = sim.get("/api/v1/models/aviary/finch-4b/endpoints").ok().json();
    let tag = endpoints["data"]["endpoints"][1]["tag"].as_str().unwrap();

    let mut body = chat("aviary/finch-4b", "hi", true);
    body["provider"] = json!({"only": [tag], "allow_fallbacks": false});
    let answer = sim.request("POST", "/api/v1/chat/completions", &key, &body.to_string()).ok();
    assert!(answer.str().starts_with(": OPENROUTER PROCESSING\n\n"), "{}", answer.str());
    let events = answer.events();
    assert!(events.iter().all(|event| event["provider"] == "Roost"));
    let cost = usages(&events)[0]["cost"].as_f64().unwrap();
    assert!((cost - 2.0 * (1e-7 + 12.0 * 4e-7)).abs() < 1e-15, "the second provider takes twice the price: {cost}");

    let id = events[0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("gen-"));
    assert_eq!(answer.header("x-generation-id"), Some(id.to_lowercase().as_str()));
    let generation = || sim.request("GET", &format!("/api/v1/generation?id={id}"), &key, "");
    assert_eq!(generation().status, 404);
    crate::common::wait_until("the generation to be known", || generation().status == 200);
    assert_eq!(generation().json()["data"]["native_tokens_completion"], 12);

    body["provider"] = json!({"only": ["elsewhere"]});
    assert_eq!(sim.request("POST", "/api/v1/chat/completions", &key, &body.to_string()).status, 404);
    let plain =
        sim.request("POST", "/api/v1/chat/completions", &key, &chat("aviary/finch-4b", "hi", false).to_string());
    assert!(plain.str().starts_with("\n   "), "plain answers are padded");
    assert!(plain.json()["choices"][0]["message"]["content"].is_string());
}

#[test]
fn lmstudio_loads_and_unloads_and_makes_a_second_instance_of_the_same_key() {
    let sim = sim("lmstudio", &[]);
    let load = |body: Value| sim.post("/api/v1/models/load", body);
    let first = load(json!({"model": "aviary/finch-4b", "context_length": 4096, "echo_load_config": true})).ok().json();
    assert_eq!((&first["instance_id"], &first["status"]), (&json!("aviary/finch-4b"), &json!("loaded")));
    assert!(first["load_time_seconds"].as_f64().unwrap() >= 0.005);
    assert_eq!(first["load_config"]["context_length"], 4096);
    assert_eq!(load(json!({"model": "aviary/finch-4b"})).ok().json()["instance_id"], "aviary/finch-4b:2");
    let unknown = load(json!({"model": "aviary/finch-4b", "gpu": "max"}));
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (400, &json!("unrecognized_keys")));
    assert_eq!(load(json!({"model": "nobody/nothing"})).status, 404);
    assert_eq!(load(json!({})).json()["error"]["param"], "model");

    let models = sim.get("/api/v1/models").ok().json();
    let items = models["models"].as_array().unwrap();
    assert_eq!(items[0]["loaded_instances"].as_array().unwrap().len(), 2);
    assert_eq!(items[0]["loaded_instances"][0]["config"]["context_length"], 4096);
    let embedding = items.iter().find(|item| item["type"] == "embedding").unwrap();
    assert!(embedding.get("capabilities").is_none() && embedding.get("architecture").is_none());
    let v0 = sim.get("/api/v0/models").ok().json();
    assert_eq!((&v0["data"][0]["state"], &v0["data"][1]["state"]), (&json!("loaded"), &json!("not-loaded")));
    assert_eq!(v0["data"][0]["loaded_context_length"], 4096);
    assert_eq!(sim.get("/v1/models").ok().json()["data"].as_array().unwrap().len(), 4);

    let unload = |id: &str| sim.post("/api/v1/models/unload", json!({"instance_id": id}));
    assert_eq!(unload("aviary/finch-4b:2").ok().json(), json!({"instance_id": "aviary/finch-4b:2"}));
    assert_eq!(unload("aviary/finch-4b:2").status, 404);
}

#[test]
fn lmstudio_answers_paths_that_do_not_exist_with_200() {
    let sim = sim("lmstudio", &[]);
    assert_eq!(sim.get("/lmstudio-greeting").ok().json(), json!({"lmstudio": true}));
    assert_eq!(sim.get("/props").ok().json(), json!({"error": "Unexpected endpoint or method. (GET /props)"}));
    assert!(sim.get("/v1/chat/completions").ok().json()["error"].as_str().unwrap().contains("(GET "));
    assert_eq!(sim.get("/api/v1/events").status, 404);
}

#[test]
fn lmstudios_own_chat_tells_of_the_load_the_prompt_the_thought_and_the_answer() {
    let sim = sim("lmstudio", &[]);
    let ask = || sim.post("/api/v1/chat", json!({"model": "nocturne/owl-20b", "input": "hi", "stream": true})).ok();
    let kinds = |answer: &super::client::Answer| -> Vec<String> {
        let named: Vec<&str> = answer.str().lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        let typed: Vec<Value> = answer.events().iter().map(|event| event["type"].clone()).collect();
        assert_eq!(json!(named), json!(typed));
        let mut kinds: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
        kinds.dedup();
        kinds
    };
    let first = ask();
    let seen = kinds(&first);
    assert_eq!(seen[..3], ["chat.start", "model_load.start", "model_load.progress"]);
    assert!(seen.contains(&"model_load.end".to_owned()));
    let stats = first.events().pop().unwrap()["result"]["stats"].clone();
    assert!(stats["model_load_time_seconds"].as_f64().unwrap() > 0.0);

    let second = ask();
    let expected = "chat.start prompt_processing.start prompt_processing.progress prompt_processing.end reasoning.start \
                    reasoning.delta reasoning.end message.start message.delta message.end chat.end";
    assert_eq!(kinds(&second).join(" "), expected);
    let events = second.events();
    let result = &events.last().unwrap()["result"];
    assert_eq!((&result["output"][0]["type"], &result["output"][1]["type"]), (&json!("reasoning"), &json!("message")));
    let stats = &result["stats"];
    assert_eq!((&stats["total_output_tokens"], &stats["reasoning_output_tokens"]), (&json!(12), &json!(3)));
    assert!(stats.get("model_load_time_seconds").is_none());
    let said: String =
        events.iter().filter(|e| e["type"] == "message.delta").filter_map(|e| e["content"].as_str()).collect();
    assert_eq!(result["output"][1]["content"], said);

    let plain = sim.post("/api/v1/chat", json!({"model": "nocturne/owl-20b", "input": "hi", "reasoning": "off"}));
    assert_eq!(plain.ok().json()["stats"]["reasoning_output_tokens"], 0);
    let missing = sim.post("/api/v1/chat", json!({"model": "nocturne/owl-20b"}));
    assert_eq!(missing.json()["error"]["param"], "input");
    assert_eq!(sim.post("/api/v1/chat", json!({"model": "x", "input": "hi"})).status, 404);
}

#[test]
fn lmstudio_v0_adds_statistics_and_a_request_drives_out_what_another_request_loaded() {
    let sim = sim("lmstudio", &[]);
    let body = sim.post("/api/v0/chat/completions", chat("aviary/finch-4b", "hi", false)).ok().json();
    assert_eq!(body["stats"]["stop_reason"], "eosFound");
    assert_eq!(body["stats"]["generation_time"], 0.011);
    assert_eq!(body["model_info"]["quant"], "4bit");
    let compat = sim.post("/v1/chat/completions", chat("aviary/heron-12b", "hi", false)).ok().json();
    assert_eq!(compat["stats"], json!({}));
    let states: Vec<Value> =
        sim.get("/api/v0/models").json()["data"].as_array().unwrap().iter().map(|m| m["state"].clone()).collect();
    assert_eq!(states[..2], [json!("not-loaded"), json!("loaded")]);
}

#[test]
fn ollama_speaks_in_lines_with_durations_in_nanoseconds() {
    let sim = sim("ollama", &[]);
    let said = sim.post("/api/chat", json!({"model": "owl:20b", "messages": user("a b")})).ok();
    assert_eq!(said.header("content-type"), Some("application/x-ndjson"));
    let events = said.events();
    assert_eq!(events.iter().filter(|e| e["message"]["thinking"].is_string()).count(), 3);
    let last = events.last().unwrap();
    assert_eq!((&last["done"], &last["done_reason"]), (&json!(true), &json!("stop")));
    assert_eq!((&last["prompt_eval_count"], &last["eval_count"]), (&json!(2), &json!(12)));
    assert_eq!(last["prompt_eval_duration"], 8_000_000);
    assert_eq!(last["eval_duration"], 7_700_000);
    assert!(last["load_duration"].as_u64().unwrap() >= 15_000_000);
    let limited = json!({"model": "finch:4b", "messages": user("a"), "stream": false, "options": {"num_predict": 2}});
    let plain = sim.post("/api/chat", limited).ok().json();
    assert_eq!((&plain["done_reason"], &plain["eval_count"]), (&json!("length"), &json!(2)));
}

#[test]
fn ollama_loads_by_an_empty_chat_and_unloads_by_keeping_nothing() {
    let sim = sim("ollama", &[]);
    let loaded = || sim.get("/api/ps").ok().json()["models"].as_array().unwrap().len();
    let ask = |body: Value| sim.post("/api/chat", body);
    assert_eq!(loaded(), 0);
    assert_eq!(ask(json!({"model": "finch:4b"})).ok().json()["done_reason"], "load");
    assert_eq!(ask(json!({"model": "heron:12b", "keep_alive": "-1s", "options": {"num_ctx": 2048}})).status, 200);
    assert_eq!(loaded(), 2);
    assert_eq!(sim.get("/api/ps").json()["models"][1]["context_length"], 2048);
    assert_eq!(ask(json!({"model": "finch:4b", "keep_alive": 0})).ok().json()["done_reason"], "unload");
    assert_eq!(loaded(), 1);
    ask(json!({"model": "heron:12b", "messages": user("hi"), "keep_alive": 0})).ok();
    crate::common::wait_until("the model to leave", || loaded() == 0);
    let missing = ask(json!({"model": "nothing"}));
    assert_eq!((missing.status, missing.json()), (404, json!({"error": "model 'nothing' not found"})));
    assert_eq!(ask(json!({"model": "finch:4b", "keep_alive": "soon"})).status, 400);
    assert!(sim.get("/api/version").ok().json()["version"].is_string());
    assert_eq!(sim.get("/api/tags").ok().json()["models"].as_array().unwrap().len(), 4);
    let shown = sim.post("/api/show", json!({"model": "owl:20b"})).ok().json();
    assert_eq!(shown["capabilities"], json!(["completion", "thinking"]));
}

#[test]
fn minimax_says_its_role_on_every_chunk_and_splits_reasoning_off_when_asked() {
    let sim = sim("minimax", &[]);
    let mut body = chat("MiniMax-Owl", "hi", true);
    body["reasoning_split"] = json!(true);
    let events = sim.post("/v1/chat/completions", body).ok().events();
    let (last, chunks) = events.split_last().unwrap();
    assert!(chunks.iter().all(|chunk| chunk["choices"][0]["delta"]["role"] == "assistant" && chunk["usage"].is_null()));
    assert_eq!(chunks.len(), 3, "12 tokens, 5 to a chunk, reasoning apart");
    let thought = &chunks[0]["choices"][0]["delta"];
    assert_eq!(thought["reasoning_content"], thought["reasoning_details"][0]["text"]);
    let finish = &chunks[2]["choices"][0];
    assert!(finish["finish_reason"] == "stop" && !finish["delta"]["content"].as_str().unwrap().is_empty());
    assert_eq!(last["base_resp"], json!({"status_code": 0, "status_msg": ""}));
    let unknown = sim.post("/v1/chat/completions", chat("minimax-owl", "hi", true)).ok().json();
    assert!(unknown["choices"].is_null() && unknown["base_resp"]["status_code"] != 0);
}

#[test]
fn a_wrong_key_is_refused_in_each_servers_own_shape() {
    for (profile, path, code) in [
        ("openai", "/v1/models", json!("invalid_api_key")),
        ("openrouter", "/api/v1/key", json!(401)),
        ("lmstudio", "/api/v1/models", json!("invalid_api_key")),
        ("ollama", "/v1/models", Value::Null),
        ("minimax", "/v1/models", Value::Null),
    ] {
        let sim = sim(profile, &["--api-key", "right"]);
        for headers in [&[][..], &["authorization: Bearer wrong"], &["authorization: right"]] {
            let refused = sim.request("GET", path, headers, "");
            assert_eq!((refused.status, &refused.json()["error"]["code"]), (401, &code), "{profile} {headers:?}");
        }
        assert_eq!(sim.request("GET", path, &["authorization: Bearer right"], "").status, 200, "{profile}");
    }
}

#[test]
fn a_body_that_is_wrong_is_refused_and_the_server_lives_on() {
    for (profile, path, model, _) in COMPLETIONS {
        let sim = sim(profile, &[]);
        for body in ["", "{", "[]", "{}", r#"{"model":7}"#, r#"{"model":"\u0000"}"#] {
            let refused = sim.request("POST", path, &[], body);
            assert!(refused.json()["error"].is_object(), "{profile} {body}: {}", refused.str());
            assert!((400..500).contains(&refused.status), "{profile} {body}");
        }
        sim.post(path, chat(model, "\u{1b}[2J\u{202e}\u{0}é", true)).ok();
    }
}
