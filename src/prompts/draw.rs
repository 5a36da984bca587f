//! Draws that are the same in every version of this program, on every machine: a load that is described by a seed can be
//! sent again years later.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014); normal numbers by Box and
//! Muller. Not for secrets.

/// A stream of draws.
#[derive(Debug, Clone)]
pub struct Draws(u64);

impl Draws {
    /// The draws of a purpose under a seed.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut draws = Self(seed);
        // Seeds and purposes are small numbers side by side; their streams must not be.
        let mixed = draws.next() ^ purpose.wrapping_mul(0xd134_2543_de82_ef95);
        Self(mixed)
    }

    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A whole number below `end`; 0 when that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of a product: the bias is below 2⁻⁶⁴·end.
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A number above 0 and up to 1.
    pub fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A number of the standard normal distribution.
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// An even choice of so many of a stream of unknown length, in the stream's order; everything without a limit. Holds no
/// more than it chooses (Vitter's algorithm R).
#[derive(Debug)]
pub struct Sample<T> {
    limit: Option<usize>,
    seen: u64,
    kept: Vec<(u64, T)>,
    draws: Draws,
}

impl<T> Sample<T> {
    /// A choice of `limit` under a seed.
    pub fn new(limit: Option<usize>, seed: u64) -> Self {
        Self { limit, seen: 0, kept: Vec::new(), draws: Draws::new(seed, u64::from_le_bytes(*b"sample\0\0")) }
    }

    /// The next of the stream.
    pub fn push(&mut self, item: T) {
        let number = self.seen;
        self.seen += 1;
        match self.limit {
            Some(limit) if self.kept.len() >= limit => {
                let place = self.draws.below(self.seen);
                if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
                    *kept = (number, item);
                }
            }
            _ => self.kept.push((number, item)),
        }
    }

    /// What was chosen, in the stream's order.
    pub fn chosen(mut self) -> Vec<T> {
        self.kept.sort_by_key(|(number, _)| *number);
        self.kept.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_the_same_in_every_version() {
        let mut draws = Draws(0);
        // The published first outputs of SplitMix64 for the seed 0.
        assert_eq!([draws.next(), draws.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_ne!(Draws::new(0, 1).next(), Draws::new(0, 2).next());
        assert_ne!(Draws::new(1, 0).next(), Draws::new(0, 0).next());
    }

    #[test]
    fn numbers_have_their_range_and_their_spread() {
        let mut draws = Draws::new(7, 7);
        assert_eq!((draws.below(0), draws.below(1)), (0, 0));
        assert!((0..1000).all(|_| draws.below(10) < 10));
        let normal: Vec<f64> = (0..4000).map(|_| draws.normal()).collect();
        let mean = normal.iter().sum::<f64>() / 4000.0;
        let variance = normal.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.08 && (variance - 1.0).abs() < 0.1, "{mean} {variance}");
    }

    #[test]
    fn a_sample_is_even_in_order_and_no_larger_than_asked() {
        let choose = |limit, seed| {
            let mut sample = Sample::new(limit, seed);
            (0..100).for_each(|n| sample.push(n));
            sample.chosen()
        };
        assert_eq!(choose(None, 0), (0..100).collect::<Vec<_>>());
        assert_eq!(choose(Some(200), 0).len(), 100);
        let ten = choose(Some(10), 0);
        assert_eq!(ten.len(), 10);
        assert!(ten.is_sorted());
        assert_eq!(ten, choose(Some(10), 0));
        assert_ne!(ten, choose(Some(10), 1));
        let mut hits = [0; 100];
        (0..2000).flat_map(|seed| choose(Some(10), seed)).for_each(|n: usize| hits[n] += 1);
        assert!(hits.iter().all(|&hits| (120..280).contains(&hits)), "{hits:?}");
    }
}
