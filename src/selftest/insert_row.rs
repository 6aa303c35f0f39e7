//! Inserts one generated row: tries combinations of values until SQLite accepts one, and changes
//! first the values of the columns that SQLite names in its error.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::database::error::sqlite_message;
use crate::selftest::orphans::remove_orphans;
use crate::selftest::row_choices::{Choice, RowSource, Slot};
use crate::selftest::table_spec::TableSpec;
use crate::selftest::values::CheckConstraint;
use crate::sql::lexer::{quote_identifier, unquote};

/// How many combinations of values are tried for one row.
const MAX_ATTEMPTS: usize = 500;

/// The result of inserting a row.
pub(crate) enum InsertResult {
    Inserted,
    /// Inserted with triggers disabled, because they rejected the row with this message.
    InsertedWithoutTriggers(String),
    /// No combination of values was accepted; the last message of SQLite.
    Rejected(String),
}

/// Inserts the row with the number `row` into a table.
pub(crate) fn insert_row(
    source: &RowSource<'_>,
    table_spec: &TableSpec,
    row: usize,
) -> rusqlite::Result<InsertResult> {
    let mut slots = match source.build_slots(table_spec, row)? {
        Ok(slots) => slots,
        Err(reason) => return Ok(InsertResult::Rejected(reason)),
    };
    // Triggers fire as they would for the application, so that what they maintain (a full-text
    // index, for example) matches the rows. Where they reject every row or fail, they are disabled,
    // which is reported: the table needs rows in any case.
    let Some(reason) = try_insert(source, table_spec, &mut slots)? else {
        return Ok(InsertResult::Inserted);
    };
    let connection = source.connection;
    if !has_trigger(connection, table_spec)? {
        return Ok(InsertResult::Rejected(reason));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let second_result = try_insert(source, table_spec, &mut slots);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    Ok(second_result?.map_or(InsertResult::InsertedWithoutTriggers(reason), InsertResult::Rejected))
}

fn has_trigger(connection: &Connection, table_spec: &TableSpec) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)",
        [&table_spec.name],
        |row| row.get(0),
    )
}

/// Tries combinations of values. Returns `None` once a row is inserted, else why the last was
/// rejected.
fn try_insert(
    source: &RowSource<'_>,
    table_spec: &TableSpec,
    slots: &mut [Slot],
) -> rusqlite::Result<Option<String>> {
    let mut reason = String::new();
    for _ in 0..MAX_ATTEMPTS {
        match insert(source.connection, table_spec, slots) {
            Ok(()) if !table_spec.has_overlapping_foreign_keys() => return Ok(None),
            Ok(()) => {
                if !remove_orphans(source.connection, source.table_specs, [table_spec])? {
                    return Ok(None);
                }
                "no parent rows satisfy all of its foreign keys".clone_into(&mut reason);
            }
            Err(error) => {
                reason = sqlite_message(&error);
                match error.sqlite_error_code() {
                    Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {}
                    Some(ErrorCode::OperationInterrupted) => return Err(error),
                    _ => return Ok(Some(reason)),
                }
            }
        }
        let suspect_slots = suspect_slots(table_spec, slots, &reason);
        if !advance_choices(slots, &suspect_slots) {
            // Every combination of the suspected columns was tried; continue with all columns.
            let all_slots: Vec<usize> = (0..slots.len()).collect();
            if suspect_slots == all_slots || !advance_choices(slots, &all_slots) {
                break;
            }
        }
    }
    Ok(Some(reason))
}

/// Inserts a row with the current choices.
fn insert(connection: &Connection, table_spec: &TableSpec, slots: &[Slot]) -> rusqlite::Result<()> {
    let mut row: BTreeMap<usize, &Choice> = BTreeMap::new();
    for slot in slots {
        row.extend(slot.columns.iter().copied().zip(slot.current()));
    }
    let mut column_names = Vec::new();
    let mut values: Vec<&Value> = Vec::new();
    for (index, choice) in &row {
        let value = match choice {
            Choice::SameAsColumn(same_column) => {
                row.get(same_column).copied().unwrap_or(&Choice::Default)
            }
            choice => choice,
        };
        if let Choice::Value(value) = value {
            column_names.push(quote_identifier(&table_spec.table.columns[*index].name));
            values.push(value);
        }
    }
    let table = quote_identifier(&table_spec.name);
    let sql = if column_names.is_empty() {
        format!("INSERT INTO {table} DEFAULT VALUES")
    } else {
        let placeholders = vec!["?"; column_names.len()].join(", ");
        format!("INSERT INTO {table} ({}) VALUES ({placeholders})", column_names.join(", "))
    };
    connection.prepare_cached(&sql)?.execute(params_from_iter(values)).map(drop)
}

/// The slots whose columns an error message of SQLite names, directly or through a CHECK
/// constraint; all slots if it names none.
fn suspect_slots(table_spec: &TableSpec, slots: &[Slot], message: &str) -> Vec<usize> {
    let columns = &table_spec.table.columns;
    let is_suspect: Box<dyn Fn(usize) -> bool + '_> =
        if let Some(name) = message.strip_prefix("CHECK constraint failed: ") {
            let named_checks: Vec<&CheckConstraint> =
                table_spec.checks.iter().filter(|check| check.name == unquote(name)).collect();
            Box::new(move |index| {
                let mentions = |check: &CheckConstraint| check.mentions(&columns[index].name);
                if named_checks.is_empty() {
                    table_spec.checks.iter().any(mentions)
                } else {
                    named_checks.iter().any(|check| mentions(check))
                }
            })
        } else {
            // `UNIQUE constraint failed: t.a, t.b`, `cannot store TEXT value in INTEGER column t.a`
            let names: BTreeSet<String> =
                message.split(['.', ',', ' ']).map(|word| word.trim().to_lowercase()).collect();
            Box::new(move |index| names.contains(&columns[index].name.to_lowercase()))
        };
    let suspects: Vec<usize> = (0..slots.len())
        .filter(|slot| slots[*slot].columns.iter().any(|index| is_suspect(*index)))
        .collect();
    if suspects.is_empty() { (0..slots.len()).collect() } else { suspects }
}

/// Moves the named slots to their next combination of choices. Returns whether there was one.
fn advance_choices(slots: &mut [Slot], slot_indexes: &[usize]) -> bool {
    for index in slot_indexes {
        let slot = &mut slots[*index];
        slot.index += 1;
        if !slot.index.is_multiple_of(slot.choices.len()) {
            return true;
        }
    }
    false
}
