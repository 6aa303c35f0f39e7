//! Inserts one generated row: tries combinations of values until SQLite accepts one, and changes
//! first the values of the columns that SQLite names in its error.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use crate::database::declared::{is_declared, undoing_comparisons};
use crate::database::error::sqlite_message;
use crate::selftest::check_constraint::CheckConstraint;
use crate::selftest::orphans::remove_orphans;
use crate::selftest::row_choices::{RowSource, Slot};
use crate::selftest::table_spec::TableSpec;
use crate::selftest::values::{Choice, ROWS_PER_TABLE, RowPlan};
use crate::sql::lexer::{quote_identifier, unquote};

/// How many combinations of values are tried for one row.
const MAX_ATTEMPTS: usize = 500;

/// What SQLite reports of triggers that fire each other without an end, whatever the values are.
const TRIGGER_RECURSION: &str = "too many levels of trigger recursion";

/// The result of inserting a row.
pub(crate) enum InsertResult {
    Inserted,
    /// Inserted with triggers disabled, because of what they did to the row.
    InsertedWithoutTriggers(Rejection),
    /// No combination of values was accepted.
    Rejected(Rejection),
}

/// Why a row was not inserted.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    /// SQLite's message.
    pub(crate) reason: String,
    pub(crate) kind: RejectionKind,
}

/// What rejects a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RejectionKind {
    /// A constraint, or a trigger that raises an error.
    Constraint,
    /// The statement cannot run at all: a trigger, most often, that refers to what does not exist.
    Unusable,
    /// A declared function or collation, which only the application can execute.
    NeedsApplication,
    /// A function or a virtual table that accepts none of the values.
    Values,
}

/// Why an INSERT failed.
enum InsertError {
    /// It does not compile: a trigger, most often, refers to what does not exist.
    NotCompiled(rusqlite::Error),
    Failed(rusqlite::Error),
}

impl Rejection {
    pub(crate) fn constraint(reason: String) -> Self {
        Self { reason, kind: RejectionKind::Constraint }
    }
}

