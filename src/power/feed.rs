//! Meters that are texts: what comes in is cut into lines, each is stamped on arrival, and the meter's own parser turns
//! them into samples.

use super::asitop::Asitop;
use super::dating::{Dated, Dating};
use super::macmon::Macmon;
use super::plist::Plist;
use super::powermetrics::Powermetrics;
use super::printed::Printed;
use super::smi::Smi;
use crate::clock::Stamp;
use crate::record::PowerKind;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::time::Duration;

/// The longest line that is kept, in bytes: longer ones are no meter's, and memory is bounded by this.
const MAX_LINE: usize = 4 << 20;

/// What a parser found.
#[derive(Debug)]
pub enum Item {
    /// The machine the meter says it is.
    Machine(String),
    /// A reading.
    Sample(Sample),
    /// A reading that was cut off.
    Torn,
    /// The meter says that it will not read, and why.
    Refused(String),
}

/// A reading as a text has it, not yet dated.
#[derive(Debug)]
pub struct Sample {
    /// The meter.
    pub meter: &'static str,
    /// What kind of reading.
    pub kind: PowerKind,
    /// The end of its window by the text, in Unix seconds.
    pub logged: Option<f64>,
    /// How far that can be trusted.
    pub clock: Clock,
    /// The length of its window.
    pub window_seconds: Option<f64>,
    /// When it arrived here.
    pub at: Stamp,
    /// Watts per domain.
    pub watts: BTreeMap<String, Option<f64>>,
    /// Joules per domain, where the text says them; else they follow from the window.
    pub joules: Option<BTreeMap<String, Option<f64>>>,
    /// Why domains are null.
    pub unavailable: BTreeMap<String, String>,
    /// The meter's own words for its total.
    pub label: Option<String>,
}

/// What a text's times are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// To the millisecond or better.
    Fine,
    /// Cut to the second; but the windows follow each other without a gap, which tells the rest.
    Cut,
    /// Cut to the second, and the windows are not exact either.
    Loose,
}

/// The texts that are understood.
#[derive(Debug)]
pub enum Format {
    /// Not known yet: the first line shows it.
    Unknown,
    /// macOS powermetrics.
    Powermetrics(Powermetrics),
    /// The same as property lists.
    Plist(Plist),
    /// macmon.
    Macmon(Macmon),
    /// asitop_csv_logger.
    Asitop(Asitop),
    /// nvidia-smi.
    Smi(Smi),
    /// Any program that prints numbers.
    Printed(Printed),
}

impl Format {
    /// The meter's name in records; `None` before it is known.
    pub fn meter(&self) -> Option<&'static str> {
        match self {
            Format::Unknown => None,
            Format::Powermetrics(_) | Format::Plist(_) => Some("powermetrics"),
            Format::Macmon(_) => Some("macmon"),
            Format::Asitop(_) => Some("asitop"),
            Format::Smi(_) => Some("nvidia-smi"),
            Format::Printed(_) => Some("command"),
        }
    }

    fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        if matches!(self, Format::Unknown | Format::Powermetrics(_)) && Plist::begins(line) {
            *self = Format::Plist(Plist::default());
        }
        if let Format::Unknown = self {
            match Format::of(line) {
                Some(format) => *self = format,
                None => return,
            }
        }
        match self {
            Format::Unknown => {}
            Format::Powermetrics(parser) => parser.line(line, at, out),
            Format::Plist(parser) => parser.line(line, at, out),
            Format::Macmon(parser) => parser.line(line, at, out),
            Format::Asitop(parser) => parser.line(line, at, out),
            Format::Smi(parser) => parser.line(line, at, out),
            Format::Printed(parser) => parser.line(line, at, out),
        }
    }

    fn end(&mut self, out: &mut Vec<Item>) {
        match self {
            Format::Powermetrics(parser) => parser.end(out),
            Format::Plist(parser) => parser.end(out),
            Format::Printed(parser) => parser.end(out),
            // One line, one reading.
            Format::Unknown | Format::Macmon(_) | Format::Asitop(_) | Format::Smi(_) => {}
        }
    }

    /// The format of a text that begins with this line; `None` for a blank one.
    fn of(line: &str) -> Option<Self> {
        match line.trim() {
            "" => None,
            json if json.starts_with('{') => Some(Format::Macmon(Macmon::default())),
            _ if Asitop::begins(line) => Some(Format::Asitop(Asitop::new(Duration::from_secs(1)))),
            _ if Smi::begins(line) => Some(Format::Smi(Smi::default())),
            _ => Some(Format::Powermetrics(Powermetrics::default())),
        }
    }
}

/// What a feed gives out.
#[derive(Debug)]
pub enum Fed {
    /// The machine the meter says it is.
    Machine(String),
    /// A dated reading.
    Sample(Dated),
    /// Readings that were cut off.
    Torn(u64),
    /// The meter says that it will not read, and why.
    Refused(String),
    /// Readings that were due and did not happen.
    Missed(u64),
}

/// A text on its way to be samples.
#[derive(Debug)]
pub struct Feed {
    format: Format,
    dating: Dating,
    tail: Vec<u8>,
    skipping: bool,
    /// The machine, from what was there before anyone listened.
    machine: Option<String>,
}

impl Feed {
    /// A text of this format, dated in this way.
    pub fn new(format: Format, dating: Dating) -> Self {
        Self { format, dating, tail: Vec::new(), skipping: false, machine: None }
    }

