//! Reports an ADD COLUMN that SQLite accepts only while the table is empty. SQLite decides: each
//! statement that may be of that kind also runs on a copy of the table that holds one row.

use crate::database::error::sqlite_message;
use crate::database::job::ColumnChange;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, StatementRun};
use crate::lint::created_tables::CreatedTables;
use crate::lint::probe::{ProbeDatabase, ROW_VALUES};
use crate::schema::Object;
use crate::sql::lexer;
use crate::sql::tokens::Tokens;

/// Keywords without which a column can be added to any table.
const CONSTRAINT_KEYWORDS: [&str; 5] = ["NOT", "DEFAULT", "REFERENCES", "CHECK", "AS"];

/// Checks every ADD COLUMN of a block.
pub(crate) fn check(
    probe: &ProbeDatabase,
    block_run: &BlockRun<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> rusqlite::Result<()> {
    let mut tables = CreatedTables::default();
    for statement_run in &block_run.statement_runs {
        if let (Some(ColumnChange::Add { table, definition }), Some(table_before)) =
            (&statement_run.statement.column_change, &statement_run.table_before)
            && !tables.is_empty(table)
            && let Some(message) = refusal(probe, table_before, statement_run)?
        {
            diagnostics.push(new_diagnostic(statement_run, &definition.name, &message));
        }
        tables.add(statement_run);
    }
    Ok(())
}

/// Why SQLite refuses a statement on the table if it holds a row. None if SQLite accepts the
/// statement with some row, or refuses it without one as well.
fn refusal(
    probe: &ProbeDatabase,
    table: &Object,
    statement_run: &StatementRun<'_, '_>,
) -> rusqlite::Result<Option<String>> {
    let sql = statement_run.statement.sql.text();
    let tokens = Tokens::new(sql);
    let has_constraint = (0..tokens.len())
        .any(|index| CONSTRAINT_KEYWORDS.iter().any(|keyword| tokens.is(index, keyword)));
    if !has_constraint {
        return Ok(None);
    }
    let mut first_message = None;
    for value in ROW_VALUES {
        match run_on_copy(probe, table, Some(value), sql)? {
            Ok(()) => return Ok(None),
            Err(error) => {
                first_message.get_or_insert(sqlite_message(&error));
            }
        }
    }
    let accepts_empty = run_on_copy(probe, table, None, sql)?.is_ok();
    Ok(first_message.filter(|_| accepts_empty))
}

/// Runs a statement on a table with the columns of `table`, without their constraints. `value` is
/// the value of each column of its row. The inner result is that of the statement.
fn run_on_copy(
    probe: &ProbeDatabase,
    table: &Object,
    value: Option<&str>,
    sql: &str,
) -> rusqlite::Result<rusqlite::Result<()>> {
    let (column_type, option) = if is_strict(&table.sql) { (" ANY", "STRICT") } else { ("", "") };
    let columns: Vec<String> = table.columns().map(lexer::quote_identifier).collect();
    let definitions: Vec<String> =
        columns.iter().map(|name| format!("{name}{column_type}")).collect();
    let name = lexer::quote_identifier(&table.name);
    let create = format!("CREATE TABLE {name} ({}) {option};", definitions.join(", "));
    let insert = value.map_or_else(String::new, |value| {
        let values = vec![value; columns.len()].join(", ");
        format!("INSERT INTO {name} VALUES ({values});")
    });
    let setup = create + &insert;
    probe.run(&setup, |connection| connection.execute_batch(sql))
}

/// Whether a CREATE TABLE has the option STRICT behind its columns.
fn is_strict(sql: &str) -> bool {
    let tokens = Tokens::new(sql);
    (0..tokens.len())
        .rev()
        .take_while(|index| !tokens.is(*index, ")"))
        .any(|index| tokens.is(index, "STRICT"))
}

fn new_diagnostic(
    statement_run: &StatementRun<'_, '_>,
    column: &str,
    sqlite_message: &str,
) -> Diagnostic {
    let statement = &statement_run.statement.sql;
    let tokens = Tokens::new(statement.text());
    let add = tokens.find_top_level(0, "ADD").unwrap_or(0);
    let name = (add..tokens.len()).find(|index| tokens.is_name(*index, column)).unwrap_or(add);
    let condition = if sqlite_message.contains("REFERENCES") {
        "to an empty table while foreign keys are on"
    } else {
        "to an empty table"
    };
    let reason = sqlite_message.replacen("Cannot", "cannot", 1);
    Diagnostic::new(
        Rule::NeedsEmptyTable,
        tokens.span(statement, name, name),
        format!("SQLite adds the column `{column}` only {condition}: {reason}"),
    )
    .help(help_for(sqlite_message))
}

fn help_for(sqlite_message: &str) -> &'static str {
    if sqlite_message.contains("REFERENCES") {
        "add the column without a default, and set it with an UPDATE; tatmig turns foreign keys off, other programs may not"
    } else if sqlite_message.contains("NOT NULL column") {
        "add a constant default, or rebuild the table with the new column"
    } else if sqlite_message.contains("non-constant default") {
        "add the column without the default and set it with an UPDATE, or rebuild the table with the default"
    } else if sqlite_message.contains("STORED") {
        "make the column VIRTUAL, or rebuild the table"
    } else {
        "every row that exists violates this; choose a default that meets the constraint"
    }
}
