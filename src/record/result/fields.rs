//! The fields of a `result` that a summary reads, borrowed from its line.
//!
//! A report reads millions of results, and most of a result is nothing that it shows. [`Outcome`] remains the definition: a field
//! that is listed here and missing there, or has another type, does not compile.

use super::{Attempt, Client, Cost, Derived, Errors, Failure, Files, Outcome, Phase, PromptUsed, Timing, Tokens};
use crate::record::{GroundTruth, JoinedMemory, JoinedPower, Quantiles, Source};
use serde::Deserialize;
use serde_json::Value;
use serde_with::rust::double_option;
use std::borrow::Cow;
use std::ops::Deref;

/// A text: a piece of the line, or a copy where the line has it with escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// A copy.
    pub fn owned(text: &Option<Text>) -> Option<String> {
        text.as_deref().map(str::to_owned)
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The narrow form of a field.
trait Narrow {
    type Narrowed<'a>
    where
        Self: 'a;

    fn narrow(&self) -> Self::Narrowed<'_>;
}

impl Narrow for String {
    type Narrowed<'a> = Text<'a>;

    fn narrow(&self) -> Text<'_> {
        Text(Cow::Borrowed(self))
    }
}

impl<T: Narrow> Narrow for Option<T> {
    type Narrowed<'a>
        = Option<T::Narrowed<'a>>
    where
        T: 'a;

    fn narrow(&self) -> Option<T::Narrowed<'_>> {
        self.as_ref().map(T::narrow)
    }
}

/// Types that a summary reads whole.
macro_rules! whole {
    ($($type:ty),*) => {
        $(impl Narrow for $type {
            type Narrowed<'a> = Self;

            fn narrow(&self) -> Self {
                self.clone()
            }
        })*
    };
}

whole!(f64, i64, u64, Source, Phase, Tokens, Derived, Cost, Failure, GroundTruth, Value);
whole!(Box<JoinedPower>, Box<JoinedMemory>, Vec<(f64, u64, String)>, Vec<Attempt>, Vec<String>);

