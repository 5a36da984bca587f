//! OpenRouter: its catalogue, what the answer says of cost and provider, pins, and hidden failovers.

use super::{ask, one};
use crate::common::golden::{case, golden};
use crate::common::sim::Sim;
use crate::common::{Ran, command, run_with};
use serde_json::{Value, json};

pub const FINCH: &str = "aviary/finch-4b";

pub fn list(sim: &Sim, flags: &[&str], file: &str) -> Ran {
    let mut list = command("llm-models");
    list.args(["openrouter", "--base-url", &sim.url]).args(flags);
    run_with(list, file)
}

/// The doubts of a result, but for those that a loaded machine gives to streams of a few milliseconds.
pub fn warned(result: &Value) -> Vec<&str> {
    let words = result["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    words.filter(|word| !["client_lag", "buffered_stream"].contains(word)).collect()
}

#[test]
fn a_list_takes_variants_routers_slugs_and_aliases_and_reports_what_is_not_there() {
    let models = "aviary/finch-4b,aviary/finch-4b:free,aviary/heron-12b,nocturne/owl-20b,openrouter/auto";
    let sim = Sim::start("openrouter", &["--models", models]);
    let wanted = "# of every kind\naviary/finch-4b\naviary/finch-4b:free\naviary/finch-4b:nitro\naviary/heron-12b-20261101\n\
                  no/such-model\n~nocturne/owl-latest\n~nobody/x-latest\nopenrouter/auto\nopenrouter/nonsense\n../key\n";
    let ran = list(&sim, &["--models-file", "-"], wanted).exits(1);
    let told: Vec<(String, Value)> = ran
        .of_type("model")
        .into_iter()
        .map(|model| (model["id"].as_str().unwrap().to_owned(), model["pricing"]["completion_usd_per_token"].clone()))
        .collect();
    let expect: Vec<(String, Value)> = [
        ("aviary/finch-4b", json!("0.0000004")),
        ("aviary/finch-4b:free", json!("0")),
        ("aviary/finch-4b:nitro", Value::Null),
        ("aviary/heron-12b-20261101", json!("0.000001")),
        ("~nocturne/owl-latest", json!("0.0000015")),
        ("openrouter/auto", Value::Null),
    ]
    .map(|(id, price)| (id.to_owned(), price))
    .into();
    assert_eq!(told, expect);
    golden!("models-not-in-the-catalogue", ran.stderr);
    // What is listed is answered, and each of them is taken for what was asked.
    let results = run_with(
        {
            let mut ask = command("llm-run");
            ask.args(["--prompt", "x", "--nonce", "off"]);
            ask
        },
        &ran.stdout,
    )
    .exits(0)
    .of_type("result");
    assert_eq!(results.len(), 6);
    assert!(results.iter().all(|result| warned(result).is_empty()), "{results:?}");
}

#[test]
fn the_catalogue_is_filtered_sorted_and_listed_by_provider() {
    let sim = Sim::start(
        "openrouter",
        &["--models", "aviary/finch-4b,aviary/heron-12b,nocturne/owl-20b,x/y:free,openrouter/auto"],
    );
    for (flags, ids) in [
        (&["--match", "^aviary/"][..], "aviary/finch-4b aviary/heron-12b"),
        (&["--free"], "x/y:free"),
        (&["--max-price", "0.4"], "aviary/finch-4b x/y:free"),
        (&["--max-price", "1", "--sort", "price"], "x/y:free aviary/finch-4b aviary/heron-12b"),
        (&["--supports", "reasoning", "--supports", "seed"], "nocturne/owl-20b"),
        (&["--sort", "id", "--match", "a"], "aviary/finch-4b aviary/heron-12b openrouter/auto"),
        (&["--sort", "context", "--match", "aviary"], "aviary/heron-12b aviary/finch-4b"),
        (&["--sort", "price"], "x/y:free aviary/finch-4b aviary/heron-12b nocturne/owl-20b openrouter/auto"),
    ] {
        let ran = list(&sim, &[flags, &["--format", "ids"]].concat(), "").exits(0);
        assert_eq!(ran.stdout.split_whitespace().collect::<Vec<_>>().join(" "), ids, "{flags:?}");
    }
    // Twice the price at the second provider: the limit is about what is paid.
    let told = |flags: &[&str]| -> Vec<String> {
        let models = list(&sim, flags, "").exits(0).of_type("model");
        let one = |model: &Value| {
            let text = |key: &str| model[key].as_str().unwrap().to_owned();
            let price = model["pricing"]["completion_usd_per_token"].as_str().unwrap();
            format!("{} {} {} {price}", text("id"), text("provider"), text("provider_name"))
        };
        models.iter().map(one).collect()
    };
    assert_eq!(
        told(&["--endpoints", "--match", "aviary", "--sort", "price"]),
        [
            "aviary/finch-4b aviary/fp8 Aviary 0.0000004",
            "aviary/finch-4b roost/bf16 Roost 0.0000008",
            "aviary/heron-12b aviary/fp8 Aviary 0.000001",
            "aviary/heron-12b roost/bf16 Roost 0.000002",
        ]
    );
    assert_eq!(told(&["--endpoints", "--match", "heron", "--max-price", "1"]).len(), 1);
    let ways = "aviary/finch-4b:nitro\n~aviary/finch-latest\naviary/heron-12b-20261101\nx/y:free\n";
    let ran = list(&sim, &["--models-file", "-", "--endpoints", "--format", "ids"], ways).exits(0);
    let twice: Vec<&str> = ways.lines().flat_map(|id| [id, id]).collect();
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), twice, "whatever way leads to it, a model has its providers");
    let router = list(&sim, &["--endpoints", "--match", "auto|finch"], "").exits(1);
    golden!("model-without-endpoints", router.stderr);
    assert_eq!(router.of_type("model").len(), 2, "the rest go on");
    let none = list(&sim, &["--max-price", "NaN"], "").exits(2);
    golden!("max-price-refused", none.stderr);
}

