//! Amounts of memory, as flags give them.

/// A number of bytes with its unit: `64MB`, `1.5GiB`, `0`. `kB MB GB` are powers of a thousand, `KiB MiB GiB` of 1024.
///
/// # Errors
/// When it is no number, has no known unit, or is negative.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("not a size such as 64MB, 1GiB or 0".into()),
    };
    let number: f64 = number.trim().parse().map_err(|_| "not a size such as 64MB, 1GiB or 0".to_owned())?;
    let bytes = number * factor;
    if !(0.0..=1e12).contains(&bytes) {
        return Err("not between 0 and 1000GB".into());
    }
    Ok(bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_and_a_range() {
        for (text, expect) in [
            ("64MB", Some(64_000_000)),
            ("1GiB", Some(1 << 30)),
            ("1.5 kB", Some(1500)),
            ("0", Some(0)),
            ("12", Some(12)),
            ("-1MB", None),
            ("2TB", None),
            ("MB", None),
            ("", None),
            ("nanMB", None),
            ("1e6GB", None),
        ] {
            assert_eq!(size(text).ok(), expect, "{text}");
        }
    }
}
