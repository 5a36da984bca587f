//! JSON as these programs write it, read with less ado than JSON that may be written in any way.
//!
//! No white space between its parts, no deeper than [`DEEPEST`], numbers of common size. Whatever is otherwise, or wrong, is
//! refused, and nobody is told why: then serde_json reads it, and says what is wrong if it is. So this may refuse anything, but
//! what it accepts must be what serde_json makes of it.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::borrow::Cow;
use std::fmt;

/// How deep lists and objects may lie in each other.
const DEEPEST: u8 = 64;

/// It is to be read otherwise.
#[derive(Debug)]
pub struct Otherwise;

impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("not plain")
    }
}

impl std::error::Error for Otherwise {}

impl serde::de::Error for Otherwise {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Otherwise
    }
}

type Result<T> = std::result::Result<T, Otherwise>;

/// A text of JSON, and how far it has been read.
pub struct Plain<'de> {
    text: &'de str,
    at: usize,
    depth: u8,
}

impl<'de> Plain<'de> {
    pub fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Whether all of it has been read.
    pub fn ended(&self) -> bool {
        self.at == self.text.len()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'de [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, word: &[u8]) -> Result<()> {
        if !self.rest().starts_with(word) {
            return Err(Otherwise);
        }
        self.at += word.len();
        Ok(())
    }

    /// The text between quotes.
    fn quoted(&mut self) -> Result<Cow<'de, str>> {
        self.eat(b"\"")?;
        let from = self.at;
        self.at += unescaped(self.rest());
        let escapes = self.peek() == Some(b'\\');
        while self.peek() == Some(b'\\') {
            self.at += 2;
            self.at += unescaped(self.rest());
        }
        self.eat(b"\"")?;
        if escapes {
            // What they mean, and whether they mean anything, is known elsewhere.
            let quoted = self.text.get(from - 1..self.at).ok_or(Otherwise)?;
            return serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Otherwise);
        }
        self.text.get(from..self.at - 1).map(Cow::Borrowed).ok_or(Otherwise)
    }

    /// Reads digits, as many as there are, behind the number that others are.
    fn digits(&mut self, number: &mut u64) -> usize {
        let from = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            // Too many wrap, and are not looked at.
            *number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - from
    }

    fn number<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        /// The powers of ten that a double holds exactly.
        const TENS: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
            1e19, 1e20, 1e21, 1e22,
        ];
        let from = self.at;
        let negative = self.eat(b"-").is_ok();
        let (mut number, zero) = (0, self.peek() == Some(b'0'));
        let whole = self.digits(&mut number);
        if whole == 0 || (zero && whole > 1) {
            return Err(Otherwise);
        }
        let fraction = match self.peek() {
            Some(b'.') => {
                self.at += 1;
                Some(self.digits(&mut number))
            }
            _ => None,
        };
        if fraction == Some(0) {
            return Err(Otherwise);
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits(&mut 0) == 0 {
                return Err(Otherwise);
            }
            return self.rounded(from, visitor);
        }
        let Some(fraction) = fraction else {
            // Not more than an i64 holds.
            return match negative {
                _ if whole > 18 => Err(Otherwise),
                false => visitor.visit_u64(number),
                true if number == 0 => visitor.visit_f64(-0.0),
                true => visitor.visit_i64(-(number as i64)),
            };
        };
        // Both are exact, and so their quotient is rounded once: Clinger 1990.
        match TENS.get(fraction) {
            Some(ten) if whole + fraction <= 19 && number < 1 << 53 => {
                let number = number as f64 / ten;
                visitor.visit_f64(if negative { -number } else { number })
            }
            _ => self.rounded(from, visitor),
        }
    }

    /// The number from a place to here, by a reader that rounds correctly.
    fn rounded<V: Visitor<'de>>(&self, from: usize, visitor: V) -> Result<V::Value> {
        let number = self.text.get(from..self.at).and_then(|text| text.parse::<f64>().ok());
        visitor.visit_f64(number.filter(|number| number.is_finite()).ok_or(Otherwise)?)
    }

    /// Reads what lies between brackets.
    fn inside<T>(&mut self, close: &[u8], read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Otherwise);
        }
        let value = read(self)?;
        self.depth -= 1;
        self.eat(close)?;
        Ok(value)
    }
}

/// How many bytes there are before a quote, an escape or a control character.
fn unescaped(bytes: &[u8]) -> usize {
    /// A word of eight such bytes.
    const fn all(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of the first byte that is zero, or below a bound, is set; of bytes above it it may be.
        let zero = |word: u64| word.wrapping_sub(all(1)) & !word;
        let control = word.wrapping_sub(all(b' ')) & !word;
        let found = (control | zero(word ^ all(b'"')) | zero(word ^ all(b'\\'))) & all(0x80);
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '));
    words.len() * 8 + end.unwrap_or(rest.len())
}

impl<'de> Deserializer<'de> for &mut Plain<'de> {
    type Error = Otherwise;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek().ok_or(Otherwise)? {
            b'"' => match self.quoted()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            b'-' | b'0'..=b'9' => self.number(visitor),
            b'{' => self.inside(b"}", |plain| visitor.visit_map(Items { plain, first: true })),
            b'[' => self.inside(b"]", |plain| visitor.visit_seq(Items { plain, first: true })),
            b'n' => self.eat(b"null").and_then(|()| visitor.visit_unit()),
            b't' => self.eat(b"true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.eat(b"false").and_then(|()| visitor.visit_bool(false)),
            _ => Err(Otherwise),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek() {
            Some(b'n') => self.eat(b"null").and_then(|()| visitor.visit_none()),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    /// Only variants that are a word.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.quoted()? {
            Cow::Borrowed(name) => visitor.visit_enum(BorrowedStrDeserializer::new(name)),
            Cow::Owned(_) => Err(Otherwise),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The items of a list, or the fields of an object.
struct Items<'p, 'de> {
    plain: &'p mut Plain<'de>,
    first: bool,
}

impl Items<'_, '_> {
    /// Whether there is another one.
    fn more(&mut self, close: u8) -> Result<bool> {
        if self.plain.peek() == Some(close) {
            return Ok(false);
        }
        if !std::mem::replace(&mut self.first, false) {
            self.plain.eat(b",")?;
        }
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Otherwise;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.more(b'}')? {
            return Ok(None);
        }
        match self.plain.quoted()? {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(name.into_deserializer()),
        }
        .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.plain.eat(b":")?;
        seed.deserialize(&mut *self.plain)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Otherwise;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.more(b']')? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.plain).map(Some)
    }
}

#[cfg(test)]
mod tests;
