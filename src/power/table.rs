//! Comma-separated meters, line by line: columns are found by the names in the header, never by their place.

use csv::{ReaderBuilder, StringRecord, Trim};

/// The names of a header.
#[derive(Debug, Clone)]
pub struct Columns(StringRecord);

impl Columns {
    /// The names in a header line.
    pub fn of(line: &str) -> Self {
        Self(fields(line))
    }

    /// Whether there is a column of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|column| column == name)
    }

    /// A line under this header.
    pub fn row(&self, line: &str) -> Row<'_> {
        Row { columns: self, fields: fields(line) }
    }
}

/// A line with the names of its fields.
#[derive(Debug)]
pub struct Row<'a> {
    columns: &'a Columns,
    fields: StringRecord,
}

impl Row<'_> {
    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let place = self.columns.0.iter().position(|column| column == name)?;
        self.fields.get(place).filter(|field| !field.is_empty())
    }

    /// The field of the first of these names that has one.
    pub fn first_of<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// Whether there is a field for every name.
    pub fn is_whole(&self) -> bool {
        self.fields.len() == self.columns.0.len()
    }
}

fn fields(line: &str) -> StringRecord {
    let mut reader =
        ReaderBuilder::new().has_headers(false).trim(Trim::All).flexible(true).from_reader(line.as_bytes());
    let mut record = StringRecord::new();
    // A line in memory cannot fail to be read, and one that is no CSV is a line without fields.
    let _ = reader.read_record(&mut record);
    record
}
