//! Writes the statements that create a virtual table again with its rows, and those that fill a
//! full-text index.

use crate::schema::Object;
use crate::schema_diff::comment::to_comment;
use crate::schema_diff::statement;
use crate::schema_diff::statement::{with_if_not_exists, written_name};
use crate::sql::lexer::{quote_identifier, unquote};

/// The statements that drop a virtual table and create it in its new form, filled from a copy or
/// from its content table. `working_name` is a free table name for the copy.
pub(crate) fn recreate(old: &Object, new: &Object, working_name: &str) -> Vec<String> {
    let name = written_name(old);
    let mut lines =
        vec![to_comment(&format!("`{}` is a virtual table, so it is rebuilt", new.name))];
    if content_table(new).is_some() {
        lines.push(format!("DROP TABLE IF EXISTS {name};"));
        lines.push(with_if_not_exists(&new.sql));
        let mut paragraphs = vec![lines.join("\n")];
        paragraphs.extend(fill_fts5_index(new));
        return paragraphs;
    }
    let columns: Vec<String> = stored_columns(new)
        .filter(|column| stored_columns(old).any(|other| other.eq_ignore_ascii_case(column)))
        .map(quote_identifier)
        .collect();
    let rowid_prefix = if module(new).starts_with("fts") { "rowid, " } else { "" };
    let columns = columns.join(", ");
    lines.push(statement::with_name(new, working_name));
    lines.push(format!(
        "INSERT INTO {working_name} ({rowid_prefix}{columns})\nSELECT {rowid_prefix}{columns}\nFROM {name};"
    ));
    lines.push(format!("DROP TABLE {name};"));
    lines.push(format!("ALTER TABLE {working_name} RENAME TO {};", written_name(new)));
    vec![lines.join("\n")]
}

/// The columns of a virtual table with values of their own.
fn stored_columns(table: &Object) -> impl Iterator<Item = &str> {
    let is_hidden =
        |column: &str| table.structure().column(column).is_some_and(|column| column.hidden != 0);
    table.columns().filter(move |column| !is_hidden(column))
}

/// The columns of `source` that `other` does not have. None where the rows are in a content table.
pub(crate) fn columns_missing_in<'s>(
    other: &'s Object,
    source: &'s Object,
) -> impl Iterator<Item = &'s str> {
    let has_values = content_table(source).is_none();
    stored_columns(source).filter(move |column| {
        has_values && !stored_columns(other).any(|found| found.eq_ignore_ascii_case(column))
    })
}

/// The statement that fills a new FTS5 index over a table that may already have rows. Without it,
/// the index is empty.
pub(crate) fn fill_fts5_index(table: &Object) -> Option<String> {
    let module = module(table);
    let has_content = content_table(table).is_some_and(|content| !content.is_empty());
    let name = written_name(table);
    (table.is_virtual_table() && module == "fts5" && has_content)
        .then(|| format!("INSERT INTO {name} ({name}) VALUES ('rebuild');"))
}

/// The table or view whose rows a full-text table indexes (`content=…`); an empty name means that
/// the table stores no content at all.
fn content_table(table: &Object) -> Option<String> {
    table.module()?.arguments.iter().find_map(|argument| {
        let (name, value) = argument.split_once('=')?;
        (name.trim() == "content").then(|| unquote(value.trim()).into_owned())
    })
}

/// Whether the rows of a virtual table can be read back as they were inserted.
pub(crate) fn can_be_copied(table: &Object) -> bool {
    let module = module(table);
    let is_known_module = module.starts_with("fts") || module.starts_with("rtree");
    is_known_module && content_table(table).is_none_or(|content| !content.is_empty())
}

/// The module of a virtual table, in lower case.
fn module(table: &Object) -> &str {
    table.module().map_or("", |definition| definition.module.as_str())
}