    /// Reads what was there before anyone listened, for what it says of the machine and of its own columns.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn skip(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut bytes = vec![0; 1 << 16];
        loop {
            match from.read(&mut bytes)? {
                0 => return Ok(()),
                read => {
                    for fed in self.push(&bytes[..read], Stamp::now()) {
                        if let Fed::Machine(name) = fed {
                            self.machine = Some(name);
                        }
                    }
                }
            }
        }
    }

    /// The meter's name; `None` before it is known.
    pub fn meter(&self) -> Option<&'static str> {
        self.format.meter()
    }

    /// The last line of what a program printed that meant nothing.
    pub fn unread(&self) -> Option<&str> {
        match &self.format {
            Format::Printed(printed) => printed.unread(),
            _ => None,
        }
    }

    /// Takes bytes that arrived at `at`.
    pub fn push(&mut self, bytes: &[u8], at: Stamp) -> Vec<Fed> {
        let mut items = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let whole = piece.last() == Some(&b'\n');
            if !self.skipping {
                self.tail.extend_from_slice(piece);
            }
            if self.tail.len() > MAX_LINE {
                self.tail.clear();
                self.skipping = true;
                items.push(Item::Torn);
            }
            // A property list ends with its own mark; the newline after it comes with the next one.
            let over = whole || self.tail.ends_with(b"</plist>");
            if over && !std::mem::take(&mut self.skipping) {
                self.take_line(at, &mut items);
            }
        }
        self.date(items)
    }

    /// The text has ended.
    pub fn end(&mut self, at: Stamp) -> Vec<Fed> {
        let mut items = Vec::new();
        if !self.tail.is_empty() {
            self.take_line(at, &mut items);
        }
        self.format.end(&mut items);
        let mut fed = self.date(items);
        let mut dated = Vec::new();
        self.dating.end(&mut dated);
        fed.extend(dated.into_iter().map(Fed::Sample));
        fed
    }

    fn take_line(&mut self, at: Stamp, items: &mut Vec<Item>) {
        let line = String::from_utf8_lossy(&self.tail);
        let line = line.trim_end_matches(['\n', '\r']);
        self.format.line(line, at, items);
        self.tail.clear();
    }

    fn date(&mut self, items: Vec<Item>) -> Vec<Fed> {
        let mut fed: Vec<Fed> = Vec::new();
        if items.iter().any(|item| matches!(item, Item::Sample(_))) {
            fed.extend(self.machine.take().map(Fed::Machine));
        }
        for item in items {
            match item {
                Item::Machine(name) => fed.push(Fed::Machine(name)),
                Item::Torn => fed.push(Fed::Torn(1)),
                Item::Refused(why) => fed.push(Fed::Refused(why)),
                Item::Sample(sample) => {
                    let mut dated = Vec::new();
                    self.dating.take(sample, &mut dated);
                    fed.extend(dated.into_iter().map(Fed::Sample));
                }
            }
        }
        fed
    }

    /// Reads a text to its end, stamping every read before a byte of it is looked at, and hands on the meter's name,
    /// whether it may be live, and what it says; stops when `tell` answers that nobody listens any more.
    ///
    /// # Errors
    /// When the input fails.
    pub fn read(
        &mut self,
        mut from: impl Read,
        mut tell: impl FnMut(Option<&'static str>, bool, Vec<Fed>) -> bool,
    ) -> io::Result<()> {
        let mut bytes = vec![0; 1 << 16];
        loop {
            let read = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
                Err(why) => return Err(why),
            };
            let at = Stamp::now();
            let fed = self.push(&bytes[..read], at);
            if !fed.is_empty() && !tell(self.format.meter(), !self.dating.is_recorded(), fed) {
                return Ok(());
            }
        }
        let fed = self.end(Stamp::now());
        tell(self.format.meter(), !self.dating.is_recorded(), fed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOG: &str = "Machine model: X\n\n*** Sampled system activity (Fri Feb  6 10:00:00 2026 +0000) (1000.00ms elapsed) ***\n\n**** Processor usage ****\n\nCPU Power: 9 mW\nCombined Power (x): 9 mW\n\n";

    fn count(fed: &[Fed]) -> (usize, usize) {
        let samples = fed.iter().filter(|fed| matches!(fed, Fed::Sample(_))).count();
        (samples, fed.iter().filter(|fed| matches!(fed, Fed::Torn(_))).count())
    }

    #[test]
    fn an_endless_line_is_dropped_and_what_follows_is_read() {
        let mut feed = Feed::new(Format::Powermetrics(Powermetrics::default()), Dating::Live);
        let at = Stamp::now();
        let mut fed = Vec::new();
        for _ in 0..5 {
            fed.extend(feed.push(&vec![b'x'; 1 << 20], at));
        }
        fed.extend(feed.push(b"\n", at));
        fed.extend(feed.push(LOG.as_bytes(), at));
        assert_eq!(count(&fed), (1, 1));
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_changes_nothing(cuts in proptest::collection::vec(1..400usize, 0..12)) {
            let log = LOG.repeat(2);
            let mut feed = Feed::new(Format::Unknown, Dating::Live);
            let (mut fed, mut rest) = (Vec::new(), log.as_bytes());
            for cut in cuts {
                let (piece, more) = rest.split_at(cut.min(rest.len()));
                fed.extend(feed.push(piece, Stamp::now()));
                rest = more;
            }
            fed.extend(feed.push(rest, Stamp::now()));
            prop_assert_eq!(count(&fed), (2, 0));
            fed.extend(feed.end(Stamp::now()));
            prop_assert_eq!(count(&fed), (2, 0));
        }
    }
}
