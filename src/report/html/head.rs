//! The head of the page: what was run, when, on what, and the command that makes it again.

use super::links::href;
use super::parts::quoted;
use crate::clock;
use crate::record::Run;
use crate::report::{Options, notes, number};
use crate::summary::Summary;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many models a command names one by one.
const NAMED: usize = 8;

/// How many runs are made again by the command of the head.
const LINES: usize = 8;

/// How many machines are named.
const MACHINES: usize = 8;

/// How many of the files that the page was made of are linked.
const FILES: usize = 24;

/// A link to a stream.
pub struct Stream {
    pub text: String,
    pub href: String,
}

/// The title: the run, or how many.
pub fn title(summary: &Summary) -> String {
    match &summary.runs[..] {
        [one] => number::shortened(&one.run, 120),
        [] => "Benchmark of language models".into(),
        [first, rest @ ..] => {
            let more = if rest.len() == 1 { "one more run".into() } else { format!("{} more runs", rest.len()) };
            format!("{} and {more}", number::shortened(&first.run, 100))
        }
    }
}

/// When, on what machine, how much, how long, by which tool.
pub fn facts(summary: &Summary) -> Vec<String> {
    let totals = &summary.totals;
    let mut facts = Vec::new();
    if let Some(ts) = totals.started_ts.or(summary.runs.first().map(|run| run.started_ts)) {
        facts.extend(date(ts));
    }
    let machines = summary.machines();
    if machines.len() > 1 {
        let more = machines.len().saturating_sub(MACHINES);
        facts.push(format!("{} machines", machines.len()));
        facts.extend(machines.into_iter().take(MACHINES));
        facts.extend((more > 0).then(|| format!("{more} more machines")));
    } else if let Some(host) = summary.runs.first().map(|run| &run.host) {
        facts.extend(host.cpu.clone());
        facts
            .extend(host.gpu.clone().filter(|gpu| !host.cpu.as_ref().is_some_and(|cpu| gpu.starts_with(cpu.as_str()))));
        facts.extend(host.ram_bytes.map(number::gib));
        facts.extend(host.os.clone());
    }
    let plural = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    if totals.requests > 0 {
        let models: BTreeSet<_> = summary.groups.iter().map(|group| &group.model).collect();
        facts.push(format!("{}, {}", plural(models.len() as u64, "model"), plural(totals.requests, "request")));
    }
    facts.extend(totals.seconds.filter(|s| *s > 0.0).map(number::lasting));
    facts.extend(notes::unread(summary));
    if let Some(run) = summary.runs.first() {
        facts.push(format!("{} {}", run.tool.name, run.tool.version));
    }
    facts.iter().map(|fact| number::shortened(fact, 80)).collect()
}

/// A moment, for people, in universal time: the page says the same wherever it is read.
fn date(ts: f64) -> Option<String> {
    let text = clock::rfc3339(ts)?;
    Some(format!("{} {} UTC", text.get(..10)?, text.get(11..16)?))
}

/// The settings of the first run, as `name value`; those of the others stand with their runs.
pub fn settings(summary: &Summary) -> Vec<String> {
    let Some(run) = summary.runs.first() else { return Vec::new() };
    let values = run.settings.values();
    let words = values.iter().filter_map(|(name, value)| {
        let (name, text) = setting(name, value)?;
        let said = match value {
            Value::Bool(true) => name,
            Value::Bool(false) => format!("no {name}"),
            _ => format!("{name} {text}"),
        };
        Some(number::shortened(&said, 80))
    });
    words.collect()
}

/// A setting for people, its name and its value; nothing where it has none.
pub fn setting(name: &str, value: &Value) -> Option<(String, String)> {
    let plain = |value: &Value| match value {
        Value::Null => None,
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::String(text) => Some(text.clone()),
        // What a search was to find is told with what it found.
        Value::Object(asked) if name == "search" => {
            let conditions = asked.get("slos").and_then(Value::as_array)?;
            Some(conditions.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" and "))
        }
        Value::Number(n) => Some(n.as_f64().map_or_else(|| n.to_string(), |n| n.to_string())),
        other => Some(other.to_string()),
    };
    if let (Some(length), Some(seconds)) = (name.strip_suffix("_seconds"), value.as_f64()) {
        let minutes = seconds / 60.0;
        let text =
            if minutes >= 2.0 && minutes.fract() == 0.0 { format!("{minutes} min") } else { format!("{seconds} s") };
        return Some((length.replace('_', " "), text));
    }
    let text = match value {
        Value::Array(list) => list.iter().filter_map(plain).collect::<Vec<_>>().join(", "),
        one => plain(one)?,
    };
    (!text.is_empty()).then(|| (name.replace('_', " "), text))
}

