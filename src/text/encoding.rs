//! Text files in the encodings that programs write: UTF-8, and UTF-16 with a byte-order mark, as Windows PowerShell's `>` does.

use encoding_rs_io::DecodeReaderBytesBuilder;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The same text as UTF-8 without a byte-order mark. Bytes without a mark pass unchanged.
pub fn utf8(reader: impl Read) -> impl Read {
    DecodeReaderBytesBuilder::new().utf8_passthru(true).strip_bom(true).build(reader)
}

/// A whole file.
///
/// # Errors
/// When the file cannot be read, or is neither UTF-8 nor UTF-16 with a byte-order mark.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    io::read_to_string(utf8(File::open(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str, mark: u16, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        [mark].into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    proptest! {
        #[test]
        fn every_encoding_gives_the_same_text(text in "[^\u{feff}]{0,40}") {
            for bytes in [
                text.clone().into_bytes(),
                ["\u{feff}", &text].concat().into_bytes(),
                utf16(&text, 0xfeff, u16::to_le_bytes),
                utf16(&text, 0xfeff, u16::to_be_bytes),
            ] {
                prop_assert_eq!(io::read_to_string(utf8(&bytes[..])).unwrap(), text.as_str());
            }
        }

        #[test]
        fn bytes_without_a_mark_pass_unchanged(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assume!(![&b"\xff\xfe"[..], b"\xfe\xff", b"\xef\xbb\xbf"].iter().any(|mark| bytes.starts_with(mark)));
            let mut read = Vec::new();
            utf8(&bytes[..]).read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, bytes);
        }
    }
}
