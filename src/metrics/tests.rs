use super::*;
use crate::clock::Stamp;
use crate::protocol::Arrival;
use crate::record::{Failure, FailureKind, Pricing, Source, fixture};
use serde_json::json;

const SECOND: u64 = 1_000_000_000;

fn response(chunks: &[(u64, u64, u32, ChunkKind)]) -> Response {
    let mut answer = StreamedAnswer::default();
    (answer.ended, answer.metadata.finish_reason) = (true, Some("stop".into()));
    answer.first_event = Some(Arrival { ns: SECOND + 50_000_000, read: 1 });
    answer.chunks = chunks
        .iter()
        .map(|&(ms, read, bytes, kind)| Chunk { at: Arrival { ns: SECOND + ms * 1_000_000, read }, bytes, kind })
        .collect();
    Response {
        start: Some(Stamp { mono_ns: SECOND, ts: 1000.0 }),
        connect_seconds: Some(0.25),
        headers_ns: Some(SECOND + 40_000_000),
        end_ns: SECOND * 2,
        status: Some(200),
        answer,
        reads: 5,
        error: None,
        retry_after: None,
    }
}

fn outcome(response: Response) -> Outcome {
    let mut outcome = fixture::result(1, "m").record();
    let model = Model {
        id: "m".into(),
        pricing: Some(Pricing {
            prompt_usd_per_token: Some("0.000001".into()),
            completion_usd_per_token: Some("0.000002".into()),
            request_usd: None,
        }),
        ..Model::default()
    };
    fill(
        &mut outcome,
        response,
        &model,
        &Parameters { stream: true, ..Parameters::default() },
        sources::protocols(Source::Openai, None)[0],
    );
    outcome
}

#[test]
fn numbers_of_a_stream_follow_from_its_stamps() {
    use ChunkKind::{Answer as A, Reasoning as R};
    let mut response = response(&[(200, 1, 4, R), (220, 2, 4, R), (240, 3, 4, A), (300, 4, 4, A)]);
    response.answer.metadata.usage = Some(json!({"prompt_tokens": 30, "completion_tokens": 4,
        "completion_tokens_details": {"reasoning_tokens": 2}, "prompt_tokens_details": {"cached_tokens": 10}}));
    let outcome = outcome(response);
    let timing = outcome.timing_seconds.unwrap();
    assert_eq!((timing.headers, timing.first_event, timing.connect), (Some(0.04), Some(0.05), Some(0.25)));
    assert_eq!((timing.first_token, timing.first_output_token), (Some(0.2), Some(0.24)));
    assert_eq!((outcome.ttft_seconds, outcome.generation_time_seconds), (Some(0.2), Some(1.0)));
    assert!((outcome.tpot_corrected_seconds.unwrap() - 0.1 / 3.0).abs() < 1e-12);
    assert_eq!(outcome.tpot_corrected_seconds, outcome.tpot_seconds);
    let itl = outcome.inter_chunk_latency_seconds.unwrap();
    assert_eq!((itl.count, itl.min, itl.max), (3, Some(0.02), Some(0.06)));
    assert_eq!(Histogram::decode(&itl.histogram.unwrap()).unwrap().count(), 3);
    let tokens = outcome.tokens.unwrap();
    assert_eq!((tokens.input, tokens.output, tokens.reasoning, tokens.cached), (Some(30), Some(4), Some(2), Some(10)));
    let derived = outcome.derived.unwrap();
    assert_eq!((derived.tokens_per_second, derived.prompt_tokens_per_second), (Some(4.0), Some(100.0)));
    assert!((outcome.cost.unwrap().usd - (30e-6 + 8e-6)).abs() < 1e-15);
    assert_eq!(outcome.warnings, ["cached_prompt"]);
}

#[test]
fn tokens_of_the_first_chunk_do_not_raise_the_decode_rate() {
    // 100 tokens as 25 chunks of 4 every 20 ms: truly 200 tokens per second.
    let chunks: Vec<_> = (0..25).map(|n| (200 + n * 20, n, 16, ChunkKind::Answer)).collect();
    let mut response = response(&chunks);
    response.answer.metadata.usage = Some(json!({"completion_tokens": 100}));
    let outcome = outcome(response);
    assert!((outcome.derived.unwrap().decode_tokens_per_second.unwrap() - 200.0).abs() < 1e-6);
    assert!((1.0 / outcome.tpot_seconds.unwrap() - 206.25).abs() < 1e-6);
}

