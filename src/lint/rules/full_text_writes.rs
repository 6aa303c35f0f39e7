//! Reports statements that change rows whose text a full-text table indexes (`content = 'table'`) in
//! a block that leaves the index as it was: searches then find other rows or none.

use std::collections::BTreeSet;

use crate::database::full_text::ExternalContent;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, StatementRun};
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::tokens::{Tokens, span_of_name};

/// Checks the full-text tables that exist before and after a block. `schema_after` is the schema
/// after the block.
pub(crate) fn check(
    block_run: &BlockRun<'_, '_>,
    schema_after: &Schema,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (key, fts) in &block_run.schema_before {
        let Some(index) = ExternalContent::from_table(fts) else { continue };
        let fts_name = fts.name.to_ascii_lowercase();
        let is_kept = schema_after.contains_key(key)
            && !block_run.changed_keys().any(|changed| changed == key)
            // Triggers of the content table count as well.
            && !block_run.statement_runs.iter().any(|run| run.written_tables.contains(&fts_name));
        let content = ObjectKey::new(ObjectKind::Table, &index.content);
        let Some(content) = block_run.schema_before.get(&content).filter(|_| is_kept) else {
            continue;
        };
        let indexed = indexed_columns(&index, content);
        let statement = block_run
            .statement_runs
            .iter()
            .find(|run| !run.has_failed && changes_rows(run, &index.content, &indexed));
        diagnostics.extend(statement.map(|run| new_diagnostic(run, &fts.name, &index.content)));
    }
}

/// The columns, in lower case, of which the index depends.
fn indexed_columns(index: &ExternalContent<'_>, content: &Object) -> BTreeSet<String> {
    let options = index.table.module().map_or(&[][..], |module| &module.arguments);
    let columns = index.table.columns().map(str::to_ascii_lowercase);
    let mut columns: BTreeSet<String> =
        columns.filter(|column| !options.contains(&format!("{column} unindexed"))).collect();
    columns.extend([index.key.clone(), "rowid".to_owned()]);
    let alias = content.table_definition().and_then(|table| table.rowid_alias());
    columns.extend(alias.map(str::to_owned));
    columns
}

/// Whether a statement, or a trigger that it fires, inserts or deletes rows of a table or updates one
/// of some columns.
fn changes_rows(
    statement_run: &StatementRun<'_, '_>,
    table: &str,
    columns: &BTreeSet<String>,
) -> bool {
    const ROW_KEYWORDS: [&str; 4] = ["INSERT", "REPLACE", "UPDATE", "DELETE"];
    let tokens = Tokens::new(statement_run.statement.sql.text());
    let keyword = tokens.main_keyword();
    let changes_rows = ROW_KEYWORDS.iter().any(|word| tokens.is(keyword, word));
    if !changes_rows || !statement_run.written_tables.contains(table) {
        return false;
    }
    let effects = &statement_run.statement.effects;
    let mut updated = effects.updated_columns.iter().filter(|(updated, _)| updated == table);
    let is_only_updated =
        !effects.filled_tables.contains(table) && updated.clone().next().is_some();
    !is_only_updated || updated.any(|(_, column)| columns.contains(column))
}

fn new_diagnostic(statement_run: &StatementRun<'_, '_>, fts: &str, content: &str) -> Diagnostic {
    let span = span_of_name(&statement_run.statement.sql, content);
    let message = format!(
        "this changes rows of `{content}`, and `{fts}` keeps the text that they had: searches would find other rows or none"
    );
    let help = format!(
        "update the index in the same block, for example with `INSERT INTO {fts} ({fts}) VALUES ('rebuild');` at its end"
    );
    Diagnostic::new(Rule::FtsRowIds, span, message).help(help)
}
