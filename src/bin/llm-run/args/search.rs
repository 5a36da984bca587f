//! The search for the highest load that passes: what is to hold, and between which loads.

use super::load::LoadArgs;
use anyhow::{bail, ensure};
use clap::Args;
use llm_bench::load::search::Search;
use llm_bench::load::slo::Slos;
use llm_bench::record::{Outcome, RunSettings, SearchOver, SearchSettings};
use std::str::FromStr;

/// The search for the highest load that passes.
#[derive(Args)]
#[command(next_help_heading = "Search")]
pub struct SearchArgs {
    /// Search the highest --rate MIN..MAX or --concurrency MIN..MAX (default: 1..1024 at once) at which all of this holds:
    /// 'ttft_p95<500ms', any metric of requests with _mean or a percentile (bench-report --list-metrics), error_rate<1%, or
    /// 'ttft<500ms,goodput>=95%'; several with commas. A point lasts --duration or --requests
    #[arg(long, value_name = "CONDITIONS", value_parser = Slos::parse)]
    pub search: Option<Slos>,
    /// How near the highest load that passes and the lowest that does not must be to each other
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = tolerance, requires = "search")]
    pub search_tolerance: f64,
}

/// The highest loads that are searched where nobody says.
const MOST_AT_ONCE: f64 = 1024.0;
const HIGHEST_RATE: f64 = 100_000.0;

/// A load, or a range in which to search one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asked<T> {
    /// This one.
    One(T),
    /// From here on, up to there or as far as there is.
    Between(T, Option<T>),
}

impl<T: Copy> Asked<T> {
    /// Reads a load, or `MIN..MAX`, or `MIN..`.
    pub fn parse(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        match text.split_once("..") {
            None => one(text).map(Asked::One),
            Some((from, "")) => Ok(Asked::Between(one(from)?, None)),
            Some((from, to)) => Ok(Asked::Between(one(from)?, Some(one(to)?))),
        }
    }

    /// The load, where it is one.
    pub fn one(&self) -> Option<T> {
        match self {
            Asked::One(load) => Some(*load),
            Asked::Between(..) => None,
        }
    }
}

fn tolerance(text: &str) -> Result<f64, String> {
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let share = f64::from_str(digits).ok().map(|value| value / scale);
    share.filter(|share| (0.001..=1.0).contains(share)).ok_or_else(|| "not a share from 0.1% to 100%".into())
}

impl SearchArgs {
    /// What is searched, and with it the good results of an earlier run.
    ///
    /// # Errors
    /// When what is given does not go together, or points would be too small to tell.
    pub fn wanted(&self, load: &LoadArgs, earlier: Vec<Outcome>) -> anyhow::Result<Option<Search>> {
        let ranges = load.rate.iter().any(|rate| rate.one().is_none())
            || load.concurrency.iter().any(|concurrency| concurrency.one().is_none());
        let Some(slos) = &self.search else {
            ensure!(!ranges, "a range of loads is for --search: say what is to hold, or name the levels with commas");
            return Ok(None);
        };
        ensure!(
            load.requests.is_some() || load.duration.is_some(),
            "--search: how long is a point? give --duration TIME or --requests N"
        );
        let (over, minimum, maximum) = match (&load.rate[..], &load.concurrency[..]) {
            ([], []) => (SearchOver::Concurrency, 1.0, MOST_AT_ONCE),
            ([], [Asked::Between(from, to)]) => {
                (SearchOver::Concurrency, from.get() as f64, to.map_or(MOST_AT_ONCE, |to| to.get() as f64))
            }
            ([Asked::Between(from, to)], [] | [Asked::One(_)]) => (SearchOver::Rate, *from, to.unwrap_or(HIGHEST_RATE)),
            _ => bail!("--search: in which range? give one, as --rate 1..100 or --concurrency 1..64"),
        };
        ensure!(minimum <= maximum, "--search: {minimum}..{maximum} is no range: the lowest load stands first");
        if let Some(requests) = load.requests {
            let (needed, condition) = slos.needed();
            ensure!(
                requests.get() >= needed,
                "--requests {requests}: too few to tell {condition}: give at least {needed}"
            );
        }
        Ok(Some(Search {
            slos: slos.clone(),
            over,
            minimum,
            maximum,
            tolerance: self.search_tolerance,
            arrival: load.arrival,
            at_most: load.at_most(),
            earlier,
        }))
    }

    /// Writes the search to the settings of the run.
    pub fn record(&self, search: Option<&Search>, settings: &mut RunSettings) {
        settings.search = search.map(|search| SearchSettings {
            slos: Some(search.slos.texts()),
            over: Some(search.over),
            minimum: Some(search.minimum),
            maximum: Some(search.maximum),
            tolerance: Some(search.tolerance),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_a_number_or_a_range_with_an_open_end() {
        let number = |text: &str| text.parse::<u32>().map_err(|_| "no number".to_owned());
        for (text, expect) in [
            ("4", Some(Asked::One(4))),
            ("1..64", Some(Asked::Between(1, Some(64)))),
            ("8..", Some(Asked::Between(8, None))),
            ("..8", None),
            ("..", None),
            ("1..2..3", None),
        ] {
            assert_eq!(Asked::parse(text, number).ok(), expect, "{text}");
        }
        assert_eq!(tolerance("5%"), Ok(0.05));
        assert_eq!(tolerance("0.1"), Ok(0.1));
        assert!(tolerance("0").is_err() && tolerance("200%").is_err());
    }
}
