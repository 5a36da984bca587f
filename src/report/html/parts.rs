//! What the template shows besides the table, as texts.

use super::data::FILES;
use super::head::setting;
use super::links::href;
use crate::clock;
use crate::record::{JoinSummary, Load, Prompt, Run, Sampler};
use crate::report::{Options, accuracy, changes, number};
use crate::summary::{Group, Row, Summary, Verdict};
use crate::units::Unit;

/// How many failures are listed.
const FAILURES: usize = 100;

/// A link to an artifact.
pub struct Link {
    pub text: &'static str,
    pub href: String,
}

/// A change against the baseline.
pub struct ChangeText {
    pub model: String,
    pub metric: String,
    pub old: String,
    pub new: String,
    pub percent: String,
    pub interval: String,
    pub class: &'static str,
    pub verdict: &'static str,
}

/// How right the client measures on this machine.
pub struct AccuracyText {
    pub heads: &'static [(&'static str, &'static str)],
    pub rows: Vec<[String; 11]>,
    pub sentences: Vec<String>,
    pub notes: Vec<String>,
}

/// The accuracy of the machine, where there is one.
pub fn calibrated(summary: &Summary) -> Option<AccuracyText> {
    let accuracy = summary.accuracy.as_ref()?;
    Some(AccuracyText {
        heads: &accuracy::HEADS,
        rows: accuracy::rows(accuracy),
        sentences: accuracy::sentences(summary),
        notes: accuracy::notes(accuracy),
    })
}

/// What was said when requests failed.
pub struct Failure {
    pub n: u64,
    pub kind: String,
    pub model: String,
    pub message: String,
}

/// A prompt.
pub struct PromptText {
    pub id: String,
    pub category: String,
    pub system: String,
    pub turns: Vec<String>,
}

/// The head of a run.
pub struct RunText {
    pub id: String,
    pub facts: Vec<(String, String)>,
    pub command: String,
}

/// A change in texts.
pub fn change(said: changes::Said) -> ChangeText {
    let class = match said.change.verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Same | Verdict::NotEnoughData => "",
    };
    ChangeText {
        model: format!("{} vs {}", said.model, said.baseline),
        metric: said.metric,
        old: said.old,
        new: said.new,
        percent: said.percent,
        interval: said.interval,
        class,
        verdict: said.change.verdict.into(),
    }
}

/// What was said when requests failed, most frequent first.
pub fn failures(summary: &Summary, names: &[String]) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    for (group, name) in summary.groups.iter().zip(names) {
        failures.extend(group.error_messages.iter().map(|error| Failure {
            n: error.n,
            kind: format!("{}{}", error.kind, error.status.map(|s| format!(" {s}")).unwrap_or_default()),
            model: name.clone(),
            message: error.message.clone(),
        }));
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.n));
    failures.truncate(FAILURES);
    failures
}

/// A prompt in texts: of a conversation, all that the user says, turn by turn.
pub fn prompt(prompt: &Prompt) -> PromptText {
    let mut kind: Vec<String> = prompt.category.iter().cloned().collect();
    if prompt.shared_prefix {
        kind.push("stands before every prompt".into());
    }
    if !prompt.turns.is_empty() {
        kind.push(format!("conversation of {} turns", prompt.turns.len() + 1));
    }
    PromptText {
        id: prompt.id.clone(),
        category: kind.join(" · "),
        system: prompt.system.clone().unwrap_or_default(),
        turns: std::iter::once(&prompt.text).chain(&prompt.turns).cloned().collect(),
    }
}

/// The head of a run in texts.
pub fn run(run: &Run) -> RunText {
    let mut facts = Vec::new();
    let mut say = |what: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            facts.push((what.to_owned(), text));
        }
    };
    say("started", clock::rfc3339(run.started_ts));
    say("tool", Some(format!("{} {}", run.tool.name, run.tool.version)));
    say("processor", run.host.cpu.clone());
    say("cores", run.host.cores.map(|n| n.to_string()));
    say("graphics", run.host.gpu.clone());
    say("memory", run.host.ram_bytes.map(number::gib));
    say("system", run.host.os.clone());
    for (name, value) in run.settings.values() {
        if let Some((name, text)) = setting(&name, &value) {
            say(&name, Some(text));
        }
    }
    RunText {
        id: run.run.clone(),
        facts,
        command: run.argv.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" "),
    }
}

/// An argument as a shell reads it back.
pub fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) { arg.to_owned() } else { format!("'{}'", arg.replace('\'', r"'\''")) }
}

