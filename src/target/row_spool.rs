//! Keeps the rows of a query until they are printed: a little in memory, the rest in a temporary file
//! without a name.

use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek as _, SeekFrom, Write as _};

use crate::database::query::QueryError;
use crate::sql::value::SqlValue;

/// Rows in the order in which they were pushed.
#[derive(Debug)]
pub struct RowSpool {
    /// The rows that are not in the file.
    memory: Vec<u8>,
    memory_limit: usize,
    file: Option<File>,
    count: u64,
}

impl RowSpool {
    /// An empty spool that keeps up to about `memory_limit` bytes in memory.
    #[must_use]
    pub fn new(memory_limit: usize) -> Self {
        Self { memory: Vec::new(), memory_limit, file: None, count: 0 }
    }

    /// The number of rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be created or written.
    pub fn push_row(&mut self, values: &[SqlValue]) -> Result<(), QueryError> {
        encode_length(&mut self.memory, values.len());
        for value in values {
            encode_value(&mut self.memory, value);
        }
        self.count += 1;
        if self.memory.len() > self.memory_limit {
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(tempfile::tempfile()?),
            };
            file.write_all(&self.memory)?;
            self.memory.clear();
        }
        Ok(())
    }

    /// Reads the rows from the first one on.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be read.
    pub fn into_reader(self) -> io::Result<RowReader> {
        let memory = Cursor::new(self.memory);
        let input: Box<dyn Read + Send> = match self.file {
            None => Box::new(memory),
            Some(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(BufReader::new(file).chain(memory))
            }
        };
        Ok(RowReader { input, remaining: self.count })
    }
}

/// Reads rows one by one.
pub struct RowReader {
    input: Box<dyn Read + Send>,
    remaining: u64,
}

impl std::fmt::Debug for RowReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowReader").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

impl RowReader {
    /// Reads the next row; `None` after the last one.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be read.
    pub fn next_row(&mut self) -> io::Result<Option<Vec<SqlValue>>> {
        if self.remaining == 0 {
            return Ok(None);
        }
        self.remaining -= 1;
        let length = self.read_length()?;
        (0..length).map(|_| self.read_value()).collect::<io::Result<_>>().map(Some)
    }

    fn read_value(&mut self) -> io::Result<SqlValue> {
        let [tag] = self.read_array()?;
        Ok(match tag {
            NULL => SqlValue::Null,
            INTEGER => SqlValue::Integer(i64::from_le_bytes(self.read_array()?)),
            REAL => SqlValue::Real(f64::from_le_bytes(self.read_array()?)),
            TEXT => SqlValue::Text(self.read_bytes()?),
            BLOB => SqlValue::Blob(self.read_bytes()?),
            _ => return Err(ErrorKind::InvalidData.into()),
        })
    }

    fn read_array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_length(&mut self) -> io::Result<usize> {
        let length = u64::from_le_bytes(self.read_array()?);
        usize::try_from(length).map_err(|_| ErrorKind::InvalidData.into())
    }

    fn read_bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.read_length()?];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

fn encode_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes());
}

fn encode_value(out: &mut Vec<u8>, value: &SqlValue) {
    match value {
        SqlValue::Null => out.push(NULL),
        SqlValue::Integer(number) => {
            out.push(INTEGER);
            out.extend_from_slice(&number.to_le_bytes());
        }
        SqlValue::Real(number) => {
            out.push(REAL);
            out.extend_from_slice(&number.to_le_bytes());
        }
        SqlValue::Text(bytes) => {
            out.push(TEXT);
            encode_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
        SqlValue::Blob(bytes) => {
            out.push(BLOB);
            encode_length(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_were_pushed_from_memory_and_from_a_file() {
        let row = |number: i64| {
            vec![
                SqlValue::Integer(number),
                SqlValue::Null,
                SqlValue::Real(0.1),
                SqlValue::Text(b"a\xff\0".to_vec()),
                SqlValue::Blob(vec![0; 20]),
            ]
        };
        for limit in [0, 100, 1 << 20] {
            let mut spool = RowSpool::new(limit);
            for number in 0..20 {
                spool.push_row(&row(number)).unwrap();
            }
            spool.push_row(&[]).unwrap();
            assert_eq!(spool.count(), 21);
            assert_eq!(spool.file.is_some(), limit < 1 << 20);
            let mut reader = spool.into_reader().unwrap();
            for number in 0..20 {
                assert_eq!(reader.next_row().unwrap(), Some(row(number)), "{limit}");
            }
            assert_eq!(reader.next_row().unwrap(), Some(Vec::new()));
            assert_eq!(reader.next_row().unwrap(), None);
        }
    }
}
