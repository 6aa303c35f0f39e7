//! Adds to a batch the steps that fail it unless the namespace has the history and the schema that
//! were read.

use crate::database::history;
use crate::database::history_entry::HistoryState;
use crate::libsql::namespace::{DATABASE_FILE_QUERY, StateSnapshot};
use crate::libsql::program::{BatchBuilder, RAISE, StepKind};
use crate::sql::value::SqlValue;
use crate::sqld::protocol::BatchStep;

/// Adds the steps that fail the batch unless the history ends with the expected entry and the
/// schema has not changed since the snapshot.
pub(crate) fn push_precondition(
    builder: &mut BatchBuilder,
    expected: &HistoryState,
    snapshot: &StateSnapshot,
) {
    const TABLE: &str = history::TABLE_NAME;
    let schema_version = "(SELECT schema_version FROM pragma_schema_version)";
    let (last_entry, mut args) = match expected {
        HistoryState::Versioned(entry) => (
            format!(
                "(SELECT max(rowid) FROM {TABLE}) IS ?2 AND EXISTS (SELECT 1 FROM {TABLE} \
                 WHERE rowid = ?2 AND to_version IS ?3 AND applied_at IS ?4)"
            ),
            vec![
                SqlValue::Integer(entry.id),
                SqlValue::from_text(entry.to.clone()),
                SqlValue::from_text(entry.applied_at.clone()),
            ],
        ),
        HistoryState::Empty | HistoryState::Unversioned if snapshot.has_history_table => {
            (format!("NOT EXISTS (SELECT 1 FROM {TABLE})"), Vec::new())
        }
        HistoryState::Empty | HistoryState::Unversioned => (
            "NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE lower(name) = '_tatmig_migrations')"
                .to_owned(),
            Vec::new(),
        ),
    };
    args.insert(0, SqlValue::Integer(snapshot.schema_version));
    // A replica answers reads itself and forwards a transaction that writes to its primary, whose
    // file has another path.
    let primary_check =
        format!("SELECT CASE WHEN ({DATABASE_FILE_QUERY}) IS ?1 THEN 1 ELSE {RAISE} END");
    builder.push(
        BatchStep::execute(primary_check, vec![SqlValue::from_text(snapshot.server_file.clone())]),
        StepKind::PrimaryCheck,
    );
    let sql =
        format!("SELECT CASE WHEN {schema_version} IS ?1 AND {last_entry} THEN 1 ELSE {RAISE} END");
    builder.push(BatchStep::execute(sql, args), StepKind::Precondition);
}
