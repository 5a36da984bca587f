use super::*;
use crate::protocol::{ChatRequest, Parameters, PastTurn};
use crate::record::Model;
use clap::ValueEnum;
use serde_json::{Value, json};

#[test]
fn chat_url_follows_kind_and_base_url() {
    for (name, source, base, url) in [
        ("chat", Source::Openai, "http://h:8000", "http://h:8000/v1/chat/completions"),
        ("chat", Source::Openai, "http://h:8000/v1", "http://h:8000/v1/chat/completions"),
        ("chat", Source::Openai, "https://h/api/paas/v4", "https://h/api/paas/v4/chat/completions"),
        ("chat", Source::Openai, "https://h/llm/v1beta", "https://h/llm/v1beta/v1/chat/completions"),
        ("chat", Source::Openrouter, "https://openrouter.ai", "https://openrouter.ai/api/v1/chat/completions"),
        ("chat", Source::Openrouter, "https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/chat/completions"),
        ("chat", Source::Minimax, "https://api.minimax.io", "https://api.minimax.io/v1/chat/completions"),
        ("lmstudio-v1", Source::Lmstudio, "http://h:1234", "http://h:1234/api/v1/chat"),
        ("lmstudio-v1", Source::Lmstudio, "http://h:1234/v1", "http://h:1234/api/v1/chat"),
        ("ollama", Source::Ollama, "http://h:11434", "http://h:11434/api/chat"),
    ] {
        assert_eq!(protocols(source, Some(name))[0].url(base), url);
    }
}

#[test]
fn history_stands_between_system_and_user_message() {
    let model = Model { id: "m".into(), ..Model::default() };
    let history = [PastTurn { user: "One".into(), assistant: "1".into() }];
    let question = ChatRequest {
        model: &model,
        base_url: "http://h",
        system: Some("S"),
        history: &history,
        text: "Two",
        parameters: &Parameters::default(),
    };
    for dialect in [&OPENAI, &LMSTUDIO_V0, &OLLAMA] {
        let body = dialect.body(&question);
        let said = body["messages"].as_array().unwrap().iter();
        let said: Vec<_> = said.map(|m| format!("{}:{}", m["role"], m["content"]).replace('"', "")).collect();
        assert_eq!(said, ["system:S", "user:One", "assistant:1", "user:Two"], "{dialect}");
        assert!(dialect.conversations);
    }
}

#[test]
fn body_has_only_given_fields_and_extra_fields_win() {
    let model = Model { id: "m".into(), ..Model::default() };
    let mut parameters = Parameters { stream: true, ..Parameters::default() };
    let text = "hi";
    let body = |parameters: &Parameters, dialect: &Protocol| {
        let question =
            ChatRequest { model: &model, base_url: "http://h", system: None, history: &[], text, parameters };
        Value::from(dialect.body(&question)).to_string()
    };
    assert_eq!(
        body(&parameters, &OPENAI),
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#
    );
    assert_eq!(body(&parameters, &LMSTUDIO_V1), r#"{"model":"m","input":"hi","stream":true,"store":false}"#);
    parameters.max_tokens = Some(9);
    parameters.extra.insert("top_k".into(), 5.into());
    assert!(body(&parameters, &OPENAI).ends_with(r#""max_tokens":9,"top_k":5}"#));
    assert!(body(&parameters, &MINIMAX).contains(r#""max_completion_tokens":9"#));
    assert!(body(&parameters, &OLLAMA).contains(r#""options":{"num_predict":9}"#));
    let extra = json!({"options": {"top_k": 3}, "stream_options": {"continuous_usage_stats": true}, "max_completion_tokens": 4});
    parameters.extra = extra.as_object().cloned().unwrap();
    let merged = body(&parameters, &OLLAMA);
    assert!(merged.contains(r#""options":{"num_predict":9,"top_k":3}"#), "{merged}");
    let merged = body(&parameters, &OPENAI);
    assert!(merged.contains(r#""stream_options":{"include_usage":true,"continuous_usage_stats":true}"#), "{merged}");
    assert!(merged.contains(r#""max_completion_tokens":4"#) && !merged.contains("max_tokens"), "{merged}");
}

#[test]
fn every_kind_has_a_row_and_protocols() {
    for source in Source::value_variants() {
        assert!(kinds().any(|kind| kind.source == *source), "{source}");
        assert!(!protocols(*source, None).is_empty(), "{source}");
    }
    assert_eq!(other_keys(Source::Lmstudio), ["OPENROUTER_API_KEY", "OPENAI_API_KEY", "MINIMAX_API_KEY"]);
}
