//! Reports foreign keys whose parent table does not exist or has no matching key. Each one is
//! reported once: where it is declared, or at the statement that removes its parent.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::database::foreign_keys::ParentKey;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::context::{BlockRun, Origins, StatementRun};
use crate::migrate::sandbox::Sandbox;
use crate::schema::{ForeignKey, ObjectKey, ObjectKind, Table};
use crate::source::SourceSlice;
use crate::sql::tokens::{Tokens, span_of_name};

/// Why SQLite cannot enforce a foreign key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BrokenKeyReason {
    ParentKeyMismatch,
    MissingParent,
}

/// The foreign keys that are broken after the blocks so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct BrokenForeignKeys {
    /// By child table and the text of the key.
    reasons_by_key: BTreeMap<(ObjectKey, String), BrokenKeyReason>,
}

impl BrokenForeignKeys {
    /// Checks the keys of all tables that a block may have changed.
    pub(crate) fn check(
        &mut self,
        sandbox: &Sandbox,
        block_run: &BlockRun<'_, '_>,
        origins: &Origins,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> rusqlite::Result<()> {
        let affected_tables = affected_tables(sandbox, block_run);
        if affected_tables.is_empty() {
            return Ok(());
        }
        let mut reasons_by_key = BTreeMap::new();
        for (child_key, child_object) in sandbox.schema() {
            for foreign_key in &child_object.structure().foreign_keys {
                let parent = ObjectKey::new(ObjectKind::Table, &foreign_key.parent);
                let id = (child_key.clone(), foreign_key.to_string());
                let known_reason = self.reasons_by_key.get(&id).copied();
                let reason =
                    if affected_tables.contains(child_key) || affected_tables.contains(&parent) {
                        match ParentKey::read(sandbox.connection(), foreign_key)? {
                            ParentKey::Columns(_) => None,
                            ParentKey::NoTable => Some(BrokenKeyReason::MissingParent),
                            ParentKey::Mismatch => Some(BrokenKeyReason::ParentKeyMismatch),
                        }
                    } else {
                        known_reason
                    };
                let Some(reason) = reason else { continue };
                if known_reason != Some(reason) {
                    let responsible_run =
                        responsible_statement(block_run, child_key, &parent, foreign_key);
                    diagnostics.extend(responsible_run.map(|statement_run| {
                        let declaration_span = origins
                            .get(child_key)
                            .filter(|_| !changes_table(statement_run, child_key));
                        let broken_key =
                            BrokenKey { child: &child_object.name, foreign_key, reason };
                        broken_key.diagnostic(sandbox, statement_run, declaration_span.cloned())
                    }));
                }
                reasons_by_key.insert(id, reason);
            }
        }
        self.reasons_by_key = reasons_by_key;
        Ok(())
    }
}

/// The tables that a block changed, and the tables whose indexes it changed.
fn affected_tables(sandbox: &Sandbox, block_run: &BlockRun<'_, '_>) -> BTreeSet<ObjectKey> {
    let mut tables = BTreeSet::new();
    for (key, object) in
        block_run.statement_runs.iter().flat_map(|statement_run| &statement_run.object_changes)
    {
        let objects =
            [object.as_ref(), block_run.schema_before.get(key), sandbox.schema().get(key)];
        let table_objects = objects.into_iter().flatten();
        tables.extend(table_objects.map(|object| ObjectKey::new(ObjectKind::Table, &object.table)));
        tables.insert(key.clone());
    }
    tables
}

fn changes_table(statement_run: &StatementRun<'_, '_>, table: &ObjectKey) -> bool {
    statement_run.object_changes.iter().any(|(key, _)| key == table)
}

/// The statement that broke a key: the one that declares it, if it is in this block, else the last
/// one that changed its parent.
fn responsible_statement<'t, 's, 'a>(
    block_run: &'t BlockRun<'s, 'a>,
    child: &ObjectKey,
    parent: &ObjectKey,
    foreign_key: &ForeignKey,
) -> Option<&'t StatementRun<'s, 'a>> {
    let is_declared_before = block_run
        .schema_before
        .get(child)
        .is_some_and(|object| object.structure().foreign_keys.contains(foreign_key));
    let last_run_where = |matches: &dyn Fn(&StatementRun<'_, '_>) -> bool| {
        block_run.statement_runs.iter().rfind(|statement_run| matches(statement_run))
    };
    let last_change_of_child =
        || last_run_where(&|statement_run| changes_table(statement_run, child));
    let last_change_of_parent = || {
        last_run_where(&|statement_run| {
            statement_run.object_changes.iter().any(|(key, object)| {
                let object_before = block_run.schema_before.get(key);
                let mut objects = object.iter().chain(object_before);
                key == parent
                    || objects
                        .any(|owner| ObjectKey::new(ObjectKind::Table, &owner.table) == *parent)
            })
        })
    };
    let responsible = if is_declared_before {
        last_change_of_parent().or_else(last_change_of_child)
    } else {
        last_change_of_child()
    };
    responsible.or(block_run.statement_runs.last())
}

/// A foreign key to report.
struct BrokenKey<'k> {
    child: &'k str,
    foreign_key: &'k ForeignKey,
    reason: BrokenKeyReason,
}

impl BrokenKey<'_> {
    /// `declaration_span` is where the child was declared, if another statement broke the key.
    fn diagnostic(
        &self,
        sandbox: &Sandbox,
        statement_run: &StatementRun<'_, '_>,
        declaration_span: Option<Range<usize>>,
    ) -> Diagnostic {
        let Self { child, foreign_key, reason } = self;
        let statement = &statement_run.statement.sql;
        let parent = &foreign_key.parent;
        let columns = foreign_key.columns.join(", ");
        let span = references_clause_span(statement, foreign_key)
            .unwrap_or_else(|| span_of_name(statement, parent));
        let (message, help) = match (reason, &declaration_span) {
            (BrokenKeyReason::MissingParent, Some(_)) => (
                format!(
                    "this removes the table `{parent}`, which `{child} ({columns})` references: the rows of `{child}` would have no parent"
                ),
                format!(
                    "drop `{child}` as well, or rebuild it without the foreign key; in a database where `{child}` has rows, the foreign key check fails"
                ),
            ),
            (BrokenKeyReason::MissingParent, None) => (
                format!(
                    "`{child} ({columns})` references the table `{parent}`, which does not exist"
                ),
                format!(
                    "create `{parent}` in this block, or correct its name; with foreign keys on, every INSERT into `{child}` fails"
                ),
            ),
            (BrokenKeyReason::ParentKeyMismatch, _) => (
                format!(
                    "`{child} ({columns})` references {}: foreign key mismatch",
                    describe_mismatch(sandbox, foreign_key)
                ),
                format!(
                    "reference the primary key of `{parent}`, or create a unique index on the referenced columns; with foreign keys on, writing to `{child}` fails"
                ),
            ),
        };
        let diagnostic = Diagnostic::new(Rule::BrokenForeignKey, span, message).help(help);
        match declaration_span {
            Some(declared) => diagnostic.related(declared, "the table that references it"),
            None => diagnostic,
        }
    }
}

/// Describes the referenced columns and why they are not a key.
fn describe_mismatch(sandbox: &Sandbox, foreign_key: &ForeignKey) -> String {
    let parent = &foreign_key.parent;
    let table = sandbox
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
