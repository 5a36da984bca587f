//! Whether a server keeps up with the requests that arrive by the clock, told from when each was due and when it ended. Pure.
//!
//! A percentile of a short point cannot say that: where the queue grows, it says how long the point was. Two things are asked, and
//! both must say so before a load counts as too much, because in a short time a queue grows by chance, too:
//!
//! * Do requests wait longer and longer? The last third of them is held against the first: their time to the first token, their
//!   whole time, and how many were in flight when they came.
//! * Do fewer end than arrive while there is most to do? A server that keeps up works its queue off when it is long: then more
//!   must end per second than the rate that was asked for, however many arrived by chance. (This is the drift criterion for the
//!   stability of queues: F. G. Foster, "On the stochastic matrices associated with certain queuing processes", 1953.)
//!
//! The second is asked only of the time after the first answers could have come: until then what is in flight only grows.

use crate::record::{Outcome, SearchQueue};
use crate::stats;

/// How many requests a third needs.
const THIRD: usize = 5;

/// How many standard errors the last third must be above the first.
const APART: f64 = 3.0;

/// By what share of the first third the last must be above it: what is less is of no account.
const MORE: f64 = 0.1;

/// How many times as long as an answer a point must be to tell whether the waiting goes on.
const ANSWERS: f64 = 4.0;

/// Into how many pieces the busy time of a part is cut, to see how much what ends per second varies.
const PIECES: usize = 8;

/// How many ends in the busy time say anything; and of how many requests, the first, the mean is how long an answer takes.
const ENDS: usize = 10;

/// What became of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Nothing says that it grows.
    KeptUp,
    /// It grows: the server is slower than that.
    Grows,
    /// It grew, and fewer ended than arrived, but both may be chance.
    Unclear,
    /// It grew, and the requests take so long that nobody knows whether it goes on.
    TooShort,
}

/// A request that came by the clock: seconds of one clock.
#[derive(Debug, Clone, Copy, PartialEq)]
struct RequestInterval {
    due: f64,
    /// When its first token came; `None` where it has none, as a failure may.
    first: Option<f64>,
    end: f64,
}

/// The requests of a load, part by part: before each part the server was idle.
#[derive(Debug, Clone, Default)]
pub struct QueueTest {
    parts: Vec<Vec<RequestInterval>>,
}

/// What is told of them.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueVerdict {
    /// What became of the queue.
    pub growth: Growth,
    /// The numbers of it, for the record.
    pub queue: SearchQueue,
}

impl QueueTest {
    /// Begins a round.
    pub fn begin_round(&mut self) {
        self.parts.push(Vec::new());
    }

    /// Takes a request, where it came by the clock and was sent.
    pub fn add(&mut self, outcome: &Outcome) {
        let timing = outcome.timing_seconds.as_ref();
        let (Some(start), Some(late)) = (outcome.start_mono, timing.and_then(|timing| timing.scheduled)) else {
            return;
        };
        let Some(end) = timing.and_then(|timing| timing.end) else { return };
        let first = outcome.ttft_seconds.filter(|_| outcome.error.is_none()).map(|ttft| start + ttft);
        let interval = RequestInterval { due: start + late, first, end: start + end };
        if interval.due.is_finite() && interval.end >= interval.due {
            if self.parts.is_empty() {
                self.begin_round();
            }
            self.parts.last_mut().into_iter().for_each(|part| part.push(interval));
        }
    }

