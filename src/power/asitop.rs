//! `asitop_csv_logger`'s CSV: powermetrics, averaged over an interval that was meant.
//!
//! The columns are found by name. A time is UTC without a zone, cut to the second. The watts are the window's energy over
//! the *nominal* interval, so that watts × nominal interval is the energy; the real window is some percent longer.

use super::feed::{Clock, Item, Sample};
use super::table::Columns;
use crate::clock::Stamp;
use crate::record::PowerKind;
use std::collections::BTreeMap;
use std::time::Duration;

const DOMAINS: [(&str, &str); 4] =
    [("cpu", "CPU Power (W)"), ("gpu", "GPU Power (W)"), ("ane", "ANE Power (W)"), ("soc", "Package Power (W)")];

/// The state of reading one file, line by line.
#[derive(Debug)]
pub struct Asitop {
    nominal: f64,
    columns: Option<Columns>,
}

impl Asitop {
    /// A file written with this interval.
    pub fn new(nominal: Duration) -> Self {
        Self { nominal: nominal.as_secs_f64(), columns: None }
    }

    /// Whether a text that begins like this is one of these.
    pub fn begins(line: &str) -> bool {
        Columns::of(line).has("CPU Power (W)")
    }

    /// Reads one line that arrived at `at`.
    pub fn line(&mut self, line: &str, at: Stamp, out: &mut Vec<Item>) {
        if line.trim().is_empty() {
            return;
        }
        let Some(columns) = self.columns.as_ref().filter(|_| !Self::begins(line)) else {
            self.columns = Some(Columns::of(line));
            return;
        };
        let row = columns.row(line);
        let date = row.get("timestamp").and_then(|text| text.parse::<jiff::civil::DateTime>().ok());
        let ended = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok()).map(|at| at.timestamp());
        let values: Option<Vec<f64>> = DOMAINS.iter().map(|(_, name)| row.get(name)?.parse().ok()).collect();
        // The thermal pressure is the last column: without it the row was still being written.
        let (Some(ended), Some(values), true) = (ended, values, row.is_whole()) else {
            out.push(Item::Torn);
            return;
        };
        out.push(Item::Sample(Sample {
            meter: "asitop",
            kind: PowerKind::Window,
            // The middle of the second that it names.
            logged: Some(ended.as_second() as f64 + 0.5),
            clock: Clock::Loose,
            window_seconds: Some(self.nominal),
            at,
            watts: DOMAINS.iter().zip(values).map(|((domain, _), watts)| ((*domain).to_owned(), Some(watts))).collect(),
            joules: None,
            unavailable: BTreeMap::new(),
            label: Some("Package Power (W)".into()),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_an_unfinished_row_is_torn() {
        let mut reader = Asitop::new(Duration::from_secs(1));
        let mut items = Vec::new();
        for line in [
            "timestamp,GPU Usage (%),Package Power (W),ANE Power (W),GPU Power (W),CPU Power (W),Thermal Pressure",
            "2026-02-06 10:00:00,50,3.5,0.0,2.5,1.0,Nominal",
            "2026-02-06 10:00:01,50,much,0.0,2.5,1.0,Nominal",
            "2026-02-06 10:00:02,50,3.5,0.0,2.",
        ] {
            reader.line(line, Stamp { mono_ns: 0, ts: 0.0 }, &mut items);
        }
        let [Item::Sample(sample), Item::Torn, Item::Torn] = items.as_slice() else { panic!("{items:?}") };
        assert_eq!((sample.watts["cpu"], sample.watts["soc"]), (Some(1.0), Some(3.5)));
        assert_eq!(sample.logged, Some(1_770_372_000.5));
    }
}
