//! Reads which table or view holds the text of a full-text table (`content = 'notes'`), and compares
//! the index with it.

use rusqlite::{Connection, ErrorCode};

use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::lexer;
use crate::sql::lexer::quote_identifier;
use crate::sql::tokens::Tokens;

/// A full-text table that reads its text from another table or from a view.
#[derive(Clone, Debug)]
pub(crate) struct ExternalContent<'s> {
    pub(crate) table: &'s Object,
    /// The table or view with the text, in lower case.
    pub(crate) content: String,
    /// The column that holds the row id, in lower case.
    pub(crate) key: String,
    is_fts5: bool,
}

impl<'s> ExternalContent<'s> {
    /// Reads the definition of a table. None if it is something else.
    pub(crate) fn from_table(table: &'s Object) -> Option<Self> {
        let module = table.module().filter(|module| module.module.starts_with("fts"))?;
        let option = |name: &str| {
            module.arguments.iter().find_map(|argument| {
                let (option, value) = argument.split_once('=')?;
                let value = lexer::unquote(value.trim()).to_lowercase();
                (option.trim() == name && !value.is_empty()).then_some(value)
            })
        };
        let key = option("content_rowid").unwrap_or_else(|| "rowid".to_owned());
        let is_fts5 = module.module == "fts5";
        Some(Self { table, content: option("content")?, key, is_fts5 })
    }

    /// Whether the text comes from a table, directly or through a view. The name is in lower case.
    pub(crate) fn reads(&self, schema: &Schema, table: &str) -> bool {
        let content = schema.get(&ObjectKey::new(ObjectKind::Table, &self.content));
        match content.filter(|content| content.kind == ObjectKind::View) {
            Some(view) => {
                let tokens = Tokens::new(&view.sql);
                (0..tokens.len()).any(|index| tokens.is_name(index, table))
            }
            None => self.content == table,
        }
    }

    /// A query that reads what the full-text table reads of a row.
    pub(crate) fn content_query(&self) -> String {
        let columns = self.table.structure().columns.iter().filter(|column| column.hidden == 0);
        // With the name of the table, SQLite takes no name in double quotes for a string.
        let table = quote_identifier(&self.content);
        let columns = std::iter::once(&self.key)
            .chain(columns.map(|column| &column.name))
            .map(|name| format!("{table}.{}", quote_identifier(name)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        format!("SELECT {columns} FROM {}", lexer::quote_main_table(&self.content))
    }

    /// Whether the index holds exactly the rows of its content table. An index that cannot be
    /// checked does not.
    pub(crate) fn matches_rows(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let table = quote_identifier(&self.table.name);
        let check = if self.is_fts5 {
            // A rank other than 0 compares the index with the content table.
            format!("INSERT INTO main.{table} ({table}, rank) VALUES ('integrity-check', 1)")
        } else {
            format!("INSERT INTO main.{table} ({table}) VALUES ('integrity-check')")
        };
        match connection.execute_batch(&check) {
            Ok(()) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Err(error)
            }
            Err(_) => Ok(false),
        }
    }
}
