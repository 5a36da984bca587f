//! Comparisons as people write them in gates and SLOs: a name, a sign, and what it is compared with.

use std::fmt;

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    More,
    /// `>=`
    MoreOrEqual,
    /// `=`: the limit of a budget, whichever way is better.
    Equal,
}

impl Sign {
    const ALL: [(&str, Sign); 5] = [
        (">=", Sign::MoreOrEqual),
        ("<=", Sign::LessOrEqual),
        (">", Sign::More),
        ("<", Sign::Less),
        ("=", Sign::Equal),
    ];

    /// Takes a comparison apart at its sign; `None` where it has none.
    pub fn split(text: &str) -> Option<(&str, Sign, &str)> {
        let at = text.find(['<', '>', '='])?;
        let (sign, kind) = Sign::ALL.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
        Some((text[..at].trim(), *kind, text[at + sign.len()..].trim()))
    }

    /// Whether the comparison holds.
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Sign::Less => value < limit,
            Sign::LessOrEqual => value <= limit,
            Sign::More => value > limit,
            Sign::MoreOrEqual => value >= limit,
            Sign::Equal => value == limit,
        }
    }

    /// Whether it is a sign of more.
    pub fn is_more(self) -> bool {
        matches!(self, Sign::More | Sign::MoreOrEqual)
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(Sign::ALL.iter().find(|(_, sign)| sign == self).map_or("", |(text, _)| text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_taken_apart() {
        for (text, expect) in [
            ("ttft_p95 > 500ms", Some(("ttft_p95", Sign::More, "500ms"))),
            ("a<=b", Some(("a", Sign::LessOrEqual, "b"))),
            ("a=<b", Some(("a", Sign::Equal, "<b"))),
            ("a", None),
        ] {
            assert_eq!(Sign::split(text), expect, "{text}");
        }
        for (_, sign) in Sign::ALL {
            assert_eq!(Sign::split(&format!("x{sign}1")), Some(("x", sign, "1")));
        }
    }
}
