//! Which prompts a group asked: a digest of all of their ids, of a size that does not grow with them.
//!
//! It keeps the smallest hashes (a bottom-k sketch: Broder 1997, Cohen and Kaplan 2007). Up to [`KEPT`] different prompts it is
//! exact. Of more it is a sample that every group draws alike, because the same id has the same hash everywhere: what two
//! groups have in common below the last hash that both would have kept is what they have in common at all, within a few percent.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many hashes are kept.
const KEPT: usize = 1024;

/// The digest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompts(BTreeSet<u64>);

impl Prompts {
    /// Notes that a prompt was asked, by its id.
    pub fn note(&mut self, id: &str) {
        // Without a key of its own: the same in all groups, and in every process.
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        self.keep(hasher.finish());
    }

    /// Notes everything that `other` noted.
    pub fn merge(&mut self, other: &Prompts) {
        other.0.iter().for_each(|hash| self.keep(*hash));
    }

    /// Whether at least half of the prompts of the one that asked fewer were asked by the other too; also where nothing tells
    /// otherwise.
    pub fn alike(&self, other: &Prompts) -> bool {
        // Beyond the last hash of a digest that is full there may be others, which it has forgotten.
        let known = self.reach().min(other.reach());
        let below = |one: &Prompts| one.0.range(..=known).count();
        let both = self.0.range(..=known).filter(|hash| other.0.contains(hash)).count();
        2 * both >= below(self).min(below(other))
    }

    fn keep(&mut self, hash: u64) {
        if self.0.len() == KEPT && hash > self.reach() {
            return;
        }
        self.0.insert(hash);
        if self.0.len() > KEPT {
            self.0.pop_last();
        }
    }

    /// Up to which hash it knows all that were asked.
    fn reach(&self) -> u64 {
        if self.0.len() < KEPT { u64::MAX } else { self.0.last().copied().unwrap_or(u64::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    fn asked(ids: Range<u32>) -> Prompts {
        let mut prompts = Prompts::default();
        ids.for_each(|id| prompts.note(&format!("p{id}")));
        prompts
    }

    #[test]
    fn half_of_what_the_one_with_fewer_asked_is_enough() {
        for (a, b, alike) in [
            (0..0, 0..0, true),
            (0..0, 0..9, true),
            (0..1, 1..2, false),
            (0..40, 40..80, false),
            (0..4, 2..9, true),
            (0..4, 3..9, false),
            // More than are kept, asked in another order by the one than by the other.
            (0..100_000, 0..100_000, true),
            (0..100_000, 40_000..140_000, true),
            (0..100_000, 60_000..160_000, false),
            (0..100_000, 100_000..200_000, false),
            (0..50_000, 0..5_000, true),
            (0..50_000, 50_000..55_000, false),
        ] {
            let (one, other) = (asked(a.clone()), asked(b.clone()));
            assert_eq!((one.alike(&other), other.alike(&one)), (alike, alike), "{a:?} {b:?}");
            assert!(one.0.len() <= KEPT);
        }
    }

    #[test]
    fn in_whatever_order_and_parts_they_come_the_digest_is_the_same() {
        let whole = asked(0..5000);
        let mut parts = asked(2000..5000);
        parts.merge(&asked(0..2500));
        assert_eq!(whole, parts);
        let mut backwards = Prompts::default();
        (0..5000).rev().for_each(|id| backwards.note(&format!("p{id}")));
        assert_eq!(whole, backwards);
    }
}
