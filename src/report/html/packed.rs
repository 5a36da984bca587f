//! The data of the page as the text of a script element: as it is while it is small, compressed when it is large.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

/// From how many bytes of JSON on the data is compressed. Below it, it can be read in the page's source.
const LARGE: usize = 150_000;

/// The text of the element, and whether the script must unpack it.
#[derive(Default)]
pub struct Embedded {
    /// JSON that is safe inside a script element, or gzip as base64, which is safe anywhere.
    pub text: String,
    /// Whether it is the latter.
    pub packed: bool,
}

/// Embeds JSON.
///
/// # Errors
/// None that memory does not make.
pub fn embed(json: &str) -> io::Result<Embedded> {
    if json.len() < LARGE {
        return Ok(Embedded { text: escaped(json), packed: false });
    }
    // Without a time stamp in its head: the same input gives the same page.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(json.as_bytes())?;
    Ok(Embedded { text: BASE64.encode(gzip.finish()?), packed: true })
}

/// JSON with escapes for `<`, `>`, `&` and the two line separators of Unicode, which can stand only inside its strings: no
/// string can end the script element or begin markup.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn small_data_is_readable_and_ends_no_element() {
        let json = "{\"a\":\"</script><b>&\u{2028}\"}";
        let embedded = embed(json).unwrap();
        assert!(!embedded.packed && !embedded.text.contains(['<', '>', '&', '\u{2028}']));
        let (back, same): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(&embedded.text).unwrap(), serde_json::from_str(json).unwrap());
        assert_eq!(back, same);
    }

    #[test]
    fn large_data_is_compressed_and_comes_back_as_it_was() {
        let json = format!("[{}0]", "12345,".repeat(LARGE / 4));
        let embedded = embed(&json).unwrap();
        assert!(embedded.packed && embedded.text.len() < json.len() / 20);
        let mut back = String::new();
        GzDecoder::new(&BASE64.decode(&embedded.text).unwrap()[..]).read_to_string(&mut back).unwrap();
        assert_eq!(back, json);
    }
}
