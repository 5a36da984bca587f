//! Lengths in tokens, as users write them: fixed, around a mean, or between two numbers.

use super::draw::Draws;
use std::fmt;

/// The longest text that is made, in tokens: a slip of the finger should not fill a disk.
pub const LONGEST: u64 = 10_000_000;

/// How long something is to be, in tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lengths {
    /// Always so long.
    Fixed(u64),
    /// Normal, with this mean and standard deviation; what would be below 1 is drawn again.
    Normal(u64, f64),
    /// Evenly from one to the other, both included.
    Uniform(u64, u64),
}

impl Lengths {
    /// Reads `512`, `512±64` (or `512+-64`), `256..1024`.
    ///
    /// # Errors
    /// When it is none of these, or a length is not between 1 and [`LONGEST`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let length = |text: &str| match text.trim().parse::<u64>() {
            Ok(n) if (1..=LONGEST).contains(&n) => Ok(n),
            Ok(n) => Err(format!("{n} tokens: not between 1 and {LONGEST}")),
            Err(_) => Err(format!("`{text}`: not 512, 512±64 or 256..1024")),
        };
        if let Some((mean, spread)) = text.split_once('±').or_else(|| text.split_once("+-")) {
            let mean = length(mean)?;
            let spread = spread.trim().parse::<f64>().ok().filter(|sd| (0.0..=mean as f64).contains(sd));
            let spread =
                spread.ok_or_else(|| format!("`{text}`: a standard deviation from 0 to the mean is wanted"))?;
            return Ok(if spread == 0.0 { Self::Fixed(mean) } else { Self::Normal(mean, spread) });
        }
        if let Some((from, to)) = text.split_once("..") {
            let (from, to) = (length(from)?, length(to.trim_start_matches('='))?);
            return if from <= to {
                Ok(Self::Uniform(from, to))
            } else {
                Err(format!("`{text}`: the first length is above the second"))
            };
        }
        length(text).map(Self::Fixed)
    }

    /// One length: at least 1, at most [`LONGEST`].
    pub fn draw(self, draws: &mut Draws) -> u64 {
        match self {
            Self::Fixed(length) => length,
            Self::Uniform(from, to) => from + draws.below(to - from + 1),
            Self::Normal(mean, spread) => loop {
                let length = (mean as f64 + spread * draws.normal()).round();
                if (1.0..=LONGEST as f64).contains(&length) {
                    return length as u64;
                }
            },
        }
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Normal(mean, spread) => write!(f, "{mean}±{spread}"),
            Self::Uniform(from, to) => write!(f, "{from}..{to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_users_write_them() {
        for (text, expect) in [
            ("512", Some("512")),
            ("512±64", Some("512±64")),
            ("512+-64", Some("512±64")),
            ("512±0", Some("512")),
            ("256..1024", Some("256..1024")),
            ("256..=1024", Some("256..1024")),
            ("0", None),
            ("-5", None),
            ("512±600", None),
            ("512±nan", None),
            ("1024..256", None),
            ("99999999999", None),
            ("many", None),
            ("", None),
        ] {
            assert_eq!(Lengths::parse(text).ok().map(|lengths| lengths.to_string()).as_deref(), expect, "{text}");
        }
    }

    #[test]
    fn draws_keep_to_what_was_asked() {
        let mut draws = Draws::new(1, 1);
        let mut drawn = |lengths: Lengths| -> Vec<u64> { (0..2000).map(|_| lengths.draw(&mut draws)).collect() };
        assert!(drawn(Lengths::Fixed(5)).iter().all(|&n| n == 5));
        let even = drawn(Lengths::Uniform(10, 12));
        assert!([10, 11, 12].iter().all(|n| even.contains(n)) && even.iter().all(|n| (10..=12).contains(n)));
        let around = drawn(Lengths::Normal(512, 64.0));
        let mean = around.iter().sum::<u64>() as f64 / 2000.0;
        assert!((mean - 512.0).abs() < 8.0, "{mean}");
        assert!(drawn(Lengths::Normal(1, 1.0)).iter().all(|&n| n >= 1));
    }
}
