//! OpenRouter's catalogue: prices as the decimal strings they come in, filters, and one record per provider on request.
//!
//! An id may mean an entry in other ways than by its name: a permanent slug, a way to route (`:nitro`), an author's latest
//! (`~author/model-latest`), a router (`openrouter/auto`). It is sent as it was written; what it costs is told only where the
//! catalogue knows.

use super::price::pricing;
use crate::http::Api;
use crate::record::{Failure, Model, Source};
use crate::sources::listing::{LISTING_LIMIT, items, listing, no_listing, number, text};
use regex::Regex;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Routers that choose a model themselves. They are asked like a model, and what they cost is not known before.
const ROUTERS: [&str; 3] = ["openrouter/auto", "openrouter/auto-beta", "openrouter/free"];

/// Ways to route that may take another price than the model's: dearer and faster endpoints, cheaper and slower ones, a search
/// beside the answer.
const OTHERWISE_PRICED: [&str; 3] = ["nitro", "floor", "online"];

/// Which models of the catalogue are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
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

/// The models that pass the filter, and the ids of the list that are not in the catalogue.
#[derive(Debug, Default)]
pub struct Selection {
    /// The models, each with the id that it has in the catalogue: a slug, an alias and a way to route have another.
    pub models: Vec<(Model, String)>,
    /// Ids that the catalogue does not have.
    pub missing: Vec<String>,
}

/// A model with its entry in the catalogue, or that of a provider.
type Entry<'a> = (Option<&'a Value>, Model);

/// Reads the catalogue and keeps what passes the filter.
///
/// # Errors
/// When OpenRouter is not reached, or answers with something else.
pub async fn list(api: &Api, filter: &Filter) -> Result<Selection, Failure> {
    let body =
        listing(api, "/api/v1/models", "data").await?.ok_or_else(|| no_listing(api, "OpenRouter's catalogue"))?;
    let catalogue = Catalogue::new(items(&body, "data").collect());
    let mut resolved: HashMap<String, Value> = HashMap::new();
    for id in filter.ids.iter().flatten() {
        if catalogue.named(id).is_none()
            && let Some(item) = resolve(api, id).await?
        {
            resolved.insert(id.clone(), item);
        }
    }
    Ok(choose(&catalogue, &resolved, filter, api.base()))
}

/// Asks for one model by an id that the catalogue does not list: aliases are resolved. `None` where there is none.
async fn resolve(api: &Api, id: &str) -> Result<Option<Value>, Failure> {
    // An id is two words; anything else could lead elsewhere.
    let plain = |part: &str| {
        !part.trim_start_matches('~').trim_matches('.').is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:~@+".contains(&b))
    };
    if !id.split_once('/').is_some_and(|(author, slug)| plain(author) && plain(slug)) {
        return Ok(None);
    }
    let reply = api.get(&format!("/api/v1/model/{id}"), LISTING_LIMIT).await?;
    if reply.status >= 500 || reply.status == 429 {
        return reply.success().map(Some);
    }
    let selection = reply.success().ok().and_then(|mut body| body.get_mut("data").map(Value::take));
    Ok(selection.filter(|item| text(item, "/id").is_some()))
}

/// The providers of models, one record each, pinned by its tag; those that are wanted, in the order that is wanted. Ids of models
/// that have none are `missing`, each with why.
///
/// # Errors
/// Never; what cannot be asked is missing.
pub async fn endpoints(api: &Api, models: &[(Model, String)], filter: &Filter) -> (Vec<Model>, Vec<(String, String)>) {
    let (mut listings, mut missing) = (Vec::new(), Vec::new());
    for (model, own_id) in models {
        match endpoints_of(api, own_id).await {
            Ok(list) if list.is_empty() => missing.push((model.id.clone(), "no provider serves it now".to_owned())),
            Ok(list) => listings.push((model, list)),
            Err(failure) => missing.push((model.id.clone(), failure.message)),
        }
    }
    let mut pinned: Vec<Entry> = Vec::new();
    for (model, list) in &listings {
        pinned.extend(list.iter().filter_map(|endpoint| Some((Some(endpoint), pin(model, endpoint)?))));
    }
    pinned.retain(|(endpoint, model)| keep(*endpoint, model, filter));
    sort(&mut pinned, filter.sort);
    (pinned.into_iter().map(|(_, model)| model).collect(), missing)
}

