//! Every record of some inputs, read on several threads and handed out in order: for a program that looks at all of them
//! and needs none until it has seen the last.
//!
//! Each thread takes the next block of lines, reads its records, makes of each whatever it can by itself, waits for its turn,
//! and hands them out. So what comes of them does not depend on how many threads there are, and what a record takes of the
//! allocator goes back to it on the thread that took it.

use super::input::{Newer, hint};
use super::{Refusals, Talk};
use crate::locks::{locked, regardless};
use crate::ndjson::{Bad, Block, Blocks, Place};
use anyhow::Context;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard};

/// How many records a thread holds at the most before it waits for its turn.
const AT_ONCE: usize = 512;

/// What is made of the records of an input.
pub trait Fold: Send {
    /// A record, which may borrow from its line.
    type Record<'a>: Send;

    /// Reads a line, on any thread.
    ///
    /// # Errors
    /// When the line is no record.
    fn read(line: &str) -> Result<Self::Record<'_>, serde_json::Error>;

    /// The version of a record's contract, if it is newer than ours.
    fn newer(record: &Self::Record<'_>) -> Option<u64>;

    /// Takes what it needs of a record, in the order of the input.
    fn take(&mut self, record: &mut Self::Record<'_>);
}

/// The records of a program's inputs, all of them, in order.
pub struct Records {
    blocks: Blocks,
    refusals: Refusals,
    newer: Newer,
}

impl Records {
    /// Opens the operands of a program; none, or `-`, is standard input.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn open(files: &[PathBuf], strict: bool, talk: Talk) -> anyhow::Result<Self> {
        hint(files, talk);
        Ok(Self { blocks: Blocks::open(files)?, refusals: Refusals::new(strict, talk), newer: Newer::new(talk) })
    }

    /// Reads every record on as many `threads`, and hands them to `fold` in order. Those of a newer contract are reported
    /// once. What cannot be read is reported as `prog: file:line: why` and skipped, or ends the program under `--strict`.
    /// Returns how many lines that were.
    ///
    /// # Errors
    /// When the input fails, or, under `--strict`, when a line cannot be read.
    pub fn each<F: Fold>(self, threads: NonZeroUsize, fold: &mut F) -> anyhow::Result<u64> {
        let source = Mutex::new(Source { blocks: self.blocks, number: 0 });
        let turn = Turn { next: 0, refusals: self.refusals, told: self.newer, fold, failed: None };
        let turns = Turns { turn: Mutex::new(turn), came: Condvar::new() };
        std::thread::scope(|scope| {
            // The calling thread is one of them.
            for _ in 1..threads.get() {
                scope.spawn(|| work(&source, &turns));
            }
            work(&source, &turns);
        });
        let turn = regardless(turns.turn.into_inner());
        turn.failed.map_or(Ok(turn.refusals.bad()), Err)
    }
}

/// Where blocks come from, and how many have been taken.
struct Source {
    blocks: Blocks,
    number: u64,
}

/// Whose turn it is to hand records out, and to whom.
struct Turn<'a, F> {
    next: u64,
    refusals: Refusals,
    told: Newer,
    fold: &'a mut F,
    failed: Option<anyhow::Error>,
}

struct Turns<'a, F> {
    turn: Mutex<Turn<'a, F>>,
    came: Condvar,
}

/// A line, read: its number and what was made of it.
type Read<T> = (u64, Result<T, String>);

fn work<F: Fold>(source: &Mutex<Source>, turns: &Turns<'_, F>) {
    let mut room = Vec::new();
    while !turns.failed() {
        let (number, block) = {
            let mut source = locked(source);
            let Some(block) = source.blocks.next(std::mem::take(&mut room)) else { return };
            source.number += 1;
            (source.number - 1, block)
        };
        // Whoever comes to grief in between must not leave the others waiting.
        let mine = Mine { turns, number };
        match block {
            Ok(block) => {
                mine.read(&block);
                room = block.into_room();
            }
            Err(Bad::Line(place, why)) => mine.wait().refuse(&place, &why),
            Err(Bad::Input(place, why)) => mine.wait().fail(Err(why).with_context(|| place.to_string())),
        }
    }
}

impl<F> Turns<'_, F> {
    fn failed(&self) -> bool {
        locked(&self.turn).failed.is_some()
    }
}

/// The turn of one block; the next one's comes when this is dropped.
struct Mine<'a, 'b, F> {
    turns: &'a Turns<'b, F>,
    number: u64,
}

impl<'a, 'b, F> Mine<'a, 'b, F> {
    fn wait(&self) -> MutexGuard<'a, Turn<'b, F>> {
        let turn = locked(&self.turns.turn);
        let waiting = |turn: &mut Turn<'_, F>| turn.next != self.number;
        regardless(self.turns.came.wait_while(turn, waiting))
    }
}

impl<F: Fold> Mine<'_, '_, F> {
    fn read(&self, block: &Block) {
        let mut records: Vec<Read<F::Record<'_>>> = Vec::new();
        for line in block.lines() {
            if records.len() == AT_ONCE {
                self.wait().hand_out(block, &mut records);
            }
            records.push(match line {
                Ok((number, text)) => (number, F::read(text).map_err(|why| why.to_string())),
                Err(Bad::Line(place, why)) => (place.number, Err(why)),
                Err(Bad::Input(place, why)) => (place.number, Err(why.to_string())),
            });
        }
        self.wait().hand_out(block, &mut records);
    }
}

impl<F> Drop for Mine<'_, '_, F> {
    fn drop(&mut self) {
        self.wait().next += 1;
        self.turns.came.notify_all();
    }
}

impl<F: Fold> Turn<'_, F> {
    fn hand_out(&mut self, block: &Block, records: &mut Vec<Read<F::Record<'_>>>) {
        for (number, record) in records.iter_mut() {
            if self.failed.is_some() {
                break;
            }
            match record {
                Ok(record) => {
                    if let Some(v) = F::newer(record) {
                        self.told.at(&block.place(*number), v);
                    }
                    self.fold.take(record);
                }
                Err(why) => self.refuse(&block.place(*number), why),
            }
        }
        records.clear();
    }
}

impl<F> Turn<'_, F> {
    fn refuse(&mut self, place: &Place, why: &str) {
        if self.failed.is_none() {
            let refused = self.refusals.line(place, why);
            self.fail(refused);
        }
    }

    fn fail(&mut self, outcome: anyhow::Result<()>) {
        self.failed = self.failed.take().or(outcome.err());
    }
}
