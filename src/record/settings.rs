//! The settings of a run: one row per setting, with what it does to the numbers and two example values.
//!
//! llm-run writes them, the report groups by them. A row without a classification does not compile.

use super::SearchOver;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use serde_with::skip_serializing_none;

/// What a setting does to the numbers of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Part of the task: separates groups, and only rows of the same task are ranked against each other.
    Task,
    /// Shapes numbers: separates groups.
    Separates,
    /// Shapes numbers of an open loop, and has no meaning in a closed loop.
    OpenLoop,
    /// Does not shape numbers, or is carried by each result: does not separate groups.
    Describes,
}

impl Effect {
    /// Whether groups differ when the setting differs.
    pub fn separates(self) -> bool {
        self != Effect::Describes
    }
}

/// Declares [`RunSettings`] from rows `name: Type => Effect [unless DEFAULT], EXAMPLE, EXAMPLE;`. A value equal to DEFAULT is
/// left out of grouping, so that a run which does not state it belongs to the same group.
macro_rules! run_settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $effect:ident $(unless $default:literal)?, $one:expr, $other:expr;)*) => {
        /// The settings of a run, by the names of the flags. An absent setting was not given, or is not known.
        #[skip_serializing_none]
        #[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
        pub struct RunSettings {
            $(
                $(#[$doc])*
                #[schemars(example = json!($one), example = json!($other))]
                pub $name: Option<$type>,
            )*
            /// Settings of other programs and of newer versions, and values of another type; passed on unchanged.
            #[serde(flatten)]
            pub other: Map<String, Value>,
        }

        impl RunSettings {
            /// Every setting and what it does to the numbers.
            pub const FIELDS: &'static [(&'static str, Effect)] = &[$((stringify!($name), Effect::$effect)),*];

            /// The settings that separate groups, as short text.
            pub fn separating(&self) -> Vec<(&'static str, String)> {
                let mut found = Vec::new();
                $(
                    if let Some(value) = &self.$name
                        && Effect::$effect.separates()
                        $(&& *value != $default)?
                    {
                        found.push((stringify!($name), text(&json!(value))));
                    }
                )*
                found
            }
        }

        /// Never fails on a value of another type: the value stays in [`RunSettings::other`].
        impl<'de> Deserialize<'de> for RunSettings {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut other = Option::<Map<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
                Ok(Self { $($name: take(&mut other, stringify!($name)),)* other })
            }
        }
    };
}

run_settings! {
    /// The built-in suite.
    suite: String => Task, "website", "token-rate";
    /// Prompts given as text.
    prompt: Vec<String> => Task, ["Say a word."], ["Say ten words.", "Count to 9."];
    /// Files with one prompt each.
    prompt_file: Vec<String> => Task, ["one.txt"], ["two.txt"];
    /// Files of prompts or conversations.
    input_file: Vec<String> => Task, ["prompts.jsonl"], ["talks.jsonl", "sharegpt.json"];
    /// The format of the input files, when it was given.
    input_format: String => Task, "jsonl", "sharegpt";
    /// Synthetic prompts: lengths and number.
    synthetic: Vec<String> => Task, ["in=512,out=128,n=100"], ["in=512±64,n=100", "in=9,n=1"];
    /// The number of prompts.
    prompts: u64 => Separates, 5, 32;
    /// The most turns of each conversation: a number or `all`.
    turns: String => Task, "2", "all";
    /// The system message for prompts without one.
    system: String => Task, "Be brief.", "Be kind.";
    /// The length of the text shared by all prompts, in tokens.
    shared_prefix_tokens: u64 => Task, 25, 1000;
    /// Whether a unique nonce keeps each prompt out of prompt caches, as `--nonce auto` decided for this run.
    nonce: bool => Task, true, false;
    /// The most tokens of an answer, reasoning included.
    max_tokens: u64 => Task, 128, 4096;
    /// Concurrent requests of each level; each result carries its own.
    concurrency: Vec<u64> => Describes, [1], [1, 4, 16];
    /// Requests per second of each level; each result carries its own.
    rate: Vec<f64> => Describes, [2.5], [2.0, 4.0];
    /// How arrivals are spaced.
    arrival: String => OpenLoop, "poisson", "constant";
    /// The most concurrent requests beside a rate.
    concurrency_limit: u64 => OpenLoop, 100, 10_000;
    /// Requests per model and level.
    requests: u64 => Describes, 10, 1000;
    /// How long each level lasts.
    duration_seconds: f64 => Describes, 10.0, 60.0;
    /// How often each prompt is sent.
    repeat: u64 => Describes, 1, 3;
    /// Warm-up requests per model and level.
    warmup: u64 => Separates unless 0, 0, 2;
    /// How long the load of each level rises.
    ramp_seconds: f64 => Separates, 5.0, 30.0;
    /// The number of failed requests after which no more are sent.
    max_errors: u64 => Describes, 1, 100;
    /// The seed for arrivals, synthetic prompts and sampling of input files.
    load_seed: u64 => Describes, 1, 2;
    /// How often a failed request is tried again.
    retries: u64 => Separates unless 2, 2, 0;
    /// Event loops, when their number was given.
    threads: u64 => Separates, 1, 4;
    /// The search for the highest load that passes.
    search: SearchSettings => Describes, json!({"slos": ["ttft_p95<500ms"]}), json!({"slos": ["error_rate<1%"]});
    /// The protocol that was requested; each result carries the one that was spoken.
    api: String => Separates unless "auto", "auto", "chat";
    /// Whether answers are streamed.
    stream: bool => Separates unless true, true, false;
    /// Sampling temperature.
    temperature: f64 => Separates, 0.0, 0.7;
    /// Nucleus sampling.
    top_p: f64 => Separates, 0.9, 1.0;
    /// The sampling seed.
    seed: i64 => Describes, 1, -2;
    /// Reasoning effort, in the server's words.
    reasoning_effort: String => Separates, "low", "high";
    /// Fields merged into the body of each request.
    extra_body: Map<String, Value> => Separates, json!({"ignore_eos": true}), json!({"top_k": 5});
    /// Timeout for a whole request.
    timeout_seconds: f64 => Separates unless 1800.0, 1800.0, 5.0;
    /// Timeout before the first chunk and between chunks, when it is not the timeout for a whole request.
    idle_timeout_seconds: f64 => Separates, 5.0, 60.0;
    /// Timeout for opening a connection.
    connect_timeout_seconds: f64 => Separates unless 10.0, 10.0, 0.5;
    /// The most bytes of an answer that are held.
    max_answer_bytes: u64 => Separates unless 67_108_864, 67_108_864, 1000;
    /// Whether every TLS certificate was trusted.
    insecure: bool => Describes, true, false;
    /// Whether llm-run loads models that can be loaded.
    load: bool => Separates unless true, true, false;
    /// The context length that models are loaded with, in tokens.
    context_length: u64 => Separates, 4096, 8192;
    /// GPU offload: `max`, `off` or a ratio.
    gpu: String => Separates, "max", "0.5";
    /// How long the server keeps an idle model loaded.
    ttl_seconds: f64 => Describes, 60.0, 300.0;
    /// How many requests the server may process at once.
    parallel: u64 => Separates, 1, 4;
    /// The name that the loaded model answers to.
    identifier: String => Describes, "bench", "other";
    /// How long the machine idles before each model load.
    settle_seconds: f64 => Describes, 0.0, 5.0;
    /// Timeout for a model load.
    load_timeout_seconds: f64 => Separates unless 900.0, 900.0, 60.0;
    /// The provider that requests are pinned to; each result carries its own (OpenRouter).
    provider: String => Describes, "deepinfra/fp8", "groq";
    /// Whether the cost of each request is looked up (OpenRouter).
    verify_cost: bool => Describes, false, true;
    /// Whether results keep the text of the answer.
    save_text: bool => Describes, false, true;
    /// Whether results keep every chunk.
    save_stream: bool => Describes, false, true;
}

