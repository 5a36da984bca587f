//! What makes requests comparable: who answered, at which load, and what was set.
//!
//! Requests of different settings, machines or versions are never pooled silently: every setting that [`RunSettings`] declares to
//! shape numbers is part of the key. Only what differs between the groups of a model is shown.

use super::alike::Alike;
use super::figures::failed;
use super::words::LONGEST_WORD;
use crate::record::{Effect, Host, Model, Outcome, Run, RunSettings, Source};
use crate::units::{Unit, possible};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use strum::{EnumString, VariantNames};

/// The most runs and prompts whose words are remembered for keys, and the most kinds of results whose group is.
const HEADS: usize = 20_000;

/// Something that requests can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum By {
    /// The model that was asked for.
    Model,
    /// The kind of server.
    Source,
    /// Who served it, and the endpoint it was pinned to.
    Provider,
    /// Requests at once, or per second.
    Load,
    /// What was set: context length, sampling, limits, lengths, workload.
    Settings,
    /// The machine that it was measured on.
    Machine,
    /// The versions of the tool that measured and, where it is known, of the server.
    Version,
    /// The quantization that the server told with the answer.
    Quantization,
    /// The run.
    Run,
    /// The prompt.
    Prompt,
    /// The category of the prompt.
    Category,
    /// The turn of a conversation.
    Turn,
    /// The repetition of the same question.
    #[strum(serialize = "repetition")]
    Repeat,
    /// The address that the request was sent to.
    Endpoint,
    /// The model that the server says answered.
    #[strum(serialize = "served_model")]
    Served,
}

/// By what requests are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBy(Vec<By>);

impl Default for GroupBy {
    fn default() -> Self {
        Self(vec![By::Model, By::Source, By::Provider, By::Load, By::Settings, By::Machine, By::Version])
    }
}

impl GroupBy {
    /// Reads a list: `model,load`.
    ///
    /// # Errors
    /// When a word is none of them, or stands twice; the sentence lists them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for word in text.split(',').map(str::trim) {
            let Ok(by) = word.parse() else {
                let names = By::VARIANTS.join(", ");
                if word.is_empty() {
                    let what =
                        if text.trim().is_empty() { "nothing is named" } else { "a name between commas is empty" };
                    return Err(format!("{what}; there are {names}"));
                }
                return Err(format!("nothing to group by is called {word}; there are {names}"));
            };
            if keys.contains(&by) {
                return Err(format!("{word}: stands twice"));
            }
            keys.push(by);
        }
        Ok(Self(keys))
    }

    /// Whether requests are told apart by this.
    pub fn has(&self, by: By) -> bool {
        self.0.contains(&by)
    }

    /// Whether a setting of one request says the same of all requests of its run with the same parameters.
    fn is_of_runs(&self) -> bool {
        self.0.iter().all(|by| Self::default().has(*by))
    }
}

/// What was set, by name.
pub type Settings = BTreeMap<&'static str, String>;

/// What makes requests comparable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key {
    /// The kind of server.
    pub source: Option<Source>,
    /// The model that was asked for; empty where models are not told apart.
    pub model: String,
    /// Who served it, behind a router.
    pub provider: Option<String>,
    /// Requests at once (closed loop).
    pub concurrency: Option<u64>,
    /// Requests per second (open loop), as the bits of the number: of positive numbers they have the same order.
    rate_bits: Option<u64>,
    /// What was set, and whatever else requests are told apart by.
    pub settings: Arc<Settings>,
}

impl Key {
    /// The same model, load and settings, whoever serves it.
    pub fn without_provider(&self) -> Self {
        Self { provider: None, ..self.clone() }
    }

    /// The same model, load and settings, measured with any version.
    pub fn without_versions(&self) -> Self {
        let mut settings = (*self.settings).clone();
        settings.retain(|name, _| !matches!(*name, TOOL | SERVER));
        Self { settings: Arc::new(settings), ..self.clone() }
    }

