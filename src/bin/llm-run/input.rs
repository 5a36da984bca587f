//! From lines to targets: `model` records and bare ids, each with its server and the key that may go there.

use crate::args::Cli;
use anyhow::bail;
use llm_bench::cli::{Input, Talk, base_url_of};
use llm_bench::http::{Api, api_base, base_url, service, shown};
use llm_bench::models::{foreign, id};
use llm_bench::ndjson::Out;
use llm_bench::record::{self, Model, Record, Source};
use llm_bench::run::Target;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, OnceLock};

/// Reads the whole input; passes on what is not for this program, and the models too, whose sizes and prices a report wants.
/// Returns the targets, and how many lines were refused.
pub fn targets(cli: &Cli, talk: Talk, out: &mut Out) -> anyhow::Result<(Vec<Target>, u64)> {
    let mut input = Input::open(&cli.files, cli.common.strict, talk)?;
    let mut targets = Vec::new();
    let mut refused_keys: Vec<String> = Vec::new();
    let mut begun: Option<Arc<str>> = None;
    while let Some(line) = input.next_line()? {
        if begun.as_ref() != Some(&line.place.file) {
            begun = Some(Arc::clone(&line.place.file));
            if let Some(what) = foreign(&line.text) {
                bail!(
                    "{}: this is {what}, not model records: pipe them in from llm-models, or write ids, one per line, with --source",
                    line.place.file
                );
            }
        }
        let models = if line.text.trim_start().starts_with('{') {
            match record::read(&line.text) {
                Ok(Record::Model(model)) => {
                    pass(cli, out, &line.text)?;
                    vec![*model]
                }
                Ok(record) => {
                    if let Record::Newer(v) = record {
                        input.newer(&line, v);
                    }
                    pass(cli, out, &line.text)?;
                    continue;
                }
                Err(why) => {
                    input.refuse(&line.place, &why.to_string())?;
                    continue;
                }
            }
        } else {
            match id(&line.text) {
                Ok(id) => id.into_iter().map(|id| Model { id, ..Model::default() }).collect(),
                Err(why) => {
                    input.refuse(&line.place, &why.to_string())?;
                    continue;
                }
            }
        };
        for model in models {
            match target(cli, model, talk) {
                Ok((target, refused)) => {
                    refused_keys
                        .extend(refused.filter(|why| !refused_keys.contains(why)).inspect(|why| talk.warn(why)));
                    targets.push(target);
                }
                Err(why) => input.refuse(&line.place, &format!("{why:#}"))?,
            }
        }
    }
    let keyed = |target: &&Target| target.key.is_some();
    let first = targets.iter().find(keyed).map(|target| target.source);
    let one_key = cli.keys.api_key.is_some() || cli.keys.api_key_file.is_some();
    if one_key && targets.iter().filter(keyed).any(|target| Some(target.source) != first) {
        bail!("one key for several services: give each its own by its environment variable");
    }
    if let Some(tag) = &cli.openrouter.provider
        && !targets.is_empty()
        && !targets.iter().any(|target| target.source == Source::Openrouter)
    {
        bail!("--provider {tag}: only OpenRouter has providers, and no model here is of it");
    }
    if targets.is_empty() {
        bail!("no models to run: pipe them in from llm-models, or write ids, one per line, with --source");
    }
    Ok((targets, input.bad()))
}

fn pass(cli: &Cli, out: &mut Out, line: &str) -> std::io::Result<()> {
    if cli.keep.dry_run { Ok(()) } else { out.line(line) }
}

fn target(cli: &Cli, mut model: Model, talk: Talk) -> anyhow::Result<(Target, Option<String>)> {
    let Some(source) = model.source.or(cli.source) else {
        bail!("{}: on which kind of server? give --source lmstudio|openrouter|ollama|openai|minimax", model.id);
    };
    let usual = base_url_of(source, cli.base_url.as_deref()).map(|(url, _)| url);
    // Hosts that the user named, by flag or environment, may have the key; a host that only a line names may not.
    let named: Vec<String> = usual.iter().cloned().collect();
    // A record says where it comes from; the flag is for those that do not.
    let base = match &model.base_url {
        Some(url) => base_url(url).map_err(anyhow::Error::msg)?,
        None => usual?,
    };
    let base = api_base(source, &base).to_owned();
    let (key, rule) = cli.keys.resolve(source, &named, talk)?;
    let facts = service(source);
    if key.is_none() && facts.needs_key && facts.base_url == Some(base.as_str()) && !cli.keep.dry_run {
        bail!(
            "{}: no key for {}: set {}, or give --api-key-file FILE",
            model.id,
            shown(&base),
            facts.key_variable.unwrap_or("it")
        );
    }
    if source == Source::Openrouter && model.provider.is_none() {
        model.provider.clone_from(&cli.openrouter.provider);
    }
    let (api, refused) = Api::new(&base, key.clone(), &rule);
    model.base_url = Some(base.clone());
    let key = key.filter(|_| refused.is_none());
    let (dialect, newer_limit) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (instance, fitted) = (OnceLock::new(), OnceLock::new());
    Ok((Target { model, source, base_url: base, key, api, instance, dialect, newer_limit, fitted }, refused))
}
