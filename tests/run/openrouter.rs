//! OpenRouter: what the answer says of cost and provider, pins, hidden failovers, the key before a run, the ledger after it, and
//! what may be tried again.

use super::{ask, one};
use crate::common::sim::Sim;
use crate::common::{Ran, bash, command, run_with, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const FINCH: &str = "aviary/finch-4b";

fn list(sim: &Sim, flags: &[&str], file: &str) -> Ran {
    let mut list = command("llm-models");
    list.args(["openrouter", "--base-url", &sim.url]).args(flags);
    run_with(list, file)
}

/// The doubts of a result, but for those that a loaded machine gives to streams of a few milliseconds.
fn warned(result: &Value) -> Vec<&str> {
    let words = result["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    words.filter(|word| !["client_lag", "buffered_stream"].contains(word)).collect()
}

/// llm-run with `--extra` flags against a server, with the key in the environment.
fn keyed(sim: &Sim, key: &str, flags: &[&str]) -> Ran {
    let mut ask = command("llm-run");
    ask.args(["--source", "openrouter", "--base-url", &sim.url, "--prompt", "Hello there"]).args(flags);
    ask.env("OPENROUTER_API_KEY", key);
    run_with(ask, format!("{FINCH}\n"))
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
    for missing in ["no/such-model", "~nobody/x-latest", "openrouter/nonsense", "../key"] {
        assert!(ran.stderr.contains(&format!("{missing}: not in OpenRouter's catalogue")), "{missing}: {}", ran.stderr);
    }
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
    assert!(router.stderr.contains("openrouter/auto: Model not found: left out"), "{}", router.stderr);
    assert_eq!(router.of_type("model").len(), 2, "the rest go on");
    let none = list(&sim, &["--max-price", "NaN"], "").exits(2);
    assert!(none.stderr.contains("not a price"), "{}", none.stderr);
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
    assert!(ran.stderr.contains("only OpenRouter has providers"), "{}", ran.stderr);
    let hostile = ask(&sim, "openrouter", FINCH, &["--provider", "a b"]).exits(2);
    assert!(hostile.stderr.contains("a tag such as"), "{}", hostile.stderr);
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
        assert_eq!((&result["cost"]["source"], &result["usage"]["cost"]), (&"usage".into(), &result["cost"]["usd"]));
        assert_eq!((&result["provider"], &result["tokens"]["cached"]), (&"Aviary".into(), &3.into()));
        assert!(result["generation_id"].as_str().unwrap().starts_with("gen-"));
        assert_eq!((&result["finish_reason"], &result["native_finish_reason"]), (&"stop".into(), &"stop".into()));
        assert_eq!(warned(&result), ["cached_prompt"]);
    }
}

#[test]
fn a_refused_key_ends_the_run_before_anything_is_sent() {
    let truth = tempfile::NamedTempFile::new().unwrap();
    let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-right", "--truth", truth.path().to_str().unwrap()]);
    let ran = keyed(&sim, "sk-or-v1-wrong", &[]).exits(2);
    let told: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(told.len(), 1, "{}", ran.stderr);
    assert!(
        told[0].contains("the key is refused: User not found.") && told[0].contains("nothing was sent"),
        "{told:?}"
    );
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sk-or-v1-wrong"));
    assert_eq!((ran.of_type("start").len(), ran.of_type("result").len()), (0, 0));
    assert_eq!(std::fs::read_to_string(truth.path()).unwrap(), "", "no chat arrived");

    let asked = keyed(&sim, "sk-or-v1-wrong", &["--no-key-check"]).exits(1);
    assert_eq!(one(&asked)["error"]["status"], 401, "without the check, each request says so itself");
    keyed(&sim, "sk-or-v1-wrong", &["-n"]).exits(0);
    assert_eq!(one(&keyed(&sim, "sk-or-v1-right", &[]).exits(0))["error"], Value::Null);
}

#[test]
fn what_is_left_on_a_key_is_told_and_a_check_that_fails_stops_nothing() {
    for (account, flags, said) in [
        (r#"{"limit":5,"limit_remaining":4.25}"#, &["-v"][..], "$4.2500 left on the key"),
        (r#"{"limit":5,"limit_remaining":4.25}"#, &[], ""),
        (r#"{"limit":5,"limit_remaining":0}"#, &[], "the limit of the key is used up ($0.0000 left)"),
        (r#"{"limit":5,"limit_remaining":-0.5}"#, &[], "the limit of the key is used up ($-0.5000 left)"),
        (r#"{"expires_at":"2020-01-01T00:00:00Z"}"#, &[], "the key expired on 2020-01-01T00:00:00Z"),
        (r#"{"expires_at":"2099-01-01T00:00:00Z"}"#, &[], ""),
        (r#"{"is_free_tier":true}"#, &["-v"], "50 requests a day"),
        ("null", &[], "the key could not be checked: Internal Server Error: going on"),
        (r#"{"limit_remaining":0}"#, &["--no-key-check"], ""),
        (r#"{"limit_remaining":0}"#, &["--quiet"], ""),
    ] {
        let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-k", "--account", account]);
        let ran = keyed(&sim, "sk-or-v1-k", flags).exits(0);
        let lines: Vec<&str> = ran.stderr.lines().filter(|line| !line.contains(" ok, ")).collect();
        match said {
            "" => assert_eq!(lines, Vec::<&str>::new(), "{account} {flags:?}"),
            said => assert!(lines.iter().any(|line| line.contains(said)), "{account}: {lines:?}"),
        }
        assert_eq!(one(&ran)["error"], Value::Null);
    }
    // Without a key there is nothing to check, and nothing is asked.
    let sim = Sim::start("openrouter", &["--account", r#"{"limit_remaining":0}"#]);
    assert!(!ask(&sim, "openrouter", FINCH, &[]).exits(0).stderr.contains("used up"));
}

#[test]
fn the_most_that_a_run_may_cost_is_told_before_it_and_louder_when_the_key_cannot_pay_it() {
    let sim = Sim::start("openrouter", &["--api-key", "sk-or-v1-k", "--account", r#"{"limit_remaining":0.001}"#]);
    let models = list(&sim, &[], "").exits(0).stdout;
    let run = |flags: &[&str]| {
        let mut ask = command("llm-run");
        ask.args(["--prompt", "x"]).args(flags).env("OPENROUTER_API_KEY", "sk-or-v1-k");
        run_with(ask, &models).exits(0).stderr
    };
    // 10 000 tokens of each: 0.004 + 0.010 + 0.015 dollars.
    let told = run(&["--max-tokens", "10000", "-v"]);
    assert!(told.contains("at most about $0.0290 by the prices and --max-tokens"), "{told}");
    assert!(told.contains("may cost up to about $0.0290, and $0.0010 are left on the key"), "{told}");
    assert!(run(&["--max-tokens", "10000"]).contains("may cost up to"));
    assert!(!run(&["--max-tokens", "10"]).contains("may cost"));
    assert!(!run(&["-v"]).contains("at most about"), "without --max-tokens nobody knows");
}

#[test]
fn a_verified_cost_is_the_ledger_s_and_every_doubt_is_a_word() {
    for (faults, doubts, times) in [
        (&[][..], &[][..], Some(1.0)),
        (&["--fault", "generation-differs"], &["cost_differs", "tokens_differ"], Some(2.0)),
        (&["--fault", "provider-failover"], &["provider_retried"], Some(1.0)),
    ] {
        let sim = Sim::start("openrouter", &[&["--generation-delay", "1200ms"], faults].concat());
        let ran = ask(&sim, "openrouter", FINCH, &["--verify-cost", "--save-text"]).exits(0);
        let result = one(&ran);
        assert_eq!(warned(&result), doubts, "{faults:?}");
        let (usd, verified) = (result["cost"]["usd"].as_f64().unwrap(), result["cost"]["verified_usd"].as_f64());
        assert!(verified.zip(times).is_some_and(|(v, times)| (v - usd * times).abs() < 1e-12), "{result}");
        assert_eq!(result["cost"]["source"], "usage");
        assert_eq!(result["generation"]["id"], result["generation_id"]);
        assert!(
            result["generation_time_seconds"].as_f64().unwrap() < 1.0,
            "waiting for the ledger is not the request's time"
        );
        assert!(result["text"].is_string());
    }
    let sim = Sim::start("openrouter", &[]);
    assert!(one(&ask(&sim, "openrouter", FINCH, &[]).exits(0)).get("generation").is_none(), "only when asked");
    let other = Sim::start("openai", &[]);
    let other = one(&ask(&other, "openai", "finch-4b", &["--verify-cost"]).exits(0));
    assert_eq!((other.get("generation"), warned(&other)), (None, vec![]), "only OpenRouter has a ledger");
}

#[test]
fn what_was_cut_is_charged_and_the_ledger_says_how_much() {
    let sim = Sim::start("openrouter", &["--fault", "truncate"]);
    let result = one(&ask(&sim, "openrouter", FINCH, &["--verify-cost"]).exits(1));
    assert_eq!(
        (&result["error"]["kind"], &result["cost"]["source"]),
        (&"truncated".into(), &"generation".into()),
        "{result}"
    );
    assert!(result["cost"]["usd"].as_f64().unwrap() > 0.0);
}

#[test]
fn what_was_refused_is_in_no_book_and_is_not_looked_up() {
    for fault in ["no-credit", "unavailable", "close"] {
        let sim = Sim::start("openrouter", &["--fault", fault]);
        let began = Instant::now();
        let result = one(&ask(&sim, "openrouter", FINCH, &["--verify-cost", "--retries", "0"]).exits(1));
        assert_eq!((warned(&result), result.get("generation")), (vec![], None), "{fault}");
        assert!(began.elapsed() < Duration::from_secs(5), "{fault}: {:?}", began.elapsed());
    }
}

#[test]
fn verification_holds_up_neither_the_load_nor_the_end() {
    let sim = Sim::start("openrouter", &["--generation-delay", "2s"]);
    let began = Instant::now();
    let flags = ["--verify-cost", "--repeat", "30", "--concurrency", "3", "--nonce", "off"];
    let ran = ask(&sim, "openrouter", FINCH, &flags).exits(0);
    let results = ran.of_type("result");
    assert_eq!(results.len(), 30);
    assert!(results.iter().all(|result| result["cost"]["verified_usd"].is_f64()), "{:?}", results[0]);
    // Ten rounds at two seconds each would be twenty.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let starts: Vec<f64> = ran.of_type("start").iter().map(|start| start["start_mono"].as_f64().unwrap()).collect();
    assert!(starts.last().unwrap() - starts[0] < 2.0, "the last was sent before the first was verified: {starts:?}");
}

#[test]
fn more_results_than_may_wait_are_written_unverified_and_none_is_lost() {
    let sim = Sim::start("openrouter", &["--generation-delay", "4s"]);
    let flags = ["--verify-cost", "--requests", "320", "--concurrency", "80", "--nonce", "off", "--quiet"];
    let results = ask(&sim, "openrouter", FINCH, &flags).exits(0).of_type("result");
    assert_eq!(results.len(), 320);
    let verified = results.iter().filter(|result| result["cost"]["verified_usd"].is_f64()).count();
    let unverified = results.iter().filter(|result| warned(result).contains(&"cost_unverified")).count();
    assert_eq!(verified + unverified, 320, "each is one or the other");
    assert!(verified >= 200, "{verified}");
}

#[test]
fn a_second_signal_leaves_what_waits_for_the_ledger_unverified_and_written() {
    let sim = Sim::start("openrouter", &["--fault", "generation-missing"]);
    let mut script = bash(
        r#"echo aviary/finch-4b | llm-run --source openrouter --base-url $SIM --prompt x --repeat 5 --verify-cost > $OUT & run=$!
           sleep 2; kill -TERM $run; sleep 0.3; kill -TERM $run; wait $run"#,
    );
    let out = sim.path("out");
    script.env("SIM", &sim.url).env("OUT", &out);
    let began = Instant::now();
    let ran = run_with(script, "");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?} {}", began.elapsed(), ran.stderr);
    let text = std::fs::read_to_string(out).unwrap();
    let results: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["type"] == "result")
        .collect();
    assert_eq!(results.len(), 5, "{text}");
    for result in results {
        assert_eq!((warned(&result), &result["error"]), (vec!["cost_unverified"], &Value::Null), "{result}");
        assert!(result["cost"].get("verified_usd").is_none());
    }
}

#[test]
fn only_what_may_help_is_tried_again_and_as_the_server_asks() {
    for (fault, kind, status, attempts, said) in [
        ("no-credit", "refused", 402, 0, "can only afford 12"),
        ("moderation", "refused", 403, 0, "requires moderation"),
        ("no-endpoints", "refused", 404, 0, "No endpoints found"),
        ("http-500", "server", 500, 1, "Internal Server Error"),
        ("html-error", "server", 502, 1, "an HTML page"),
        ("unavailable", "server", 503, 1, "failed before: Aviary 529, Roost 504"),
        ("own-rate-limit", "rate_limit", 429, 1, "free-models-per-min"),
        ("rate-limit", "rate_limit", 429, 1, "Provider returned error"),
        ("error-before-token", "server", 200, 1, "Provider disconnected"),
        ("error-in-stream", "server", 200, 0, "Provider returned error"),
        ("truncate", "truncated", 200, 0, "without an end"),
        ("close", "protocol", 0, 0, "without an answer"),
    ] {
        let sim = Sim::start("openrouter", &["--fault", fault]);
        let ran = ask(&sim, "openrouter", FINCH, &["--retries", "1"]).exits(1);
        let result = one(&ran);
        assert_eq!(result["error"]["kind"], kind, "{fault}: {result}");
        assert_eq!(result["error"]["status"].as_u64().unwrap_or(0), status, "{fault}: {result}");
        assert!(result["error"]["message"].as_str().unwrap().contains(said), "{fault}: {result}");
        assert_eq!(result["attempts"].as_array().map_or(0, Vec::len), attempts, "{fault}: {result}");
        assert_eq!(ran.of_type("start").len(), 1 + attempts, "{fault}: every sending is told");
        if status >= 402 && !["http-500", "html-error", "rate-limit"].contains(&fault) {
            assert_eq!(result["openrouter_metadata"]["attempts"][0]["status"], status, "{fault}: of an error, too");
        }
    }
}

/// A server that gives the first request this answer, and every later one a good one.
fn once(status: u16, headers: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let good = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    let said = |status: u16, headers: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
    };
    let answers = [said(status, headers, body), said(200, "content-type: text/event-stream\r\n", good)];
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answers[n.min(1)].as_bytes());
        }
    });
    url
}

#[test]
fn every_status_and_every_word_for_it_is_taken_as_it_is_meant() {
    let json = "content-type: application/json\r\n";
    let events = "content-type: text/event-stream\r\n";
    let dated = "retry-after: Sat, 21 Nov 2020 16:00:10 GMT\r\n";
    let typed = r#"{"error":{"code":"x","message":"m","metadata":{"error_type":"rate_limit_exceeded"}}}"#;
    let rows = [
        (408, json, "{}", true),
        (429, dated, "{}", true),
        (500, json, r#"{"error":{"code":500,"message":"m"}}"#, true),
        (502, json, "", true),
        (503, json, r#"{"error":{"code":"503","message":"m"}}"#, true),
        (503, json, r#"{"error":{"message":"m","availability":{"retryable":true,"retry_after":0}}}"#, true),
        (503, json, r#"{"error":{"message":"m","availability":{"retryable":false}}}"#, false),
        (504, json, "{}", true),
        (524, "content-type: text/html\r\n", "<html>a timeout occurred</html>", true),
        (529, json, "{}", true),
        (400, json, r#"{"error":{"code":400,"message":"no such model","metadata":{"error_type":"not_found"}}}"#, false),
        (401, json, "{}", false),
        (402, json, r#"{"error":{"code":402,"message":"requires more credits"}}"#, false),
        (403, json, "{}", false),
        (404, json, "{}", false),
        (412, json, "{}", false),
        (413, json, "{}", false),
        (422, json, "{}", false),
        (429, json, r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, false),
        (429, json, r#"{"error":{"code":429,"message":"m","metadata":{"error_type":"payment_required"}}}"#, false),
        (200, json, typed, true),
        (200, json, r#"{"error":{"message":"m","error_type":"provider_overloaded"}}"#, true),
        (200, json, r#"{"error":{"message":"m","error_type":"timeout"}}"#, true),
        (200, json, r#"{"error":{"message":"m","error_type":"payment_required"}}"#, false),
        (200, json, r#"{"error":{"message":"m","error_type":"content_policy_violation"}}"#, false),
        (200, json, r#"{"choices":[{"message":{"content":""},"error":{"code":502,"message":"m"}}]}"#, true),
        (200, events, "data: {\"error\":{\"code\":429,\"message\":\"m\"}}\n\n", true),
        (200, events, "data: {\"error\":{\"code\":\"402\",\"message\":\"m\"}}\n\n", false),
        (
            200,
            events,
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"code\":429,\"message\":\"m\"}}\n\n",
            false,
        ),
    ];
    let asked = rows.map(|(status, headers, body, again)| {
        let asked = std::thread::spawn(move || {
            let url = once(status, headers, body);
            let mut ask = command("llm-run");
            ask.args(["--source", "openrouter", "--base-url", &url, "--prompt", "x", "--retries", "1"]);
            run_with(ask, "a/b\n")
        });
        (status, body, again, asked)
    });
    for (status, body, again, asked) in asked {
        let result = one(&asked.join().unwrap());
        assert_eq!(result["error"].is_null(), again, "{status} {body}: {result}");
        assert_eq!(result["attempts"].as_array().map_or(0, Vec::len), usize::from(again), "{status} {body}: {result}");
        if again {
            assert_eq!(result["attempts"][0]["status"], status, "{status} {body}");
        }
    }
}

#[test]
fn a_wait_is_what_the_server_asks_and_never_less() {
    for (fault, least, most) in [("unavailable", 1.0, 1.2), ("own-rate-limit", 0.5, 1.2), ("rate-limit", 1.0, 1.2)] {
        let sim = Sim::start("openrouter", &["--fault", &format!("{fault}:1x")]);
        let result = one(&ask(&sim, "openrouter", FINCH, &[]).exits(0));
        let attempt = &result["attempts"][0];
        let wait = attempt["wait_seconds"].as_f64().unwrap();
        assert!((least..=most).contains(&wait), "{fault}: waited {wait}");
        assert!(attempt["error"].as_str().unwrap().len() > 5, "{attempt}");
        assert!(
            result["timing_seconds"]["end"].as_f64().unwrap() < 0.9,
            "{fault}: the times are those of the last try"
        );
    }
}

#[test]
fn an_error_before_the_first_token_of_a_plain_answer_is_tried_again_too() {
    let sim = Sim::start("openrouter", &["--fault", "error-before-token:1x"]);
    let result = one(&ask(&sim, "openrouter", FINCH, &["--no-stream"]).exits(0));
    assert_eq!(result["attempts"][0]["error"], "Provider disconnected", "{result}");
}

#[test]
fn a_load_test_tries_nothing_again_and_a_limit_of_an_hour_is_not_waited_for() {
    let sim = Sim::start("openrouter", &["--fault", "own-rate-limit"]);
    let result = one(&ask(&sim, "openrouter", FINCH, &["--retries", "0"]).exits(1));
    assert!(result.get("attempts").is_none());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).unwrap();
        let _ = stream
            .write_all(b"HTTP/1.1 429 No\r\nretry-after: 3600\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
    });
    let mut ask = command("llm-run");
    ask.args(["--source", "openrouter", "--base-url", &url, "--prompt", "x"]);
    let result = one(&run_with(ask, "a/b\n").exits(1));
    server.join().unwrap();
    assert_eq!((&result["error"]["kind"], result.get("attempts")), (&"rate_limit".into(), None));
}

#[test]
fn no_connection_is_tried_again() {
    let mut ask = command("llm-run");
    ask.args(["--source", "openrouter", "--base-url", "http://127.0.0.1:1", "--prompt", "x", "--retries", "1"]);
    ask.env("OPENROUTER_API_KEY", "sk-or-v1-k");
    let ran = run_with(ask, "a/b\n").exits(1);
    assert!(ran.stderr.contains("the key could not be checked"), "{}", ran.stderr);
    let result = one(&ran);
    assert_eq!((&result["error"]["kind"], result["attempts"].as_array().unwrap().len()), (&"connect".into(), 1));
}

/// A server that keeps what it is sent, and answers everything with 404.
struct Ear {
    url: String,
    heard: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Ear {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let keep = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 8192];
                let n = stream.read(&mut request).unwrap_or(0);
                keep.lock().unwrap().push_str(&String::from_utf8_lossy(&request[..n]));
                let _ = stream.write_all(b"HTTP/1.1 404 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
            }
        });
        Self { url, heard }
    }
}

#[test]
fn neither_the_check_nor_the_ledger_takes_a_key_to_a_host_that_only_a_record_names() {
    // This machine may have every key, so the foreign host is one that only looks like another machine.
    let ear = Ear::open();
    let foreign = ear.url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    let mut ask = command("llm-run");
    ask.args(["--prompt", "x", "--verify-cost", "--retries", "0", "--connect-timeout", "2s"]);
    ask.env("OPENROUTER_API_KEY", "sk-or-v1-secret-9");
    let line = json!({"type": "model", "v": 1, "source": "openrouter", "id": "a/b", "base_url": foreign}).to_string();
    let ran = run_with(ask, line).exits(1);
    assert!(ran.stderr.contains("--key-host"), "{}", ran.stderr);
    wait_until("the request", || ear.heard.lock().unwrap().contains("POST "));
    let heard = ear.heard.lock().unwrap().clone();
    assert!(!heard.contains("sk-or-v1-secret-9") && !heard.contains("/key"), "{heard}");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("sk-or-v1-secret-9"));
}
