//! A table made anew, SQLite's own procedure for what `ALTER TABLE` cannot do: a table of the new
//! shape, every row copied, the old one dropped, the new one given its name.

use rusqlite::Connection;

use crate::schema::Object;
use crate::schema_diff::compare::one_line;
use crate::schema_diff::statement;
use crate::sql::affinity::Affinity;
use crate::sql::create_table::{ColumnSpec, GeneratedStorage, TableDefinition};
use crate::sql::lexer;
use crate::sql::lexer::{quote_identifier, unquote};

/// A table before and after.
pub(crate) struct Rebuild<'o> {
    pub(crate) old: &'o Object,
    pub(crate) new: &'o Object,
    /// The name that the new one has until it has the old one's.
    pub(crate) working_name: String,
}

/// Statements, and what a human has to look at.
#[derive(Debug, Default)]
pub(crate) struct RebuildScript {
    pub(crate) statements: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// A value for a column that rows have none for.
struct Placeholder {
    expression: String,
    /// Whether the schema says so itself.
    is_default: bool,
}

impl Rebuild<'_> {
    /// The statements, up to and without indexes and triggers. `scratch` answers questions about
    /// expressions.
    pub(crate) fn script(&self, sandbox: &Connection) -> RebuildScript {
        let (old_definition, new_definition) =
            (TableDefinition::parse(&self.old.sql), TableDefinition::parse(&self.new.sql));
        let old_name = statement::written_name(self.old);
        let working_name = &self.working_name;
        let mut script = RebuildScript::default();
        let (mut target_columns, mut source_expressions) = (Vec::new(), Vec::new());
        for column in &new_definition.columns {
            if column.spec.generated.is_some() {
                continue;
            }
            let written_name = statement::first_token(&column.sql).to_owned();
            let display_name = one_line(&format!("{}.{}", self.new.name, column.spec.name));
            let old_column = old_definition.column(&column.spec.name);
            let is_row_id = new_definition.rowid_alias() == Some(column.spec.name.as_str());
            let is_required = new_definition.rejects_null(&column.spec) && !is_row_id;
            match old_column {
                Some(source) => {
                    let value = statement::first_token(&source.sql).to_owned();
                    let was_required = old_definition.rejects_null(&source.spec)
                        || old_definition.rowid_alias() == Some(source.spec.name.as_str());
                    if is_required && !was_required {
                        let placeholder = self.placeholder(&new_definition, &column.spec, sandbox);
                        script.warnings.push(format!(
                            "rows that have no `{display_name}` get {}",
                            one_line(&placeholder.expression)
                        ));
                        source_expressions
                            .push(format!("coalesce({value}, {})", placeholder.expression));
                    } else {
                        source_expressions.push(value);
                    }
                    target_columns.push(written_name);
                }
                None if is_required => {
                    let placeholder = self.placeholder(&new_definition, &column.spec, sandbox);
                    if !placeholder.is_default {
                        script.warnings.push(format!(
                            "`{display_name}` is new and NOT NULL: the rows that are there get {}",
                            one_line(&placeholder.expression)
                        ));
                        target_columns.push(written_name);
                        source_expressions.push(placeholder.expression);
                    }
                }
                None if !accepts_default(&new_definition, &column.spec) => {
                    target_columns.push(written_name);
                    source_expressions.push("NULL".to_owned());
                }
                None => {}
            }
        }
        let dropped_columns = old_definition.columns.iter().filter(|column| {
            new_definition.column(&column.spec.name).is_none() && column.spec.generated.is_none()
        });
        for column in dropped_columns {
            let display_name = one_line(&format!("{}.{}", self.old.name, column.spec.name));
            script.warnings.push(format!("the values of `{display_name}` are not kept"));
        }
        if target_columns.is_empty() {
            // No column is left of the old ones; as many rows are.
            let column =
                new_definition.columns.iter().find(|column| column.spec.generated.is_none());
            if let Some(column) = column {
                target_columns.push(statement::first_token(&column.sql).to_owned());
                let default =
                    self.declared_default(&column.spec).unwrap_or_else(|| "NULL".to_owned());
                source_expressions.push(default);
            }
        }
        script.statements.push(statement::with_name(self.new, working_name));
        script.statements.push(format!(
            "INSERT INTO {working_name} ({})\nSELECT {}\nFROM {old_name};",
            target_columns.join(", "),
            source_expressions.join(", ")
        ));
        if old_definition.is_autoincrement() && new_definition.is_autoincrement() {
            // The numbers of rows that were deleted are never given out again.
            let string_literal = |name: &str| format!("'{}'", name.replace('\'', "''"));
            let (old_literal, working_literal) =
                (string_literal(&self.old.name), string_literal(&unquote(working_name)));
            script
                .statements
                .push(format!("DELETE FROM sqlite_sequence WHERE name = {working_literal};"));
            script.statements.push(format!(
                "INSERT INTO sqlite_sequence (name, seq)\nSELECT {working_literal}, seq FROM sqlite_sequence WHERE name = {old_literal};"
            ));
        }
        script.statements.push(format!("DROP TABLE {old_name};"));
        script.statements.push(format!(
            "ALTER TABLE {working_name} RENAME TO {};",
            statement::written_name(self.new)
        ));
        script
    }