/// Inserts a row into a table.
pub(crate) fn insert_row(
    source: &RowSource<'_>,
    table_spec: &TableSpec,
    plan: RowPlan,
) -> rusqlite::Result<InsertResult> {
    let mut slots = match source.build_slots(table_spec, plan, &|_| true)? {
        Ok(slots) => slots,
        Err(reason) => return Ok(InsertResult::Rejected(Rejection::constraint(reason))),
    };
    // Triggers fire as they would for the application, so that what they maintain (a full-text
    // index, for example) matches the rows. Where they reject every row or fail, they are disabled,
    // which is reported: the table needs rows in any case.
    let Some(rejection) = try_insert(source, table_spec, &mut slots)? else {
        return Ok(InsertResult::Inserted);
    };
    let connection = source.connection;
    if !has_trigger(connection, table_spec)? {
        return Ok(InsertResult::Rejected(rejection));
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let second_result = try_insert(source, table_spec, &mut slots);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    Ok(second_result?
        .map_or(InsertResult::InsertedWithoutTriggers(rejection), InsertResult::Rejected))
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
) -> rusqlite::Result<Option<Rejection>> {
    let mut reason = String::new();
    let mut kind = RejectionKind::Constraint;
    for _ in 0..MAX_ATTEMPTS {
        match insert(source.connection, table_spec, slots) {
            Ok(()) if !table_spec.has_overlapping_foreign_keys() => return Ok(None),
            Ok(()) => {
                if !remove_orphans(source.connection, source.table_specs, [table_spec])? {
                    return Ok(None);
                }
                "no parent rows satisfy all of its foreign keys".clone_into(&mut reason);
            }
            Err(InsertError::NotCompiled(error)) => {
                let (reason, kind) = (sqlite_message(&error), RejectionKind::Unusable);
                return Ok(Some(Rejection { reason, kind }));
            }
            Err(InsertError::Failed(error)) => {
                reason = sqlite_message(&error);
                match error.sqlite_error_code() {
                    Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {}
                    Some(ErrorCode::OperationInterrupted) => return Err(error),
                    _ if is_declared(&reason) => {
                        let kind = RejectionKind::NeedsApplication;
                        return Ok(Some(Rejection { reason, kind }));
                    }
                    Some(ErrorCode::Unknown) if !reason.contains(TRIGGER_RECURSION) => {
                        kind = RejectionKind::Values;
                    }
                    _ => return Ok(Some(Rejection { reason, kind: RejectionKind::Unusable })),
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
    Ok(Some(Rejection { reason, kind }))
}

/// Inserts a row with the current choices.
fn insert(
    connection: &Connection,
    table_spec: &TableSpec,
    slots: &[Slot],
) -> Result<(), InsertError> {
    let values = row_values(table_spec, slots);
    let table = quote_identifier(&table_spec.name);
    let sql = if values.is_empty() {
        format!("INSERT INTO {table} DEFAULT VALUES")
    } else {
        let placeholders = vec!["?"; values.len()].join(", ");
        let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
        format!("INSERT INTO {table} ({}) VALUES ({placeholders})", names.join(", "))
    };
    let parameters = values.iter().map(|(_, value)| *value);
    let mut statement = connection.prepare_cached(&sql).map_err(InsertError::NotCompiled)?;
    undoing_comparisons(connection, || statement.execute(params_from_iter(parameters)).map(drop))
        .map_err(InsertError::Failed)
}

/// The quoted names of the columns that get a value by the current choices, with their values.
fn row_values<'s>(table_spec: &TableSpec, slots: &'s [Slot]) -> Vec<(String, &'s Value)> {
    let mut row: BTreeMap<usize, &Choice> = BTreeMap::new();
    for slot in slots {
        row.extend(slot.columns.iter().copied().zip(slot.current()));
    }
    let mut values = Vec::new();
    for (index, choice) in &row {
        let value = match choice {
            Choice::SameAsColumn(same_column) => {
                row.get(same_column).copied().unwrap_or(&Choice::Default)
            }
            choice => choice,
        };
        if let Choice::Value(value) = value {
            values.push((quote_identifier(&table_spec.table.columns[*index].name), value));
        }
    }
    values
}

/// Gives the columns of existing rows for which `is_changed` holds values: NULL or the default in
/// every fourth row, as a new column has. Rows that accept none of the values stay as they are.
pub(crate) fn update_columns(
    source: &RowSource<'_>,
    table_spec: &TableSpec,
    is_changed: &dyn Fn(usize) -> bool,
) -> rusqlite::Result<()> {
    let table = quote_identifier(&table_spec.name);
    let Some(rowid) = ["rowid", "_rowid_", "oid"]
        .into_iter()
        .find(|name| table_spec.column_position(name).is_none())
    else {
        return Ok(());
    };
    let select = format!("SELECT {rowid} FROM {table} ORDER BY {rowid}");
    // A table without row ids gets new rows only.
    let Ok(mut row_query) = source.connection.prepare(&select) else { return Ok(()) };
    let rowids: Vec<i64> =
        row_query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for (index, id) in rowids.into_iter().enumerate().filter(|(index, _)| index % 4 != 3) {
        let plan =
            RowPlan::new(index - index % ROWS_PER_TABLE, index % ROWS_PER_TABLE, source.profile);
        let Ok(mut slots) = source.build_slots(table_spec, plan, is_changed)? else { continue };
        loop {
            let values = row_values(table_spec, &slots);
            let assignments: Vec<String> =
                values.iter().map(|(column, _)| format!("{column} = ?")).collect();
            if assignments.is_empty() {
                break;
            }
            let sql = format!("UPDATE {table} SET {} WHERE {rowid} = {id}", assignments.join(", "));
            let parameters = values.iter().map(|(_, value)| *value);
            let result = source.connection.prepare(&sql).and_then(|mut statement| {
                undoing_comparisons(source.connection, || {
                    statement.execute(params_from_iter(parameters))
                })
            });
            match result {
                Ok(_) => break,
                Err(error) => match error.sqlite_error_code() {
                    Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {}
                    Some(ErrorCode::OperationInterrupted) => return Err(error),
                    _ => return Ok(()),
                },
            }
            let all_slots: Vec<usize> = (0..slots.len()).collect();
            if !advance_choices(&mut slots, &all_slots) {
                break;
            }
        }
    }
    Ok(())
}

/// The slots whose columns an error message of SQLite names, directly or through a CHECK
/// constraint. If it names none, those that a CHECK constraint mentions, or else all.
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
    let slots_where = |is_wanted: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..slots.len())
            .filter(|slot| slots[*slot].columns.iter().any(|index| is_wanted(*index)))
            .collect()
    };
    let mut suspects = slots_where(&*is_suspect);
    if suspects.is_empty() {
        // A function in a CHECK constraint that fails names no column.
        let is_checked = |index: usize| {
            table_spec.checks.iter().any(|check| check.mentions(&columns[index].name))
        };
        suspects = slots_where(&is_checked);
    }
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