    /// The same model, server and load, whatever was set.
    pub fn without_settings(&self) -> Self {
        Self { settings: Arc::default(), ..self.clone() }
    }

    /// Whether another key says everything that this one does, and perhaps more; never of another machine.
    pub fn fits(&self, other: &Self) -> bool {
        (self.provider.is_none() || self.provider == other.provider)
            && self.settings.get(MACHINE) == other.settings.get(MACHINE)
            && self.settings.iter().all(|(name, value)| other.settings.get(name) == Some(value))
    }

    /// Requests per second (open loop).
    pub fn rate(&self) -> Option<f64> {
        self.rate_bits.map(f64::from_bits)
    }

    /// The load in short words: `4 at once`, `2.5/s`; `None` where the record does not tell.
    pub fn load(&self) -> Option<String> {
        match (self.rate(), self.concurrency) {
            (Some(rate), _) => Some(format!("{rate}/s")),
            (None, Some(n)) => Some(format!("{n} at once")),
            (None, None) => None,
        }
    }
}

/// Makes keys of results, with what the runs, models and prompts before them said.
#[derive(Debug, Default)]
pub struct Keys {
    by: GroupBy,
    /// By run: what is the same for all its requests.
    runs: HashMap<String, Settings>,
    /// The run whose head came last.
    run: String,
    /// By run and model: servers and their versions.
    servers: HashMap<(String, Option<Source>, String), Vec<Server>>,
    categories: HashMap<String, String>,
    /// The groups of kinds of results, by the kind's number.
    known: HashMap<u64, (Alike, usize)>,
}

impl Keys {
    /// Keys by what was asked for.
    pub fn new(by: GroupBy) -> Self {
        Self { by, ..Self::default() }
    }

    /// Remembers the settings of a run, and where and with what it was measured.
    pub fn run(&mut self, run: &Run) {
        self.run.clone_from(&run.run);
        if self.runs.len() >= HEADS && !self.runs.contains_key(&run.run) {
            return;
        }
        let mut settings = Settings::new();
        if self.by.has(By::Settings) {
            put(&mut settings, &run.settings);
        }
        if self.by.has(By::Machine) {
            settings.extend(machine(&run.host).map(|machine| (MACHINE, machine)));
        }
        if self.by.has(By::Version) {
            settings.insert(TOOL, short(&format!("{} {}", run.tool.name, run.tool.version), LONGEST_WORD));
        }
        self.runs.insert(run.run.clone(), settings);
        self.known.clear();
    }

    /// Remembers the version of the server of a model, which llm-run passes on after the head of its run.
    pub fn model(&mut self, model: &Model) {
        if !self.by.has(By::Version) || self.servers.len() >= HEADS {
            return;
        }
        let words = [&model.server, &model.server_version].into_iter().flatten();
        let version = words.map(String::as_str).collect::<Vec<_>>().join(" ");
        if !version.is_empty() {
            let server = Server { base_url: model.base_url.clone(), version: short(&version, LONGEST_WORD) };
            self.servers.entry((self.run.clone(), model.source, model.id.clone())).or_default().push(server);
            self.known.clear();
        }
    }

    /// Remembers the category of a prompt.
    pub fn prompt(&mut self, id: &str, category: Option<&str>) {
        if let Some(category) = category.filter(|_| self.by.has(By::Category) && self.categories.len() < HEADS) {
            self.categories.insert(id.to_owned(), short(category, LONGEST_WORD));
        }
    }

    /// The group of a result, where one like it came before.
    pub fn known(&self, o: &Outcome, kind: u64) -> Option<usize> {
        self.known.get(&kind).filter(|(alike, _)| alike.is(o)).map(|(_, group)| *group)
    }

    /// Remembers the group of a result and of all that are like it.
    pub fn remember(&mut self, o: &Outcome, kind: u64, group: usize) {
        if self.by.is_of_runs() && self.known.len() < HEADS {
            self.known.insert(kind, (Alike::of(o), group));
        }
    }

