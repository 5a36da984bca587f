//! Estimates as records have them: watts, phases, coverage and quality.

use super::domains::numbered;
use super::power_segment::Estimate;
use crate::clock::micros;
use crate::record::{PhaseEnergy, Quality, Watts};

/// Less than this covered part of a request is called partial.
const COVERED: f64 = 0.95;

/// Bounds within this part of the estimate are called good.
const GOOD: f64 = 0.10;

/// How far to trust an estimate for a request of `length` seconds.
pub fn quality(estimate: Option<&Estimate>, length: f64) -> Quality {
    let Some(estimate) = estimate.filter(|estimate| estimate.covered > 0.0) else { return Quality::None };
    let near = |a: f64, b: f64, part: f64| (a - b).abs() <= part * b.abs();
    if estimate.covered < COVERED * length {
        Quality::Partial
    } else if near(estimate.lower, estimate.upper, 1e-9) {
        Quality::Exact
    } else if length < 2.0 * estimate.touched / estimate.samples as f64 {
        Quality::SubInterval
    } else if near(estimate.lower, estimate.energy, GOOD) && near(estimate.upper, estimate.energy, GOOD) {
        Quality::Good
    } else {
        Quality::Coarse
    }
}

/// The covered part of `length` seconds, 0 to 1.
pub fn coverage(estimate: Option<&Estimate>, length: f64) -> f64 {
    estimate.map_or(0.0, |estimate| micros(estimate.covered / length).min(1.0))
}

/// Watts over the covered part.
pub fn watts(estimate: &Estimate) -> Watts {
    Watts {
        avg: round(estimate.gross / estimate.covered),
        min: round(estimate.min),
        max: round(estimate.max),
        samples: Some(estimate.samples),
    }
}

/// The energy of a phase of `length` seconds.
pub fn phase(estimate: Option<Estimate>, length: f64) -> PhaseEnergy {
    PhaseEnergy {
        energy_joules: estimate.map(|e| round(e.energy)),
        energy_lower_joules: estimate.map(|e| round(e.lower)),
        energy_upper_joules: estimate.map(|e| round(e.upper)),
        avg_watts: estimate.map(|e| round(e.gross / e.covered)),
        coverage: Some(coverage(estimate.as_ref(), length)),
        quality: Some(quality(estimate.as_ref(), length)),
    }
}

/// Watts of several domains that add up to one: `package-0` and `package-1` to the processor.
pub fn together(domains: &[(&str, Estimate)], plain: &str, stem: &str) -> Option<Watts> {
    if let Some((_, estimate)) = domains.iter().find(|(domain, _)| *domain == plain) {
        return Some(watts(estimate));
    }
    let parts = domains.iter().filter(|(domain, _)| numbered(domain, stem));
    let sum = parts.fold(None, |sum, (_, estimate)| Some(estimate.and(sum)));
    sum.map(|estimate| watts(&estimate))
}

/// Energy per token.
#[derive(Debug, Clone, Copy)]
pub struct PerToken {
    /// Joules for each output token.
    pub joules_per_output_token: Option<f64>,
    /// Joules for each token, input and output.
    pub joules_per_total_token: Option<f64>,
    /// Output tokens for each joule.
    pub output_tokens_per_joule: Option<f64>,
    /// Watt-hours for a thousand output tokens.
    pub wh_per_1k_output_tokens: Option<f64>,
}

impl PerToken {
    /// `joules` per `input` and `output` token, as far as they are known.
    pub fn new(joules: Option<f64>, input: Option<u64>, output: Option<u64>) -> Self {
        let output = output.filter(|&tokens| tokens > 0).map(|tokens| tokens as f64);
        let total = output.zip(input).map(|(output, input)| output + input as f64);
        let per = |tokens: Option<f64>| joules.zip(tokens).map(|(joules, tokens)| joules / tokens);
        let rate = output.zip(joules).map(|(tokens, joules)| tokens / joules);
        Self {
            joules_per_output_token: per(output).map(round),
            joules_per_total_token: per(total).map(round),
            output_tokens_per_joule: rate.filter(|rate| rate.is_finite()).map(round),
            wh_per_1k_output_tokens: per(output).map(|joules| round(joules / 3.6)),
        }
    }
}

