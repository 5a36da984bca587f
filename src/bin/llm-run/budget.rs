//! Before the first request that costs money: is the key good, what is left on it, and what may all of this cost?

use crate::args::Cli;
use anyhow::bail;
use llm_bench::account::{self, Key, Left};
use llm_bench::cli::Talk;
use llm_bench::http::shown;
use llm_bench::prompts::Item;
use llm_bench::record::{Model, Source};
use llm_bench::run::{RunConfig, Target, requests_left};

/// Asks each OpenRouter that is about to be asked what its key is good for. Tells what people would want to know before they pay.
///
/// # Errors
/// When a key is refused: nothing was sent with it yet.
pub async fn check(cli: &Cli, config: &RunConfig, targets: &[Target], talk: Talk) -> anyhow::Result<()> {
    let most = most_usd(config, targets);
    if let Some(Most { usd, unpriced }) = &most {
        let without = match unpriced {
            0 => String::new(),
            n => format!(", and {n} models whose price is not known"),
        };
        talk.note(format!("at most about ${usd:.4} by the prices and --max-tokens{without}"));
    }
    if cli.openrouter.no_key_check {
        return Ok(());
    }
    let mut asked: Vec<&str> = Vec::new();
    for target in targets.iter().filter(|target| target.source == Source::Openrouter && target.key.is_some()) {
        if asked.contains(&target.base_url.as_str()) {
            continue;
        }
        asked.push(&target.base_url);
        let place = shown(&target.base_url);
        match account::key(&target.api).await {
            Key::Good(left) => tell(&left, &place, most.as_ref(), talk),
            Key::Bad(why) => bail!(
                "{place}: the key is refused: {why}: nothing was sent; make one at https://openrouter.ai/settings/keys"
            ),
            Key::Unknown(why) => talk.warn(format!("{place}: the key could not be checked: {why}: going on")),
        }
    }
    Ok(())
}

fn tell(left: &Left, place: &str, most: Option<&Most>, talk: Talk) {
    if let Some(when) = &left.expired {
        talk.warn(format!("{place}: the key expired on {when}"));
    }
    match (left.usd, most) {
        (Some(usd), _) if usd <= 0.0 => {
            talk.warn(format!(
                "{place}: the limit of the key is used up (${usd:.4} left): requests will be refused with 402"
            ));
        }
        (Some(usd), Some(most)) if most.usd > usd => {
            talk.warn(format!(
                "{place}: this may cost up to about ${:.4}, and ${usd:.4} are left on the key",
                most.usd
            ));
        }
        (Some(usd), _) => talk.note(format!("{place}: ${usd:.4} left on the key")),
        (None, _) => talk.note(format!("{place}: the key has no limit of its own")),
    }
    if left.free_tier {
        talk.note(format!("{place}: nothing was ever paid: 50 requests a day to free models, 20 a minute"));
    }
}

/// The most that a run may cost.
struct Most {
    usd: f64,
    /// Models without a price: routers, and ways to route that take another price.
    unpriced: usize,
}

/// The prices times the most tokens, over all requests that are still to be made. `None` where no limit or no price is known:
/// what nobody can know is not guessed.
fn most_usd(config: &RunConfig, targets: &[Target]) -> Option<Most> {
    let left = requests_left(config, targets)? as f64;
    let of_each: Option<Vec<(f64, f64)>> = config.prompts.iter().map(|item| tokens_about(config, item)).collect();
    let (input, output) = of_each?.into_iter().fold((0.0, 0.0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    let requests = config.turns(config.prompts.len() as u64).max(1) as f64;
    let (input, output) = (input / requests, output / requests);
    let routed: Vec<&Target> = targets.iter().filter(|target| target.source == Source::Openrouter).collect();
    let each = left / targets.len().max(1) as f64;
    let priced: Vec<f64> = routed.iter().filter_map(|target| usd(&target.model, input, output)).collect();
    let unpriced = routed.len() - priced.len();
    (!priced.is_empty()).then(|| Most { usd: priced.iter().sum::<f64>() * each, unpriced })
}

/// About how many tokens go in and at most come out over all turns of a prompt; `None` without a limit of the answer. Few
/// tokenizers make more than one token of three bytes.
fn tokens_about(config: &RunConfig, item: &Item) -> Option<(f64, f64)> {
    const TEMPLATE: f64 = 16.0;
    let answer = item.max_tokens().or(config.parameters.max_tokens)? as f64;
    let of = |text: &str| text.len() as f64 / 3.0;
    let prefix = config.shared_prefix.unwrap_or(0) as f64;
    let (system, said) = match item {
        Item::Synthetic(recipe) => (recipe.system.as_deref(), vec![recipe.input as f64]),
        Item::Text(prompt) => {
            let said = std::iter::once(&prompt.text).chain(&prompt.turns);
            (prompt.system.as_deref(), said.map(|text| of(text)).collect())
        }
    };
    let (mut context, mut input) = (prefix + system.map_or(0.0, of), 0.0);
    for text in &said {
        // What was said and answered before goes in again.
        context += text + TEMPLATE;
        input += context;
        context += answer;
    }
    Some((input, answer * said.len() as f64))
}

fn usd(model: &Model, input: f64, output: f64) -> Option<f64> {
    let pricing = model.pricing.as_ref()?;
    let price = |text: &Option<String>| text.as_ref()?.parse::<f64>().ok().filter(|price| *price >= 0.0);
    let request = pricing.request_usd.as_ref().map_or(Some(0.0), |_| price(&pricing.request_usd))?;
    Some(input * price(&pricing.prompt_usd_per_token)? + output * price(&pricing.completion_usd_per_token)? + request)
}