    /// The key of a result.
    pub fn of(&self, o: &Outcome) -> Key {
        let load = self.by.has(By::Load);
        let rate_bits = o.rate.filter(|rate| load && *rate > 0.0 && possible(Unit::PerSecond, *rate)).map(f64::to_bits);
        // What a request was pinned to is no answer of anybody: a failure that only has that has no provider yet.
        let provider = o.provider.as_deref().filter(|_| self.by.has(By::Provider));
        let provider = provider.filter(|provider| !(failed(o) && o.pinned_provider.as_deref() == Some(*provider)));
        Key {
            source: o.source.filter(|_| self.by.has(By::Source)),
            model: if self.by.has(By::Model) { o.model.clone() } else { String::new() },
            provider: provider.map(str::to_owned),
            concurrency: o.concurrency.filter(|_| load),
            rate_bits,
            settings: Arc::new(self.settings(o)),
        }
    }

    /// The version of the server that a request was sent to.
    fn server(&self, o: &Outcome) -> Option<String> {
        let servers = self.servers.get(&(o.run.clone(), o.source, o.model.clone()))?;
        let reached = |server: &&Server| {
            let base = server.base_url.as_deref();
            base.zip(o.endpoint.as_deref()).is_none_or(|(base, endpoint)| endpoint.starts_with(base))
        };
        servers.iter().rfind(reached).map(|server| server.version.clone())
    }

    fn settings(&self, o: &Outcome) -> Settings {
        let run = self.runs.get(&o.run);
        let mut settings = run.cloned().unwrap_or_default();
        if self.by.has(By::Settings) {
            put(&mut settings, &sent(o, run.is_some()));
        }
        let mut put = |by: By, name: &'static str, value: Option<String>| {
            if let Some(value) = value.filter(|_| self.by.has(by)) {
                settings.insert(name, short(&value, LONGEST_WORD));
            }
        };
        let prompt = o.prompt.as_ref().map(|prompt| &prompt.id);
        put(By::Provider, "pinned_provider", o.pinned_provider.clone());
        put(By::Version, SERVER, Some(()).filter(|()| !self.servers.is_empty()).and_then(|()| self.server(o)));
        put(By::Run, "run", Some(o.run.clone()));
        put(By::Prompt, "prompt", prompt.cloned());
        put(By::Category, "category", prompt.and_then(|id| self.categories.get(id)).cloned());
        put(By::Turn, "turn", o.turn.map(|turn| turn.to_string()));
        put(By::Repeat, "repetition", o.repetition.map(|n| n.to_string()));
        put(By::Endpoint, "endpoint", o.endpoint.clone());
        put(By::Served, "served_model", o.served_model.clone());
        put(By::Quantization, "quantization", super::describe::quantization(o));
        settings
    }
}

/// The name of the setting that tells machines apart.
pub const MACHINE: &str = "machine";

/// The names of the settings that tell versions apart.
pub const TOOL: &str = "tool";
pub const SERVER: &str = "server";

/// Whether a setting that groups have is part of their task.
pub fn is_task(name: &str) -> bool {
    match RunSettings::effect(name) {
        Some(effect) => effect == Effect::Task,
        None => matches!(name.parse(), Ok(By::Prompt | By::Category | By::Turn)),
    }
}

/// A server of a model, and its name and version.
#[derive(Debug)]
struct Server {
    base_url: Option<String>,
    version: String,
}

/// A machine by its hardware, in words: `Apple M3 Max 64 GiB`; `None` where nothing of it is known. Graphics that carry the
/// processor's name are part of it. Memory is told to the GiB: what a system counts as installed differs from boot to boot.
pub fn machine(host: &Host) -> Option<String> {
    let word = |text: &Option<String>| {
        text.as_ref().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
    };
    let cpu = word(&host.cpu);
    let gpu = word(&host.gpu).filter(|gpu| !cpu.as_ref().is_some_and(|cpu| gpu.starts_with(cpu.as_str())));
    let memory = host.ram_bytes.map(|bytes| format!("{:.0} GiB", bytes as f64 / f64::from(1 << 30)));
    let words: Vec<String> = [cpu, gpu, memory].into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(" ").chars().take(80).collect())
}

