//! Writes the statements of a table rebuild, SQLite's procedure for changes that `ALTER TABLE`
//! cannot make: create a table with the new definition, copy every row, drop the old table, and
//! rename the new one.

use rusqlite::Connection;

use crate::schema::Object;
use crate::schema_diff::comment::one_line;
use crate::schema_diff::placeholder::{PlaceholderSource, accepts_default};
use crate::schema_diff::statement;
use crate::sql::lexer::unquote;
use crate::sql::table_definition::{ColumnDefinition, TableDefinition};

/// A table before and after.
pub(crate) struct Rebuild<'o> {
    old: &'o Object,
    new: &'o Object,
    old_definition: TableDefinition,
    new_definition: TableDefinition,
    /// The name of the new table until the old one is dropped, as SQL writes it.
    working_name: String,
}

/// The statements of a rebuild, without those for indexes and triggers.
#[derive(Debug, Default)]
pub(crate) struct RebuildScript {
    pub(crate) statements: Vec<String>,
    /// What a person has to check.
    pub(crate) warnings: Vec<String>,
}

/// The column list of the copying INSERT and the expressions of its SELECT.
#[derive(Default)]
struct ColumnCopies {
    targets: Vec<String>,
    sources: Vec<String>,
}

impl ColumnCopies {
    fn push(&mut self, column: &ColumnDefinition, source: String) {
        self.targets.push(statement::first_token(&column.sql).to_owned());
        self.sources.push(source);
    }
}

impl<'o> Rebuild<'o> {
    pub(crate) fn new(old: &'o Object, new: &'o Object, working_name: String) -> Self {
        let old_definition = TableDefinition::parse(&old.sql);
        let new_definition = TableDefinition::parse(&new.sql);
        Self { old, new, old_definition, new_definition, working_name }
    }

    /// Writes the statements. `sandbox` evaluates CHECK constraints.
    pub(crate) fn script(&self, sandbox: &Connection) -> RebuildScript {
        let old_name = statement::written_name(self.old);
        let working_name = &self.working_name;
        let mut script = RebuildScript::default();
        let copies = self.column_copies(sandbox, &mut script.warnings);
        self.warn_about_dropped_columns(&mut script.warnings);
        script.statements.push(statement::with_name(self.new, working_name));
        script.statements.push(format!(
            "INSERT INTO {working_name} ({})\nSELECT {}\nFROM {old_name};",
            copies.targets.join(", "),
            copies.sources.join(", ")
        ));
        if self.old_definition.is_autoincrement() && self.new_definition.is_autoincrement() {
            self.copy_autoincrement_counter(&mut script.statements);
        }
        script.statements.push(format!("DROP TABLE {old_name};"));
        script.statements.push(format!(
            "ALTER TABLE {working_name} RENAME TO {};",
            statement::written_name(self.new)
        ));
        script
    }

    /// The values of the new table's columns, in terms of the old columns.
    fn column_copies(&self, sandbox: &Connection, warnings: &mut Vec<String>) -> ColumnCopies {
        let placeholders = PlaceholderSource {
            old: self.old,
            new: self.new,
            new_definition: &self.new_definition,
            sandbox,
        };
        let mut copies = ColumnCopies::default();
        let has_value = |column: &&ColumnDefinition| column.spec.generated.is_none();
        for column in self.new_definition.columns.iter().filter(has_value) {
            if let Some(source) = self.column_source(column, &placeholders, warnings) {
                copies.push(column, source);
            }
        }
        if copies.targets.is_empty() {
            // No old column remains, but the new table gets as many rows as the old one had.
            if let Some(column) = self.new_definition.columns.iter().find(has_value) {
                let default = placeholders.declared_default(&column.spec);
                copies.push(column, default.unwrap_or_else(|| "NULL".to_owned()));
            }
        }
        copies
    }

    /// The expression for a column of the new table; `None` leaves the column to its default.
    fn column_source(
        &self,
        column: &ColumnDefinition,
        placeholders: &PlaceholderSource<'_>,
        warnings: &mut Vec<String>,
    ) -> Option<String> {
        let display_name = one_line(&format!("{}.{}", self.new.name, column.spec.name));
        let is_rowid = self.new_definition.rowid_alias() == Some(column.spec.name.as_str());
        let is_required = self.new_definition.rejects_null(&column.spec) && !is_rowid;
        if let Some(old_column) = self.old_definition.column(&column.spec.name) {
            let value = statement::first_token(&old_column.sql).to_owned();
            let was_required = self.old_definition.rejects_null(&old_column.spec)
                || self.old_definition.rowid_alias() == Some(old_column.spec.name.as_str());
            if !is_required || was_required {
                return Some(value);
            }
            let expression = placeholders.for_column(&column.spec).expression;
            warnings.push(format!(
                "rows without a value in `{display_name}` get {}",
                one_line(&expression)
            ));
            Some(format!("coalesce({value}, {expression})"))
        } else if is_required {
            let placeholder = placeholders.for_column(&column.spec);
            if placeholder.is_default {
                return None;
            }
            warnings.push(format!(
                "`{display_name}` is new and NOT NULL: existing rows get {}",
                one_line(&placeholder.expression)
            ));
            Some(placeholder.expression)
        } else if accepts_default(&self.new_definition, &column.spec) {
            None
        } else {
            Some("NULL".to_owned())
        }
    }

    fn warn_about_dropped_columns(&self, warnings: &mut Vec<String>) {
        let dropped_columns = self.old_definition.columns.iter().filter(|column| {
            self.new_definition.column(&column.spec.name).is_none()
                && column.spec.generated.is_none()
        });
        for column in dropped_columns {
            let display_name = one_line(&format!("{}.{}", self.old.name, column.spec.name));
            warnings.push(format!("the values of `{display_name}` are deleted"));
        }
    }

    /// Copies the table's row of `sqlite_sequence`, so that AUTOINCREMENT does not assign the
    /// numbers of deleted rows again.
    fn copy_autoincrement_counter(&self, statements: &mut Vec<String>) {
        let string_literal = |name: &str| format!("'{}'", name.replace('\'', "''"));
        let old_literal = string_literal(&self.old.name);
        let working_literal = string_literal(&unquote(&self.working_name));
        statements.push(format!("DELETE FROM sqlite_sequence WHERE name = {working_literal};"));
        statements.push(format!(
            "INSERT INTO sqlite_sequence (name, seq)\nSELECT {working_literal}, seq FROM sqlite_sequence WHERE name = {old_literal};"
        ));
    }
}
