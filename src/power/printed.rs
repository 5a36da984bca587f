//! Any program that prints watts or joules: `ipmitool dcmi power reading`, a smart plug's client, a board's own tool, or a
//! scrape of DCGM's exporter.
//!
//! A pattern says where in a line the number stands (its group `value`, else its first group, else all of it), and may
//! name the domain by a group `domain`. Without a pattern a line counts that is a number alone, or that has a number with
//! a unit of power; known exporters' metrics are read from Prometheus text. A number with a comma in it is refused: nobody
//! knows whether it parts thousands or decimals. What is said in a number's place is unavailable, with what was said.

use super::counter::Counter;
use super::feed::{Clock, Item, Sample};
use super::prometheus::{Scrape, Scraped};
use crate::clock::Stamp;
use crate::record::PowerKind;
use clap::ValueEnum;
use regex::Regex;
use std::collections::BTreeMap;

/// What a printed number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// Power
    Watts,
    /// Power
    Milliwatts,
    /// Power
    Microwatts,
    /// Power
    Kilowatts,
    /// A counter of energy
    Joules,
    /// A counter of energy
    Millijoules,
    /// A counter of energy
    Microjoules,
    /// A counter of energy
    WattHours,
    /// A counter of energy
    KilowattHours,
}

impl Unit {
    /// Watts or joules in one of it, and whether it counts energy.
    fn factor(self) -> (f64, bool) {
        match self {
            Unit::Watts => (1.0, false),
            Unit::Milliwatts => (1e-3, false),
            Unit::Microwatts => (1e-6, false),
            Unit::Kilowatts => (1e3, false),
            Unit::Joules => (1.0, true),
            Unit::Millijoules => (1e-3, true),
            Unit::Microjoules => (1e-6, true),
            Unit::WattHours => (3600.0, true),
            Unit::KilowattHours => (3.6e6, true),
        }
    }
}

/// How a program's lines are read.
#[derive(Debug)]
pub struct Printed {
    pattern: Option<Regex>,
    unit: Unit,
    domain: String,
    with_unit: Regex,
    counters: BTreeMap<String, (Counter, Option<u64>)>,
    scrape: Scrape,
    /// The last line that meant nothing, shortened.
    unread: Option<String>,
    /// When the first line of this run arrived.
    begun: Option<u64>,
    /// Whether this run said what is no text.
    binary: bool,
}

/// What meters say where they have no number, in lower case.
const NO_NUMBER: [&str; 9] =
    ["n/a", "[n/a]", "na", "none", "null", "unknown", "unavailable", "not supported", "[not supported]"];
/// More joules than anything has drawn: a step beyond a counter's.
const MOST_JOULES: f64 = 9e12;

impl Printed {
    /// Lines that hold numbers of this unit, for this domain.
    ///
    /// # Errors
    /// When the domain's name is none.
    pub fn new(pattern: Option<Regex>, unit: Unit, domain: &str) -> Result<Self, String> {
        if !is_domain(domain) {
            return Err(format!("--domain: {domain:?} is no name: letters, digits, - and _"));
        }
        Ok(Self {
            pattern,
            unit,
            domain: domain.to_owned(),
            with_unit: Regex::new(r"(?i)(?:^|[^\d.,])([-+]?\d+(?:\.\d+)?)\s*([mkµu]?)w(?:att)?s?(?:[^\w]|$)")
                .map_err(|why| why.to_string())?,
            counters: BTreeMap::new(),
            scrape: Scrape::default(),
            unread: None,
            begun: None,
            binary: false,
        })
    }

