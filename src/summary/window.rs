//! The steady part of a load: from the first to the last moment at which what was asked for was in flight.
//!
//! While a load ramps up and while its last requests drain, fewer requests are in flight than were asked for, and what is
//! got through then says little of the level. Closed loop: from when the level was first reached to when it was left for
//! the last time. Open loop: while requests are sent at the rate that was asked for and as many end as are sent, which is
//! from one median request after the end of the run's ramp to when the last one was sent. Where most are in flight is no
//! such part: more end just after it than were asked for.
//!
//! A part in which fewer than [`LEAST`] requests end, or which is shorter than [`REQUESTS`] median requests, is none: a rate
//! over it says more of where it was cut than of the load.
//!
//! Pure over starts and ends. It keeps [`FLIGHTS`] requests; of more it says that it did not look.

use crate::stats;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// How many requests are kept for it, 40 bytes each: enough for an hour at 130 requests a second.
pub const FLIGHTS: usize = 500_000;

/// Fewer requests that end inside it are no steady part; of a closed loop at least as many as are in flight at once.
pub const LEAST: u64 = 10;

/// A shorter time than so many median requests is no steady part.
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// So many requests at once.
    Closed(u64),
    /// So many requests a second, after a ramp of so many seconds.
    Open {
        /// The ramp, in seconds.
        ramp: f64,
    },
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
    /// Requests that ended inside.
    pub ended: u64,
    /// Those of them that did not fail.
    pub ok: u64,
    /// Those of them that kept every limit.
    pub good: u64,
    /// Output tokens, each request's taken to come evenly from its first token to its end.
    pub tokens: f64,
    /// Requests in flight, by time.
    pub flight_seconds: f64,
    /// Requests that were sent inside.
    pub sent: u64,
}

/// The steady part: from and to.
///
/// # Errors
/// When there is none; the words say why.
pub fn steady(flights: &[Flight], target: Target) -> Result<(f64, f64), String> {
    let first = flights.iter().map(|f| f.start).fold(f64::INFINITY, f64::min);
    let last = flights.iter().map(|f| f.start).fold(f64::NEG_INFINITY, f64::max);
    let lengths = stats::sorted(flights.iter().map(|f| f.end - f.start));
    let median = stats::quantile(&lengths, 0.5).unwrap_or(0.0);
    let (from, to) = match target {
        Target::Closed(n) => held(flights, n as f64)?,
        Target::Open { .. } if last <= first => return Err("it was sent all at once".into()),
        Target::Open { ramp } => (first + ramp + median, last),
    };
    if to <= from {
        let sent = last - first;
        return Err(format!("it was sent for {sent:.1} s, and its ramp and one request take {:.1} s", from - first));
    }
    let ended = flights.iter().filter(|f| from < f.end && f.end <= to).count() as u64;
    let least = if let Target::Closed(n) = target { LEAST.max(n) } else { LEAST };
    if ended < least {
        return Err(format!("{ended} requests ended while it held, of {least} that it takes"));
    }
    if to - from < REQUESTS * median {
        let (held, takes) = (to - from, REQUESTS * median);
        return Err(format!("it held for {held:.1} s, and three requests take {takes:.1} s"));
    }
    Ok((from, to))
}

/// From the first to the last moment at which so many were in flight.
fn held(flights: &[Flight], wanted: f64) -> Result<(f64, f64), String> {
    let mut moments: Vec<(f64, i32)> = flights.iter().flat_map(|f| [(f.start, 1), (f.end, -1)]).collect();
    // Of what happens at one moment the ends come first: a request that follows another does not fly with it.
    moments.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut now, mut most, mut from, mut to) = (0, 0, None, None);
    for (at, step) in moments {
        if f64::from(now) >= wanted {
            to = Some(at);
        }
        now += step;
        most = most.max(now);
        if f64::from(now) >= wanted && from.is_none() {
            from = Some(at);
        }
    }
    from.zip(to).ok_or_else(|| format!("at most {most} were in flight at once"))
}

fn overlap(start: f64, end: f64, from: f64, to: f64) -> f64 {
    (end.min(to) - start.max(from)).max(0.0)
}

