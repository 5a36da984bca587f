//! llm-models: which models are there. Writes one `model` record per model of a server, or of a list.

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use llm_bench::cli::{self, Common, Exit, KeyArgs, Talk, base_url_of};
use llm_bench::http::{Api, api_base, is_loopback, service, shown};
use llm_bench::models::{self, detect, lmstudio, minimax, ollama, openai, openrouter};
use llm_bench::ndjson::Out;
use llm_bench::record::{self, Failure, FailureKind, Model, Source};
use regex::Regex;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const AFTER: &str = "\
Examples:
  llm-models lmstudio | llm-run --suite website
  llm-models openrouter --models-file models.txt | llm-run --suite website --concurrency 4
  llm-models openai --base-url http://127.0.0.1:8080 --format text
  (llm-models lmstudio; llm-models openrouter --match '^google/') > models.ndjson
  llm-models detect --format text

Environment:
  LMSTUDIO_API_BASE, OLLAMA_HOST, OPENAI_BASE_URL, OPENROUTER_API_BASE, MINIMAX_API_BASE
                       where the server is, unless --base-url says so
  LM_API_TOKEN, OPENROUTER_API_KEY, OPENAI_API_KEY, MINIMAX_API_KEY
                       its key; sent only to its own service, this machine, and hosts that you name
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY

Memory: one listing, at most 64 MiB.
";

/// List the models of a server as records
#[derive(Parser)]
#[command(name = "llm-models", version, after_long_help = format!("{AFTER}\n{}", cli::EXIT_STATUS))]
struct Cli {
    #[command(subcommand)]
    place: Place,
    /// How to write the list
    #[arg(long, value_enum, default_value = "ndjson", global = true)]
    format: Format,
    /// Only ids that match
    #[arg(long = "match", value_name = "REGEX", value_parser = cli::regex, global = true)]
    matching: Option<Regex>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    common: Common,
}

impl AsRef<Common> for Cli {
    fn as_ref(&self) -> &Common {
        &self.common
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One record per line
    Ndjson,
    /// A table for people
    Text,
    /// One id per line
    Ids,
}

#[derive(Args)]
struct Server {
    /// Where the server answers
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

#[derive(Subcommand)]
enum Place {
    /// LM Studio, on this machine unless --base-url says otherwise
    Lmstudio {
        #[command(flatten)]
        server: Server,
        /// Embedding models too
        #[arg(long)]
        all: bool,
        /// Do not start the server with `lms server start` when none answers
        #[arg(long)]
        no_start: bool,
    },
    /// OpenRouter's catalogue
    Openrouter(Catalogue),
    /// Ollama
    Ollama {
        #[command(flatten)]
        server: Server,
        /// Embedding models too
        #[arg(long)]
        all: bool,
    },
    /// Any server with an OpenAI-compatible API: llama.cpp, vLLM, SGLang, TGI, MLX, LiteLLM …
    Openai {
        #[command(flatten)]
        server: Server,
    },
    /// MiniMax, or a local server of a MiniMax model
    Minimax {
        #[command(flatten)]
        server: Server,
    },
    /// A list: one id per line, `#` comments
    File {
        /// The list; `-` is standard input
        path: PathBuf,
        /// The kind of server the models are on
        #[arg(long)]
        source: Option<Source>,
        #[command(flatten)]
        server: Server,
    },
    /// Every server on this machine that listens on its usual port
    Detect {
        /// Embedding models too
        #[arg(long)]
        all: bool,
    },
}

#[derive(Args)]
struct Catalogue {
    #[command(flatten)]
    server: Server,
    /// Only the models of this list, in its order: one id per line, `#` comments; `-` is standard input
    #[arg(long, value_name = "FILE")]
    models_file: Option<PathBuf>,
    /// Only models that cost nothing
    #[arg(long)]
    free: bool,
    /// Only models at or under this price, in US dollars per million output tokens
    #[arg(long, value_name = "USD", value_parser = price)]
    max_price: Option<f64>,
    /// Only models that support this request parameter (repeat for several)
    #[arg(long, value_name = "PARAM")]
    supports: Vec<String>,
    /// In this order; the catalogue's own, or the list's, otherwise
    #[arg(long, value_enum)]
    sort: Option<openrouter::Sort>,
    /// One record per provider of each model, pinned to it
    #[arg(long)]
    endpoints: bool,
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "not a price of 0 or more".to_owned())
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(cli: Cli, talk: Talk) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut models, failed) = runtime.block_on(list(&cli, talk))?;
    if let Some(regex) = &cli.matching {
        models.retain(|model| regex.is_match(&model.id));
        if models.is_empty() && failed == 0 {
            bail!("no model's id matches {regex}: see --format ids without --match");
        }
    }
    let mut out = Out::open(cli.common.output.as_deref())?;
    match cli.format {
        Format::Ndjson => models.iter().try_for_each(|model| anyhow::Ok(out.line(&record::line(model)?)?))?,
        Format::Ids => models.iter().try_for_each(|model| out.line(&cli::plain(&model.id)))?,
        Format::Text => models::table::table(&models).lines().try_for_each(|line| out.line(line))?,
    }
    Ok(Exit::of(failed))
}

