//! Makes a batch fail unless the history and the schema of the namespace are those that were read.

use crate::database::history;
use crate::database::history_entry::State;
use crate::libsql::namespace::{FILE, Seen};
use crate::libsql::program::{FAIL, Mark, Program};
use crate::sqld::hrana::{Step, Value};

/// Fails unless the record ends as it did, and the schema is the one that was looked at.
pub(crate) fn guard(program: &mut Program, expected: &State, seen: &Seen) {
    const TABLE: &str = history::TABLE;
    let schema = "(SELECT schema_version FROM pragma_schema_version)";
    let (record, mut args) = match expected {
        State::Recorded(record) => (
            format!(
                "(SELECT max(rowid) FROM {TABLE}) IS ?2 AND EXISTS (SELECT 1 FROM {TABLE} \
                 WHERE rowid = ?2 AND to_version IS ?3 AND applied_at IS ?4)"
            ),
            vec![
                Value::Integer(record.id),
                Value::text(record.to.clone()),
                Value::text(record.applied_at.clone()),
            ],
        ),
        State::New | State::Unversioned if seen.has_record => {
            (format!("NOT EXISTS (SELECT 1 FROM {TABLE})"), Vec::new())
        }
        State::New | State::Unversioned => (
            "NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE lower(name) = '_tatmig_migrations')"
                .to_owned(),
            Vec::new(),
        ),
    };
    args.insert(0, Value::Integer(seen.schema_version));
    // A replica answers questions itself, and has its primary answer a transaction that writes.
    let place = format!("SELECT CASE WHEN ({FILE}) IS ?1 THEN 1 ELSE {FAIL} END");
    program.then(Step::does(place, vec![Value::text(seen.file.clone())]), Mark::Place);
    let sql = format!("SELECT CASE WHEN {schema} IS ?1 AND {record} THEN 1 ELSE {FAIL} END");
    program.then(Step::does(sql, args), Mark::Guard);
}
