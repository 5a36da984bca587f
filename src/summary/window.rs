//! The steady part of a load: from the first to the last moment at which what was asked for was in flight.
//!
//! While a load ramps up and while its last requests drain, fewer requests are in flight than were asked for, and what is
//! got through then says little of the level. Closed loop: from one median request after the level was first reached (the
//! first find no queue) to when it was left for the last time. Open loop: while requests are sent at the rate that was asked for and as many end as are sent, which is
//! from the first that was sent one median request or more after the first that counts to the last one that was sent. Where
//! most are in flight is no such part: more end just after it than were asked for.
//!
//! Answers may come in waves, and where such a part is cut says nothing of them: a request that lies in it in part counts in
//! part ([`Target::share`]), with its tokens. What was sent in an open loop is counted from send to send.
//!
//! A part in which too few requests were sent or ended ([`LEAST`], [`ARRIVALS`]), or which is shorter than [`REQUESTS`] median
//! requests, is none: a rate over it says more of where it was cut than of the load.
//!
//! Pure over starts and ends.

mod stages;

pub use stages::{FLIGHTS, Stages};

use crate::stats;
use serde::Serialize;
use serde_with::skip_serializing_none;
use std::collections::HashMap;

/// Fewer requests that end inside it are no steady part; of a closed loop at least as many as are in flight at once. What it
/// got through is as sure as the mean time of so many requests: where that varies by half, to 16 %.
pub const LEAST: u64 = 10;

/// Of an open loop, fewer that were sent, or that ended, inside it are no steady part: what comes by chance, *n* times, comes
/// about as often next time, give or take √*n* (Poisson), which of 25 is a fifth.
pub const ARRIVALS: u64 = 25;

/// What holds for a shorter time than so many median requests has no steady part.
pub const REQUESTS: f64 = 3.0;

/// What part of a load its throughput, rates and concurrency are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Window {
    /// The steady part of rates and of levels above one, where there is one; else the whole.
    #[default]
    Steady,
    /// From the first start to the last end.
    All,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// So many requests at once.
    Closed(u64),
    /// So many requests a second.
    Open,
}

impl Target {
    /// The part of a request that lies in a window, 0 to 1.
    ///
    /// Of a closed loop, the part of its time: while the level holds, each place in it is as far as the time says, in the
    /// queue or not. Of an open loop, of its time from the first token to the end: what waits there for its turn may come
    /// to it long after.
    pub fn share(self, f: &Flight, (from, to): (f64, f64)) -> f64 {
        let begin = match self {
            Self::Closed(_) => f.start,
            Self::Open => f.first,
        };
        if f.end > begin {
            overlap(begin, f.end, from, to) / (f.end - begin)
        } else {
            f64::from(u8::from(from < f.end && f.end <= to))
        }
    }
}

/// A request in flight.
#[derive(Debug, Clone, Copy)]
pub struct Flight {
    /// When it was sent: Unix seconds.
    pub start: f64,
    /// When its first token came; its end where none did.
    pub first: f64,
    /// When it ended.
    pub end: f64,
    /// Its output tokens, where it did not fail.
    pub tokens: f32,
    /// The index of its group.
    pub group: u32,
    /// Whether it did not fail.
    pub ok: bool,
    /// Whether it kept every limit.
    pub good: bool,
    /// Whether it was sent to warm the server or while the load rose: no part begins before one that was not, and in a
    /// part that is told it is load like the others.
    pub warmup: bool,
}

/// What a group did inside windows, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// How long the windows are.
    pub seconds: f64,
    /// How long was left out before them.
    pub ramp_seconds: f64,
    /// How long was left out after them.
    pub tail_seconds: f64,
    /// How many requests ended inside.
    pub ended: u64,
    /// Requests that were inside, by their shares.
    pub shares: f64,
    /// Those of them that did not fail.
    pub ok: f64,
    /// Those of them that kept every limit.
    pub good: f64,
    /// Output tokens, by the same shares.
    pub tokens: f64,
    /// Requests in flight, by time.
    pub flight_seconds: f64,
    /// Requests that were sent, less those that the counting begins with.
    pub sent: f64,
    /// In how long they were sent.
    pub sent_seconds: f64,
}

impl Tally {
    /// Counts what of a request lies in a window.
    pub fn add(&mut self, f: &Flight, target: Target, (from, to): (f64, f64)) {
        let share = target.share(f, (from, to));
        self.ended += u64::from(from < f.end && f.end <= to);
        self.shares += share;
        self.ok += if f.ok { share } else { 0.0 };
        self.good += if f.good { share } else { 0.0 };
        self.tokens += f64::from(f.tokens) * share;
        self.flight_seconds += overlap(f.start, f.end, from, to);
    }
}

/// When the requests that count were sent: the first and the last.
fn sending(flights: &[Flight]) -> (f64, f64) {
    let starts = flights.iter().filter(|f| !f.warmup).map(|f| f.start);
    starts.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), at| (a.min(at), b.max(at)))
}