    /// The default that the schema declares, as an expression; none for NULL.
    fn declared_default(&self, column: &ColumnSpec) -> Option<String> {
        let text = self.new.structure.column(&column.name)?.default.clone()?;
        (!text.trim().eq_ignore_ascii_case("null")).then_some(text)
    }

    /// What stands in for a value that must be there.
    fn placeholder(
        &self,
        new_definition: &TableDefinition,
        column: &ColumnSpec,
        sandbox: &Connection,
    ) -> Placeholder {
        if let Some(expression) = self.declared_default(column)
            && accepts_default(new_definition, column)
        {
            return Placeholder { expression, is_default: true };
        }
        let is_text_type = Affinity::from_declared_type(&column.declared_type) == Affinity::Text;
        let have_rowids = has_rowid(self.old) && has_rowid(self.new);
        let expression = if new_definition.is_unique(&column.name) && have_rowids {
            if is_text_type { "CAST(rowid AS TEXT)" } else { "rowid" }.to_owned()
        } else {
            let neutral = neutral_value(&column.declared_type);
            let mut candidates = vec![neutral.to_owned()];
            candidates.extend(
                new_definition.constraints.checks.iter().flat_map(|check| literals_in(check)),
            );
            let passes_checks = |value: &&String| {
                new_definition
                    .constraints
                    .checks
                    .iter()
                    .all(|check| allows_value(sandbox, (column, check), value))
            };
            candidates.iter().find(passes_checks).cloned().unwrap_or_else(|| neutral.to_owned())
        };
        Placeholder { expression, is_default: false }
    }
}

/// Whether a CHECK lets a value of a column through; one that other columns decide too does.
fn allows_value(sandbox: &Connection, (column, check): (&ColumnSpec, &str), value: &str) -> bool {
    let select =
        format!("SELECT {check} FROM (SELECT {value} AS {})", quote_identifier(&column.name));
    match sandbox.query_row(&select, [], |row| row.get::<_, Option<bool>>(0)) {
        Ok(Some(is_allowed)) => is_allowed,
        Ok(None) | Err(_) => true,
    }
}

/// The literals of an expression.
fn literals_in(expression: &str) -> Vec<String> {
    let mut literals = Vec::new();
    for token in lexer::tokens(expression, 0) {
        let token_text = &expression[token.range];
        if token_text.starts_with('\'')
            || token_text.starts_with(|character: char| character.is_ascii_digit())
        {
            literals.push(token_text.to_owned());
        }
    }
    literals
}

fn has_rowid(table: &Object) -> bool {
    !TableDefinition::parse(&table.sql).has_option("without rowid")
        && table.structure.column("rowid").is_none()
}

/// The value of a type that says least.
fn neutral_value(declared_type: &str) -> &'static str {
    match Affinity::from_declared_type(declared_type) {
        Affinity::Text => "''",
        Affinity::Blob => "x''",
        Affinity::Real | Affinity::Numeric
            if declared_type.contains("date") || declared_type.contains("time") =>
        {
            "'1970-01-01 00:00:00'"
        }
        Affinity::Integer | Affinity::Real | Affinity::Numeric => "0",
    }
}

/// Whether a column takes its own default. A STRICT table may declare one of another type, and
/// refuses it with the first row.
fn accepts_default(new_definition: &TableDefinition, column: &ColumnSpec) -> bool {
    let Some(default) = column.default.as_deref().filter(|_| new_definition.has_option("strict"))
    else {
        return true;
    };
    let declared_type = &column.declared_type;
    let probe = format!(
        "CREATE TABLE probe (c {declared_type} DEFAULT {default}) STRICT; INSERT INTO probe DEFAULT VALUES"
    );
    Connection::open_in_memory().and_then(|sandbox| sandbox.execute_batch(&probe)).is_ok()
}

/// Whether `ALTER TABLE … ADD COLUMN` takes a column where there are rows.
pub(crate) fn can_add_column(new_definition: &TableDefinition, column: &ColumnSpec) -> bool {
    let default = column.default.as_deref().filter(|default| *default != "null");
    // Brackets and CURRENT_TIMESTAMP are worked out row by row, which ADD COLUMN does not.
    let is_constant =
        default.is_none_or(|text| !text.starts_with('(') && !text.starts_with("current_"));
    let generated = column.generated.as_ref();
    let is_stored = generated.is_some_and(|(_, storage)| *storage == GeneratedStorage::Stored);
    let has_value = default.is_some() || !new_definition.rejects_null(column);
    is_constant && !is_stored && has_value && accepts_default(new_definition, column)
}
