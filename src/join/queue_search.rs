//! Binary search in a sorted queue, from its front: what lay before has been forgotten, so the place is rarely far.

use std::collections::VecDeque;

/// How many items at the front are `before` a place: the items must be sorted by that.
pub fn count_before<T>(items: &VecDeque<T>, before: impl Fn(&T) -> bool) -> usize {
    let (mut low, mut leap) = (0, 1);
    while leap <= items.len() && before(&items[leap - 1]) {
        low = leap;
        leap *= 2;
    }
    let mut high = items.len().min(leap - 1);
    while low < high {
        let middle = low.midpoint(high);
        if before(&items[middle]) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_in_queues_of_every_length_is_found() {
        for length in 0..70_usize {
            let items: VecDeque<usize> = (0..length).collect();
            for place in 0..=length {
                assert_eq!(count_before(&items, |&item| item < place), place, "of {length}");
            }
        }
    }
}
