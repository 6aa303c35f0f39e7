//! Represents values and rows of query results, the same for a SQLite file and a libSQL server.

/// A value in one of SQLite's five storage classes.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// The bytes of a text. SQLite does not check that they are UTF-8.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl SqlValue {
    pub(crate) fn from_text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    /// A text, or NULL for `None`.
    pub(crate) fn from_optional_text(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Null, Self::from_text)
    }

    /// The text of a value of that class, if it is UTF-8.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// A text or a number as text. Bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Real(number) => Some(number.to_string()),
            Self::Null | Self::Blob(_) => None,
        }
    }

    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

/// One row of a result. Reading a column that the row does not have is the same as reading NULL.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row(pub(crate) Vec<SqlValue>);

/// The rows of a result.
pub(crate) type Rows = Vec<Row>;

impl Row {
    pub(crate) fn value(&self, column: usize) -> &SqlValue {
        self.0.get(column).unwrap_or(&SqlValue::Null)
    }

    /// The column as text; empty for NULL and for a blob.
    pub(crate) fn text(&self, column: usize) -> String {
        self.optional_text(column).unwrap_or_default()
    }

    pub(crate) fn optional_text(&self, column: usize) -> Option<String> {
        self.value(column).to_text()
    }

    /// Moves the column out as text, as [`Row::text`] reads it, and leaves NULL.
    pub(crate) fn take_text(&mut self, column: usize) -> String {
        let value = self.0.get_mut(column).map(|value| std::mem::replace(value, SqlValue::Null));
        match value {
            Some(SqlValue::Text(bytes)) => String::from_utf8(bytes)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            Some(value) => value.to_text().unwrap_or_default(),
            None => String::new(),
        }
    }

    /// The column as an integer; 0 for every other class.
    pub(crate) fn integer(&self, column: usize) -> i64 {
        self.value(column).as_integer().unwrap_or_default()
    }

    /// The column as a count: a negative integer is 0.
    pub(crate) fn count(&self, column: usize) -> usize {
        usize::try_from(self.integer(column)).unwrap_or_default()
    }

    pub(crate) fn is_true(&self, column: usize) -> bool {
        self.integer(column) != 0
    }
}
