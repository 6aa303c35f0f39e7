//! Writes rows as an aligned table for people. The first rows decide how wide the columns are, so
//! that the others are written as they come; a longer value pushes the rest of its line to the right.

use std::ffi::OsStr;
use std::io::{self, Write as _};

use tatmig::fleet::SqlValue;
use tatmig::text::escape_for_display;

use crate::cli::report::rows::cell::{blob_literal, is_number, real_text};
use crate::cli::report::rows::row_writer::{DATABASE_COLUMN, Out, OutputRow, RowWriter};

/// How many rows decide the widths, and how many bytes of text they may have.
const MAX_PENDING_ROWS: usize = 1_000;
const MAX_PENDING_BYTES: usize = 1 << 20;

/// A column is padded up to this many characters.
const MAX_WIDTH: usize = 60;

/// A line of cells, with whether each is right-aligned.
struct TableRow {
    cells: Vec<String>,
}

pub(crate) struct TableWriter {
    out: Out,
    /// The first rows, the header among them, until the widths are known.
    pending: Vec<TableRow>,
    pending_bytes: usize,
    columns: Vec<ColumnLayout>,
    has_layout: bool,
}

/// How a column is aligned.
#[derive(Clone, Copy)]
struct ColumnLayout {
    width: usize,
    /// Whether every value so far is a number or NULL.
    is_numeric: bool,
}

impl TableWriter {
    pub(crate) fn new(out: Out) -> Self {
        Self { out, pending: Vec::new(), pending_bytes: 0, columns: Vec::new(), has_layout: false }
    }

    fn start(&mut self, names: impl Iterator<Item = String>) {
        if !self.columns.is_empty() {
            return;
        }
        let cells: Vec<String> = names.collect();
        self.columns = cells.iter().map(|_| ColumnLayout { width: 0, is_numeric: true }).collect();
        self.pending.push(TableRow { cells });
    }

    fn write_pending(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.has_layout, true) {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        for row in &pending {
            for (column, cell) in self.columns.iter_mut().zip(&row.cells) {
                column.width = column.width.max(cell.chars().count().min(MAX_WIDTH));
            }
        }
        pending.iter().try_for_each(|row| self.write_line(row))
    }

    fn write_line(&mut self, row: &TableRow) -> io::Result<()> {
        let mut line = String::new();
        for (index, (cell, column)) in row.cells.iter().zip(&self.columns).enumerate() {
            if index > 0 {
                line.push_str("  ");
            }
            let padding = " ".repeat(column.width.saturating_sub(cell.chars().count()));
            if column.is_numeric {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
        }
        self.out.write_all(line.trim_end().as_bytes())?;
        self.out.write_all(b"\n")
    }
}

impl RowWriter for TableWriter {
    fn write_row(&mut self, row: OutputRow<'_>) -> io::Result<()> {
        let database_column = row.database.map(|_| DATABASE_COLUMN.to_owned());
        let names = row.columns.iter().map(|name| escape_for_display(OsStr::new(name)));
        self.start(database_column.into_iter().chain(names));
        let mut cells: Vec<String> = row.database.map(escape_for_display).into_iter().collect();
        if !self.has_layout {
            if row.database.is_some() {
                self.columns[0].is_numeric = false;
            }
            for (column, value) in self.columns.iter_mut().skip(cells.len()).zip(row.values) {
                column.is_numeric &= is_number(value) || *value == SqlValue::Null;
            }
        }
        cells.extend(row.values.iter().map(cell_text));
        let row = TableRow { cells };
        if self.has_layout {
            return self.write_line(&row);
        }
        self.pending_bytes += row.cells.iter().map(String::len).sum::<usize>();
        self.pending.push(row);
        if self.pending.len() > MAX_PENDING_ROWS || self.pending_bytes > MAX_PENDING_BYTES {
            self.write_pending()?;
        }
        Ok(())
    }

    fn finish(&mut self, header: &[String]) -> io::Result<()> {
        if !header.is_empty() && self.columns.is_empty() {
            self.start(header.iter().map(|name| escape_for_display(OsStr::new(name))));
            for column in &mut self.columns {
                column.is_numeric = false;
            }
        }
        self.write_pending()?;
        self.out.flush()
    }
}

/// A value on one line: control characters and bytes that are not UTF-8 are escaped.
fn cell_text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Integer(number) => number.to_string(),
        SqlValue::Real(number) => real_text(*number),
        SqlValue::Blob(bytes) => blob_literal(bytes),
        SqlValue::Text(bytes) => {
            let mut text = String::new();
            for chunk in bytes.utf8_chunks() {
                text.push_str(&escape_for_display(OsStr::new(chunk.valid())));
                text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_and_drives_no_terminal() {
        for (value, text) in [
            (SqlValue::Null, "NULL"),
            (SqlValue::Text(b"a\n\x1b[31m\xff\xc3\xa9".to_vec()), "a\\n\\u{1b}[31m\\xffé"),
            (SqlValue::Blob(b"\x00".to_vec()), "x'00'"),
        ] {
            assert_eq!(cell_text(&value), text);
        }
    }
}
