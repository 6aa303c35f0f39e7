//! Writes rows as CSV according to RFC 4180: lines end with CRLF, and a field is quoted if it
//! contains a quote, a comma or a line end. NULL is an empty field, an empty text is `""`. A text is
//! written byte for byte.

use std::io::{self, Write as _};

use tatmig::fleet::SqlValue;

use crate::cli::report::rows::cell::{blob_literal, real_text};
use crate::cli::report::rows::row_writer::{DATABASE_COLUMN, Out, OutputRow, RowWriter};

pub(crate) struct CsvWriter {
    out: Out,
    has_header: bool,
}

impl CsvWriter {
    pub(crate) fn new(out: Out) -> Self {
        Self { out, has_header: false }
    }

    fn write_header<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> io::Result<()> {
        if std::mem::replace(&mut self.has_header, true) {
            return Ok(());
        }
        for (index, name) in names.enumerate() {
            self.separate(index)?;
            self.out.write_all(&quoted(name.as_bytes()))?;
        }
        self.out.write_all(b"\r\n")
    }

    fn separate(&mut self, index: usize) -> io::Result<()> {
        if index > 0 { self.out.write_all(b",") } else { Ok(()) }
    }
}

impl RowWriter for CsvWriter {
    fn write_row(&mut self, row: OutputRow<'_>) -> io::Result<()> {
        let database_column = row.database.map(|_| DATABASE_COLUMN);
        self.write_header(
            database_column.into_iter().chain(row.columns.iter().map(String::as_str)),
        )?;
        if let Some(database) = row.database {
            self.out.write_all(&quoted(database.as_encoded_bytes()))?;
        }
        for (index, value) in row.values.iter().enumerate() {
            self.separate(index + usize::from(row.database.is_some()))?;
            match value {
                SqlValue::Null => {}
                SqlValue::Integer(number) => write!(self.out, "{number}")?,
                SqlValue::Real(number) => self.out.write_all(real_text(*number).as_bytes())?,
                SqlValue::Text(bytes) => self.out.write_all(&quoted(bytes))?,
                SqlValue::Blob(bytes) => self.out.write_all(blob_literal(bytes).as_bytes())?,
            }
        }
        self.out.write_all(b"\r\n")
    }

    fn finish(&mut self, header: &[String]) -> io::Result<()> {
        if !header.is_empty() {
            self.write_header(header.iter().map(String::as_str))?;
        }
        self.out.flush()
    }
}

/// A field, in quotes if it needs them. An empty text is quoted, so that it differs from NULL.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let needs_quotes = |byte: &u8| matches!(byte, b'"' | b',' | b'\r' | b'\n');
    if !bytes.is_empty() && !bytes.iter().any(needs_quotes) {
        return bytes.to_vec();
    }
    let mut field = vec![b'"'];
    for byte in bytes {
        field.extend((*byte == b'"').then_some(b'"'));
        field.push(*byte);
    }
    field.push(b'"');
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_if_they_need_it() {
        for (text, field) in [
            ("a b", "a b"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("\"", "\"\"\"\""),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(quoted(text.as_bytes()), field.as_bytes());
        }
    }
}