    /// Whether the server kept up with `rate` requests per second; `None` where nothing came by the clock.
    pub fn verdict(&self, rate: f64) -> Option<QueueVerdict> {
        let parts: Vec<Part> = self.parts.iter().filter_map(|part| Part::new(part)).collect();
        if parts.is_empty() {
            return None;
        }
        let rises = |of: fn(&Part) -> Option<Rise>| Rise::over(parts.iter().filter_map(of));
        let ttft = rises(|part| part.ttft);
        let waits =
            ttft.as_ref().is_some_and(Rise::is_clear) || rises(|part| part.whole).is_some_and(|it| it.is_clear());
        let crowds = rises(|part| part.crowd).is_some_and(|it| it.is_clear());
        let long_enough = parts.iter().any(|part| part.long_enough);
        let ends = Ends::over(&parts);
        let growth = match &ends {
            _ if !(waits || crowds && long_enough) => Growth::KeptUp,
            _ if !long_enough => Growth::TooShort,
            Some(ends) if ends.number >= ENDS && ends.per_second >= rate => Growth::KeptUp,
            Some(ends) if ends.number >= ENDS && ends.at_most() < rate => Growth::Grows,
            _ => Growth::Unclear,
        };
        let seconds: f64 = parts.iter().map(|part| part.seconds).sum();
        let gaps = parts.iter().map(|part| part.requests - 1).sum::<usize>() as f64;
        let grows = match growth {
            Growth::KeptUp => Some(false),
            Growth::Grows => Some(true),
            Growth::Unclear | Growth::TooShort => None,
        };
        let queue = SearchQueue {
            grows,
            sent_per_second: (seconds > 0.0).then(|| gaps / seconds),
            ended_per_second: Part::ended(&parts),
            busy_ended_per_second: ends.map(|ends| ends.per_second),
            ttft_first_third_seconds: ttft.map(|ttft| ttft.first),
            ttft_last_third_seconds: ttft.map(|ttft| ttft.first + ttft.by),
        };
        Some(QueueVerdict { growth, queue })
    }
}

/// How much the last third of some numbers is above the first.
#[derive(Debug, Clone, Copy)]
struct Rise {
    first: f64,
    by: f64,
    /// The square of the standard error of `by`, were they independent of each other.
    variance: f64,
}

impl Rise {
    fn of(numbers: &[f64]) -> Option<Self> {
        let third = numbers.len() / 3;
        if third < THIRD {
            return None;
        }
        let (first, before) = spread(&numbers[..third])?;
        let (last, after) = spread(&numbers[numbers.len() - third..])?;
        Some(Self { first, by: last - first, variance: (before + after) / third as f64 })
    }

    /// Of several parts together.
    fn over(rises: impl Iterator<Item = Self>) -> Option<Self> {
        let rises: Vec<Self> = rises.collect();
        let n = rises.len() as f64;
        let mean = |of: fn(&Self) -> f64| stats::mean(&rises.iter().map(of).collect::<Vec<_>>());
        Some(Self {
            first: mean(|rise| rise.first)?,
            by: mean(|rise| rise.by)?,
            variance: mean(|rise| rise.variance)? / n,
        })
    }

    fn is_clear(&self) -> bool {
        self.by > APART * self.variance.sqrt() && self.by > MORE * self.first
    }
}

/// Mean and variance.
fn spread(numbers: &[f64]) -> Option<(f64, f64)> {
    let mean = stats::mean(numbers)?;
    let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
    Some((mean, squares / (numbers.len().saturating_sub(1).max(1)) as f64))
}

/// What one part says.
struct Part {
    requests: usize,
    /// From the first to the last that was due.
    seconds: f64,
    ttft: Option<Rise>,
    whole: Option<Rise>,
    /// How many were in flight when each came, after the first answers could have come.
    crowd: Option<Rise>,
    long_enough: bool,
    busy: Option<Busy>,
    /// How many ended from when the first answers could have come to when the last request was due, and how long that was.
    ended: (usize, f64),
}

impl Part {
    fn new(intervals: &[RequestInterval]) -> Option<Self> {
        let mut intervals = intervals.to_vec();
        intervals.sort_by(|a, b| a.due.total_cmp(&b.due));
        let (begin, last) = (intervals.first()?.due, intervals.last()?.due);
        let waited: Vec<f64> = intervals.iter().filter_map(|one| Some(one.first? - one.due)).collect();
        let whole: Vec<f64> = intervals.iter().map(|one| one.end - one.due).collect();
        let answer = stats::mean(&whole[..whole.len().min(ENDS)])?;
        let full = begin + answer;
        let mut ends: Vec<f64> = intervals.iter().map(|one| one.end).collect();
        ends.sort_by(f64::total_cmp);
        let in_flight = |(before, one): (usize, &RequestInterval)| {
            before as f64 - ends.partition_point(|end| *end <= one.due) as f64
        };
        let crowd: Vec<f64> = intervals.iter().enumerate().filter(|(_, one)| one.due >= full).map(in_flight).collect();
        Some(Self {
            requests: intervals.len(),
            seconds: last - begin,
            ttft: Rise::of(&waited),
            whole: Rise::of(&whole),
            crowd: Rise::of(&crowd),
            long_enough: last - begin >= ANSWERS * answer,
            busy: Busy::of(&intervals, &ends, full, last),
            ended: (ends.iter().filter(|end| (full..=last).contains(end)).count(), (last - full).max(0.0)),
        })
    }

