//! Names the modules of virtual tables and the PRAGMAs that this SQLite has, for the error about one
//! that it does not have.

use rusqlite::Connection;

use crate::text::nearest_name;

/// Beginnings of the names of modules of which no statement can create a table: SQLite's own table
/// functions.
const TABLE_FUNCTIONS: [&str; 6] =
    ["pragma_", "json", "sqlite_", "bytecode", "tables_used", "generate_series"];

/// What to write in place of a module that this SQLite does not have; `None` for a message about
/// anything else.
pub(crate) fn missing_module_help(connection: &Connection, message: &str) -> Option<String> {
    let missing = message.strip_prefix("no such module: ")?;
    let modules = read_modules(connection).unwrap_or_default();
    // Of names that are as similar, the last is the newest: `fts5`.
    let suggestion = nearest_name(missing, modules.iter().rev().map(String::as_str))
        .map(|name| format!("did you mean `{name}`? "))
        .unwrap_or_default();
    Some(format!(
        "{suggestion}tatmig's SQLite does not have it, but the modules `{}`; load the extension that has it with `[[extension]]` in tatmig.toml",
        modules.join("`, `")
    ))
}

/// The PRAGMA that was probably meant by the name of one that this SQLite does not have.
pub(crate) fn similar_pragma(connection: &Connection, unknown: &str) -> Option<String> {
    let pragmas = read_names(connection, "SELECT name FROM pragma_pragma_list").unwrap_or_default();
    if pragmas.iter().any(|pragma| pragma.eq_ignore_ascii_case(unknown)) {
        return None;
    }
    nearest_name(unknown, pragmas.iter().map(String::as_str)).map(ToOwned::to_owned)
}

fn read_modules(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT name FROM pragma_module_list ORDER BY name";
    let mut names = read_names(connection, sql)?;
    names.retain(|name| !TABLE_FUNCTIONS.iter().any(|function| name.starts_with(function)));
    Ok(names)
}

fn read_names(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map((), |row| row.get(0))?;
    names.collect()
}
