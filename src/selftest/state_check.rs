//! Compares state that is beside the rows of a table, before and after some migrations: the counter
//! of an AUTOINCREMENT table, and whether a full-text index finds the rows of its content table.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::document::diagnostic::Rule;
use crate::schema::{Object, ObjectKind, Schema};
use crate::selftest::row_comparison::{Difference, counter_message};
use crate::selftest::snapshot::{IntendedChanges, find_table};
use crate::sql::lexer::quote_identifier;
use crate::sql::tokens::Tokens;

/// The state of some tables.
pub(crate) struct StateBeside {
    /// The counters in `sqlite_sequence`, by the table's name in lower case.
    counters: BTreeMap<String, i64>,
    /// The full-text tables that find the rows of their content table, with that table, in lower
    /// case.
    search_tables: BTreeMap<String, String>,
}

impl StateBeside {
    /// Reads the state of the named tables.
    pub(crate) fn read(
        connection: &Connection,
        schema: &Schema,
        table_names: &BTreeSet<String>,
    ) -> rusqlite::Result<Self> {
        let mut counters = BTreeMap::new();
        for name in table_names {
            if let Some(counter) = read_counter(connection, schema, name)? {
                counters.insert(name.clone(), counter);
            }
        }
        let mut search_tables = BTreeMap::new();
        for (search_table, content_table) in external_content_tables(schema) {
            let is_touched =
                table_names.contains(&search_table) || table_names.contains(&content_table);
            if is_touched && finds_every_row(connection, &search_table)? {
                search_tables.insert(search_table, content_table);
            }
        }
        Ok(Self { counters, search_tables })
    }

    /// What became worse, except what the blocks allow.
    pub(crate) fn differences(
        &self,
        connection: &Connection,
        schema: &Schema,
        intended_changes: &IntendedChanges,
    ) -> rusqlite::Result<Vec<Difference>> {
        let mut differences = Vec::new();
        for (name, before) in &self.counters {
            let new_name = intended_changes.table_renames.final_name(name);
            let renamed = find_table(schema, &new_name).map(|_| new_name.as_str());
            let Some(after) = read_counter(connection, schema, renamed.unwrap_or(name))? else {
                continue;
            };
            if after < *before {
                let message = counter_message(name, *before, after);
                let (table, subject) = (name.clone(), "sqlite_sequence".to_owned());
                differences.push(Difference { rule: Rule::CounterReset, table, subject, message });
            }
        }
        for (search_table, content_table) in &self.search_tables {
            let exists = find_table(schema, search_table).is_some();
            if exists && !finds_every_row(connection, search_table)? {
                let message = format!(
                    "full-text table `{search_table}` no longer matches the rows of `{content_table}`: their row ids or values changed, and a search finds the wrong rows or none"
                );
                let (table, subject) = (content_table.clone(), search_table.clone());
                differences.push(Difference { rule: Rule::FtsRowIds, table, subject, message });
            }
        }
        differences.retain(|difference| !intended_changes.allows(difference.rule));
        Ok(differences)
    }
}

/// The AUTOINCREMENT counter of a table; `None` if it has none.
fn read_counter(
    connection: &Connection,
    schema: &Schema,
    name: &str,
) -> rusqlite::Result<Option<i64>> {
    if !find_table(schema, name).is_some_and(has_counter) {
        return Ok(None);
    }
    let mut query = connection.prepare(
        "SELECT max(CAST(seq AS INTEGER)) FROM sqlite_sequence WHERE name = ?1 COLLATE NOCASE",
    )?;
    let counter: Option<i64> = query.query_row([name], |row| row.get(0))?;
    // A table that never had a row has no counter.
    Ok(Some(counter.unwrap_or(0)))
}

/// Whether a table has an AUTOINCREMENT counter.
pub(crate) fn has_counter(table: &Object) -> bool {
    let tokens = Tokens::new(&table.sql);
    (0..tokens.len()).any(|index| tokens.is(index, "AUTOINCREMENT"))
}

/// The FTS5 tables whose content is in another table, each with that table, in lower case.
pub(crate) fn external_content_tables(schema: &Schema) -> Vec<(String, String)> {
    let tables = schema.values().filter(|object| object.kind == ObjectKind::Table);
    tables
        .filter_map(|object| {
            let content = content_table(&object.sql)?;
            Some((object.name.to_ascii_lowercase(), content))
        })
        .collect()
}

/// The table that `content = 'notes'` names in `CREATE VIRTUAL TABLE … USING fts5 (…)`.
fn content_table(sql: &str) -> Option<String> {
    // Almost no table is virtual.
    if !sql.get(..15)?.eq_ignore_ascii_case("CREATE VIRTUAL ") {
        return None;
    }
    let tokens = Tokens::new(sql);
    (0..tokens.len()).find(|index| tokens.match_seq(*index, &["USING", "FTS5"]))?;
    let index = (0..tokens.len()).find(|index| tokens.match_seq(*index, &["content", "="]))?;
    let name = tokens.name(index + 2);
    (!name.is_empty() && tokens.depth(index) == 1).then(|| name.to_lowercase())
}

/// Leaves a gap in the row ids of a table, as an application does that deletes rows: the row with the
/// highest id of an AUTOINCREMENT table, if it is newer than `highest_before`, and the first row of a
/// new table that a full-text table indexes. Then fills the full-text tables.
pub(crate) fn leave_gaps(
    connection: &Connection,
    schema: &Schema,
    table: &Object,
    highest_before: Option<i64>,
) -> rusqlite::Result<()> {
    let name = quote_identifier(&table.name);
    let delete = |condition: &str| {
        // A trigger may forbid to delete rows.
        let _ = connection.execute(&format!("DELETE FROM {name} WHERE {condition}"), []);
    };
    if has_counter(table) {
        let highest = highest_before.unwrap_or(i64::MIN);
        delete(&format!("_rowid_ = (SELECT max(_rowid_) FROM {name}) AND _rowid_ > {highest}"));
    }
    let table_name = table.name.to_ascii_lowercase();
    for (search_table, content_table) in external_content_tables(schema) {
        if content_table != table_name {
            continue;
        }
        if highest_before.is_none() {
            delete(&format!("_rowid_ = (SELECT min(_rowid_) FROM {name})"));
        }
        if !finds_every_row(connection, &search_table)? {
            let search_table = quote_identifier(&search_table);
            let rebuild = format!("INSERT INTO {search_table} ({search_table}) VALUES ('rebuild')");
            // A full-text table that cannot be used is not the fault of the rows.
            let _ = connection.execute_batch(&rebuild);
        }
    }
    Ok(())
}

/// The highest row id of a table; `None` if it is empty or has no row ids.
pub(crate) fn highest_rowid(connection: &Connection, table: &str) -> Option<i64> {
    let query = format!("SELECT max(_rowid_) FROM {}", quote_identifier(table));
    connection.query_row(&query, [], |row| row.get(0)).ok().flatten()
}

/// Whether a full-text index holds exactly the rows of its content table.
fn finds_every_row(connection: &Connection, search_table: &str) -> rusqlite::Result<bool> {
    let table = quote_identifier(search_table);
    // A rank other than 0 compares the index with the content table.
    let check = format!("INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)");
    match connection.execute_batch(&check) {
        Ok(()) => Ok(true),
        Err(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            Err(error)
        }
        Err(_) => Ok(false),
    }
}
