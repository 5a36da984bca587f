//! Limits that each request is to keep (an SLO), and how many requests kept them.

use super::registry::{Better, Metric, Sign, metric};
use crate::units::{Unit, quantity};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// A limit on a number of each request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    metric: Metric,
    /// Whether a time counts from the sending, whenever the request was due.
    from_sending: bool,
    sign: Sign,
    value: f64,
}

/// What each request is to keep.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Slo(Vec<Limit>);

/// How many of a group's requests were good.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Goodput {
    /// Requests that did not fail and kept every limit.
    pub good: u64,
    /// All requests that were tried, failed ones included.
    pub tried: u64,
    /// Good ÷ tried.
    pub share: f64,
    /// Good requests per second of the group's span; absent where the span is not known.
    pub requests_per_second: Option<f64>,
}

impl Limit {
    /// Reads a limit by its parts: the name of a metric, with `_sent` behind one that counts from the sending, the sign, and a
    /// number with its unit.
    ///
    /// # Errors
    /// When the name is no metric of requests that one way is better of, the sign allows what is worse, or the number is not of
    /// its unit.
    pub fn parse(name: &str, sign: Sign, value: &str) -> Result<Self, String> {
        let bare = name.strip_suffix("_sent");
        let named = metric(bare.unwrap_or(name))?;
        let found = Metric::of_row(named.row).filter(|metric| metric.better() != Better::Neither);
        let metric =
            found.filter(|_| named.statistic.is_none()).ok_or_else(|| format!("{name}: no limit for each request"))?;
        if bare.is_some() && !metric.figure().from_due {
            return Err(format!("{name}: only times of whole requests count from the sending"));
        }
        let value = quantity(value, metric.unit()).map_err(|error| format!("{name}: {error}"))?;
        let higher = metric.better() == Better::Higher;
        let sign = match sign {
            Sign::Equal if higher => Sign::MoreOrEqual,
            Sign::Equal => Sign::LessOrEqual,
            other if other.is_more() == higher => other,
            _ => return Err(format!("{name}: write {}", if higher { ">" } else { "<" })),
        };
        Ok(Self { metric, from_sending: bare.is_some(), sign, value })
    }

    /// The name that it is written with.
    fn name(&self) -> String {
        format!("{}{}", self.metric.row().key, if self.from_sending { "_sent" } else { "" })
    }

    /// Whether a request keeps it. What was not measured is not known to be kept; but an answer of one chunk has nothing between
    /// chunks that could be too long.
    fn kept(&self, number: &impl Fn(Metric) -> Option<f64>, waited: f64) -> bool {
        let Some(value) = number(self.metric) else {
            let one_chunk = number(Metric::TTFT).is_some() && number(Metric::ICL).is_none();
            return self.metric.figure().between_chunks && one_chunk;
        };
        let waited = if self.metric.figure().from_due && !self.from_sending { waited } else { 0.0 };
        self.sign.holds(value + waited, self.value)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let seconds = matches!(self.metric.unit(), Unit::Seconds | Unit::Milliseconds);
        write!(f, "{}{}{}{}", self.name(), self.sign, self.value, if seconds { "s" } else { "" })
    }
}

impl Slo {
    /// Reads `ttft=500ms,itl=50ms,e2e=10s`; `<`, `<=`, `>` and `>=` stand for themselves.
    ///
    /// # Errors
    /// When a part is no limit, or a metric stands twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut limits: Vec<Limit> = Vec::new();
        for part in text.split(',') {
            let (name, sign, value) = Sign::split(part).ok_or_else(|| format!("{part}: not of the form ttft=500ms"))?;
            let limit = Limit::parse(name, sign, value)?;
            if limits.iter().any(|known| known.name() == limit.name()) {
                return Err(format!("{name}: stands twice"));
            }
            limits.push(limit);
        }
        Ok(Self(limits))
    }

    /// Adds a limit.
    pub fn push(&mut self, limit: Limit) {
        self.0.push(limit);
    }

    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request keeps every limit: by its numbers, and by how long it waited for its sending after it was due, in seconds.
    pub fn kept(&self, number: impl Fn(Metric) -> Option<f64>, waited: f64) -> bool {
        self.0.iter().all(|limit| limit.kept(&number, waited))
    }
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0.iter().map(Limit::to_string).collect::<Vec<_>>().join(","))
    }
}

