//! The order in which people expect names: numbers in them by their value, so that 9 stands before 10.

use std::cmp::Ordering;

/// Compares two names, runs of digits by their value. Names that differ only in leading zeros are equal to it.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (left, right) = (digits(a), digits(b));
        if !left.is_empty() && !right.is_empty() {
            let value = |text: &'_ str| text.trim_start_matches('0').len();
            let order = value(left)
                .cmp(&value(right))
                .then_with(|| left.trim_start_matches('0').cmp(right.trim_start_matches('0')));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[left.len()..], &b[right.len()..]);
            continue;
        }
        let (mut rest_a, mut rest_b) = (a.chars(), b.chars());
        match (rest_a.next(), rest_b.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) if one != other => return one.cmp(&other),
            _ => (a, b) = (rest_a.as_str(), rest_b.as_str()),
        }
    }
}

/// The digits that a text begins with.
fn digits(text: &str) -> &str {
    &text[..text.bytes().take_while(u8::is_ascii_digit).count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_compared_by_their_value() {
        let mut names =
            ["m-140", "m-14", "m-105", "m-0", "m", "", "n-1", "é-2", "m-14b", "99999999999999999999999", "1"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(
            names,
            ["", "1", "99999999999999999999999", "m", "m-0", "m-14", "m-14b", "m-105", "m-140", "n-1", "é-2"]
        );
        assert_eq!(natural("m-007", "m-7"), Ordering::Equal);
        assert_eq!(natural("0", "00"), Ordering::Equal);
    }
}
