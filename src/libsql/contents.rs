//! What a database holds, whatever end of a way it is at: read, written where nothing is yet, and
//! compared.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::libsql::endpoint::{Session, SqlValue, SqlValues};
use crate::sql::lexer;
use crate::sqld::error::ServerError;

/// How many bytes of rows travel at a time, and how many rows at most.
const MAX_BATCH_BYTES: usize = 1 << 20;
const MAX_BATCH_LENGTH: usize = 2_000;

/// Of one answer: the server's own limit is 10 MB, and texts take two characters a byte.
const ROWS_PER_PAGE: i64 = 500;

/// One object of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaObject {
    pub(crate) kind: String,
    pub(crate) name: String,
    sql: String,
}

impl SchemaObject {
    fn is_virtual(&self) -> bool {
        self.kind == "table"
            && self.sql.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("CREATE VIRTUAL"))
    }
}

/// A table whose rows are carried.
#[derive(Clone, Debug)]
pub(crate) struct TableLayout {
    pub(crate) name: String,
    /// Columns that can be written, the row's number first where it is none of them.
    columns: Vec<String>,
    /// What its rows are ordered by.
    order_by: Vec<String>,
    /// Whether that is the row's number, from which reading goes on without counting.
    is_ordered_by_rowid: bool,
    pub(crate) is_shadow: bool,
}

/// What a database holds, its rows aside.
#[derive(Debug, Default)]
pub(crate) struct DatabaseContents {
    pub(crate) objects: Vec<SchemaObject>,
    pub(crate) tables: Vec<TableLayout>,
    has_sqlite_sequence: bool,
    user_version: i64,
}

