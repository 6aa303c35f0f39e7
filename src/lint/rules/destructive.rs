//! Reports statements that delete or overwrite all rows of a table: DROP TABLE, DROP COLUMN, and
//! DELETE or UPDATE without WHERE. Tables and columns that the same block created, and tables that
//! it rebuilds after it copied their rows, are exempt.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::database::job::ColumnChange;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, Direction, StatementRun};
use crate::schema::{ObjectKey, ObjectKind};
use crate::sql::tokens::Tokens;

const ALLOW_HELP: &str =
    "if this is intended, say why in the block: `-- tatmig:allow destructive because …`";

/// Checks every statement of a block.
pub(crate) fn check(block_run: &BlockRun<'_, '_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut created = CreatedInBlock::default();
    for statement_run in &block_run.statement_runs {
        diagnostics.extend(check_statement(block_run, statement_run, &created));
        created.add(statement_run);
    }
}

/// What the statements of the block so far have created: none of it holds rows of real databases.
#[derive(Default)]
struct CreatedInBlock {
    tables: BTreeSet<ObjectKey>,
    /// Columns with their tables, in lower case.
    columns: BTreeSet<(String, String)>,
}

impl CreatedInBlock {
    fn add(&mut self, statement_run: &StatementRun<'_, '_>) {
        let is_create = Tokens::new(statement_run.statement.sql.text()).is(0, "CREATE");
        for (key, object) in &statement_run.object_changes {
            let is_table = object.as_ref().is_some_and(|object| object.kind == ObjectKind::Table);
            if is_create && is_table {
                self.tables.insert(key.clone());
            }
        }
        if let Some(ColumnChange::Add { table, definition }) =
            &statement_run.statement.column_change
        {
            self.columns.insert((table.to_lowercase(), definition.name.to_lowercase()));
        }
    }

    fn has_table(&self, name: &str) -> bool {
        self.tables.contains(&ObjectKey::new(ObjectKind::Table, name))
    }
}

/// A destructive statement: the tokens to underline, and the message.
struct Finding {
    token_range: Range<usize>,
    message: String,
}

fn check_statement(
    block_run: &BlockRun<'_, '_>,
    statement_run: &StatementRun<'_, '_>,
    created: &CreatedInBlock,
) -> Option<Diagnostic> {
    let slice = &statement_run.statement.sql;
    let tokens = Tokens::new(slice.text());
    let keyword = tokens.main_keyword();
    let has_where = || tokens.find_top_level(keyword, "WHERE").is_some();
    let finding = if tokens.match_seq(keyword, &["DROP", "TABLE"]) {
        check_drop_table(block_run, statement_run, created, &tokens)
    } else if let Some(ColumnChange::Drop { table, column }) =
        &statement_run.statement.column_change
    {
        let is_exempt = created.has_table(table)
            || is_absent_at_target(
                block_run,
                &ObjectKey::new(ObjectKind::Table, table),
                Some(column.as_str()),
            );
        (!is_exempt).then(|| drop_column_finding(&tokens, table, column))
    } else if tokens.is(keyword, "DELETE") && !has_where() {
        check_delete(block_run, created, &tokens)
    } else if tokens.is(keyword, "UPDATE") && !has_where() {
        check_update(block_run, created, &tokens)
    } else {
        None
    };
    let Finding { token_range, message } = finding?;
    let span = tokens.span(slice, token_range.start, token_range.end - 1);
    Some(Diagnostic::new(Rule::Destructive, span, message).help(ALLOW_HELP))
}

fn check_drop_table(
    block_run: &BlockRun<'_, '_>,
    statement_run: &StatementRun<'_, '_>,
    created: &CreatedInBlock,
    tokens: &Tokens<'_>,
) -> Option<Finding> {
    let index = tokens.skip_schema_qualifier(if tokens.is(2, "IF") { 4 } else { 2 });
    let name = tokens.name(index);
    let key = ObjectKey::new(ObjectKind::Table, &name);
    let is_dropped = statement_run
        .object_changes
        .iter()
        .any(|(changed, object)| *changed == key && object.is_none());
    let script = block_run.script;
    let renames = &script.operations.table_renames;
    let names = [name.to_lowercase(), renames.original_name(&name.to_lowercase())];
    let is_rebuilt = names.iter().any(|name| script.rebuilt_tables.contains(name))
        && are_rows_copied(block_run, statement_run, &names);
    let is_exempt =
        created.has_table(&name) || is_rebuilt || is_absent_at_target(block_run, &key, None);
    (is_dropped && !is_exempt).then(|| Finding {
        token_range: 0..index + 1,
        message: format!("dropping the table `{name}` deletes all of its rows"),
    })
}

