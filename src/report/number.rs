//! Numbers for people: as many digits as the column needs, and never a zero for something that is not zero.

pub use crate::text::hidden;

use crate::summary::Unit;

/// How a unit is written, and how many of the base unit it is.
pub fn scale(unit: Unit) -> (&'static str, f64) {
    match unit {
        Unit::Seconds => ("s", 1.0),
        Unit::Gap => ("ms", 1e-3),
        Unit::TokensPerSecond => ("tok/s", 1.0),
        Unit::Tokens => ("tok", 1.0),
        Unit::Watts => ("W", 1.0),
        Unit::Joules => ("J", 1.0),
        Unit::JoulesPerToken => ("J/tok", 1.0),
        Unit::Bytes => ("GB", 1e9),
        Unit::Usd => ("$", 1.0),
        Unit::Count => ("", 1.0),
        Unit::Share => ("%", 0.01),
        Unit::PerSecond => ("/s", 1.0),
        Unit::Average => ("", 1.0),
        Unit::Money => ("", 1.0),
        Unit::Grams => ("g", 1.0),
    }
}

/// How many decimals a column of such numbers is written with: three to four digits of its largest number; of money at least
/// two digits of its smallest, because cheap models differ there.
pub fn decimals(unit: Unit, values: impl IntoIterator<Item = f64>) -> usize {
    let (mut largest, mut smallest, mut whole) = (0.0f64, f64::INFINITY, true);
    for size in values.into_iter().map(|v| (v / scale(unit).1).abs()).filter(|v| *v > 0.0) {
        whole &= size.fract() == 0.0;
        largest = largest.max(size);
        // What is smaller is written with a power of ten.
        smallest = if size < 1e-6 { smallest } else { smallest.min(size) };
    }
    if matches!(unit, Unit::Usd | Unit::Money) && smallest.is_finite() {
        return (1.0 - smallest.log10().floor()).clamp(2.0, 7.0) as usize;
    }
    let most = match unit {
        Unit::Count => 0,
        Unit::Tokens if whole => 0,
        Unit::Tokens | Unit::TokensPerSecond | Unit::Watts | Unit::Share => 1,
        Unit::Joules | Unit::Bytes | Unit::Average | Unit::Grams | Unit::Gap => 2,
        Unit::Seconds | Unit::JoulesPerToken | Unit::PerSecond => 3,
        Unit::Usd | Unit::Money => 4,
    };
    let needed = if largest >= 1000.0 {
        0
    } else if largest >= 100.0 {
        1
    } else if largest >= 10.0 {
        2
    } else {
        4
    };
    needed.min(most)
}

/// A number of this unit with `decimals` decimals, without its unit. One that would look like zero and is not keeps two
/// significant digits.
pub fn write(value: f64, unit: Unit, decimals: usize) -> String {
    let value = value / scale(unit).1;
    // Tokens are counted: a whole number of them is shown whole, beside a median that lies between two.
    let decimals = if unit == Unit::Tokens && value.fract() == 0.0 { 0 } else { decimals };
    let text = format!("{value:.decimals$}");
    let shown: f64 = text.parse().unwrap_or(0.0);
    if shown == 0.0 && value != 0.0 {
        return if value.abs() < 1e-6 { format!("{value:.1e}") } else { small(value) };
    }
    if shown == 0.0 { "0".into() } else { text }
}

/// A number between 10⁻⁶ and 1 with two significant digits.
fn small(value: f64) -> String {
    let decimals = (1.0 - value.abs().log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{value:.decimals$}")
}

/// A number on its own, with its unit.
pub fn alone(value: f64, unit: Unit) -> String {
    if unit == Unit::Seconds && value != 0.0 && value.abs() < 0.1 {
        return format!("{} ms", write(value * 1e3, unit, 1 + usize::from(value.abs() < 0.01)));
    }
    let text = write(value, unit, decimals(unit, [value]));
    match (unit, scale(unit).0) {
        (Unit::Usd, sign) => format!("{sign}{text}"),
        (_, "") => text,
        (_, name) => format!("{text} {name}"),
    }
}

/// How much memory a machine has, as machines are sold: a decimal only where there is one.
pub fn gib(bytes: u64) -> String {
    let text = format!("{:.1}", bytes as f64 / f64::from(1 << 30));
    format!("{} GiB", text.strip_suffix(".0").unwrap_or(&text))
}

/// At most `most` characters of a text, for places that have no room for what servers can say.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

/// A length of time as people say it.
pub fn lasting(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..=9 => format!("{seconds:.1} s"),
        10..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_the_digits_its_largest_number_needs() {
        for (unit, values, expect) in [
            (Unit::Seconds, vec![0.2513, 1.5], vec!["0.251", "1.500"]),
            (Unit::Seconds, vec![0.2513, 150.0], vec!["0.3", "150.0"]),
            (Unit::Seconds, vec![0.00012, 150.0], vec!["0.00012", "150.0"]),
            (Unit::Seconds, vec![0.0, 150.0], vec!["0", "150.0"]),
            (Unit::Gap, vec![0.0201, 0.00003], vec!["20.10", "0.03"]),
            (Unit::Gap, vec![0.12], vec!["120.0"]),
            (Unit::Bytes, vec![-1.5e9, 12.34e9], vec!["-1.50", "12.34"]),
            (Unit::Tokens, vec![1234.0, 3.0], vec!["1234", "3"]),
            (Unit::Tokens, vec![400.0, 12.0], vec!["400", "12"]),
            (Unit::Tokens, vec![400.0, 41.5, 0.0], vec!["400", "41.5", "0"]),
            (Unit::Usd, vec![2e-9], vec!["2.0e-9"]),
            (Unit::Usd, vec![0.000_123, 1.5], vec!["0.00012", "1.50000"]),
            (Unit::Usd, vec![0.27, 15.0], vec!["0.27", "15.00"]),
            (Unit::Average, vec![3.987, 12.0], vec!["3.99", "12.00"]),
            (Unit::Share, vec![0.25], vec!["25.0"]),
            (Unit::Seconds, vec![-0.00001], vec!["-0.000010"]),
        ] {
            let decimals = decimals(unit, values.iter().copied());
            let texts: Vec<String> = values.iter().map(|v| write(*v, unit, decimals)).collect();
            assert_eq!(texts, expect, "{unit:?}");
        }
    }

    #[test]
    fn memory_of_a_machine_has_a_decimal_only_where_there_is_one() {
        for (bytes, expect) in [(24 << 30, "24 GiB"), (25_232_932_864, "23.5 GiB"), (0, "0 GiB")] {
            assert_eq!(gib(bytes), expect);
        }
    }

    #[test]
    fn a_length_of_time_is_said_as_people_say_it() {
        for (seconds, expect) in
            [(0.25, "0.2 s"), (42.4, "42 s"), (150.0, "2 min 30 s"), (7200.0, "2 h 0 min"), (-1.0, "-1.0 s")]
        {
            assert_eq!(lasting(seconds), expect);
        }
    }
}
