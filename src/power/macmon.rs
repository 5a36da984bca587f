//! `macmon pipe`: one JSON object per line, from Apple's chips without root.
//!
//! Powers are watts; `timestamp` is the end of the window; the window's length is not told, so it is taken from the time
//! between two lines. `all_power` is cpu + gpu + ane. `sys_power` is another thing: what the machine draws at that moment
//! by its system controller, and 0.0 when the controller did not answer. On macOS 27 the processor's counters stand still
//! for everyone but Apple's own tools, and read as 0.

use super::feed::{Clock, Format, Item, Sample};
use super::text::Text;
use crate::clock::{Stamp, between};
use crate::record::PowerKind;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// It as a meter that runs: the library on a Mac, the program elsewhere (where it may stand for one on another machine).
///
/// # Errors
/// When it cannot be started.
#[cfg(not(target_os = "macos"))]
pub fn text(interval: Duration) -> Result<Text, String> {
    let mut command = std::process::Command::new("macmon");
    command.args(["pipe", "-i"]).arg(interval.as_millis().to_string());
    Text::spawned(&command, Format::Macmon(Macmon::default()), str::to_owned)
}

/// It as a meter that runs: the library on a Mac, the program elsewhere (where it may stand for one on another machine).
///
/// # Errors
/// When this Mac is none that it reads.
#[cfg(target_os = "macos")]
pub fn text(interval: Duration) -> Result<Text, String> {
    use std::io::Write;
    let (from, mut to) = std::io::pipe().map_err(|why| format!("macmon: {why}"))?;
    let (began, begin) = std::sync::mpsc::channel();
    let milliseconds = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
    std::thread::spawn(move || {
        // Its handles stay on this thread.
        let mut sampler = match macmon::Sampler::new() {
            Ok(sampler) => sampler,
            Err(why) => return drop(began.send(Err(format!("macmon: {why}")))),
        };
        let model = serde_json::json!({ "soc": { "mac_model": sampler.get_soc_info().mac_model } });
        let _ = began.send(Ok(()));
        let mut line = model.to_string();
        // Ends when the reader does, or with the library's first failure.
        while writeln!(to, "{line}").is_ok() {
            match sampler.get_metrics(milliseconds).ok().and_then(|metrics| serde_json::to_string(&metrics).ok()) {
                Some(metrics) => line = metrics,
                None => break,
            }
        }
    });
    begin.recv().map_err(|_| "macmon: ended at once".to_owned())??;
    Ok(Text::live(from, Format::Macmon(Macmon::default())))
}

/// The state of reading one stream, line by line.
#[derive(Debug, Default)]
pub struct Macmon {
    last: Option<(Option<f64>, u64)>,
    /// The shortest window so far: one that is much longer was no window, but a pause.
    shortest: Option<f64>,
    machine: bool,
}

/// A line that comes after so many windows is the first of another stretch, whose window nobody knows.
const PAUSE_WINDOWS: f64 = 3.0;

#[derive(Deserialize)]
struct Line {
    timestamp: Option<String>,
    cpu_power: Option<f64>,
    gpu_power: Option<f64>,
    ane_power: Option<f64>,
    all_power: Option<f64>,
    sys_power: Option<f64>,
    ram_power: Option<f64>,
    gpu_ram_power: Option<f64>,
    soc: Option<Soc>,
}

#[derive(Deserialize)]
struct Soc {
    mac_model: Option<String>,
}