/// SQLite's own tables, whose rows belong to it.
fn is_internal_table(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

/// Reads what a database holds, its rows aside.
pub(crate) fn read_contents(session: &mut dyn Session) -> Result<DatabaseContents, DatabaseError> {
    let column_list = |session: &dyn Session, columns: &[&str]| {
        columns
            .iter()
            .map(|column| session.select_expression(column))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut contents = DatabaseContents::default();
    let columns = column_list(session, &["type", "name", "sql"]);
    for row in session.query(&format!("SELECT {columns} FROM sqlite_schema ORDER BY rowid"))? {
        let (kind, name, sql) = (row[0].to_text(), row[1].to_text(), row[2].to_text());
        if name == "sqlite_sequence" {
            contents.has_sqlite_sequence = true;
        }
        if !is_internal_table(&name) && row[2] != SqlValue::Null {
            contents.objects.push(SchemaObject { kind, name, sql });
        }
    }
    let columns = column_list(session, &["name", "type", "wr"]);
    let tables = session.query(&format!(
        "SELECT {columns} FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') ORDER BY name"
    ))?;
    let columns = column_list(session, &["m.name", "x.name", "x.type", "x.pk", "x.hidden"]);
    let mut columns_by_table: BTreeMap<String, Vec<SqlValues>> = BTreeMap::new();
    for row in session.query(&format!(
        "SELECT {columns} FROM sqlite_schema m, pragma_table_xinfo(m.name) x WHERE m.type = 'table' ORDER BY m.name, x.cid"
    ))? {
        columns_by_table.entry(row[0].to_text()).or_default().push(row);
    }
    for row in tables {
        let (name, is_shadow, is_without_rowid) =
            (row[0].to_text(), row[1].to_text() == "shadow", row[2].to_integer() == 1);
        let columns = columns_by_table.remove(&name).unwrap_or_default();
        if is_internal_table(&name) && name != "sqlite_sequence" || columns.is_empty() {
            continue;
        }
        contents.tables.push(table_layout(name, (is_shadow, is_without_rowid), &columns));
    }
    let columns = column_list(session, &["user_version"]);
    let version = session.query(&format!("SELECT {columns} FROM pragma_user_version"))?;
    contents.user_version = version.first().map_or(0, |row| row[0].to_integer());
    Ok(contents)
}

fn table_layout(
    name: String,
    (is_shadow, is_without_rowid): (bool, bool),
    rows: &[SqlValues],
) -> TableLayout {
    let writable_columns = rows.iter().filter(|row| row[4].to_integer() == 0);
    let mut columns: Vec<String> =
        writable_columns.map(|row| lexer::quote_identifier(&row[1].to_text())).collect();
    let mut primary_key: Vec<(i64, String)> = rows
        .iter()
        .filter(|row| row[3].to_integer() > 0)
        .map(|row| (row[3].to_integer(), lexer::quote_identifier(&row[1].to_text())))
        .collect();
    primary_key.sort();
    let mut is_ordered_by_rowid = false;
    let order_by = if is_without_rowid {
        primary_key.into_iter().map(|(_, key)| key).collect()
    } else {
        // The first of its names that no column has taken.
        let is_column_name =
            |alias: &str| rows.iter().any(|row| row[1].to_text().eq_ignore_ascii_case(alias));
        let rowid_name =
            ["rowid", "_rowid_", "oid"].into_iter().find(|alias| !is_column_name(alias));
        let has_rowid_alias = primary_key.len() == 1
            && rows.iter().any(|row| {
                row[3].to_integer() == 1 && row[2].to_text().eq_ignore_ascii_case("INTEGER")
            });
        match rowid_name {
            Some(rowid) => {
                if !has_rowid_alias {
                    columns.insert(0, rowid.to_owned());
                }
                is_ordered_by_rowid = true;
                vec![rowid.to_owned()]
            }
            None => columns.clone(),
        }
    };
    TableLayout { name, columns, order_by, is_ordered_by_rowid, is_shadow }
}

/// Gives each page of a table's rows to `each`.
fn read_pages(
    session: &mut dyn Session,
    table_layout: &TableLayout,
    on_page: &mut dyn FnMut(Vec<SqlValues>) -> Result<(), DatabaseError>,
) -> Result<(), DatabaseError> {
    let columns: Vec<String> =
        table_layout.columns.iter().map(|column| session.select_expression(column)).collect();
    let (columns, order_by) = (columns.join(", "), table_layout.order_by.join(", "));
    let table = lexer::quote_identifier(&table_layout.name);
    let (mut offset, mut page_size) = (0_i64, ROWS_PER_PAGE);
    let mut last_rowid: Option<i64> = None;
    loop {
        let query = if table_layout.is_ordered_by_rowid {
            let where_clause = last_rowid
                .map_or_else(String::new, |last_rowid| format!("WHERE {order_by} > {last_rowid} "));
            format!(
                "SELECT {columns}, {order_by} FROM {table} {where_clause}ORDER BY {order_by} LIMIT {page_size}"
            )
        } else {
            format!(
                "SELECT {columns} FROM {table} ORDER BY {order_by} LIMIT {page_size} OFFSET {offset}"
            )
        };
        let mut rows = match session.query(&query) {
            // Large rows come in smaller pages.
            Err(DatabaseError::Server(ServerError::Sql { code, .. }))
                if code == "RESPONSE_TOO_LARGE" && page_size > 1 =>
            {
                page_size = (page_size / 8).max(1);
                continue;
            }
            rows => rows?,
        };
        if table_layout.is_ordered_by_rowid {
            for row in &mut rows {
                last_rowid = row.pop().map(|cell| cell.to_integer());
            }
        }
        let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        offset += count;
        if count > 0 {
            on_page(rows)?;
        }
        if count < page_size {
            return Ok(());
        }
    }
}

/// Writes rows, many with each statement.
fn insert_rows(
    session: &mut dyn Session,
    table: &TableLayout,
    rows: Vec<SqlValues>,
) -> Result<(), DatabaseError> {
    // Far below what SQLite takes, and small enough to be prepared quickly.
    const MAX_PARAMETERS: usize = 2_000;
    let insert_prefix = format!(
        "INSERT INTO {} ({}) VALUES ",
        lexer::quote_identifier(&table.name),
        table.columns.join(", ")
    );
    let max_rows_per_statement = (MAX_PARAMETERS / table.columns.len().max(1)).max(1);
    let (mut statements, mut batch_bytes) = (Vec::new(), 0);
    let (mut row_placeholders, mut parameters, mut row_count): (Vec<String>, SqlValues, usize) =
        Default::default();
    let finish_statement =
        |values: &mut Vec<String>, cells: &mut SqlValues, statements: &mut Vec<_>| {
            if !values.is_empty() {
                let sql = format!("{insert_prefix}{}", std::mem::take(values).join(", "));
                statements.push((sql, std::mem::take(cells)));
            }
        };
    for row in rows {
        let mut placeholders = Vec::with_capacity(row.len());
        for cell in row {
            batch_bytes += cell.byte_size();
            placeholders.push(match &cell {
                SqlValue::Real(number) if number.is_infinite() => {
                    if *number > 0.0 {
                        "9e999"
                    } else {
                        "-9e999"
                    }
                }
                SqlValue::Text(bytes)
                    if bytes.contains(&0) || std::str::from_utf8(bytes).is_err() =>
                {
                    parameters.push(SqlValue::Blob(bytes.clone()));
                    "CAST(? AS TEXT)"
                }
                _ => {
                    parameters.push(cell);
                    "?"
                }
            });
        }
        row_placeholders.push(format!("({})", placeholders.join(", ")));
        row_count += 1;
        if row_placeholders.len() >= max_rows_per_statement || batch_bytes >= MAX_BATCH_BYTES {
            finish_statement(&mut row_placeholders, &mut parameters, &mut statements);
        }
        if batch_bytes >= MAX_BATCH_BYTES || row_count >= MAX_BATCH_LENGTH {
            session.execute_all(std::mem::take(&mut statements))?;
            (batch_bytes, row_count) = (0, 0);
        }
    }
    finish_statement(&mut row_placeholders, &mut parameters, &mut statements);
    session.execute_all(statements)
}

/// Carries everything from one end to another, which holds nothing.
pub(crate) fn copy_contents(
    source: &mut dyn Session,
    target: &mut dyn Session,
) -> Result<(), DatabaseError> {
    let contents = read_contents(source)?;
    let shadow_tables: Vec<&str> = contents
        .tables
        .iter()
        .filter(|table| table.is_shadow)
        .map(|table| table.name.as_str())
        .collect();
    let is_plain_table = |object: &&SchemaObject| {
        object.kind == "table"
            && !object.is_virtual()
            && !shadow_tables.contains(&object.name.as_str())
    };
    let create_statement = |object: &SchemaObject| (object.sql.clone(), SqlValues::new());
    let execute_in_batches = |to: &mut dyn Session, statements: Vec<(String, SqlValues)>| {
        let mut statements = statements.into_iter().peekable();
        while statements.peek().is_some() {
            to.execute_all(statements.by_ref().take(MAX_BATCH_LENGTH).collect())?;
        }
        Ok::<(), DatabaseError>(())
    };
    execute_in_batches(
        target,
        contents.objects.iter().filter(is_plain_table).map(create_statement).collect(),
    )?;
    // A virtual table makes its shadows.
    execute_in_batches(
        target,
        contents
            .objects
            .iter()
            .filter(|object| object.is_virtual())
            .map(create_statement)
            .collect(),
    )?;
    for table in &contents.tables {
        if table.is_shadow || table.name == "sqlite_sequence" {
            let delete_rows = format!("DELETE FROM {}", lexer::quote_identifier(&table.name));
            target.execute_all(vec![(delete_rows, SqlValues::new())])?;
        }
    }
    let (sequence_tables, other_tables): (Vec<&TableLayout>, Vec<&TableLayout>) =
        contents.tables.iter().partition(|table| table.name == "sqlite_sequence");
    for table in other_tables {
        read_pages(source, table, &mut |rows| insert_rows(target, table, rows))?;
    }
    for table in sequence_tables {
        target.execute_all(vec![("DELETE FROM sqlite_sequence".to_owned(), SqlValues::new())])?;
        read_pages(source, table, &mut |rows| insert_rows(target, table, rows))?;
    }
    execute_in_batches(
        target,
        contents
            .objects
            .iter()
            .filter(|object| object.kind != "table")
            .map(create_statement)
            .collect(),
    )?;
    target.execute_all(vec![(
        format!("PRAGMA user_version = {}", contents.user_version),
        SqlValues::new(),
    )])
}

/// What two ends do not have in common, in words; none where they hold the same.
pub(crate) fn find_difference(
    left: &mut dyn Session,
    right: &mut dyn Session,
) -> Result<Option<String>, DatabaseError> {
    let (left_contents, right_contents) = (read_contents(left)?, read_contents(right)?);
    let sorted_objects = |content: &DatabaseContents| {
        let mut object = content.objects.clone();
        object.sort_by(|left, right| (&left.kind, &left.name).cmp(&(&right.kind, &right.name)));
        object
    };
    let (left_objects, right_objects) =
        (sorted_objects(&left_contents), sorted_objects(&right_contents));
    let contains_object = |list: &[SchemaObject], made: &SchemaObject| list.contains(made);
    let differing_object = left_objects
        .iter()
        .find(|object| !contains_object(&right_objects, object))
        .or_else(|| right_objects.iter().find(|object| !contains_object(&left_objects, object)));
    if let Some(made) = differing_object {
        return Ok(Some(format!("{} `{}` is not the same", made.kind, made.name)));
    }
    if left_contents.user_version != right_contents.user_version {
        return Ok(Some("`user_version` is not the same".to_owned()));
    }
    for table in &left_contents.tables {
        // It is there once a row was written.
        if table.name == "sqlite_sequence" && !right_contents.has_sqlite_sequence {
            continue;
        }
        let (left_digest, right_digest) = (table_digest(left, table)?, table_digest(right, table)?);
        if left_digest != right_digest {
            let row_count =
                |count: u64| format!("{count} {}", if count == 1 { "row" } else { "rows" });
            return Ok(Some(if left_digest.0 == right_digest.0 {
                format!(
                    "table `{}` has {} whose values are not the same",
                    table.name,
                    row_count(left_digest.0)
                )
            } else {
                format!(
                    "table `{}` has {} here and {} there",
                    table.name,
                    row_count(left_digest.0),
                    row_count(right_digest.0)
                )
            }));
        }
    }
    Ok(None)
}

/// How many rows a table has, and the checksum of all of their values.
fn table_digest(
    session: &mut dyn Session,
    table: &TableLayout,
) -> Result<(u64, [u8; 32]), DatabaseError> {
    let (mut count, mut hasher) = (0, Sha256::new());
    read_pages(session, table, &mut |rows| {
        for row in rows {
            count += 1;
            for value in &row {
                value.update_digest(&mut hasher);
            }
        }
        Ok(())
    })?;
    Ok((count, hasher.finalize().into()))
}
