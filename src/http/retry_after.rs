//! How long a server asks to wait before the next attempt, in every form in use.
//!
//! Headers: `Retry-After` (RFC 9110 §10.2.3), Azure's `retry-after-ms`, LiteLLM's copy of a provider's header, OpenAI's
//! `x-ratelimit-reset-*`, Anthropic's `anthropic-ratelimit-*-reset`, OpenRouter's `X-RateLimit-Reset`. Bodies: OpenRouter's
//! `retry_after`, Google's `RetryInfo` (google.rpc), and the sentences of OpenAI, Groq and Azure.

use super::secret::regex;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;
use std::time::Duration;

/// Headers that hold a wait or a time, in the order of their precision.
const HEADERS: [(&str, Unit); 5] = [
    ("retry-after-ms", Unit::Milliseconds),
    ("retry-after", Unit::Seconds),
    ("llm_provider-retry-after", Unit::Seconds),
    ("x-ratelimit-reset", Unit::Epoch),
    ("llm_provider-x-ratelimit-reset", Unit::Epoch),
];

/// Limits whose reset counts when nothing of them remains: the headers of the reset and of the rest.
const LIMITS: [(&str, &str); 7] = [
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ("anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-input-tokens-remaining"),
    ("anthropic-ratelimit-output-tokens-reset", "anthropic-ratelimit-output-tokens-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
];

/// The meaning of a number without a unit.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Milliseconds,
    Seconds,
    /// Seconds or milliseconds since 1970; a number that is no time of these years has no meaning.
    Epoch,
}

/// The wait in the headers of a response.
pub fn wait_in_headers(header: impl Fn(&str) -> Option<String>, now_ts: f64) -> Option<Duration> {
    let wait = HEADERS.iter().find_map(|(name, unit)| wait(&header(name)?, *unit, now_ts));
    let exhausted = || {
        let resets = LIMITS.iter().filter(|(_, rest)| header(rest).is_some_and(|rest| rest.trim() == "0"));
        resets.filter_map(|(reset, _)| self::wait(&header(reset)?, Unit::Seconds, now_ts)).max()
    };
    wait.or_else(exhausted)
}

/// The wait in the body of an error.
pub fn wait_in_body(body: &Value, now_ts: f64) -> Option<Duration> {
    let errors = body.as_array().map_or(std::slice::from_ref(body), Vec::as_slice);
    errors.iter().find_map(|body| {
        let error = &body["error"];
        let seconds = ["/availability/retry_after", "/metadata/retry_after"];
        if let Some(seconds) = seconds.iter().find_map(|path| error.pointer(path)?.as_f64()) {
            return Duration::try_from_secs_f64(seconds).ok();
        }
        if let Some(reset) = error.pointer("/metadata/headers/X-RateLimit-Reset") {
            return wait(&text(reset)?, Unit::Epoch, now_ts);
        }
        let details = error["details"].as_array().into_iter().flatten();
        let delay = details.filter_map(|detail| detail["retryDelay"].as_str()).next();
        delay.and_then(|delay| wait(delay, Unit::Seconds, now_ts)).or_else(|| wait_in_sentence(message(body)?))
    })
}

fn message(body: &Value) -> Option<&str> {
    ["/error/message", "/error", "/message", "/detail"].iter().find_map(|path| body.pointer(path)?.as_str())
}

/// `Please try again in 7m12.5s.`, `Please retry after 7 seconds.`
fn wait_in_sentence(sentence: &str) -> Option<Duration> {
    static WAIT: LazyLock<Regex> = LazyLock::new(|| {
        let unit = "(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)";
        regex(&format!(r"(?i)(?:again|retry) (?:in|after) ((?:\d+(?:\.\d+)?\s*{unit}\s*)+)\b"))
    });
    let found = WAIT.captures(sentence)?;
    wait(&found[1], Unit::Seconds, 0.0)
}