/// As an object: the limits in base units, by their names.
impl Serialize for Slo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut limits = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|limit| limits.serialize_entry(&limit.name(), &limit.value))?;
        limits.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Quantiles, Timing, fixture};
    use crate::summary::Figures;

    #[test]
    fn limits_are_read_and_typos_refused() {
        let slo = Slo::parse("ttft=0.5s, e2e=10s,TPOT<40ms,decode_tok_s>20").unwrap();
        assert_eq!(slo.to_string(), "ttft<=0.5s,e2e<=10s,tpot<0.04s,decode_tok_s>20");
        assert_eq!(Slo::parse("itl=50ms,request_latency=2s").unwrap().to_string(), "icl<=0.05s,e2e<=2s");
        for (text, expect) in [
            ("ttft", "not of the form"),
            ("", "not of the form"),
            ("tfft=1s", "is it ttft"),
            ("ttft=soon", "not a number"),
            ("ttft=5", "the unit must be"),
            ("ttft=1s,ttft=2s", "stands twice"),
            ("ttft=1s,time_to_first_token=2s", "stands twice"),
            ("ttft>1s", "write <"),
            ("ttft_p95=1s", "no limit for each request"),
            ("throughput=5", "no limit for each request"),
            ("itl_sent=5ms", "count from the sending"),
        ] {
            let error = Slo::parse(text).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }

    #[test]
    fn an_open_loop_is_judged_from_the_moment_a_request_was_due() {
        let o = fixture::result(1, "m")
            .ttft(0.3)
            .e2e(1.0)
            .set(|o| o.ttft_scheduled_seconds = Some(Some(0.8)))
            .timing(Timing { scheduled: Some(-0.5), ..Timing::default() });
        for (limits, good) in [
            ("ttft=0.5s", false),
            ("ttft=0.8s", true),
            ("ttft_sent=0.5s", true),
            ("e2e=1.4s", false),
            ("e2e=1.5s", true),
            ("e2e_sent=1.4s", true),
        ] {
            assert_eq!(Figures::of(&o).keeps(&Slo::parse(limits).unwrap()), good, "{limits}");
        }
    }

    #[test]
    fn a_request_is_good_when_it_is_known_to_keep_every_limit() {
        let slo = Slo::parse("ttft=0.5s,itl=0.05s,e2e=2s").unwrap();
        let outcome = |ttft: Option<f64>, itl: Option<f64>, e2e: Option<f64>, failed: bool| {
            let o = fixture::result(1, "m").set(|o| {
                (o.ttft_seconds, o.generation_time_seconds) = (ttft, e2e);
                o.inter_chunk_latency_seconds = itl.map(|mean| Quantiles { mean: Some(mean), ..Quantiles::default() });
                o.errors.generation = failed.then(String::new);
            });
            Figures::of(&o).keeps(&slo)
        };
        for (ttft, itl, e2e, failed, good) in [
            (Some(0.5), Some(0.05), Some(2.0), false, true),
            (Some(0.51), Some(0.05), Some(2.0), false, false),
            (Some(0.5), Some(0.06), Some(2.0), false, false),
            (Some(0.5), Some(0.05), Some(2.1), false, false),
            (Some(0.5), Some(0.05), Some(2.0), true, false),
            (Some(0.5), None, Some(2.0), false, true),
            (None, None, Some(2.0), false, false),
            (Some(0.5), Some(0.05), None, false, false),
        ] {
            assert_eq!(outcome(ttft, itl, e2e, failed), good, "{ttft:?} {itl:?} {e2e:?} {failed}");
        }
    }
}
