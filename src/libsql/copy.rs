//! Copies everything from one database to an empty one, and compares two databases. Either of the
//! two may be a file or a namespace.

use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::database::session::Query;
use crate::libsql::contents::{DatabaseContents, SchemaObject, TableLayout, read_contents};
use crate::libsql::endpoint::TransferEndpoint;
use crate::libsql::rows::{insert_rows, read_pages};
use crate::sql::lexer;
use crate::sql::value::SqlValue;

/// How many statements are sent at a time.
const MAX_BATCH_LENGTH: usize = 2_000;

/// Copies everything from one database to another, which must be empty.
pub(crate) fn copy_contents(
    source: &mut dyn TransferEndpoint,
    target: &mut dyn TransferEndpoint,
) -> Result<(), DatabaseError> {
    let contents = read_contents(source)?;
    create_objects(target, &contents, |object| {
        object.kind == "table" && !object.is_virtual() && !contents.is_shadow(object)
    })?;
    // Creating a virtual table creates its shadow tables, some of them with rows.
    create_objects(target, &contents, SchemaObject::is_virtual)?;
    let (sequences, tables): (Vec<&TableLayout>, Vec<&TableLayout>) =
        contents.tables.iter().partition(|table| table.name == "sqlite_sequence");
    for table in tables.iter().filter(|table| table.is_shadow) {
        delete_rows(target, &table.name)?;
    }
    for table in tables {
        copy_rows(source, target, table)?;
    }
    // Inserting into AUTOINCREMENT tables changed their sequences.
    for table in sequences {
        delete_rows(target, &table.name)?;
        copy_rows(source, target, table)?;
    }
    // Indexes are faster to build on existing rows, and triggers must not run for them.
    create_objects(target, &contents, |object| object.kind != "table")?;
    let user_version = format!("PRAGMA user_version = {}", contents.user_version);
    target.execute_all(vec![Query::new(user_version)])
}

fn create_objects(
    target: &mut dyn TransferEndpoint,
    contents: &DatabaseContents,
    is_wanted: impl Fn(&SchemaObject) -> bool,
) -> Result<(), DatabaseError> {
    let wanted: Vec<&SchemaObject> =
        contents.objects.iter().filter(|object| is_wanted(object)).collect();
    for objects in wanted.chunks(MAX_BATCH_LENGTH) {
        target
            .execute_all(objects.iter().map(|object| Query::new(object.sql.clone())).collect())?;
    }
    Ok(())
}

fn delete_rows(target: &mut dyn TransferEndpoint, table: &str) -> Result<(), DatabaseError> {
    let sql = format!("DELETE FROM {}", lexer::quote_identifier(table));
    target.execute_all(vec![Query::new(sql)])
}

fn copy_rows(
    source: &mut dyn TransferEndpoint,
    target: &mut dyn TransferEndpoint,
    table: &TableLayout,
) -> Result<(), DatabaseError> {
    read_pages(source, table, &mut |page| insert_rows(target, table, page))
}

/// Returns the first difference between two databases as a message shows it, and none if they are
/// identical.
pub(crate) fn find_difference(
    left: &mut dyn TransferEndpoint,
    right: &mut dyn TransferEndpoint,
) -> Result<Option<String>, DatabaseError> {
    let (left_contents, right_contents) = (read_contents(left)?, read_contents(right)?);
    let (left_objects, right_objects) =
        (left_contents.sorted_objects(), right_contents.sorted_objects());
    let differing_object = left_objects
        .iter()
        .find(|object| !right_objects.contains(object))
        .or_else(|| right_objects.iter().find(|object| !left_objects.contains(object)));
    if let Some(object) = differing_object {
        return Ok(Some(format!("{} `{}` differs", object.kind, object.name)));
    }
    if left_contents.user_version != right_contents.user_version {
        return Ok(Some("`user_version` differs".to_owned()));
    }
    for table in &left_contents.tables {
        // The table exists as soon as an AUTOINCREMENT table does, in one of them only after the
        // first row.
        if table.name == "sqlite_sequence" && !right_contents.has_sqlite_sequence {
            continue;
        }
        let (left, right) = (TableDigest::read(left, table)?, TableDigest::read(right, table)?);
        if left != right {
            let row_count =
                |count: u64| format!("{count} {}", if count == 1 { "row" } else { "rows" });
            return Ok(Some(if left.rows == right.rows {
                format!("table `{}` has {} with different values", table.name, row_count(left.rows))
            } else {
                format!(
                    "table `{}` has {} in the source and {} in the target",
                    table.name,
                    row_count(left.rows),
                    row_count(right.rows)
                )
            }));
        }
    }
    Ok(None)
}

/// The rows of a table, as a number and a checksum of all values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TableDigest {
    rows: u64,
    sha256: [u8; 32],
}

impl TableDigest {
    fn read(
        session: &mut dyn TransferEndpoint,
        table: &TableLayout,
    ) -> Result<Self, DatabaseError> {
        let (mut rows, mut hasher) = (0, Sha256::new());
        read_pages(session, table, &mut |page| {
            for row in page {
                rows += 1;
                row.0.iter().for_each(|value| update_digest(&mut hasher, value));
            }
            Ok(())
        })?;
        Ok(Self { rows, sha256: hasher.finalize().into() })
    }
}

fn update_digest(hasher: &mut Sha256, value: &SqlValue) {
    let mut add_tagged = |tag: u8, bytes: &[u8]| {
        hasher.update([tag]);
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    };
    match value {
        SqlValue::Null => add_tagged(0, &[]),
        SqlValue::Integer(number) => add_tagged(1, &number.to_le_bytes()),
        SqlValue::Real(number) => add_tagged(2, &number.to_bits().to_le_bytes()),
        SqlValue::Text(bytes) => add_tagged(3, bytes),
        SqlValue::Blob(bytes) => add_tagged(4, bytes),
    }
}
