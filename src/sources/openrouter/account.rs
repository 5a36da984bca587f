//! OpenRouter's accounts: the credit of a key, and the charged cost of a request.
//!
//! Neither is timed, and neither decides whether an answer counts. Nothing here sends a chat.

use crate::clock;
use crate::http::{Api, failure_of};
use crate::record::{Cost, CostMethod, Outcome, TokenMethod};
use serde_json::{Map, Value};
use std::future::Future;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Timeout of one query.
const QUERY_LIMIT: Duration = Duration::from_secs(10);

/// Wait before the first query of a request: its entry is made after its end.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// Wait between two queries.
const NEXT_WAIT: Duration = Duration::from_secs(1);

/// How long an entry is searched for; an interrupted request is entered later.
const SEARCH_LIMIT: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(25));

/// The largest entry that is kept whole, in bytes; of a larger one only the compared fields are kept.
const MAX_ENTRY_BYTES: usize = 64 << 10;

/// The result of a key check.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyStatus {
    /// A valid key, with its credit.
    Valid(Credit),
    /// A refused key, with the reason.
    Invalid(String),
    /// The check failed, with the reason.
    Unknown(String),
}

/// The credit of a key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Credit {
    /// US dollars; `None` where the key has no limit of its own.
    pub usd: Option<f64>,
    /// When it ends, in OpenRouter's words, where that has passed.
    pub expired: Option<String>,
    /// Whether nothing was ever paid: free models only, few requests a day.
    pub free_tier: bool,
}

impl Credit {
    fn read(key: &Value, now_ts: f64) -> Self {
        let ended = |text: &&str| clock::of_rfc3339(text).is_some_and(|end| end < now_ts);
        Self {
            usd: key["limit_remaining"].as_f64(),
            expired: key["expires_at"].as_str().filter(ended).map(str::to_owned),
            free_tier: key["is_free_tier"] == true,
        }
    }
}

/// Checks the key of `api` once. Only a refused key is invalid; a failed check is not the key's fault.
pub async fn key(api: &Api) -> KeyStatus {
    let reply = match api.get("/api/v1/key", QUERY_LIMIT).await {
        Ok(reply) => reply,
        Err(failure) => return KeyStatus::Unknown(failure.message),
    };
    if reply.status == 401 {
        return KeyStatus::Invalid(failure_of(reply.status, &reply.body).message);
    }
    match reply.success() {
        Ok(body) if body["data"].is_object() => KeyStatus::Valid(Credit::read(&body["data"], clock::wall())),
        Ok(_) => KeyStatus::Unknown("it says nothing of the key".into()),
        Err(failure) => KeyStatus::Unknown(failure.message),
    }
}

/// Finds the entry of a request and adds the charged cost to its result; with a warning where it differs from the answer, and with
/// `cost_unverified` where there is none or `cancelled` completes first. Each query holds one of `turns`.
pub async fn verify(api: &Api, turns: &Semaphore, outcome: &mut Outcome, cancelled: impl Future<Output = ()>) {
    let entry = match outcome.generation_id.clone().filter(|id| is_plain(id)) {
        Some(id) => {
            let limit = if outcome.error.is_none() { SEARCH_LIMIT.0 } else { SEARCH_LIMIT.1 };
            tokio::select! {
                entry = find_entry(api, turns, &id) => entry,
                () = tokio::time::sleep(limit) => None,
                () = cancelled => None,
            }
        }
        None => None,
    };
    match entry {
        Some(entry) => compare(outcome, entry),
        None => outcome.warnings.push("cost_unverified".into()),
    }
}

