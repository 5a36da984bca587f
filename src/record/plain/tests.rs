use super::super::Outcome;
use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    let mut plain = Plain::new(text);
    T::deserialize(&mut plain).ok().filter(|_| plain.ended())
}

/// A result with something of everything.
const LINE: &str = r#"{"type":"result","v":1,"run":"r","id":17,"key":"k","source":"openai","model":"é\n\ud83d\ude00","start_ts":1700000000.34,"timing_seconds":{"scheduled":-0.25,"end":1e-05},"ttft_seconds":null,"itl_seconds":{"count":2,"mean":0.0131,"min":1.25e-3,"p50":0.0131,"p90":0,"p95":-0,"p99":-0.0,"max":123456789012345678901234567890.5,"histogram":"HIST"},"tokens":{"input":27,"output":50,"source":"server_stats"},"stream":[[0.5,3,"answer"],[0.75,0,""]],"usage":{"a":[1,[],{},-7,true,false,null,9007199254740993.5,0.1]},"phase":"measure","finish_reason":"stop","attempts":[{"error":"x","wait_seconds":1.0}],"errors":{"load":null},"error":null,"power":null,"memory":{"primary":"pss","samples":3}}"#;

/// What it makes of a text is what serde_json makes of it; of nothing else anything may be made.
fn is_true(text: &str) {
    if let Some(value) = read::<Value>(text) {
        assert_eq!(value.to_string(), serde_json::from_str::<Value>(text).unwrap().to_string(), "{text}");
    }
    if let Some(outcome) = read::<Outcome>(text) {
        let other = serde_json::from_str::<Outcome>(text).unwrap();
        assert_eq!(format!("{outcome:?}"), format!("{other:?}"), "{text}");
    }
}

#[test]
fn what_these_programs_write_is_plain() {
    assert!(read::<Outcome>(LINE).is_some() && read::<Value>(LINE).is_some());
    is_true(LINE);
}

#[test]
fn what_is_wrong_or_unusual_is_left_to_others() {
    for text in [
        "",
        "{",
        "{}}",
        "{} ",
        "{ }",
        r#"{"a": 1}"#,
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a"}"#,
        "[1,]",
        "[1 ]",
        "[,1]",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e999",
        "+1",
        "nul",
        "truee",
        "\"a",
        "\"a\tb\"",
        r#""\x""#,
        r#""\ud800""#,
        "NaN",
        "12345678901234567890",
        "-9223372036854775809",
    ] {
        assert!(read::<Value>(text).is_none(), "{text}");
    }
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(read::<Value>(&deep(64)).is_some() && read::<Value>(&deep(65)).is_none());
    assert!(read::<Outcome>(r#"{"model":"m","model":"n"}"#).is_none() && read::<Outcome>(r#"{"id":1}"#).is_none());
}

/// Any JSON, as serde_json writes it.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\\n\u{1}-~é]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("[a-z\"\\\\]{0,12}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_json_is_read_as_serde_json_reads_it(value in json()) {
        is_true(&value.to_string());
    }

    #[test]
    fn any_number_is_read_as_serde_json_reads_it(text in "-?[0-9]{1,25}(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?") {
        is_true(&text);
    }

    #[test]
    fn a_damaged_result_is_read_as_serde_json_reads_it(
        damage in proptest::collection::vec((0..LINE.len(), 0..4usize, "[ -~\t\n{}\\[\\]\",:0-9.e\\\\-]"), 1..4),
    ) {
        let mut text: Vec<char> = LINE.chars().collect();
        for (at, gone, new) in damage {
            let at = at.min(text.len());
            text.splice(at..(at + gone).min(text.len()), new.chars());
        }
        is_true(&text.into_iter().collect::<String>());
    }
}
