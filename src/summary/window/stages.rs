//! The requests of every load, kept until their steady parts can be looked for.
//!
//! It keeps [`FLIGHTS`] of them; of more it says that it did not look.

use super::{Flight, Tally, Target, count, steady};
use std::collections::{BTreeMap, HashMap};

/// How many requests are kept for it, 40 bytes each: enough for an hour at 130 requests a second.
pub const FLIGHTS: usize = 500_000;

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
                Ok(window) => count(flights, *target, window, &mut tallies),
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

#[cfg(test)]
mod tests {
    use super::super::tests::{closed, flight};
    use super::*;

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
