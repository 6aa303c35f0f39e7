//! Decodes SQLite's record format: the values of one table row, and variable-length integers.
//! The format is documented at <https://sqlite.org/fileformat.html#record_format>.

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RecordValue<'p> {
    Null,
    Integer(i64),
    Text(&'p str),
    /// A real number or a blob.
    Other,
}

/// Reads the values of a row in order.
pub(crate) struct RecordCursor<'p> {
    /// The serial types of the values not read yet.
    types: &'p [u8],
    /// The content of the values not read yet.
    content: &'p [u8],
}

impl<'p> RecordCursor<'p> {
    /// A cursor on a row's payload, or on the part of it that is on the page; `None` if the
    /// record's header is cut off.
    pub(crate) fn new(payload: &'p [u8]) -> Option<Self> {
        let mut rest = payload;
        let length = usize::try_from(read_varint(&mut rest)?).ok()?;
        let types = payload.get(payload.len() - rest.len()..length)?;
        Some(Self { types, content: payload.get(length..)? })
    }

    /// The next value; `None` after the last one, and for a value that is not completely on the
    /// page or not valid.
    pub(crate) fn next(&mut self) -> Option<RecordValue<'p>> {
        let serial_type = read_varint(&mut self.types)?;
        let length = match serial_type {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(serial_type).ok()?,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((serial_type - 12) / 2).ok()?,
            _ => return None,
        };
        let (bytes, rest) = self.content.split_at_checked(length)?;
        self.content = rest;
        Some(match serial_type {
            0 => RecordValue::Null,
            8 => RecordValue::Integer(0),
            9 => RecordValue::Integer(1),
            1..=6 => {
                let sign = if bytes[0] >= 0x80 { -1 } else { 0 };
                RecordValue::Integer(
                    bytes.iter().fold(sign, |all, byte| all << 8 | i64::from(*byte)),
                )
            }
            13.. if serial_type % 2 == 1 => RecordValue::Text(std::str::from_utf8(bytes).ok()?),
            _ => RecordValue::Other,
        })
    }
}

/// Reads one of SQLite's variable-length integers (one to nine bytes) and advances the slice.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte_index in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if byte_index == 8 {
            return Some(value << 8 | i64::from(*byte));
        }
        value = value << 7 | i64::from(byte & 0x7f);
        if *byte < 0x80 {
            break;
        }
    }
    Some(value)
}
