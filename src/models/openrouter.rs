//! OpenRouter's catalogue: prices as the decimal strings they come in, filters, and one record per provider on request.

use super::{items, listing, no_listing, number, text};
use crate::http::Api;
use crate::record::{Failure, Model, Pricing, Source};
use regex::Regex;
use serde_json::Value;

/// Which models of the catalogue are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only these, in this order; variants, aliases and routers that the catalogue does not list are passed on as they are.
    pub ids: Option<Vec<String>>,
    /// Only ids that match.
    pub matching: Option<Regex>,
    /// Only what costs nothing.
    pub free: bool,
    /// Only what costs at most this many US dollars per million output tokens.
    pub max_price: Option<f64>,
    /// Only what supports all of these request parameters.
    pub supports: Vec<String>,
    /// In this order.
    pub sort: Option<Sort>,
}

/// An order of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// By id.
    Id,
    /// Cheapest output tokens first; unknown prices last.
    Price,
    /// Longest context first.
    Context,
    /// Newest first.
    Newest,
}

/// What was found, and which ids of the list were not.
#[derive(Debug, Default)]
pub struct Found {
    /// The models.
    pub models: Vec<Model>,
    /// Ids that the catalogue does not have.
    pub missing: Vec<String>,
}

/// Reads the catalogue and keeps what is wanted.
///
/// # Errors
/// When OpenRouter is not reached, or answers with something else.
pub async fn list(api: &Api, wanted: &Wanted) -> Result<Found, Failure> {
    let body =
        listing(api, "/api/v1/models", "data").await?.ok_or_else(|| no_listing(api, "OpenRouter's catalogue"))?;
    Ok(choose(items(&body, "data").collect(), wanted, api.base()))
}

