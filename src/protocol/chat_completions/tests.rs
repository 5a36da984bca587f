use super::*;
use crate::record::FailureKind;

fn stream(events: &[&str]) -> StreamedAnswer {
    let mut answer = StreamedAnswer::default();
    for (n, data) in events.iter().enumerate() {
        event(&mut answer, Arrival { ns: n as u64, read: n as u64 }, data);
    }
    answer.close();
    answer
}

#[test]
fn finds_text_in_every_field() {
    for (events, text, reasoning, chunks) in [
        (&[r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#][..], "", "", 0),
        (&[r#"{"choices":[{"delta":{"role":"assistant","content":null}}]}"#], "", "", 0),
        (&[r#"{"choices":[{"delta":{"content":"a\"ä"}}]}"#], "a\"ä", "", 1),
        (&[r#"{"choices":[{"delta":{"reasoning":"h","reasoning_content":"h","content":""}}]}"#], "", "h", 1),
        (&[r#"{"choices":[{"delta":{"reasoning_details":[{"type":"reasoning.text","text":"h"}]}}]}"#], "", "h", 1),
        (&[r#"{"choices":[{"delta":{"reasoning":"h","reasoning_details":[{"text":"h"}]}}]}"#], "", "h", 1),
        (&[r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"}]}}]}"#], "a", "", 1),
        (&[r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{\"x\""}}]}}]}"#], "", "", 1),
        (&[r#"{"choices":[]}"#, r#"{"choices":null}"#, r#"{"x":1}"#, "", "[DONE]"], "", "", 0),
        (
            &[
                r#"{"choices":[{"delta":{"content":"<think>h</think>"}}]}"#,
                r#"{"choices":[{"delta":{"content":"a"}}]}"#,
            ],
            "a",
            "h",
            2,
        ),
        (&[r#"{"choices":[{"text":"a","finish_reason":"length"}]}"#], "a", "", 1),
        (&[r#"{"choices":[{"delta":{"content":"a"},"message":{"content":"all"}}]}"#], "a", "", 1),
        (&[r#"{"choices":[{"delta":{"content":"a","content":"b"}}]}"#], "b", "", 1),
        (
            &[
                r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#,
                r#"{"choices":[{"delta":{"content":"\ude00 \ud83d\ude00\n"}}]}"#,
            ],
            "\u{fffd}\u{fffd} 😀\n",
            "",
            2,
        ),
    ] {
        let answer = stream(events);
        assert_eq!(answer.metadata.error, None, "{events:?}");
        assert_eq!(
            (answer.text.as_str(), answer.reasoning.as_str(), answer.chunks.len()),
            (text, reasoning, chunks),
            "{events:?}"
        );
    }
}

#[test]
fn errors_with_status_200_are_errors() {
    for (data, kind, message) in [
        (
            r#"{"error":{"code":502,"message":"down"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            FailureKind::Server,
            "down",
        ),
        (r#"{"error":{"code":"server_error","message":"down"}}"#, FailureKind::Server, "down (server_error)"),
        (
            r#"{"choices":[{"error":{"code":429,"message":"slow"},"finish_reason":"error"}]}"#,
            FailureKind::RateLimit,
            "slow",
        ),
        (r#"{"object":"error","message":"no","type":"X"}"#, FailureKind::Server, "no (X)"),
        (
            r#"{"choices":null,"base_resp":{"status_code":1004,"status_msg":"auth"}}"#,
            FailureKind::Server,
            "auth (1004)",
        ),
        (r#""just a string""#, FailureKind::Protocol, "a chunk of an unknown shape: \"just a string\""),
        ("The model is overloaded", FailureKind::Protocol, "a chunk that is not JSON: The model is overloaded"),
        (
            r#"{"choices":[{"delta":{"content":"a"#,
            FailureKind::Protocol,
            r#"a chunk that is not JSON: {"choices":[{"delta":{"content":"a"#,
        ),
    ] {
        let error = stream(&[data]).metadata.error.unwrap_or_else(|| panic!("{data}"));
        assert_eq!((error.kind, error.message.as_str()), (kind, message), "{data}");
    }
    assert_eq!(stream(&[r#"{"error":null,"choices":[]}"#]).metadata.error, None);
}

#[test]
fn finds_usage_in_every_place() {
    for events in [
        &[r#"{"choices":[],"usage":{"completion_tokens":2}}"#][..],
        &[r#"{"choices":[{"delta":{"content":""},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}"#],
        &[
            r#"{"choices":[],"usage":{"completion_tokens":1}}"#,
            r#"{"choices":[],"usage":{"completion_tokens":2}}"#,
            r#"{"usage":null}"#,
        ],
    ] {
        assert_eq!(stream(events).metadata.usage.unwrap()["completion_tokens"], 2, "{events:?}");
    }
}

#[test]
fn counts_tokens_of_the_first_chunk_by_running_counts() {
    let role = r#"{"choices":[{"delta":{"role":"assistant"}}],"usage":{"completion_tokens":0,"prompt_tokens":1}}"#;
    for (events, tokens) in [
        (&[role, r#"{"choices":[{"delta":{"content":"abc"}}],"usage":{"completion_tokens":3}}"#][..], Some(3)),
        (&[r#"{"choices":[{"delta":{"content":"abc"}}],"timings":{"predicted_n":2}}"#], Some(2)),
        (&[r#"{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{},{}]}}]}"#], Some(2)),
        (&[r#"{"choices":[{"delta":{"content":"a"},"token_ids":[1,2,3]}]}"#], Some(3)),
        // A token that is held back because it is half a character comes with the next one's text.
        (
            &[
                r#"{"choices":[{"delta":{"content":""},"token_ids":[1]}]}"#,
                r#"{"choices":[{"delta":{"content":"ä"},"token_ids":[2]}]}"#,
            ],
            Some(2),
        ),
        (&[r#"{"choices":[{"delta":{"content":"a"},"logprobs":null,"token_ids":null}]}"#, role], None),
        (
            &[
                r#"{"choices":[{"delta":{"content":"a"}}]}"#,
                r#"{"choices":[{"delta":{"content":"b"}}],"usage":{"completion_tokens":2}}"#,
            ],
            None,
        ),
    ] {
        assert_eq!(stream(events).metadata.first_chunk_tokens, tokens, "{events:?}");
    }
}

#[test]
fn first_choice_is_the_answer_and_all_choices_are_timed() {
    let answer = stream(&[
        r#"{"choices":[{"index":1,"delta":{"content":"<think>x"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"y"}}]}"#,
        r#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}"#,
    ]);
    assert_eq!((answer.text.as_str(), answer.reasoning.as_str(), answer.chunks.len()), ("ab", "", 3));
    assert_eq!(answer.metadata.finish_reason.as_deref(), Some("stop"));
    assert!(
        answer.metadata.warnings.contains("several_choices")
            && !answer.metadata.warnings.contains("two_finish_reasons")
    );
}

#[test]
fn unknown_fields_keep_their_last_value_up_to_a_limit() {
    let mut events: Vec<String> = (0..100).map(|n| format!(r#"{{"field{n}":{n},"choices":[]}}"#)).collect();
    events.push(format!(r#"{{"field0":"{}","field1":null,"field2":[1]}}"#, "x".repeat(20_000)));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let kept = stream(&events).metadata.server_fields;
    assert_eq!(kept.len(), 64);
    let of = |name: &str| kept.iter().find(|(known, _)| known == name).map(|(_, raw)| raw.as_str());
    assert_eq!([of("field0"), of("field1"), of("field2"), of("field99")], [Some("0"), Some("1"), Some("[1]"), None]);
}

#[test]
fn empty_finish_reason_does_not_end_the_answer() {
    let answer = stream(&[
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}"#,
        r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"length","native_finish_reason":"MAX"}]}"#,
    ]);
    assert_eq!((answer.text.as_str(), answer.metadata.finish_reason.as_deref()), ("ab", Some("length")));
    assert_eq!(answer.metadata.native_finish_reason.as_deref(), Some("MAX"));
    assert_eq!(answer.chunks[1].kind, ChunkKind::Answer);
}

#[test]
fn whole_body_is_read_like_one_chunk() {
    let mut answer = StreamedAnswer::default();
    whole(
        &mut answer,
        Arrival::default(),
        "\n\n  {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"completion_tokens\":1},\"stats\":{}}",
    );
    assert_eq!((answer.text.as_str(), answer.ended, answer.whole), ("a", true, true));
    assert_eq!((answer.metadata.rest_stats, answer.metadata.served_model.as_deref()), (None, Some("m")));
}
