//! The arrival times of an open loop: pure arithmetic over rate, spacing, ramp and seed.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Exp1};
use std::time::Duration;

/// The spacing of arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Arrival {
    /// Independent of each other, as those of many users: exponential gaps.
    Poisson,
    /// Equal gaps.
    Constant,
}

/// The due times of an open loop since its beginning, in order and without end.
///
/// The rate rises linearly through the ramp, so `rate · ramp / 2` requests arrive in it, and stays.
#[derive(Debug)]
pub struct Arrivals {
    rate: f64,
    ramp: f64,
    spacing: Option<StdRng>,
    /// The number of requests that should have arrived: the integral of the rate.
    due: f64,
}

impl Arrivals {
    /// Arrivals at `rate` per second after `ramp`; the same for the same seed.
    pub fn new(rate: f64, arrival: Arrival, ramp: Duration, seed: u64) -> Self {
        let mut arrivals = Self { rate, ramp: ramp.as_secs_f64(), spacing: None, due: 0.0 };
        if arrival == Arrival::Poisson {
            let mut random = StdRng::seed_from_u64(seed);
            arrivals.due = Exp1.sample(&mut random);
            arrivals.spacing = Some(random);
        }
        arrivals
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let in_ramp = self.rate * self.ramp / 2.0;
        let at = if self.due < in_ramp {
            (2.0 * self.due * self.ramp / self.rate).sqrt()
        } else {
            self.ramp + (self.due - in_ramp) / self.rate
        };
        self.due += match &mut self.spacing {
            None => 1.0,
            Some(random) => Exp1.sample(random),
        };
        // A time beyond any clock ends the schedule.
        Duration::try_from_secs_f64(at).ok()
    }
}

/// When the `n`th of `workers` begins in a ramp: one by one, the first at once.
pub fn ramped(ramp: Duration, n: u64, workers: u64) -> Duration {
    ramp.mul_f64(n as f64 / workers.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NO_RAMP: Duration = Duration::ZERO;

    #[test]
    fn constant_arrivals_have_equal_gaps_after_the_ramp() {
        let at = |ramp, n| -> Vec<f64> {
            let arrivals = Arrivals::new(4.0, Arrival::Constant, Duration::from_secs(ramp), 1);
            arrivals.take(n).map(|at| (at.as_secs_f64() * 1000.0).round() / 1000.0).collect()
        };
        assert_eq!(at(0, 4), [0.0, 0.25, 0.5, 0.75]);
        // Four requests in a ramp of two seconds: half of what the full rate brings.
        assert_eq!(at(2, 7), [0.0, 1.0, 1.414, 1.732, 2.0, 2.25, 2.5]);
    }

    #[test]
    fn poisson_arrivals_follow_the_seed() {
        let gaps = |seed, n| {
            let at: Vec<f64> =
                Arrivals::new(50.0, Arrival::Poisson, NO_RAMP, seed).take(n).map(|at| at.as_secs_f64()).collect();
            at.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<f64>>()
        };
        assert_eq!(gaps(7, 50), gaps(7, 50));
        assert_ne!(gaps(7, 50), gaps(8, 50));
        let gaps = gaps(1, 20_001);
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let spread = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((mean - 0.02).abs() < 0.0006, "{mean}");
        assert!((spread / mean - 1.0).abs() < 0.04, "{spread}");
    }

    #[test]
    fn workers_of_a_ramp_begin_one_by_one() {
        let second = Duration::from_secs(1);
        assert_eq!((0..4).map(|n| ramped(second, n, 4).as_millis()).collect::<Vec<_>>(), [0, 250, 500, 750]);
        assert_eq!(ramped(NO_RAMP, 3, 4), NO_RAMP);
        assert_eq!(ramped(second, 0, 0), NO_RAMP);
    }

    proptest! {
        #[test]
        fn arrivals_are_in_order_and_shifted_by_the_ramp(
            rate in 0.01..5000.0f64, ramp in 0.0..20.0f64, seed: u64, constant: bool,
        ) {
            let arrival = if constant { Arrival::Constant } else { Arrival::Poisson };
            let with = |ramp| Arrivals::new(rate, arrival, Duration::from_secs_f64(ramp), seed).take(200);
            let (ramped, plain): (Vec<_>, Vec<_>) = (with(ramp).collect(), with(0.0).collect());
            prop_assert!(ramped.is_sorted() && plain.is_sorted());
            for (late, early) in ramped.iter().zip(&plain) {
                // After the ramp the schedule is the plain one, half a ramp later; within it, never later than that.
                let shift = late.as_secs_f64() - early.as_secs_f64();
                prop_assert!((-1e-6..=ramp / 2.0 + 1e-6).contains(&shift), "{shift}");
                if late.as_secs_f64() > ramp + 1e-6 {
                    prop_assert!((shift - ramp / 2.0).abs() < 1e-6);
                }
            }
        }
    }
}