/// Ten significant digits: more than any meter has, and enough for parts to add up to their whole.
pub fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 9 - decade(value.abs());
    let Some(&scale) = TENS.get(digits.unsigned_abs() as usize) else { return far(value, digits) };
    if digits >= 0 { (value * scale).round() / scale } else { (value / scale).round() * scale }
}

/// The same where the powers of ten are not exact.
fn far(value: f64, digits: i32) -> f64 {
    if !(-300..=300).contains(&digits) {
        return value;
    }
    let scale = 10f64.powi(digits.abs());
    if digits >= 0 { (value * scale).round() / scale } else { (value / scale).round() * scale }
}

/// The powers of ten that a double holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The exponent of ten of a positive number: 0 for 1 to 10. A logarithm gives it too, but this runs thirty times
/// for each result.
fn decade(size: f64) -> i32 {
    let twos = ((size.to_bits() >> 52) as i32) - 1023;
    if !(-60..=60).contains(&twos) {
        return size.log10().floor() as i32;
    }
    // 1233 / 4096 is a little less than the logarithm of 2: it is this decade, or the next.
    let tens = (twos * 1233) >> 12;
    let next = tens + 1;
    let bound = if next >= 0 { TENS[next as usize] } else { 1.0 / TENS[-next as usize] };
    if size >= bound { next } else { tens }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_says_how_far_to_trust() {
        let e = |lower: f64, upper: f64, covered: f64, samples: u64, touched: f64| Estimate {
            energy: 100.0,
            lower,
            upper,
            gross: 100.0,
            covered,
            share_seconds: covered,
            min: 1.0,
            max: 1.0,
            samples,
            contained: 0,
            touched,
        };
        for (estimate, length, expect) in [
            (None, 10.0, Quality::None),
            (Some(e(100.0, 100.0, 10.0, 10, 10.0)), 10.0, Quality::Exact),
            (Some(e(92.0, 109.0, 10.0, 11, 11.0)), 10.0, Quality::Good),
            (Some(e(89.0, 109.0, 10.0, 11, 11.0)), 10.0, Quality::Coarse),
            (Some(e(92.0, 111.0, 10.0, 11, 11.0)), 10.0, Quality::Coarse),
            (Some(e(0.0, 200.0, 1.5, 3, 3.0)), 1.5, Quality::SubInterval),
            (Some(e(100.0, 100.0, 1.0, 1, 1.0)), 1.0, Quality::Exact),
            (Some(e(100.0, 100.0, 9.4, 10, 10.0)), 10.0, Quality::Partial),
            (Some(e(100.0, 100.0, 0.0, 0, 0.0)), 10.0, Quality::None),
        ] {
            assert_eq!(quality(estimate.as_ref(), length), expect, "{estimate:?}");
        }
    }

    #[test]
    fn the_decade_is_that_of_the_logarithm() {
        for exponent in -18..=18 {
            let ten: f64 = format!("1e{exponent}").parse().unwrap();
            for (size, expect) in [(ten, exponent), (ten.next_down(), exponent - 1), (ten * 3.0, exponent)] {
                assert_eq!(decade(size), expect, "{size:e}");
            }
        }
    }

    #[test]
    fn ten_digits_are_kept() {
        for (value, expect) in [
            (0.1 + 0.2, 0.3),
            (0.0, 0.0),
            (123_456_789_012_345.6, 123_456_789_000_000.0),
            (-1.0 / 3.0, -0.333_333_333_3),
            (1e-300, 1e-300),
            (5e-324, 5e-324),
        ] {
            assert_eq!(round(value), expect);
        }
        assert!(round(f64::INFINITY).is_infinite());
    }
}
