//! Applies renames that a person has confirmed before two schemas are compared, since a renamed
//! table or column cannot be distinguished from one that is dropped and another that is added.

use std::fmt;
use std::str::FromStr;

use rusqlite::Connection;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::schema_reader::read_schema;
use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::schema_diff::error::DiffError;
use crate::schema_diff::statement;
use crate::schema_diff::statement::written_name;
use crate::sql::lexer::quote_if_needed;

/// A rename of a table or of a column: `old=new`, or for a column of one table `table.old=new` or
/// `table.old=table.new`.
///
/// ```
/// let rename: tatmig::schema_diff::Rename = "notes.body=text".parse()?;
/// assert_eq!(rename.to_string(), "notes.body=text");
/// assert_eq!(rename.reversed().to_string(), "notes.text=body");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The table of the column; any table without it.
    table: Option<String>,
    from: String,
    to: String,
}

impl FromStr for Rename {
    type Err = DiffError;

    fn from_str(text: &str) -> Result<Self, DiffError> {
        let malformed = || DiffError::MalformedRename { text: text.to_owned() };
        let (from, to) = text.split_once('=').ok_or_else(malformed)?;
        let (table, from) = match from.split_once('.') {
            Some((table, column)) => (Some(table), column),
            None => (None, from),
        };
        let to = match (table, to.split_once('.')) {
            (Some(table), Some((owner, column))) if owner.eq_ignore_ascii_case(table) => column,
            _ => to,
        };
        if [Some(from), Some(to), table].contains(&Some("")) || to.contains(['=', '.']) {
            return Err(malformed());
        }
        let (table, from, to) = (table.map(str::to_owned), from.to_owned(), to.to_owned());
        Ok(Self { table, from, to })
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.table {
            write!(f, "{table}.")?;
        }
        write!(f, "{}={}", self.from, self.to)
    }
}

impl Rename {
    pub(crate) fn new_for_table(from: &str, to: &str) -> Self {
        Self { table: None, from: from.to_owned(), to: to.to_owned() }
    }

    pub(crate) fn new_for_column(table: &str, from: &str, to: &str) -> Self {
        Self { table: Some(table.to_owned()), ..Self::new_for_table(from, to) }
    }

    /// What to do if the rename is what happened.
    #[must_use]
    pub fn suggestion(&self) -> String {
        let Self { table, from, to } = self;
        match table {
            Some(table) => format!(
                "if `{to}` is `{from}` under a new name, write `ALTER TABLE {} RENAME COLUMN {} TO {};` instead: it keeps the values",
                quote_if_needed(table),
                quote_if_needed(from),
                quote_if_needed(to)
            ),
            None => format!(
                "if `{to}` is `{from}` under a new name, write `ALTER TABLE {} RENAME TO {};` instead: it keeps the rows",
                quote_if_needed(from),
                quote_if_needed(to)
            ),
        }
    }

    /// The rename back, for a reverse block.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { table: self.table.clone(), from: self.to.clone(), to: self.from.clone() }
    }

    /// The statement that renames what one schema has and the other does not.
    fn statement(&self, old_schema: &Schema, new_schema: &Schema) -> Result<String, DiffError> {
        let table = |schema: &'_ Schema, name: &str| {
            schema.get(&ObjectKey::new(ObjectKind::Table, name)).cloned()
        };
        let mut statements = Vec::new();
        if self.table.is_none()
            && let Some(old) = table(old_schema, &self.from)
            && table(new_schema, &self.from).is_none()
            && table(new_schema, &self.to).is_some()
            && table(old_schema, &self.to).is_none()
        {
            let to = quote_if_needed(&self.to);
            statements.push(format!("ALTER TABLE {} RENAME TO {to};", written_name(&old)));
        }
        for old in old_schema.values().filter(|object| object.kind == ObjectKind::Table) {
            let is_wanted =
                self.table.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&old.name));
            let new = table(new_schema, &old.name);
            if is_wanted && new.is_some_and(|new| self.renames_column(old, &new)) {
                let (from, to) = (quote_if_needed(&self.from), quote_if_needed(&self.to));
                let table = written_name(old);
                statements.push(format!("ALTER TABLE {table} RENAME COLUMN {from} TO {to};"));
            }
        }
        match statements.len() {
            1 => Ok(statements.remove(0)),
            0 => Err(DiffError::UnknownRename { rename: self.to_string() }),
            _ => Err(DiffError::AmbiguousRename { rename: self.to_string() }),
        }
    }

    fn renames_column(&self, old: &Object, new: &Object) -> bool {
        let is_dropped = old.has_column(&self.from) && !new.has_column(&self.from);
        is_dropped && new.has_column(&self.to) && !old.has_column(&self.to)
    }
}

/// The schema after renames, and the statements that make them.
pub(crate) struct RenamedSchema {
    pub(crate) schema: Schema,
    pub(crate) statements: Vec<String>,
}

/// Applies renames to a schema, in SQLite, which rewrites everything that names the renamed object.
///
/// # Errors
///
/// A rename does not lead from the old schema to the new one, or several do.
pub(crate) fn apply_renames(
    old_schema: &Schema,
    new_schema: &Schema,
    renames: &[Rename],
    setup: &ConnectionSetup,
) -> Result<RenamedSchema, DiffError> {
    let mut result = RenamedSchema { schema: old_schema.clone(), statements: Vec::new() };
    if renames.is_empty() {
        return Ok(result);
    }
    let connection = create_all(old_schema, setup)?;
    for rename in renames {
        let statement = rename.statement(&result.schema, new_schema)?;
        connection.execute_batch(&statement)?;
        result.statements.push(statement);
        result.schema = read_schema(&connection)?;
    }
    Ok(result)
}

/// Creates all objects of a schema in memory.
fn create_all(schema: &Schema, setup: &ConnectionSetup) -> Result<Connection, DiffError> {
    let connection = open_in_memory(setup)?;
    for kind in [ObjectKind::Table, ObjectKind::Index, ObjectKind::View, ObjectKind::Trigger] {
        let objects = schema.values().filter(|object| object.kind == kind);
        for object in statement::sort_by_dependency(objects) {
            connection.execute_batch(&statement::complete_statement(&object.sql))?;
        }
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_quotes_reserved_words() {
        let column = Rename::new_for_column("group", "a", "order");
        assert!(
            column.suggestion().contains("`ALTER TABLE \"group\" RENAME COLUMN a TO \"order\";`"),
            "{}",
            column.suggestion()
        );
        let table = Rename::new_for_table("a", "order");
        assert!(table.suggestion().contains("`ALTER TABLE a RENAME TO \"order\";`"));
    }
}
