//! Keys: held so that they cannot be printed, sent only where they belong.

use std::fmt;
use std::net::IpAddr;

use super::authority;
use reqwest::Url;

/// A key. Its `Debug` is redacted, it has no `Display`, and it is never serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A key that is shorter is none that protects anything.
const SHORTEST: usize = 8;

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

    /// `text` without the key in it, for messages that a server may have echoed it into.
    pub fn redact(&self, text: &str) -> String {
        // `ollama`, `vllm`, `EMPTY` are given to servers that want no key: they hide nothing, and are parts of other words.
        if self.0.len() < SHORTEST { text.to_owned() } else { text.replace(&self.0, "(redacted)") }
    }
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

/// Whether a URL is of this machine.
pub fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("sk-or-v1-abc\n").unwrap();
        assert_eq!(format!("{secret:?}"), "(redacted)");
        assert_eq!(secret.redact("bad key sk-or-v1-abc!"), "bad key (redacted)!");
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
