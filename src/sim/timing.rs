//! When each token is due: pure functions of the settings, the seed and the number of the request.
//!
//! A deadline is an offset from one moment, never a sleep after the one before: whoever is late once is on time again.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal};

/// A number that is always the same, or drawn anew each time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// Always this.
    Fixed(f64),
    /// Evenly between two numbers.
    Uniform(f64, f64),
    /// Exponential, with this mean: gaps of a Poisson process.
    Exponential(f64),
    /// Log-normal, with the mean and the standard deviation of the numbers themselves, not of their logarithms.
    LogNormal(f64, f64),
}

const FORMS: &str = "VALUE, uniform:FROM,TO, exp:MEAN or lognormal:MEAN,SD";

impl Spread {
    /// Reads `200ms`, `uniform:100ms,300ms`, `exp:20ms` or `lognormal:200ms,50ms`; `value` reads one number with its unit.
    ///
    /// # Errors
    /// When the form or a number in it is not understood, or no such distribution exists.
    pub fn parse(text: &str, value: impl Fn(&str) -> Result<f64, String>) -> Result<Self, String> {
        let Some((kind, rest)) = text.split_once(':') else { return value(text).map(Spread::Fixed) };
        let numbers = rest.split(',').map(|n| value(n.trim())).collect::<Result<Vec<_>, _>>()?;
        match (kind, numbers.as_slice()) {
            ("uniform", &[from, to]) if from <= to => Ok(Spread::Uniform(from, to)),
            ("uniform", &[_, _]) => Err("uniform:FROM,TO needs FROM below TO".into()),
            ("exp", &[mean]) if mean > 0.0 => Ok(Spread::Exponential(mean)),
            ("lognormal", &[mean, sd]) if mean > 0.0 => Ok(Spread::LogNormal(mean, sd)),
            ("exp" | "lognormal", [0.0, ..]) => Err("the mean must be above zero".into()),
            _ => Err(format!("not {FORMS}")),
        }
    }

    /// The next number.
    pub fn draw(&self, rng: &mut impl Rng) -> f64 {
        match *self {
            Spread::Fixed(value) => value,
            Spread::Uniform(from, to) => from + (to - from) * rng.random::<f64>(),
            // Parsing has refused the parameters that these constructors refuse.
            Spread::Exponential(mean) => Exp::new(1.0 / mean).map_or(mean, |d| d.sample(rng)),
            Spread::LogNormal(mean, sd) => LogNormal::from_mean_cv(mean, sd / mean).map_or(mean, |d| d.sample(rng)),
        }
    }
}

/// The offsets of `n` tokens from admission, in nanoseconds: the first after `ttft`, each next one a gap later. A fixed
/// gap is multiplied, not summed, so that token k is due at exactly `ttft + k·itl`.
pub fn offsets(ttft: f64, itl: &Spread, gap_factor: f64, n: usize, rng: &mut impl Rng) -> Vec<u64> {
    if let Spread::Fixed(gap) = itl {
        return (0..n).map(|k| nanos(ttft + k as f64 * gap * gap_factor)).collect();
    }
    let mut at = ttft;
    (0..n)
        .map(|k| {
            if k > 0 {
                at += itl.draw(rng) * gap_factor;
            }
            nanos(at)
        })
        .collect()
}

/// Seconds as nanoseconds; what is no time at all is zero.
pub fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// Randomness that follows from the seed and what it is for, and from nothing else.
pub fn rng(seed: u64, purpose: &str, number: u64) -> StdRng {
    StdRng::seed_from_u64(mix(mix(seed, purpose.as_bytes()), &number.to_le_bytes()))
}

/// FNV-1a over `bytes`, begun at `seed`: the same on every machine and in every release.
pub fn mix(seed: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Result<f64, String> {
        text.parse::<f64>().map_err(|why| why.to_string())
    }

    #[test]
    fn a_spread_is_read_or_refused() {
        for (text, expect) in [
            ("0.2", Some(Spread::Fixed(0.2))),
            ("uniform:1,3", Some(Spread::Uniform(1.0, 3.0))),
            ("exp:0.02", Some(Spread::Exponential(0.02))),
            ("lognormal:0.2,0.05", Some(Spread::LogNormal(0.2, 0.05))),
            ("uniform:3,1", None),
            ("uniform:3", None),
            ("exp:0", None),
            ("lognormal:0,1", None),
            ("lognormal:1", None),
            ("gamma:1,2", None),
            ("", None),
        ] {
            assert_eq!(Spread::parse(text, seconds).ok(), expect, "{text}");
        }
    }

    #[test]
    fn a_token_is_due_at_ttft_plus_k_gaps_without_any_sum() {
        let offsets = offsets(0.2, &Spread::Fixed(0.02), 0.5, 100_001, &mut rng(1, "t", 0));
        assert_eq!(offsets[0], 200_000_000);
        assert_eq!(offsets[1], 210_000_000);
        assert_eq!(offsets[100_000], 1_000_200_000_000);
    }

    #[test]
    fn drawn_offsets_rise_and_follow_from_the_seed() {
        let draw = |seed| offsets(0.1, &Spread::Exponential(0.01), 1.0, 50, &mut rng(seed, "gaps", 7));
        let one = draw(1);
        assert!(one.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(one[0], 100_000_000);
        assert_eq!(one, draw(1));
        assert_ne!(one, draw(2));
    }

    #[test]
    fn what_is_drawn_has_the_mean_that_was_asked() {
        for spread in [Spread::Uniform(1.0, 3.0), Spread::Exponential(2.0), Spread::LogNormal(2.0, 0.5)] {
            let mut rng = rng(3, "mean", 0);
            let mean = (0..20_000).map(|_| spread.draw(&mut rng)).sum::<f64>() / 20_000.0;
            assert!((mean - 2.0).abs() < 0.1, "{spread:?}: {mean}");
        }
    }
}
