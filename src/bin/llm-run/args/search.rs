//! The flags of a search: its SLOs and its range of loads.

use super::load::LoadArgs;
use super::load_range::LoadRange;
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

/// The default upper ends of a search.
const MAX_CONCURRENCY: f64 = 1024.0;
const MAX_RATE: f64 = 100_000.0;

fn tolerance(text: &str) -> Result<f64, String> {
    let (digits, scale) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let share = f64::from_str(digits).ok().map(|value| value / scale);
    share.filter(|share| (0.001..=1.0).contains(share)).ok_or_else(|| "not a share from 0.1% to 100%".into())
}

impl SearchArgs {
    /// The search, with the good results of the run that is resumed.
    ///
    /// # Errors
    /// When the flags contradict each other, or points would have too few requests.
    pub fn search(&self, load: &LoadArgs, earlier: Vec<Outcome>) -> anyhow::Result<Option<Search>> {
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
            ([], []) => (SearchOver::Concurrency, 1.0, MAX_CONCURRENCY),
            ([], [LoadRange::Between(from, to)]) => {
                (SearchOver::Concurrency, from.get() as f64, to.map_or(MAX_CONCURRENCY, |to| to.get() as f64))
            }
            ([LoadRange::Between(from, to)], [] | [LoadRange::One(_)]) => {
                (SearchOver::Rate, *from, to.unwrap_or(MAX_RATE))
            }
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
    fn a_tolerance_is_a_share() {
        assert_eq!(tolerance("5%"), Ok(0.05));
        assert_eq!(tolerance("0.1"), Ok(0.1));
        assert!(tolerance("0").is_err() && tolerance("200%").is_err());
    }
}
