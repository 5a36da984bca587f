//! What becomes of lines that cannot be read: the first of each input are told one by one, the rest are counted.

use super::Talk;
use crate::ndjson::Place;
use anyhow::bail;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many lines of one input are told one by one.
const TOLD: u64 = 10;

/// Reports and counts lines that cannot be read; under `--strict` the first one ends the program.
///
/// Ten of each input are told as `prog: file:line: why`. When the next input begins, or when this is dropped, one more
/// line says how many there were beyond those, and where the first and the last of them stand: a megabyte of the same
/// sentence helps nobody, and nothing is left unsaid. A clone counts into the same: for whoever reads on a thread that
/// nobody waits for, another may [`sum_up`](Refusals::sum_up).
#[derive(Clone)]
pub struct Refusals(Arc<Mutex<Counting>>);

struct Counting {
    talk: Talk,
    strict: bool,
    word: (&'static str, &'static str),
    bad: u64,
    input: Option<Untold>,
}

/// The input that lines are refused of at present.
struct Untold {
    file: Arc<str>,
    bad: u64,
    /// The first and the last number that was counted only.
    beyond: Option<(u64, u64)>,
}

impl Refusals {
    /// Nothing was refused yet.
    pub fn new(strict: bool, talk: Talk) -> Self {
        Self::of(("line", "lines"), strict, talk)
    }

    /// The same of things that are called otherwise, in the singular and the plural: the `entry` and `entries` of a document.
    pub fn of(word: (&'static str, &'static str), strict: bool, talk: Talk) -> Self {
        Self(Arc::new(Mutex::new(Counting { talk, strict, word, bad: 0, input: None })))
    }

    /// Counts a line as unreadable, and says so while there are few.
    ///
    /// # Errors
    /// Where the program is strict, always.
    pub fn line(&self, place: &Place, why: &str) -> anyhow::Result<()> {
        self.count(&place.file, place.number, &format!("{place}: {why}"))
    }

    /// Counts what `said` is about, the part with this number of an input.
    ///
    /// # Errors
    /// Where the program is strict, always.
    pub fn count(&self, file: &Arc<str>, number: u64, said: &str) -> anyhow::Result<()> {
        let mut counting = self.counting();
        if counting.strict {
            bail!("{said}");
        }
        if counting.input.as_ref().is_none_or(|input| input.file != *file) {
            counting.sum_up();
        }
        counting.bad += 1;
        let input = counting.input.get_or_insert_with(|| Untold { file: file.clone(), bad: 0, beyond: None });
        input.bad += 1;
        if input.bad > TOLD {
            input.beyond = Some((input.beyond.map_or(number, |(first, _)| first), number));
        } else {
            counting.talk.error(said);
        }
        Ok(())
    }

    /// How many were refused, of all inputs.
    pub fn bad(&self) -> u64 {
        self.counting().bad
    }

    /// Says what was only counted of the input so far: when it has ended, and nobody may come to drop this.
    pub fn sum_up(&self) {
        self.counting().sum_up();
    }

    fn counting(&self) -> MutexGuard<'_, Counting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counting {
    fn sum_up(&mut self) {
        let Some(Untold { file, bad, beyond: Some((first, last)) }) = self.input.take() else { return };
        let more = bad - TOLD;
        let (word, more) =
            if more == 1 { (self.word.0, "1 more".into()) } else { (self.word.1, format!("{more} more")) };
        let place = if first == last { format!("{last}") } else { format!("{first} to {last}") };
        self.talk.error(format!("{file}: {more} {word} could not be read ({place}): {bad} in all"));
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.sum_up();
    }
}
