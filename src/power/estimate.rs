//! `estimate`: the share of the processors' time that is used, times what the processor draws at most. No meter at all,
//! and so only on request, and marked as estimated in every record.
//!
//! It knows nothing of frequency, idle states, memory or graphics; a machine at rest reads near 0 W, which no machine
//! draws. Good for telling a busy machine from a quiet one where nothing better is to be had.

use super::honest::refuse;
use super::reading;
use crate::clock::Stamp;
use crate::record::{Power, PowerKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The guess and what it rests on.
pub struct Estimate {
    file: PathBuf,
    watts: f64,
    last: Option<Times>,
    seen_ns: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    all: u64,
    idle: u64,
}

impl Estimate {
    /// A guess from `stat` under `proc`, for a processor of `watts`.
    ///
    /// # Errors
    /// When this system does not tell how busy it is.
    pub fn open(proc: &Path, watts: f64) -> Result<Self, String> {
        let file = proc.join("stat");
        let text =
            fs::read_to_string(&file).map_err(|why| format!("{}: {why}: only Linux is estimated", file.display()))?;
        times(&text).ok_or_else(|| format!("{}: no line of the processors", file.display()))?;
        Ok(Self { file, watts, last: None, seen_ns: None })
    }

    /// The guess for the time since the one before; none the first time.
    pub fn read(&mut self, at: Stamp) -> Option<Power> {
        let now = fs::read_to_string(&self.file)
            .map_err(|why| format!("{}: {why}", self.file.display()))
            .and_then(|text| times(&text).ok_or_else(|| format!("{}: no line of the processors", self.file.display())));
        let then = std::mem::replace(&mut self.last, now.as_ref().ok().copied());
        let window = super::since(&mut self.seen_ns, at.mono_ns)?;
        let mut power = reading("estimate", PowerKind::Window, at.ts, Some(at.mono()));
        power.estimated = true;
        power.window_seconds = Some(window);
        power.joules = Some(BTreeMap::new());
        let share = now.and_then(|now| {
            let then = then.ok_or("nothing to compare with: it could not be read before")?;
            busy(then, now).ok_or_else(|| "the processors' time does not move".to_owned())
        });
        match share {
            Ok(share) => {
                let watts = super::milliwatts(share * self.watts);
                power.watts.insert("cpu".into(), Some(watts));
                power.joules = Some(BTreeMap::from([("cpu".to_owned(), Some(super::microjoules(watts * window)))]));
            }
            Err(why) => refuse(&mut power, "cpu", &why),
        }
        Some(power)
    }
}

/// The share of time between two readings that was not idle.
fn busy(then: Times, now: Times) -> Option<f64> {
    let all = now.all.checked_sub(then.all).filter(|all| *all > 0)?;
    // Idle time is known to go back on some kernels.
    let idle = now.idle.saturating_sub(then.idle).min(all);
    Some(1.0 - idle as f64 / all as f64)
}

/// The first line of `/proc/stat`: user nice system idle iowait irq softirq steal, and guests, which user holds already.
fn times(text: &str) -> Option<Times> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    (fields.len() >= 4).then(|| Times { all: fields.iter().sum(), idle: fields[3] + fields.get(4).unwrap_or(&0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_busy_is_half_the_watts_and_marked_as_a_guess() {
        let proc = tempfile::tempdir().unwrap();
        let write = |line: &str| fs::write(proc.path().join("stat"), format!("{line}\ncpu0 1 1 1 1\n")).unwrap();
        write("cpu  100 0 0 100 0 0 0 0 50 0");
        let mut meter = Estimate::open(proc.path(), 65.0).unwrap();
        let at = |second: u64| Stamp { mono_ns: second * 1_000_000_000, ts: 0.0 };
        assert!(meter.read(at(1)).is_none());
        write("cpu  130 0 20 140 10 0 0 0 99 0");
        let power = meter.read(at(3)).unwrap();
        assert_eq!((power.watts["cpu"], power.window_seconds, power.estimated), (Some(32.5), Some(2.0), true));
        assert_eq!(power.joules.unwrap()["cpu"], Some(65.0));
    }

    #[test]
    fn a_reading_that_fails_is_null_with_its_reason() {
        let proc = tempfile::tempdir().unwrap();
        let write = |line: &str| fs::write(proc.path().join("stat"), line).unwrap();
        write("cpu  100 0 0 100");
        let mut meter = Estimate::open(proc.path(), 65.0).unwrap();
        let at = |second: u64| Stamp { mono_ns: second * 1_000_000_000, ts: 0.0 };
        assert!(meter.read(at(1)).is_none());
        let mut said = Vec::new();
        for (line, second) in [("cpu  100 0 0 100", 2), ("gone", 3), ("cpu 200 0 0 200", 4), ("cpu 210 0 0 210", 5)] {
            write(line);
            let power = meter.read(at(second)).unwrap();
            assert_eq!(power.unavailable.is_some(), power.watts["cpu"].is_none());
            said.push(power.watts["cpu"]);
        }
        assert_eq!(said, [None, None, None, Some(32.5)]);
    }

    #[test]
    fn what_is_no_stat_is_refused() {
        let proc = tempfile::tempdir().unwrap();
        assert!(Estimate::open(proc.path(), 65.0).is_err());
        fs::write(proc.path().join("stat"), "cpu  1 2\n").unwrap();
        assert!(Estimate::open(proc.path(), 65.0).is_err());
        assert_eq!(busy(Times { all: 5, idle: 5 }, Times { all: 5, idle: 5 }), None);
    }
}