async fn endpoints_of(api: &Api, id: &str) -> Result<Vec<Value>, Failure> {
    let reply = api.get(&format!("/api/v1/models/{id}/endpoints"), LISTING_LIMIT).await?.success()?;
    Ok(reply.pointer("/data/endpoints").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// The id that an entry has itself; of an alias, that of its target.
fn own_id(item: Option<&Value>, asked: &str) -> String {
    let field = |path| item.and_then(|item| text(item, path));
    field("/alias_target").or_else(|| field("/id")).unwrap_or_else(|| asked.to_owned())
}

fn pin(model: &Model, endpoint: &Value) -> Option<Model> {
    Some(Model {
        provider: Some(text(endpoint, "/tag")?),
        provider_name: text(endpoint, "/provider_name"),
        quantization: text(endpoint, "/quantization").filter(|q| q != "unknown"),
        context_length: number(endpoint, "/context_length").or(model.context_length),
        // A provider's price is the price, whatever way led to it.
        pricing: pricing(endpoint).or_else(|| model.pricing.clone()),
        ..model.clone()
    })
}

fn choose(catalogue: &Catalogue, resolved: &HashMap<String, Value>, filter: &Filter, base: &str) -> Selection {
    let mut selection = Selection::default();
    let mut chosen: Vec<Entry> = Vec::new();
    if let Some(ids) = &filter.ids {
        for id in ids {
            let resolved = || resolved.get(id).map(|item| (item, Match::Exact));
            match catalogue.named(id).or_else(resolved) {
                Some((item, matched)) => chosen.extend(of(base, item).map(|model| {
                    let pricing = model.pricing.filter(|_| matched == Match::Exact);
                    (Some(item), Model { id: id.clone(), pricing, ..model })
                })),
                None if ROUTERS.contains(&id.as_str()) => chosen.push((None, bare(base, id))),
                None => selection.missing.push(id.clone()),
            }
        }
    } else {
        chosen = catalogue.items.iter().filter_map(|item| Some((Some(*item), of(base, item)?))).collect();
    }
    chosen.retain(|(item, model)| keep(*item, model, filter));
    sort(&mut chosen, filter.sort);
    selection.models = chosen
        .into_iter()
        .map(|(item, model)| {
            let own_id = own_id(item, &model.id);
            (model, own_id)
        })
        .collect();
    selection
}

fn sort(entries: &mut [Entry], order: Option<Sort>) {
    let field = |item: &Option<&Value>, path: &str| item.and_then(|item| number(item, path));
    match order {
        None => {}
        Some(Sort::Id) => entries.sort_by(|a, b| a.1.id.cmp(&b.1.id)),
        Some(Sort::Price) => entries.sort_by(|a, b| {
            let price = |model: &Model| price_of(model).unwrap_or(f64::INFINITY);
            price(&a.1).total_cmp(&price(&b.1)).then_with(|| a.1.id.cmp(&b.1.id))
        }),
        Some(Sort::Context) => entries.sort_by_key(|(_, model)| Reverse(model.context_length)),
        Some(Sort::Newest) => entries.sort_by_key(|(item, _)| Reverse(field(item, "/created"))),
    }
}

/// How an id means an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    /// It is the entry, at its price.
    Exact,
    /// It is a way to route that may take another price.
    Route,
}

/// The catalogue, with the first entry of each name.
struct Catalogue<'a> {
    items: Vec<&'a Value>,
    /// By id.
    own: HashMap<&'a str, usize>,
    /// By permanent slug.
    slug: HashMap<&'a str, usize>,
}

