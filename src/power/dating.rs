//! When a sample of a text happened: on arrival, while the meter is running; by the times in the text, when it is a record.
//!
//! A log with times cut to the second still tells more: its windows follow each other without a gap, so each header
//! second bounds when the *first* window ended, and after some dozen samples that moment is known to a few
//! milliseconds. Where the windows do not follow each other (the machine slept), the bounds contradict each other, and a
//! new stretch begins.

use super::feed::{Clock, Sample};
use crate::clock::{Stamp, between, micros};

/// A header this close to the present is one that was written just now: up to a second of cut-off and some delay.
const PRESENT: std::ops::Range<f64> = -1.5..2.5;
/// A jump between windows that is more than this share of a window is a gap.
pub const GAP: f64 = 0.5;

/// A sample with its moment.
#[derive(Debug)]
pub struct Dated {
    /// What was read.
    pub sample: Sample,
    /// The end of its window: Unix seconds.
    pub ts: f64,
    /// The same on this host's monotonic clock; `None` for a record.
    pub mono: Option<f64>,
}

/// How samples get their moments.
#[derive(Debug)]
pub enum Dating {
    /// The meter runs: the moment of arrival.
    Live,
    /// A file that was written before: the times in it. All samples are held until its end, or until it turns out that
    /// the file is still being written.
    Recorded(Vec<Sample>),
    /// A pipe: whether a meter or a record is at its other end shows with the first samples.
    Unknown(Option<Box<Sample>>),
}

impl Dating {
    /// Takes a sample and gives out what can be dated.
    pub fn take(&mut self, sample: Sample, out: &mut Vec<Dated>) {
        match self {
            Dating::Live => out.push(live(sample)),
            // A log that goes on being written: what was there is a record, what comes at the pace of time is a meter.
            Dating::Recorded(held) if sample.logged.is_some() && fresh(&sample) && paced(held.last(), &sample) => {
                self.end(out);
                *self = Dating::Live;
                out.push(live(sample));
            }
            Dating::Recorded(held) => held.push(sample),
            Dating::Unknown(first) => {
                match first.take() {
                    None if fresh(&sample) => {
                        *self = Dating::Live;
                        out.push(live(sample));
                    }
                    None => *first = Some(Box::new(sample)),
                    // A record comes faster than time goes by. A meter whose clock is wrong does not.
                    Some(held) if paced(Some(&held), &sample) => {
                        *self = Dating::Live;
                        out.push(live(*held));
                        out.push(live(sample));
                    }
                    Some(held) => *self = Dating::Recorded(vec![*held, sample]),
                }
            }
        }
    }

    /// The text has ended: gives out what was held.
    pub fn end(&mut self, out: &mut Vec<Dated>) {
        let held = match self {
            Dating::Live => return,
            Dating::Recorded(held) => std::mem::take(held),
            Dating::Unknown(first) => first.take().map(|sample| vec![*sample]).unwrap_or_default(),
        };
        *self = Dating::Recorded(Vec::new());
        let coarse: Option<Vec<(f64, f64)>> = held
            .iter()
            .map(|sample| sample.logged.filter(|_| sample.clock == Clock::Cut).zip(sample.window_seconds))
            .collect();
        let ends = match coarse {
            Some(headers) => window_ends(&headers),
            None => held.iter().map(|sample| sample.logged.unwrap_or(sample.at.ts)).collect(),
        };
        out.extend(held.into_iter().zip(ends).map(|(sample, end)| Dated { sample, ts: micros(end), mono: None }));
    }

    /// Whether what comes out is known to be of another moment or host.
    pub fn is_recorded(&self) -> bool {
        matches!(self, Dating::Recorded(_))
    }
}

/// Whether a sample tells of the moment in which it arrived, as far as it tells of any.
fn fresh(sample: &Sample) -> bool {
    sample.logged.is_none_or(|at| PRESENT.contains(&(sample.at.ts - at)))
}

/// Whether a sample came so long after the one before as its window is: a record comes faster than time goes by.
fn paced(before: Option<&Sample>, sample: &Sample) -> bool {
    let apart = before.map(|before| between(before.at.mono_ns, sample.at.mono_ns));
    apart.is_some_and(|apart| apart >= sample.window_seconds.unwrap_or(0.1) / 2.0)
}

fn live(sample: Sample) -> Dated {
    let Stamp { ts, .. } = sample.at;
    Dated { ts, mono: Some(sample.at.mono()), sample }
}

