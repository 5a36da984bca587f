//! OpenAI-compatible servers, each in its own manner: what [`Flavor`] names. Taken from recordings of the real ones where there
//! are any (llama-server 0.7.0, vLLM 0.32.0, mlx-lm 0.32.2, LiteLLM 1.106.2), else from their code and documents.

mod listing;
mod refusals;

pub use listing::{list, other, server_header};

use super::completions::{self, Manner, PLAIN, Reasoning, Role, TooLong, UsagePlace};
use crate::sim::flavor::{Flavor, ReasoningIn};
use crate::sim::turn::{Sent, Turn};
use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

/// The manner of a flavor.
pub fn manner(flavor: Flavor) -> &'static Manner {
    match flavor {
        Flavor::Plain => &OPENAI,
        Flavor::LlamaCpp => &LLAMA_CPP,
        Flavor::LlamaCppPython => &LLAMA_CPP_PYTHON,
        Flavor::Vllm => &VLLM,
        Flavor::Sglang => &SGLANG,
        Flavor::Tgi => &TGI,
        Flavor::Mlx => &MLX,
        Flavor::Litellm => &LITELLM,
        Flavor::MistralRs => &MISTRAL_RS,
        Flavor::Transformers => &TRANSFORMERS,
    }
}

impl From<ReasoningIn> for Reasoning {
    fn from(place: ReasoningIn) -> Self {
        match place {
            ReasoningIn::Reasoning => Reasoning::Field("reasoning"),
            ReasoningIn::ReasoningContent => Reasoning::Field("reasoning_content"),
            ReasoningIn::Both => Reasoning::Both,
            ReasoningIn::Details => Reasoning::Twice,
            ReasoningIn::DetailsOnly => Reasoning::Details,
            ReasoningIn::Inline => Reasoning::Inline,
        }
    }
}

static OPENAI: Manner = Manner { usage_null: true, envelope: |_, chunk| fingerprint(chunk, "fp_llm_sim"), ..PLAIN };

static LLAMA_CPP: Manner = Manner {
    role: Role::JustBefore(Some("null")),
    comment: Some(""),
    envelope: |_, chunk| fingerprint(chunk, "b11669-llm-sim"),
    each: |turn, n, chunk| {
        if turn.ask.body["timings_per_token"] == true {
            chunk.insert("timings".into(), timings(turn, n + 1));
        }
        log_probabilities(turn, n, chunk);
    },
    choice: |_, choice| drop(choice.shift_remove("logprobs")),
    usage: |_, sent| plain_usage(sent, true, false),
    end: |turn, chunk| drop(chunk.insert("timings".into(), timings(turn, turn.plan.chunks.len()))),
    prelude: prompt_progress,
    head: |_, _, headers| {
        set(headers, "server", "llama.cpp");
        set(headers, "x-accel-buffering", "no");
        set(headers, "keep-alive", "timeout=5, max=100");
    },
    refuse: refusals::llama_cpp,
    any_model: true,
    choices: (true, true, true),
    too_long: TooLong::Refused,
    closes: true,
    ..PLAIN
};

static LLAMA_CPP_PYTHON: Manner = Manner {
    role: Role::JustBefore(None),
    usage_place: UsagePlace::Never,
    usage: |_, sent| plain_usage(sent, false, false),
    any_model: true,
    old_limit_only: true,
    too_long: TooLong::Empty,
    refuse: refusals::vllm,
    ..PLAIN
};

