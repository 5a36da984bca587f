//! Whether a server keeps up with an open loop, from when each request was due and when it ended. Pure.
//!
//! A percentile of a short level cannot tell: where the queue grows, it measures how long the level
//! was. In a short time a queue also grows by chance, so a load is too high only where both hold:
//!
//! * Requests wait longer and longer. The last third of them is compared with the first: time to
//!   first token, whole time, and the number in flight when they arrived.
//! * Fewer end than arrive while the queue is longest. A server that keeps up works a long queue off,
//!   so then more must end per second than the target rate. (The drift criterion for stable queues:
//!   F. G. Foster, "On the stochastic matrices associated with certain queuing processes", 1953.)
//!
//! The second is judged after the first answers could have come: until then in-flight only grows.

use crate::record::{Outcome, SearchQueue};
use crate::stats;

/// The fewest requests in a third.
const MIN_THIRD: usize = 5;

/// By how many standard errors the last third must exceed the first.
const MIN_ERRORS: f64 = 3.0;

/// By what share of the first third the last must exceed it.
const MIN_RISE: f64 = 0.1;

/// How many answers long a level must be to tell whether the growth goes on.
const MIN_ANSWERS: f64 = 4.0;

/// The number of pieces of the busy time, between which the completion rate varies.
const PIECES: usize = 8;

/// The fewest ends in the busy time; and the number of first requests whose mean is the length of an
/// answer.
const MIN_ENDS: usize = 10;

/// The growth of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// It does not grow.
    KeptUp,
    /// It grows: the server is slower than the load.
    Grows,
    /// It grew, and fewer ended than arrived, but that may be chance.
    Unclear,
    /// It grew, and the level was too short to tell whether that goes on.
    TooShort,
}

/// A request of an open loop, in seconds of one clock.
#[derive(Debug, Clone, Copy, PartialEq)]
struct RequestInterval {
    due: f64,
    /// Its first token; `None` for a failure.
    first: Option<f64>,
    end: f64,
}

/// The requests of a load, round by round: before each round the server was idle.
#[derive(Debug, Clone, Default)]
pub struct QueueTest {
    rounds: Vec<Vec<RequestInterval>>,
}

/// The verdict on a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueVerdict {
    /// Its growth.
    pub growth: Growth,
    /// Its numbers for the record.
    pub queue: SearchQueue,
}

impl QueueTest {
    /// Begins a round.
    pub fn begin_round(&mut self) {
        self.rounds.push(Vec::new());
    }

    /// Adds a request, where it was due at a time and was sent.
    pub fn add(&mut self, result: &Outcome) {
        let timing = result.timing_seconds.as_ref();
        let (Some(start), Some(late)) = (result.start_mono, timing.and_then(|timing| timing.scheduled)) else {
            return;
        };
        let Some(end) = timing.and_then(|timing| timing.end) else { return };
        let first = result.ttft_seconds.filter(|_| result.error.is_none()).map(|ttft| start + ttft);
        let interval = RequestInterval { due: start + late, first, end: start + end };
        if interval.due.is_finite() && interval.end >= interval.due {
            if self.rounds.is_empty() {
                self.begin_round();
            }
            self.rounds.last_mut().into_iter().for_each(|round| round.push(interval));
        }
    }