/// The providers of a model, one record each, pinned by its tag.
///
/// # Errors
/// When OpenRouter is not reached, or does not know the model.
pub async fn endpoints(api: &Api, model: &Model) -> Result<Vec<Model>, Failure> {
    let plain = model.id.split(':').next().unwrap_or(&model.id);
    let reply = api.get(&format!("/api/v1/models/{plain}/endpoints"), super::LISTING).await?.success()?;
    let found = reply.pointer("/data/endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
    let pinned = found.iter().filter_map(|endpoint| {
        Some(Model {
            provider: Some(text(endpoint, "/tag")?),
            quantization: text(endpoint, "/quantization").filter(|q| q != "unknown"),
            context_length: number(endpoint, "/context_length").or(model.context_length),
            pricing: endpoint.get("pricing").map(pricing).or_else(|| model.pricing.clone()),
            ..model.clone()
        })
    });
    Ok(pinned.collect())
}

fn choose(catalogue: Vec<&Value>, wanted: &Wanted, base: &str) -> Found {
    let mut found = Found::default();
    let mut chosen: Vec<(&Value, Model)> = Vec::new();
    if let Some(ids) = &wanted.ids {
        for id in ids {
            match catalogue.iter().find(|item| named(item, id)) {
                Some(item) => chosen.extend(of(base, item).map(|model| (*item, Model { id: id.clone(), ..model }))),
                // `openrouter/auto`, `~author/model-latest`: routers choose among the catalogue and need not stand in it.
                None if id.starts_with("openrouter/") || id.starts_with('~') => {
                    chosen.push((&Value::Null, bare(base, id)))
                }
                None => found.missing.push(id.clone()),
            }
        }
    } else {
        chosen = catalogue.iter().filter_map(|item| Some((*item, of(base, item)?))).collect();
    }
    chosen.retain(|(item, model)| keep(item, model, wanted));
    match wanted.sort {
        None => {}
        Some(Sort::Id) => chosen.sort_by(|a, b| a.1.id.cmp(&b.1.id)),
        Some(Sort::Price) => chosen.sort_by(|a, b| {
            let price = |model: &Model| price_of(model).unwrap_or(f64::INFINITY);
            price(&a.1).total_cmp(&price(&b.1)).then_with(|| a.1.id.cmp(&b.1.id))
        }),
        Some(Sort::Context) => chosen.sort_by_key(|(_, model)| std::cmp::Reverse(model.context_length)),
        Some(Sort::Newest) => chosen.sort_by_key(|(item, _)| std::cmp::Reverse(number(item, "/created"))),
    }
    found.models = chosen.into_iter().map(|(_, model)| model).collect();
    found
}

/// Whether a catalogue's item is what an id means: itself, its permanent slug, or its base when the id is a variant.
fn named(item: &Value, id: &str) -> bool {
    let own = text(item, "/id");
    let plain = id.split(':').next().unwrap_or(id);
    own.as_deref() == Some(id)
        || text(item, "/canonical_slug").as_deref() == Some(id)
        // Most variants (`:nitro`, `:floor`) are ways to route and are listed nowhere; `:free` is a model of its own.
        || (plain != id && !id.ends_with(":free") && own.as_deref() == Some(plain))
}

fn keep(item: &Value, model: &Model, wanted: &Wanted) -> bool {
    let price = price_of(model);
    let supports =
        |name: &String| items(item, "supported_parameters").any(|known| known.as_str() == Some(name.as_str()));
    wanted.matching.as_ref().is_none_or(|regex| regex.is_match(&model.id))
        && (!wanted.free || price == Some(0.0))
        && wanted.max_price.is_none_or(|max| price.is_some_and(|price| price * 1e6 <= max))
        && wanted.supports.iter().all(supports)
}

/// US dollars per output token; routers say −1, which is no price.
fn price_of(model: &Model) -> Option<f64> {
    let price: f64 = model.pricing.as_ref()?.completion_usd_per_token.as_ref()?.parse().ok()?;
    (price >= 0.0).then_some(price)
}

fn pricing(item: &Value) -> Pricing {
    let price = |key: &str| match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Pricing {
        prompt_usd_per_token: price("prompt"),
        completion_usd_per_token: price("completion"),
        request_usd: price("request").filter(|text| text.parse::<f64>() != Ok(0.0)),
    }
}

fn bare(base: &str, id: &str) -> Model {
    Model { source: Some(Source::Openrouter), id: id.to_owned(), base_url: Some(base.to_owned()), ..Model::default() }
}

fn of(base: &str, item: &Value) -> Option<Model> {
    let id = text(item, "/id")?;
    let has = |name: &str| items(item, "supported_parameters").any(|known| known == name);
    let mut capabilities: Vec<String> =
        ["tools", "reasoning"].into_iter().filter(|name| has(name)).map(str::to_owned).collect();
    if item
        .pointer("/architecture/input_modalities")
        .and_then(Value::as_array)
        .is_some_and(|list| list.contains(&"image".into()))
    {
        capabilities.push("vision".into());
    }
    Some(Model {
        name: text(item, "/name"),
        publisher: id.split_once('/').map(|(publisher, _)| publisher.trim_start_matches('~').to_owned()),
        context_length: number(item, "/context_length"),
        capabilities: Some(capabilities),
        pricing: item.get("pricing").map(pricing),
        ..bare(base, &id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn catalogue() -> Value {
        json!([
            {"id": "a/small", "canonical_slug": "a/small-0101", "created": 1, "context_length": 8192,
             "pricing": {"prompt": "0.0000001", "completion": "0.0000004", "request": "0"}, "supported_parameters": ["seed", "tools"]},
            {"id": "a/small:free", "created": 2, "context_length": 4096, "pricing": {"prompt": "0", "completion": "0"}},
            {"id": "b/large", "created": 3, "context_length": 200000, "pricing": {"prompt": "0.000003", "completion": "0.000015"},
             "architecture": {"input_modalities": ["text", "image"]}},
            {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
            {"name": "without an id"}
        ])
    }

    fn chosen(wanted: Wanted) -> (Vec<String>, Vec<String>) {
        let catalogue = catalogue();
        let found = choose(catalogue.as_array().unwrap().iter().collect(), &wanted, "https://openrouter.ai");
        (found.models.into_iter().map(|model| model.id).collect(), found.missing)
    }

    #[test]
    fn the_catalogue_is_filtered_and_sorted() {
        let ids = |wanted| chosen(wanted).0.join(" ");
        assert_eq!(ids(Wanted::default()), "a/small a/small:free b/large openrouter/auto");
        assert_eq!(ids(Wanted { free: true, ..Wanted::default() }), "a/small:free");
        assert_eq!(ids(Wanted { max_price: Some(0.4), ..Wanted::default() }), "a/small a/small:free");
        assert_eq!(ids(Wanted { supports: vec!["seed".into()], ..Wanted::default() }), "a/small");
        assert_eq!(ids(Wanted { matching: Regex::new("^b/").ok(), ..Wanted::default() }), "b/large");
        assert_eq!(
            ids(Wanted { sort: Some(Sort::Price), ..Wanted::default() }),
            "a/small:free a/small b/large openrouter/auto"
        );
        assert_eq!(
            ids(Wanted { sort: Some(Sort::Newest), ..Wanted::default() }),
            "b/large a/small:free a/small openrouter/auto"
        );
    }

    #[test]
    fn a_list_keeps_its_order_and_tells_what_is_missing() {
        let list = [
            "b/large",
            "c/none",
            "a/small:nitro",
            "a/small-0101",
            "b/large:free",
            "openrouter/auto",
            "~a/small-latest",
        ];
        let (ids, missing) = chosen(Wanted { ids: Some(list.map(str::to_owned).to_vec()), ..Wanted::default() });
        assert_eq!(ids, ["b/large", "a/small:nitro", "a/small-0101", "openrouter/auto", "~a/small-latest"]);
        assert_eq!(missing, ["c/none", "b/large:free"]);
    }

    #[test]
    fn prices_keep_every_digit() {
        let catalogue = catalogue();
        let model = of("https://openrouter.ai", &catalogue[0]).unwrap();
        let pricing = model.pricing.unwrap();
        assert_eq!(pricing.prompt_usd_per_token.as_deref(), Some("0.0000001"));
        assert_eq!(pricing.request_usd, None);
        assert_eq!(of("https://openrouter.ai", &catalogue[2]).unwrap().capabilities.unwrap(), ["vision"]);
    }
}
