//! Numbers for people: as many digits as the column needs, and never a zero for something that is not zero.

pub use crate::text::hidden;
pub use crate::units::{alone, decimals, lasting, scale, write};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_machine_has_a_decimal_only_where_there_is_one() {
        for (bytes, expect) in [(24 << 30, "24 GiB"), (25_232_932_864, "23.5 GiB"), (0, "0 GiB")] {
            assert_eq!(gib(bytes), expect);
        }
    }
}
