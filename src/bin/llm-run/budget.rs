//! Checks the key, its credit and the cost of the run before the first paid request.

use crate::args::Cli;
use anyhow::bail;
use llm_bench::cli::Talk;
use llm_bench::http::shown;
use llm_bench::prompts::Item;
use llm_bench::record::Model;
use llm_bench::run::{RunConfig, Target, requests_left};
use llm_bench::sources::kind;
use llm_bench::sources::openrouter::account::{self, Credit, KeyStatus};

/// Checks the key of each OpenRouter server, and reports its credit and the maximum cost.
///
/// # Errors
/// When a key is refused: nothing was sent with it yet.
pub async fn check(cli: &Cli, config: &RunConfig, targets: &[Target], talk: Talk) -> anyhow::Result<()> {
    let max_cost = max_cost(config, targets);
    if let Some(MaxCost { usd, unpriced }) = &max_cost {
        let without = match unpriced {
            0 => String::new(),
            n => format!(", and {n} models whose price is not known"),
        };
        talk.note(format!("at most about ${usd:.4} by the prices and --max-tokens{without}"));
    }
    if cli.openrouter.no_key_check {
        return Ok(());
    }
    let mut checked: Vec<&str> = Vec::new();
    for target in targets.iter().filter(|target| kind(target.source).is_router && target.key.is_some()) {
        if checked.contains(&target.base_url.as_str()) {
            continue;
        }
        checked.push(&target.base_url);
        let server = shown(&target.base_url);
        match account::key(&target.api).await {
            KeyStatus::Valid(left) => report(&left, &server, max_cost.as_ref(), talk),
            KeyStatus::Invalid(reason) => bail!(
                "{server}: the key is refused: {reason}: nothing was sent; make one at https://openrouter.ai/settings/keys"
            ),
            KeyStatus::Unknown(reason) => {
                talk.warn(format!("{server}: the key could not be checked: {reason}: going on"))
            }
        }
    }
    Ok(())
}

fn report(left: &Credit, server: &str, max_cost: Option<&MaxCost>, talk: Talk) {
    if let Some(date) = &left.expired {
        talk.warn(format!("{server}: the key expired on {date}"));
    }
    match (left.usd, max_cost) {
        (Some(usd), _) if usd <= 0.0 => {
            talk.warn(format!(
                "{server}: the limit of the key is used up (${usd:.4} left): requests will be refused with 402"
            ));
        }
        (Some(usd), Some(max_cost)) if max_cost.usd > usd => {
            talk.warn(format!(
                "{server}: this may cost up to about ${:.4}, and ${usd:.4} are left on the key",
                max_cost.usd
            ));
        }
        (Some(usd), _) => talk.note(format!("{server}: ${usd:.4} left on the key")),
        (None, _) => talk.note(format!("{server}: the key has no limit of its own")),
    }
    if left.free_tier {
        talk.note(format!("{server}: nothing was ever paid: 50 requests a day to free models, 20 a minute"));
    }
}

/// The maximum cost of a run.
struct MaxCost {
    usd: f64,
    /// The number of models without a price: routers, and routing that changes it.
    unpriced: usize,
}

/// The prices times the most tokens of all requests left; `None` without a token limit or a price.
fn max_cost(config: &RunConfig, targets: &[Target]) -> Option<MaxCost> {
    let left = requests_left(config, targets)? as f64;
    let tokens: Option<Vec<(f64, f64)>> = config.prompts.iter().map(|item| tokens_about(config, item)).collect();
    let (input, output) = tokens?.into_iter().fold((0.0, 0.0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    let requests = config.turns(config.prompts.len() as u64).max(1) as f64;
    let (input, output) = (input / requests, output / requests);
    let routed: Vec<&Target> = targets.iter().filter(|target| kind(target.source).is_router).collect();
    let each = left / targets.len().max(1) as f64;
    let priced: Vec<f64> = routed.iter().filter_map(|target| usd(&target.model, input, output)).collect();
    let unpriced = routed.len() - priced.len();
    (!priced.is_empty()).then(|| MaxCost { usd: priced.iter().sum::<f64>() * each, unpriced })
}

/// The approximate input and the maximum output tokens of all turns; `None` without an output limit.
/// Few tokenizers make more than one token of three bytes.
fn tokens_about(config: &RunConfig, item: &Item) -> Option<(f64, f64)> {
    const TEMPLATE: f64 = 16.0;
    let answer = item.max_tokens().or(config.parameters.max_tokens)? as f64;
    let estimate = |text: &str| text.len() as f64 / 3.0;
    let prefix = config.shared_prefix.unwrap_or(0) as f64;
    let (system, turns) = match item {
        Item::Synthetic(recipe) => (recipe.system.as_deref(), vec![recipe.input as f64]),
        Item::Text(prompt) => {
            let texts = std::iter::once(&prompt.text).chain(&prompt.turns);
            (prompt.system.as_deref(), texts.map(|text| estimate(text)).collect())
        }
    };
    let (mut context, mut input) = (prefix + system.map_or(0.0, estimate), 0.0);
    for text in &turns {
        // Earlier turns and answers are sent again.
        context += text + TEMPLATE;
        input += context;
        context += answer;
    }
    Some((input, answer * turns.len() as f64))
}

fn usd(model: &Model, input: f64, output: f64) -> Option<f64> {
    let pricing = model.pricing.as_ref()?;
    let price = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok().filter(|price| *price >= 0.0);
    let request = pricing.request_usd.as_ref().map_or(Some(0.0), |_| price(&pricing.request_usd))?;
    Some(input * price(&pricing.prompt_usd_per_token)? + output * price(&pricing.completion_usd_per_token)? + request)
}
