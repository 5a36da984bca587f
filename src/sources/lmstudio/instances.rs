//! LM Studio's models and loaded instances, from the listings of every API generation.
//!
//! The native listing (v1) knows keys and instances, and on some builds forgets the instances; the older one (v0) knows the
//! state, and may drop the vendor from an id; the plain one knows nothing of loading, and `lms ps` is asked instead.

use crate::http::Api;
use crate::sources::life_cycle::SHORT;
use serde_json::Value;

/// A model that the server lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListedModel {
    /// What load and chat accept.
    pub key: String,
    /// `key@variant`, where there are several.
    pub variants: Vec<String>,
    /// The variant that is loaded by default.
    pub selected: Option<String>,
    /// What of it is loaded.
    pub instances: Vec<Instance>,
}

/// A loaded model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Instance {
    /// The name under which it answers.
    pub id: String,
    /// In tokens.
    pub context_length: Option<u64>,
    /// Requests at once.
    pub parallel: Option<u64>,
}

/// How much a server can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiGeneration {
    /// `/api/v1`: loads models.
    V1,
    /// `/api/v0`: lists loaded models.
    V0,
    /// `/v1` alone, or something else.
    Plain,
}

/// The models, and the API generation that listed them.
#[derive(Debug, Clone)]
pub struct Listing {
    /// How much it can say.
    pub generation: ApiGeneration,
    /// The models.
    pub rows: Vec<ListedModel>,
}

impl Listing {
    /// Asks the server.
    ///
    /// # Errors
    /// When it is not reached, or refuses.
    pub async fn of(api: &Api) -> Result<Self, String> {
        let native = get_list(api, "/api/v1/models", "models").await?;
        let older = get_list(api, "/api/v0/models", "data").await?;
        let older = older.filter(|items| items.iter().any(|item| item.get("state").is_some()));
        let generation = match (&native, &older) {
            (Some(_), _) => ApiGeneration::V1,
            (None, Some(_)) => ApiGeneration::V0,
            (None, None) => ApiGeneration::Plain,
        };
        let mut rows = rows_of_v1(&native.unwrap_or_default());
        merge_v0(&mut rows, &older.unwrap_or_default());
        Ok(Self { generation, rows })
    }

    /// The model that `id` means: a key, a key with a variant, a loaded instance, or the last part of exactly one key.
    /// The second is the variant, where one was named.
    ///
    /// # Errors
    /// When there is none, or more than one, with what to write instead.
    pub fn find(&self, id: &str) -> Result<(&ListedModel, Option<String>), String> {
        let of_key = |key: &str| self.rows.iter().find(|row| row.key == key);
        if let Some(row) = of_key(id) {
            return Ok((row, None));
        }
        if let Some(row) = self.rows.iter().find(|row| row.variants.iter().any(|variant| variant == id)) {
            return Ok((row, Some(id.to_owned())));
        }
        if let Some(row) = id.split_once('@').and_then(|(key, _)| of_key(key)) {
            let known = if row.variants.is_empty() { "none".into() } else { row.variants.join(", ") };
            return Err(format!("{id}: no such variant; there are: {known}"));
        }
        if let Some(row) = numbered(id).and_then(of_key) {
            return Ok((row, None));
        }
        let mut like = self.rows.iter().filter(|row| last(&row.key).eq_ignore_ascii_case(last(id)));
        match (like.next(), like.next()) {
            (Some(row), None) if !id.contains('/') || !row.key.contains('/') => Ok((row, None)),
            (Some(row), None) => Err(format!("{id}: no such model: did you mean {}?", row.key)),
            (Some(one), Some(other)) => {
                Err(format!("{id}: may mean {} or {}: write the whole key", one.key, other.key))
            }
            (None, _) => Err(format!("{id}: no such model: see llm-models lmstudio --format ids")),
        }
    }
}

/// GETs a listing; `None` where the server has none, whatever the status.
async fn get_list(api: &Api, path: &str, list: &str) -> Result<Option<Vec<Value>>, String> {
    let reply = api.get(path, SHORT).await.map_err(|error| error.message)?;
    // A server that fails, or refuses, has the listing and does not give it.
    if matches!(reply.status, 401 | 403 | 429 | 500 | 502..=599) {
        return reply.success().map(|_| None).map_err(|error| error.message);
    }
    Ok(reply.json().and_then(|mut body| match body.get_mut(list).map(Value::take) {
        Some(Value::Array(items)) => Some(items),
        _ => None,
    }))
}

