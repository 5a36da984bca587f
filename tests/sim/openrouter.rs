//! What only OpenRouter does: its refusals, its ledger, its account, its ways to name a model.

use super::client::{Answer, Sim, chat};
use crate::common::wait_until;
use serde_json::json;

const CHAT: &str = "/api/v1/chat/completions";
const FINCH: &str = "aviary/finch-4b";

fn sim(flags: &[&str]) -> Sim {
    let quick = ["--profile", "openrouter", "--ttft", "30ms", "--itl", "1ms", "--tokens", "8"];
    Sim::start(&[&quick[..], flags].concat())
}

fn asked(sim: &Sim, stream: bool) -> Answer {
    sim.request(
        "POST",
        CHAT,
        &["x-openrouter-metadata: enabled"],
        &chat(FINCH, "one two three four", stream).to_string(),
    )
}

#[test]
fn own_rate_limit_has_its_reset_and_no_retry_after() {
    let sim = sim(&["--fault", "own-rate-limit"]);
    let answer = asked(&sim, true);
    assert_eq!((answer.status, answer.header("retry-after")), (429, None));
    let body = answer.json();
    assert_eq!(body["error"]["metadata"]["headers"]["X-RateLimit-Remaining"], "0", "{body}");
    assert_eq!(body["openrouter_metadata"]["attempts"][0]["status"], 429, "{body}");
    let reset = answer.header("x-ratelimit-reset").unwrap();
    assert!(reset.parse::<u64>().unwrap() > 1_700_000_000_000, "milliseconds: {reset}");
    assert_eq!(body["error"]["metadata"]["headers"]["X-RateLimit-Reset"], reset);
    let unasked = sim.post(CHAT, chat(FINCH, "hi", true)).json();
    assert!(unasked.get("openrouter_metadata").is_none(), "only who asks for it gets it");
}

#[test]
fn the_metadata_tells_of_every_provider_that_was_tried() {
    for (flags, attempt, first) in [(&[][..], 1, 200), (&["--fault", "provider-failover"], 2, 503)] {
        let sim = sim(flags);
        for stream in [true, false] {
            let answer = asked(&sim, stream).ok();
            let body = if stream { answer.events().pop().unwrap() } else { answer.json() };
            let metadata = &body["openrouter_metadata"];
            assert_eq!(
                (&metadata["attempt"], &metadata["attempts"][0]["status"]),
                (&json!(attempt), &json!(first)),
                "{body}"
            );
        }
        let unasked = sim.post(CHAT, chat(FINCH, "hi", false)).ok().json();
        assert!(unasked.get("openrouter_metadata").is_none());
    }
}

#[test]
fn usage_comes_unasked_and_the_old_way_of_asking_changes_nothing() {
    let sim = sim(&["--fault", "cached-prompt"]);
    let mut bodies = [chat(FINCH, "one two three four", true), chat(FINCH, "one two three four", true)];
    bodies[1]["usage"] = json!({"include": true});
    let usages = bodies.map(|body| sim.post(CHAT, body).ok().events().pop().unwrap()["usage"].clone());
    assert_eq!(usages[0], usages[1]);
    assert_eq!(usages[0]["prompt_tokens_details"]["cached_tokens"], 3);
}

#[test]
fn the_ledger_knows_a_request_some_time_after_its_end() {
    let sim = sim(&["--generation-delay", "700ms", "--fault", "generation-differs"]);
    let answer = asked(&sim, false).ok();
    assert!(answer.header("x-generation-id").unwrap().starts_with("gen-"));
    let path = format!("/api/v1/generation?id={}", answer.json()["id"].as_str().unwrap());
    assert_eq!(sim.get(&path).status, 404);
    wait_until("the ledger", || sim.get(&path).status == 200);
    let entry = sim.get(&path).json()["data"].clone();
    let usage = answer.json()["usage"].clone();
    assert_eq!(entry["total_cost"].as_f64().unwrap(), 2.0 * usage["cost"].as_f64().unwrap());
    assert_eq!(entry["native_tokens_completion"], usage["completion_tokens"].as_u64().unwrap() + 1);

    let never = self::sim(&["--generation-delay", "0s", "--fault", "generation-missing"]);
    let id = asked(&never, false).ok().json()["id"].as_str().unwrap().to_owned();
    assert_eq!(never.get(&format!("/api/v1/generation?id={id}")).status, 404);
}

#[test]
fn the_account_says_what_it_is_told_to() {
    let told = sim(&["--account", r#"{"limit":5,"limit_remaining":0.25}"#]).get("/api/v1/key").ok().json();
    assert_eq!((&told["data"]["limit_remaining"], &told["data"]["is_free_tier"]), (&json!(0.25), &json!(false)));
    assert_eq!(sim(&["--account", "null"]).get("/api/v1/key").status, 500);
}

#[test]
fn a_model_answers_to_its_slug_its_routes_and_its_aliases() {
    let sim = sim(&[]);
    for (id, served) in [
        ("aviary/heron-12b-20261101", Some("aviary/heron-12b")),
        ("aviary/heron-12b:nitro", Some("aviary/heron-12b")),
        ("~nocturne/owl-latest", Some("nocturne/owl-20b")),
        ("openrouter/auto", Some(FINCH)),
        ("aviary/heron-12b:free", None),
        ("~nobody/x-latest", None),
        ("openrouter/nonsense", None),
    ] {
        let answer = sim.post(CHAT, chat(id, "hi", false));
        let got = (answer.status == 200).then(|| answer.json()["model"].as_str().unwrap().to_owned());
        assert_eq!(got.as_deref(), served, "{id}");
        let one = sim.get(&format!("/api/v1/model/{id}"));
        let known = served.filter(|_| id != "openrouter/auto");
        assert_eq!(
            (one.status == 200).then(|| one.json()["data"]["id"].as_str().unwrap().to_owned()).as_deref(),
            known,
            "{id}"
        );
    }
}

#[test]
fn a_pin_can_be_ignored() {
    for (fault, served) in [("no-usage", "Aviary"), ("ignore-pin", "Roost")] {
        let sim = sim(&["--fault", fault]);
        let mut body = chat(FINCH, "hi", false);
        body["provider"] = json!({"only": ["aviary/fp8"], "allow_fallbacks": false});
        assert_eq!(sim.post(CHAT, body).ok().json()["provider"], served);
    }
}
