//! The per-model JSON of the Python scripts before us, as records: LM Studio's form and OpenRouter's.
//!
//! Nothing is guessed: their clock had no zone, so a request has no place on the time axis; they kept no energy, so there
//! is none. Times to first token and decode rates are what LM Studio said of itself, which the warning `server_timing` says.

use crate::record::{
    Cost, CostMethod, Derived, Errors, Files, JoinedMemory, JoinedPower, MemoryFigures, Outcome, Prompt, PromptUsed,
    Quality, Record, Source, TokenMethod, Tokens, Watts,
};
use anyhow::Context;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The seconds between two readings of the power meter, which those scripts did not record but always asked for.
const METER_INTERVAL: f64 = 1.0;

/// The records of one file: the prompt and the result. None for a JSON file that is something else.
///
/// # Errors
/// When the text is not JSON.
pub fn records(text: &str) -> anyhow::Result<Vec<Record>> {
    let value: Value = serde_json::from_str(text).context("not JSON")?;
    let (Some(model), true) = (value["model"].as_str(), value.get("errors").is_some() && value.get("type").is_none())
    else {
        return Ok(Vec::new());
    };
    let local = ["load_time_seconds", "rest_stats", "memory"].iter().any(|key| value.get(*key).is_some());
    let seconds = value["generation_time_seconds"].as_f64();
    let prompt = value["prompt"]["text"].as_str().map(prompt);
    let errors = Errors {
        load: sentence(&value["errors"]["load"]),
        generation: sentence(&value["errors"]["generation"]),
        ..Errors::default()
    };
    let tokens = tokens(&value["usage"]);
    let output = tokens.as_ref().and_then(|t| t.output);
    let stats = &value["rest_stats"];
    let stop = stats["stop_reason"].as_str();
    let outcome = Outcome {
        run: String::new(),
        source: Some(if local { Source::Lmstudio } else { Source::Openrouter }),
        model: model.to_owned(),
        timestamp: value["timestamp"].as_str().map(str::to_owned),
        ttft_seconds: stats["time_to_first_token"].as_f64(),
        generation_time_seconds: seconds,
        derived: Some(Derived {
            tokens_per_second: output.zip(seconds).filter(|(_, s)| *s > 0.0).map(|(n, s)| n as f64 / s),
            decode_tokens_per_second: stats["tokens_per_second"].as_f64(),
            tokens_per_second_fallback: value["derived"]["tokens_per_second_fallback"].as_f64(),
            ..Derived::default()
        }),
        tokens,
        cost: value["cost"].as_f64().map(|usd| Cost { usd, method: Some(CostMethod::Usage), ..Cost::default() }),
        load_time_seconds: value.get("load_time_seconds").map(Value::as_f64),
        model_info: value.get("model_info").cloned(),
        power: value.get("power").map(|power| power_of(power, seconds).map(Box::new)),
        memory: value.get("memory").map(|memory| memory_of(memory).map(Box::new)),
        finish_reason: stop.map(|stop| match stop {
            "eosFound" | "stopStringFound" => "stop".into(),
            "maxPredictedTokensReached" | "contextLengthReached" => "length".into(),
            other => other.to_owned(),
        }),
        native_finish_reason: stop.map(str::to_owned),
        prompt: Some(sent(&value["prompt"], prompt.as_ref())),
        files: Some(files(&value["files"])),
        warnings: if stats.is_object() && stats["time_to_first_token"].is_number() {
            vec!["server_timing".into()]
        } else {
            Vec::new()
        },
        errors,
        ..Outcome::default()
    };
    Ok(prompt.map(|p| Record::Prompt(Box::new(p))).into_iter().chain([Record::Result(Box::new(outcome))]).collect())
}