/// A number of the unit, a duration with units of its own, or a time (RFC 9110, RFC 3339). A time that has passed is no wait.
fn wait(value: &str, unit: Unit, now_ts: f64) -> Option<Duration> {
    let value = value.trim();
    let until = |ts: f64| Duration::try_from_secs_f64((ts - now_ts).max(0.0)).ok();
    if let Ok(number) = value.parse::<f64>() {
        return match unit {
            // A number that no duration holds is a wait without end.
            Unit::Seconds if number >= 0.0 => Some(Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX)),
            Unit::Milliseconds if number >= 0.0 => Duration::try_from_secs_f64(number / 1e3).ok(),
            Unit::Epoch if (1e12..1e13).contains(&number) => until(number / 1e3),
            Unit::Epoch if (1e9..1e10).contains(&number) => until(number),
            _ => None,
        };
    }
    if let Ok(duration) = value.parse::<SignedDuration>() {
        return Duration::try_from(duration).ok();
    }
    let rfc9110 = || jiff::fmt::rfc2822::parse(value).ok().map(|time| time.timestamp());
    let time = value.parse::<Timestamp>().ok().or_else(rfc9110)?;
    until(time.as_duration().as_secs_f64())
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

    const NOW: f64 = 1_795_276_800.0; // 2026-11-21T16:00:00Z

    #[test]
    fn headers_tell_the_wait() {
        for (headers, expect) in [
            (&[("retry-after", "2")][..], Some(2.0)),
            (&[("retry-after", "0.5")], Some(0.5)),
            (&[("retry-after", "3s")], Some(3.0)),
            (&[("retry-after", "Sat, 21 Nov 2026 16:00:10 GMT")], Some(10.0)),
            (&[("retry-after", "Sat, 21 Nov 2020 16:00:10 GMT")], Some(0.0)),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "-1s")], None),
            (&[("retry-after", "1e300")], Some(Duration::MAX.as_secs_f64())),
            (&[("retry-after", "nan")], None),
            (&[("retry-after-ms", "1500"), ("retry-after", "2")], Some(1.5)),
            (&[("llm_provider-retry-after", "4")], Some(4.0)),
            (&[("x-ratelimit-reset", "1795276802000")], Some(2.0)),
            (&[("x-ratelimit-reset", "1795276802")], Some(2.0)),
            (&[("x-ratelimit-reset", "1795276000000")], Some(0.0)),
            (&[("x-ratelimit-reset", "6m0s")], Some(360.0)),
            (&[("x-ratelimit-reset", "30")], None),
            (&[("x-ratelimit-reset", "-1")], None),
            (&[("x-ratelimit-reset", "NaN")], None),
            (&[("x-ratelimit-reset-tokens", "6m0s"), ("x-ratelimit-remaining-tokens", "0")], Some(360.0)),
            (&[("x-ratelimit-reset-tokens", "20ms"), ("x-ratelimit-remaining-tokens", "149984")], None),
            (
                &[
                    ("x-ratelimit-reset-requests", "1s"),
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-tokens", "9s"),
                    ("x-ratelimit-remaining-tokens", "0"),
                ],
                Some(9.0),
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-reset", "2026-11-21T16:00:07Z"),
                    ("anthropic-ratelimit-requests-remaining", "0"),
                ],
                Some(7.0),
            ),
            (&[], None),
        ] {
            let header = |name: &str| Some(headers.iter().find(|(known, _)| *known == name)?.1.to_owned());
            assert_eq!(wait_in_headers(header, NOW).map(|wait| wait.as_secs_f64()), expect, "{headers:?}");
        }
    }

    #[test]
    fn bodies_tell_the_wait() {
        let info = r#"{"error":{"details":[{"@type":"other"},{"retryDelay":"3.5s"}]}}"#;
        for (body, expect) in [
            (r#"{"error":{"availability":{"retry_after":3}}}"#, Some(3.0)),
            (r#"{"error":{"metadata":{"headers":{"X-RateLimit-Reset":"1795276805000"}}}}"#, Some(5.0)),
            (r#"{"error":{"availability":{"retry_after":-1}}}"#, None),
            (info, Some(3.5)),
            (&format!("[{info}]"), Some(3.5)),
            (r#"{"error":{"message":"Limit 100000. Please try again in 5.66s. Visit"}}"#, Some(5.66)),
            (r#"{"error":{"message":"Please try again in 7m12.5s."}}"#, Some(432.5)),
            (r#"{"error":{"message":"Please try again in 250ms."}}"#, Some(0.25)),
            (r#"{"error":"Please retry after 7 seconds."}"#, Some(7.0)),
            (r#"{"detail":"Please Retry in 1 minute 30 seconds"}"#, Some(90.0)),
            (r#"{"error":{"message":"try again in a moment"}}"#, None),
            (r#"{"error":{"message":"try again in 3 days"}}"#, None),
            (r#"{"error":{"message":"try again in 3 months"}}"#, None),
            ("{}", None),
            ("[]", None),
            ("null", None),
        ] {
            let wait = wait_in_body(&serde_json::from_str(body).unwrap(), NOW);
            assert_eq!(wait.map(|wait| wait.as_secs_f64()), expect, "{body}");
        }
    }
}