impl RunSettings {
    /// What a setting does to the numbers; `None` for a name that is no setting.
    pub fn effect(name: &str) -> Option<Effect> {
        Self::FIELDS.iter().find(|(field, _)| *field == name).map(|(_, effect)| *effect)
    }

    /// All settings that are present, in the order of their declaration.
    pub fn values(&self) -> Map<String, Value> {
        match json!(self) {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// A search for the highest load that passes, as it was requested.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchSettings {
    /// The SLOs that a load must keep.
    pub slos: Option<Vec<String>>,
    /// What is searched over.
    pub over: Option<SearchOver>,
    /// The lowest load.
    pub minimum: Option<f64>,
    /// The highest load.
    pub maximum: Option<f64>,
    /// The distance between the highest passing and the lowest failing load at which the search ends, as a share.
    pub tolerance: Option<f64>,
}

/// Takes a field out of `fields` if it has the right type, or is null.
fn take<T: DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Option<T> {
    let value = Option::deserialize(fields.get(name)?).ok()?;
    fields.shift_remove(name);
    value
}

/// A value in a few words: `on`, `5`, `in=9,n=1 in=512,n=3`.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "on" } else { "off" }.to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> RunSettings {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn unknown_settings_and_other_types_pass_unchanged() {
        let line = r#"{"suite":"website","concurrency":4,"timeout":"30m","seed":1.5,"mine":{"b":1.10}}"#;
        let settings = read(line);
        assert_eq!((settings.suite.as_deref(), settings.concurrency.as_ref()), (Some("website"), None));
        assert_eq!(serde_json::to_string(&settings).unwrap(), line.replace("1.10", "1.1"));
        assert_eq!(settings.separating(), [("suite", "website".to_owned())]);
        assert_eq!((read("{}"), read("null")), (RunSettings::default(), RunSettings::default()));
    }

    #[test]
    fn separating_settings_are_short_text_without_defaults() {
        let settings = read(
            r#"{"stream":true,"load":false,"synthetic":["in=9,n=1","in=512,n=3"],"timeout_seconds":1800.0,"ramp_seconds":5.0,
                "seed":7,"extra_body":{"top_k":5},"api":"auto","nonce":true}"#,
        );
        let said: Vec<String> = settings.separating().iter().map(|(name, value)| format!("{name} {value}")).collect();
        let expect =
            ["synthetic in=9,n=1 in=512,n=3", "nonce on", "ramp_seconds 5", r#"extra_body {"top_k":5}"#, "load off"];
        assert_eq!(said, expect);
    }

    proptest! {
        #[test]
        fn undeclared_settings_never_separate(name in "[a-z_]{1,20}", value in any::<i64>()) {
            prop_assume!(RunSettings::effect(&name).is_none());
            let settings = read(&json!({ &name: value }).to_string());
            prop_assert!(settings.separating().is_empty());
            prop_assert_eq!(settings.values(), Map::from_iter([(name, value.into())]));
        }
    }
}