fn sentence(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn prompt(text: &str) -> Prompt {
    let digest = Sha256::digest(format!("\0{text}").as_bytes());
    let sha256: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Prompt { id: sha256[..8].to_owned(), text: text.to_owned(), sha256, ..Prompt::default() }
}

fn sent(value: &Value, prompt: Option<&Prompt>) -> PromptUsed {
    let word = |name: &str| value[name].as_str().map(str::to_owned);
    PromptUsed {
        id: prompt.map(|p| p.id.clone()).unwrap_or_default(),
        temperature: value["temperature"].as_f64(),
        top_p: value["top_p"].as_f64(),
        // They wrote −1 for "no limit".
        max_tokens: value["max_tokens"].as_u64(),
        num_ctx: value["num_ctx"].as_u64(),
        reasoning_effort: word("reasoning_effort"),
        gpu_setting: word("gpu_setting"),
        ..PromptUsed::default()
    }
}

fn tokens(usage: &Value) -> Option<Tokens> {
    usage.as_object().map(|_| Tokens {
        input: usage["prompt_tokens"].as_u64(),
        output: usage["completion_tokens"].as_u64(),
        reasoning: usage["completion_tokens_details"]["reasoning_tokens"].as_u64(),
        cached: usage["prompt_tokens_details"]["cached_tokens"].as_u64(),
        method: Some(TokenMethod::Usage),
        ..Tokens::default()
    })
}

/// The artifacts lie beside the JSON, whatever path it names: it was another machine's.
fn files(value: &Value) -> Files {
    let beside = |name: &str| {
        let path = value[name].as_str()?.replace('\\', "/");
        Some(Path::new(&path).file_name()?.to_str()?.to_owned())
    };
    Files { html: beside("html"), text: beside("raw_text"), power_log: beside("powermetrics_log"), ..Files::default() }
}

fn power_of(value: &Value, seconds: Option<f64>) -> Option<JoinedPower> {
    let watts = |name: &str| {
        let of = &value[name];
        Some(Watts {
            avg: of["avg"].as_f64()?,
            min: of["min"].as_f64()?,
            max: of["max"].as_f64()?,
            samples: of["samples"].as_u64(),
        })
    };
    let cpu = watts("cpu_watts");
    let samples = cpu.as_ref().and_then(|watts| watts.samples).unwrap_or(0);
    let gpu = watts("gpu_watts");
    if cpu.is_none() && gpu.is_none() {
        return None;
    }
    let covered = seconds.filter(|s| *s > 0.0).map_or(0.0, |s| (samples as f64 * METER_INTERVAL / s).min(1.0));
    Some(JoinedPower {
        cpu_watts: cpu,
        gpu_watts: gpu,
        ane_watts: watts("ane_watts"),
        coverage: Some(covered),
        quality: Some(Quality::None),
        samples: Some(samples),
        clock: Some("wall".into()),
        meters: vec!["powermetrics".into()],
        reason: Some("the scripts kept watts and no energy".into()),
        ..JoinedPower::default()
    })
}

fn memory_of(value: &Value) -> Option<JoinedMemory> {
    let figures = |of: &Value, system: &str, rss: &str| {
        of.as_object().map(|_| MemoryFigures {
            system_used_bytes: of[system].as_i64(),
            rss_bytes: of[rss].as_i64(),
            ..MemoryFigures::default()
        })
    };
    let delta = |name: &str| figures(&value[name], "system_used_bytes", "lmstudio_rss_bytes");
    value.as_object()?;
    Some(JoinedMemory {
        delta_load: delta("delta_since_baseline_after_load"),
        delta_generation: delta("delta_since_load_after_generation"),
        high_water: figures(&value["hwm_during_generation"], "system_used_hwm_bytes", "lmstudio_rss_hwm_bytes"),
        primary: Some("rss".into()),
        ..JoinedMemory::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_json_file_is_none_of_ours() {
        for text in
            ["{}", "[1]", r#"{"mode":"openrouter","results":[]}"#, r#"{"type":"result","v":1,"model":"m","errors":{}}"#]
        {
            assert!(records(text).unwrap().is_empty(), "{text}");
        }
        assert!(records("{").is_err());
    }

    #[test]
    fn what_the_scripts_measured_is_kept_and_nothing_is_added() {
        let text = r#"{"model":"a/b@q4","load_time_seconds":5.5,"generation_time_seconds":25.0,
            "rest_stats":{"tokens_per_second":114.0,"time_to_first_token":0.35,"stop_reason":"eosFound"},
            "usage":{"prompt_tokens":258,"completion_tokens":2850},"errors":{"load":null,"generation":null},
            "power":{"cpu_watts":{"avg":5.5,"min":3.0,"max":6.0,"samples":25}},
            "files":{"html":"/Users/x/reports/y/a_b.html"},"prompt":{"text":"hello","max_tokens":-1}}"#;
        let read = records(text).unwrap();
        let [Record::Prompt(prompt), Record::Result(o)] = &read[..] else { panic!() };
        assert_eq!(prompt.text, "hello");
        assert_eq!(o.source, Some(Source::Lmstudio));
        assert_eq!(o.derived.as_ref().unwrap().tokens_per_second, Some(114.0));
        assert_eq!((o.ttft_seconds, o.start_ts), (Some(0.35), None));
        assert_eq!(o.files.as_ref().unwrap().html.as_deref(), Some("a_b.html"));
        assert_eq!(o.prompt.as_ref().unwrap().max_tokens, None);
        let power = o.power.as_ref().unwrap().as_ref().unwrap();
        assert_eq!((power.coverage, power.energy_joules), (Some(1.0), None));
        assert_eq!(o.finish_reason.as_deref(), Some("stop"));
    }
}
