//! Generates the statements that lead from one schema to another and keep the rows: dependent
//! objects are dropped first, then tables change, parents before children, and then indexes, views
//! and triggers are created.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::database::connection::ConnectionSetup;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema, compare};
use crate::schema_diff::comment::to_comment;
use crate::schema_diff::dependents::Dependents;
use crate::schema_diff::diff::SchemaDiff;
use crate::schema_diff::error::DiffError;
use crate::schema_diff::rebuild::Rebuild;
use crate::schema_diff::rename::Rename;
use crate::schema_diff::statement::{sort_by_dependency, with_if_not_exists, written_name};
use crate::schema_diff::table_change::{
    TableChange, columns_missing_in, create_sandbox, tightens_constraints,
};
use crate::schema_diff::virtual_table;
use crate::sql::lexer::quote_identifier;
use crate::sql::table_definition::TableDefinition;

struct Generator<'s> {
    old_schema: &'s Schema,
    new_schema: &'s Schema,
    /// The tables of the old schema, without rows.
    sandbox: Connection,
    /// The statements in groups, which blank lines separate.
    paragraphs: Vec<String>,
    warnings: Vec<String>,
    suspected_renames: Vec<Rename>,
    /// Descriptions of the rows and values that are deleted.
    deleted_data: Vec<String>,
    /// Virtual tables that are dropped after their rows have been copied.
    copied_virtual_tables: Vec<String>,
    /// Whether the new schema may reject existing rows.
    tightens_constraints: bool,
}

/// Generates the statements.
///
/// # Errors
///
/// A virtual table that differs and cannot be copied, or an error of SQLite.
pub(crate) fn generate(
    old_schema: &Schema,
    new_schema: &Schema,
    setup: &ConnectionSetup,
) -> Result<SchemaDiff, DiffError> {
    let mut generator = Generator {
        old_schema,
        new_schema,
        sandbox: create_sandbox(old_schema, new_schema, setup)?,
        paragraphs: Vec::new(),
        warnings: Vec::new(),
        suspected_renames: Vec::new(),
        deleted_data: Vec::new(),
        copied_virtual_tables: Vec::new(),
        tightens_constraints: false,
    };
    generator.run()?;
    Ok(generator.finish())
}

impl<'s> Generator<'s> {
    fn run(&mut self) -> Result<(), DiffError> {
        let (old_schema, new_schema) = (self.old_schema, self.new_schema);
        let exists_in = |object: &Object, other: &Schema| {
            other.get(&object.key()).is_some_and(|counterpart| counterpart.kind == object.kind)
        };
        let tables_of =
            |schema: &'s Schema| schema.values().filter(|object| object.kind == ObjectKind::Table);
        let dropped_tables: Vec<_> =
            tables_of(old_schema).filter(|table| !exists_in(table, new_schema)).collect();
        let created_tables =
            sort_by_dependency(tables_of(new_schema).filter(|table| !exists_in(table, old_schema)));
        let kept_tables = tables_of(new_schema).filter(|table| exists_in(table, old_schema));
        let mut changes = Vec::new();
        for new in sort_by_dependency(kept_tables) {
            let old = &old_schema[&new.key()];
            if !compare::is_equivalent(old, new) {
                changes.push(TableChange::choose(&self.sandbox, old, new)?);
            }
        }
        let dependents = Dependents {
            old_schema,
            new_schema,
            changes: &changes,
            dropped_tables: &dropped_tables,
        };
        let views_and_triggers = dependents.views_and_triggers_to_drop();
        self.push_paragraph(&dependents.drop_statements(&views_and_triggers));
        for table in dropped_tables.iter().rev() {
            self.drop_table(table, &created_tables);
        }
        for table in &created_tables {
            self.paragraphs.push(with_if_not_exists(&table.sql));
            self.paragraphs.extend(virtual_table::fill_fts5_index(table));
        }
        for change in &changes {
            self.write_change(change);
        }
        for objects in dependents.objects_to_create(&views_and_triggers) {
            self.tightens_constraints |=
                objects.iter().any(|object| dependents.is_new_unique_index(object));
            let statements: Vec<_> =
                objects.iter().map(|object| with_if_not_exists(&object.sql)).collect();
            self.push_paragraph(&statements);
        }
        Ok(())
    }