/// Declares the narrow form of a struct of the contract.
macro_rules! narrow {
    ($($name:ident $(<$life:lifetime>)? of $whole:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            #[doc = concat!("The fields of [`", stringify!($whole), "`] that a summary reads.")]
            #[derive(Debug, Clone, Default, PartialEq, Deserialize)]
            #[allow(missing_docs)]
            pub struct $name $(<$life>)? {
                $($(#[$attribute])* pub $field: $type,)*
            }

            impl Narrow for $whole {
                type Narrowed<'a> = $name $(<$life>)?;

                fn narrow(&self) -> Self::Narrowed<'_> {
                    $name { $($field: self.$field.narrow(),)* }
                }
            }
        )*
    };
}

narrow! {
    ResultFields<'a> of Outcome {
        #[serde(borrow, default)]
        run: Text<'a>,
        #[serde(default)]
        id: u64,
        source: Option<Source>,
        model: Text<'a>,
        served_model: Option<Text<'a>>,
        provider: Option<Text<'a>>,
        pinned_provider: Option<Text<'a>>,
        endpoint: Option<Text<'a>>,
        api: Option<Text<'a>>,
        timestamp: Option<Text<'a>>,
        start_ts: Option<f64>,
        timing_seconds: Option<TimingFields>,
        ttft_seconds: Option<f64>,
        #[serde(default, deserialize_with = "double_option::deserialize")]
        ttft_scheduled_seconds: Option<Option<f64>>,
        time_to_first_output_token_seconds: Option<f64>,
        generation_time_seconds: Option<f64>,
        tpot_corrected_seconds: Option<f64>,
        tpot_seconds: Option<f64>,
        inter_chunk_latency_seconds: Option<LatencyFields<'a>>,
        tokens: Option<Tokens>,
        stream: Option<Vec<(f64, u64, String)>>,
        model_info: Option<Value>,
        derived: Option<Derived>,
        cost: Option<Cost>,
        #[serde(default, deserialize_with = "double_option::deserialize")]
        load_time_seconds: Option<Option<f64>>,
        concurrency: Option<u64>,
        rate: Option<f64>,
        phase: Option<Phase>,
        repetition: Option<u64>,
        conversation: Option<u64>,
        turn: Option<u64>,
        in_flight: Option<u64>,
        finish_reason: Option<Text<'a>>,
        prompt: Option<PromptFields<'a>>,
        files: Option<FileFields<'a>>,
        text: Option<Text<'a>>,
        #[serde(default)]
        attempts: Vec<Attempt>,
        #[serde(default)]
        errors: ErrorFields<'a>,
        error: Option<Failure>,
        #[serde(default)]
        warnings: Vec<String>,
        client: Option<ClientFields<'a>>,
        ground_truth: Option<GroundTruth>,
        #[serde(default, deserialize_with = "double_option::deserialize")]
        power: Option<Option<Box<JoinedPower>>>,
        power_reason: Option<Text<'a>>,
        #[serde(default, deserialize_with = "double_option::deserialize")]
        memory: Option<Option<Box<JoinedMemory>>>,
        memory_reason: Option<Text<'a>>,
    }
    TimingFields of Timing {
        scheduled: Option<f64>,
        end: Option<f64>,
    }
    LatencyFields<'a> of Quantiles {
        mean: Option<f64>,
        min: Option<f64>,
        p99: Option<f64>,
        max: Option<f64>,
        #[serde(borrow)]
        histogram: Option<Text<'a>>,
    }
    ClientFields<'a> of Client {
        #[serde(borrow)]
        lag_seconds: Option<LatencyFields<'a>>,
    }
    PromptFields<'a> of PromptUsed {
        #[serde(borrow, default)]
        id: Text<'a>,
        nonce: Option<Text<'a>>,
        shared_prefix_tokens: Option<u64>,
        wanted_output_tokens: Option<u64>,
        temperature: Option<f64>,
        top_p: Option<f64>,
        max_tokens: Option<u64>,
        num_ctx: Option<u64>,
        seed: Option<i64>,
        reasoning_effort: Option<Text<'a>>,
        gpu_setting: Option<Text<'a>>,
    }
    FileFields<'a> of Files {
        #[serde(borrow)]
        html: Option<Text<'a>>,
        text: Option<Text<'a>>,
        json: Option<Text<'a>>,
        power_log: Option<Text<'a>>,
    }
    ErrorFields<'a> of Errors {
        #[serde(borrow)]
        load: Option<Text<'a>>,
        generation: Option<Text<'a>>,
    }
}

impl<'a> From<&'a Outcome> for ResultFields<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        outcome.narrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_borrowed_and_unread_fields_are_any_json() {
        let line =
            r#"{"mod\u0065l":"m","run":"r\n","usage":{"a":[1,{"b":null}]},"stream":null,"generation_id":3,"new":[]}"#;
        let result: ResultFields = serde_json::from_str(line).unwrap();
        assert!(matches!((&result.model.0, &result.run.0), (Cow::Borrowed("m"), Cow::Owned(run)) if run == "r\n"));
        for (line, error) in [
            (r#"{"usage":1}"#, "missing field `model`"),
            (r#"{"model":"m","model":"n"}"#, "duplicate field `model`"),
            (r#"{"model":"m","ttft_seconds":"soon"}"#, r#"invalid type: string "soon", expected f64"#),
            (r#"{"model":"m","usage":{"a"}}"#, "expected `:`"),
        ] {
            let narrow = serde_json::from_str::<ResultFields>(line).unwrap_err().to_string();
            assert!(narrow.starts_with(error), "{narrow}");
            assert_eq!(serde_json::from_str::<Outcome>(line).unwrap_err().to_string(), narrow);
        }
    }

    #[test]
    fn fields_are_read_as_they_are_narrowed() {
        let line = r#"{"model":"m","ttft_scheduled_seconds":null,"timing_seconds":{"end":1.5,"headers":0.5},"errors":{"load":"no"},
            "prompt":{"temperature":0.5,"text":"t"},"client":{"lag_seconds":{"max":0.25}},"power":null,"files":{"json":"a"}}"#;
        let outcome: Outcome = serde_json::from_str(line).unwrap();
        assert_eq!(ResultFields::from(&outcome), serde_json::from_str(line).unwrap());
    }
}