    /// Reads one line that arrived at `at`.
    pub fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        self.begun.get_or_insert(at.mono_ns);
        if !self.binary && is_binary(line) {
            self.binary = true;
            self.unread = Some("bytes that are no text".into());
            out.push(Item::Torn);
        }
        if self.binary {
            return;
        }
        if self.pattern.is_some() {
            return self.matched(line, at, out);
        }
        let alone = line.trim();
        let (known, ended) = self.scrape.line(line, at);
        self.scraped(ended, out);
        if known || alone.is_empty() || alone.starts_with('#') {
            return;
        }
        if let Ok(value) = alone.parse::<f64>() {
            return self.emit(value, alone, self.unit, self.domain.clone(), at, out);
        }
        if NO_NUMBER.contains(&alone.to_ascii_lowercase().as_str()) {
            return out.push(said_none(self.domain.clone(), alone, at));
        }
        let Some(found) = self.with_unit.captures(line) else {
            self.unread = Some(alone.chars().take(80).collect());
            return;
        };
        let unit = match found.get(2).map(|prefix| prefix.as_str()) {
            Some("m" | "M") => Unit::Milliwatts,
            Some("k" | "K") => Unit::Kilowatts,
            Some("u" | "U" | "µ") => Unit::Microwatts,
            _ => Unit::Watts,
        };
        let number = found.get(1).map(|value| value.as_str()).unwrap_or_default();
        if let Ok(value) = number.parse() {
            self.emit(value, number, unit, self.domain.clone(), at, out);
        }
    }

    /// The program, or this run of it, has ended.
    pub fn end(&mut self, out: &mut Vec<Item>) {
        let ended = self.scrape.end();
        self.scraped(ended, out);
        (self.begun, self.binary) = (None, false);
    }

    /// The last line that meant nothing.
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    fn matched(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        let Some(found) = self.pattern.as_ref().and_then(|pattern| pattern.captures(line)) else {
            if !line.trim().is_empty() {
                self.unread = Some(line.trim().chars().take(80).collect());
            }
            return;
        };
        let value = found.name("value").or_else(|| found.get(1)).or_else(|| found.get(0));
        let text = value.map(|value| value.as_str().trim()).unwrap_or_default();
        let domain = found.name("domain").map_or(self.domain.as_str(), |domain| domain.as_str()).to_owned();
        match text.parse::<f64>() {
            _ if !is_domain(&domain) => out.push(Item::Torn),
            Ok(value) => self.emit(value, text, self.unit, domain, at, out),
            Err(_) => out.push(said_none(domain, text, at)),
        }
    }

    fn scraped(&mut self, scraped: Option<Scraped>, out: &mut Vec<Item>) {
        let Some((at, domains)) = scraped else { return };
        for (domain, (watts, joules)) in domains {
            match joules {
                Some(joules) => self.count(joules, domain, watts, at, out),
                None => out.push(Item::Sample(sample(PowerKind::Instant, domain, watts, at))),
            }
        }
    }

    fn emit(&mut self, value: f64, text: &str, unit: Unit, domain: String, at: Stamp, out: &mut Vec<Item>) {
        let (factor, counts) = unit.factor();
        if !value.is_finite() {
            out.push(said_none(domain, text, at));
        } else if counts {
            self.count(value * factor, domain, None, at, out);
        } else {
            let sample = sample(PowerKind::Instant, domain, Some(value * factor), at);
            // What a program says in one breath is one reading: which of several numbers is meant, only the user knows.
            let twin = out.iter_mut().rev().take(16).find_map(|item| match item {
                Item::Sample(twin) if twin.watts.keys().eq(sample.watts.keys()) => Some(twin),
                _ => None,
            });
            match twin.filter(|twin| self.begun == Some(at.mono_ns) && twin.watts != sample.watts) {
                None => out.push(Item::Sample(sample)),
                Some(twin) => {
                    for (domain, watts) in &mut twin.watts {
                        *watts = None;
                        let why = "the program says several numbers at once: say with --pattern which is meant";
                        twin.unavailable.insert(domain.clone(), why.to_owned());
                    }
                }
            }
        }
    }

    /// A counter's reading; `watts` where the program tells them too.
    fn count(&mut self, joules: f64, domain: String, watts: Option<f64>, at: Stamp, out: &mut Vec<Item>) {
        let (counter, seen) = self.counters.entry(domain.clone()).or_insert_with(|| (Counter::new(1e-6, None), None));
        let window = super::since(seen, at.mono_ns);
        let mut sample = sample(PowerKind::Counter, domain.clone(), None, at);
        sample.window_seconds = window;
        let step = if (0.0..=MOST_JOULES).contains(&joules) {
            counter.look((joules * 1e6).round() as u64, at.mono_ns);
            counter.read(at.mono_ns).map_err(str::to_owned)
        } else {
            counter.lost();
            Err(format!("read {joules} J, which no counter holds"))
        };
        match step {
            Ok(step) => {
                sample.joules = Some(BTreeMap::from([(domain.clone(), Some(super::microjoules(step.joules)))]));
                match watts.or(step.watts) {
                    Some(watts) => sample.watts.insert(domain, Some(super::milliwatts(watts))),
                    None => sample.watts.remove(&domain),
                };
            }
            Err(why) => {
                sample.joules = Some(BTreeMap::from([(domain.clone(), None)]));
                sample.unavailable.insert(domain, why);
            }
        }
        out.push(Item::Sample(sample));
    }
}

/// That something else was said in a number's place.
fn said_none(domain: String, text: &str, at: Stamp) -> Item {
    let mut sample = sample(PowerKind::Instant, domain.clone(), None, at);
    let text: String = text.chars().take(80).collect();
    sample.unavailable.insert(domain, format!("the program said {text:?}, which is no number"));
    Item::Sample(sample)
}

fn sample(kind: PowerKind, domain: String, watts: Option<f64>, at: Stamp) -> Sample {
    Sample {
        meter: "command",
        kind,
        logged: None,
        clock: Clock::Fine,
        window_seconds: None,
        at,
        watts: BTreeMap::from([(domain, watts)]),
        joules: None,
        unavailable: BTreeMap::new(),
        label: None,
    }
}

/// Whether a line is none of a text: what a character is not, or what no line has, in every fourth place.
fn is_binary(line: &str) -> bool {
    let odd =
        line.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER || (c.is_control() && !"\t\r\u{1b}".contains(*c)));
    line.contains('\0') || odd.count() * 4 > line.chars().count()
}

fn is_domain(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests;
