//! The earliest start of everything that is still needed.

use std::collections::BTreeMap;

/// Starts, each as often as it was added.
#[derive(Debug, Default)]
pub struct ActiveStarts(BTreeMap<Moment, u64>);

/// A moment in seconds, in order of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment(pub f64);

impl Eq for Moment {}
impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl ActiveStarts {
    /// Puts a moment in.
    pub fn insert(&mut self, at: f64) {
        *self.0.entry(Moment(at)).or_default() += 1;
    }

    /// Takes it out, once.
    pub fn remove(&mut self, at: f64) {
        if let Some(count) = self.0.get_mut(&Moment(at)) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&Moment(at));
            }
        }
    }

    /// The earliest.
    pub fn first(&self) -> Option<f64> {
        self.0.first_key_value().map(|(at, _)| at.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_the_earliest_of_what_is_still_in() {
        let mut moments = ActiveStarts::default();
        assert_eq!(moments.first(), None);
        [2.0, -1.0, 2.0].into_iter().for_each(|at| moments.insert(at));
        assert_eq!(moments.first(), Some(-1.0));
        moments.remove(-1.0);
        moments.remove(2.0);
        moments.remove(7.0);
        assert_eq!(moments.first(), Some(2.0));
        moments.remove(2.0);
        assert_eq!(moments.first(), None);
    }
}
