//! The chunked transfer coding, taken apart where it lies: pure, however the bytes are cut. Source: RFC 9112, section 7.1.

use std::io;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first digit of a size.
    #[default]
    Size,
    /// Among the digits.
    Digits,
    /// In what follows the size, up to the end of the line.
    Extension,
    /// In the bytes of a chunk.
    Data,
    /// In the end of line behind them.
    Behind,
    /// At the beginning of a trailer's line.
    Trailer,
    /// Within a trailer's line.
    TrailerLine,
    /// Behind the end.
    Over,
}

/// A decoder that is fed bytes as they arrive.
#[derive(Debug, Default)]
pub struct Chunked {
    at: At,
    /// The size as far as it was read; then what is still to come of the chunk.
    left: u64,
}

impl Chunked {
    /// Whether the end was seen.
    pub fn ended(&self) -> bool {
        self.at == At::Over
    }

    /// Takes the next bytes and hands out the data in them, without a copy; returns what follows the end.
    ///
    /// # Errors
    /// When they are not chunks.
    pub fn take<'a>(&mut self, mut bytes: &'a [u8], mut each: impl FnMut(&'a [u8])) -> io::Result<&'a [u8]> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("a chunk of the answer {what}"));
        while let (Some(&byte), false) = (bytes.first(), self.ended()) {
            match self.at {
                At::Data => {
                    let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                    let (data, rest) = bytes.split_at(n);
                    each(data);
                    self.left -= n as u64;
                    bytes = rest;
                    if self.left == 0 {
                        self.at = At::Behind;
                    }
                    continue;
                }
                At::Size | At::Digits => match (char::from(byte).to_digit(16), byte) {
                    (Some(_), _) if self.left >> 60 != 0 => return Err(broken("has no possible size")),
                    (Some(digit), _) => {
                        self.left = self.left << 4 | u64::from(digit);
                        self.at = At::Digits;
                    }
                    (None, b'\n') if self.at == At::Digits => self.sized(),
                    (None, b'\r' | b';' | b' ' | b'\t') if self.at == At::Digits => self.at = At::Extension,
                    _ => return Err(broken("has no size")),
                },
                At::Extension if byte == b'\n' => self.sized(),
                At::Behind if byte == b'\n' => self.at = At::Size,
                At::Behind if byte != b'\r' => return Err(broken("is longer than its size")),
                At::Trailer if byte == b'\n' => self.at = At::Over,
                At::Trailer if byte != b'\r' => self.at = At::TrailerLine,
                At::TrailerLine if byte == b'\n' => self.at = At::Trailer,
                At::Extension | At::Behind | At::Trailer | At::TrailerLine | At::Over => {}
            }
            bytes = &bytes[1..];
        }
        Ok(bytes)
    }

    /// The line of the size is over.
    fn sized(&mut self) {
        self.at = if self.left == 0 { At::Trailer } else { At::Data };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> Result<(String, bool, String), String> {
        let (mut chunked, mut data, mut rest) = (Chunked::default(), Vec::new(), Vec::new());
        for piece in pieces {
            let surplus = chunked.take(piece, |bytes| data.extend_from_slice(bytes)).map_err(|why| why.to_string())?;
            rest.extend_from_slice(surplus);
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ok((text(data), chunked.ended(), text(rest)))
    }

    #[test]
    fn chunks_are_read_or_refused() {
        for (body, expect) in [
            ("5\r\nhello\r\n0\r\n\r\n", Some(("hello", true, ""))),
            ("5;name=value\r\nhello\r\nA \r\n0123456789\r\n0\r\n\r\nHTTP", Some(("hello0123456789", true, "HTTP"))),
            ("5\nhello\n0\n\n", Some(("hello", true, ""))),
            ("1\r\na\r\n0\r\nx-trailer: 1\r\ny: 2\r\n\r\n", Some(("a", true, ""))),
            ("5\r\nhel", Some(("hel", false, ""))),
            ("", Some(("", false, ""))),
            ("\r\n", None),
            ("x\r\n", None),
            ("-1\r\n", None),
            ("2\r\nabc\r\n", None),
            ("fffffffffffffffff\r\n", None),
        ] {
            let expect = expect.map(|(data, ended, rest)| (data.to_owned(), ended, rest.to_owned()));
            assert_eq!(decode(&[body.as_bytes()]).ok(), expect, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_does_not_depend_on_the_cuts(
            chunks in proptest::collection::vec("[a-z]{1,20}", 0..6), cuts in proptest::collection::vec(0usize..200, 0..9),
        ) {
            let mut body: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
            body.push_str("0\r\n\r\nrest");
            let bytes = body.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(decode(&pieces), Ok((chunks.concat(), true, "rest".to_owned())));
        }
    }
}
