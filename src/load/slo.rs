//! Service level objectives of a load level: `ttft_p95<500ms`, `error_rate<1%`, `ttft<500ms,goodput>=95%`.
//!
//! The metrics, their names and their units are those of the registry. [`super::search::SloSamples`] says whether a load level meets them.

use crate::summary::{Better, Limit, Metric, Set, Sign, Slo, Statistic, metric};
use crate::units::quantity;
use std::fmt;

/// The measure of an objective.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// A statistic of a metric of each request.
    Of(Metric, Statistic),
    /// The share of requests that failed.
    ErrorRate,
    /// The share of requests within the limits for each request.
    Goodput,
}

/// An objective of a load level.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// As it was written.
    pub text: String,
    /// What is limited.
    pub measure: Measure,
    /// How it is compared.
    pub sign: Sign,
    /// The limit, in the unit of the registry.
    pub limit: f64,
}

/// The objectives of a load level.
#[derive(Debug, Clone, PartialEq)]
pub struct Slos {
    /// The objectives, in order.
    pub all: Vec<Objective>,
    /// The limits for each request, for the goodput.
    pub each: Slo,
}

const FORM: &str = "write it as ttft_p95<500ms, with _mean or a percentile; error_rate<1%; or ttft<500ms,goodput>=95% \
                    (bench-report --list-metrics has the names)";

impl Slos {
    /// Parses objectives with commas between them.
    ///
    /// # Errors
    /// When one is invalid; the message has the syntax, and the metrics with similar names.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut slos = Self { all: Vec::new(), each: Slo::default() };
        for text in text.split(',').map(str::trim) {
            slos.add(text).map_err(|error| format!("{text}: {error}: {FORM}"))?;
        }
        let goodput = slos.all.iter().any(|objective| objective.measure == Measure::Goodput);
        match (goodput, slos.each.is_empty()) {
            (true, true) => Err(format!("{text}: goodput needs limits for each request beside it: {FORM}")),
            (false, false) => Err(format!(
                "{text}: a limit without a statistic is for each request: say what share is to keep it: {FORM}"
            )),
            _ => Ok(slos),
        }
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        let (name, sign, limit) =
            Sign::split(text).filter(|(_, sign, _)| *sign != Sign::Equal).ok_or("no comparison")?;
        let named = metric(name.strip_suffix("_sent").unwrap_or(name))?;
        let measure = match (named.row.key, Metric::of_row(named.row), named.statistic) {
            ("error_rate", ..) => Measure::ErrorRate,
            ("goodput", ..) => Measure::Goodput,
            (_, Some(_), None) => {
                self.each.push(Limit::parse(name, sign, limit)?);
                return Ok(());
            }
            (_, Some(metric), Some(statistic @ (Statistic::Mean | Statistic::Percentile(_)))) => {
                Measure::Of(metric, statistic)
            }
            (_, Some(_), Some(_)) => return Err("only a mean or a percentile can be judged by a sample".into()),
            (_, None, _) => return Err(format!("{name} is no metric of single requests")),
        };
        if matches!(named.row.set, Set::Energy | Set::Memory) {
            return Err(format!("{name} is known only after bench-join"));
        }
        let higher = match named.row.better {
            Better::Higher => true,
            Better::Lower => false,
            Better::Neither => return Err(format!("no way of {name} is better")),
        };
        if sign.is_more() != higher {
            return Err(format!("use {} for {name}", if higher { ">" } else { "<" }));
        }
        let limit = quantity(limit, named.row.unit())?;
        self.all.push(Objective { text: text.to_owned(), measure, sign, limit });
        Ok(())
    }

    /// The objectives as written, the goodput with its limits for each request.
    pub fn texts(&self) -> Vec<String> {
        let text = |objective: &Objective| match objective.measure {
            Measure::Goodput => format!("{} of {}", objective.text, self.each),
            _ => objective.text.clone(),
        };
        self.all.iter().map(text).collect()
    }

    /// The fewest requests, when none of them fails, and the objective that needs them. Metrics between
    /// chunks have more numbers than requests.
    pub fn needed(&self) -> (u64, &str) {
        let needed = |objective: &Objective| match objective.measure {
            Measure::Of(metric, Statistic::Percentile(_)) if metric.figure().merged => 1,
            _ => objective.needed(),
        };
        let most = self.all.iter().map(|objective| (needed(objective), objective.text.as_str()));
        most.max_by_key(|(n, _)| *n).unwrap_or((1, ""))
    }
}

impl Objective {
    /// The fewest numbers: five must lie beyond it.
    pub fn needed(&self) -> u64 {
        let beyond = match self.measure {
            Measure::Of(_, Statistic::Percentile(fraction)) => fraction.min(1.0 - fraction),
            Measure::Of(..) => 1.0,
            // A limit of no failures needs only one request.
            Measure::ErrorRate if self.limit > 0.0 => self.limit.min(1.0),
            Measure::Goodput if self.limit < 1.0 => 1.0 - self.limit,
            Measure::ErrorRate | Measure::Goodput => return 1,
        };
        (5.0 / beyond - 1e-9).ceil() as u64
    }
}

impl fmt::Display for Slos {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.texts().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_parsed_and_typos_get_suggestions() {
        for (text, expect) in [
            ("ttft_p95<500ms", "ttft_p95<500ms"),
            (" itl_p99.9 <= 50ms , error_rate<1%", "itl_p99.9 <= 50ms, error_rate<1%"),
            ("ttft<500ms,e2e<=2000ms,goodput>=95%", "goodput>=95% of ttft<0.5s,e2e<=2s"),
            ("tpot_mean<20ms", "tpot_mean<20ms"),
            ("p99_e2el_ms<2s", "p99_e2el_ms<2s"),
            ("decode_tok_s_p10>20", "decode_tok_s_p10>20"),
            ("request_latency<2s,goodput>0.9", "goodput>0.9 of e2e<2s"),
        ] {
            assert_eq!(Slos::parse(text).unwrap().to_string(), expect);
        }
        for (text, expect) in [
            ("", "no comparison"),
            ("ttft_p95=500ms", "no comparison"),
            ("ttft_p95<500", "the unit must be"),
            ("ttft_p95>500ms", "use < for"),
            ("decode_tok_s_p50<20", "use > for"),
            ("goodput<95%,ttft<1ms", "use > for"),
            ("ttfb_p95<5ms", "is it ttft"),
            ("ttft_p100<5ms", "no metric"),
            ("ttft_max<5ms", "only a mean or a percentile"),
            ("error_rate<200%", "not a share"),
            ("goodput>=95%", "goodput needs limits"),
            ("ttft<500ms", "what share"),
            ("ttft_p95<500ms,", "no comparison"),
            ("throughput>5", "no metric of single requests"),
            ("joules_p50<5J", "only after bench-join"),
            ("out_tok_mean<5", "is better"),
        ] {
            let error = Slos::parse(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
