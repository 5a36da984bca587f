//! The prompts of a run, from wherever the command line says, in the order of its kinds: suite, texts, files, lines, synthetic
//! texts, data set.

use crate::args::PromptArgs;
use anyhow::{Context, bail, ensure};
use llm_bench::cli::{Input, Refusals, Talk};
use llm_bench::ndjson::{Bad, Lines};
use llm_bench::prompts::{self, Asked, Item, Sample, sharegpt, suite};
use llm_bench::record::Prompt;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

/// The seed of everything random about prompts is `seed`. Returns what is asked, and how many lines or entries could not be read.
pub fn gather(args: &PromptArgs, seed: u64, strict: bool, talk: Talk) -> anyhow::Result<(Vec<Item>, u64)> {
    let system = args.system.as_deref();
    let mut bad = 0;
    let mut list: Vec<Prompt> = args.suite.map(|name| suite(name, system)).unwrap_or_default();
    for (n, text) in args.prompt.iter().enumerate() {
        ensure!(!text.trim().is_empty(), "--prompt: an empty text asks nothing");
        list.push(prompts::prompt(&format!("prompt-{}", n + 1), None, system, text));
    }
    for path in &args.prompt_file {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        ensure!(!text.trim().is_empty(), "--prompt-file {}: an empty text asks nothing", path.display());
        list.push(prompts::prompt(&stem(path, "prompt-file"), None, system, text.trim_end()));
    }
    for path in args.prompt_lines() {
        bad += lines(args, path, &mut list, strict, talk)?;
    }
    let asked = list.len();
    let mut ids = HashSet::new();
    let mut items: Vec<Item> = list.into_iter().map(|prompt| named(prompt, &mut ids)).collect();
    for wanted in &args.synthetic {
        let first = items.len() as u64 - asked as u64 + 1;
        items.extend(wanted.recipes(seed, first, system).map(Item::Synthetic));
    }
    if let Some(path) = &args.dataset {
        let (chosen, unread) = dataset(args, path, seed, strict, talk)?;
        bad += unread;
        items.extend(chosen.into_iter().map(|prompt| named(prompt, &mut ids)));
    }
    if items.is_empty() {
        bail!(
            "nothing to ask: give --prompt TEXT, --prompt-file FILE, --prompts FILE, --synthetic in=N, --dataset sharegpt:FILE, \
             or --suite website|token-rate"
        );
    }
    items.truncate(args.limit().unwrap_or(usize::MAX));
    Ok((items, bad))
}

/// An id belongs to one text: a second one of the same name is numbered.
fn named(mut prompt: Prompt, ids: &mut HashSet<String>) -> Item {
    let own = prompt.id.clone();
    let mut n = 1;
    while !ids.insert(prompt.id.clone()) {
        n += 1;
        prompt.id = format!("{own}-{n}");
    }
    Item::Text(Arc::new(prompt))
}

fn stem(path: &Path, otherwise: &str) -> String {
    path.file_stem().map_or_else(|| otherwise.into(), |stem| stem.to_string_lossy().into_owned())
}

fn lines(args: &PromptArgs, path: &Path, list: &mut Vec<Prompt>, strict: bool, talk: Talk) -> anyhow::Result<u64> {
    let mut input = Input::from_lines(Lines::open(&[path])?, strict, talk);
    let (name, before) = (stem(path, "prompts"), list.len());
    while let Some(line) = input.next_line()? {
        match prompts::read(&line.text, &format!("{name}-{}", line.place.number), args.system.as_deref()) {
            Ok(Asked::Prompt(prompt)) => {
                list.push(cut(*prompt, args.turns.map_or(usize::MAX, |turns| turns.most())));
            }
            Ok(Asked::Nothing) => {}
            Err(why) => input.refuse(&line.place, &why.to_string())?,
        }
    }
    if list.len() == before {
        bail!("{}: no prompt in it that can be asked", path.display());
    }
    Ok(input.bad())
}

/// The first turns of a conversation. Its hash is that of what is left.
fn cut(prompt: Prompt, most: usize) -> Prompt {
    if prompt.turns.len() < most {
        return prompt;
    }
    let turns = std::iter::once(prompt.text.clone()).chain(prompt.turns.iter().cloned()).take(most).collect();
    match prompts::conversation(&prompt.id, prompt.system.as_deref(), turns) {
        Some(Prompt { text, sha256, turns, .. }) => Prompt { text, sha256, turns, ..prompt },
        None => prompt,
    }
}

/// The conversations of a data set: all, or so many at random.
fn dataset(args: &PromptArgs, path: &Path, seed: u64, strict: bool, talk: Talk) -> anyhow::Result<(Vec<Prompt>, u64)> {
    let most = args.turns.map_or(1, |turns| turns.most());
    let mut sample = Sample::new(args.limit(), seed);
    let (mut silent, mut seen) = (0u64, 0u64);
    let name: Arc<str> = path.display().to_string().into();
    let bad = Refusals::of(("entry", "entries"), strict, talk);
    let mut take = |place: String, number: u64, value: &serde_json::Value, bad: &Refusals| {
        seen += 1;
        match sharegpt::entry(value) {
            Ok(entry) => {
                let id = format!("sharegpt-{}", entry.id.unwrap_or_else(|| number.to_string()));
                let system = entry.system.as_deref().or(args.system.as_deref());
                let turns = entry.turns.into_iter().take(most).collect();
                match prompts::conversation(&id, system, turns) {
                    Some(prompt) => sample.push(prompt),
                    None => silent += 1,
                }
                Ok(())
            }
            Err(why) => bad.count(&name, number, &format!("{place}: {why}")),
        }
    };
    let mut reader = BufReader::new(File::open(path).with_context(|| name.to_string())?);
    let start = reader.fill_buf().with_context(|| name.to_string())?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if start.trim_ascii_start().first() == Some(&b'[') {
        let mark = reader.buffer().starts_with(b"\xef\xbb\xbf");
        reader.consume(if mark { 3 } else { 0 });
        let read = sharegpt::array(reader, &mut |number, value| {
            take(format!("{name}: entry {number}"), number, &value, &bad).map_err(|why| why.to_string())
        });
        match read {
            Err(why) if strict => bail!("{name}: {why}"),
            // It is said even where much was refused before.
            Err(why) => {
                bad.sum_up();
                bad.count(&name, 0, &format!("{name}: {why}: what follows is not read"))?;
            }
            Ok(()) => {}
        }
    } else {
        drop(reader);
        for line in Lines::open(&[path])? {
            match line {
                Ok(line) => match serde_json::from_str(&line.text) {
                    Ok(value) => take(line.place.to_string(), line.place.number, &value, &bad),
                    Err(why) => bad.line(&line.place, &format!("not JSON: {why}")),
                },
                Err(Bad::Line(place, why)) => bad.line(&place, &why),
                Err(Bad::Input(place, why)) => return Err(why).with_context(|| place.to_string()),
            }?;
        }
    }
    if silent > 0 {
        talk.warn(format!("{name}: {silent} of {seen} conversations ask nothing, and are left out"));
    }
    bad.sum_up();
    let chosen = sample.chosen();
    if chosen.is_empty() {
        bail!("{name}: no conversation in it that can be asked");
    }
    Ok((chosen, bad.bad()))
}
