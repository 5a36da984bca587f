//! `nvidia-smi --query-gpu=… --format=csv`: one line per card and reading.
//!
//! The time is local, without a zone. What a card does not tell is `[N/A]` or `[Not Supported]`. The power is that of the
//! moment where the driver tells it, else `power.draw`, which newer cards average over a second. The format is, by its
//! maker's word, not promised to stay: prefer `nvml`.

use super::child::answer;
use super::feed::{Clock, Item, Sample};
use super::table::Columns;
use crate::clock::Stamp;
use crate::record::PowerKind;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

const POWERS: [&str; 6] = [
    "power.draw.instant [W]",
    "power.draw [W]",
    "power.draw.average [W]",
    "power.draw.instant",
    "power.draw",
    "power.draw.average",
];

/// The command that writes it.
pub fn command(interval: Duration) -> Command {
    let mut command = Command::new("nvidia-smi");
    command.args(["--query-gpu=timestamp,index,power.draw", "--format=csv", "-lms"]);
    command.arg(interval.as_millis().to_string());
    command
}

/// Whether there is one, and a card that it finds.
pub fn answers() -> bool {
    let mut command = Command::new("nvidia-smi");
    command.arg("-L");
    answer(&command).is_some_and(|said| said.starts_with("GPU "))
}

/// The state of reading one table, line by line.
#[derive(Debug, Default)]
pub struct Smi {
    columns: Option<Columns>,
    /// Cards of a table without their numbers, in the order in which they came.
    cards: Vec<String>,
}

impl Smi {
    /// Whether a text that begins like this is one of these.
    pub fn begins(line: &str) -> bool {
        let columns = Columns::of(line);
        POWERS.iter().any(|name| columns.has(name))
    }

    /// Reads one line that arrived at `at`.
    pub fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        if line.trim().is_empty() {
            return;
        }
        if Self::begins(line) {
            self.columns = Some(Columns::of(line));
            return;
        }
        let row = self.columns.as_ref().map(|columns| columns.row(line)).filter(super::table::Row::is_whole);
        let Some((row, (_, text))) = row.as_ref().and_then(|row| {
            // The first that is a number; where none is, the first.
            let number =
                POWERS.iter().find_map(|name| Some((*name, row.get(name).filter(|text| watts(text).is_some())?)));
            Some((row, number.or_else(|| row.first_of(&POWERS))?))
        }) else {
            // What it says instead of a table: that it found no driver, or no card.
            if line.contains("NVIDIA-SMI has failed") || line.contains("No devices were found") {
                out.push(Item::Refused(format!("nvidia-smi: {}", line.trim())));
            } else {
                out.push(Item::Torn);
            }
            return;
        };
        let card = row.first_of(&["uuid", "gpu_uuid", "pci.bus_id", "gpu_bus_id"]).map(|(_, card)| card.to_owned());
        let index = match (row.get("index").and_then(|index| index.parse::<u32>().ok()), card) {
            (Some(index), _) => index as usize,
            (None, None) => 0,
            (None, Some(card)) => self.cards.iter().position(|known| *known == card).unwrap_or_else(|| {
                self.cards.push(card);
                self.cards.len() - 1
            }),
        };
        let domain = format!("gpu{index}");
        let mut unavailable = BTreeMap::new();
        let watts = watts(text);
        if watts.is_none() {
            unavailable.insert(domain.clone(), format!("nvidia-smi says {text}"));
        }
        out.push(Item::Sample(Sample {
            meter: "nvidia-smi",
            kind: PowerKind::Instant,
            logged: row.get("timestamp").and_then(time),
            clock: Clock::Fine,
            window_seconds: None,
            at,
            watts: BTreeMap::from([(domain, watts)]),
            joules: None,
            unavailable,
            label: None,
        }));
    }
}

/// `412.53 W`, or without its unit.
fn watts(text: &str) -> Option<f64> {
    text.trim_end_matches('W').trim_end().parse().ok().filter(|watts: &f64| watts.is_finite())
}

/// `2026/03/01 00:00:00.000`, in this machine's zone.
fn time(text: &str) -> Option<f64> {
    let date: DateTime = text.replace('/', "-").parse().ok()?;
    let at = date.to_zoned(TimeZone::system()).ok()?.timestamp();
    Some(at.as_microsecond() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Item> {
        let mut reader = Smi::default();
        let mut items = Vec::new();
        text.lines().for_each(|line| reader.line(line, Stamp { mono_ns: 0, ts: 0.0 }, &mut items));
        items
    }

    #[test]
    fn cards_are_told_apart_and_what_they_do_not_tell_is_unavailable() {
        let items = read(
            "timestamp, index, power.draw [W], temperature.gpu\n\
             2026/03/01 00:00:00.000, 0, 412.53 W, 65\n\
             2026/03/01 00:00:00.001, 1, [N/A], 65\n\
             2026/03/01 00:00:00.001, 2, 87.5, 65\n\
             2026/03/01 00:00:01.0",
        );
        let [Item::Sample(first), Item::Sample(second), Item::Sample(third), Item::Torn] = items.as_slice() else {
            panic!("{items:?}")
        };
        assert_eq!((first.watts["gpu0"], second.watts["gpu1"], third.watts["gpu2"]), (Some(412.53), None, Some(87.5)));
        assert!(second.unavailable["gpu1"].contains("[N/A]"));
        assert!((second.logged.unwrap() - first.logged.unwrap() - 0.001).abs() < 1e-6);
    }

    #[test]
    fn the_power_of_the_moment_goes_before_the_mean() {
        let items = read("index, power.draw [W], power.draw.instant [W]\n0, 100.00 W, 300.00 W\n");
        assert!(matches!(items.as_slice(), [Item::Sample(sample)] if sample.watts["gpu0"] == Some(300.0)));
    }

    #[test]
    fn what_one_column_does_not_tell_another_may_and_cards_without_a_number_are_told_apart() {
        let items = read(
            "uuid, power.draw.instant [W], power.draw [W]\n\
             GPU-b, [N/A], 70.00 W\nGPU-a, [N/A], [N/A]\nGPU-b, 71.00 W, 99.00 W\n",
        );
        let [Item::Sample(first), Item::Sample(second), Item::Sample(third)] = items.as_slice() else {
            panic!("{items:?}")
        };
        assert_eq!((first.watts["gpu0"], second.watts["gpu1"], third.watts["gpu0"]), (Some(70.0), None, Some(71.0)));
    }

    #[test]
    fn a_machine_without_a_driver_says_so() {
        let text = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.";
        assert!(matches!(read(text).as_slice(), [Item::Refused(why)] if why.contains("driver")));
    }
}