#[test]
fn undefined_numbers_are_null() {
    let one = outcome(response(&[(200, 1, 4, ChunkKind::Answer)]));
    assert_eq!((one.tpot_corrected_seconds, one.tpot_seconds, one.inter_chunk_latency_seconds), (None, None, None));
    assert_eq!(one.tokens.unwrap().method, Some(TokenMethod::Chunks));
    assert_eq!(one.derived, None);
    assert_eq!(one.warnings, ["usage_missing"]);

    let mut failed = response(&[]);
    failed.error = Some(Failure { kind: FailureKind::Http, status: Some(418), message: "no".into(), retryable: false });
    let failed = outcome(failed);
    assert_eq!((failed.ttft_seconds, failed.generation_time_seconds, failed.tokens.clone()), (None, None, None));
    assert_eq!(failed.errors.generation.as_deref(), Some("no"));

    let mut never = response(&[]);
    never.start = None;
    never.error = Some(Failure { kind: FailureKind::Connect, status: None, message: "no".into(), retryable: true });
    let never = outcome(never);
    assert_eq!((never.timing_seconds, never.start_ts, never.chunks), (None, None, None));
}

#[test]
fn zero_tokens_with_text_are_no_count() {
    let mut response = response(&[(200, 1, 4, ChunkKind::Answer), (210, 2, 4, ChunkKind::Answer)]);
    response.answer.metadata.usage = Some(json!({"prompt_tokens": 3, "completion_tokens": 0}));
    let tokens = outcome(response).tokens.unwrap();
    assert_eq!((tokens.output, tokens.method), (Some(2), Some(TokenMethod::Chunks)));
}

#[test]
fn impossible_counts_are_ignored() {
    for usage in [
        json!({"prompt_tokens": u64::MAX, "completion_tokens": 1e30, "prompt_tokens_details": {"cached_tokens": i64::MAX}}),
        json!({"prompt_tokens": -5, "completion_tokens": 3.9, "cost": -5.0}),
        json!({"prompt_tokens": "7", "completion_tokens": [1], "cost": "free"}),
    ] {
        let mut response = response(&[(200, 1, 4, ChunkKind::Answer), (210, 2, 4, ChunkKind::Answer)]);
        response.answer.metadata.usage = Some(usage.clone());
        let outcome = outcome(response);
        let tokens = outcome.tokens.unwrap();
        assert_eq!((tokens.input, tokens.output, tokens.method), (None, Some(2), Some(TokenMethod::Chunks)), "{usage}");
        assert_eq!((tokens.cached, outcome.cost), (None, None), "{usage}");
    }
}

#[test]
fn detects_a_buffered_stream() {
    let mut response = response(&(0..20).map(|n| (900 + n / 19, 1, 4, ChunkKind::Answer)).collect::<Vec<_>>());
    response.answer.metadata.usage = Some(json!({"completion_tokens": 20}));
    assert!(outcome(response).warnings.contains(&"buffered_stream".to_owned()));
}

#[test]
fn warns_when_another_model_answers() {
    for (asked, served, same) in [
        ("openai/gpt-oss-20b", "gpt-oss-20b", true),
        ("qwen3-4b", "qwen3-4b:2", true),
        ("gpt-4o", "gpt-4o-2024-11-20", true),
        ("tiny", "tiny.gguf", true),
        ("openrouter/auto", "anthropic/claude", true),
        ("deepseek/deepseek-v3:free", "deepseek/deepseek-v3", true),
        ("llama-3", "qwen3-4b", false),
    ] {
        assert_eq!(same_model(asked, served), same, "{asked} {served}");
    }
}

#[test]
fn matches_tag_and_name_of_a_provider() {
    for (tag, name, served, same) in [
        ("aviary/fp8", None, "Aviary", true),
        ("google-vertex/us-east5", None, "Google", true),
        ("google-vertex", None, "Google Vertex", true),
        ("z-ai", None, "Z.AI", true),
        ("aviary/fp8", None, "Roost", false),
        ("aviary/fp8", None, "", false),
        ("together", Some("Together AI"), "Together AI", true),
        ("google-vertex", Some("Google Vertex"), "Google AI Studio", false),
    ] {
        assert_eq!(same_provider(tag, name, served), same, "{tag} {name:?} {served}");
    }
}

#[test]
fn charge_with_own_key_includes_the_provider_price() {
    for (usage, usd) in [
        (json!({"cost": 0.01, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.2}}), 0.21),
        (json!({"cost": 0.01, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.01}}), 0.01),
        (json!({"cost": 0.01, "is_byok": true, "cost_details": null}), 0.01),
    ] {
        let mut response = response(&[(200, 1, 4, ChunkKind::Answer)]);
        response.answer.metadata.usage = Some(usage);
        assert!((outcome(response).cost.unwrap().usd - usd).abs() < 1e-12);
    }
}
