//! Base URLs of servers: completed, shown without secrets, compared.

use reqwest::Url;
use std::net::IpAddr;

/// Reads the base URL of a server: a scheme is added where there is none, a trailing slash goes.
///
/// # Errors
/// When it is no http or https URL, with what to do.
pub fn base_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let full = full.trim_end_matches('/').to_owned();
    let url = Url::parse(&full).map_err(|why| format!("{text}: not a URL ({why}): write http://HOST:PORT"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{text}: not an http or https URL: write http://HOST:PORT"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a base URL has no query: put a key into a file and give --api-key-file".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user or a password in it: put the key into a file and give --api-key-file".into());
    }
    Ok(full)
}

/// A URL as it may be shown: without user, password, query and fragment.
pub fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "(not a URL)".into() };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string().trim_end_matches('/').to_owned()
}

/// Where a `Location` leads from a URL, to be shown: it may be a path alone.
pub fn leads_to(url: &str, location: &str) -> String {
    let there = Url::parse(url).and_then(|url| url.join(location));
    there.map_or_else(|_| shown(location), |there| shown(there.as_str()))
}

/// The host and the port of a URL: what a key belongs to.
pub fn authority(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// The base with a version: `/v1` unless the base ends in one already (`…/v1`, `…/api/paas/v4`).
pub fn versioned(base: &str) -> String {
    let last = base.rsplit('/').next().unwrap_or_default();
    let is_version = last.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if is_version { base.to_owned() } else { format!("{base}/v1") }
}

/// The base without the API path that people paste along with it.
pub fn root_of(base: &str) -> &str {
    let base = base.trim_end_matches('/');
    ["/api/v1", "/api/v0", "/v1", "/api"].iter().find_map(|path| base.strip_suffix(path)).unwrap_or(base)
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
    fn a_base_url_is_completed_or_refused() {
        for (text, expect) in [
            ("http://127.0.0.1:1234/", Some("http://127.0.0.1:1234")),
            ("127.0.0.1:1234", Some("http://127.0.0.1:1234")),
            ("localhost:11434", Some("http://localhost:11434")),
            ("https://host/llm/v1/", Some("https://host/llm/v1")),
            ("ftp://host", None),
            ("http://", None),
            ("", None),
            ("http://a b", None),
            ("http://me:pw@host", None),
            ("http://host/v1?api_key=k", None),
        ] {
            assert_eq!(base_url(text).ok().as_deref(), expect, "{text:?}");
        }
    }

    #[test]
    fn a_url_is_shown_without_what_is_secret_in_it() {
        assert_eq!(shown("https://me:pw@host:8443/v1/chat?key=abc#x"), "https://host:8443/v1/chat");
        assert_eq!(shown("http://h/"), "http://h");
        for (location, expect) in [
            ("/v1/chat?key=k", "https://h/v1/chat"),
            ("https://me:pw@other/v1", "https://other/v1"),
            ("//other:1/x", "https://other:1/x"),
            ("http://[", "(not a URL)"),
        ] {
            assert_eq!(leads_to("https://h/v1/x?key=abc", location), expect);
        }
    }

    #[test]
    fn a_key_belongs_to_a_host_and_a_port() {
        assert_eq!(authority("https://openrouter.ai/api/v1").as_deref(), Some("openrouter.ai:443"));
        assert_eq!(authority("http://127.0.0.1:1234").as_deref(), Some("127.0.0.1:1234"));
    }
}
