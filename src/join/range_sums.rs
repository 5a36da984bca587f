//! Sums over any range of a queue, in steps that grow with the logarithm of its length only.
//!
//! Every 16 items are summed once into an item of the level above. Unlike a difference of running totals, a sum of
//! parts loses no digits in a long run, and it can hold a minimum and a maximum too.

use std::collections::VecDeque;
use std::ops::Range;

/// How many items are summed into one of the level above.
const GROUP: usize = 16;

/// Something that can be added to what lies before it.
pub trait Sum: Copy {
    /// The sum of this and of `later`, which follows it.
    fn then(self, later: Self) -> Self;
}

/// A queue of items. Their indices stay the same when items of the front are forgotten.
#[derive(Debug)]
pub struct RangeSums<T> {
    levels: Vec<Level<T>>,
}

#[derive(Debug)]
struct Level<T> {
    /// The index of the first item that is held.
    first: usize,
    items: VecDeque<T>,
}

impl<T> Level<T> {
    fn end(&self) -> usize {
        self.first + self.items.len()
    }
}

impl<T> Default for RangeSums<T> {
    fn default() -> Self {
        Self { levels: vec![Level { first: 0, items: VecDeque::new() }] }
    }
}

impl<T: Sum> RangeSums<T> {
    /// The index of the next item.
    pub fn end(&self) -> usize {
        self.levels[0].end()
    }

    /// Appends an item.
    pub fn push(&mut self, item: T) {
        self.levels[0].items.push_back(item);
        let mut lower = 0;
        while self.levels[lower].end().is_multiple_of(GROUP) && self.levels[lower].items.len() >= GROUP {
            let group = &self.levels[lower];
            let sum = group.items.range(group.items.len() - GROUP..).copied().reduce(T::then);
            let Some(sum) = sum else { return };
            let index = group.end() / GROUP - 1;
            lower += 1;
            if lower == self.levels.len() {
                self.levels.push(Level { first: index, items: VecDeque::new() });
            }
            let upper = &mut self.levels[lower];
            if upper.items.is_empty() {
                upper.first = index;
            }
            upper.items.push_back(sum);
        }
    }

    /// Drops the items from `end` on.
    pub fn truncate(&mut self, mut end: usize) {
        for level in &mut self.levels {
            level.items.truncate(end.saturating_sub(level.first));
            end /= GROUP;
        }
    }

    /// Drops the items before `first`, whether or not they were appended.
    pub fn forget(&mut self, mut first: usize) {
        for level in &mut self.levels {
            let count = first.saturating_sub(level.first).min(level.items.len());
            level.items.drain(..count);
            level.first = if level.items.is_empty() { first } else { level.first + count };
            first = first.div_ceil(GROUP);
        }
    }

    /// The sum of a range; `None` for an empty one. All of its items must be held.
    pub fn sum(&self, range: Range<usize>) -> Option<T> {
        let Range { mut start, mut end } = range;
        let (mut before, mut after): (Option<T>, Option<T>) = (None, None);
        for level in &self.levels {
            let item = |index: usize| level.items[index - level.first];
            while start < end && !start.is_multiple_of(GROUP) {
                before = Some(before.map_or(item(start), |sum| sum.then(item(start))));
                start += 1;
            }
            while start < end && !end.is_multiple_of(GROUP) {
                end -= 1;
                after = Some(after.map_or(item(end), |sum| item(end).then(sum)));
            }
            (start, end) = (start / GROUP, end / GROUP);
            if start >= end {
                break;
            }
        }
        match (before, after) {
            (Some(before), Some(after)) => Some(before.then(after)),
            (before, after) => before.or(after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A text of numbers: the order of parts matters, and nothing rounds.
    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Span(usize, usize);

    impl Sum for Span {
        fn then(self, later: Self) -> Self {
            assert_eq!(self.1, later.0, "parts follow each other");
            Span(self.0, later.1)
        }
    }

    proptest! {
        #[test]
        fn every_range_is_the_sum_of_its_items(
            steps in proptest::collection::vec((0..400usize, 0..4usize, 0.0..1.0f64), 1..30),
            from in 0.0..1.0f64, to in 0.0..1.0f64,
        ) {
            let mut sums = RangeSums::default();
            let mut first = 0;
            for (count, what, part) in steps {
                let within = first + ((sums.end() - first) as f64 * part) as usize;
                match what {
                    0 => { sums.forget(within); first = within; }
                    1 => sums.truncate(within),
                    _ => (0..count).for_each(|_| { let end = sums.end(); sums.push(Span(end, end + 1)); }),
                }
                let held = (sums.end() - first) as f64;
                let (a, b) = (first + (held * from.min(to)) as usize, first + (held * from.max(to)) as usize);
                prop_assert_eq!(sums.sum(a..b), (a < b).then_some(Span(a, b)));
            }
        }
    }
}