/// Whether an id can be part of a URL as it is.
fn is_plain(id: &str) -> bool {
    (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Queries until the entry is there; `None` when the key is refused.
async fn find_entry(api: &Api, turns: &Semaphore, id: &str) -> Option<Map<String, Value>> {
    let path = format!("/api/v1/generation?id={id}");
    tokio::time::sleep(FIRST_WAIT).await;
    loop {
        let turn = turns.acquire().await.ok()?;
        let reply = api.get(&path, QUERY_LIMIT).await;
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
            Err(failure) if matches!(failure.status, Some(401..=403)) => return None,
            Err(_) => {}
        }
        tokio::time::sleep(NEXT_WAIT).await;
    }
}

/// The fields of an entry that are compared.
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
    let mut warnings = Vec::new();
    match (&mut outcome.cost, verified) {
        (_, None) => warnings.push("cost_unverified"),
        (Some(cost), Some(usd)) => {
            cost.verified_usd = Some(usd);
            // Prices have up to ten decimals, and sums are rounded somewhere.
            if (cost.usd - usd).abs() > 1e-9 + usd.max(cost.usd) * 0.001 {
                warnings.push("cost_differs");
            }
        }
        (none, Some(usd)) => {
            *none = Some(Cost { usd, method: Some(CostMethod::Generation), verified_usd: Some(usd), ..Cost::default() })
        }
    }
    if let Some(tokens) = outcome.tokens.as_ref().filter(|tokens| tokens.method == Some(TokenMethod::Usage)) {
        let differs = |name: &str, ours: Option<u64>| number(name).zip(ours).is_some_and(|(a, b)| a != b as f64);
        if differs("native_tokens_prompt", tokens.input) || differs("native_tokens_completion", tokens.output) {
            warnings.push("tokens_differ");
        }
    }
    let tries = entry.get("provider_responses").and_then(Value::as_array);
    if tries.is_some_and(|tries| tries.len() > 1) {
        warnings.push("provider_retried");
    }
    for warning in warnings {
        if !outcome.warnings.iter().any(|word| word == warning) {
            outcome.warnings.push(warning.into());
        }
    }
    if Value::Object(entry.clone()).to_string().len() > MAX_ENTRY_BYTES {
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
        let cost = usd.map(|usd| Cost { usd, method: Some(CostMethod::Usage), ..Cost::default() });
        fixture::result(1, "m").tokens(5, 12).set(|o| o.cost = cost)
    }

    #[test]
    fn entry_confirms_or_contradicts_the_cost() {
        for (usd, entry, verified, warnings) in [
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
            assert_eq!(outcome.warnings, warnings, "{entry}");
            assert_eq!(outcome.generation, Some(entry));
        }
    }

    #[test]
    fn interrupted_request_takes_its_cost_from_the_entry() {
        let mut outcome = result(None).failed(FailureKind::Truncated).record();
        compare(&mut outcome, json!({"total_cost": 0.25}).as_object().unwrap().clone());
        let cost = outcome.cost.unwrap();
        assert_eq!((cost.usd, cost.method, cost.verified_usd), (0.25, Some(CostMethod::Generation), Some(0.25)));
    }

    #[test]
    fn large_entry_is_reduced() {
        let mut outcome = result(Some(0.5)).record();
        let entry = json!({"id": "gen-1", "total_cost": 0.5, "junk": "x".repeat(MAX_ENTRY_BYTES)});
        compare(&mut outcome, entry.as_object().unwrap().clone());
        assert_eq!(outcome.generation, Some(json!({"id": "gen-1", "total_cost": 0.5})));
    }

    #[test]
    fn id_that_could_change_the_url_is_refused() {
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
    fn reads_the_credit_of_a_key() {
        for (key, left) in [
            (json!({"limit_remaining": null, "is_free_tier": true}), Credit { free_tier: true, ..Credit::default() }),
            (json!({"limit_remaining": -0.5}), Credit { usd: Some(-0.5), ..Credit::default() }),
            (
                json!({"limit_remaining": 2, "expires_at": "2020-01-01T00:00:00Z"}),
                Credit { usd: Some(2.0), expired: Some("2020-01-01T00:00:00Z".into()), free_tier: false },
            ),
            (json!({"expires_at": "2099-01-01T00:00:00Z"}), Credit::default()),
            (json!({"expires_at": "soon", "limit_remaining": "much"}), Credit::default()),
        ] {
            assert_eq!(Credit::read(&key, 1_795_276_800.0), left, "{key}");
        }
    }
}
