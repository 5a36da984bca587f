//! Lines in, lines out. Nothing here knows what a record means.
//!
//! In: files or standard input as one stream of lines that remember where they stood. A byte-order mark, CRLF, blank
//! lines and a last line without a newline are forgiven; bytes that are not UTF-8 and lines beyond [`MAX_LINE`] are
//! handed out as [`Bad`], so that one of them does not end the stream. Out: one `write` per line.

use crate::text::encoding::utf8;
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

mod blocks;

pub use blocks::{BLOCK, Block, Blocks};

/// The longest line that is read, in bytes: longer ones are not records but accidents, and memory is bounded by this.
pub const MAX_LINE: usize = 256 << 20;

/// Where a line stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name as it was given; `-` for standard input.
    pub file: Arc<str>,
    /// The line's number, from 1.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text.
    pub text: String,
    /// Where it stood.
    pub place: Place,
}

/// Why a line could not be handed out.
#[derive(Debug)]
pub enum Bad {
    /// This line is unreadable; the next may not be.
    Line(Place, String),
    /// The input itself failed.
    Input(Place, io::Error),
}

/// The lines of several inputs, in order, as one stream.
pub struct Lines {
    waiting: VecDeque<(Arc<str>, Reader)>,
    current: Option<(Arc<str>, Reader)>,
    number: u64,
}

type Reader = BufReader<Box<dyn Read + Send>>;

impl Lines {
    /// The lines of `files` in order; `-`, or no file at all, is standard input. Every file is opened now, so that a
    /// misspelt name is told before any work is done.
    ///
    /// # Errors
    /// When a file cannot be opened, or `-` stands twice; the message names the file.
    pub fn open<P: AsRef<Path>>(files: &[P]) -> io::Result<Self> {
        let waiting = inputs(files)?.into_iter().map(|(name, reader)| (name, buffered(reader))).collect();
        Ok(Self { waiting, current: None, number: 0 })
    }

    /// The lines of one reader, under `name` in messages.
    pub fn from_reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        let waiting = VecDeque::from([(name.into(), buffered(utf8(reader)))]);
        Self { waiting, current: None, number: 0 }
    }

    /// Whether the next line is here already, so that [`Lines::next`] will not wait for it. Where it may be blank, and
    /// what follows it is not here, the answer is no.
    pub fn at_hand(&self) -> bool {
        let here = self.current.as_ref().map(|(_, reader)| reader.buffer()).unwrap_or_default();
        here.first().is_some_and(|byte| !byte.is_ascii_whitespace()) && memchr::memchr(b'\n', here).is_some()
    }
}

/// Reads a line with its newline, as `read_until` does; that one seeks the newline word by word, this one by wide registers.
fn read_line(from: &mut impl BufRead, to: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let here = match from.fill_buf() {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            here => here?,
        };
        let end = memchr::memchr(b'\n', here);
        let taken = end.map_or(here.len(), |at| at + 1);
        to.extend_from_slice(&here[..taken]);
        from.consume(taken);
        if end.is_some() || taken == 0 {
            return Ok(());
        }
    }
}

/// What can be read, under its name in messages.
type Named = (Arc<str>, Box<dyn Read + Send>);

/// Opens files in order; `-`, or no file at all, is standard input.
fn inputs<P: AsRef<Path>>(files: &[P]) -> io::Result<Vec<Named>> {
    let mut inputs: Vec<Named> = Vec::new();
    let mut stdin_taken = false;
    for path in files {
        let path = path.as_ref();
        let name = path.display().to_string();
        if name == "-" {
            if stdin_taken {
                return Err(io::Error::other("-: standard input can be read only once"));
            }
            stdin_taken = true;
            inputs.push(stdin());
        } else {
            let file = File::open(path).map_err(|why| io::Error::new(why.kind(), format!("{name}: {why}")))?;
            if file.metadata().is_ok_and(|meta| meta.is_dir()) {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, format!("{name}: is a directory")));
            }
            inputs.push((name.into(), Box::new(utf8(file))));
        }
    }
    if files.is_empty() {
        inputs.push(stdin());
    }
    Ok(inputs)
}