async fn list(cli: &Cli, talk: Talk) -> anyhow::Result<(Vec<Model>, u64)> {
    let models = match &cli.place {
        Place::Lmstudio { server, all, no_start } => {
            let api = api(cli, Source::Lmstudio, server, talk)?;
            let found = lmstudio_or_start(&api, *all, !*no_start, talk).await?;
            some(found, "download one in LM Studio, or with `lms get`")?
        }
        Place::Ollama { server, all } => {
            let api = api(cli, Source::Ollama, server, talk)?;
            some(
                ollama::list(&api, *all).await.map_err(|why| unreached(Source::Ollama, why))?,
                "get one with `ollama pull`",
            )?
        }
        Place::Openai { server } => {
            let api = api(cli, Source::Openai, server, talk)?;
            let found = openai::list(&api).await.map_err(|why| unreached(Source::Openai, why))?;
            if let Some(server) = found.iter().find_map(|model| model.server.as_deref()) {
                talk.note(format!("{} is {server}", shown(api.base())));
            }
            some(found, "load one on the server")?
        }
        Place::Minimax { server } => {
            let api = api(cli, Source::Minimax, server, talk)?;
            some(minimax::list(&api).await.map_err(|why| unreached(Source::Minimax, why))?, "check the key's plan")?
        }
        Place::Openrouter(catalogue) => return openrouter_models(cli, catalogue, talk).await,
        Place::File { path, source, server } => {
            let base = match (source, &server.base_url) {
                (Some(source), flag) => Some(base_url_of(*source, flag.as_deref())?.0),
                (None, Some(_)) => bail!("--base-url needs --source: which kind of server is it?"),
                (None, None) => None,
            };
            let models = read_ids(path)?.into_iter().map(|id| Model {
                source: *source,
                id,
                base_url: base.clone(),
                ..Model::default()
            });
            some(models.collect(), &format!("write one id per line into {}", path.display()))?
        }
        Place::Detect { all } => {
            let places: Vec<_> = detect::PLACES.iter().map(|(source, base)| (*source, (*base).to_owned())).collect();
            let found = detect::list(&places, *all).await;
            for (source, base, models) in &found {
                let kind = models.iter().find_map(|model| model.server.clone()).unwrap_or_else(|| source.to_string());
                talk.warn(format!("{base}: {kind}, {} models", models.len()));
            }
            let models: Vec<Model> = found.into_iter().flat_map(|(_, _, models)| models).collect();
            if models.is_empty() {
                bail!("no server answers on this machine: start one, or name it: llm-models openai --base-url URL");
            }
            models
        }
    };
    Ok((models, 0))
}

