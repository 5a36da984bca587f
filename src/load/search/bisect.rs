//! Finds the highest load that passes: doubles it until one fails, then bisects. Pure: takes the verdict
//! on a load and names the next one.

use crate::load::arrivals::Arrival;
use crate::load::level::Level;
use crate::load::slo::Slos;
use crate::record::{Outcome, SearchOutcome, SearchOver};

/// A search for the highest load that passes.
#[derive(Debug, Clone)]
pub struct Search {
    /// The SLOs it has to pass.
    pub slos: Slos,
    /// The kind of load.
    pub over: SearchOver,
    /// The lowest load.
    pub minimum: f64,
    /// The highest load.
    pub maximum: f64,
    /// The gap between the highest passing and the lowest failing load, as a share of the former.
    pub tolerance: f64,
    /// The spacing of arrivals, of a rate.
    pub arrival: Arrival,
    /// The most concurrent requests, of a rate.
    pub at_most: u64,
    /// Good results of the run that this one resumes.
    pub earlier: Vec<Outcome>,
}

impl Search {
    /// A load as a level.
    pub fn level(&self, load: f64) -> Level {
        match self.over {
            SearchOver::Concurrency => Level::Closed { concurrency: load as u64 },
            SearchOver::Rate => Level::Open { rate: load, arrival: self.arrival, at_most: self.at_most },
        }
    }

    /// The bracket before the first load.
    pub fn bracket(&self) -> Bracket {
        Bracket {
            minimum: self.minimum,
            maximum: self.maximum,
            tolerance: self.tolerance,
            whole: self.over == SearchOver::Concurrency,
            low: None,
            high: None,
        }
    }

    /// A load, for people.
    pub fn describe(&self, load: f64) -> String {
        match self.over {
            SearchOver::Concurrency => format!("{load} at once"),
            SearchOver::Rate => format!("{load}/s"),
        }
    }

    /// The loads that may be tried, for people, and the most points.
    pub fn plan(&self) -> String {
        let mut bracket = self.bracket();
        let mut steps: Vec<String> = Vec::new();
        // The longest way: every load passes until the last, and then none does.
        while let Next::Try(load) = bracket.next() {
            bracket.add(load, load < self.maximum);
            steps.push(load.to_string());
            if load >= self.maximum {
                break;
            }
        }
        let doubling = steps.len();
        let mut most = doubling;
        while let Next::Try(load) = bracket.next() {
            bracket.add(load, false);
            most += 1;
        }
        let shown =
            if steps.len() > 9 { [&steps[..4], &["…".into()], &steps[doubling - 2..]].concat() } else { steps };
        let unit = if self.over == SearchOver::Rate { "requests/s" } else { "at once" };
        format!(
            "{}: would try {} {unit} until one fails, then halve what is between, until it is within {}%: at most \
             {most} points per model",
            self.slos,
            shown.join(", "),
            self.tolerance * 100.0
        )
    }
}

/// The loads between which the answer lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bracket {
    minimum: f64,
    maximum: f64,
    tolerance: f64,
    /// Whether loads are whole numbers.
    whole: bool,
    /// The highest that passed.
    pub low: Option<f64>,
    /// The lowest that failed.
    pub high: Option<f64>,
}

/// The next step of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Try this load.
    Try(f64),
    /// The search is over.
    Over(SearchOutcome),
}

impl Bracket {
    /// The next step.
    pub fn next(&self) -> Next {
        match (self.low, self.high) {
            (None, None) => Next::Try(self.minimum),
            (None, Some(_)) => Next::Over(SearchOutcome::NonePassed),
            (Some(low), None) if low >= self.maximum => Next::Over(SearchOutcome::AllPassed),
            (Some(low), None) => Next::Try((low * 2.0).min(self.maximum)),
            (Some(low), Some(high)) => match self.between(low, high) {
                Some(load) => Next::Try(load),
                None => Next::Over(SearchOutcome::Found),
            },
        }
    }

    /// The geometric middle; `None` when both ends are within the tolerance.
    fn between(&self, low: f64, high: f64) -> Option<f64> {
        if high - low <= low * self.tolerance || self.whole && high - low <= 1.0 {
            return None;
        }
        let middle = (low * high).sqrt();
        if self.whole {
            return Some(middle.round().clamp(low + 1.0, high - 1.0));
        }
        // With as few digits as separate it from both ends.
        let rounded = (1..=12).map(|digits| format!("{middle:.digits$e}").parse().unwrap_or(middle));
        let near = |load: &f64| (load - middle).abs() <= (high - low) / 8.0;
        rounded.into_iter().find(near).filter(|load| low < *load && *load < high).or(Some(middle))
    }