/// What each group did inside a window of a stage, added to `tallies`.
fn count(flights: &[Flight], (from, to): (f64, f64), tallies: &mut HashMap<u32, Tally>) {
    let mut groups: HashMap<u32, Vec<&Flight>> = HashMap::new();
    flights.iter().for_each(|f| groups.entry(f.group).or_default().push(f));
    let (first, last) =
        flights.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), f| (a.min(f.start), b.max(f.end)));
    for (group, flights) in groups {
        let tally = tallies.entry(group).or_default();
        tally.seconds += to - from;
        tally.ramp_seconds += from - first;
        tally.tail_seconds += last - to;
        for f in flights {
            if from < f.end && f.end <= to {
                tally.ended += 1;
                tally.ok += u64::from(f.ok);
                tally.good += u64::from(f.good);
            }
            tally.flight_seconds += overlap(f.start, f.end, from, to);
            tally.tokens += f64::from(f.tokens)
                * if f.end > f.first {
                    overlap(f.first, f.end, from, to) / (f.end - f.first)
                } else {
                    f64::from(u8::from(from < f.end && f.end <= to))
                };
            tally.sent += u64::from(from < f.start && f.start <= to);
        }
    }
}

/// The requests of every stage (a run's model at a load, or its models where they share one), while they are few enough.
#[derive(Debug, Default)]
pub struct Stages {
    /// By run, model and level.
    places: BTreeMap<String, BTreeMap<String, BTreeMap<u64, usize>>>,
    stages: Vec<(Target, Vec<Flight>)>,
    kept: usize,
    lost: bool,
}

impl Stages {
    /// Keeps a request of a stage that has a target.
    pub fn add(&mut self, run: &str, model: &str, level: u64, target: Target, flight: Flight) {
        if self.lost {
            return;
        }
        if self.kept == FLIGHTS {
            *self = Self { lost: true, ..Self::default() };
            return;
        }
        self.kept += 1;
        let place = self.place(run, model, level).unwrap_or_else(|| {
            self.stages.push((target, Vec::new()));
            let models = self.places.entry(run.to_owned()).or_default();
            models.entry(model.to_owned()).or_default().insert(level, self.stages.len() - 1);
            self.stages.len() - 1
        });
        self.stages[place].1.push(flight);
    }

    fn place(&self, run: &str, model: &str, level: u64) -> Option<usize> {
        self.places.get(run)?.get(model)?.get(&level).copied()
    }

    /// Makes one stage of those of several models that shared a load: what was asked for is of all of them together.
    pub fn pool(&mut self, run: &str, models: &[String], level: u64) {
        let mut places = models.iter().filter_map(|m| self.place(run, m, level));
        let Some(first) = places.next() else { return };
        for place in places.filter(|place| *place != first).collect::<Vec<_>>() {
            let flights = std::mem::take(&mut self.stages[place].1);
            self.stages[first].1.extend(flights);
        }
    }

    /// What each group did in the steady part of its stages; or, where one of them has none, why.
    pub fn tallies(mut self, place: &[usize]) -> HashMap<usize, Result<Tally, String>> {
        let mut tallies: HashMap<u32, Tally> = HashMap::new();
        let mut without: HashMap<u32, String> = HashMap::new();
        for (target, flights) in &mut self.stages {
            for flight in flights.iter_mut() {
                flight.group = place.get(flight.group as usize).map_or(flight.group, |at| *at as u32);
            }
            match steady(flights, *target) {
                Ok(window) => count(flights, window, &mut tallies),
                Err(why) => {
                    flights.iter().for_each(|flight| drop(without.insert(flight.group, why.clone())));
                }
            }
        }
        let all = tallies.into_iter().map(|(group, tally)| (group, Ok(tally)));
        let all: HashMap<u32, Result<Tally, String>> =
            all.chain(without.into_iter().map(|(group, why)| (group, Err(why)))).collect();
        all.into_iter().map(|(group, tally)| (group as usize, tally)).collect()
    }

    /// Whether there were more requests than are kept.
    pub fn lost(&self) -> bool {
        self.lost
    }
}