    /// Whether the server kept up with `rate` requests per second; `None` without such requests.
    pub fn verdict(&self, rate: f64) -> Option<QueueVerdict> {
        let rounds: Vec<RoundStats> = self.rounds.iter().filter_map(|round| RoundStats::new(round)).collect();
        if rounds.is_empty() {
            return None;
        }
        let rise = |rise_of: fn(&RoundStats) -> Option<Rise>| Rise::merge(rounds.iter().filter_map(rise_of));
        let ttft = rise(|round| round.ttft);
        let waits_rise =
            ttft.as_ref().is_some_and(Rise::is_clear) || rise(|round| round.whole).is_some_and(|rise| rise.is_clear());
        let in_flight_rises = rise(|round| round.in_flight).is_some_and(|rise| rise.is_clear());
        let long_enough = rounds.iter().any(|round| round.long_enough);
        let ends = Ends::merge(&rounds);
        let growth = match &ends {
            _ if !(waits_rise || in_flight_rises && long_enough) => Growth::KeptUp,
            _ if !long_enough => Growth::TooShort,
            Some(ends) if ends.number >= MIN_ENDS && ends.per_second >= rate => Growth::KeptUp,
            Some(ends) if ends.number >= MIN_ENDS && ends.upper_bound() < rate => Growth::Grows,
            _ => Growth::Unclear,
        };
        let seconds: f64 = rounds.iter().map(|round| round.seconds).sum();
        let gaps = rounds.iter().map(|round| round.requests - 1).sum::<usize>() as f64;
        let grows = match growth {
            Growth::KeptUp => Some(false),
            Growth::Grows => Some(true),
            Growth::Unclear | Growth::TooShort => None,
        };
        let queue = SearchQueue {
            grows,
            sent_per_second: (seconds > 0.0).then(|| gaps / seconds),
            ended_per_second: RoundStats::ended_per_second(&rounds),
            busy_ended_per_second: ends.map(|ends| ends.per_second),
            ttft_first_third_seconds: ttft.map(|ttft| ttft.first),
            ttft_last_third_seconds: ttft.map(|ttft| ttft.first + ttft.by),
        };
        Some(QueueVerdict { growth, queue })
    }
}

/// By how much the last third of some numbers exceeds the first.
#[derive(Debug, Clone, Copy)]
struct Rise {
    first: f64,
    by: f64,
    /// The squared standard error of `by`, for independent numbers.
    variance: f64,
}

impl Rise {
    fn new(numbers: &[f64]) -> Option<Self> {
        let third = numbers.len() / 3;
        if third < MIN_THIRD {
            return None;
        }
        let (first, variance_first) = mean_and_variance(&numbers[..third])?;
        let (last, variance_last) = mean_and_variance(&numbers[numbers.len() - third..])?;
        Some(Self { first, by: last - first, variance: (variance_first + variance_last) / third as f64 })
    }

    /// The rise over several rounds.
    fn merge(rises: impl Iterator<Item = Self>) -> Option<Self> {
        let rises: Vec<Self> = rises.collect();
        let n = rises.len() as f64;
        let mean = |value: fn(&Self) -> f64| stats::mean(&rises.iter().map(value).collect::<Vec<_>>());
        Some(Self {
            first: mean(|rise| rise.first)?,
            by: mean(|rise| rise.by)?,
            variance: mean(|rise| rise.variance)? / n,
        })
    }

    fn is_clear(&self) -> bool {
        self.by > MIN_ERRORS * self.variance.sqrt() && self.by > MIN_RISE * self.first
    }
}

fn mean_and_variance(numbers: &[f64]) -> Option<(f64, f64)> {
    let mean = stats::mean(numbers)?;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    Some((mean, squares / (numbers.len().saturating_sub(1).max(1)) as f64))
}

/// The statistics of one round.
struct RoundStats {
    requests: usize,
    /// From the first to the last due time.
    seconds: f64,
    ttft: Option<Rise>,
    whole: Option<Rise>,
    /// The number in flight at each arrival, after the first answers could have come.
    in_flight: Option<Rise>,
    long_enough: bool,
    busy: Option<Busy>,
    /// The ends between when the first answers could have come and when the last request was due, and
    /// the length of that time.
    ended: (usize, f64),
}

impl RoundStats {
    fn new(intervals: &[RequestInterval]) -> Option<Self> {
        let mut intervals = intervals.to_vec();
        intervals.sort_by(|a, b| a.due.total_cmp(&b.due));
        let (begin, last) = (intervals.first()?.due, intervals.last()?.due);
        let waited: Vec<f64> = intervals.iter().filter_map(|one| Some(one.first? - one.due)).collect();
        let whole: Vec<f64> = intervals.iter().map(|one| one.end - one.due).collect();
        let answer = stats::mean(&whole[..whole.len().min(MIN_ENDS)])?;
        let from = begin + answer;
        let mut ends: Vec<f64> = intervals.iter().map(|one| one.end).collect();
        ends.sort_by(f64::total_cmp);
        let count = |(before, one): (usize, &RequestInterval)| {
            before as f64 - ends.partition_point(|end| *end <= one.due) as f64
        };
        let in_flight: Vec<f64> = intervals.iter().enumerate().filter(|(_, one)| one.due >= from).map(count).collect();
        Some(Self {
            requests: intervals.len(),
            seconds: last - begin,
            ttft: Rise::new(&waited),
            whole: Rise::new(&whole),
            in_flight: Rise::new(&in_flight),
            long_enough: last - begin >= MIN_ANSWERS * answer,
            busy: Busy::new(&intervals, &ends, from, last),
            ended: (ends.iter().filter(|end| (from..=last).contains(end)).count(), (last - from).max(0.0)),
        })
    }

