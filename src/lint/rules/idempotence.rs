//! Reports statements that are not safe to run twice. Each block runs a second time directly after
//! the first: what fails then also fails on a database where the change was already made.

use std::collections::BTreeMap;

use crate::database::error::sqlite_message;
use crate::database::error_span::error_span;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, StatementRun};
use crate::migrate::sandbox::Sandbox;
use crate::sql::lexer;
use crate::sql::tokens::Tokens;

/// Runs a block that has already run once more, and undoes that.
pub(crate) fn check(
    sandbox: &mut Sandbox,
    block_run: &BlockRun<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> rusqlite::Result<()> {
    sandbox.run_and_roll_back(|sandbox| {
        let counts_before = count_rows(sandbox, block_run);
        let mut inserts = Vec::new();
        for statement_run in &block_run.statement_runs {
            let outcome = sandbox.run_statement(statement_run.statement.sql.text())?;
            if let Err(error) = &outcome.result {
                // tatmig skips a column that already exists or is already dropped.
                let is_column_change = statement_run.statement.column_change.is_some();
                if !statement_run.has_failed && !is_column_change {
                    diagnostics.push(new_diagnostic(statement_run, error));
                }
            } else if outcome.affected_rows > 0 {
                inserts.extend(insert_target(statement_run).map(|table| (table, statement_run)));
            }
            if sandbox.has_transaction_ended() {
                return Ok(());
            }
        }
        let counts_after = count_rows(sandbox, block_run);
        for (table, statement_run) in inserts {
            let rows_before = counts_before.get(&table);
            if rows_before.is_some() && counts_after.get(&table) > rows_before {
                diagnostics.push(repeated_insert_diagnostic(statement_run, &table));
            }
        }
        Ok(())
    })
}

fn repeated_insert_diagnostic(statement_run: &StatementRun<'_, '_>, table: &str) -> Diagnostic {
    let tokens = Tokens::new(statement_run.statement.sql.text());
    let last = (0..tokens.len()).find(|index| tokens.is_name(*index, table)).unwrap_or(0);
    Diagnostic::new(
        Rule::NotRerunnable,
        tokens.span(&statement_run.statement.sql, tokens.main_keyword(), last),
        format!("not safe to run twice: the rows are inserted into `{table}` again"),
    )
    .help("add `WHERE NOT EXISTS (…)`, or a unique key and `INSERT OR IGNORE`")
}

/// The table that a statement inserts into, in lower case.
fn insert_target(statement_run: &StatementRun<'_, '_>) -> Option<String> {
    let tokens = Tokens::new(statement_run.statement.sql.text());
    let keyword = tokens.main_keyword();
    let is_insert = tokens.is(keyword, "INSERT") || tokens.is(keyword, "REPLACE");
    let into_index = tokens.find_top_level(keyword, "INTO").filter(|_| is_insert)?;
    Some(tokens.name(tokens.skip_schema_qualifier(into_index + 1)).to_lowercase())
}

/// Counts the rows of the tables that a block inserts into.
fn count_rows(sandbox: &Sandbox, block_run: &BlockRun<'_, '_>) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for table in block_run.statement_runs.iter().filter_map(insert_target) {
        let count_query = format!("SELECT count(*) FROM {}", lexer::quote_identifier(&table));
        // A table that does not exist has no rows that could be inserted twice.
        if let Ok(count) = sandbox.connection().query_row(&count_query, [], |row| row.get(0)) {
            counts.insert(table, count);
        }
    }
    counts
}

fn new_diagnostic(statement_run: &StatementRun<'_, '_>, error: &rusqlite::Error) -> Diagnostic {
    let statement = &statement_run.statement.sql;
    let error_text = sqlite_message(error);
    let help =
        if error_text.contains("already exists") || error_text.starts_with("there is already") {
            "for databases that already have it, write `IF NOT EXISTS`"
        } else if error_text.starts_with("no such") && Tokens::new(statement.text()).is(0, "DROP") {
            "for databases that no longer have it, write `IF EXISTS`"
        } else if error_text.contains("constraint failed") {
            "write `INSERT OR IGNORE`, or `ON CONFLICT DO NOTHING`"
        } else {
            "the change may already have been made on some databases, outside of tatmig"
        };
    Diagnostic::new(
        Rule::NotRerunnable,
        error_span(statement, error),
        format!("not safe to run twice: {error_text}"),
    )
    .help(help)
}
