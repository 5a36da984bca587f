//! Percentiles by rank, whether the numbers are kept one by one or counted in classes.

/// The `q`-quantile of `n` numbers by Hyndman and Fan's type 7; `at` returns the number of a rank, from 0.
pub fn quantile(n: u64, q: f64, at: impl Fn(u64) -> f64) -> Option<f64> {
    let last = n.checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, part) = (place.floor() as u64, place.fract());
    let below = at(low.min(last));
    Some(if part > 0.0 { below + (at((low + 1).min(last)) - below) * part } else { below })
}

/// Numbers in ascending order, each with how many there are up to and including it.
pub struct Classes(Vec<(f64, u64)>);

impl Classes {
    /// The classes of numbers in ascending order with their counts.
    pub fn of(counts: impl Iterator<Item = (f64, u64)>) -> Self {
        let mut n = 0u64;
        Self(
            counts
                .map(|(value, count)| {
                    n = n.saturating_add(count);
                    (value, n)
                })
                .collect(),
        )
    }

    /// The `q`-quantile; `None` for no numbers.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let n = self.0.last().map_or(0, |(_, n)| *n);
        quantile(n, q, |rank| self.0[self.0.partition_point(|(_, up_to)| *up_to <= rank)].0)
    }
}

/// About `most` of `n` numbers in ascending order, each with how many it stands for: evenly spaced, and ever closer towards the
/// largest, down to single ones, so that the tail can be drawn too. All of them where there are no more.
pub fn drawn(n: u64, most: u64, at: impl Fn(u64) -> f64) -> Vec<(f64, u64)> {
    let even = (1..=most).map(|i| i * n / most);
    let tail = std::iter::successors(Some(n / most), |left| (*left > 0).then(|| left / 2)).map(|left| n - left);
    let mut bounds: Vec<u64> = even.chain(tail).filter(|bound| *bound > 0).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let before = std::iter::once(0).chain(bounds.iter().copied());
    before.zip(&bounds).map(|(from, to)| (at((from + to - 1) / 2), to - from)).collect()
}
