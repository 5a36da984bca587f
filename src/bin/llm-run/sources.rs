//! The prompts of a run, from every source on the command line, in this order: suite, texts, files, input files, synthetic texts.

use crate::args::PromptArgs;
use anyhow::{Context, bail, ensure};
use llm_bench::cli::{Input, Refusals, Talk};
use llm_bench::ndjson::Lines;
use llm_bench::prompts::{self, Entry, Format, InputFormat, Item, Sample, array, is_array, suite};
use llm_bench::record::Prompt;
use llm_bench::text::encoding;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// Returns the prompts, and how many lines or entries could not be read. `seed` is that of everything random about them.
pub fn gather(args: &PromptArgs, seed: u64, strict: bool, talk: Talk) -> anyhow::Result<(Vec<Item>, u64)> {
    let system = args.system.as_deref();
    let mut bad = 0;
    let mut list: Vec<Prompt> = args.suite.map(|name| suite(name, system)).unwrap_or_default();
    for (n, text) in args.prompt.iter().enumerate() {
        ensure!(!text.trim().is_empty(), "--prompt: an empty text asks nothing");
        list.push(prompts::prompt(&format!("prompt-{}", n + 1), None, system, text));
    }
    for path in &args.prompt_file {
        let text = encoding::read_to_string(path).with_context(|| path.display().to_string())?;
        ensure!(!text.trim().is_empty(), "--prompt-file {}: an empty text asks nothing", path.display());
        list.push(prompts::prompt(&stem(path, "prompt-file"), None, system, text.trim_end()));
    }
    for path in &args.input_file {
        let (found, unread) = input_file(args, path, seed, strict, talk)?;
        bad += unread;
        list.extend(found);
    }
    let asked = list.len();
    let mut ids = HashSet::new();
    let mut items: Vec<Item> = list.into_iter().map(|prompt| named(prompt, &mut ids)).collect();
    for wanted in &args.synthetic {
        let first = items.len() as u64 - asked as u64 + 1;
        items.extend(wanted.recipes(seed, first, system).map(Item::Synthetic));
    }
    if items.is_empty() {
        bail!(
            "no prompts: give --prompt TEXT, --prompt-file FILE, --input-file FILE, --synthetic in=N, or \
             --suite website|token-rate"
        );
    }
    items.truncate(args.prompts.map_or(usize::MAX, NonZeroUsize::get));
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

/// An input file while it is read.
struct InputFile<'a> {
    args: &'a PromptArgs,
    name: Arc<str>,
    stem: String,
    format: Format,
    bad: Refusals,
    prompts: Sample<Prompt>,
    entries: u64,
    without_user: u64,
}

impl InputFile<'_> {
    /// Takes an entry; `place` is where it stands, for messages.
    fn take(&mut self, number: u64, place: &dyn fmt::Display, entry: &str) -> anyhow::Result<()> {
        self.entries += 1;
        match (self.format.read)(entry, &format!("{}-{number}", self.stem), self.args.system.as_deref()) {
            Ok(Entry::Prompt(prompt)) => {
                let turns = self.args.turns.map_or(self.format.turns, |turns| turns.most());
                self.prompts.push(cut(*prompt, turns));
            }
            Ok(Entry::NoUserMessage) => self.without_user += 1,
            Ok(Entry::OtherRecord) => {}
            Err(reason) => self.bad.count(&self.name, number, &format!("{place}: {reason}"))?,
        }
        Ok(())
    }

    /// Reads one JSON array.
    fn array(&mut self, reader: impl BufRead, strict: bool) -> anyhow::Result<()> {
        let name = Arc::clone(&self.name);
        let read = array(reader, &mut |number, entry| {
            let place = format!("{name}: entry {number}");
            self.take(number, &place, entry).map_err(|error| error.to_string())
        });
        match read {
            Err(reason) if strict => bail!("{name}: {reason}"),
            Err(reason) => {
                self.bad.sum_up();
                self.bad.count(&name, 0, &format!("{name}: {reason}: the rest is not read"))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Reads lines.
    fn lines(&mut self, reader: impl BufRead + Send + 'static, talk: Talk) -> anyhow::Result<()> {
        let mut input = Input::counting(Lines::from_reader(&self.name, reader), self.bad.clone(), talk);
        while let Some(line) = input.next_line()? {
            self.take(line.place.number, &line.place, &line.text)?;
        }
        Ok(())
    }
}

/// How many bytes of an input file tell its format.
const START: u64 = 1 << 16;

/// The prompts of an input file: all, or a random sample; and how many entries could not be read.
fn input_file(
    args: &PromptArgs,
    path: &Path,
    seed: u64,
    strict: bool,
    talk: Talk,
) -> anyhow::Result<(Vec<Prompt>, u64)> {
    let name: Arc<str> = path.display().to_string().into();
    let mut rest = encoding::utf8(File::open(path).with_context(|| name.to_string())?);
    let mut start = Vec::new();
    rest.by_ref().take(START).read_to_end(&mut start).with_context(|| name.to_string())?;
    let format = args.input_format.unwrap_or_else(|| InputFormat::detect(&start)).format();
    let array = format.json && is_array(&start);
    let reader = BufReader::new(Cursor::new(start).chain(rest));
    let entry = if array { ("entry", "entries") } else { ("line", "lines") };
    let mut file = InputFile {
        args,
        stem: stem(path, "prompts"),
        name: Arc::clone(&name),
        format,
        bad: Refusals::of(entry, strict, talk),
        prompts: Sample::new(args.prompts.map(NonZeroUsize::get).filter(|_| format.sampled), seed),
        entries: 0,
        without_user: 0,
    };
    if array {
        file.array(reader, strict)?;
    } else {
        file.lines(reader, talk)?;
    }
    if file.without_user > 0 {
        let InputFile { without_user, entries, .. } = file;
        talk.warn(format!("{name}: {without_user} of {entries} conversations have no user message: left out"));
    }
    file.bad.sum_up();
    let prompts = file.prompts.chosen();
    if prompts.is_empty() {
        bail!("{name}: no prompts in it: give a file with one per line, or name its format with --input-format");
    }
    Ok((prompts, file.bad.bad()))
}
