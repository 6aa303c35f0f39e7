//! Reports statements that use a table of an earlier block by the order of its columns. Databases
//! that were changed by hand or by other tools may have the same columns in another order.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, StatementRun};
use crate::lint::created_tables::CreatedTables;
use crate::sql::lexer::spelled;
use crate::sql::positional::positional_uses;

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
    if statement.positional_tables.is_empty() {
        return None;
    }
    let columns_of = |name: &str| {
        let mut positional_tables = statement.positional_tables.iter();
        positional_tables.find(|table| table.name == name).map(|table| table.columns.as_slice())
    };
    // One column has only one order.
    let (found, columns) = positional_uses(statement.sql.text()).into_iter().find_map(|found| {
        let columns = columns_of(&found.table)?;
        (columns.len() > 1 && tables.existed_before(block_run, &found.table))
            .then_some((found, columns))
    })?;
    let table = &found.table;
    let message = if found.is_star {
        format!("`*` copies the columns of `{table}` by position")
    } else {
        format!("without a list of columns, this inserts into `{table}` by position")
    };
    let names = columns.iter().map(|name| spelled(name)).collect::<Vec<_>>();
    let help = format!(
        "name the columns, as in `{}`: in a database whose columns have another order, values would end in the wrong columns",
        names.join(", ")
    );
    let span = statement.sql.document_span(found.range);
    Some(Diagnostic::new(Rule::PositionalCopy, span, message).help(help))
}
