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
    /// Its concurrent answers.
    slots: usize,
    /// The length of an answer, in seconds.
    answer: f64,
    /// Whether lengths are exponential with that mean.
    random: bool,
}

impl Server {
    fn capacity(self) -> f64 {
        self.slots as f64 / self.answer
    }

    /// Serves requests that are due at these times: first come, first served.
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

    /// The verdict after rounds at a share of its capacity.
    fn growth(self, share: f64, arrival: Arrival, seconds: f64, seeds: impl Iterator<Item = u64>) -> Growth {
        let rate = self.capacity() * share;
        let part = |seed| {
            let arrivals = Arrivals::new(rate, arrival, Duration::ZERO, seed).map(|at| at.as_secs_f64());
            self.serve(arrivals.take_while(|at| *at < seconds), seed)
        };
        QueueTest { rounds: seeds.map(part).collect() }.verdict(rate).unwrap().growth
    }

    /// Of a hundred levels with random arrivals: how many kept up, grow, and are neither.
    fn counted(self, share: f64, seconds: f64) -> [usize; 3] {
        let growths = (0..100).map(|seed| self.growth(share, Arrival::Poisson, seconds, seed..seed + 1));
        growths.fold([0; 3], |mut counts, growth| {
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
fn a_load_below_capacity_never_grows() {
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
fn a_load_above_capacity_grows() {
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
fn several_rounds_tell_more_than_one() {
    let grows = |rounds: u64| {
        let growths = (0..50).map(|n| RANDOM.growth(1.3, Arrival::Poisson, 4.0, n * rounds..(n + 1) * rounds));
        growths.filter(|growth| *growth == Growth::Grows).count()
    };
    let (one, four) = (grows(1), grows(4));
    assert!(one < 25 && four > 35, "{one} {four}");
}

#[test]
fn short_levels_are_kept_up_or_too_short() {
    assert_eq!(QueueTest::default().verdict(1.0), None);
    let mut empty = QueueTest::default();
    empty.begin_round();
    assert_eq!(empty.verdict(1.0), None);
    assert_eq!(STEADY.growth(3.0, Arrival::Constant, 0.2, 0..1), Growth::KeptUp, "twelve requests");
    let slow = Server { slots: 8, answer: 10.0, random: false };
    assert_eq!(slow.growth(4.0, Arrival::Constant, 15.0, 0..1), Growth::TooShort);
}

#[test]
fn the_record_has_sent_and_ended_rates() {
    let part = STEADY.serve((0..104).map(|n| f64::from(n) / 26.0), 1);
    let QueueVerdict { growth, queue } = QueueTest { rounds: vec![part] }.verdict(26.0).unwrap();
    assert_eq!((growth, queue.grows), (Growth::Grows, Some(true)));
    assert!((queue.sent_per_second.unwrap() - 26.0).abs() < 1e-9, "{queue:?}");
    assert!((queue.ended_per_second.unwrap() - 20.5).abs() < 1.0, "{queue:?}");
    assert!(queue.ttft_last_third_seconds.unwrap() > 3.0 * queue.ttft_first_third_seconds.unwrap(), "{queue:?}");
}

#[test]
fn only_requests_that_were_due_and_sent_count() {
    use crate::record::{FailureKind, Timing, fixture};
    let result = |start_mono, scheduled, end| {
        let timing = Timing { scheduled, end, ..Timing::default() };
        fixture::result(1, "m").set(|o| o.start_mono = start_mono).ttft(0.25).timing(timing)
    };
    let mut queue = QueueTest::default();
    queue.add(&result(Some(10.0), None, Some(1.0)));
    queue.add(&result(None, Some(-0.5), None));
    queue.add(&result(Some(10.0), Some(-0.5), Some(1.0)));
    queue.add(&result(Some(11.0), Some(0.0), Some(1.0)).failed(FailureKind::Server));
    let expect = [
        RequestInterval { due: 9.5, first: Some(10.25), end: 11.0 },
        RequestInterval { due: 11.0, first: None, end: 12.0 },
    ];
    assert_eq!(queue.rounds, [expect]);
}

proptest! {
    /// Equal gaps leave nothing to chance. Close to the capacity a few requests may be too few for the
    /// 1 % level: the ends of a piece are whole numbers.
    #[test]
    fn an_even_load_grows_only_above_capacity(
        slots in 1usize..20, answer in 0.01..20.0f64, share in 0.05..4.0f64, requests in 60u32..300,
    ) {
        let server = Server { slots, answer, random: false };
        let seconds = f64::from(requests) / (server.capacity() * share);
        let growth = server.growth(share, Arrival::Constant, seconds, 0..1);
        if share <= 1.0 {
            prop_assert_eq!(growth, Growth::KeptUp);
        }
        // Long enough for the queue to show: the waiting at its end is several answers long.
        if share > 1.2 && seconds > 30.0 * answer && f64::from(requests) > 20.0 * slots as f64 {
            prop_assert!(matches!(growth, Growth::Grows | Growth::Unclear), "{growth:?}");
            if share > 1.4 || requests > 200 && share > 1.3 {
                prop_assert_eq!(growth, Growth::Grows);
            }
        }
    }

    #[test]
    fn order_and_unit_of_time_do_not_matter(seed: u64, share in 0.5..2.0f64, scale in 0.01..100.0f64) {
        let rate = RANDOM.capacity() * share;
        let due = Arrivals::new(rate, Arrival::Poisson, Duration::ZERO, seed).map(|at| at.as_secs_f64()).take(120);
        let part = RANDOM.serve(due, seed);
        let growth = |part: Vec<RequestInterval>, rate: f64| QueueTest { rounds: vec![part] }.verdict(rate).unwrap().growth;
        let expect = growth(part.clone(), rate);
        let mut other: Vec<RequestInterval> = part.iter().rev().copied().collect();
        prop_assert_eq!(growth(other.clone(), rate), expect);
        for one in &mut other {
            (one.due, one.first, one.end) = (one.due * scale, one.first.map(|first| first * scale), one.end * scale);
        }
        prop_assert_eq!(growth(other, rate / scale), expect);
    }
}