#[test]
fn a_record_of_a_provider_pins_it_and_so_does_the_flag() {
    let sim = Sim::start("openrouter", &["--models", FINCH]);
    let pinned = list(&sim, &["--endpoints"], "").exits(0).stdout;
    let results = run_with(
        {
            let mut ask = command("llm-run");
            ask.args(["--prompt", "x", "--provider", "roost"]);
            ask
        },
        format!(
            "{pinned}{{\"type\":\"model\",\"v\":1,\"source\":\"openrouter\",\"id\":\"{FINCH}\",\"base_url\":\"{}\"}}\n",
            sim.url
        ),
    )
    .exits(0)
    .of_type("result");
    let served: Vec<&str> = results.iter().map(|result| result["provider"].as_str().unwrap()).collect();
    assert_eq!(served, ["Aviary", "Roost", "Roost"], "the flag is for what is not pinned already");
    assert!(results.iter().all(|result| warned(result).is_empty()), "{results:?}");
    let keys: std::collections::BTreeSet<&str> = results.iter().map(|result| result["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 3, "another provider is another question");

    let body =
        ask(&sim, "openrouter", FINCH, &["--provider", "roost/bf16", "-n"]).exits(0).records().remove(0)["body"].take();
    assert_eq!(body["provider"], json!({"only": ["roost/bf16"], "allow_fallbacks": false}));
    let extra = ["--provider", "roost", "-n", "--extra-body", r#"{"provider":{"require_parameters":true}}"#];
    let body = ask(&sim, "openrouter", FINCH, &extra).exits(0).records().remove(0)["body"].take();
    assert_eq!(body["provider"], json!({"only": ["roost"], "allow_fallbacks": false, "require_parameters": true}));

    let nobody = one(&ask(&sim, "openrouter", FINCH, &["--provider", "nobody"]).exits(1));
    assert_eq!((&nobody["error"]["kind"], &nobody["error"]["status"]), (&"refused".into(), &404.into()), "{nobody}");
    let other = Sim::start("openai", &[]);
    let ran = ask(&other, "openai", "finch-4b", &["--provider", "roost"]).exits(2);
    let told = case("another source", &ran.stderr);
    let hostile = ask(&sim, "openrouter", FINCH, &["--provider", "a b"]).exits(2);
    golden!("provider-refused", told + &case("two words", &hostile.stderr));
}

#[test]
fn another_provider_than_the_pinned_one_is_noticed() {
    let sim = Sim::start("openrouter", &["--fault", "ignore-pin"]);
    let result = one(&ask(&sim, "openrouter", FINCH, &["--provider", "aviary/fp8"]).exits(0));
    assert_eq!((result["provider"].as_str(), warned(&result)), (Some("Roost"), vec!["served_other_provider"]));
    let free = one(&ask(&sim, "openrouter", FINCH, &[]).exits(0));
    assert_eq!(warned(&free), Vec::<&str>::new(), "who is not pinned may be anyone");
}

#[test]
fn a_provider_that_failed_unseen_is_seen_in_the_metadata() {
    for flags in [&["--no-stream"][..], &[]] {
        let sim = Sim::start("openrouter", &["--fault", "provider-failover", "--ttft", "100ms"]);
        let result = one(&ask(&sim, "openrouter", FINCH, flags).exits(0));
        let metadata = &result["openrouter_metadata"];
        assert_eq!((&metadata["attempt"], metadata["attempts"].as_array().unwrap().len()), (&2.into(), 2), "{result}");
        assert_eq!(metadata["attempts"][0]["status"], 503);
        assert_eq!(warned(&result), ["provider_retried"]);
        assert!(result["generation_time_seconds"].as_f64().unwrap() > 0.2, "its time is in the request's");
    }
    let sim = Sim::start("openrouter", &[]);
    let result = one(&ask(&sim, "openrouter", FINCH, &[]).exits(0));
    assert_eq!((&result["openrouter_metadata"]["attempt"], warned(&result)), (&1.into(), vec![]));
}

#[test]
fn cost_provider_generation_and_cached_tokens_are_taken_from_the_answer() {
    for flags in [&["--no-stream"][..], &[]] {
        let sim = Sim::start("openrouter", &["--fault", "cached-prompt", "--fault", "usage-with-choice"]);
        let result = one(&ask(&sim, "openrouter", FINCH, flags).exits(0));
        let usd = 4.0 * 0.0000001 + 12.0 * 0.0000004;
        assert!((result["cost"]["usd"].as_f64().unwrap() - usd).abs() < 1e-15, "{result}");
        assert_eq!((&result["cost"]["method"], &result["usage"]["cost"]), (&"usage".into(), &result["cost"]["usd"]));
        assert_eq!((&result["provider"], &result["tokens"]["cached"]), (&"Aviary".into(), &3.into()));
        assert!(result["generation_id"].as_str().unwrap().starts_with("gen-"));
        assert_eq!((&result["finish_reason"], &result["native_finish_reason"]), (&"stop".into(), &"stop".into()));
        assert_eq!(warned(&result), ["cached_prompt"]);
    }
}
