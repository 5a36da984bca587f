//! How long a server that refuses asks to wait, where it does not say so by `Retry-After`.

use serde_json::Value;
use std::time::Duration;

/// How long a refusal asks to wait besides `Retry-After`: in OpenRouter's body, or, of any server, until its limit is reset.
/// `reset` is the header `X-RateLimit-Reset`; a number that is no moment of these years is not one.
pub fn wait_asked(body: &Value, reset: Option<&str>, now_ts: f64) -> Option<Duration> {
    let seconds = |path: &str| body.pointer(path).and_then(Value::as_f64);
    if let Some(seconds) = seconds("/error/availability/retry_after").or_else(|| seconds("/error/metadata/retry_after"))
    {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let copied = || body.pointer("/error/metadata/headers/X-RateLimit-Reset").and_then(text);
    let moment: f64 = reset.map(str::to_owned).or_else(copied)?.trim().parse().ok()?;
    let at = match moment {
        _ if (1e12..1e13).contains(&moment) => moment / 1e3,
        _ if (1e9..1e10).contains(&moment) => moment,
        _ => return None,
    };
    Duration::try_from_secs_f64((at - now_ts).max(0.0)).ok()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_the_body_or_until_the_limit_is_reset() {
        let now = 1_795_276_800.0;
        for (body, reset, expect) in [
            (r#"{"error":{"availability":{"retry_after":3}}}"#, None, Some(3.0)),
            (r#"{"error":{"availability":{"retry_after":3}}}"#, Some("1795276802000"), Some(3.0)),
            ("{}", Some("1795276802000"), Some(2.0)),
            ("{}", Some("1795276802"), Some(2.0)),
            ("{}", Some("1795276000000"), Some(0.0)),
            ("{}", Some("6m0s"), None),
            ("{}", Some("30"), None),
            ("{}", Some("-1"), None),
            ("{}", Some("NaN"), None),
            (r#"{"error":{"metadata":{"headers":{"X-RateLimit-Reset":"1795276805000"}}}}"#, None, Some(5.0)),
            (r#"{"error":{"availability":{"retry_after":-1}}}"#, None, None),
            ("[]", None, None),
        ] {
            let wait = wait_asked(&serde_json::from_str(body).unwrap(), reset, now);
            assert_eq!(wait.map(|wait| wait.as_secs_f64()), expect, "{body} {reset:?}");
        }
    }
}