static VLLM: Manner = Manner {
    role: Role::JustBefore(Some("")),
    reasoning: Reasoning::Field("reasoning"),
    finish_with_text: true,
    each: |turn, n, chunk| {
        cumulative(turn, n, chunk, |sent| plain_usage(sent, false, false));
        log_probabilities(turn, n, chunk);
    },
    choice: |finish, choice| {
        if finish.is_some() {
            choice.insert("stop_reason".into(), Value::Null);
        }
        choice.insert("token_ids".into(), Value::Null);
    },
    usage: |_, sent| plain_usage(sent, false, false),
    last: |turn, chunk| {
        fingerprint(chunk, "vllm-0.32.0-llm-sim");
        let rest = (turn.all().output.saturating_sub(1)) as f64;
        let gap_ms = turn.decode_seconds() * 1e3 / rest.max(1.0);
        let metrics = json!({
            "time_to_first_token_ms": turn.ttft_seconds() * 1e3, "generation_time_ms": turn.decode_seconds() * 1e3,
            "queue_time_ms": 0.0, "mean_itl_ms": gap_ms, "tokens_per_second": turn.tokens_per_second(),
        });
        chunk.insert("metrics".into(), metrics);
    },
    refuse: refusals::vllm,
    choices: (true, true, true),
    too_long: TooLong::Refused,
    ..PLAIN
};

static SGLANG: Manner = Manner {
    each: |turn, n, chunk| {
        cumulative(turn, n, chunk, |sent| plain_usage(sent, false, true));
        log_probabilities(turn, n, chunk);
    },
    choice: |finish, choice| drop(choice.insert("matched_stop".into(), finish.map(|_| 2).into())),
    usage: |_, sent| plain_usage(sent, false, true),
    failing: |_| refusals::sglang_in_stream(),
    refuse: refusals::sglang,
    choices: (true, true, true),
    too_long: TooLong::Refused,
    ..PLAIN
};

static TGI: Manner = Manner {
    id: |_, _| String::new(),
    role: Role::Every,
    comment: Some(""),
    usage_null: true,
    usage: |_, sent| plain_usage(sent, false, false),
    envelope: |_, chunk| fingerprint(chunk, "3.3.6-llm-sim"),
    head: |_, _, headers| set(headers, "x-accel-buffering", "no"),
    refuse: refusals::tgi,
    any_model: true,
    too_long: TooLong::Refused,
    ..PLAIN
};

static MLX: Manner = Manner {
    role: Role::Every,
    reasoning: Reasoning::Field("reasoning"),
    comment: Some("keepalive 2048/6016"),
    envelope: |_, chunk| fingerprint(chunk, "0.32.2-llm-sim"),
    choice: |_, choice| drop(choice.shift_remove("logprobs")),
    usage: |_, sent| plain_usage(sent, true, false),
    // The one place where mlx-lm calls a chunk of a stream a whole answer.
    last: |_, chunk| drop(chunk.insert("object".into(), "chat.completion".into())),
    refuse: refusals::mlx,
    http_1_0: true,
    ..PLAIN
};

static LITELLM: Manner = Manner {
    role: Role::JustBefore(None),
    envelope: |_, chunk| fingerprint(chunk, "b11669-llm-sim"),
    choice: |finish, choice| {
        choice.shift_remove("logprobs");
        if finish.is_none() {
            choice.shift_remove("finish_reason");
        }
    },
    usage_place: UsagePlace::WithChoice,
    usage: |_, sent| {
        let mut usage = completions::usage(sent);
        // It counts no reasoning, whatever came.
        usage["completion_tokens_details"] = json!({"reasoning_tokens": 0, "text_tokens": sent.output});
        usage
    },
    head: |_, _, headers| {
        set(headers, "x-litellm-version", "1.106.2");
        set(headers, "x-accel-buffering", "no");
    },
    refuse: refusals::litellm,
    choices: (true, true, false),
    too_long: TooLong::Refused,
    needs_json_type: true,
    ..PLAIN
};

static MISTRAL_RS: Manner = Manner {
    role: Role::Every,
    usage_place: UsagePlace::WithFinish,
    finish_with_text: true,
    usage: |turn, sent| {
        let mut usage = plain_usage(sent, false, false);
        let (prompt, rest) = (turn.ttft_seconds(), turn.decode_seconds());
        usage["total_time_sec"] = (prompt + rest).into();
        usage["total_prompt_time_sec"] = prompt.into();
        usage["total_completion_time_sec"] = rest.into();
        usage
    },
    refuse: refusals::mistral_rs,
    choices: (true, false, true),
    too_long: TooLong::Line,
    ..PLAIN
};

