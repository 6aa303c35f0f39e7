//! Writes values of SQLite as text.

use std::fmt::Write as _;

use tatmig::fleet::SqlValue;

/// `x'00ff'`, as SQL writes a blob.
pub(crate) fn blob_literal(bytes: &[u8]) -> String {
    let hex = bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("x'{hex}'")
}

/// A real number with all of its digits, and with a decimal point, as SQLite writes it.
pub(crate) fn real_text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    format!("{number:?}")
}

/// Whether a value is a number.
pub(crate) fn is_number(value: &SqlValue) -> bool {
    matches!(value, SqlValue::Integer(_) | SqlValue::Real(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_sqlite_does() {
        assert_eq!(blob_literal(&[0, 255]), "x'00ff'");
        for (number, text) in
            [(1.0, "1.0"), (0.1, "0.1"), (-2.5e300, "-2.5e300"), (f64::NEG_INFINITY, "-Inf")]
        {
            assert_eq!(real_text(number), text);
        }
    }
}