/// A sampler in one line.
pub fn meter(sampler: &Sampler) -> String {
    let tool = sampler.tool.as_ref().map_or("sampler".to_owned(), |tool| format!("{} {}", tool.name, tool.version));
    let mut parts = vec![format!("{tool}: {}", sampler.meters.join(", "))];
    parts.extend(sampler.machine.clone());
    parts.extend(sampler.measures.as_ref().map(|m| format!("measures {}", m.join(", "))));
    parts.extend(sampler.total_domain.as_ref().map(|d| format!("total {d}")));
    parts.extend(sampler.total_label.clone());
    parts.extend(sampler.interval_seconds.map(|s| format!("every {s} s")));
    parts.extend(sampler.estimated.then(|| "estimated".to_owned()));
    parts.extend(sampler.simulated.then(|| "simulated".to_owned()));
    parts.join(" · ")
}

/// A load in one line.
pub fn load(load: &Load) -> String {
    let took = match (load.load_time_seconds, &load.error) {
        (Some(seconds), _) => number::alone(seconds, Unit::Seconds),
        (None, Some(error)) => format!("failed: {error}"),
        (None, None) => "time unknown".into(),
    };
    let mut parts = vec![format!("{}: {took}", load.model)];
    parts.extend(load.gpu_setting.as_ref().map(|gpu| format!("gpu {gpu}")));
    parts.extend(load.context_length.map(|n| format!("context {n}")));
    parts.join(" · ")
}

/// What a group is besides its model.
pub fn sub(group: &Group, levels: bool) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(group.source.map(|source| source.to_string()));
    parts.extend(group.provider.clone());
    parts.extend(group.details.quantization.clone());
    parts.extend(group.details.parameters.clone());
    parts.extend(group.key().load().filter(|_| levels || group.rate.is_some() || group.concurrency != Some(1)));
    parts.extend(group.sub.clone());
    parts.iter().map(|part| number::shortened(part, 48).replace(' ', "\u{a0}")).collect::<Vec<_>>().join(" · ")
}

/// Of each group the first request that has files, one with a page before others.
pub fn first_files(summary: &Summary) -> Vec<Option<&Row>> {
    let mut first: Vec<Option<&Row>> = vec![None; summary.groups.len()];
    for row in summary.rows.iter().filter(|row| !row.warmup && FILES.iter().any(|(_, file)| file(row).is_some())) {
        let place = &mut first[row.group];
        if place.is_none_or(|known| known.html.is_none() && row.html.is_some()) {
            *place = Some(row);
        }
    }
    first
}

/// The links to a request's artifacts.
pub fn links(row: &Row, options: &Options) -> Vec<Link> {
    FILES.iter().filter_map(|(text, file)| Some(Link { text, href: href(options, row.folder, file(row)?)? })).collect()
}

/// What a whole run drew and held, in lines.
pub fn joined(joined: &JoinSummary) -> Vec<String> {
    let say = |value, unit| number::alone(value, unit);
    let mut lines = Vec::new();
    if let Some(Some(power)) = &joined.power {
        let mut parts = Vec::new();
        if let Some(joules) = power.energy_joules {
            let bounds = power.energy_lower_joules.zip(power.energy_upper_joules).map(|(low, high)| {
                format!(" (certainly between {} and {})", say(low, Unit::Joules), say(high, Unit::Joules))
            });
            parts.push(format!("{} while requests ran{}", say(joules, Unit::Joules), bounds.unwrap_or_default()));
        }
        parts.extend(power.avg_watts.map(|w| format!("{} on average", say(w, Unit::Watts))));
        parts.extend(power.max_watts.map(|w| format!("{} at most", say(w, Unit::Watts))));
        parts.extend(power.idle_watts.map(|w| format!("{} when idle", say(w, Unit::Watts))));
        parts.extend(power.net_energy_joules.map(|j| format!("{} net of idling", say(j, Unit::Joules))));
        parts.extend(power.joules_per_output_token.map(|j| format!("{} over the run", say(j, Unit::JoulesPerToken))));
        parts.extend(power.load_joules.map(|j| format!("{} for loads", say(j, Unit::Joules))));
        parts.extend(power.unattributed_joules.map(|j| format!("{} that no request carries", say(j, Unit::Joules))));
        parts.push(format!("shared by {}", power.attribution));
        lines.push(format!("Energy of the run: {}", parts.join(" · ")));
    }
    if let Some(peak) = joined.memory.iter().flatten().find_map(|memory| memory.peak_bytes) {
        lines.push(format!("Memory of the run: {} at most", say(peak as f64, Unit::Bytes)));
    }
    if joined.unfinished > 0 {
        lines.push(match joined.unfinished {
            1 => "1 request was started and never heard of again".to_owned(),
            n => format!("{n} requests were started and never heard of again"),
        });
    }
    lines.extend(joined.warnings.iter().cloned());
    lines
}