fn rows_of_v1(items: &[Value]) -> Vec<ListedModel> {
    let mut rows: Vec<ListedModel> = Vec::new();
    for item in items {
        let Some(key) = text(item, "key") else { continue };
        let names = |list: Option<&Value>| -> Vec<String> {
            let list = list.and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let instances = item.get("loaded_instances").and_then(Value::as_array).into_iter().flatten();
        let instances = instances.map(|instance| Instance {
            id: text(instance, "id").unwrap_or_else(|| key.clone()),
            context_length: instance.pointer("/config/context_length").and_then(Value::as_u64),
            parallel: instance.pointer("/config/parallel").and_then(Value::as_u64),
        });
        let instances: Vec<Instance> = instances.collect();
        let (mut variants, selected) = (names(item.get("variants")), text(item, "selected_variant"));
        variants.extend(selected.clone().filter(|selected| !variants.contains(selected)));
        // One key may stand in several rows, one per variant.
        match rows.iter_mut().find(|row| row.key == key) {
            Some(row) => {
                row.variants
                    .extend(variants.into_iter().filter(|variant| !row.variants.contains(variant)).collect::<Vec<_>>());
                row.instances.extend(
                    instances
                        .into_iter()
                        .filter(|i| row.instances.iter().all(|known| known.id != i.id))
                        .collect::<Vec<_>>(),
                );
                // The listing does not say which row the key alone loads.
                row.selected = None;
            }
            None => rows.push(ListedModel { key, variants, selected, instances }),
        }
    }
    rows
}

/// Adds the loaded models that only v0 lists, or all models where there is no v1.
fn merge_v0(rows: &mut Vec<ListedModel>, items: &[Value]) {
    let only = rows.is_empty();
    let ids: Vec<String> = items.iter().filter_map(|item| text(item, "id")).collect();
    for item in items {
        let Some(id) = text(item, "id") else { continue };
        // A second instance of a model is listed as `id:2`.
        let key = numbered(&id).filter(|key| ids.iter().any(|id| id == key)).unwrap_or(&id).to_owned();
        let exact = rows.iter().position(|row| row.key == key);
        let place = exact.or_else(|| {
            let mut like = rows.iter().enumerate().filter(|(_, row)| !key.contains('/') && last(&row.key) == key);
            like.next().map(|(n, _)| n).filter(|_| like.next().is_none())
        });
        let loaded = text(item, "state").as_deref() == Some("loaded");
        let place = match place {
            Some(place) => place,
            None if only || loaded => {
                rows.push(ListedModel { key, ..ListedModel::default() });
                rows.len() - 1
            }
            None => continue,
        };
        let known = &mut rows[place].instances;
        let length = item.get("loaded_context_length").and_then(Value::as_u64);
        if loaded && (only || known.is_empty()) && known.iter().all(|instance| instance.id != id) {
            known.push(Instance { id, context_length: length, parallel: None });
        } else if loaded && let [one] = known.as_mut_slice() {
            one.context_length = one.context_length.or(length);
        }
    }
}

/// Of `lms ps --json`.
pub fn rows_of_ps(items: &[Value]) -> Vec<ListedModel> {
    let mut rows: Vec<ListedModel> = Vec::new();
    for item in items {
        let Some(key) = text(item, "modelKey") else { continue };
        let instance = Instance {
            id: text(item, "identifier").unwrap_or_else(|| key.clone()),
            context_length: item.get("contextLength").and_then(Value::as_u64),
            parallel: item.get("parallel").and_then(Value::as_u64),
        };
        match rows.iter_mut().find(|row| row.key == key) {
            Some(row) => row.instances.push(instance),
            None => rows.push(ListedModel { key, instances: vec![instance], ..ListedModel::default() }),
        }
    }
    rows
}

fn text(item: &Value, name: &str) -> Option<String> {
    item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The id without the number of an instance: `model` of `model:2`.
fn numbered(id: &str) -> Option<&str> {
    let (key, number) = id.rsplit_once(':')?;
    number.parse::<u32>().is_ok().then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listing(v1: Value, v0: Value) -> Listing {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut rows = rows_of_v1(&list(&v1));
        merge_v0(&mut rows, &list(&v0));
        Listing { generation: ApiGeneration::V1, rows }
    }

    #[test]
    fn id_means_one_model_or_none() {
        let listing = listing(
            json!([{"key": "openai/gpt-oss-20b"}, {"key": "google/gemma", "variants": ["google/gemma@q4", "google/gemma@q8"]},
                {"key": "a/twin"}, {"key": "b/twin"}, {"key": "qwen3-4b-thinking"}]),
            json!([]),
        );
        for (id, found) in [
            ("openai/gpt-oss-20b", Ok(("openai/gpt-oss-20b", None))),
            ("gpt-oss-20b", Ok(("openai/gpt-oss-20b", None))),
            ("openai/gpt-oss-20b:2", Ok(("openai/gpt-oss-20b", None))),
            ("google/gemma@q4", Ok(("google/gemma", Some("google/gemma@q4")))),
            ("google/gemma@q2", Err("no such variant")),
            ("twin", Err("a/twin or b/twin")),
            ("mlx/gpt-oss-20b", Err("did you mean openai/gpt-oss-20b")),
            ("qwen3-4b", Err("no such model")),
            ("qwen3-4b-thinking", Ok(("qwen3-4b-thinking", None))),
        ] {
            match (listing.find(id), found) {
                (Ok((row, variant)), Ok((key, want))) => {
                    assert_eq!((row.key.as_str(), variant.as_deref()), (key, want))
                }
                (Err(error), Err(want)) => assert!(error.contains(want), "{id}: {error}"),
                (got, _) => panic!("{id}: {got:?}"),
            }
        }
    }

    #[test]
    fn merges_loaded_models_of_both_listings() {
        let loaded_instances = |v1, v0| -> Vec<String> {
            let listing = listing(v1, v0);
            let loaded = listing.rows.iter().flat_map(|row| row.instances.iter().map(move |instance| (row, instance)));
            loaded.map(|(row, i)| format!("{} as {} {:?}", row.key, i.id, i.context_length)).collect()
        };
        let v1 = |instances| json!([{"key": "a/one", "loaded_instances": instances}, {"key": "b/two", "loaded_instances": []}]);
        let both = json!([{"id": "a/one", "state": "loaded", "loaded_context_length": 4096}, {"id": "b/two", "state": "not-loaded"}]);
        assert_eq!(
            loaded_instances(v1(json!([{"id": "x", "config": {"context_length": 8192}}])), both.clone()),
            ["a/one as x Some(8192)"]
        );
        assert_eq!(loaded_instances(v1(json!([{"id": "x", "config": {}}])), both.clone()), ["a/one as x Some(4096)"]);
        assert_eq!(loaded_instances(v1(json!([])), both.clone()), ["a/one as a/one Some(4096)"]);
        // The vendor is dropped, and the model is the only one of that name.
        assert_eq!(loaded_instances(v1(json!([])), json!([{"id": "two", "state": "loaded"}])), ["b/two as two None"]);
        // Without v1, a second instance is a row of its own there and an instance here.
        let twice =
            json!([{"id": "m", "state": "loaded"}, {"id": "m:2", "state": "loaded"}, {"id": "n", "state": "loading"}]);
        assert_eq!(loaded_instances(json!([]), twice), ["m as m None", "m as m:2 None"]);
        // What only v0 knows is loaded all the same, and must be unloaded.
        assert_eq!(
            loaded_instances(v1(json!([])), json!([{"id": "strange", "state": "loaded"}])),
            ["strange as strange None"]
        );
    }

    #[test]
    fn key_in_several_rows_is_one_model_with_variants() {
        let listing = listing(
            json!([{"key": "k", "variants": ["k@q4", "k@q8"], "selected_variant": "k@q4"}, {"key": "k", "selected_variant": "k@q8"}]),
            json!([]),
        );
        assert_eq!(listing.rows.len(), 1);
        assert_eq!((listing.rows[0].variants.len(), &listing.rows[0].selected), (2, &None));
    }
}