/// The steady part: from and to.
///
/// # Errors
/// When there is none; the words say why.
pub fn steady(flights: &[Flight], target: Target) -> Result<(f64, f64), String> {
    let (first, last) = sending(flights);
    let lengths = stats::sorted(flights.iter().filter(|f| !f.warmup).map(|f| f.end - f.start));
    let median = stats::quantile(&lengths, 0.5).unwrap_or(0.0);
    let (reached, from, to) = match target {
        // The first requests of a level all find a server with nothing to do, or one that is full.
        Target::Closed(n) => held(flights, n as f64, first).map(|(from, to)| (from, from + median, to))?,
        Target::Open if last <= first => return Err("it was sent all at once".into()),
        Target::Open => {
            let begun = flights.iter().map(|f| f.start).filter(|start| *start >= first + median);
            let from = begun.fold(f64::INFINITY, f64::min);
            (from, from, last)
        }
    };
    let inside = |at: f64| from < at && at <= to;
    let ended = flights.iter().filter(|f| inside(f.end)).count() as u64;
    let requests = |n: u64| format!("{n} request{}", if n == 1 { "" } else { "s" });
    match target {
        Target::Closed(n) if ended < LEAST.max(n) => {
            return Err(format!("{} ended while it held, of {} that it takes", requests(ended), LEAST.max(n)));
        }
        Target::Open if to <= from => {
            return Err(format!("it was sent for {:.1} s, and one request takes {median:.1} s", last - first));
        }
        Target::Open => {
            let sent = flights.iter().filter(|f| inside(f.start)).count() as u64;
            if sent.min(ended) < ARRIVALS {
                let said = requests(sent);
                return Err(format!("{said} came and {ended} ended while it held, of {ARRIVALS} that it takes"));
            }
        }
        Target::Closed(_) => {}
    }
    if to - reached < REQUESTS * median {
        let (held, takes) = (to - reached, REQUESTS * median);
        return Err(format!("it held for {held:.1} s, and three requests take {takes:.1} s"));
    }
    Ok((from, to))
}

/// From the first moment, not before `begin`, to the last at which so many were in flight.
fn held(flights: &[Flight], wanted: f64, begin: f64) -> Result<(f64, f64), String> {
    let mut moments: Vec<(f64, i32)> = flights.iter().flat_map(|f| [(f.start, 1), (f.end, -1)]).collect();
    // Of what happens at one moment the ends come first: a request that follows another does not fly with it.
    moments.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut now, mut most, mut from, mut to) = (0, 0, None, None);
    for (at, step) in moments {
        if f64::from(now) >= wanted && at >= begin {
            to = Some(at);
        }
        now += step;
        if at < begin {
            continue;
        }
        most = most.max(now);
        if f64::from(now) >= wanted && from.is_none() {
            from = Some(at);
        }
    }
    from.zip(to).ok_or_else(|| format!("at most {most} {} in flight at once", if most == 1 { "was" } else { "were" }))
}

fn overlap(start: f64, end: f64, from: f64, to: f64) -> f64 {
    (end.min(to) - start.max(from)).max(0.0)
}

/// What each group did inside a window of a stage, added to `tallies`.
fn count(flights: &[Flight], target: Target, (from, to): (f64, f64), tallies: &mut HashMap<u32, Tally>) {
    let mut groups: HashMap<u32, Vec<&Flight>> = HashMap::new();
    flights.iter().for_each(|f| groups.entry(f.group).or_default().push(f));
    let first = sending(flights).0;
    let last = flights.iter().map(|f| f.end).fold(f64::NEG_INFINITY, f64::max);
    for (group, flights) in groups {
        let tally = tallies.entry(group).or_default();
        tally.seconds += to - from;
        tally.ramp_seconds += from - first;
        tally.tail_seconds += last - to;
        tally.sent_seconds += to - from;
        let before = tally.shares;
        flights.iter().for_each(|f| tally.add(f, target, (from, to)));
        tally.sent += match target {
            // One is sent when another has ended.
            Target::Closed(_) => tally.shares - before,
            Target::Open => flights.iter().filter(|f| from < f.start && f.start <= to).count() as f64,
        };
    }
}

/// What part of its load a group's throughput is of.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// Whether it is the steady part.
    pub steady: bool,
    /// What was left out before it, in seconds, summed over runs.
    #[serde(skip_serializing_if = "is_zero")]
    pub ramp_seconds: f64,
    /// What was left out after it.
    #[serde(skip_serializing_if = "is_zero")]
    pub tail_seconds: f64,
    /// Why it is the whole, where a steady part was looked for.
    pub reason: Option<String>,
}

fn is_zero(v: &f64) -> bool {
    *v == 0.0
}

#[cfg(test)]
mod tests;
