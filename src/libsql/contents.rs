//! Reads what a database contains, except for its rows: objects, and how to read the rows of each
//! table. The database is a file or a namespace.

use std::collections::BTreeMap;

use crate::database::error::DatabaseError;
use crate::libsql::endpoint::TransferEndpoint;
use crate::sql::lexer;
use crate::sql::value::{Row, SqlValue};

/// One row of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaObject {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) sql: String,
}

impl SchemaObject {
    pub(crate) fn is_virtual(&self) -> bool {
        self.kind == "table" && self.starts_with("CREATE VIRTUAL ")
    }

    fn starts_with(&self, prefix: &str) -> bool {
        self.sql.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

/// A table whose rows are copied.
#[derive(Clone, Debug)]
pub(crate) struct TableLayout {
    pub(crate) name: String,
    /// The columns that can be written, as SQL identifiers. If the rowid is not one of the
    /// columns, it is the first.
    pub(crate) columns: Vec<String>,
    /// The columns that the rows are ordered by.
    pub(crate) order_by: Vec<String>,
    /// Whether that is the rowid, so that the next page starts after the last rowid.
    pub(crate) is_ordered_by_rowid: bool,
    /// Whether the table belongs to a virtual table.
    pub(crate) is_shadow: bool,
}

impl TableLayout {
    /// Builds the layout of a table from the columns that [`read_table_columns`] returns.
    fn new(name: String, kind: TableKind, columns: &[Row]) -> Self {
        let identifier = |row: &Row| lexer::quote_identifier(&row.text(1));
        let mut writable: Vec<String> =
            columns.iter().filter(|row| row.integer(4) == 0).map(identifier).collect();
        let mut primary_key: Vec<(i64, String)> = columns
            .iter()
            .filter(|row| row.integer(3) > 0)
            .map(|row| (row.integer(3), identifier(row)))
            .collect();
        primary_key.sort();
        let is_shadow = kind.is_shadow;
        if kind.is_without_rowid {
            let order_by = primary_key.into_iter().map(|(_, column)| column).collect();
            return Self {
                name,
                columns: writable,
                order_by,
                is_ordered_by_rowid: false,
                is_shadow,
            };
        }
        // Of the names of the rowid, the first that no column has.
        let is_column =
            |alias: &str| columns.iter().any(|row| row.text(1).eq_ignore_ascii_case(alias));
        let Some(rowid) = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !is_column(name))
        else {
            let order_by = writable.clone();
            return Self {
                name,
                columns: writable,
                order_by,
                is_ordered_by_rowid: false,
                is_shadow,
            };
        };
        let has_rowid_alias = primary_key.len() == 1
            && !kind.has_key_index
            && columns
                .iter()
                .any(|row| row.integer(3) == 1 && row.text(2).eq_ignore_ascii_case("INTEGER"));
        if !has_rowid_alias {
            writable.insert(0, rowid.to_owned());
        }
        let order_by = vec![rowid.to_owned()];
        Self { name, columns: writable, order_by, is_ordered_by_rowid: true, is_shadow }
    }
}

#[derive(Clone, Copy, Debug)]
struct TableKind {
    is_shadow: bool,
    is_without_rowid: bool,
    /// Whether the primary key has an index of its own.
    has_key_index: bool,
}

/// What a database contains, except for its rows.
#[derive(Debug, Default)]
pub(crate) struct DatabaseContents {
    pub(crate) objects: Vec<SchemaObject>,
    pub(crate) tables: Vec<TableLayout>,
    pub(crate) has_sqlite_sequence: bool,
    pub(crate) user_version: i64,
}

impl DatabaseContents {
    /// Whether a table belongs to a virtual table.
    pub(crate) fn is_shadow(&self, object: &SchemaObject) -> bool {
        self.tables.iter().any(|table| table.is_shadow && table.name == object.name)
    }

