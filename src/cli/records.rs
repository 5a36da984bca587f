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

    /// Reads every record with `read` on as many `threads`, and hands what it makes of them to `take` in order. Those of a
    /// contract that is newer, as `newer` says, are told of once. What cannot be read is reported as `prog: file:line: why` and skipped, or ends the
    /// program under `--strict`. Says how many lines that were.
    ///
    /// # Errors
    /// When the input fails, or, under `--strict`, when a line cannot be read.
    pub fn each<T: Send>(
        self,
        threads: NonZeroUsize,
        read: impl Fn(&str) -> Result<T, serde_json::Error> + Sync,
        newer: fn(&T) -> Option<u64>,
        take: &mut (dyn FnMut(T) + Send),
    ) -> anyhow::Result<u64> {
        let source = Mutex::new(Source { blocks: self.blocks, number: 0 });
        let turn = Turn { next: 0, refusals: self.refusals, told: self.newer, newer, take, failed: None };
        let turns = Turns { turn: Mutex::new(turn), came: Condvar::new() };
        std::thread::scope(|scope| {
            // The calling thread is one of them.
            for _ in 1..threads.get() {
                scope.spawn(|| work(&source, &turns, &read));
            }
            work(&source, &turns, &read);
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
struct Turn<'a, T> {
    next: u64,
    refusals: Refusals,
    told: Newer,
    newer: fn(&T) -> Option<u64>,
    take: &'a mut (dyn FnMut(T) + Send),
    failed: Option<anyhow::Error>,
}

struct Turns<'a, T> {
    turn: Mutex<Turn<'a, T>>,
    came: Condvar,
}

/// A line, read: its number and what was made of it.
type Read<T> = (u64, Result<T, String>);

fn work<T: Send>(
    source: &Mutex<Source>,
    turns: &Turns<'_, T>,
    read: &(impl Fn(&str) -> Result<T, serde_json::Error> + Sync),
) {
    let mut room = Vec::new();
    let mut records: Vec<Read<T>> = Vec::new();
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
                for line in block.lines() {
                    if records.len() == AT_ONCE {
                        mine.wait().hand_out(&block, &mut records);
                    }
                    records.push(match line {
                        Ok((number, text)) => (number, read(text).map_err(|why| why.to_string())),
                        Err(Bad::Line(place, why)) => (place.number, Err(why)),
                        Err(Bad::Input(place, why)) => (place.number, Err(why.to_string())),
                    });
                }
                mine.wait().hand_out(&block, &mut records);
                room = block.into_room();
            }
            Err(Bad::Line(place, why)) => mine.wait().refuse(&place, &why),
            Err(Bad::Input(place, why)) => mine.wait().fail(Err(why).with_context(|| place.to_string())),
        }
    }
}

impl<T> Turns<'_, T> {
    fn failed(&self) -> bool {
        locked(&self.turn).failed.is_some()
    }
}

/// The turn of one block; the next one's comes when this is dropped.
struct Mine<'a, 'b, T> {
    turns: &'a Turns<'b, T>,
    number: u64,
}

impl<'a, 'b, T> Mine<'a, 'b, T> {
    fn wait(&self) -> MutexGuard<'a, Turn<'b, T>> {
        let turn = locked(&self.turns.turn);
        let waiting = |turn: &mut Turn<'_, T>| turn.next != self.number;
        regardless(self.turns.came.wait_while(turn, waiting))
    }
}

impl<T> Drop for Mine<'_, '_, T> {
    fn drop(&mut self) {
        self.wait().next += 1;
        self.turns.came.notify_all();
    }
}

impl<T> Turn<'_, T> {
    fn hand_out(&mut self, block: &Block, records: &mut Vec<Read<T>>) {
        for (number, record) in records.drain(..) {
            if self.failed.is_some() {
                continue;
            }
            match record {
                Ok(record) => {
                    if let Some(v) = (self.newer)(&record) {
                        self.told.at(&block.place(number), v);
                    }
                    (self.take)(record);
                }
                Err(why) => self.refuse(&block.place(number), &why),
            }
        }
    }

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
