//! `powermetrics`, the text form: a log that macOS's meter writes, live or recorded.
//!
//! A log is a preamble and then samples; a sample is a header with the local time and the window's length, and sections
//! under `**** … ****`. The power lines stand in "Processor usage", in milliwatts. "GPU usage" repeats `GPU Power:` from
//! another subscription whose window is shifted by milliseconds: it is read only where it is the only one. The header's
//! time is the *end* of the window, cut to the second. Apple's chips write a total named "Combined" (without memory) or,
//! before macOS 12, "Package" (with it); Intel's one line of watts. Percentages, frequencies and clusters, which change
//! with every chip, are not looked at.

use super::feed::{Clock, Item, Sample};
use super::root;
use crate::clock::Stamp;
use crate::record::PowerKind;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use std::collections::BTreeMap;

/// The state of reading one log, line by line.
#[derive(Debug, Default)]
pub struct Powermetrics {
    machine: Option<String>,
    /// When the machine was started, by its own clock.
    started: Option<DateTime>,
    begun: bool,
    block: Option<Block>,
    /// The domains of the last whole sample: what a sample without a total must have to be whole at the end of a log.
    usual: Vec<String>,
}

#[derive(Debug)]
struct Block {
    ended: f64,
    window: f64,
    at: Stamp,
    section: Section,
    watts: BTreeMap<String, f64>,
    second_gpu: Option<f64>,
    label: Option<String>,
    done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Processor,
    Graphics,
    Other,
}

impl Powermetrics {
    /// Reads one line, without its end, that arrived at `at`.
    pub fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        let line = strip_ansi(line);
        let line = line.trim_end();
        if let Some((ended, window)) = header(line) {
            self.close(out, false);
            if !std::mem::replace(&mut self.begun, true) && self.is_since_start(line, window) {
                self.block = None;
                return;
            }
            self.block = Some(Block {
                ended,
                window,
                at,
                section: Section::Other,
                watts: BTreeMap::new(),
                second_gpu: None,
                label: None,
                done: false,
            });
            return;
        }
        let Some(block) = self.block.as_mut() else {
            if let Some(machine) = line.strip_prefix("Machine model: ") {
                self.machine = Some(machine.trim().to_owned());
                out.push(Item::Machine(machine.trim().to_owned()));
            } else if let Some(started) = line.strip_prefix("Boot time: ") {
                self.started =
                    BrokenDownTime::parse("%a %b %d %H:%M:%S %Y", started).ok().and_then(|at| at.to_datetime().ok());
            } else if line.contains("must be invoked as the superuser") {
                out.push(Item::Refused(root::needed()));
            }
            return;
        };
        if block.done {
            return;
        }
        if let Some(section) = line.strip_prefix("**** ").and_then(|rest| rest.strip_suffix(" ****")) {
            if block.label.is_some() {
                self.emit(out);
                return;
            }
            block.section = match section {
                "Processor usage" => Section::Processor,
                "GPU usage" => Section::Graphics,
                _ => Section::Other,
            };
            return;
        }
        if line.is_empty() {
            // The total is the last power line, and a blank line follows it.
            if block.label.is_some() {
                self.emit(out);
            }
            return;
        }
        let Some((domain, label, watts)) = power_line(line) else { return };
        match (domain, block.section) {
            ("gpu", Section::Graphics) => {
                block.second_gpu = Some(watts);
                // The last section, and no total: all that this log has.
                self.emit(out);
            }
            ("soc", _) => {
                block.label = Some(label.to_owned());
                block.watts.insert("soc".into(), watts);
            }
            (domain, _) => {
                block.watts.entry(domain.to_owned()).or_insert(watts);
            }
        }
    }

    /// The log has ended.
    pub fn end(&mut self, out: &mut Vec<Item>) {
        self.close(out, true);
    }

    /// The machine that the preamble names.
    pub fn machine(&self) -> Option<&str> {
        self.machine.as_deref()
    }

    /// Whether a window is all the time since the machine was started, as the first one of `--show-initial-usage` is: nothing
    /// that anybody wants to know of the time before the log.
    fn is_since_start(&self, header: &str, window: f64) -> bool {
        let Some(started) = self.started else { return false };
        let ended = header.split_once('(').and_then(|(_, rest)| {
            let (date, _) = rest.split_once(')')?;
            BrokenDownTime::parse("%a %b %d %H:%M:%S %Y %z", date).ok()?.to_datetime().ok()
        });
        let up = ended.map(|ended| ended.duration_since(started).as_secs_f64());
        // Both times are local; between them the clock may have been put on or back.
        up.is_some_and(|up| up > 60.0 && (window - up).abs() < 0.02 * up + 3700.0 && window > 0.5 * up)
    }

    /// The block is over: whole, or torn.
    fn close(&mut self, out: &mut Vec<Item>, at_end: bool) {
        let Some(block) = self.block.as_ref().filter(|block| !block.done) else { return };
        let whole =
            block.label.is_some() || (!block.watts.is_empty() && (!at_end || self.usual.iter().eq(block.watts.keys())));
        if whole {
            self.emit(out);
        } else {
            self.block = None;
            out.push(Item::Torn);
        }
    }

    fn emit(&mut self, out: &mut Vec<Item>) {
        let Some(block) = self.block.as_mut() else { return };
        block.done = true;
        if let Some(watts) = block.second_gpu {
            block.watts.entry("gpu".into()).or_insert(watts);
        }
        self.usual = block.watts.keys().cloned().collect();
        out.push(Item::Sample(Sample {
            meter: "powermetrics",
            kind: PowerKind::Window,
            logged: Some(block.ended),
            clock: Clock::Cut,
            window_seconds: Some(block.window),
            at: block.at,
            watts: std::mem::take(&mut block.watts).into_iter().map(|(domain, watts)| (domain, Some(watts))).collect(),
            joules: None,
            unavailable: BTreeMap::new(),
            label: block.label.take(),
        }));
    }
}

