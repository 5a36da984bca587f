//! Units of measurement: the one table of their symbols, scales, ranges and spellings; numbers written with them and read with them.
//!
//! Numbers are held in base units everywhere (seconds, bytes, shares from 0 to 1). Only people see another scale.

/// The unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Seconds that are so few that people read them as milliseconds.
    Milliseconds,
    /// Tokens per second.
    TokensPerSecond,
    /// Tokens.
    Tokens,
    /// Watts.
    Watts,
    /// Joules.
    Joules,
    /// Joules per output token.
    JoulesPerToken,
    /// Bytes.
    Bytes,
    /// US dollars.
    Usd,
    /// Things that are counted.
    Count,
    /// A share, 0 to 1.
    Share,
    /// A mean of things that are counted.
    Average,
    /// Things per second.
    PerSecond,
    /// Money of an unknown currency.
    Money,
    /// Grams.
    Grams,
}

/// Every unit.
pub const UNITS: [Unit; 15] = [
    Unit::Seconds,
    Unit::Milliseconds,
    Unit::TokensPerSecond,
    Unit::Tokens,
    Unit::Watts,
    Unit::Joules,
    Unit::JoulesPerToken,
    Unit::Bytes,
    Unit::Usd,
    Unit::Count,
    Unit::Share,
    Unit::Average,
    Unit::PerSecond,
    Unit::Money,
    Unit::Grams,
];

/// What is known of a unit.
struct Row {
    /// How it is written for people.
    symbol: &'static str,
    /// How much of the base unit that symbol stands for.
    scale: f64,
    /// The most decimals that a number of it is written with.
    decimals: usize,
    /// The largest number that is believed.
    most: f64,
    /// Its name at the end of an OpenMetrics name; empty for rates and counts, which have no base unit of their own.
    base: &'static str,
    /// Its spellings in conditions, each with its size in base units; an empty one allows a bare number.
    spellings: &'static [(&'static str, f64)],
}

const TIME: &[(&str, f64)] = &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("min", 60.0), ("h", 3600.0)];
const SIZE: &[(&str, f64)] =
    &[("MB", 1e6), ("GB", 1e9), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("kB", 1e3), ("B", 1.0)];
/// A hundred years, in seconds.
const CENTURY: f64 = 3.2e9;

#[rustfmt::skip]
const fn row(unit: Unit) -> Row {
    const fn row(symbol: &'static str, scale: f64, decimals: usize, most: f64, base: &'static str, spellings: &'static [(&'static str, f64)]) -> Row {
        Row { symbol, scale, decimals, most, base, spellings }
    }
    match unit {
        Unit::Seconds => row("s", 1.0, 3, CENTURY, "seconds", TIME),
        Unit::Milliseconds => row("ms", 1e-3, 2, CENTURY, "seconds", TIME),
        Unit::TokensPerSecond => row("tok/s", 1.0, 1, 1e9, "", &[("", 1.0), ("tok/s", 1.0)]),
        Unit::Tokens => row("tok", 1.0, 1, 1e12, "tokens", &[("", 1.0), ("tok", 1.0)]),
        Unit::Watts => row("W", 1.0, 1, 1e9, "watts", &[("", 1.0), ("W", 1.0), ("mW", 1e-3), ("kW", 1e3)]),
        Unit::Joules => row("J", 1.0, 2, 1e15, "joules", &[("", 1.0), ("J", 1.0), ("kJ", 1e3)]),
        Unit::JoulesPerToken => row("J/tok", 1.0, 3, 1e15, "joules", &[("", 1.0), ("J", 1.0), ("J/tok", 1.0)]),
        Unit::Bytes => row("GB", 1e9, 2, 1e17, "bytes", SIZE),
        Unit::Usd => row("$", 1.0, 4, 1e9, "usd", &[("", 1.0), ("$", 1.0)]),
        Unit::Count => row("", 1.0, 0, 1e12, "", &[("", 1.0)]),
        Unit::Share => row("%", 0.01, 1, 1.0, "ratio", &[("", 1.0), ("%", 0.01)]),
        Unit::Average => row("", 1.0, 2, 1e12, "", &[("", 1.0)]),
        Unit::PerSecond => row("/s", 1.0, 3, 1e9, "", &[("", 1.0), ("/s", 1.0)]),
        Unit::Money => row("", 1.0, 4, 1e9, "", &[("", 1.0)]),
        Unit::Grams => row("g", 1.0, 2, 1e15, "grams", &[("", 1.0), ("g", 1.0), ("kg", 1e3)]),
    }
}