    /// Adds the verdict on a load.
    pub fn add(&mut self, load: f64, passes: bool) {
        // Noise is not resolved: a load above a failed one is never tried.
        if passes {
            self.low = Some(self.low.map_or(load, |low| low.max(load)));
        } else {
            self.high = Some(self.high.map_or(load, |high| high.min(load)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search(over: SearchOver, minimum: f64, maximum: f64, tolerance: f64) -> Search {
        let slos = Slos::parse("ttft_p95<1s").unwrap();
        let (arrival, at_most, earlier) = (Arrival::Poisson, 9, Vec::new());
        Search { slos, over, minimum, maximum, tolerance, arrival, at_most, earlier }
    }

    /// Searches a server that passes up to `knee`; the loads tried, the bracket, and the outcome.
    fn tried(search: &Search, knee: f64) -> (Vec<f64>, Bracket, SearchOutcome) {
        let (mut bracket, mut tried) = (search.bracket(), Vec::new());
        loop {
            match bracket.next() {
                Next::Try(load) => {
                    tried.push(load);
                    bracket.add(load, load <= knee);
                    assert!(tried.len() < 100, "{tried:?}");
                }
                Next::Over(outcome) => return (tried, bracket, outcome),
            }
        }
    }

    #[test]
    fn loads_double_and_then_bisect() {
        let whole = search(SearchOver::Concurrency, 1.0, 64.0, 0.01);
        assert_eq!(tried(&whole, 11.0).0, [1.0, 2.0, 4.0, 8.0, 16.0, 11.0, 13.0, 12.0]);
        let rate = search(SearchOver::Rate, 1.0, 64.0, 0.1);
        assert_eq!(tried(&rate, 11.0).0, [1.0, 2.0, 4.0, 8.0, 16.0, 11.0, 13.0, 12.0]);
        assert_eq!(
            tried(&rate, 0.5),
            (vec![1.0], Bracket { high: Some(1.0), ..rate.bracket() }, SearchOutcome::NonePassed)
        );
        let (loads, _, outcome) = tried(&rate, 1e9);
        assert_eq!((loads.last(), outcome), (Some(&64.0), SearchOutcome::AllPassed));
        let one = search(SearchOver::Concurrency, 5.0, 5.0, 0.1);
        assert_eq!(tried(&one, 9.0).2, SearchOutcome::AllPassed);
        assert_eq!(tried(&one, 4.0).2, SearchOutcome::NonePassed);
    }

    #[test]
    fn the_plan_has_the_steps_and_the_most_points() {
        assert_eq!(
            search(SearchOver::Concurrency, 1.0, 8.0, 0.05).plan(),
            "ttft_p95<1s: would try 1, 2, 4, 8 at once until one fails, then halve what is between, until it is \
             within 5%: at most 6 points per model"
        );
        let long = search(SearchOver::Rate, 1.0, 5000.0, 0.05).plan();
        assert!(long.contains("would try 1, 2, 4, 8, …, 4096, 5000 requests/s"), "{long}");
    }

    proptest! {
        #[test]
        fn a_monotonic_server_is_found_within_tolerance(
            minimum in 0.01..1000.0f64, times in 1.0..5000.0f64, at in -0.2..1.2f64, tolerance in 0.001..1.0f64, whole: bool,
        ) {
            let over = if whole { SearchOver::Concurrency } else { SearchOver::Rate };
            let minimum = if whole { minimum.ceil() } else { minimum };
            let maximum = if whole { (minimum * times).ceil() } else { minimum * times };
            let search = search(over, minimum, maximum, tolerance);
            let knee = minimum * (maximum / minimum).powf(at);
            let (loads, bracket, outcome) = tried(&search, knee);
            match outcome {
                SearchOutcome::NonePassed => prop_assert!(knee < minimum),
                SearchOutcome::AllPassed => prop_assert!(maximum <= knee),
                SearchOutcome::Found => {
                    let (low, high) = (bracket.low.unwrap(), bracket.high.unwrap());
                    prop_assert!(low <= knee && knee < high, "{low} {knee} {high}");
                    prop_assert!(high - low <= low * tolerance + 1e-9 || whole && high - low <= 1.0, "{low} {high}");
                }
                SearchOutcome::Stopped | SearchOutcome::Unclear => prop_assert!(false),
            }
            prop_assert!(loads.iter().all(|load| (minimum..=maximum).contains(load)), "{loads:?}");
            prop_assert!(!whole || loads.iter().all(|load| load.fract() == 0.0));
            let different: std::collections::BTreeSet<u64> = loads.iter().map(|load| load.to_bits()).collect();
            prop_assert_eq!(different.len(), loads.len(), "none is tried twice");
            // Twelve doublings at most, and as many halvings as the tolerance asks.
            prop_assert!(loads.len() <= 30, "{}", loads.len());
        }
    }
}
