//! Checks a `-- tatmig:assert`: runs its SELECT, which must return no row, and describes the first
//! rows that it returns.

use std::ffi::OsStr;

use crate::database::declared::without_comparisons;
use crate::sql::value::SqlValue;
use crate::text::escape_for_display;

/// How many failing rows a message shows.
pub(crate) const MAX_SHOWN_ROWS: usize = 5;

/// How many characters of a value a message shows.
const MAX_VALUE_CHARS: usize = 60;

/// The names of the columns of a SELECT.
pub(crate) fn column_names(select: &rusqlite::Statement<'_>) -> Vec<String> {
    select.column_names().map(ToOwned::to_owned).collect()
}

/// Runs the SELECT of an assertion. Returns its first rows, one more than a message shows; `None`
/// if it returns no row.
pub(crate) fn failing_rows(
    select: &mut rusqlite::Statement<'_>,
) -> rusqlite::Result<Option<Vec<String>>> {
    let columns = column_names(select);
    without_comparisons(|| {
        let mut cursor = select.raw_query();
        let mut rows = Vec::new();
        while rows.len() <= MAX_SHOWN_ROWS
            && let Some(row) = cursor.next()?
        {
            let values = (0..columns.len()).map(|column| Ok(row.get_ref(column)?.into()));
            let values: Vec<SqlValue> = values.collect::<rusqlite::Result<_>>()?;
            rows.push(describe_row(&columns, &values));
        }
        Ok((!rows.is_empty()).then_some(rows))
    })
}

/// `(name = 'ann', n = 2)`.
pub(crate) fn describe_row(columns: &[String], values: &[SqlValue]) -> String {
    let fields = columns.iter().zip(values).map(|(column, value)| {
        let column = escape_for_display(OsStr::new(column));
        format!("{column} = {}", describe_value(value))
    });
    format!("({})", fields.collect::<Vec<_>>().join(", "))
}

fn describe_value(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Blob(bytes) => match bytes.len() {
            1 => "a blob of 1 byte".to_owned(),
            length => format!("a blob of {length} bytes"),
        },
        SqlValue::Text(_) => {
            let text = value.to_text().unwrap_or_default();
            let shown: String = text.chars().take(MAX_VALUE_CHARS).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            format!("'{}{more}'", escape_for_display(OsStr::new(&shown.replace('\'', "''"))))
        }
        SqlValue::Integer(_) | SqlValue::Real(_) => value.to_text().unwrap_or_default(),
    }
}

/// What an assertion requires, and its first rows.
pub(crate) fn describe_failing_rows(rows: &[String]) -> String {
    format!("its SELECT must return no row, but returns {}", list_first_rows(rows))
}

/// The first rows in one line, and whether there are more.
pub(crate) fn list_first_rows(rows: &[String]) -> String {
    let shown = rows[..rows.len().min(MAX_SHOWN_ROWS)].join(", ");
    let more = if rows.len() > MAX_SHOWN_ROWS { " and more" } else { "" };
    format!("{shown}{more}")
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn rows_are_shown_with_their_columns_and_cut() {
        let connection = Connection::open_in_memory().unwrap();
        let rows = |sql| failing_rows(&mut connection.prepare(sql).unwrap()).unwrap();
        assert_eq!(rows("SELECT 1 WHERE 0"), None);
        assert_eq!(
            rows("SELECT 'it''s' AS a, NULL AS b, x'0102' AS c, 1.5 AS d, char(155) AS e").unwrap(),
            ["(a = 'it''s', b = NULL, c = a blob of 2 bytes, d = 1.5, e = '\\u{9b}')"]
        );
        let long = rows("SELECT printf('%.*c', 100, 'x') AS a").unwrap();
        assert_eq!(long, [format!("(a = '{}…')", "x".repeat(60))]);
        let many = rows(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        )
        .unwrap();
        assert!(describe_failing_rows(&many).ends_with("(i = 4), (i = 5) and more"), "{many:?}");
    }
}
