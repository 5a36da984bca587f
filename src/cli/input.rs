//! Records from files or standard input, with the one policy for lines that cannot be read.

use super::{Refusals, Talk};
use crate::ndjson::{Bad, Line, Lines, Place};
use crate::record;
use anyhow::Context;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// The records of a program's inputs. A bad line is reported as `prog: file:line: why`, skipped and counted as [`Refusals`]
/// do it, or ends the program under `--strict`. A newer contract is passed on with one warning.
pub struct Input {
    lines: Lines,
    refusals: Refusals,
    newer: Newer,
}

/// Says what is waited for where records are to be typed.
pub(super) fn hint(files: &[PathBuf], talk: Talk) {
    let stdin = files.is_empty() || files.iter().any(|file| file.as_os_str() == "-");
    if stdin && io::stdin().is_terminal() {
        talk.warn("reading records from the terminal; end with ^D, or see --help for a pipeline");
    }
}

/// Says, once, that a record of a newer contract is passed on.
pub(super) struct Newer {
    talk: Talk,
    said: bool,
}

impl Newer {
    pub(super) fn new(talk: Talk) -> Self {
        Self { talk, said: false }
    }

    pub(super) fn at(&mut self, place: &Place, v: u64) {
        if !std::mem::replace(&mut self.said, true) {
            let known = record::V;
            self.talk.warn(format!("{place}: record of contract version {v}, newer than {known}: passed on unread"));
        }
    }
}

impl Input {
    /// Opens the operands of a program; none, or `-`, is standard input.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open(files: &[PathBuf], strict: bool, talk: Talk) -> anyhow::Result<Self> {
        Self::open_counting(files, Refusals::new(strict, talk), talk)
    }

    /// The same; what cannot be read is counted where the caller can see it.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open_counting(files: &[PathBuf], refusals: Refusals, talk: Talk) -> anyhow::Result<Self> {
        hint(files, talk);
        Ok(Self::counting(Lines::open(files)?, refusals, talk))
    }

    /// The records of `lines`; what cannot be read is counted where the caller can see it.
    pub fn counting(lines: Lines, refusals: Refusals, talk: Talk) -> Self {
        Self { lines, refusals, newer: Newer::new(talk) }
    }

    /// The next line of text, whatever is in it.
    ///
    /// # Errors
    /// When the input fails, or, under `--strict`, when a line is not text.
    pub fn next_line(&mut self) -> anyhow::Result<Option<Line>> {
        while let Some(next) = self.next_or_refused()? {
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// The next line of text; `Some(None)` for one that was refused.
    ///
    /// # Errors
    /// When the input fails, or, under `--strict`, when a line is not text.
    pub fn next_or_refused(&mut self) -> anyhow::Result<Option<Option<Line>>> {
        match self.lines.next() {
            None => {
                self.refusals.sum_up();
                Ok(None)
            }
            Some(Ok(line)) => Ok(Some(Some(line))),
            Some(Err(Bad::Line(place, why))) => self.refuse(&place, &why).map(|()| Some(None)),
            Some(Err(Bad::Input(place, why))) => Err(why).with_context(|| place.to_string()),
        }
    }

    /// Whether [`next_or_refused`](Input::next_or_refused) will not wait.
    pub fn at_hand(&self) -> bool {
        self.lines.at_hand()
    }

    /// Says, once, that a record of a newer contract is passed on.
    pub fn newer(&mut self, line: &Line, v: u64) {
        self.newer.at(&line.place, v);
    }

    /// Reports a line as unreadable, for a reason the caller found.
    ///
    /// # Errors
    /// Under `--strict`, always.
    pub fn refuse(&mut self, place: &Place, why: &str) -> anyhow::Result<()> {
        self.refusals.line(place, why)
    }

    /// How many lines were refused.
    pub fn bad(&self) -> u64 {
        self.refusals.bad()
    }
}
