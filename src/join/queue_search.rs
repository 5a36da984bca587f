//! Places in a queue that is in order, sought from its front: what was before has been forgotten, so what is asked for
//! is rarely far.

use std::collections::VecDeque;

/// How many items of the front are `before` what is sought: all of those, and none behind them, must be.
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