fn stdin() -> Named {
    // A private handle rather than the locked one: the stream may be read on any thread.
    ("-".into(), Box::new(utf8(io::stdin())))
}

fn buffered(reader: impl Read + Send + 'static) -> Reader {
    BufReader::with_capacity(1 << 16, Box::new(reader))
}

/// A line without its end.
fn bare(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r'] = line {
        line = rest;
    }
    line
}

impl Iterator for Lines {
    type Item = Result<Line, Bad>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.current.is_none() {
                self.current = Some(self.waiting.pop_front()?);
                self.number = 0;
            }
            let (name, reader) = self.current.as_mut()?;
            self.number += 1;
            let place = Place { file: name.clone(), number: self.number };
            let mut bytes = Vec::new();
            if let Err(why) = read_line(&mut reader.by_ref().take(MAX_LINE as u64 + 1), &mut bytes) {
                self.current = None;
                return Some(Err(Bad::Input(place, why)));
            }
            if bytes.is_empty() {
                self.current = None;
                continue;
            }
            if bytes.len() > MAX_LINE && bytes.last() != Some(&b'\n') {
                let skipped = reader.skip_until(b'\n');
                let why = format!("longer than {MAX_LINE} bytes");
                return Some(Err(
                    skipped.map_or_else(|e| Bad::Input(place.clone(), e), |_| Bad::Line(place.clone(), why))
                ));
            }
            while matches!(bytes.last(), Some(b'\n' | b'\r')) {
                bytes.pop();
            }
            match String::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => continue,
                Ok(text) if memchr::memchr(0, text.as_bytes()).is_some() => {
                    return Some(Err(Bad::Line(place, "holds NUL bytes: save the file as UTF-8".into())));
                }
                Ok(text) => return Some(Ok(Line { text, place })),
                Err(why) => return Some(Err(Bad::Line(place, format!("not UTF-8: {}", why.utf8_error())))),
            }
        }
    }
}

/// Where lines go: only ever whole lines in one `write`, so that programs that share an output never tear each other's
/// lines, and each at once, so that whoever follows the stream sees it. A program that has more lines at hand may
/// [`hold`](Out::hold) them for one `write`.
pub struct Out {
    to: Box<dyn Write + Send>,
    buffer: Vec<u8>,
}

/// More than this many bytes are not held.
const HELD: usize = 1 << 16;

impl Out {
    /// Writes to `to`.
    pub fn new(to: impl Write + Send + 'static) -> Self {
        Self { to: Box::new(to), buffer: Vec::with_capacity(4096) }
    }

    /// Writes to standard output, or to the file of that name.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(file: Option<&Path>) -> io::Result<Self> {
        match file {
            Some(path) if path.as_os_str() != "-" => File::create(path)
                .map(Self::new)
                .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display()))),
            _ => Ok(Self::new(io::stdout())),
        }
    }

    /// Writes one line; `text` has no newline of its own.
    ///
    /// # Errors
    /// When the output is closed or full.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.hold(&[text])?;
        self.flush()
    }

    /// Takes one line, given in parts, to be written with those that follow it: when they are many, or at the next
    /// [`flush`](Out::flush), which is due before any wait. What is never flushed is never written.
    ///
    /// # Errors
    /// When the output is closed or full.
    pub fn hold(&mut self, parts: &[&str]) -> io::Result<()> {
        for text in parts {
            debug_assert!(!text.contains('\n'), "a record is one line");
            self.buffer.extend_from_slice(text.as_bytes());
        }
        self.buffer.push(b'\n');
        if self.buffer.len() > HELD { self.flush() } else { Ok(()) }
    }

    /// Writes the lines that are held.
    ///
    /// # Errors
    /// When the output is closed or full.
    pub fn flush(&mut self) -> io::Result<()> {
        let written = self.to.write_all(&self.buffer);
        // What could not be written is not tried again: it may have gone out in part.
        self.buffer.clear();
        written?;
        self.to.flush()
    }
}

#[cfg(test)]
mod tests;