    /// The completion rate of several rounds while requests arrived.
    fn ended_per_second(rounds: &[Self]) -> Option<f64> {
        let (ended, seconds) =
            rounds.iter().fold((0, 0.0), |sum, round| (sum.0 + round.ended.0, sum.1 + round.ended.1));
        (seconds > 0.0).then(|| ended as f64 / seconds)
    }
}

/// The half of the time with the most requests in flight, until they are worked off.
struct Busy {
    seconds: f64,
    /// The ends in each piece.
    ended: [usize; PIECES],
}

impl Busy {
    fn new(intervals: &[RequestInterval], ends: &[f64], from: f64, last: f64) -> Option<Self> {
        let mut steps: Vec<(f64, i64)> = intervals.iter().map(|one| (one.due, 1)).collect();
        steps.extend(ends.iter().map(|end| (*end, -1)));
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let threshold = median_in_flight(&steps, from, last)?;
        let (mut in_flight, mut before, mut seconds, mut marks) = (0, f64::NEG_INFINITY, 0.0, Vec::new());
        for (time, change) in steps {
            if in_flight >= threshold && time > from {
                seconds += time - before.max(from);
                if change < 0 {
                    marks.push(seconds);
                }
            }
            in_flight += change;
            before = time;
        }
        if seconds <= 0.0 {
            return None;
        }
        let mut ended = [0; PIECES];
        for mark in marks {
            ended[((mark / seconds * PIECES as f64) as usize).min(PIECES - 1)] += 1;
        }
        Some(Self { seconds, ended })
    }
}

/// The number in flight that is reached in half of the time.
fn median_in_flight(steps: &[(f64, i64)], from: f64, to: f64) -> Option<i64> {
    let (mut in_flight, mut durations) = (0, Vec::new());
    for pair in steps.windows(2) {
        in_flight += pair[0].1;
        let seconds = pair[1].0.min(to) - pair[0].0.max(from);
        if seconds > 0.0 {
            durations.push((in_flight, seconds));
        }
    }
    durations.sort_by_key(|(in_flight, _)| *in_flight);
    let half = durations.iter().map(|(_, seconds)| seconds).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let mut upper_half = durations.iter().skip_while(|(_, seconds)| {
        sum += seconds;
        sum < half
    });
    upper_half.next().map(|(in_flight, _)| *in_flight)
}

/// The completion rate in the busy time of all rounds.
struct Ends {
    number: usize,
    per_second: f64,
    error: f64,
    pieces: usize,
}

impl Ends {
    fn merge(rounds: &[RoundStats]) -> Option<Self> {
        let busy: Vec<&Busy> = rounds.iter().filter_map(|round| round.busy.as_ref()).collect();
        let seconds: f64 = busy.iter().map(|busy| busy.seconds).sum();
        let number: usize = busy.iter().flat_map(|busy| busy.ended).sum();
        let pieces = busy.len() * PIECES;
        let per_second = number as f64 / seconds;
        let squares_of = |busy: &&Busy| {
            let each = busy.seconds / PIECES as f64;
            busy.ended.iter().map(|ended| (*ended as f64 - per_second * each).powi(2)).sum::<f64>()
        };
        let squares: f64 = busy.iter().map(squares_of).sum();
        let n = pieces as f64;
        (number > 0).then(|| Self { number, per_second, error: (squares / (n - 1.0) * n).sqrt() / seconds, pieces })
    }

    /// Its upper bound at one-sided 1 %: Student's t, which `2.33 + 4.7 / df` meets within 0.05 from
    /// seven degrees of freedom on.
    fn upper_bound(&self) -> f64 {
        self.per_second + (2.33 + 4.7 / (self.pieces - 1) as f64) * self.error
    }
}

#[cfg(test)]
mod tests;