/// The longest text of a setting, in characters.
const LONGEST_SETTING: usize = 80;

/// A text in one line of at most so many characters. One that is changed ends in a digest, so that it is not taken for another.
fn short(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line == text && text.chars().count() <= most {
        return line;
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let kept: String = line.chars().take(most).collect();
    format!("{} #{:08x}", kept.trim_end(), hasher.finish() as u32)
}

/// Adds the settings that separate groups; later ones win.
fn put(settings: &mut Settings, set: &RunSettings) {
    settings.extend(set.separating().into_iter().map(|(name, value)| (name, short(&value, LONGEST_SETTING))));
}

/// What a request was sent with. Its limit counts only where its run is not known: of suites and synthetic prompts each prompt
/// may have its own.
fn sent(o: &Outcome, run_known: bool) -> RunSettings {
    let mut sent = RunSettings { api: o.api.clone(), ..RunSettings::default() };
    let Some(prompt) = &o.prompt else { return sent };
    sent.temperature = prompt.temperature;
    sent.top_p = prompt.top_p;
    sent.context_length = prompt.num_ctx;
    sent.reasoning_effort.clone_from(&prompt.reasoning_effort);
    sent.gpu.clone_from(&prompt.gpu_setting);
    sent.nonce = prompt.nonce.is_some().then_some(true);
    sent.shared_prefix_tokens = prompt.shared_prefix_tokens;
    sent.max_tokens = prompt.max_tokens.filter(|_| !run_known && prompt.wanted_output_tokens.is_none());
    sent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture;
    use serde_json::json;

    #[test]
    fn a_list_of_keys_is_read_and_a_typo_is_told_with_what_there_is() {
        let by = GroupBy::parse("model, prompt").unwrap();
        assert!(by.has(By::Model) && by.has(By::Prompt) && !by.has(By::Load));
        for text in ["modle", "model,model", "", "model,"] {
            let why = GroupBy::parse(text).unwrap_err();
            assert!(why.contains("quantization") || why.contains("twice"), "{text}: {why}");
            assert!(!why.contains("is called ;"), "{text}: {why}");
        }
    }

    #[test]
    fn settings_are_those_of_the_run_and_of_the_request_and_the_request_wins() {
        let mut keys = Keys::default();
        let settings = json!({"suite": "website", "stream": true, "max_tokens": 99, "context_length": 4096, "synthetic": ["512x64", "9x9"]});
        keys.run(&fixture::run("r").merge(json!({ "settings": settings })));
        let asked = json!({"prompt": {"id": "p", "num_ctx": 8192, "temperature": 0.5, "max_tokens": 7}});
        let o = fixture::result(1, "m").merge(asked);
        let said =
            |settings: &Settings| settings.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ");
        assert_eq!(
            said(&keys.of(&o).settings),
            "context_length 8192, max_tokens 99, suite website, synthetic 512x64 9x9, temperature 0.5, tool llm-run 0"
        );
        let o = fixture::result(2, "m").run("other").merge(json!({"prompt": {"id": "p", "max_tokens": 7}}));
        assert_eq!(said(&keys.of(&o).settings), "max_tokens 7");
    }
    #[test]
    fn a_machine_is_told_by_its_hardware() {
        let host = |cpu: &str, gpu: &str, ram: u64| {
            let word = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            Host { cpu: word(cpu), gpu: word(gpu), ram_bytes: (ram > 0).then_some(ram), ..Host::default() }
        };
        for (host, expect) in [
            (host("Apple M3 Max", "Apple M3 Max (40 cores)", 64 << 30), Some("Apple M3 Max 64 GiB")),
            (host("EPYC  9354", "H200", (64 << 30) + 4096), Some("EPYC 9354 H200 64 GiB")),
            (host("", "", 8 << 30), Some("8 GiB")),
            (host(" ", "", 0), None),
        ] {
            assert_eq!(machine(&host).as_deref(), expect);
        }
    }
}