/// When windows ended, from their headers (time cut to the second, length), in order.
pub fn window_ends(headers: &[(f64, f64)]) -> Vec<f64> {
    let mut ends: Vec<f64> = Vec::with_capacity(headers.len());
    let mut from = 0;
    while from < headers.len() {
        // The end of the stretch's first window lies in [low, high).
        let (mut low, mut high) = (headers[from].0, headers[from].0 + 1.0);
        let mut elapsed = 0.0;
        let mut until = from + 1;
        while let Some((second, length)) = headers.get(until) {
            let then = elapsed + length;
            let (lower, upper) = (low.max(second - then), high.min(second + 1.0 - then));
            if lower >= upper {
                break;
            }
            (low, high, elapsed) = (lower, upper, then);
            until += 1;
        }
        // A new stretch that can continue the one before with a hair's breadth does; otherwise nothing says more than
        // the middle.
        let first = match ends.last().map(|last| last + headers[from].1) {
            Some(next) if next > low - GAP * headers[from].1 && next < high + GAP * headers[from].1 => {
                next.clamp(low, high)
            }
            _ => (low + high) / 2.0,
        };
        let mut end = first;
        ends.push(end);
        for (_, length) in &headers[from + 1..until] {
            end += length;
            ends.push(end);
        }
        from = until;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PowerKind;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sample(logged: f64, window: f64, arrived: f64) -> Sample {
        Sample {
            meter: "powermetrics",
            kind: PowerKind::Window,
            logged: Some(logged),
            clock: Clock::Cut,
            window_seconds: Some(window),
            at: Stamp { mono_ns: (arrived * 1e9) as u64, ts: 5_000.0 + arrived },
            watts: BTreeMap::new(),
            joules: None,
            unavailable: BTreeMap::new(),
            label: None,
        }
    }

    fn run(mut dating: Dating, samples: Vec<Sample>) -> (Vec<(f64, bool)>, usize) {
        let mut out = Vec::new();
        for sample in samples {
            dating.take(sample, &mut out);
        }
        let at_once = out.len();
        dating.end(&mut out);
        (out.into_iter().map(|dated| (dated.ts, dated.mono.is_some())).collect(), at_once)
    }

    #[test]
    fn a_pipe_from_a_running_meter_is_dated_on_arrival_and_at_once() {
        let (dated, at_once) = run(Dating::Unknown(None), vec![sample(5_010.0, 1.0, 10.7), sample(5_011.0, 1.0, 11.7)]);
        assert_eq!((dated, at_once), (vec![(5_010.7, true), (5_011.7, true)], 2));
    }

    #[test]
    fn a_record_through_a_pipe_is_known_by_its_haste_and_dated_by_its_headers() {
        let (dated, at_once) = run(Dating::Unknown(None), vec![sample(100.0, 1.0, 10.0), sample(101.0, 1.0, 10.01)]);
        assert_eq!((dated, at_once), (vec![(100.5, false), (101.5, false)], 0));
        assert_eq!(run(Dating::Unknown(None), vec![sample(100.0, 1.0, 10.0)]).0, [(100.5, false)]);
    }

    #[test]
    fn a_log_that_goes_on_being_written_is_a_record_until_it_catches_up() {
        let old = [sample(5_007.0, 1.0, 10.1), sample(5_008.0, 1.0, 10.1), sample(5_009.0, 1.0, 10.1)];
        let new = [sample(5_010.0, 1.0, 10.8), sample(5_011.0, 1.0, 11.8)];
        let (dated, at_once) = run(Dating::Unknown(None), old.into_iter().chain(new).collect());
        let records = [(5_007.5, false), (5_008.5, false), (5_009.5, false)];
        assert_eq!(dated, [&records[..], &[(5_010.8, true), (5_011.8, true)]].concat());
        assert_eq!(at_once, 5);
    }

    #[test]
    fn a_running_meter_whose_clock_is_wrong_is_dated_on_arrival() {
        let (dated, at_once) = run(Dating::Unknown(None), vec![sample(100.0, 1.0, 10.0), sample(101.0, 1.0, 11.0)]);
        assert_eq!((dated, at_once), (vec![(5_010.0, true), (5_011.0, true)], 2));
    }

    #[test]
    fn a_pause_of_the_machine_begins_a_new_stretch() {
        let mut headers: Vec<(f64, f64)> = (0..40).map(|k| ((1000.3 + 1.02 * f64::from(k)).floor(), 1.02)).collect();
        headers.extend((0..40).map(|k| ((9000.9 + 1.02 * f64::from(k)).floor(), 1.02)));
        let ends = window_ends(&headers);
        assert!((ends[0] - 1000.3).abs() < 0.02, "{}", ends[0]);
        assert!((ends[40] - 9000.9).abs() < 0.02, "{}", ends[40]);
        assert_eq!(window_ends(&[]), Vec::<f64>::new());
    }

    proptest! {
        #[test]
        fn every_end_lies_in_its_header_second_and_close_to_the_truth(
            start in 1_000.0..2_000.0f64, windows in proptest::collection::vec(0.1..3.0f64, 1..80),
        ) {
            let mut end = start;
            let mut headers = vec![(start.floor(), 1.0)];
            for window in &windows {
                end += window;
                headers.push((end.floor(), *window));
            }
            let ends = window_ends(&headers);
            for ((second, _), end) in headers.iter().zip(&ends) {
                prop_assert!((second - 1e-6..=second + 1.0 + 1e-6).contains(end));
            }
            for (k, window) in windows.iter().enumerate() {
                prop_assert!((ends[k + 1] - ends[k] - window).abs() < 1e-6);
            }
        }
    }
}
