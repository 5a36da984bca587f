use super::*;
use serde_json::json;

fn at(ns: u64) -> Arrival {
    Arrival { ns, read: ns }
}

#[test]
fn kind_of_undecided_chunks_is_set_later() {
    for (pieces, kinds) in [
        (vec!["<th", "ink>", "hm", "</think>", "Hi"], "RRRRA"),
        (vec!["<", "b>", "Hi"], "AAA"),
        (vec!["\n", "Hi"], "AA"),
        (vec!["<thi"], "A"),
        (vec!["Hi", " <think>"], "AA"),
        (vec!["<think>a</think>b"], "A"),
        (vec!["hm", "\n</thi", "nk>", "\n\n", "Hi"], "RRRAA"),
        (vec!["hm\n</think>\n\nHi", "!"], "AA"),
        (vec!["Say `</think>`", "\n</thinking>"], "AA"),
    ] {
        let mut answer = StreamedAnswer::default();
        for (n, piece) in pieces.iter().enumerate() {
            answer.event(at(n as u64));
            answer.content(at(n as u64), piece);
        }
        answer.close();
        let got: String = answer.chunks.iter().map(|c| if c.kind == ChunkKind::Answer { 'A' } else { 'R' }).collect();
        assert_eq!(got, kinds, "{pieces:?}");
    }
}

#[test]
fn one_event_is_one_chunk() {
    let mut answer = StreamedAnswer::default();
    answer.event(at(1));
    answer.think(at(1), "hm");
    answer.content(at(1), "Hi");
    answer.event(at(2));
    answer.content(at(2), "");
    assert_eq!(answer.chunks.len(), 1);
    assert_eq!((answer.chunks[0].bytes, answer.chunks[0].kind), (4, ChunkKind::Answer));
    assert_eq!((answer.text.as_str(), answer.reasoning.as_str()), ("Hi", "hm"));
}

#[test]
fn usage_of_zeros_is_ignored() {
    let mut answer = StreamedAnswer::default();
    answer.usage(json!({"total_tokens": 0, "total_characters": 0}));
    assert_eq!(answer.metadata.usage, None);
    answer.usage(json!({"completion_tokens": 5}));
    answer.usage(json!({"completion_tokens": 0}));
    answer.usage(Value::Null);
    assert_eq!(answer.metadata.usage, Some(json!({"completion_tokens": 5})));
}
