//! Words the diagnostics for foreign keys whose parent table does not exist or has no matching key.
//! Each one is reported once: where it is declared, or at the statement that broke it.

use std::ops::Range;

use crate::database::usable_references::{Reference, Usability, UsableReferences};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, Origins, StatementRun};
use crate::schema::{ForeignKey, ObjectKey, ObjectKind, Table};
use crate::source::SourceSlice;
use crate::sql::tokens::{Tokens, span_of_name};

/// A foreign key to report.
pub(crate) struct BrokenKey<'k> {
    /// `dangling-reference` if the block broke a key that could be used, else `broken-foreign-key`.
    pub(crate) rule: Rule,
    pub(crate) reference: &'k Reference,
    pub(crate) foreign_key: &'k ForeignKey,
    pub(crate) usability: &'k Usability,
    pub(crate) references: &'k UsableReferences,
    pub(crate) origins: &'k Origins,
}

impl BrokenKey<'_> {
    /// `statement_run` is the statement that broke the key. The place of a key that the block itself
    /// declares is its declaration.
    pub(crate) fn diagnostic(
        &self,
        block_run: &BlockRun<'_, '_>,
        statement_run: &StatementRun<'_, '_>,
    ) -> Diagnostic {
        let Self { rule, reference, foreign_key, usability, references, origins } = self;
        let child_key = reference.object_key();
        let child = references.object(reference).map_or("", |object| object.name.as_str());
        let parent = &foreign_key.parent;
        let columns = foreign_key.columns.join(", ");
        let declaration = if *rule == Rule::DanglingReference {
            None
        } else {
            declaring_statement(block_run, &child_key, foreign_key)
        };
        let statement = &declaration.unwrap_or(statement_run).statement.sql;
        let span = references_clause_span(statement, foreign_key)
            .unwrap_or_else(|| span_of_name(statement, parent));
        let is_removed = declaration.is_none() && **usability == Usability::MissingParent;
        let (message, help) = match usability {
            _ if is_removed => (
                format!(
                    "this removes the table `{parent}`, which `{child} ({columns})` references: with foreign keys on, every INSERT into `{child}` fails"
                ),
                format!(
                    "drop `{child}` as well, or rebuild it without the foreign key; to rebuild `{parent}`, create the new table under another name, drop `{parent}` and rename the new table to `{parent}`"
                ),
            ),
            Usability::MissingParent => (
                format!(
                    "`{child} ({columns})` references the table `{parent}`, which does not exist"
                ),
                format!(
                    "create `{parent}` in this block, or correct its name; with foreign keys on, every INSERT into `{child}` fails"
                ),
            ),
            _ => (
                format!(
                    "`{child} ({columns})` references {}: foreign key mismatch",
                    describe_mismatch(references, foreign_key)
                ),
                format!(
                    "reference the primary key of `{parent}`, or create a unique index on the referenced columns; with foreign keys on, writing to `{child}` fails"
                ),
            ),
        };
        let diagnostic = Diagnostic::new(*rule, span, message).help(help);
        match origins.get(&child_key).filter(|_| declaration.is_none()) {
            Some(declared) => diagnostic.related(declared.clone(), "the table that references it"),
            None => diagnostic,
        }
    }
}

/// The last statement of the block that declares the key, or else that changed its table.
fn declaring_statement<'t, 's, 'a>(
    block_run: &'t BlockRun<'s, 'a>,
    child: &ObjectKey,
    foreign_key: &ForeignKey,
) -> Option<&'t StatementRun<'s, 'a>> {
    let runs = &block_run.statement_runs;
    let changes_child = |statement_run: &StatementRun<'_, '_>| {
        statement_run.object_changes.iter().any(|(key, _)| key == child)
    };
    runs.iter()
        .rfind(|run| {
            changes_child(run) && references_clause_span(&run.statement.sql, foreign_key).is_some()
        })
        .or_else(|| runs.iter().rfind(|run| changes_child(run)))
}

/// Describes the referenced columns and why they are not a key.
fn describe_mismatch(references: &UsableReferences, foreign_key: &ForeignKey) -> String {
    let parent = &foreign_key.parent;
    let table = references
        .schema()
        .get(&ObjectKey::new(ObjectKind::Table, parent))
        .map_or_else(Table::default, |object| object.structure().clone());
    if foreign_key.parent_columns.is_empty() {
        return format!("the primary key of `{parent}`, which has a different number of columns");
    }
    match foreign_key.parent_columns.iter().find(|column| table.column(column).is_none()) {
        Some(missing_column) => format!("`{parent}.{missing_column}`, which does not exist"),
        None => {
            format!("`{parent} ({})`, which is not unique", foreign_key.parent_columns.join(", "))
        }
    }
}

/// The `REFERENCES` clause of a key, if the statement declares it.
fn references_clause_span(
    statement: &SourceSlice<'_>,
    foreign_key: &ForeignKey,
) -> Option<Range<usize>> {
    let tokens = Tokens::new(statement.text());
    (0..tokens.len()).find_map(|index| {
        if !tokens.is(index, "REFERENCES") || !tokens.is_name(index + 1, &foreign_key.parent) {
            return None;
        }
        let has_columns = tokens.is(index + 2, "(");
        let last = if has_columns { tokens.after_matching_close(index + 2) - 1 } else { index + 1 };
        let referenced_columns: Vec<String> = (index + 3..last)
            .filter(|index| !tokens.is(*index, ","))
            .map(|index| tokens.name(index).to_lowercase())
            .collect();
        let parent_columns = foreign_key.parent_columns.iter().map(|name| name.to_lowercase());
        referenced_columns
            .into_iter()
            .eq(parent_columns)
            .then(|| tokens.span(statement, index, last))
    })
}
