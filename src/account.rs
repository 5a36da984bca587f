//! OpenRouter's books: what a key may still spend, and what a request really cost.
//!
//! Neither is timed, and neither ever decides whether an answer counts. Nothing here sends a chat.

use crate::clock;
use crate::http::{Api, failure_of};
use crate::record::{Cost, CostSource, Outcome, TokenSource};
use serde_json::{Map, Value};
use std::future::Future;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long one look into the books may take.
const LOOK: Duration = Duration::from_secs(10);

/// How long to wait before the first look at a request: its entry is made after its end.
const FIRST: Duration = Duration::from_millis(300);

/// How long to wait between two looks.
const AGAIN: Duration = Duration::from_secs(1);

/// For how long a request is looked for; one that was cut is entered later.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(25));

/// The largest entry that is kept whole, in bytes; of a larger one only what is compared.
const LARGEST_ENTRY: usize = 64 << 10;

/// What `/key` says.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// It is a key, and this is left on it.
    Good(Left),
    /// It is none; why.
    Bad(String),
    /// The question could not be answered; why.
    Unknown(String),
}

/// What is left on a key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Left {
    /// US dollars; `None` where the key has no limit of its own.
    pub usd: Option<f64>,
    /// When it ends, in OpenRouter's words, where that has passed.
    pub expired: Option<String>,
    /// Whether nothing was ever paid: free models only, few requests a day.
    pub free_tier: bool,
}

impl Left {
    fn read(key: &Value, now_ts: f64) -> Self {
        let ended = |text: &&str| clock::of_rfc3339(text).is_some_and(|end| end < now_ts);
        Self {
            usd: key["limit_remaining"].as_f64(),
            expired: key["expires_at"].as_str().filter(ended).map(str::to_owned),
            free_tier: key["is_free_tier"] == true,
        }
    }
}

/// Asks once what the key of `api` is good for. Only a key that is refused is bad; a question that fails says nothing of it.
pub async fn key(api: &Api) -> Key {
    let reply = match api.get("/api/v1/key", LOOK).await {
        Ok(reply) => reply,
        Err(why) => return Key::Unknown(why.message),
    };
    if reply.status == 401 {
        return Key::Bad(failure_of(reply.status, &reply.body).message);
    }
    match reply.success() {
        Ok(body) if body["data"].is_object() => Key::Good(Left::read(&body["data"], clock::wall())),
        Ok(_) => Key::Unknown("it says nothing of the key".into()),
        Err(why) => Key::Unknown(why.message),
    }
}

/// Looks a request up and writes what it really cost, who answered and what was counted into its result; with a doubt where that
/// is something else than the answer said, and with `cost_unverified` where nothing is found, or `given_up` comes first. Whoever asks
/// takes one of `turns` for as long as that takes.
pub async fn verify(api: &Api, turns: &Semaphore, outcome: &mut Outcome, given_up: impl Future<Output = ()>) {
    let found = match outcome.generation_id.clone().filter(|id| is_plain(id)) {
        Some(id) => {
            let patience = if outcome.error.is_none() { PATIENCE.0 } else { PATIENCE.1 };
            tokio::select! {
                found = look_up(api, turns, &id) => found,
                () = tokio::time::sleep(patience) => None,
                () = given_up => None,
            }
        }
        None => None,
    };
    match found {
        Some(entry) => compare(outcome, entry),
        None => outcome.warnings.push("cost_unverified".into()),
    }
}

