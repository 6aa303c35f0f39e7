//! Chooses values for columns that existing rows have no value for, and decides whether
//! `ALTER TABLE … ADD COLUMN` can add a column to a table with rows.

use rusqlite::Connection;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::schema::Object;
use crate::sql::affinity::Affinity;
use crate::sql::lexer;
use crate::sql::lexer::quote_identifier;
use crate::sql::table_definition::{ColumnSpec, GeneratedStorage, TableDefinition};

/// A value for a column that existing rows have no value for.
pub(crate) struct Placeholder {
    /// An SQL expression.
    pub(crate) expression: String,
    /// Whether the schema itself declares the value as the column's default.
    pub(crate) is_default: bool,
}

/// What placeholders depend on.
pub(crate) struct PlaceholderSource<'o> {
    pub(crate) old: &'o Object,
    pub(crate) new: &'o Object,
    pub(crate) new_definition: &'o TableDefinition,
    /// Any database; it evaluates CHECK constraints.
    pub(crate) sandbox: &'o Connection,
}

impl PlaceholderSource<'_> {
    /// A value that a NOT NULL column accepts: its default; the rowid if values must be unique; else
    /// a neutral value of the type, or a literal of a CHECK constraint that rejects the neutral one.
    pub(crate) fn for_column(&self, column: &ColumnSpec) -> Placeholder {
        if let Some(expression) = self.declared_default(column)
            && accepts_default(self.new_definition, column)
        {
            return Placeholder { expression, is_default: true };
        }
        let have_rowids = has_rowid(self.old) && has_rowid(self.new);
        let expression = if self.new_definition.is_unique(&column.name) && have_rowids {
            match Affinity::from_declared_type(&column.declared_type) {
                Affinity::Text => "CAST(rowid AS TEXT)".to_owned(),
                _ => "rowid".to_owned(),
            }
        } else {
            let checks = &self.new_definition.constraints.checks;
            let neutral = neutral_value(&column.declared_type).to_owned();
            let literals = checks.iter().flat_map(|check| literals_in(check));
            std::iter::once(neutral.clone())
                .chain(literals)
                .find(|value| checks.iter().all(|check| self.allows_value(column, check, value)))
                .unwrap_or(neutral)
        };
        Placeholder { expression, is_default: false }
    }

    /// The default that the schema declares, as an expression; `None` for NULL.
    pub(crate) fn declared_default(&self, column: &ColumnSpec) -> Option<String> {
        let text = self.new.structure().column(&column.name)?.default.clone()?;
        (!text.trim().eq_ignore_ascii_case("null")).then_some(text)
    }

    /// Whether a CHECK constraint accepts a value of a column. A constraint that needs other columns
    /// too cannot be evaluated here and counts as satisfied.
    fn allows_value(&self, column: &ColumnSpec, check: &str, value: &str) -> bool {
        let select =
            format!("SELECT {check} FROM (SELECT {value} AS {})", quote_identifier(&column.name));
        match self.sandbox.query_row(&select, [], |row| row.get::<_, Option<bool>>(0)) {
            Ok(Some(is_allowed)) => is_allowed,
            Ok(None) | Err(_) => true,
        }
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

/// Whether a table has a rowid that can be read under the name `rowid`.
fn has_rowid(table: &Object) -> bool {
    !TableDefinition::parse(&table.sql).has_option("without rowid")
        && table.structure().column("rowid").is_none()
}

/// A value of a type that carries no information.
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

/// Whether a column accepts its own default. A STRICT table may declare a default of another type;
/// SQLite rejects it only when a row is inserted.
pub(crate) fn accepts_default(new_definition: &TableDefinition, column: &ColumnSpec) -> bool {
    let Some(default) = column.default.as_deref().filter(|_| new_definition.has_option("strict"))
    else {
        return true;
    };
    let declared_type = &column.declared_type;
    let probe = format!(
        "CREATE TABLE probe (c {declared_type} DEFAULT {default}) STRICT; INSERT INTO probe DEFAULT VALUES"
    );
    let sandbox = open_in_memory(&ConnectionSetup::default());
    sandbox.and_then(|sandbox| sandbox.execute_batch(&probe)).is_ok()
}

/// Whether `ALTER TABLE … ADD COLUMN` can add a column to a table with rows.
pub(crate) fn can_add_column(new_definition: &TableDefinition, column: &ColumnSpec) -> bool {
    let default = column.default.as_deref().filter(|default| *default != "null");
    // SQLite evaluates an expression in parentheses or CURRENT_TIMESTAMP row by row, which ADD
    // COLUMN does not support.
    let is_constant =
        default.is_none_or(|text| !text.starts_with('(') && !text.starts_with("current_"));
    let generated = column.generated.as_ref();
    let is_stored = generated.is_some_and(|(_, storage)| *storage == GeneratedStorage::Stored);
    let has_value = default.is_some() || !new_definition.rejects_null(column);
    is_constant && !is_stored && has_value && accepts_default(new_definition, column)
}
