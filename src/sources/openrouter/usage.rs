//! What OpenRouter's `usage` and metadata report besides tokens: the charge, and the providers that it tried.

use serde_json::Value;

/// The charge for a request, in US dollars; gateways that copy the field are read, too.
pub fn charge(usage: &Value) -> Option<f64> {
    let usd = |path: &str| usage.pointer(path)?.as_f64().filter(|usd| *usd >= 0.0);
    // With the provider's own key, the charge is only OpenRouter's fee; the provider's price stands beside it.
    let own_key = usage["is_byok"] == true;
    let upstream = usd("/cost_details/upstream_inference_cost").filter(|_| own_key).unwrap_or(0.0);
    Some(usd("/cost")? + upstream)
}

/// Whether OpenRouter tried more than one provider: the request's time includes those that failed.
pub fn tried_several_providers(metadata: &Value) -> bool {
    metadata["attempt"].as_u64().is_some_and(|n| n > 1) || metadata["attempts"].as_array().is_some_and(|a| a.len() > 1)
}

/// Whether the provider that answered, by its display name, is the one of a tag. Without a display name of the tag, the letters
/// of its first part are compared: `google-vertex/us-east5` and "Google Vertex", or "Google".
pub fn same_provider(tag: &str, name: Option<&str>, served: &str) -> bool {
    let letters =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let served = letters(served);
    match name {
        Some(name) => letters(name) == served,
        None => {
            let slug = letters(tag.split('/').next().unwrap_or(tag));
            !served.is_empty() && (slug.starts_with(&served) || served.starts_with(&slug))
        }
    }
}