impl<'a> Catalogue<'a> {
    fn new(items: Vec<&'a Value>) -> Self {
        let first = |field: &str| {
            let names = items.iter().enumerate().filter_map(|(at, item)| Some((item.get(field)?.as_str()?, at)));
            // From behind, so that what stands first stays.
            names.filter(|(name, _)| !name.is_empty()).rev().collect()
        };
        let (own, slug) = (first("id"), first("canonical_slug"));
        Self { items, own, slug }
    }

    /// The first item that is what an id means: itself, its permanent slug, or its base when the id is a way to route.
    fn named(&self, id: &str) -> Option<(&'a Value, Match)> {
        let itself = [self.own.get(id), self.slug.get(id)].into_iter().flatten().min().map(|at| (*at, Match::Exact));
        // Most variants are ways to route and are listed nowhere; `:free` is a model of its own.
        let routed = || {
            let (plain, variant) = id.split_once(':').filter(|(_, variant)| *variant != "free")?;
            let matched = if OTHERWISE_PRICED.contains(&variant) { Match::Route } else { Match::Exact };
            Some((*self.own.get(plain)?, matched))
        };
        let (at, matched) = [itself, routed()].into_iter().flatten().min_by_key(|(at, _)| *at)?;
        Some((*self.items.get(at)?, matched))
    }
}

fn keep(item: Option<&Value>, model: &Model, filter: &Filter) -> bool {
    let price = price_of(model);
    let known = |name: &str| item.is_some_and(|item| items(item, "supported_parameters").any(|known| known == name));
    filter.matching.as_ref().is_none_or(|regex| regex.is_match(&model.id))
        && (!filter.free || costs_nothing(model))
        && filter.max_price.is_none_or(|max| price.is_some_and(|price| price * 1e6 <= max * (1.0 + 1e-12)))
        && filter.supports.iter().all(|name| known(name))
}

/// Whether no price of it is above zero, and those of tokens are known.
fn costs_nothing(model: &Model) -> bool {
    let Some(pricing) = &model.pricing else { return false };
    let zero = |text: &String| text.parse() == Ok(0.0);
    [&pricing.prompt_usd_per_token, &pricing.completion_usd_per_token].into_iter().all(|p| p.as_ref().is_some_and(zero))
        && pricing.request_usd.as_ref().is_none_or(zero)
}

