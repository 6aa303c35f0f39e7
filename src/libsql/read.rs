//! Reads the history state of a namespace, with what a later batch needs to know about it.

use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::session::{Query, Session};
use crate::database::{SessionDatabase, history};
use crate::libsql::namespace::{
    DATABASE_FILE_QUERY, Namespace, SCHEMA_FINGERPRINT_QUERY, StateSnapshot,
};
use crate::sql::value::Rows;

impl SessionDatabase for Namespace {
    type Session = Self;

    fn session(&self) -> Result<&Self, DatabaseError> {
        Ok(self)
    }

    /// Reads the state and remembers the [`StateSnapshot`] of the same moment.
    fn read_history_state(&self) -> Result<HistoryState, DatabaseError> {
        let results = self.query_all(&[
            Query::new(history::last_entry_query()),
            Query::new(history::OBJECTS_QUERY),
            Query::new("SELECT schema_version FROM pragma_schema_version"),
            Query::new(SCHEMA_FINGERPRINT_QUERY),
            Query::new(DATABASE_FILE_QUERY),
        ])?;
        let mut results = results.into_iter();
        let mut next_result = || results.next().unwrap_or_else(|| Ok(Rows::new()));
        let last_entry = next_result();
        let objects = next_result()?;
        let mut next_row = || -> Result<_, DatabaseError> {
            Ok(next_result()?.into_iter().next().unwrap_or_default())
        };
        let (schema_version, fingerprint, server_file) = (next_row()?, next_row()?, next_row()?);
        let (Some(schema_version), Some(fingerprint), Some(server_file)) = (
            schema_version.value(0).as_integer(),
            fingerprint.value(0).as_text(),
            server_file.value(0).as_text(),
        ) else {
            let reason = "the version of the schema is missing".to_owned();
            return Err(self.unexpected_response(reason).into());
        };
        self.check_opened_namespace(server_file)?;
        *self.snapshot.borrow_mut() = Some(StateSnapshot {
            schema_version,
            fingerprint: fingerprint.to_owned(),
            has_history_table: objects.first().is_some_and(|row| row.optional_text(1).is_some()),
            server_file: server_file.to_owned(),
        });
        let retry = || self.query(&history::last_entry_query(), &[]);
        history::state_from_results(last_entry, || Ok(objects), retry)
    }
}
