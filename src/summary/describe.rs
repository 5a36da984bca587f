//! What is known of a model besides its numbers: from its listing, and from what the server said with its answers.

use super::group::Details;
use crate::record::{Model, ResultFields};
use crate::units::{Unit, possible};

/// What the server said of the model with its answer (LM Studio's `model_info`).
pub fn told(details: &mut Details, o: &ResultFields) {
    let Some(info) = &o.model_info else { return };
    let word = |name: &str| info.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    details.arch = details.arch.take().or_else(|| word("arch"));
    details.quantization = details.quantization.take().or_else(|| word("quant").or_else(|| word("quantization")));
    details.format = details.format.take().or_else(|| word("format"));
    details.context_length = details.context_length.or_else(|| info.get("context_length").and_then(|v| v.as_u64()));
}

/// The quantization that the server told with its answer.
pub fn quantization(o: &ResultFields) -> Option<String> {
    let info = o.model_info.as_ref()?;
    info.get("quant").or_else(|| info.get("quantization"))?.as_str().map(str::to_owned)
}

/// What the server's listing said of the model.
pub fn listed(details: &mut Details, model: &Model) {
    let fill = |mine: &mut Option<String>, theirs: &Option<String>| {
        if mine.is_none() {
            mine.clone_from(theirs);
        }
    };
    fill(&mut details.name, &model.name);
    fill(&mut details.arch, &model.arch);
    fill(&mut details.format, &model.format);
    fill(&mut details.quantization, &model.quantization);
    fill(&mut details.parameters, &model.parameters);
    details.size_bytes = details.size_bytes.or(model.size_bytes);
    details.context_length = details.context_length.or(model.loaded_context_length).or(model.context_length);
    let million = |price: &Option<String>| {
        price
            .as_deref()
            .and_then(|price| price.parse::<f64>().ok())
            .filter(|v| possible(Unit::Usd, *v))
            .map(|v| v * 1e6)
    };
    if let Some(pricing) = &model.pricing {
        details.listed_usd_per_million_input_tokens =
            details.listed_usd_per_million_input_tokens.or(million(&pricing.prompt_usd_per_token));
        details.listed_usd_per_million_output_tokens =
            details.listed_usd_per_million_output_tokens.or(million(&pricing.completion_usd_per_token));
    }
}
