//! From lines to targets: `model` records and bare ids, each with its server and the key that may go there.

use crate::args::Cli;
use anyhow::bail;
use llm_bench::cli::{Input, Talk, base_url_of};
use llm_bench::http::{Api, base_url, shown};
use llm_bench::ndjson::{Line, Out};
use llm_bench::record::{self, Model, Record};
use llm_bench::run::Target;
use llm_bench::sources::id_list::{id, not_a_list};
use llm_bench::sources::{kind, kinds};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};

/// Reads the whole input, and passes on what a report may want: other records, and the models with
/// their sizes and prices. Returns the targets, and how many lines were refused.
pub fn targets(cli: &Cli, talk: Talk, out: &mut Out) -> anyhow::Result<(Vec<Target>, u64)> {
    let mut input = Input::open(&cli.files, cli.common.strict, talk)?;
    let mut targets = Vec::new();
    let mut refused_keys: Vec<String> = Vec::new();
    let mut file: Option<Arc<str>> = None;
    while let Some(line) = input.next_line()? {
        if file.as_ref() != Some(&line.place.file) {
            file = Some(Arc::clone(&line.place.file));
            if let Some(content) = not_a_list(&line.text) {
                bail!(
                    "{}: this is {content}, not model records: pipe them in from llm-models, or write ids, one per line, with --source",
                    line.place.file
                );
            }
        }
        let Some(model) = model(cli, &mut input, &line, out)? else { continue };
        match target(cli, model, talk) {
            Ok((target, refused)) => {
                let new = refused.filter(|reason| !refused_keys.contains(reason));
                refused_keys.extend(new.inspect(|reason| talk.warn(reason)));
                targets.push(target);
            }
            Err(error) => input.refuse(&line.place, &format!("{error:#}"))?,
        }
    }
    check(cli, &targets)?;
    Ok((targets, input.bad()))
}

/// The model of a line: of a record, or an id.
fn model(cli: &Cli, input: &mut Input, line: &Line, out: &mut Out) -> anyhow::Result<Option<Model>> {
    if !line.text.trim_start().starts_with('{') {
        return match id(&line.text) {
            Ok(id) => Ok(id.map(|id| Model { id, ..Model::default() })),
            Err(error) => {
                input.refuse(&line.place, &error.to_string())?;
                Ok(None)
            }
        };
    }
    let record = match record::read(&line.text) {
        Ok(record) => record,
        Err(error) => {
            input.refuse(&line.place, &error.to_string())?;
            return Ok(None);
        }
    };
    if let Record::Newer(version) = record {
        input.newer(line, version);
    }
    if !cli.keep.dry_run {
        out.line(&line.text)?;
    }
    Ok(match record {
        Record::Model(model) => Some(*model),
        _ => None,
    })
}

/// # Errors
/// When flags do not fit the targets, or there are none.
fn check(cli: &Cli, targets: &[Target]) -> anyhow::Result<()> {
    let keyed = |target: &&Target| target.key.is_some();
    let first = targets.iter().find(keyed).map(|target| target.source);
    let one_key = cli.keys.api_key.is_some() || cli.keys.api_key_file.is_some();
    if one_key && targets.iter().filter(keyed).any(|target| Some(target.source) != first) {
        bail!("one key for several services: give each its own by its environment variable");
    }
    if let Some(tag) = &cli.openrouter.provider
        && !targets.is_empty()
        && !targets.iter().any(|target| kind(target.source).is_router)
    {
        bail!("--provider {tag}: only OpenRouter has providers, and no model here is of it");
    }
    if targets.is_empty() {
        bail!("no models to run: pipe them in from llm-models, or write ids, one per line, with --source");
    }
    Ok(())
}

fn target(cli: &Cli, mut model: Model, talk: Talk) -> anyhow::Result<(Target, Option<String>)> {
    let Some(source) = model.source.or(cli.source) else {
        let kinds: Vec<String> = kinds().map(|kind| kind.source.to_string()).collect();
        bail!("{}: on which kind of server? give --source {}", model.id, kinds.join("|"));
    };
    let usual = base_url_of(source, cli.base_url.as_deref()).map(|(url, _)| url);
    // The key goes to hosts named by flag or environment, and not to one that only a line names.
    let named: Vec<String> = usual.iter().cloned().collect();
    // The flag is for records without an address.
    let base = match &model.base_url {
        Some(url) => base_url(url).map_err(anyhow::Error::msg)?,
        None => usual?,
    };
    let base = kind(source).api_base(&base).to_owned();
    let (key, rule) = cli.keys.resolve(source, &named, talk)?;
    let facts = kind(source);
    if key.is_none() && facts.needs_key && facts.base_url == Some(base.as_str()) && !cli.keep.dry_run {
        bail!(
            "{}: no key for {}: set {}, or give --api-key-file FILE",
            model.id,
            shown(&base),
            facts.key_variable.unwrap_or("it")
        );
    }
    if kind(source).is_router && model.provider.is_none() {
        model.provider.clone_from(&cli.openrouter.provider);
    }
    let (api, refused) = Api::new(&base, key.clone(), &rule);
    model.base_url = Some(base.clone());
    let key = key.filter(|_| refused.is_none());
    let (dialect, newer_limit) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (instance, fitted) = (OnceLock::new(), OnceLock::new());
    Ok((Target { model, source, base_url: base, key, api, instance, dialect, newer_limit, fitted }, refused))
}
