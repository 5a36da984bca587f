//! Values of flags that several programs share. A value is refused with the allowed range, never bent into it.

use regex::Regex;
use std::path::Path;
use std::time::Duration;

/// A length of time with its unit: `500ms`, `2s`, `1m30s`, `1h`.
///
/// # Errors
/// When there is no unit, no number, or a sign.
pub fn duration(text: &str) -> Result<Duration, String> {
    if text.parse::<f64>().is_ok() {
        return Err(format!("a length of time needs its unit: {text}s or {text}ms"));
    }
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| "not a length of time such as 500ms, 2s or 1m30s".to_owned())?;
    signed.try_into().map_err(|_| "a length of time cannot be negative".to_owned())
}

/// A parser of lengths of time from `min` to `max`.
pub fn duration_in(min: Duration, max: Duration) -> impl Fn(&str) -> Result<Duration, String> + Clone + Send + Sync {
    move |text| {
        let value = duration(text)?;
        if value < min || value > max {
            return Err(format!("not between {min:?} and {max:?}"));
        }
        Ok(value)
    }
}

/// Makes sure that the output is none of the inputs: opening it would empty what is to be read.
///
/// # Errors
/// When it is one of them, by whatever name.
pub fn distinct<'a>(output: Option<&Path>, inputs: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    let Some(to) = output.and_then(|path| path.canonicalize().ok()).filter(|path| path.is_file()) else {
        return Ok(());
    };
    for input in inputs {
        if input.canonicalize().is_ok_and(|from| from == to) {
            anyhow::bail!("{}: is read and would be overwritten: write to another file", input.display());
        }
    }
    Ok(())
}

/// A regular expression.
///
/// # Errors
/// When it is none, with the place.
pub fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit_and_a_range() {
        for (text, expect) in [
            ("500ms", Some(500)),
            ("2s", Some(2000)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("0s", Some(0)),
            ("5", None),
            ("1.5", None),
            ("", None),
            ("-2s", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text).ok(), expect.map(Duration::from_millis), "{text}");
        }
        let between = duration_in(Duration::from_millis(100), Duration::from_secs(3600));
        assert!(between("99ms").unwrap_err().contains("100ms"));
        assert!(between("2h").is_err());
        assert!(between("1h").is_ok());
    }
}
