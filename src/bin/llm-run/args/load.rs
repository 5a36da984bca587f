//! How many requests, and when.

use super::limits::WEEK;
use super::load_range::LoadRange;
use anyhow::bail;
use clap::Args;
use llm_bench::cli::{duration, duration_in};
use llm_bench::load::{Arrival, Level};
use llm_bench::record::RunSettings;
use std::num::NonZeroU64;
use std::time::Duration;

/// How many requests, and when.
#[derive(Args)]
#[command(next_help_heading = "Load")]
pub struct LoadArgs {
    /// Requests at once; several levels, one after another, with commas: 1,5,10. With --rate, the most at once [default: 1,
    /// with --rate 10000]. With --search, a range: 1..64
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', value_parser = concurrency)]
    pub concurrency: Vec<LoadRange<NonZeroU64>>,
    /// Requests per second that arrive whether or not earlier ones have ended (open loop); several levels with commas: 2,4,8.
    /// With --search, a range: 1..100
    #[arg(long, value_name = "N[,N…]", value_delimiter = ',', value_parser = rate, allow_negative_numbers = true)]
    pub rate: Vec<LoadRange<f64>>,
    /// How arrivals are spaced
    #[arg(long, value_enum, default_value = "poisson", requires = "rate")]
    pub arrival: Arrival,
    /// Requests per model and level, prompts taken in turn; otherwise each prompt once
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub requests: Option<NonZeroU64>,
    /// Send for so long at each level, prompts taken in turn; what runs then may finish. With --requests, whichever ends first
    #[arg(long, value_name = "TIME", value_parser = duration_in(Duration::from_millis(100), WEEK))]
    pub duration: Option<Duration>,
    /// Ask each prompt N times
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one, conflicts_with_all = ["requests", "duration"])]
    pub repeat: NonZeroU64,
    /// Requests per model and level before those that count
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub warmup: u64,
    /// Let each level rise for so long, before its requests that count: one worker after another, or a rising rate. What is
    /// sent meanwhile is warm-up
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub ramp: Duration,
    /// Send no more when N requests have failed
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_errors: Option<NonZeroU64>,
    /// What random arrivals, synthetic prompts and the choice from input files follow from [default: --seed, else 1]
    #[arg(long, value_name = "N")]
    pub load_seed: Option<u64>,
    /// Try a request again after 408, 429, 5xx or no connection; 0 for load tests
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub retries: u32,
    /// Event loops, a thread each; default: the cores, up to 4
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// The default limit of concurrent requests of an open loop: beyond it a server has fallen behind for
/// good, and every answer is held here.
const MAX_CONCURRENCY: u64 = 10_000;

fn at_least_one(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| "not a whole number of at least 1".into())
}

fn concurrency(text: &str) -> Result<LoadRange<NonZeroU64>, String> {
    LoadRange::parse(text, at_least_one)
}

fn rate(text: &str) -> Result<LoadRange<f64>, String> {
    LoadRange::parse(text, |rate| {
        rate.parse::<f64>()
            .ok()
            .filter(|rate| (0.001..=100_000.0).contains(rate))
            .ok_or_else(|| "not a number of requests per second from 0.001 to 100000".into())
    })
}

impl LoadArgs {
    /// The number of event loops.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
        self.threads.map_or_else(cores, usize::from)
    }

    /// The load levels in order; a search has none.
    ///
    /// # Errors
    /// When the flags contradict each other.
    pub fn levels(&self) -> anyhow::Result<Vec<Level>> {
        let mut concurrency = self.concurrency.iter().filter_map(LoadRange::one).map(NonZeroU64::get);
        if self.rate.is_empty() {
            let levels: Vec<_> = concurrency.map(|concurrency| Level::Closed { concurrency }).collect();
            return Ok(if levels.is_empty() { vec![Level::Closed { concurrency: 1 }] } else { levels });
        }
        let at_most = concurrency.next().unwrap_or(MAX_CONCURRENCY);
        if concurrency.next().is_some() {
            bail!("--concurrency beside --rate is the most at once: give one number, or levels of one of the two");
        }
        let open = |rate: f64| Level::Open { rate, arrival: self.arrival, at_most };
        Ok(self.rate.iter().filter_map(LoadRange::one).map(open).collect())
    }

    /// The most requests at once beside a rate.
    pub fn at_most(&self) -> u64 {
        self.concurrency.iter().find_map(LoadRange::one).map_or(MAX_CONCURRENCY, NonZeroU64::get)
    }

    /// Writes the flags to the settings of the run; a search has no levels.
    pub fn record(&self, searched: bool, settings: &mut RunSettings) {
        let open = !self.rate.is_empty();
        let levels = if searched { Vec::new() } else { self.levels().unwrap_or_default() };
        let rates: Vec<f64> = levels.iter().filter_map(|level| level.rate()).collect();
        let concurrency: Vec<u64> = levels.iter().filter_map(|level| level.concurrency()).collect();
        settings.concurrency = Some(concurrency).filter(|_| !open && !searched);
        settings.rate = Some(rates).filter(|_| open && !searched);
        settings.arrival = open.then(|| self.arrival.to_string());
        settings.concurrency_limit = open.then(|| self.at_most());
        settings.requests = self.requests.map(NonZeroU64::get);
        settings.duration_seconds = self.duration.map(|duration| duration.as_secs_f64());
        settings.repeat = Some(self.repeat.get());
        settings.warmup = Some(self.warmup);
        settings.ramp_seconds = Some(self.ramp.as_secs_f64()).filter(|ramp| *ramp > 0.0);
        settings.max_errors = self.max_errors.map(NonZeroU64::get);
        settings.retries = Some(u64::from(self.retries));
        settings.threads = self.threads.map(u64::from);
    }
}
