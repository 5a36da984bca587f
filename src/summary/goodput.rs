//! Goodput: how many requests were good enough, of all that were tried.

use super::figures::Figures;
use super::metric::Metric;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// What a request must keep to be good, in seconds; a limit that is not set is kept by all.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Slo {
    /// The longest time to first token, from the moment the request was due (open loop), else from when it was sent.
    pub ttft: Option<f64>,
    /// The longest time to first token from when the request was sent, whenever it was due.
    pub ttft_sent: Option<f64>,
    /// The longest mean gap between chunks.
    pub itl: Option<f64>,
    /// The longest time per output token after the first chunk.
    pub tpot: Option<f64>,
    /// The longest whole request, from the moment it was due (open loop), else from when it was sent.
    pub e2e: Option<f64>,
    /// The longest whole request from when it was sent, whenever it was due.
    pub e2e_sent: Option<f64>,
}

/// How many of a group's requests were good.
#[skip_serializing_none]
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
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

impl Slo {
    /// Reads `ttft=500ms,itl=50ms,e2e=10s`; `seconds` reads one length of time.
    ///
    /// # Errors
    /// When a name is none of `ttft`, `ttft_sent`, `itl`, `tpot`, `e2e`, `e2e_sent`, stands twice, or has no length of time.
    pub fn parse(text: &str, seconds: impl Fn(&str) -> Result<f64, String>) -> Result<Self, String> {
        let mut slo = Self::default();
        for part in text.split(',') {
            let (name, limit) = part.split_once('=').ok_or_else(|| format!("{part}: not of the form ttft=500ms"))?;
            let field = match name.trim() {
                "ttft" => &mut slo.ttft,
                "ttft_sent" => &mut slo.ttft_sent,
                "itl" => &mut slo.itl,
                "tpot" => &mut slo.tpot,
                "e2e" => &mut slo.e2e,
                "e2e_sent" => &mut slo.e2e_sent,
                other => {
                    return Err(format!(
                        "{other}: no such limit; there are ttft, ttft_sent, itl, tpot, e2e and e2e_sent"
                    ));
                }
            };
            let limit = seconds(limit.trim()).map_err(|why| format!("{name}: {why}"))?;
            if field.replace(limit).is_some() {
                return Err(format!("{name}: stands twice"));
            }
        }
        Ok(slo)
    }

    /// Whether a request is good. What was not measured is not known to be kept, so the request is not good; but an
    /// answer of one chunk has no gap that could be too long.
    pub fn keeps(&self, figures: &Figures) -> bool {
        let within =
            |limit: Option<f64>, value: Option<f64>| limit.is_none_or(|limit| value.is_some_and(|v| v <= limit));
        let gapless = figures.value(Metric::Ttft).is_some() && figures.itl_mean.is_none();
        figures.ok()
            && within(self.ttft, figures.ttft_due())
            && within(self.ttft_sent, figures.value(Metric::Ttft))
            && (gapless || within(self.itl, figures.itl_mean))
            && ((gapless && figures.value(Metric::Tpot).is_none()) || within(self.tpot, figures.value(Metric::Tpot)))
            && within(self.e2e, figures.e2e_due())
            && within(self.e2e_sent, figures.value(Metric::GenerationTime))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Outcome, Quantiles, Timing};

    fn seconds(text: &str) -> Result<f64, String> {
        text.trim_end_matches('s').parse().map_err(|_| "no".to_owned())
    }

    #[test]
    fn limits_are_read_and_typos_refused() {
        let slo = Slo::parse("ttft=0.5s, e2e=10s", seconds).unwrap();
        assert_eq!((slo.ttft, slo.itl, slo.e2e), (Some(0.5), None, Some(10.0)));
        for text in ["ttft", "tfft=1s", "ttft=soon", "ttft=1s,ttft=2s", ""] {
            assert!(Slo::parse(text, seconds).is_err(), "{text}");
        }
    }

    #[test]
    fn an_open_loop_is_judged_from_the_moment_a_request_was_due() {
        let mut o = Outcome { ttft_seconds: Some(0.3), generation_time_seconds: Some(1.0), ..Outcome::default() };
        o.ttft_scheduled_seconds = Some(Some(0.8));
        o.timing_seconds = Some(Timing { scheduled: Some(-0.5), ..Timing::default() });
        for (limits, good) in [
            ("ttft=0.5s", false),
            ("ttft=0.8s", true),
            ("ttft_sent=0.5s", true),
            ("e2e=1.4s", false),
            ("e2e=1.5s", true),
            ("e2e_sent=1.4s", true),
        ] {
            assert_eq!(Slo::parse(limits, seconds).unwrap().keeps(&Figures::of(&o)), good, "{limits}");
        }
    }

    #[test]
    fn a_request_is_good_when_it_is_known_to_keep_every_limit() {
        let slo = Slo::parse("ttft=0.5s,itl=0.05s,e2e=2s", seconds).unwrap();
        let outcome = |ttft: Option<f64>, itl: Option<f64>, e2e: Option<f64>, failed: bool| {
            let mut o = Outcome { ttft_seconds: ttft, generation_time_seconds: e2e, ..Outcome::default() };
            o.inter_chunk_latency_seconds = itl.map(|mean| Quantiles { mean: Some(mean), ..Quantiles::default() });
            o.errors.generation = failed.then(String::new);
            slo.keeps(&Figures::of(&o))
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
