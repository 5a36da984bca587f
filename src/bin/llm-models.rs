//! llm-models: which models are there. Writes one `model` record per model of a server, or of a list.

use anyhow::{Context, bail};
use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, ValueEnum};
use llm_bench::cli::{self, Common, Exit, KeyArgs, Refusals, Talk, TlsArgs, base_url_of};
use llm_bench::http::{Api, base_url, root_of, shown};
use llm_bench::ndjson::{Out, Place as At};
use llm_bench::record::{self, Failure, FailureKind, Model, Source};
use llm_bench::sources::lmstudio::start;
use llm_bench::sources::openrouter::list as openrouter;
use llm_bench::sources::{
    ServerKind, detect, id_list, kind, kinds, listing_text, ollama, openai, other_keys, with_advice,
};
use llm_bench::text::encoding;
use regex::Regex;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

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
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                       the way to other machines; this machine is always asked directly

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
    tls: TlsArgs,
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
        /// Embedding models and cloud models too
        #[arg(long)]
        all: bool,
    },
    #[command(flatten)]
    Compatible(Compatible),
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
        /// Embedding models, and Ollama's cloud models, too
        #[arg(long)]
        all: bool,
        /// Look here too (repeat for several)
        #[arg(long, value_name = "URL")]
        at: Vec<String>,
    },
}

/// A kind of server with an OpenAI-compatible listing: a subcommand of its name for each.
struct Compatible(&'static ServerKind, Server);

impl Subcommand for Compatible {
    fn augment_subcommands(command: Command) -> Command {
        let subcommands = kinds().filter_map(|kind| Some((kind, kind.about?)));
        command.subcommands(
            subcommands.map(|(kind, about)| Server::augment_args(Command::new(<&str>::from(kind.source)).about(about))),
        )
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        kinds().any(|kind| kind.about.is_some() && kind.source.to_string() == name)
    }
}

impl FromArgMatches for Compatible {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, arguments) = matches.subcommand().ok_or_else(missing)?;
        let kind = kinds().find(|kind| kind.source.to_string() == name).ok_or_else(missing)?;
        Ok(Self(kind, Server::from_arg_matches(arguments)?))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
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
    cli.tls.apply()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listed = runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            listed = list(&cli, talk) => listed.map(Ok),
            _ = interrupt.recv() => Ok(Err(SignalKind::interrupt())),
            _ = terminate.recv() => Ok(Err(SignalKind::terminate())),
        }
    })?;
    let (mut models, failed) = match listed {
        Ok(listed) => listed,
        Err(signal) => {
            // An `lms` that was waited for has ended by now; this program ends as if it had not looked.
            signal_hook::low_level::emulate_default_handler(signal.as_raw_value())?;
            bail!("ended by a signal");
        }
    };
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
        Format::Text => listing_text::table(&models).lines().try_for_each(|line| out.line(line))?,
    }
    Ok(Exit::of(failed))
}

async fn list(cli: &Cli, talk: Talk) -> anyhow::Result<(Vec<Model>, u64)> {
    let models = match &cli.place {
        Place::Lmstudio { server, all, no_start } => {
            let api = api(cli, Source::Lmstudio, server, talk)?;
            let (_, named) = base_url_of(Source::Lmstudio, server.base_url.as_deref())?;
            let at_port = |port: u16| {
                let base_url = Some(format!("http://127.0.0.1:{port}"));
                self::api(cli, Source::Lmstudio, &Server { base_url }, talk)
            };
            let options = start::StartOptions {
                all: *all,
                start: !*no_start,
                named,
                hidden_variables: &other_keys(Source::Lmstudio),
                at_port: &at_port,
            };
            let found = start::list_or_start(&api, &options, &mut |did| talk.warn(did)).await;
            some(found.map_err(|why| unreached(cli, Source::Lmstudio, why))?, kind(Source::Lmstudio).when_empty)?
        }
        Place::Ollama { server, all } => {
            let api = api(cli, Source::Ollama, server, talk)?;
            some(
                ollama::list::list(&api, *all).await.map_err(|why| unreached(cli, Source::Ollama, why))?,
                kind(Source::Ollama).when_empty,
            )?
        }
        Place::Compatible(Compatible(kind, server)) => {
            let api = api(cli, kind.source, server, talk)?;
            let listed = openai::list::list(&api).await.map_err(|why| unreached(cli, kind.source, why))?;
            if let Some(server) = listed.iter().find_map(|model| model.server.as_deref()).filter(|_| kind.any_software)
            {
                talk.note(format!("{} is {server}", shown(api.base())));
            }
            let models = listed.into_iter().map(|model| Model { source: Some(kind.source), ..model });
            some(models.collect(), kind.when_empty)?
        }
        Place::Openrouter(catalogue) => return openrouter_models(cli, catalogue, talk).await,
        Place::File { path, source, server } => {
            let base = match (source, &server.base_url) {
                (Some(source), flag) => Some(base_url_of(*source, flag.as_deref())?.0),
                (None, Some(_)) => bail!("--base-url needs --source: which kind of server is it?"),
                (None, None) => None,
            };
            let (ids, bad) = read_ids(path, cli.common.strict, talk)?;
            let model = |id| Model { source: *source, id, base_url: base.clone(), ..Model::default() };
            let models: Vec<Model> = ids.into_iter().map(model).collect();
            if bad == 0 {
                some(models.clone(), &format!("write one id per line into {}", path.display()))?;
            }
            return Ok((models, bad));
        }
        Place::Detect { all, at } => {
            let mut places: Vec<String> = detect::PLACES.map(str::to_owned).into();
            for url in at {
                let base = base_url(url).map_err(|why| anyhow::anyhow!("--at {why}"))?;
                let base = root_of(&base).to_owned();
                if !places.contains(&base) {
                    places.push(base);
                }
            }
            let (token, _) = cli.keys.resolve(Source::Lmstudio, &[], talk)?;
            let mut models = Vec::new();
            let mut closed = false;
            let mut silent: Vec<String> = places[detect::PLACES.len()..].to_vec();
            for (base, found) in detect::list(&places, token.as_ref(), *all).await {
                silent.retain(|place| *place != base);
                match found {
                    detect::Detection::Server(source, found) => {
                        let kind = found.iter().find_map(|model| model.server.clone());
                        talk.warn(format!("{base}: {}, {} models", kind.unwrap_or(source.to_string()), found.len()));
                        models.extend(found);
                    }
                    detect::Detection::KeyNeeded(why) => {
                        talk.warn(format!(
                            "{base}: wants a key ({why}): list it by its name, with --api-key-file FILE"
                        ));
                        closed = true;
                    }
                }
            }
            for base in &silent {
                talk.error(format!("{base}: no server of a kind that is known answers there"));
            }
            if models.is_empty() {
                bail!(
                    "no models: {}",
                    if closed {
                        "give the keys"
                    } else {
                        "no server answers on this machine: start one, or say where: --at URL"
                    }
                );
            }
            return Ok((models, silent.len() as u64));
        }
    };
    Ok((models, 0))
}