impl Macmon {
    /// Reads one line that arrived at `at`.
    pub fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        if line.trim().is_empty() {
            return;
        }
        let Ok(read) = serde_json::from_str::<Line>(line) else {
            out.push(Item::Torn);
            return;
        };
        let introduced = read.soc.is_some();
        if let Some(model) = read.soc.and_then(|soc| soc.mac_model).filter(|_| !self.machine) {
            self.machine = true;
            out.push(Item::Machine(model));
        }
        let logged = read.timestamp.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let logged = logged.map(|at| at.as_microsecond() as f64 / 1e6);
        let window = self.last.replace((logged, at.mono_ns)).and_then(|(then, then_ns)| {
            let seconds = match (then, logged) {
                (Some(then), Some(now)) => now - then,
                _ => between(then_ns, at.mono_ns),
            };
            (seconds > 0.0).then_some(seconds)
        });
        if let Some(window) = window {
            self.shortest = Some(self.shortest.map_or(window, |shortest| shortest.min(window)));
        }
        let window = window.filter(|window| self.shortest.is_none_or(|shortest| *window < PAUSE_WINDOWS * shortest));
        let parts = [
            ("cpu", read.cpu_power),
            ("gpu", read.gpu_power),
            ("ane", read.ane_power),
            ("dram", read.ram_power),
            ("gpu_sram", read.gpu_ram_power),
            ("soc", read.all_power),
        ];
        let watts: BTreeMap<String, Option<f64>> =
            parts.into_iter().filter_map(|(domain, watts)| Some((domain.to_owned(), Some(watts?)))).collect();
        let sample = |kind, window_seconds, watts, label: Option<&str>| Sample {
            meter: "macmon",
            kind,
            logged,
            clock: Clock::Fine,
            window_seconds,
            at,
            watts,
            joules: None,
            unavailable: BTreeMap::new(),
            label: label.map(str::to_owned),
        };
        if watts.is_empty() && read.sys_power.is_none() {
            if !introduced {
                out.push(Item::Torn);
            }
            return;
        }
        if !watts.is_empty() {
            // Of the first line nobody knows how long its window was.
            let kind = if window.is_some() { PowerKind::Window } else { PowerKind::Instant };
            out.push(Item::Sample(sample(kind, window, watts, None)));
        }
        if let Some(system) = read.sys_power {
            let watts = BTreeMap::from([("system".to_owned(), Some(system))]);
            out.push(Item::Sample(sample(
                PowerKind::Instant,
                None,
                watts,
                Some("sys_power (PSTR of the system controller)"),
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Vec<Item> {
        let mut reader = Macmon::default();
        let mut items = Vec::new();
        for (line, second) in lines.iter().zip(1..) {
            reader.line(line, Stamp { mono_ns: second * 1_000_000_000, ts: 0.0 }, &mut items);
        }
        items
    }

    #[test]
    fn every_version_of_the_lines_is_read() {
        let old = r#"{"timestamp":"2026-02-06T10:00:00.250000+00:00","cpu_power":0.25,"gpu_power":0.5,"ane_power":0.0,"all_power":0.75,"sys_power":5.5,"ram_power":0.125,"gpu_ram_power":0.0,"ecpu_usage":[1181,0.08],"memory":{"ram_total":1},"temp":{"cpu_temp_avg":43.7}}"#;
        let new = r#"{"timestamp":"2026-02-06T10:00:01.350000+00:00","cpu_power":1.25,"gpu_power":0.5,"ane_power":0.0,"all_power":1.75,"sys_power":0.0,"temp":{"cpu_temp_avg":null},"cpu_tiers":[],"soc":{"mac_model":"Mac99,1"}}"#;
        let items = read(&[old, new]);
        let samples: Vec<&Sample> =
            items.iter().filter_map(|item| if let Item::Sample(sample) = item { Some(sample) } else { None }).collect();
        assert_eq!(samples.len(), 4);
        assert_eq!((samples[0].kind, samples[0].window_seconds), (PowerKind::Instant, None));
        assert_eq!((samples[0].watts["dram"], samples[0].watts["soc"]), (Some(0.125), Some(0.75)));
        assert_eq!(samples[2].kind, PowerKind::Window);
        assert!((samples[2].window_seconds.unwrap() - 1.1).abs() < 1e-6);
        assert_eq!((samples[1].kind, samples[1].watts["system"]), (PowerKind::Instant, Some(5.5)));
        assert!(items.iter().any(|item| matches!(item, Item::Machine(name) if name == "Mac99,1")));
    }

    #[test]
    fn a_pause_between_two_lines_is_no_window() {
        let line = |time: &str| format!(r#"{{"timestamp":"2026-02-06T{time}.000000+00:00","cpu_power":1.0}}"#);
        let lines = ["10:00:00", "10:00:01", "13:00:00", "13:00:01"].map(line);
        let kinds: Vec<PowerKind> = read(&lines.each_ref().map(String::as_str))
            .iter()
            .filter_map(|item| if let Item::Sample(sample) = item { Some(sample.kind) } else { None })
            .collect();
        assert_eq!(kinds, [PowerKind::Instant, PowerKind::Window, PowerKind::Instant, PowerKind::Window]);
    }

    #[test]
    fn what_is_no_reading_is_torn() {
        assert!(matches!(read(&["{\"cpu_power\":0.2"]).as_slice(), [Item::Torn]));
        assert!(matches!(read(&["{\"cpu_power\":\"much\"}"]).as_slice(), [Item::Torn]));
        assert!(matches!(read(&["{}"]).as_slice(), [Item::Torn]));
        assert!(read(&["", "  "]).is_empty());
    }
}
