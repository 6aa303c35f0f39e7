//! Runs SQLite's integrity check.

use crate::database::session::{Session, SessionError};

/// Returns the damage that SQLite finds, at most 20 lines of its report. Empty if the database is
/// intact.
pub(crate) fn check<S: Session>(session: &S) -> Result<Vec<String>, S::Error> {
    let lines = match session.query("PRAGMA main.integrity_check(20)", &[]) {
        Ok(rows) => rows.iter().map(|row| row.text(0)).collect(),
        // The check itself may not be able to read a damaged page.
        Err(error) if error.is_corruption() => vec![error.message()],
        Err(error) => return Err(error),
    };
    Ok(lines
        .iter()
        .map(|line| without_heading(line))
        .filter(|line| *line != "ok")
        .map(str::to_owned)
        .collect())
}

/// A line of the report without the heading `*** in database main ***`, which SQLite puts before the
/// first damage that it finds in a tree.
pub(crate) fn without_heading(line: &str) -> &str {
    line.strip_prefix("*** in database main ***").map_or(line, str::trim_start)
}
