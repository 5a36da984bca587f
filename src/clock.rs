//! Stamps: when something happened, on the wall and on the host's monotonic clock.
//!
//! The monotonic clock is the system's (`CLOCK_MONOTONIC`), not a private `Instant`: it is the same for every process of
//! one boot, so that a sampler's stamp and a runner's can be compared to the microsecond even when the wall clock steps.
//! Wall time is for people and for joining across boots. This module measures nothing and sleeps for nobody.

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds of the host's monotonic clock: cheap enough to take after every read.
pub fn mono_ns() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stamp {
    /// Nanoseconds of the monotonic clock.
    pub mono_ns: u64,
    /// Unix seconds, to the microsecond.
    pub ts: f64,
}

impl Stamp {
    /// Now.
    pub fn now() -> Self {
        let mono_ns = mono_ns();
        Self { mono_ns, ts: wall() }
    }

    /// Seconds of the monotonic clock, to the microsecond, as records carry them.
    pub fn mono(&self) -> f64 {
        micros(self.mono_ns as f64 / 1e9)
    }

    /// The same moment, later by `seconds`.
    pub fn after(&self, seconds: f64) -> Self {
        Self { mono_ns: self.mono_ns.saturating_add_signed((seconds * 1e9) as i64), ts: micros(self.ts + seconds) }
    }
}

/// Unix seconds, to the microsecond.
pub fn wall() -> f64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64()))
}

/// The processor time this process has used, in seconds: what a sampler costs.
pub fn cpu_seconds() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    micros(t.tv_sec as f64 + t.tv_nsec as f64 / 1e9)
}

/// Seconds between two monotonic stamps; negative when `to` is the earlier.
pub fn between(from_ns: u64, to_ns: u64) -> f64 {
    (to_ns as i64 - from_ns as i64) as f64 / 1e9
}

/// Rounds seconds to the microsecond, which a double holds for every date of this era.
pub fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// The id of this boot: two stamps of the monotonic clock may be compared when theirs are equal. `None` where the
/// system does not tell.
pub fn boot_id() -> Option<String> {
    #[cfg(target_os = "linux")]
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    #[cfg(target_os = "macos")]
    let id = std::process::Command::new("/usr/sbin/sysctl")
        .args(["-n", "kern.bootsessionuuid"])
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    let id: Option<String> = None;
    id.map(|id| id.trim().to_ascii_lowercase()).filter(|id| !id.is_empty())
}

/// RFC 3339 in UTC, to the millisecond; `None` for a time that no calendar has.
pub fn rfc3339(ts: f64) -> Option<String> {
    let at = Timestamp::from_microsecond((ts * 1e6).round() as i64).ok()?;
    Some(format!("{at:.3}"))
}

/// The Unix seconds of an RFC 3339 date; `None` for anything else.
pub fn of_rfc3339(text: &str) -> Option<f64> {
    text.trim().parse::<Timestamp>().ok().map(|at| at.as_microsecond() as f64 / 1e6)
}

/// `YYYYMMDD-HHMMSS` in local time, for the names of runs and folders.
pub fn name_of(ts: f64) -> String {
    Timestamp::from_microsecond((ts * 1e6) as i64)
        .map(|at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y%m%d-%H%M%S").to_string())
        .unwrap_or_else(|_| "undated".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let mut last = mono_ns();
        for _ in 0..1000 {
            let now = mono_ns();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_date_is_written_for_people() {
        assert_eq!(rfc3339(1_795_278_202.5).as_deref(), Some("2026-11-21T16:23:22.500Z"));
        assert_eq!(rfc3339(f64::MAX), None);
        assert_eq!(of_rfc3339("2026-11-21T17:23:22.500+01:00"), Some(1_795_278_202.5));
        assert_eq!(of_rfc3339("2026-11-21"), None);
    }

    #[test]
    fn a_difference_has_a_sign() {
        assert_eq!(between(2_000_000_000, 500_000_000), -1.5);
        assert_eq!(Stamp { mono_ns: 5_000_000_000, ts: 10.0 }.after(-1.5).mono(), 3.5);
    }
}
