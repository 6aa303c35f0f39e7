//! Writes rows as JSON objects: one a line, or as part of the document of `--json`.

use std::ffi::OsStr;
use std::io::{self, Write as _};

use serde::ser::{Serialize, SerializeMap, Serializer};
use tatmig::fleet::SqlValue;
use tatmig::text::escape_for_display;

use crate::cli::report::rows::cell::{blob_literal, real_text};
use crate::cli::report::rows::row_writer::{DATABASE_COLUMN, Out, OutputRow, RowWriter};

/// A row as an object with a key for each column.
pub(crate) struct JsonRow<'r> {
    pub(crate) database: Option<&'r OsStr>,
    pub(crate) columns: &'r [String],
    pub(crate) values: &'r [SqlValue],
}

impl Serialize for JsonRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(database) = self.database {
            map.serialize_entry(DATABASE_COLUMN, &escape_for_display(database))?;
        }
        for (column, value) in self.columns.iter().zip(self.values) {
            map.serialize_entry(column, &JsonValue(value))?;
        }
        map.end()
    }
}

/// A value: numbers as numbers, text as a string. What JSON cannot express is an object: a blob, a
/// text that is not UTF-8, and an infinite number.
struct JsonValue<'r>(&'r SqlValue);

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = |key: &str, text: &str, serializer: S| {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(key, text)?;
            map.end()
        };
        match self.0 {
            SqlValue::Null => serializer.serialize_unit(),
            SqlValue::Integer(number) => serializer.serialize_i64(*number),
            SqlValue::Real(number) if number.is_finite() => serializer.serialize_f64(*number),
            SqlValue::Real(number) => object("real", &real_text(*number), serializer),
            SqlValue::Blob(bytes) => object("blob", &blob_literal(bytes), serializer),
            SqlValue::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => object("text", &blob_literal(bytes), serializer),
            },
        }
    }
}

pub(crate) struct NdjsonWriter {
    out: Out,
}

impl NdjsonWriter {
    pub(crate) fn new(out: Out) -> Self {
        Self { out }
    }
}

impl RowWriter for NdjsonWriter {
    fn write_row(&mut self, row: OutputRow<'_>) -> io::Result<()> {
        let OutputRow { database, columns, values } = row;
        serde_json::to_writer(&mut self.out, &JsonRow { database, columns, values })?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self, _: &[String]) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_type() {
        let values = [
            SqlValue::Null,
            SqlValue::Integer(i64::MAX),
            SqlValue::Real(1.0),
            SqlValue::Real(f64::INFINITY),
            SqlValue::Text(b"a\n".to_vec()),
            SqlValue::Text(vec![0xff]),
            SqlValue::Blob(vec![0]),
        ];
        let columns = ["a", "b", "c", "d", "e", "f", "g"].map(String::from);
        let row = JsonRow { database: Some(OsStr::new("ann")), columns: &columns, values: &values };
        assert_eq!(
            serde_json::to_string(&row).unwrap(),
            r#"{"database":"ann","a":null,"b":9223372036854775807,"c":1.0,"d":{"real":"Inf"},"e":"a\n","f":{"text":"x'ff'"},"g":{"blob":"x'00'"}}"#
        );
    }
}
