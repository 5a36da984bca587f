//! The address in `OLLAMA_HOST`.

/// The URL that the variable means. It is also Ollama's bind address: host and port may each be missing, and nothing can connect
/// to 0.0.0.0.
pub fn from_variable(text: &str) -> String {
    let text = text.trim().replace("0.0.0.0", "127.0.0.1");
    if text.contains("://") {
        return text;
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port),
        _ => (text.as_str(), "11434"),
    };
    format!("http://{}:{port}", if host.is_empty() { "127.0.0.1" } else { host })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_may_be_missing() {
        for (text, url) in [
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("localhost", "http://localhost:11434"),
            (":8080", "http://127.0.0.1:8080"),
            ("gpu-box:11434", "http://gpu-box:11434"),
            ("https://ollama.example", "https://ollama.example"),
        ] {
            assert_eq!(from_variable(text), url);
        }
    }
}
