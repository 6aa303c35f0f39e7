//! Runs SQLite's integrity check.

use crate::database::declared::with_section;
use crate::database::session::{Session, SessionError};
use crate::sql::lexer;
use crate::sql::value::Rows;

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IntegrityReport {
    /// The damage, at most 20 lines of SQLite's report. Empty if the database is intact.
    pub(crate) damage: Vec<String>,
    /// Tables that this SQLite cannot check, each as a message shows it: a collation, function or
    /// module of the application is missing.
    pub(crate) unchecked: Vec<String>,
}

/// Checks all pages and indexes. Where SQLite lacks something that one table needs, it checks table
/// by table.
pub(crate) fn check<S: Session>(session: &S) -> Result<IntegrityReport, S::Error> {
    let mut report = IntegrityReport::default();
    match session.query("PRAGMA main.integrity_check(20)", &[]) {
        Ok(rows) => report.add_lines(&rows),
        // The check itself may not be able to read a damaged page.
        Err(error) if error.is_corruption() => report.damage.push(error.message()),
        Err(error) if error.is_sql_error() => check_each_table(session, &mut report)?,
        Err(error) => return Err(error),
    }
    Ok(report)
}

fn check_each_table<S: Session>(session: &S, report: &mut IntegrityReport) -> Result<(), S::Error> {
    let tables = session.query("SELECT name FROM main.sqlite_schema WHERE type = 'table'", &[])?;
    for table in tables.iter().map(|row| row.text(0)) {
        let check = format!("PRAGMA main.integrity_check({})", lexer::quote_identifier(&table));
        match session.query(&check, &[]) {
            Ok(rows) => report.add_lines(&rows),
            Err(error) if error.is_corruption() => report.damage.push(error.message()),
            Err(error) if error.is_sql_error() => report.unchecked.push(format!(
                "table `{table}` cannot be checked here: {}",
                with_section(error.message())
            )),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl IntegrityReport {
    fn add_lines(&mut self, rows: &Rows) {
        let lines = rows.iter().map(|row| row.text(0));
        let lines = lines.map(|line| without_heading(&line).to_owned());
        self.damage.extend(lines.filter(|line| line != "ok"));
    }
}

/// A line of the report without the heading `*** in database main ***`, which SQLite puts before the
/// first damage that it finds in a tree.
pub(crate) fn without_heading(line: &str) -> &str {
    line.strip_prefix("*** in database main ***").map_or(line, str::trim_start)
}
