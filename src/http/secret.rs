//! Keys: held so that they cannot be printed, sent only where they belong.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use super::url::{authority, is_loopback};
use regex::{Captures, Regex};

/// A key. Its `Debug` is redacted, it has no `Display`, and it is never serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A key that is shorter is none that protects anything; nor does so short a piece of one.
const SHORTEST: usize = 8;

/// What stands in its place.
const GONE: &str = "(redacted)";

impl Secret {
    /// Takes a key as it was given; `None` for an empty one, or one that no header can carry.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let sendable = !text.is_empty() && text.bytes().all(|b| (0x21..0x7f).contains(&b));
        sendable.then(|| Self(text.to_owned()))
    }

    /// The header's value. The only way out.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `text` without the key in it, which a server may have echoed: as it is, or with letters written as JSON may write them.
    pub fn redact(&self, text: &str) -> String {
        // `ollama`, `vllm`, `EMPTY` are given to servers that want no key: they hide nothing, and are parts of other words.
        if self.0.len() < SHORTEST {
            return text.to_owned();
        }
        let clean = text.replace(&self.0, GONE);
        let plain = unescaped(&clean);
        if plain.contains(&self.0) { plain.replace(&self.0, GONE) } else { clean }
    }

    /// The same for a message that was shortened, and may have been in the middle of the key: at its end, or at an `…`.
    pub fn redact_message(&self, message: &str) -> String {
        let without_beginning = |part: &str| {
            let plain = unescaped(part);
            let plain = HALF_ESCAPE.replace(&plain, "");
            let cut = (SHORTEST..self.0.len()).rev().find_map(|length| plain.strip_suffix(&self.0[..length]));
            cut.map_or_else(|| part.to_owned(), |before| format!("{before}{GONE}"))
        };
        self.redact(message).split('…').map(without_beginning).collect::<Vec<_>>().join("…")
    }
}

/// What JSON may write for a letter of a key, and what it writes for a backslash; such a thing without its end.
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| regex(r"\\(?:\\|/|u00[2-7][0-9a-fA-F])"));
static HALF_ESCAPE: LazyLock<Regex> = LazyLock::new(|| regex(r"\\(?:u[0-9a-fA-F]{0,3})?$"));

/// A pattern that is written in the code.
#[expect(clippy::expect_used, reason = "a test uses each")]
pub(super) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a regular expression")
}

/// JSON with the letters of keys as they are, where it need not be JSON that escapes them.
fn unescaped(json: &str) -> Cow<'_, str> {
    ESCAPE.replace_all(json, |found: &Captures<'_>| {
        let letter = u8::from_str_radix(&found[0][found[0].len().min(2)..], 16).map(char::from);
        match (&found[0], letter) {
            (r"\/", _) => "/".to_owned(),
            (_, Ok(letter)) if !matches!(letter, '"' | '\\' | '\x7f') => letter.to_string(),
            (escape, _) => escape.to_owned(),
        }
    })
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

/// Where a key may go.
#[derive(Debug, Clone, Default)]
pub struct KeyRule {
    /// The hosts (`host:port`) that the key belongs to: its service's own, and those that the user named.
    pub hosts: Vec<String>,
    /// Whether it may go over plain http to another machine.
    pub plain_http: bool,
}

impl KeyRule {
    /// Whether the key may be sent to `url`, or why not. Loopback is this machine and always allowed.
    ///
    /// # Errors
    /// With a sentence that says which flag would allow it.
    pub fn allows(&self, url: &str) -> Result<(), String> {
        if is_loopback(url) {
            return Ok(());
        }
        let host = authority(url).unwrap_or_default();
        if !self.hosts.contains(&host) {
            return Err(format!("the key does not belong to {host}: not sent; allow it with --key-host {host}"));
        }
        if !self.plain_http && !url.starts_with("https://") {
            return Err(format!(
                "{host} is another machine and http is not encrypted: key not sent; use https, or allow it with --plain-http-key"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("sk-or-v1-abc\n").unwrap();
        assert_eq!(format!("{secret:?}"), "(redacted)");
        for (text, clean) in [
            ("bad key sk-or-v1-abc!", "bad key (redacted)!"),
            (r"in JSON: sk\u002Dor-\u0076\u0031-abc!", "in JSON: (redacted)!"),
            (r#"{"x\u0022":"\u0073k-or-v1-abc \u0022 \\u0041"}"#, r#"{"x\u0022":"(redacted) \u0022 \\u0041"}"#),
            (r"not it: sk\u002Eor-v1-abc \/", r"not it: sk\u002Eor-v1-abc \/"),
            (r"not it: \\u0073k-or-v1-abc", r"not it: \\u0073k-or-v1-abc"),
            ("", ""),
        ] {
            assert_eq!((secret.redact(text), secret.redact_message(text)), (clean.into(), clean.into()));
        }
        for (cut, clean) in [
            ("cut off: sk-or-v1-a", "cut off: (redacted)"),
            ("cut off: sk-or-v1… (and why)", "cut off: (redacted)… (and why)"),
            (r"cut off: \u0073k-or-v1-a", "cut off: (redacted)"),
            (r"cut off: sk-or-v1\u00", "cut off: (redacted)"),
            ("begins alike: sk-or-v", "begins alike: sk-or-v"),
            ("in the middle: sk-or-v1-a, and on", "in the middle: sk-or-v1-a, and on"),
        ] {
            assert_eq!((secret.redact(cut), secret.redact_message(cut)), (cut.into(), clean.into()));
        }
        let placeholder = Secret::new("ollama").unwrap();
        assert_eq!(placeholder.redact_message("no such model: ollama"), "no such model: ollama");
        assert_eq!(secret.bearer(), "Bearer sk-or-v1-abc");
        assert_eq!(Secret::new("  "), None);
        assert_eq!(Secret::new("a\nb"), None);
    }

    #[test]
    fn a_key_goes_only_where_it_belongs() {
        let rule = KeyRule { hosts: vec!["openrouter.ai:443".into(), "10.0.0.5:8000".into()], plain_http: false };
        for (url, allowed) in [
            ("https://openrouter.ai/api/v1", true),
            ("https://openrouter.ai.evil.example/api/v1", false),
            ("https://openrouter.ai@evil.example/", false),
            ("http://openrouter.ai/api/v1", false),
            ("http://127.0.0.1:9", true),
            ("http://localhost:9", true),
            ("http://[::1]:9", true),
            ("http://127.0.0.1.evil.example", false),
            ("http://10.0.0.5:8000", false),
            ("http://10.0.0.5:8001", false),
            ("nonsense", false),
        ] {
            assert_eq!(rule.allows(url).is_ok(), allowed, "{url}");
        }
        assert!(KeyRule { plain_http: true, ..rule }.allows("http://10.0.0.5:8000").is_ok());
    }
}