    /// The objects ordered by type and name.
    pub(crate) fn sorted_objects(&self) -> Vec<&SchemaObject> {
        let mut objects: Vec<&SchemaObject> = self.objects.iter().collect();
        objects.sort_by_key(|object| (&object.kind, &object.name));
        objects
    }
}

/// Whether SQLite writes the rows of a table itself.
fn is_internal_table(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

fn column_list(session: &dyn TransferEndpoint, columns: &[&str]) -> String {
    let columns: Vec<String> =
        columns.iter().map(|column| session.select_expression(column)).collect();
    columns.join(", ")
}

/// Reads what a database contains, except for its rows.
pub(crate) fn read_contents(
    session: &mut dyn TransferEndpoint,
) -> Result<DatabaseContents, DatabaseError> {
    let mut contents = DatabaseContents::default();
    let columns = column_list(session, &["type", "name", "sql"]);
    let schema_query = format!("SELECT {columns} FROM sqlite_schema ORDER BY rowid");
    for row in session.query_width(&schema_query, 3)? {
        let object = SchemaObject { kind: row.text(0), name: row.text(1), sql: row.text(2) };
        if object.name == "sqlite_sequence" {
            contents.has_sqlite_sequence = true;
        }
        // An index of a UNIQUE constraint has no SQL.
        if is_internal_table(&object.name) || *row.value(2) == SqlValue::Null {
            continue;
        }
        // The SQL is run on the other database. A server that is not to be trusted must not be
        // able to run anything else there.
        let is_known_kind = ["table", "index", "view", "trigger"].contains(&object.kind.as_str());
        if !is_known_kind || !object.starts_with("CREATE ") {
            let reason = format!("the SQL of `{}` creates no object", object.name);
            return Err(session.unexpected_rows(reason));
        }
        contents.objects.push(object);
    }
    // Only a rowid alias is a primary key without an index: INTEGER PRIMARY KEY DESC has one.
    let has_key_index = "EXISTS (SELECT 1 FROM pragma_index_list(t.name) i WHERE i.origin = 'pk')";
    let columns = column_list(session, &["t.name", "t.type", "t.wr", has_key_index]);
    let tables = session.query_width(
        &format!(
            "SELECT {columns} FROM pragma_table_list t WHERE t.schema = 'main' AND t.type IN ('table', 'shadow') ORDER BY t.name"
        ),
        4,
    )?;
    let mut table_columns = read_table_columns(session)?;
    for row in tables {
        let name = row.text(0);
        let columns = table_columns.remove(&name).unwrap_or_default();
        if is_internal_table(&name) && name != "sqlite_sequence" || columns.is_empty() {
            continue;
        }
        let kind = TableKind {
            is_shadow: row.text(1) == "shadow",
            is_without_rowid: row.is_true(2),
            has_key_index: row.is_true(3),
        };
        contents.tables.push(TableLayout::new(name, kind, &columns));
    }
    let columns = column_list(session, &["user_version"]);
    let version = session.query_width(&format!("SELECT {columns} FROM pragma_user_version"), 1)?;
    let version = version.first().and_then(|row| row.value(0).as_integer());
    contents.user_version =
        version.ok_or_else(|| session.unexpected_rows("`user_version` is no number".to_owned()))?;
    Ok(contents)
}

/// Reads table, name, type, primary key position and `hidden` of every column, by table.
fn read_table_columns(
    session: &mut dyn TransferEndpoint,
) -> Result<BTreeMap<String, Vec<Row>>, DatabaseError> {
    let columns = column_list(session, &["m.name", "x.name", "x.type", "x.pk", "x.hidden"]);
    let rows = session.query_width(
        &format!(
            "SELECT {columns} FROM sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type = 'table' ORDER BY m.name, x.cid"
        ),
        5,
    )?;
    let mut by_table: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows {
        by_table.entry(row.text(0)).or_default().push(row);
    }
    Ok(by_table)
}
