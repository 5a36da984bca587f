//! Recognizes logs of power meters by their first line, so that one error says what to do, instead of one for each line.

use crate::record;

/// The kind of log that begins with this line, where it is a log that power-sample reads; `None` for records, and for
/// anything else.
pub fn foreign_log(first: &str) -> Option<&'static str> {
    let line = first.trim();
    if line.starts_with('{') {
        let untyped = record::head(line).is_ok_and(|(kind, _)| kind.is_none());
        return (untyped && line.contains("\"all_power\"")).then_some("a log of macmon");
    }
    if ["<?xml", "<plist", "<!DOCTYPE plist"].iter().any(|begin| line.starts_with(begin)) {
        return Some("a property list, as powermetrics writes it");
    }
    if ["Machine model:", "*** Sampled system activity"].iter().any(|begin| line.starts_with(begin)) {
        return Some("a log of powermetrics");
    }
    let header = line.contains(',') && !line.contains(['{', '}', '"']) && line.contains(|c: char| c.is_alphabetic());
    let column = |name: &str| ["power", "watts"].iter().any(|word| name.to_ascii_lowercase().contains(word));
    (header && line.split(',').any(column)).then_some("a table with commas")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_recognized_by_its_first_line() {
        for (line, expect) in [
            ("Machine model: Mac16,5", Some("a log of powermetrics")),
            (
                "*** Sampled system activity (Thu Sep 18 11:43:04 2025 +0300) (1019.49ms elapsed) ***",
                Some("a log of powermetrics"),
            ),
            ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", Some("a property list, as powermetrics writes it")),
            ("timestamp, index, power.draw [W]", Some("a table with commas")),
            ("time,cpu_power_watts,gpu_power_watts", Some("a table with commas")),
            (r#"{"timestamp":"2025-01-01T00:00:00Z","all_power":5.0}"#, Some("a log of macmon")),
            (r#"{"type":"power","v":1,"all_power":1}"#, None),
            (r#"{"type":"sampler","v":1,"event":"start"}"#, None),
            (r#"ource":"x","kind":"window","watts":{"cpu":1}}"#, None),
            ("1.0,2.0,3.0", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(foreign_log(line), expect, "{line}");
        }
    }
}
