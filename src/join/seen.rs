//! What each input of the join holds, so that one that was given in the place of another is told: a join of a file without what it
//! was given for adds nothing, and looks like a success.

use super::heard::Heard;
use crate::record::{self, Record};
use std::sync::Arc;

/// What an input is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Results.
    Results,
    /// Power readings.
    Power,
    /// Memory readings.
    Memory,
}

/// What records are, as far as they have a place of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Results,
    Power,
    Memory,
    Models,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Results => "results",
            What::Power => "power readings",
            What::Memory => "memory readings",
            What::Models => "models",
        }
    }

    /// What to do with a file of them.
    fn place(self, file: &str) -> String {
        let file = if file == "-" { "/dev/stdin" } else { file };
        match self {
            What::Results => format!("name it without a flag: bench-join {file}"),
            What::Power => format!("give it as --power {file}"),
            What::Memory => format!("give it as --mem {file}"),
            What::Models => {
                "llm-run asks them, and its results are joined: llm-models … | llm-run … | bench-join".into()
            }
        }
    }
}

impl From<Wanted> for What {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Results => What::Results,
            Wanted::Power => What::Power,
            Wanted::Memory => What::Memory,
        }
    }
}

/// What was seen of the files of one input, in their order.
#[derive(Debug)]
pub struct Seen {
    wanted: What,
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    name: Arc<str>,
    /// What it was given for is in it.
    right: bool,
    /// What else was in it first.
    other: Option<What>,
}

impl Seen {
    /// Nothing yet of an input that is given for this.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted: wanted.into(), files: Vec::new() }
    }

    /// A line of results. `text` is looked at only where it may be the first of another kind.
    pub fn heard(&mut self, file: &Arc<str>, heard: &Heard, text: &str) {
        let what = match heard {
            Heard::Run { .. } | Heard::Load(_) | Heard::Start(_) | Heard::Result(_) => Some(What::Results),
            Heard::Other if self.asks(file) => match record::head(text).ok().and_then(|(kind, _)| kind).as_deref() {
                Some("power") => Some(What::Power),
                Some("memory") => Some(What::Memory),
                Some("model") => Some(What::Models),
                _ => None,
            },
            Heard::Other | Heard::Prompt | Heard::Newer(_) | Heard::Summary => None,
        };
        self.note(file, what);
    }

    /// A record of readings.
    pub fn record(&mut self, file: &Arc<str>, record: &Record) {
        let what = match record {
            Record::Power(_) => Some(What::Power),
            Record::Memory(_) => Some(What::Memory),
            Record::Model(_) => Some(What::Models),
            Record::Run(_) | Record::Load(_) | Record::Start(_) | Record::Result(_) => Some(What::Results),
            _ => None,
        };
        self.note(file, what);
    }

    fn at(&mut self, file: &Arc<str>) -> &mut File {
        if self.files.last().is_none_or(|last| last.name != *file) {
            self.files.push(File { name: Arc::clone(file), right: false, other: None });
        }
        let last = self.files.len() - 1;
        &mut self.files[last]
    }

    /// Whether it is not known yet what a file holds.
    fn asks(&mut self, file: &Arc<str>) -> bool {
        let file = self.at(file);
        !file.right && file.other.is_none()
    }

    fn note(&mut self, file: &Arc<str>, what: Option<What>) {
        let Some(what) = what else { return };
        let right = what == self.wanted;
        let file = self.at(file);
        file.right |= right;
        if !right {
            file.other.get_or_insert(what);
        }
    }

    /// A line for each file that holds something else instead.
    pub fn misplaced(&self) -> Vec<String> {
        let line = |file: &File| {
            let other = file.other.filter(|_| !file.right)?;
            let flag = match self.wanted {
                What::Power => "--power ",
                What::Memory => "--mem ",
                What::Results | What::Models => "",
            };
            let (name, wanted) = (&file.name, self.wanted.name());
            Some(format!("{flag}{name}: holds {} and no {wanted}: {}", other.name(), other.place(name)))
        };
        self.files.iter().filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_something_else_is_told_with_its_place() {
        let power = r#"{"type":"power","v":1,"ts":1.0,"seq":1,"meter":"x","kind":"instant","watts":{"cpu":1.0}}"#;
        let memory = r#"{"type":"memory","v":1,"ts":1.0,"seq":1}"#;
        let result = r#"{"type":"result","v":1,"model":"m"}"#;
        let model = r#"{"type":"model","v":1,"id":"m"}"#;
        let other = r#"{"type":"weather"}"#;
        for (wanted, lines, expect) in [
            (Wanted::Results, &[other, result, power][..], None),
            (Wanted::Results, &[other, memory], Some("f: holds memory readings and no results: give it as --mem f")),
            (Wanted::Results, &[power, power], Some("f: holds power readings and no results: give it as --power f")),
            (Wanted::Results, &[model], Some("f: holds models and no results: llm-run asks them")),
            (Wanted::Results, &[other], None),
            (Wanted::Results, &[], None),
            (Wanted::Power, &[result], Some("--power f: holds results and no power readings: name it without a flag")),
            (
                Wanted::Power,
                &[memory],
                Some("--power f: holds memory readings and no power readings: give it as --mem f"),
            ),
            (Wanted::Power, &[memory, power], None),
            (
                Wanted::Memory,
                &[power],
                Some("--mem f: holds power readings and no memory readings: give it as --power f"),
            ),
        ] {
            let (mut seen, file) = (Seen::new(wanted), Arc::from("f"));
            for line in lines {
                match wanted {
                    Wanted::Results => seen.heard(&file, &super::super::heard::hear(line).unwrap(), line),
                    _ => seen.record(&file, &record::read(line).unwrap()),
                }
            }
            let said = seen.misplaced();
            assert!(said.len() == usize::from(expect.is_some()), "{lines:?}: {said:?}");
            assert!(expect.is_none_or(|expect| said[0].starts_with(expect)), "{lines:?}: {said:?}");
        }
    }
}