/// What part of its load a group's throughput is of.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn is_zero(v: &f64) -> bool {
    *v == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(start: f64, end: f64) -> Flight {
        Flight { start, first: start, end, tokens: 10.0, group: 0, ok: true, good: true }
    }

    /// `n` workers that begin half a second apart and each do `each` requests of one second.
    fn closed(n: u32, each: u32) -> Vec<Flight> {
        let worker = |w: u32| (0..each).map(move |i| f64::from(w) * 0.5 + f64::from(i)).map(|at| flight(at, at + 1.0));
        (0..n).flat_map(worker).collect()
    }

    #[test]
    fn a_closed_loop_is_steady_while_its_level_is_in_flight() {
        let flights = closed(3, 10);
        assert_eq!(steady(&flights, Target::Closed(3)), Ok((1.0, 10.0)));
        let mut tallies = HashMap::new();
        count(&flights, (1.0, 10.0), &mut tallies);
        let tally = tallies[&0];
        assert_eq!((tally.seconds, tally.ramp_seconds, tally.tail_seconds), (9.0, 1.0, 1.0));
        assert_eq!((tally.flight_seconds / tally.seconds, tally.tokens), (3.0, 270.0));
        assert_eq!(tally.ended, 27);
    }

    #[test]
    fn a_level_that_is_never_reached_or_not_held_has_no_steady_part() {
        for (flights, level, why) in [
            (closed(3, 10), 4, "at most 3"),
            (closed(3, 3), 3, "of 10 that it takes"),
            (closed(1, 1), 2, "at most 1"),
            (Vec::new(), 2, "at most 0"),
        ] {
            let said = steady(&flights, Target::Closed(level)).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn an_open_loop_is_steady_from_a_request_after_its_ramp_to_its_last_send() {
        // Four a second, each of one second.
        let flights: Vec<Flight> = (0..40).map(|i| f64::from(i) * 0.25).map(|at| flight(at, at + 1.0)).collect();
        let (from, to) = steady(&flights, Target::Open { ramp: 0.0 }).unwrap();
        assert!((from, to) == (1.0, 9.75), "{from} {to}");
        assert_eq!(steady(&flights, Target::Open { ramp: 5.0 }), Ok((6.0, 9.75)));
        assert!(steady(&flights[..1], Target::Open { ramp: 0.0 }).is_err());
        let mut tallies = HashMap::new();
        count(&flights, (from, to), &mut tallies);
        let tally = tallies[&0];
        assert_eq!((tally.sent, tally.ended), (35, 35));
    }

    #[test]
    fn a_short_load_of_a_rate_has_no_steady_part_and_none_begins_where_most_are_in_flight() {
        // Four a second after a ramp of a second, as a server answers that hands out two at a time.
        let flights: Vec<Flight> =
            (0..12).map(|i| f64::from(i) * 0.25).map(|at| flight(at, (at + 1.0).max(1.75))).collect();
        for (ramp, why) in [(0.0, "of 10 that it takes"), (1.0, "of 10 that it takes"), (2.5, "it was sent for 2.8 s")]
        {
            let said = steady(&flights, Target::Open { ramp }).unwrap_err();
            assert!(said.contains(why), "{ramp}: {said}");
        }
        // Many, and yet no longer than a few of them take.
        let flights: Vec<Flight> = (0..400).map(|i| f64::from(i) * 0.01).map(|at| flight(at, at + 1.2)).collect();
        let said = steady(&flights, Target::Open { ramp: 0.0 }).unwrap_err();
        assert!(said.contains("it held for 2.8 s, and three requests take 3.6 s"), "{said}");
    }

    #[test]
    fn a_burst_of_a_closed_loop_is_no_rate() {
        // Four workers begin within a millisecond and do twelve requests of a second each.
        let worker = |w: u32| (0..12).map(move |i| f64::from(w) * 3e-4 + f64::from(i)).map(|at| flight(at, at + 1.0));
        let flights: Vec<Flight> = (0..4).flat_map(worker).collect();
        let (from, to) = steady(&flights, Target::Closed(4)).unwrap();
        let mut tallies = HashMap::new();
        count(&flights, (from, to), &mut tallies);
        let rate = tallies[&0].sent as f64 / tallies[&0].seconds;
        assert!((rate - 4.0).abs() < 0.5, "{rate}");
    }

    #[test]
    fn models_that_share_a_load_have_one_steady_part() {
        let mut stages = Stages::default();
        for (at, flight) in closed(4, 10).into_iter().enumerate() {
            let group = u32::from(at % 2 == 1);
            let model = ["a", "b"][group as usize];
            stages.add("r", model, 4, Target::Closed(4), Flight { group, ..flight });
        }
        let models = ["a", "b", "never asked"].map(str::to_owned);
        stages.pool("r", &models, 4);
        stages.pool("another", &models, 4);
        let tallies = stages.tallies(&[0, 1]);
        let flying: f64 =
            tallies.values().map(|tally| tally.as_ref().unwrap()).map(|t| t.flight_seconds / t.seconds).sum();
        assert!((flying - 4.0).abs() < 1e-9, "{flying}");
    }

    #[test]
    fn more_requests_than_are_kept_are_not_looked_at() {
        let mut stages = Stages::default();
        for _ in 0..=FLIGHTS {
            stages.add("r", "m", 2, Target::Closed(2), flight(0.0, 1.0));
        }
        assert!(stages.lost() && stages.tallies(&[0]).is_empty());
    }
}
