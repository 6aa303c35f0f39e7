//! Statements that destroy rows wholesale: DROP TABLE, DROP COLUMN, and DELETE or UPDATE without
//! WHERE. A table that the block itself made, or makes anew, is not meant.

use std::collections::BTreeSet;

use crate::database::job::ColumnChange;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, Direction, StatementRun};
use crate::schema::{ObjectKey, ObjectKind};
use crate::sql::tokens::Tokens;

const ALLOW_HELP: &str =
    "if it is meant, say why in the block: `-- tatmig:allow destructive because …`";

pub(crate) fn check(block_run: &BlockRun<'_, '_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut created_tables: BTreeSet<ObjectKey> = BTreeSet::new();
    let mut added_columns: BTreeSet<(String, String)> = BTreeSet::new();
    for statement_run in &block_run.statement_runs {
        diagnostics.extend(check_statement(
            block_run,
            statement_run,
            (&created_tables, &added_columns),
        ));
        for (key, object) in &statement_run.object_changes {
            let is_created = object.as_ref().is_some_and(|object| object.kind == ObjectKind::Table)
                && Tokens::new(statement_run.statement.sql.text()).is(0, "CREATE");
            if is_created {
                created_tables.insert(key.clone());
            }
        }
        if let Some(ColumnChange::Add { table, definition }) =
            &statement_run.statement.column_change
        {
            added_columns.insert((table.to_lowercase(), definition.column.name.to_lowercase()));
        }
    }
}

fn check_statement(
    block_run: &BlockRun<'_, '_>,
    statement_run: &StatementRun<'_, '_>,
    (created_tables, added_columns): (&BTreeSet<ObjectKey>, &BTreeSet<(String, String)>),
) -> Option<Diagnostic> {
    let slice = &statement_run.statement.sql;
    let tokens = Tokens::new(slice.text());
    let keyword = tokens.main_keyword();
    let new_diagnostic = |last: usize, message: String| {
        Some(
            Diagnostic::new(Rule::Destructive, tokens.span(slice, keyword, last), message)
                .help(ALLOW_HELP),
        )
    };
    let is_created_in_block =
        |name: &str| created_tables.contains(&ObjectKey::new(ObjectKind::Table, name));
    if tokens.match_seq(keyword, &["DROP", "TABLE"]) {
        let index = if tokens.is(2, "IF") { 4 } else { 2 };
        let index = tokens.skip_schema_qualifier(index);
        let name = tokens.name(index);
        let key = ObjectKey::new(ObjectKind::Table, &name);
        let is_dropped = statement_run
            .object_changes
            .iter()
            .any(|(changed, object)| *changed == key && object.is_none());
        let original_name =
            block_run.script.operations.table_renames.original_name(&name.to_lowercase());
        let is_intended = is_created_in_block(&name)
            || [name.to_lowercase(), original_name]
                .iter()
                .any(|name| block_run.script.rebuilt_tables.contains(name))
            || is_absent_at_target(block_run, &key, None);
        return (is_dropped && !is_intended)
            .then(|| {
                new_diagnostic(
                    index,
                    format!("dropping the table `{name}` deletes all of its rows"),
                )
            })
            .flatten();
    }
    if let Some(ColumnChange::Drop { table, column }) = &statement_run.statement.column_change {
        let is_intended = is_created_in_block(table)
            || is_absent_at_target(
                block_run,
                &ObjectKey::new(ObjectKind::Table, table),
                Some(column.as_str()),
            );
        let first = tokens.find_top_level(0, "DROP").unwrap_or(0);
        let last =
            (first..tokens.len()).find(|index| tokens.is_name(*index, column)).unwrap_or(first);
        return (!is_intended).then(|| {
            Diagnostic::new(
                Rule::Destructive,
                tokens.span(slice, first, last),
                format!("dropping the column `{table}.{column}` deletes its values in every row"),
            )
            .help(ALLOW_HELP)
        });
    }
    if tokens.is(keyword, "DELETE") && tokens.find_top_level(keyword, "WHERE").is_none() {
        let index = tokens.skip_schema_qualifier(keyword + 2);
        let name = tokens.name(index);
        let is_intended = is_created_in_block(&name) || !block_run.is_table(&name);
        return (!is_intended)
            .then(|| {
                new_diagnostic(index, format!("without `WHERE` this deletes every row of `{name}`"))
            })
            .flatten();
    }
    if tokens.is(keyword, "UPDATE") && tokens.find_top_level(keyword, "WHERE").is_none() {
        let index = tokens.skip_schema_qualifier(if tokens.is(keyword + 1, "OR") {
            keyword + 3
        } else {
            keyword + 1
        });
        let name = tokens.name(index);
        let table = name.to_lowercase();
        // A column that the block has just added holds nothing that could be lost.
        let sets_only_added_columns = updated_columns(&tokens, index).is_some_and(|names| {
            names.into_iter().all(|column| added_columns.contains(&(table.clone(), column)))
        });
        let is_intended =
            is_created_in_block(&name) || sets_only_added_columns || !block_run.is_table(&name);
        return (!is_intended)
            .then(|| {
                new_diagnostic(index, format!("without `WHERE` this changes every row of `{name}`"))
            })
            .flatten();
    }
    None
}

/// Whether a reverse block takes away what was not there at the version that it leads to.
fn is_absent_at_target(
    block_run: &BlockRun<'_, '_>,
    table: &ObjectKey,
    column: Option<&str>,
) -> bool {
    let Direction::Down(_, _, target_schema) = block_run.direction else { return false };
    match (target_schema.get(table), column) {
        (None, _) => true,
        (Some(object), Some(column)) => object.structure.column(column).is_none(),
        (Some(_), None) => false,
    }
}

/// The columns, in lower case, that an UPDATE of the table named at a token sets; none if one is
/// not plain.
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