fn api(cli: &Cli, source: Source, server: &Server, talk: Talk) -> anyhow::Result<Api> {
    let (base, named) = base_url_of(source, server.base_url.as_deref())?;
    let base = api_base(source, &base).to_owned();
    let (key, rule) = cli.keys.resolve(source, if named { std::slice::from_ref(&base) } else { &[] }, talk)?;
    if key.is_none() && source == Source::Minimax && !named {
        let name = service(source).key_variable.unwrap_or_default();
        bail!("no key: set {name}, or give --api-key-file FILE");
    }
    let (api, refused) = Api::new(&base, key, &rule)?;
    if let Some(why) = refused {
        talk.warn(why);
    }
    Ok(api)
}

fn unreached(source: Source, why: Failure) -> anyhow::Error {
    let fix = match (source, why.kind) {
        (Source::Lmstudio, FailureKind::Connect) => ": start it with `lms server start`, or give --base-url",
        (Source::Ollama, FailureKind::Connect) => ": start it with `ollama serve`, or give --base-url",
        (_, FailureKind::Connect) => ": is the server up, and is --base-url right?",
        (_, FailureKind::Refused) if why.status == Some(401) => ": check the key",
        _ => "",
    };
    anyhow::anyhow!("{source}: {}{fix}", why.message)
}

fn some(models: Vec<Model>, fix: &str) -> anyhow::Result<Vec<Model>> {
    if models.is_empty() {
        bail!("no models: {fix}");
    }
    Ok(models)
}

async fn lmstudio_or_start(api: &Api, all: bool, start: bool, talk: Talk) -> anyhow::Result<Vec<Model>> {
    let why = match lmstudio::list(api, all).await {
        Ok(models) => return Ok(models),
        Err(why) => why,
    };
    if why.kind != FailureKind::Connect || !start || !is_loopback(api.base()) {
        return Err(unreached(Source::Lmstudio, why));
    }
    match lmstudio::start_server() {
        Err(lms) => {
            talk.note(lms);
            return Err(unreached(Source::Lmstudio, why));
        }
        Ok(said) => talk.warn(format!("no server answered; started it with `lms server start`: {said}")),
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Ok(models) = lmstudio::list(api, all).await {
            return Ok(models);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    talk.warn(format!("{} still does not answer; listing with `lms ls`", shown(api.base())));
    lmstudio::list_by_lms(api.base(), all).map_err(|lms| anyhow::anyhow!("{lms}: {}", unreached(Source::Lmstudio, why)))
}

async fn openrouter_models(cli: &Cli, catalogue: &Catalogue, talk: Talk) -> anyhow::Result<(Vec<Model>, u64)> {
    let api = api(cli, Source::Openrouter, &catalogue.server, talk)?;
    let ids = catalogue.models_file.as_ref().map(read_ids).transpose()?;
    if ids.as_ref().is_some_and(Vec::is_empty) {
        bail!(
            "{}: no models: write one id per line",
            catalogue.models_file.as_deref().unwrap_or("-".as_ref()).display()
        );
    }
    let wanted = openrouter::Wanted {
        ids,
        matching: cli.matching.clone(),
        free: catalogue.free,
        max_price: catalogue.max_price,
        supports: catalogue.supports.clone(),
        sort: catalogue.sort,
    };
    let found = openrouter::list(&api, &wanted).await.map_err(|why| unreached(Source::Openrouter, why))?;
    let mut failed = found.missing.len() as u64;
    for id in &found.missing {
        talk.error(format!("{id}: not in OpenRouter's catalogue: left out"));
    }
    let models = if catalogue.endpoints {
        let (pinned, missing) = openrouter::endpoints(&api, &found.models, &wanted).await;
        failed += missing.len() as u64;
        for (id, why) in missing {
            talk.error(format!("{id}: {why}: left out"));
        }
        pinned
    } else {
        found.models.into_iter().map(|(model, _)| model).collect()
    };
    if models.is_empty() && failed == 0 {
        bail!("no models match: loosen the filters");
    }
    Ok((models, failed))
}

fn read_ids(path: &PathBuf) -> anyhow::Result<Vec<String>> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("-")?
    } else {
        std::fs::read_to_string(path).with_context(|| path.display().to_string())?
    };
    Ok(models::ids(&text))
}