    /// What ended per second of several parts, while requests still came.
    fn ended(parts: &[Self]) -> Option<f64> {
        let (ended, seconds) = parts.iter().fold((0, 0.0), |sum, part| (sum.0 + part.ended.0, sum.1 + part.ended.1));
        (seconds > 0.0).then(|| ended as f64 / seconds)
    }
}

/// The half of the time in which most were in flight; what was left when the last had come is worked off in it, too.
struct Busy {
    seconds: f64,
    /// How many ended in each of the pieces.
    ended: [usize; PIECES],
}

impl Busy {
    fn of(intervals: &[RequestInterval], ends: &[f64], from: f64, last: f64) -> Option<Self> {
        let mut steps: Vec<(f64, i64)> = intervals.iter().map(|one| (one.due, 1)).collect();
        steps.extend(ends.iter().map(|end| (*end, -1)));
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let enough = usual(&steps, from, last)?;
        let (mut in_flight, mut before, mut seconds, mut marks) = (0, f64::NEG_INFINITY, 0.0, Vec::new());
        for (at, by) in steps {
            if in_flight >= enough && at > from {
                seconds += at - before.max(from);
                if by < 0 {
                    marks.push(seconds);
                }
            }
            in_flight += by;
            before = at;
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

/// How many were in flight, at least, in the busier half of the time.
fn usual(steps: &[(f64, i64)], from: f64, to: f64) -> Option<i64> {
    let (mut in_flight, mut lasted) = (0, Vec::new());
    for pair in steps.windows(2) {
        in_flight += pair[0].1;
        let seconds = pair[1].0.min(to) - pair[0].0.max(from);
        if seconds > 0.0 {
            lasted.push((in_flight, seconds));
        }
    }
    lasted.sort_by_key(|(in_flight, _)| *in_flight);
    let half = lasted.iter().map(|(_, seconds)| seconds).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    let mut passed = lasted.iter().skip_while(|(_, seconds)| {
        sum += seconds;
        sum < half
    });
    passed.next().map(|(in_flight, _)| *in_flight)
}

/// What ended per second in the busy time of all parts.
struct Ends {
    number: usize,
    per_second: f64,
    error: f64,
    pieces: usize,
}

impl Ends {
    fn over(parts: &[Part]) -> Option<Self> {
        let busy: Vec<&Busy> = parts.iter().filter_map(|part| part.busy.as_ref()).collect();
        let seconds: f64 = busy.iter().map(|busy| busy.seconds).sum();
        let number: usize = busy.iter().flat_map(|busy| busy.ended).sum();
        let pieces = busy.len() * PIECES;
        let per_second = number as f64 / seconds;
        let off = |busy: &&Busy| {
            let each = busy.seconds / PIECES as f64;
            busy.ended.iter().map(|ended| (*ended as f64 - per_second * each).powi(2)).sum::<f64>()
        };
        let squares: f64 = busy.iter().map(off).sum();
        let n = pieces as f64;
        (number > 0).then(|| Self { number, per_second, error: (squares / (n - 1.0) * n).sqrt() / seconds, pieces })
    }

    /// What it may be at the most: in one of a hundred cases more. Student's t at one sided 1 %, which `2.33 + 4.7 / df` is within 0.05
    /// of from seven degrees of freedom on.
    fn at_most(&self) -> f64 {
        self.per_second + (2.33 + 4.7 / (self.pieces - 1) as f64) * self.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::arrivals::{Arrival, Arrivals};
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand_distr::{Distribution, Exp1};
    use std::time::Duration;

    /// A server.
    #[derive(Debug, Clone, Copy)]
    struct Server {
        /// How many answers it gives at once.
        slots: usize,
        /// How long one takes, in seconds.
        answer: f64,
        /// Whether that is only its mean, and lengths are as different as can be.
        random: bool,
    }

    impl Server {
        fn capacity(self) -> f64 {
            self.slots as f64 / self.answer
        }

        /// What becomes of requests that are due at these moments: first come, first served.
        fn serve(self, due: impl Iterator<Item = f64>, seed: u64) -> Vec<RequestInterval> {
            let (mut free, mut random) = (vec![0.0; self.slots], StdRng::seed_from_u64(seed));
            due.map(|due| {
                let length: f64 = if self.random { Exp1.sample(&mut random) } else { 1.0 };
                let slot = (0..self.slots).min_by(|a, b| f64::total_cmp(&free[*a], &free[*b])).unwrap();
                let begin = free[slot].max(due);
                free[slot] = begin + self.answer * length;
                RequestInterval { due, first: Some(begin + self.answer.min(0.1) / 2.0), end: free[slot] }
            })
            .collect()
        }

        /// What is said of it after so many parts at a share of its capacity.
        fn verdict(self, share: f64, arrival: Arrival, seconds: f64, seeds: impl Iterator<Item = u64>) -> Growth {
            let rate = self.capacity() * share;
            let part = |seed| {
                let arrivals = Arrivals::new(rate, arrival, Duration::ZERO, seed).map(|at| at.as_secs_f64());
                self.serve(arrivals.take_while(|at| *at < seconds), seed)
            };
            QueueTest { parts: seeds.map(part).collect() }.verdict(rate).unwrap().growth
        }

        /// How often each of them is said in a hundred points of so many seconds with random arrivals: kept up, grows, and neither.
        fn counted(self, share: f64, seconds: f64) -> [usize; 3] {
            let said = (0..100).map(|seed| self.verdict(share, Arrival::Poisson, seconds, seed..seed + 1));
            said.fold([0; 3], |mut counts, growth| {
                let place = match growth {
                    Growth::KeptUp => 0,
                    Growth::Grows => 1,
                    Growth::Unclear | Growth::TooShort => 2,
                };
                counts[place] += 1;
                counts
            })
        }
    }

    const STEADY: Server = Server { slots: 4, answer: 0.195, random: false };
    const RANDOM: Server = Server { random: true, ..STEADY };
    const SLOW: Server = Server { slots: 16, answer: 2.0, random: true };

    #[test]
    fn a_load_that_is_kept_up_with_is_never_said_to_grow_by_chance() {
        for server in [STEADY, RANDOM, SLOW] {
            for share in [0.5, 0.8, 0.9, 0.95] {
                for answers in [20.0, 50.0, 150.0] {
                    let [_, grows, neither] = server.counted(share, answers * server.answer);
                    assert_eq!(grows, 0, "{server:?} {share} {answers}");
                    assert!(neither <= 25, "{server:?} {share} {answers}: {neither}");
                }
            }
        }
    }

    #[test]
    fn a_load_that_is_too_much_is_said_to_grow_and_the_longer_it_is_the_nearer() {
        for (server, share, answers, least) in [
            (STEADY, 1.3, 20.0, 55),
            (STEADY, 1.5, 20.0, 98),
            (STEADY, 1.1, 150.0, 55),
            (RANDOM, 1.5, 20.0, 60),
            (RANDOM, 1.5, 50.0, 95),
            (RANDOM, 1.3, 150.0, 95),
            (SLOW, 1.5, 20.0, 90),
            (SLOW, 2.0, 6.0, 70),
        ] {
            let counts = server.counted(share, answers * server.answer);
            assert!(counts[1] >= least, "{server:?} {share} {answers}: {counts:?}");
        }
    }

    #[test]
    fn several_parts_tell_what_one_cannot() {
        let often = |parts: u64| {
            let said = (0..50).map(|n| RANDOM.verdict(1.3, Arrival::Poisson, 4.0, n * parts..(n + 1) * parts));
            said.filter(|growth| *growth == Growth::Grows).count()
        };
        let (one, four) = (often(1), often(4));
        assert!(one < 25 && four > 35, "{one} {four}");
    }

    #[test]
    fn few_requests_tell_nothing_and_what_is_shorter_than_its_answers_tells_that_it_is() {
        assert_eq!(QueueTest::default().verdict(1.0), None);
        let mut empty = QueueTest::default();
        empty.begin_round();
        assert_eq!(empty.verdict(1.0), None);
        assert_eq!(STEADY.verdict(3.0, Arrival::Constant, 0.2, 0..1), Growth::KeptUp, "twelve requests");
        let slow = Server { slots: 8, answer: 10.0, random: false };
        assert_eq!(slow.verdict(4.0, Arrival::Constant, 15.0, 0..1), Growth::TooShort);
    }

    #[test]
    fn the_numbers_say_what_was_sent_and_what_ended() {
        let part = STEADY.serve((0..104).map(|n| f64::from(n) / 26.0), 1);
        let QueueVerdict { growth, queue } = QueueTest { parts: vec![part] }.verdict(26.0).unwrap();
        assert_eq!((growth, queue.grows), (Growth::Grows, Some(true)));
        assert!((queue.sent_per_second.unwrap() - 26.0).abs() < 1e-9, "{queue:?}");
        assert!((queue.ended_per_second.unwrap() - 20.5).abs() < 1.0, "{queue:?}");
        assert!(queue.ttft_last_third_seconds.unwrap() > 3.0 * queue.ttft_first_third_seconds.unwrap(), "{queue:?}");
    }

    #[test]
    fn only_what_came_by_the_clock_and_was_sent_is_taken() {
        use crate::record::{Failure, FailureKind, Timing};
        let outcome = |start_mono, scheduled, end| Outcome {
            start_mono,
            ttft_seconds: Some(0.25),
            timing_seconds: Some(Timing { scheduled, end, ..Timing::default() }),
            ..Outcome::default()
        };
        let mut backlog = QueueTest::default();
        backlog.add(&outcome(Some(10.0), None, Some(1.0)));
        backlog.add(&outcome(None, Some(-0.5), None));
        backlog.add(&outcome(Some(10.0), Some(-0.5), Some(1.0)));
        let error = Failure { kind: FailureKind::Server, status: None, message: "x".into(), retryable: false };
        backlog.add(&Outcome { error: Some(error), ..outcome(Some(11.0), Some(0.0), Some(1.0)) });
        let expect = [
            RequestInterval { due: 9.5, first: Some(10.25), end: 11.0 },
            RequestInterval { due: 11.0, first: None, end: 12.0 },
        ];
        assert_eq!(backlog.parts, [expect]);
    }

    proptest! {
        /// Where gaps are equal nothing is by chance.
        #[test]
        fn an_even_load_is_too_much_exactly_where_it_is_above_the_capacity(
            slots in 1usize..20, answer in 0.01..20.0f64, share in 0.05..4.0f64, requests in 60u32..300,
        ) {
            let server = Server { slots, answer, random: false };
            let seconds = f64::from(requests) / (server.capacity() * share);
            let growth = server.verdict(share, Arrival::Constant, seconds, 0..1);
            if share <= 1.0 {
                prop_assert_eq!(growth, Growth::KeptUp);
            }
            // Long enough for the queue to show: the waiting at its end is several answers long.
            if share > 1.2 && seconds > 30.0 * answer && f64::from(requests) > 20.0 * slots as f64 {
                prop_assert_eq!(growth, Growth::Grows);
            }
        }

        #[test]
        fn neither_the_order_of_the_requests_nor_the_unit_of_time_matters(seed: u64, share in 0.5..2.0f64, scale in 0.01..100.0f64) {
            let rate = RANDOM.capacity() * share;
            let due = Arrivals::new(rate, Arrival::Poisson, Duration::ZERO, seed).map(|at| at.as_secs_f64()).take(120);
            let part = RANDOM.serve(due, seed);
            let said = |part: Vec<RequestInterval>, rate: f64| QueueTest { parts: vec![part] }.verdict(rate).unwrap().growth;
            let expect = said(part.clone(), rate);
            let mut other: Vec<RequestInterval> = part.iter().rev().copied().collect();
            prop_assert_eq!(said(other.clone(), rate), expect);
            for one in &mut other {
                (one.due, one.first, one.end) = (one.due * scale, one.first.map(|first| first * scale), one.end * scale);
            }
            prop_assert_eq!(said(other, rate / scale), expect);
        }
    }
}