/// US dollars per output token.
fn price_of(model: &Model) -> Option<f64> {
    model.pricing.as_ref()?.completion_usd_per_token.as_ref()?.parse().ok()
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
        pricing: pricing(item),
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

    fn chosen(filter: Filter) -> (Vec<String>, Vec<String>) {
        let catalogue = catalogue();
        let latest = json!({"id": "b/large", "pricing": {"prompt": "0.000003", "completion": "0.000015"}});
        let items: Vec<&Value> = catalogue.as_array().unwrap().iter().collect();
        let selection = choose(
            &Catalogue::new(items),
            &[("~b/large-latest".into(), latest)].into(),
            &filter,
            "https://openrouter.ai",
        );
        (selection.models.into_iter().map(|(model, _)| model.id).collect(), selection.missing)
    }

    #[test]
    fn filters_and_sorts_the_catalogue() {
        let ids = |filter| chosen(filter).0.join(" ");
        assert_eq!(ids(Filter::default()), "a/small a/small:free b/large openrouter/auto");
        assert_eq!(ids(Filter { free: true, ..Filter::default() }), "a/small:free");
        assert_eq!(ids(Filter { max_price: Some(0.4), ..Filter::default() }), "a/small a/small:free");
        assert_eq!(ids(Filter { supports: vec!["seed".into()], ..Filter::default() }), "a/small");
        assert_eq!(ids(Filter { matching: Regex::new("^b/").ok(), ..Filter::default() }), "b/large");
        assert_eq!(
            ids(Filter { sort: Some(Sort::Price), ..Filter::default() }),
            "a/small:free a/small b/large openrouter/auto"
        );
        assert_eq!(
            ids(Filter { sort: Some(Sort::Newest), ..Filter::default() }),
            "b/large a/small:free a/small openrouter/auto"
        );
    }

    #[test]
    fn id_list_keeps_its_order_and_reports_missing_ids() {
        let list = [
            "b/large",
            "c/none",
            "a/small:nitro",
            "a/small-0101",
            "b/large:free",
            "openrouter/auto",
            "openrouter/free",
            "openrouter/atuo",
            "~b/large-latest",
            "~a/none-latest",
        ];
        let (ids, missing) = chosen(Filter { ids: Some(list.map(str::to_owned).to_vec()), ..Filter::default() });
        assert_eq!(
            ids,
            ["b/large", "a/small:nitro", "a/small-0101", "openrouter/auto", "openrouter/free", "~b/large-latest"]
        );
        assert_eq!(missing, ["c/none", "b/large:free", "openrouter/atuo", "~a/none-latest"]);
    }

    #[test]
    fn variant_with_another_price_has_no_price() {
        for (id, price) in [
            ("a/small", Some("0.0000004")),
            ("a/small-0101", Some("0.0000004")),
            ("a/small:exacto", Some("0.0000004")),
            ("a/small:free", Some("0")),
            ("a/small:nitro", None),
            ("a/small:floor", None),
            ("a/small:online", None),
            ("openrouter/auto", None),
            ("openrouter/free", None),
            ("~b/large-latest", Some("0.000015")),
        ] {
            let catalogue = catalogue();
            let items: Vec<&Value> = catalogue.as_array().unwrap().iter().collect();
            let latest = [("~b/large-latest".to_owned(), catalogue[2].clone())].into();
            let filter = Filter { ids: Some(vec![id.to_owned()]), ..Filter::default() };
            let (model, own_id) = choose(&Catalogue::new(items), &latest, &filter, "x").models.remove(0);
            assert_eq!(own_id.starts_with("a/small") || own_id == "b/large", !id.starts_with("openrouter/"), "{id}");
            let field = model.pricing.and_then(|pricing| pricing.completion_usd_per_token);
            assert_eq!((model.id.as_str(), field.as_deref()), (id, price));
        }
    }

    #[test]
    fn ambiguous_id_means_the_first_entry() {
        let catalogue = json!([
            {"id": "a/one", "canonical_slug": "a/two"},
            {"id": "a/two"},
            {"id": "a/one:floor"},
            {"id": "a/one", "name": "again"},
        ]);
        let catalogue = Catalogue::new(catalogue.as_array().unwrap().iter().collect());
        for (id, place) in [
            ("a/two", Some((0, Match::Exact))),
            ("a/one", Some((0, Match::Exact))),
            ("a/one:floor", Some((0, Match::Route))),
            ("a/two:thinking", Some((1, Match::Exact))),
            ("a/one:free", None),
            ("", None),
        ] {
            let named = catalogue.named(id).map(|(item, matched)| (std::ptr::from_ref(item), matched));
            assert_eq!(
                named,
                place.map(|(at, matched): (usize, Match)| (std::ptr::from_ref(catalogue.items[at]), matched)),
                "{id}"
            );
        }
    }

    #[test]
    fn prices_keep_every_digit() {
        let catalogue = catalogue();
        let model = of("https://openrouter.ai", &catalogue[0]).unwrap();
        let pricing = model.pricing.unwrap();
        assert_eq!(pricing.prompt_usd_per_token.as_deref(), Some("0.0000001"));
        assert_eq!(pricing.request_usd, None);
        assert_eq!(of("https://openrouter.ai", &catalogue[2]).unwrap().capabilities.unwrap(), ["vision"]);
        assert_eq!(of("https://openrouter.ai", &catalogue[3]).unwrap().pricing, None, "-1 is no price");
    }
}
