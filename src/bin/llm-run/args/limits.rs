//! How long anything may take, and how large it may be.

use clap::Args;
use llm_bench::cli::duration_in;
use llm_bench::protocol::Limits;
use llm_bench::record::RunSettings;
use std::time::Duration;

/// How long anything may take, and how large it may be.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// How long a request may take, from its sending on
    #[arg(long, default_value = "30m", value_parser = limit())]
    pub timeout: Duration,
    /// How long nothing may come, before the first token or between two; comments do not count [default: --timeout]
    #[arg(long, value_parser = limit())]
    pub idle_timeout: Option<Duration>,
    /// How long opening a connection may take, before a request is sent
    #[arg(long, default_value = "10s", value_parser = limit())]
    pub connect_timeout: Duration,
    /// After a first ^C (or SIGTERM), how long running requests may still take; a second one leaves at once
    #[arg(long, default_value = "30s", value_parser = duration_in(Duration::ZERO, Duration::from_secs(24 * 3600)))]
    pub grace: Duration,
    /// The most text of an answer that is held
    #[arg(long, value_name = "N", default_value_t = 64 << 20)]
    pub max_answer_bytes: usize,
}

/// The longest that anything is waited for.
pub(super) const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// A parser of time limits.
pub(super) fn limit() -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    duration_in(Duration::from_millis(1), WEEK)
}

impl LimitArgs {
    /// The limits of a request.
    pub fn limits(&self) -> Limits {
        Limits {
            connect: self.connect_timeout,
            idle: self.idle_timeout.unwrap_or(self.timeout),
            total: self.timeout,
            text_bytes: self.max_answer_bytes,
        }
    }

    /// Writes them to the settings of the run.
    pub fn record(&self, settings: &mut RunSettings) {
        settings.timeout_seconds = Some(self.timeout.as_secs_f64());
        settings.idle_timeout_seconds = self.idle_timeout.map(|timeout| timeout.as_secs_f64());
        settings.connect_timeout_seconds = Some(self.connect_timeout.as_secs_f64());
        settings.max_answer_bytes = Some(self.max_answer_bytes as u64);
    }
}