/// The commands that make the runs again, a line each; of very many runs those of the first. One that only took up another
/// again is in that one's.
pub fn command(summary: &Summary) -> String {
    let whole = |run: &&Run| summary.runs.len() == 1 || !given(run, "--resume");
    let lines = summary.runs.iter().filter(whole).take(LINES).map(|run| again(summary, run));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The command that makes a run again: its models into llm-run, with the arguments it had. Empty where the run does not tell
/// them.
pub fn again(summary: &Summary, run: &Run) -> String {
    if run.argv.is_empty() {
        return String::new();
    }
    let words = |args: &[String]| args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" ");
    let Some(seen) = summary.seen.of(&run.run) else { return words(&run.argv) };
    let sources: Vec<String> = seen.sources.iter().map(|source| source.to_string()).collect();
    let endpoints: BTreeSet<String> = seen.endpoints.iter().map(|url| base(url)).collect();
    // Several servers in one run have no one command.
    let ([source], true) = (&sources[..], endpoints.len() <= 1 && !seen.models.is_empty()) else {
        return words(&run.argv);
    };
    let at = endpoints.first().map(|url| format!(" --base-url {}", quoted(url))).unwrap_or_default();
    // Another run has its own name and folder, and takes up nothing.
    let own = ["--run-id", "--artifacts", "--output", "-o", "--resume"];
    let rest = words(&without(run.argv.get(1..).unwrap_or_default(), &own));
    if seen.models.len() > NAMED {
        return format!("llm-models {source}{at} | {} {rest}", program(run));
    }
    let source = if given(run, "--source") { String::new() } else { format!(" --source {source}") };
    let at = if given(run, "--base-url") { String::new() } else { at };
    format!("printf '%s\\n' {} | {}{source}{at} {rest}", words(&seen.models), program(run))
}

/// Whether a run was given a flag.
fn given(run: &Run, flag: &str) -> bool {
    run.argv.iter().any(|arg| arg == flag || arg.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
}

/// The arguments without these flags and their values.
fn without(args: &[String], flags: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let flag = arg.split_once('=').map_or(arg.as_str(), |(flag, _)| flag);
        match flags.contains(&flag) {
            true if flag == arg => drop(args.next()),
            true => {}
            false => kept.push(arg.clone()),
        }
    }
    kept
}

fn program(run: &Run) -> &str {
    run.argv.first().and_then(|name| name.rsplit('/').next()).unwrap_or("llm-run")
}

/// The base address of an endpoint: what stands before the path of the kind of chat.
fn base(endpoint: &str) -> String {
    let tails = ["/chat/completions", "/api/v1/chat", "/api/v0", "/api/chat", "/api/generate", "/completions"];
    let mut url = endpoint;
    for tail in tails {
        url = url.strip_suffix(tail).unwrap_or(url);
    }
    url.to_owned()
}

/// Links to the files that the page was made of, where they lie.
pub fn streams(summary: &Summary, options: &Options) -> Vec<Stream> {
    if summary.results == 0 {
        return Vec::new();
    }
    let several = options.folders.len() > 1;
    let one = |(at, name): &(usize, String)| {
        let folder = options.folders.get(*at)?;
        let place = folder.file_name().filter(|_| several).map(|name| format!("{}/", name.to_string_lossy()));
        let text = format!("{}{name}", place.unwrap_or_default());
        Some(Stream { text: number::shortened(&text, 120), href: href(options, Some(*at), name)? })
    };
    options.files.iter().filter_map(one).take(FILES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_told_in_words_and_lengths_of_time_with_their_unit() {
        for (name, value, expect) in [
            ("concurrency", json!([1, 4, 16]), Some(("concurrency", "1, 4, 16"))),
            ("rate", json!([8.0, 0.5]), Some(("rate", "8, 0.5"))),
            ("timeout_seconds", json!(1800.0), Some(("timeout", "30 min"))),
            ("settle_seconds", json!(2.5), Some(("settle", "2.5 s"))),
            ("max_tokens", json!(16384), Some(("max tokens", "16384"))),
            ("stream", json!(true), Some(("stream", "yes"))),
            ("extra_body", json!({"a": 1}), Some(("extra body", "{\"a\":1}"))),
            ("suite", json!("website"), Some(("suite", "website"))),
            (
                "search",
                json!({"slos": ["ttft_p90<1s", "failed<1%"], "over": "rate"}),
                Some(("search", "ttft_p90<1s and failed<1%")),
            ),
            ("seed", json!(null), None),
            ("rate", json!([]), None),
        ] {
            let told = setting(name, &value);
            assert_eq!(told.as_ref().map(|(a, b)| (a.as_str(), b.as_str())), expect, "{name}");
        }
    }

    #[test]
    fn the_base_of_an_endpoint_is_what_a_flag_takes() {
        for (endpoint, expect) in [
            ("http://127.0.0.1:1234/api/v1/chat", "http://127.0.0.1:1234"),
            ("http://127.0.0.1:1234/api/v0/chat/completions", "http://127.0.0.1:1234"),
            ("http://h:8080/v1/chat/completions", "http://h:8080/v1"),
            ("https://openrouter.ai/api/v1/chat/completions", "https://openrouter.ai/api/v1"),
            ("http://h:11434/api/chat", "http://h:11434"),
            ("http://h/elsewhere", "http://h/elsewhere"),
        ] {
            assert_eq!(base(endpoint), expect, "{endpoint}");
        }
    }
}
