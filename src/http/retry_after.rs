//! How long a server asks to wait before the next try.

use serde_json::Value;
use std::time::Duration;

/// `Retry-After`: seconds, or an HTTP date. A date that has passed is no wait.
pub fn retry_after(value: &str, now_ts: f64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        // A number that no duration holds is a wait without end.
        return (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_second() as f64;
    Duration::try_from_secs_f64((at - now_ts).max(0.0)).ok()
}

/// The wait that is not in `Retry-After`: the one in OpenRouter's body or, for any server, until its rate limit is reset. `reset` is
/// the header `X-RateLimit-Reset`; a number that is no time of these years is ignored.
pub fn requested_wait(body: &Value, reset: Option<&str>, now_ts: f64) -> Option<Duration> {
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
    fn requested_wait_reads_body_and_reset_header() {
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
            let wait = requested_wait(&serde_json::from_str(body).unwrap(), reset, now);
            assert_eq!(wait.map(|wait| wait.as_secs_f64()), expect, "{body} {reset:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, expect) in [
            ("2", Some(2.0)),
            ("0.5", Some(0.5)),
            ("Sat, 21 Nov 2026 16:00:10 GMT", Some(10.0)),
            ("Sat, 21 Nov 2020 16:00:10 GMT", Some(0.0)),
            ("soon", None),
            ("-1", None),
            ("1e300", Some(Duration::MAX.as_secs_f64())),
            ("nan", None),
        ] {
            assert_eq!(retry_after(value, 1_795_276_800.0).map(|d| d.as_secs_f64()), expect, "{value}");
        }
    }
}