static TRANSFORMERS: Manner = Manner {
    role: Role::JustBefore(None),
    usage_place: UsagePlace::WithFinish,
    usage: |_, sent| plain_usage(sent, false, false),
    done: false,
    refuse: refusals::transformers,
    ..PLAIN
};

fn fingerprint(chunk: &mut Map<String, Value>, text: &str) {
    chunk.insert("system_fingerprint".into(), text.into());
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// The three counts; with what the cache held; with reasoning at the top.
fn plain_usage(sent: Sent, cached: bool, reasoning: bool) -> Value {
    let mut usage = json!({
        "completion_tokens": sent.output, "prompt_tokens": sent.input, "total_tokens": sent.input + sent.output,
    });
    if cached {
        usage["prompt_tokens_details"] = json!({"cached_tokens": 0});
    }
    if reasoning {
        usage["reasoning_tokens"] = sent.reasoning.into();
    }
    usage
}

/// llama.cpp's timings after so many chunks. Its time per token leaves the first token out.
fn timings(turn: &Turn, chunks: usize) -> Value {
    let sent = turn.sent(chunks);
    let upto = turn.plan.chunks.get(chunks.saturating_sub(1)).map_or(0, |chunk| chunk.offset_ns);
    let (prompt_ms, predicted_ms) = (turn.ttft_seconds() * 1e3, upto.saturating_sub(turn.plan.first_ns) as f64 / 1e6);
    let per = |n: u64, ms: f64| if ms > 0.0 { n as f64 * 1e3 / ms } else { 0.0 };
    json!({
        "cache_n": 0, "prompt_n": sent.input, "prompt_ms": prompt_ms,
        "prompt_per_token_ms": prompt_ms / sent.input.max(1) as f64, "prompt_per_second": per(sent.input, prompt_ms),
        "predicted_n": sent.output, "predicted_ms": predicted_ms,
        "predicted_per_token_ms": predicted_ms / sent.output.saturating_sub(1).max(1) as f64,
        "predicted_per_second": per(sent.output, predicted_ms),
    })
}

/// With `return_progress`, llama.cpp tells of the prompt in chunks that only say the role.
fn prompt_progress(turn: &Turn) -> Vec<(u64, Value)> {
    if turn.ask.body["return_progress"] != true {
        return Vec::new();
    }
    let total = turn.ask.input_tokens();
    let step = |n: u64| {
        let at_ns = turn.plan.first_ns * n / 4;
        let progress = json!({"total": total, "cache": 0, "processed": total * n / 4, "time_ms": at_ns / 1_000_000});
        let delta = json!({"role": "assistant", "content": null});
        let choice = json!({"finish_reason": null, "index": 0, "delta": delta});
        let chunk = json!({"choices": [choice], "object": "chat.completion.chunk", "prompt_progress": progress});
        (at_ns, chunk)
    };
    (1..4).map(step).collect()
}

/// `continuous_usage_stats`: usage with every chunk of text.
fn cumulative(turn: &Turn, n: usize, chunk: &mut Map<String, Value>, usage: fn(Sent) -> Value) {
    if turn.ask.body["stream_options"]["continuous_usage_stats"] == true {
        chunk.insert("usage".into(), usage(turn.sent(n + 1)));
    }
}

/// `logprobs`: one entry per token; `return_token_ids` (vLLM): their numbers.
fn log_probabilities(turn: &Turn, n: usize, chunk: &mut Map<String, Value>) {
    let tokens = turn.plan.chunks[n].tokens;
    let Some(choice) = chunk.get_mut("choices").and_then(|choices| choices.get_mut(0)) else { return };
    if turn.ask.body["logprobs"] == true {
        let token = json!({"token": "x", "logprob": -0.5, "bytes": [120]});
        let mut entry = token.clone();
        entry["top_logprobs"] = json!([token]);
        let entries = vec![entry; tokens as usize];
        choice["logprobs"] = json!({"content": entries});
    }
    if turn.ask.body["return_token_ids"] == true {
        choice["token_ids"] = (0..tokens).collect();
    }
}
