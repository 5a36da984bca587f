//! A load on the command line.

/// A load, or a range in which to search for one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LoadRange<T> {
    /// A single load.
    One(T),
    /// From a load on, up to another or without end.
    Between(T, Option<T>),
}

impl<T: Copy> LoadRange<T> {
    /// Parses a load, `MIN..MAX` or `MIN..`.
    pub fn parse(text: &str, one: impl Fn(&str) -> Result<T, String>) -> Result<Self, String> {
        match text.split_once("..") {
            None => one(text).map(LoadRange::One),
            Some((from, "")) => Ok(LoadRange::Between(one(from)?, None)),
            Some((from, to)) => Ok(LoadRange::Between(one(from)?, Some(one(to)?))),
        }
    }

    /// The single load.
    pub fn one(&self) -> Option<T> {
        match self {
            LoadRange::One(load) => Some(*load),
            LoadRange::Between(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_a_number_or_a_range() {
        let number = |text: &str| text.parse::<u32>().map_err(|_| "no number".to_owned());
        for (text, expect) in [
            ("4", Some(LoadRange::One(4))),
            ("1..64", Some(LoadRange::Between(1, Some(64)))),
            ("8..", Some(LoadRange::Between(8, None))),
            ("..8", None),
            ("..", None),
            ("1..2..3", None),
        ] {
            assert_eq!(LoadRange::parse(text, number).ok(), expect, "{text}");
        }
    }
}
