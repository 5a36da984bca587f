//! Lines by the block: for a program that reads everything there is as fast as it can, on several threads.
//!
//! A block is read as one piece and cut behind its last newline; the rest is the beginning of the next one. What is
//! forgiven in a line, and what is not, is the same as in [`Lines`](super::Lines).

use super::{Bad, MAX_LINE, Named, Place, bare, inputs};
use crate::text::encoding::utf8;
use memchr::{memchr, memchr_iter, memrchr};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// How many bytes are read at once. A line that is longer makes its block as long as it needs.
pub const BLOCK: usize = 1 << 18;

/// Some whole lines of one input.
#[derive(Debug)]
pub struct Block {
    file: Arc<str>,
    /// The number of the first line.
    first: u64,
    bytes: Vec<u8>,
    longest: usize,
}

/// The blocks of several inputs, in order.
pub struct Blocks {
    waiting: VecDeque<Named>,
    current: Option<Named>,
    /// How many lines of the current input have been handed out.
    number: u64,
    /// The beginning of a line whose end has not been read.
    rest: Vec<u8>,
    /// Nothing is kept until the next newline.
    skipping: bool,
    /// How many bytes are read at once, and how long a line may be.
    size: usize,
    longest: usize,
}

impl Blocks {
    /// The blocks of `files` in order; `-`, or no file at all, is standard input. Every file is opened now, so that a
    /// misspelt name is told before any work is done.
    ///
    /// # Errors
    /// When a file cannot be opened, or `-` stands twice; the message names the file.
    pub fn open<P: AsRef<Path>>(files: &[P]) -> io::Result<Self> {
        Ok(Self::new(inputs(files)?.into()))
    }

    /// The blocks of one reader, under `name` in messages.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        Self::new(VecDeque::from([(name.into(), Box::new(utf8(reader)) as Box<dyn Read + Send>)]))
    }

    fn new(waiting: VecDeque<Named>) -> Self {
        Self { waiting, current: None, number: 0, rest: Vec::new(), skipping: false, size: BLOCK, longest: MAX_LINE }
    }

    /// The next block, in the room of an old one.
    pub fn next(&mut self, room: Vec<u8>) -> Option<Result<Block, Bad>> {
        let mut bytes = room;
        loop {
            if self.current.is_none() {
                self.current = Some(self.waiting.pop_front()?);
                self.number = 0;
            }
            let (file, reader) = self.current.as_mut()?;
            bytes.clear();
            bytes.append(&mut self.rest);
            let place = |number| Place { file: file.clone(), number };
            let mut cut = None;
            let mut ended = false;
            while !ended && cut.is_none() && bytes.len() <= self.longest {
                // A line that goes on and on is sought in ever longer pieces.
                let wanted = self.size.max(bytes.len());
                bytes.reserve(wanted);
                let got = match reader.take(wanted as u64).read_to_end(&mut bytes) {
                    Ok(got) => got,
                    Err(why) => {
                        let place = place(self.number + 1);
                        (self.current, self.skipping) = (None, false);
                        return Some(Err(Bad::Input(place, why)));
                    }
                };
                ended = got < wanted;
                if self.skipping {
                    match memchr(b'\n', &bytes) {
                        Some(end) => {
                            bytes.drain(..=end);
                            self.skipping = false;
                        }
                        None => bytes.clear(),
                    }
                }
                cut = memrchr(b'\n', &bytes).map(|end| end + 1);
            }
            let first = self.number + 1;
            if ended {
                let file = file.clone();
                (self.current, self.skipping) = (None, false);
                if bytes.is_empty() {
                    continue;
                }
                return Some(Ok(Block { file, first, bytes, longest: self.longest }));
            }
            let Some(cut) = cut else {
                let place = place(first);
                (self.number, self.skipping) = (first, true);
                return Some(Err(too_long(place, self.longest)));
            };
            self.rest.extend_from_slice(&bytes[cut..]);
            bytes.truncate(cut);
            let file = file.clone();
            self.number += memchr_iter(b'\n', &bytes).count() as u64;
            return Some(Ok(Block { file, first, bytes, longest: self.longest }));
        }
    }
}

fn too_long(place: Place, longest: usize) -> Bad {
    Bad::Line(place, format!("longer than {longest} bytes"))
}

impl Block {
    /// The place of a line by its number.
    pub fn place(&self, number: u64) -> Place {
        Place { file: self.file.clone(), number }
    }

    /// The lines that are not blank, with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = Result<(u64, &str), Bad>> {
        let mut from = 0;
        let mut ends = memchr_iter(b'\n', &self.bytes).map(|end| end + 1);
        let pieces = std::iter::from_fn(move || {
            let to = ends.next().unwrap_or(self.bytes.len());
            let piece = self.bytes.get(from..to).filter(|piece| !piece.is_empty());
            from = to;
            piece
        });
        (self.first..).zip(pieces).filter_map(|(number, piece)| {
            if piece.len() > self.longest && piece.last() != Some(&b'\n') {
                return Some(Err(too_long(self.place(number), self.longest)));
            }
            match std::str::from_utf8(bare(piece)) {
                Ok(text) if text.trim().is_empty() => None,
                Ok(text) => Some(Ok((number, text))),
                Err(why) => Some(Err(Bad::Line(self.place(number), format!("not UTF-8: {why}")))),
            }
        })
    }

    /// The room of the block, for the next one.
    pub fn into_room(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
impl Blocks {
    /// The same with small blocks and short lines.
    pub(super) fn small(mut self, size: usize, longest: usize) -> Self {
        (self.size, self.longest) = (size, longest);
        self
    }
}