    fn push_paragraph(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.paragraphs.push(lines.join("\n"));
        }
    }

    /// Drops a table. A created table with the same columns may be this one under a new name.
    fn drop_table(&mut self, table: &Object, created_tables: &[&Arc<Object>]) {
        let name = written_name(table);
        let column_names = |table: &Object| -> BTreeSet<String> {
            table.columns().map(str::to_ascii_lowercase).collect()
        };
        for new in created_tables.iter().filter(|new| column_names(new) == column_names(table)) {
            self.suspect(Rename::new_for_table(&table.name, &new.name));
        }
        self.deleted_data.push(format!("the rows of `{}`", table.name));
        self.paragraphs.push(format!("DROP TABLE IF EXISTS {name};"));
    }

    /// Notes a rename that is possible, and writes it as a comment.
    fn suspect(&mut self, rename: Rename) {
        self.paragraphs.push(to_comment(&format!("tatmig:todo {}", rename.suggestion())));
        self.suspected_renames.push(rename);
    }

    fn write_change(&mut self, change: &TableChange<'_>) {
        match change {
            TableChange::Alter { table, statements, dropped_columns } => {
                let new = &self.new_schema[&table.key()];
                self.suggest_column_renames(table, new);
                for column in dropped_columns {
                    self.deleted_data.push(format!("the values of `{}.{column}`", table.name));
                }
                self.push_paragraph(statements);
            }
            TableChange::Rebuild { old, new } => self.write_rebuild(old, new),
            TableChange::RecreateVirtual { old, new } => {
                self.copied_virtual_tables.push(format!("`{}`", old.name));
                self.note_dropped_virtual_columns(old, new);
                let working_name = self.working_name(new);
                self.paragraphs.extend(virtual_table::recreate(old, new, &working_name));
            }
        }
    }

    /// Notes the values that a new form of a virtual table has no column for.
    fn note_dropped_virtual_columns(&mut self, old: &Object, new: &Object) {
        for dropped in virtual_table::columns_missing_in(new, old) {
            for added in virtual_table::columns_missing_in(old, new) {
                // SQLite renames no column of a virtual table.
                self.paragraphs.push(to_comment(&format!(
                    "tatmig:todo if `{added}` is `{dropped}` under a new name, add `{added}` to the columns of the INSERT below and `{dropped}` to those of its SELECT: this keeps the values"
                )));
            }
            self.deleted_data.push(format!("the values of `{}.{dropped}`", old.name));
        }
    }

    fn write_rebuild(&mut self, old: &Object, new: &Object) {
        let working_name = self.working_name(new);
        let script = Rebuild::new(old, new, working_name).script(&self.sandbox);
        self.suggest_column_renames(old, new);
        let mut lines = vec![to_comment(&format!(
            "SQLite cannot alter `{}` in place, so it is rebuilt. {}",
            new.name,
            describe_changes(old, new)
        ))];
        lines.extend(
            script
                .warnings
                .iter()
                .map(|warning| to_comment(&format!("tatmig:todo check this: {warning}"))),
        );
        lines.extend(script.statements);
        self.push_paragraph(&lines);
        self.warnings.extend(script.warnings);
        self.tightens_constraints |= tightens_constraints(old, new);
    }

    /// Suggests a rename for each pair of a dropped and an added column of the same type.
    fn suggest_column_renames(&mut self, old: &Object, new: &Object) {
        let old_definition = TableDefinition::parse(&old.sql);
        let new_definition = TableDefinition::parse(&new.sql);
        for dropped in columns_missing_in(&new_definition, &old_definition) {
            let candidates = columns_missing_in(&old_definition, &new_definition)
                .filter(|column| column.spec.declared_type == dropped.spec.declared_type);
            for column in candidates {
                self.suspect(Rename::new_for_column(&old.name, &dropped.name, &column.name));
            }
        }
    }

    /// A name for the copy of a table that no table of either schema has, quoted if the table's own
    /// name is.
    fn working_name(&self, table: &Object) -> String {
        let is_taken = |name: &str| {
            let key = ObjectKey::new(ObjectKind::Table, name);
            self.old_schema.contains_key(&key) || self.new_schema.contains_key(&key)
        };
        let mut name = format!("{}_new", table.name);
        while is_taken(&name) {
            name.push('_');
        }
        if written_name(table) == table.name { name } else { quote_identifier(&name) }
    }

    /// Puts the directives that allow what the statements do in front of them.
    fn finish(mut self) -> SchemaDiff {
        let mut allow_directives = Vec::new();
        if !self.deleted_data.is_empty() {
            let deleted = self.deleted_data.join(", ");
            self.warnings.push(format!("this deletes {deleted}"));
        }
        // The directive is for the whole block, so a person decides if anything else is lost.
        if !self.copied_virtual_tables.is_empty() && self.deleted_data.is_empty() {
            let tables = self.copied_virtual_tables.join(", ");
            allow_directives.push(to_comment(&format!(
                "tatmig:allow destructive no rows of {tables} are lost"
            )));
        }
        if self.tightens_constraints {
            allow_directives.push(to_comment(
                "tatmig:allow constraint a database with rows that the new schema rejects is left unchanged",
            ));
            self.warnings.push(
                "the upgrade of a database fails if the new schema rejects some of its rows"
                    .to_owned(),
            );
        }
        if !allow_directives.is_empty() && !self.paragraphs.is_empty() {
            self.paragraphs.insert(0, allow_directives.join("\n"));
        }
        SchemaDiff {
            sql: self.paragraphs.join("\n\n"),
            warnings: self.warnings,
            suspected_renames: self.suspected_renames,
        }
    }
}
/// What a rebuild changes in a table.
fn describe_changes(old: &Object, new: &Object) -> String {
    let differences = compare::object_differences(new, old, compare::Extent::Complete);
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