fn api(cli: &Cli, source: Source, server: &Server, talk: Talk) -> anyhow::Result<Api> {
    let (base, named) = base_url_of(source, server.base_url.as_deref())?;
    let base = kind(source).api_base(&base).to_owned();
    let (key, rule) = cli.keys.resolve(source, if named { std::slice::from_ref(&base) } else { &[] }, talk)?;
    if key.is_none() && kind(source).listing_needs_key && !named {
        let name = kind(source).key_variable.unwrap_or_default();
        bail!("no key: set {name}, or give --api-key-file FILE");
    }
    let (api, refused) = Api::new(&base, key, &rule);
    if let Some(why) = refused {
        talk.warn(why);
    }
    Ok(api)
}

fn unreached(cli: &Cli, source: Source, why: Failure) -> anyhow::Error {
    let variable = kind(source).key_variable;
    let in_environment = || variable.and_then(std::env::var_os).is_some_and(|key| !key.is_empty());
    let keyed = cli.keys.api_key.is_some() || cli.keys.api_key_file.is_some() || in_environment();
    let fix = match why.kind {
        FailureKind::Connect => return anyhow::anyhow!("{source}: {}", with_advice(&why, kind(source).when_down)),
        FailureKind::Refused if why.status == Some(401) && keyed => ": check the key".into(),
        FailureKind::Refused if why.status == Some(401) => kind(source).no_key_sent(),
        _ => String::new(),
    };
    anyhow::anyhow!("{source}: {}{fix}", why.message)
}

fn some(models: Vec<Model>, fix: &str) -> anyhow::Result<Vec<Model>> {
    if models.is_empty() {
        bail!("no models: {fix}");
    }
    Ok(models)
}

async fn openrouter_models(cli: &Cli, catalogue: &Catalogue, talk: Talk) -> anyhow::Result<(Vec<Model>, u64)> {
    let api = api(cli, Source::Openrouter, &catalogue.server, talk)?;
    let read = catalogue.models_file.as_ref().map(|path| read_ids(path, cli.common.strict, talk)).transpose()?;
    let (ids, bad) = read.map_or((None, 0), |(ids, bad)| (Some(ids), bad));
    if ids.as_ref().is_some_and(Vec::is_empty) {
        bail!(
            "{}: no models: write one id per line",
            catalogue.models_file.as_deref().unwrap_or("-".as_ref()).display()
        );
    }
    let filter = openrouter::Filter {
        ids,
        matching: cli.matching.clone(),
        free: catalogue.free,
        max_price: catalogue.max_price,
        supports: catalogue.supports.clone(),
        sort: catalogue.sort,
    };
    let found = openrouter::list(&api, &filter).await.map_err(|why| unreached(cli, Source::Openrouter, why))?;
    let mut failed = found.missing.len() as u64 + bad;
    for id in &found.missing {
        talk.error(format!("{id}: not in OpenRouter's catalogue: left out"));
    }
    let models = if catalogue.endpoints {
        let (pinned, missing) = openrouter::endpoints(&api, &found.models, &filter).await;
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

/// The ids of a list, and how many of its lines are none.
fn read_ids(path: &Path, strict: bool, talk: Talk) -> anyhow::Result<(Vec<String>, u64)> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(encoding::utf8(std::io::stdin())).context("-")?
    } else {
        encoding::read_to_string(path).with_context(|| path.display().to_string())?
    };
    if let Some(what) = text.lines().find(|line| !line.trim().is_empty()).and_then(id_list::not_a_list) {
        bail!("{}: this is {what}, not a list of models: write one id per line", path.display());
    }
    let (ids, bad) = id_list::ids(&text);
    let (refusals, file) = (Refusals::new(strict, talk), Arc::<str>::from(path.display().to_string()));
    for (number, why) in bad {
        refusals.line(&At { file: file.clone(), number: number as u64 }, &why)?;
    }
    Ok((ids, refusals.bad()))
}
