//! Reports statements that use a table of an earlier block by the order of its columns. Databases
//! that were changed by hand or by other tools may have the same columns in another order.

use crate::database::job::PositionalPlace;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, StatementRun};
use crate::lint::created_tables::CreatedTables;
use crate::source::first_line_span;
use crate::sql::lexer::quote_if_needed;
use crate::sql::positional::PositionalKind;
use crate::sql::tokens::Tokens;

/// Checks every statement of a block. Of several tables in one statement the first is reported.
pub(crate) fn check(block_run: &BlockRun<'_, '_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut tables = CreatedTables::default();
    for statement_run in &block_run.statement_runs {
        diagnostics.extend(check_statement(block_run, statement_run, &tables));
        tables.add(statement_run);
    }
}

fn check_statement(
    block_run: &BlockRun<'_, '_>,
    statement_run: &StatementRun<'_, '_>,
    tables: &CreatedTables,
) -> Option<Diagnostic> {
    let statement = statement_run.statement;
    // One column has only one order.
    let found = statement
        .positional_tables
        .iter()
        .find(|table| table.columns.len() > 1 && tables.existed_before(block_run, &table.name))?;
    let table = &found.name;
    let message = match &found.place {
        PositionalPlace::Statement(_, PositionalKind::Star) => {
            let verb = if copies_rows(statement.sql.text()) { "copies" } else { "uses" };
            format!("`*` {verb} the columns of `{table}` by position")
        }
        PositionalPlace::Statement(_, PositionalKind::Insert) => {
            format!("without a list of columns, this inserts into `{table}` by position")
        }
        PositionalPlace::Statement(_, PositionalKind::Membership) => {
            format!("this compares with the columns of `{table}` by position")
        }
        PositionalPlace::Object(object) => {
            format!("this uses the {object}, which uses the columns of `{table}` by position")
        }
    };
    let names =
        found.columns.iter().map(|name| quote_if_needed(name)).collect::<Vec<_>>().join(", ");
    let danger =
        "in a database whose columns have another order, values would end in the wrong columns";
    let (span, help) = match &found.place {
        PositionalPlace::Statement(range, _) => (
            statement.sql.document_span(range.clone()),
            format!("name the columns, as in `{names}`: {danger}"),
        ),
        PositionalPlace::Object(object) => (
            first_line_span(&statement.sql),
            format!(
                "drop the {object} before, and create it again with the columns `{names}` named: {danger}"
            ),
        ),
    };
    Some(Diagnostic::new(Rule::PositionalCopy, span, message).help(help))
}

/// Whether the rows that a statement reads are the rows of a table that it fills.
fn copies_rows(sql: &str) -> bool {
    let tokens = Tokens::new(sql);
    ["INSERT", "REPLACE", "CREATE"].iter().any(|word| tokens.is(tokens.main_keyword(), word))
}