impl Unit {
    /// The unit's name at the end of an OpenMetrics name; empty where it has none.
    pub fn base(self) -> &'static str {
        row(self).base
    }

    /// The unit's spellings, each with its size in base units.
    pub fn spellings(self) -> &'static [(&'static str, f64)] {
        row(self).spellings
    }

    /// Whether the numbers of several requests have a meaningful sum.
    pub fn adds_up(self) -> bool {
        matches!(self, Unit::Tokens | Unit::Joules | Unit::Usd | Unit::Money | Unit::Grams)
    }
}

/// How a unit is written for people, and how much of the base unit that is.
pub fn scale(unit: Unit) -> (&'static str, f64) {
    (row(unit).symbol, row(unit).scale)
}

/// Whether a number is believable in this unit: not negative, and not beyond anything on earth.
pub fn possible(unit: Unit, value: f64) -> bool {
    (0.0..=row(unit).most).contains(&value)
}

/// Reads a number with a unit, in base units: `500ms`, `1m30s`, `5%`, `$2`. A length of time and a size need a unit.
///
/// # Errors
/// When it is no number, its unit is another one, or a share is not from 0 % to 100 %.
pub fn quantity(text: &str, unit: Unit) -> Result<f64, String> {
    let mut rest = text.strip_prefix('$').unwrap_or(text).trim();
    let (mut sum, mut parts) = (0.0, 0);
    while parts == 0 || !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let value: f64 = digits.parse().map_err(|_| format!("{text}: not a number"))?;
        let (name, next) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let (_, size) = unit.spellings().iter().find(|(known, _)| *known == name.trim()).ok_or_else(|| {
            let known: Vec<&str> =
                unit.spellings().iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
            match known[..] {
                [] => format!("{text}: a number without a unit is expected"),
                _ => format!("{text}: the unit must be {}", known.join(", ")),
            }
        })?;
        sum += value * size;
        parts += 1;
        rest = next;
    }
    if unit == Unit::Share && !possible(unit, sum) {
        return Err(format!("{text}: not a share from 0% to 100%"));
    }
    Ok(sum)
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
    let needed = if largest >= 1000.0 {
        0
    } else if largest >= 100.0 {
        1
    } else if largest >= 10.0 {
        2
    } else {
        4
    };
    needed.min(if unit == Unit::Tokens && whole { 0 } else { row(unit).decimals })
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
            (Unit::Milliseconds, vec![0.0201, 0.00003], vec!["20.10", "0.03"]),
            (Unit::Milliseconds, vec![0.12], vec!["120.0"]),
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
    fn a_length_of_time_is_said_as_people_say_it() {
        for (seconds, expect) in
            [(0.25, "0.2 s"), (42.4, "42 s"), (150.0, "2 min 30 s"), (7200.0, "2 h 0 min"), (-1.0, "-1.0 s")]
        {
            assert_eq!(lasting(seconds), expect);
        }
    }

    #[test]
    fn quantities_are_read_in_base_units() {
        for (text, unit, expect) in [
            ("500ms", Unit::Seconds, 0.5),
            ("1m30s", Unit::Milliseconds, 90.0),
            ("2 min", Unit::Seconds, 120.0),
            ("-1GB", Unit::Bytes, -1e9),
            ("5%", Unit::Share, 0.05),
            ("0.05", Unit::Share, 0.05),
            ("$2", Unit::Usd, 2.0),
            ("40 tok/s", Unit::TokensPerSecond, 40.0),
            ("40", Unit::TokensPerSecond, 40.0),
            ("3kJ", Unit::Joules, 3000.0),
        ] {
            let got = quantity(text, unit).unwrap();
            assert!((got - expect).abs() < 1e-12, "{text}: {got}");
        }
        for (text, unit, expect) in [
            ("500", Unit::Seconds, "the unit must be us, ms, s, m, min, h"),
            ("fast", Unit::Seconds, "not a number"),
            ("", Unit::Count, "not a number"),
            ("3s", Unit::Bytes, "GB"),
            ("3s", Unit::Count, "without a unit"),
            ("200%", Unit::Share, "not a share"),
            ("95", Unit::Share, "not a share"),
        ] {
            let error = quantity(text, unit).unwrap_err();
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