/// Whether a statement before the one that drops a table fills another table from it. `names` are
/// the table's names, in lower case.
fn are_rows_copied(
    block_run: &BlockRun<'_, '_>,
    drop: &StatementRun<'_, '_>,
    names: &[String],
) -> bool {
    let before = block_run.statement_runs.iter().take_while(|run| !std::ptr::eq(*run, drop));
    before.map(|run| &run.statement.effects).any(|effects| {
        !effects.filled_tables.is_empty()
            && effects.read_columns.iter().any(|(table, _)| names.contains(table))
    })
}

fn drop_column_finding(tokens: &Tokens<'_>, table: &str, column: &str) -> Finding {
    let first = tokens.find_top_level(0, "DROP").unwrap_or(0);
    let last = (first..tokens.len()).find(|index| tokens.is_name(*index, column)).unwrap_or(first);
    Finding {
        token_range: first..last + 1,
        message: format!("dropping the column `{table}.{column}` deletes its values in every row"),
    }
}

fn check_delete(
    block_run: &BlockRun<'_, '_>,
    created: &CreatedInBlock,
    tokens: &Tokens<'_>,
) -> Option<Finding> {
    let keyword = tokens.main_keyword();
    let index = tokens.skip_schema_qualifier(keyword + 2);
    let name = tokens.name(index);
    (!created.has_table(&name) && block_run.is_table(&name)).then(|| Finding {
        token_range: keyword..index + 1,
        message: format!("without `WHERE` this deletes every row of `{name}`"),
    })
}

fn check_update(
    block_run: &BlockRun<'_, '_>,
    created: &CreatedInBlock,
    tokens: &Tokens<'_>,
) -> Option<Finding> {
    let keyword = tokens.main_keyword();
    let name_index = if tokens.is(keyword + 1, "OR") { keyword + 3 } else { keyword + 1 };
    let index = tokens.skip_schema_qualifier(name_index);
    let name = tokens.name(index);
    let table = name.to_lowercase();
    // A column that the block has just added holds no values that could be lost.
    let sets_only_added_columns = updated_columns(tokens, index).is_some_and(|names| {
        names.into_iter().all(|column| created.columns.contains(&(table.clone(), column)))
    });
    let is_exempt =
        created.has_table(&name) || sets_only_added_columns || !block_run.is_table(&name);
    (!is_exempt).then(|| Finding {
        token_range: keyword..index + 1,
        message: format!("without `WHERE` this changes every row of `{name}`"),
    })
}

/// Whether a reverse block removes a table, or a column of it, that does not exist at the version
/// that it leads to.
fn is_absent_at_target(
    block_run: &BlockRun<'_, '_>,
    table: &ObjectKey,
    column: Option<&str>,
) -> bool {
    let Direction::Down { target_schema, .. } = block_run.direction else { return false };
    match (target_schema.get(table), column) {
        (None, _) => true,
        (Some(object), Some(column)) => object.structure().column(column).is_none(),
        (Some(_), None) => false,
    }
}

/// The columns, in lower case, that an UPDATE of the table named at a token sets. `None` if it
/// sets columns in a list, as `SET (a, b) = …`.
fn updated_columns(tokens: &Tokens<'_>, table_index: usize) -> Option<Vec<String>> {
    let set_index = tokens.find_top_level(table_index, "SET")?;
    let end = tokens.find_top_level(set_index, "FROM").unwrap_or(tokens.len());
    let mut columns = Vec::new();
    for index in set_index..end {
        if tokens.depth(index) == 0 && (index == set_index || tokens.is(index, ",")) {
            if tokens.is(index + 1, "(") {
                return None;
            }
            columns.push(tokens.name(index + 1).to_lowercase());
        }
    }
    Some(columns)
}