/// Whether an id can stand in an address as it is. It comes from the server, and nothing of it is bent.
fn is_plain(id: &str) -> bool {
    (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Looks until it is found; `None` when there is no use in looking.
async fn look_up(api: &Api, turns: &Semaphore, id: &str) -> Option<Map<String, Value>> {
    let path = format!("/api/v1/generation?id={id}");
    tokio::time::sleep(FIRST).await;
    loop {
        let turn = turns.acquire().await.ok()?;
        let reply = api.get(&path, LOOK).await;
        drop(turn);
        // Anything may pass: not entered yet, too many questions, a server that fails. What does not is a key that is none.
        match reply.and_then(|reply| reply.success()) {
            Ok(mut body) => {
                if let Some(Value::Object(entry)) = body.get_mut("data").map(Value::take)
                    && entry.get("id").and_then(Value::as_str).is_none_or(|entered| entered == id)
                {
                    return Some(entry);
                }
            }
            Err(why) if matches!(why.status, Some(401..=403)) => return None,
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// What of an entry is compared.
const COMPARED: [&str; 7] = [
    "id",
    "total_cost",
    "upstream_inference_cost",
    "is_byok",
    "native_tokens_prompt",
    "native_tokens_completion",
    "provider_responses",
];

fn compare(outcome: &mut Outcome, mut entry: Map<String, Value>) {
    let number = |name: &str| entry.get(name).and_then(Value::as_f64).filter(|n| n.is_finite() && *n >= 0.0);
    let own_key = entry.get("is_byok") == Some(&Value::Bool(true));
    let upstream = number("upstream_inference_cost").filter(|_| own_key).unwrap_or(0.0);
    let verified = number("total_cost").map(|fee| fee + upstream);
    let mut doubts = Vec::new();
    match (&mut outcome.cost, verified) {
        (_, None) => doubts.push("cost_unverified"),
        (Some(cost), Some(usd)) => {
            cost.verified_usd = Some(usd);
            // Prices have up to ten decimals, and sums are rounded somewhere.
            if (cost.usd - usd).abs() > 1e-9 + usd.max(cost.usd) * 0.001 {
                doubts.push("cost_differs");
            }
        }
        (none, Some(usd)) => {
            *none = Some(Cost { usd, source: Some(CostSource::Generation), verified_usd: Some(usd), ..Cost::default() })
        }
    }
    if let Some(tokens) = outcome.tokens.as_ref().filter(|tokens| tokens.source == Some(TokenSource::Usage)) {
        let differs = |name: &str, ours: Option<u64>| number(name).zip(ours).is_some_and(|(a, b)| a != b as f64);
        if differs("native_tokens_prompt", tokens.input) || differs("native_tokens_completion", tokens.output) {
            doubts.push("tokens_differ");
        }
    }
    let tries = entry.get("provider_responses").and_then(Value::as_array);
    if tries.is_some_and(|tries| tries.len() > 1) {
        doubts.push("provider_retried");
    }
    for doubt in doubts {
        if !outcome.warnings.iter().any(|word| word == doubt) {
            outcome.warnings.push(doubt.into());
        }
    }
    if Value::Object(entry.clone()).to_string().len() > LARGEST_ENTRY {
        entry.retain(|name, value| COMPARED.contains(&name.as_str()) && !value.is_array());
    }
    outcome.generation = Some(entry.into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FailureKind, fixture, fixture::Fixture};
    use serde_json::json;

    fn result(usd: Option<f64>) -> Fixture<Outcome> {
        let cost = usd.map(|usd| Cost { usd, source: Some(CostSource::Usage), ..Cost::default() });
        fixture::result(1, "m").tokens(5, 12).set(|o| o.cost = cost)
    }

    #[test]
    fn an_entry_confirms_a_cost_or_doubts_it() {
        for (usd, entry, verified, doubts) in [
            (Some(0.5), json!({"total_cost": 0.5}), Some(0.5), &[][..]),
            (Some(0.5), json!({"total_cost": 0.50001}), Some(0.50001), &[]),
            (Some(0.5), json!({"total_cost": 0.6}), Some(0.6), &["cost_differs"]),
            (Some(0.0), json!({"total_cost": 0}), Some(0.0), &[]),
            (Some(0.5), json!({"total_cost": -1}), None, &["cost_unverified"]),
            (Some(0.5), json!({"total_cost": null}), None, &["cost_unverified"]),
            (Some(0.5), json!({"total_cost": 0.1, "is_byok": true, "upstream_inference_cost": 0.4}), Some(0.5), &[]),
            (Some(0.5), json!({"total_cost": 0.5, "is_byok": false, "upstream_inference_cost": 9}), Some(0.5), &[]),
            (Some(0.5), json!({"total_cost": 0.5, "native_tokens_completion": 13}), Some(0.5), &["tokens_differ"]),
            (Some(0.5), json!({"total_cost": 0.5, "native_tokens_prompt": 5}), Some(0.5), &[]),
            (Some(0.5), json!({"total_cost": 0.5, "provider_responses": [{}, {}]}), Some(0.5), &["provider_retried"]),
            (Some(0.5), json!({"total_cost": 0.5, "provider_responses": null}), Some(0.5), &[]),
        ] {
            let mut outcome = result(usd).record();
            compare(&mut outcome, entry.as_object().unwrap().clone());
            assert_eq!(outcome.cost.as_ref().unwrap().verified_usd, verified, "{entry}");
            assert_eq!(outcome.warnings, doubts, "{entry}");
            assert_eq!(outcome.generation, Some(entry));
        }
    }

    #[test]
    fn a_request_that_was_cut_has_its_cost_from_the_ledger() {
        let mut outcome = result(None).failed(FailureKind::Truncated).record();
        compare(&mut outcome, json!({"total_cost": 0.25}).as_object().unwrap().clone());
        let cost = outcome.cost.unwrap();
        assert_eq!((cost.usd, cost.source, cost.verified_usd), (0.25, Some(CostSource::Generation), Some(0.25)));
    }

    #[test]
    fn an_entry_as_large_as_a_book_is_not_kept() {
        let mut outcome = result(Some(0.5)).record();
        let entry = json!({"id": "gen-1", "total_cost": 0.5, "junk": "x".repeat(LARGEST_ENTRY)});
        compare(&mut outcome, entry.as_object().unwrap().clone());
        assert_eq!(outcome.generation, Some(json!({"id": "gen-1", "total_cost": 0.5})));
    }

    #[test]
    fn an_id_that_could_change_the_address_is_not_asked_for() {
        for (id, plain) in [
            ("gen-1795-aB_9.x", true),
            ("", false),
            ("gen-1&key=2", false),
            ("../key", false),
            ("a b", false),
            ("a\u{0}", false),
        ] {
            assert_eq!(is_plain(id), plain, "{id:?}");
        }
        assert!(!is_plain(&"x".repeat(201)));
    }

    #[test]
    fn what_is_left_on_a_key_is_read_as_it_is_told() {
        for (key, left) in [
            (json!({"limit_remaining": null, "is_free_tier": true}), Left { free_tier: true, ..Left::default() }),
            (json!({"limit_remaining": -0.5}), Left { usd: Some(-0.5), ..Left::default() }),
            (
                json!({"limit_remaining": 2, "expires_at": "2020-01-01T00:00:00Z"}),
                Left { usd: Some(2.0), expired: Some("2020-01-01T00:00:00Z".into()), free_tier: false },
            ),
            (json!({"expires_at": "2099-01-01T00:00:00Z"}), Left::default()),
            (json!({"expires_at": "soon", "limit_remaining": "much"}), Left::default()),
        ] {
            assert_eq!(Left::read(&key, 1_795_276_800.0), left, "{key}");
        }
    }
}
