//! The JSON of what the join adds to a result, byte for byte as serde_json writes it, in less time.
//!
//! serde_json looks at every letter of every field's name, for a letter that it must escape: with seventy fields for each
//! result, that was a third of writing them. The names of a struct's fields have no such letter, and are copied here.
//! All values are left to serde_json.

use serde::ser::{Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde_json::{Error, Result};

/// Writes `value` at the end of `to`.
///
/// # Errors
/// When the value holds what no record holds: a tuple, bytes, a variant with a value, or a name that is no text.
pub fn write<T: Serialize + ?Sized>(to: &mut Vec<u8>, value: &T) -> Result<()> {
    value.serialize(Json(to))
}

struct Json<'a>(&'a mut Vec<u8>);

/// What stands in brackets, of whatever kind: its end, and whether something stands in it already.
struct Inside<'a> {
    to: &'a mut Vec<u8>,
    end: u8,
    some: bool,
}

impl<'a> Inside<'a> {
    fn new(to: &'a mut Vec<u8>, begin: u8, end: u8) -> Self {
        to.push(begin);
        Self { to, end, some: false }
    }

    fn comma(&mut self) {
        if std::mem::replace(&mut self.some, true) {
            self.to.push(b',');
        }
    }

    fn close(self) -> Result<()> {
        self.to.push(self.end);
        Ok(())
    }
}

impl SerializeStruct for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.comma();
        word(self.to, name);
        self.to.push(b':');
        write(self.to, value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl SerializeMap for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<()> {
        self.comma();
        let at = self.to.len();
        write(self.to, name)?;
        // Here a name can be anything.
        if self.to.get(at) == Some(&b'"') { Ok(()) } else { Err(Error::custom("a name that is no text")) }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.to.push(b':');
        write(self.to, value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

impl SerializeSeq for Inside<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.comma();
        write(self.to, value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

/// Values that are no containers: serde_json's business.
macro_rules! plain {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<()> {
            serde_json::to_writer(self.0, &value)
        })*
    };
}

/// A word of Rust, in which nothing is to be escaped.
fn word(to: &mut Vec<u8>, word: &'static str) {
    debug_assert!(word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{word}");
    to.push(b'"');
    to.extend_from_slice(word.as_bytes());
    to.push(b'"');
}

fn unknown<T>() -> Result<T> {
    Err(Error::custom("a value of a kind that no record has"))
}

impl<'a> Serializer for Json<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Inside<'a>;
    type SerializeMap = Inside<'a>;
    type SerializeStruct = Inside<'a>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    plain! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32,
        serialize_f64: f64, serialize_char: char, serialize_str: &str
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit(self) -> Result<()> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        word(self.0, variant);
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Inside<'a>> {
        Ok(Inside::new(self.0, b'[', b']'))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Inside<'a>> {
        Ok(Inside::new(self.0, b'{', b'}'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Inside<'a>> {
        Ok(Inside::new(self.0, b'{', b'}'))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<()> {
        unknown()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        unknown()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
        unknown()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        unknown()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        unknown()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        unknown()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{
        GroundTruth, JoinedMemory, JoinedPower, MemoryFigures, MemoryPoint, PhaseEnergy, Quality, Watts,
    };
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        let mut to = b"before".to_vec();
        write(&mut to, value).unwrap();
        String::from_utf8(to).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    fn same<T: Serialize>(value: &T) {
        assert_eq!(written(value), serde_json::to_string(value).unwrap());
    }

    #[test]
    fn what_is_written_is_what_serde_json_writes() {
        same(&JoinedPower::default());
        same(&JoinedMemory::default());
        same(&GroundTruth { ttft_seconds: Some(-0.0), end_seconds: Some(1e-9), ..GroundTruth::default() });
        same(&None::<f64>);
        same(&());
        same(&"a \"word\" with \u{1} and \u{2028}");
        same(&vec![f64::NAN, f64::INFINITY, 1e300, 0.1 + 0.2]);
        same(&vec![MemoryPoint::default()]);
    }

    #[test]
    fn what_no_record_holds_is_refused() {
        let mut to = Vec::new();
        assert!(write(&mut to, &(1, 2)).is_err());
        assert!(write(&mut to, &BTreeMap::from([(1, 2)])).is_err(), "names are texts");
        assert!(write(&mut to, &Ok::<u8, u8>(1)).is_err());
    }

    proptest! {
        #[test]
        fn every_name_of_a_domain_and_every_number_is_written_as_serde_json_writes_it(
            names in proptest::collection::vec(".*", 0..4),
            watts: f64,
            bytes: i64,
            reason: Option<String>,
        ) {
            let watts = Watts { avg: watts, min: -watts, max: watts / 3.0, samples: Some(bytes.unsigned_abs()) };
            let phase = PhaseEnergy { avg_watts: Some(watts.max), quality: Some(Quality::SubInterval), ..PhaseEnergy::default() };
            same(&JoinedPower {
                domains: names.iter().map(|name| (name.clone(), watts.clone())).collect(),
                warnings: names,
                reason,
                prefill: Some(phase),
                ..JoinedPower::default()
            });
            same(&JoinedMemory {
                high_water: Some(MemoryFigures { rss_bytes: Some(bytes), ..MemoryFigures::default() }),
                ..JoinedMemory::default()
            });
        }
    }
}