/// A line of power: its domain, its words before the colon, its watts.
fn power_line(line: &str) -> Option<(&'static str, &str, f64)> {
    let (label, value) = line.rsplit_once(": ")?;
    let domain = match label {
        "CPU Power" => "cpu",
        "GPU Power" => "gpu",
        "ANE Power" => "ane",
        "DRAM Power" => "dram",
        "Package Power" | "Intel energy model derived package power (CPUs+GT+SA)" => "soc",
        _ if label.starts_with("Combined Power (") => "soc",
        _ => return None,
    };
    Some((domain, label, watts(value.trim())?))
}

/// `33996 mW`, `1.15W`.
fn watts(text: &str) -> Option<f64> {
    let (number, per_watt) = match text.strip_suffix("mW") {
        Some(number) => (number, 1000.0),
        None => (text.strip_suffix('W')?, 1.0),
    };
    let number: f64 = number.trim_end().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number / per_watt)
}

/// `*** Sampled system activity (Thu Sep 18 10:43:03 2025 +0200) (1019.49ms elapsed) ***`: the end of the window in Unix
/// seconds, and its length in seconds.
fn header(line: &str) -> Option<(f64, f64)> {
    let rest = line.strip_prefix("*** Sampled system activity (")?.strip_suffix("ms elapsed) ***")?;
    let (date, elapsed) = rest.split_once(") (")?;
    let at = BrokenDownTime::parse("%a %b %d %H:%M:%S %Y %z", date).ok()?.to_timestamp().ok()?;
    let elapsed: f64 = elapsed.parse().ok()?;
    (elapsed.is_finite() && elapsed > 0.0).then_some((at.as_second() as f64, elapsed / 1000.0))
}

/// The line without what colours a terminal.
fn strip_ansi(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            // ESC [ parameters letter
            if chars.next() == Some('[') {
                chars.by_ref().find(char::is_ascii_alphabetic);
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests;
