//! Tries a version: creates the schema of a database, empty, in memory, records the version there,
//! and runs the rest of the document with the executor of real runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;

use crate::database::connection::open_in_memory;
use crate::database::error::DatabaseError;
use crate::database::history_entry::{HistoryEvent, HistoryState};
use crate::database::job::{JobResult, MigrationJob, TableContents, TransactionEnd};
use crate::database::policy::ForeignKeyPolicy;
use crate::database::{Database, ReadDatabase, SessionDatabase};
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::migrate::job::JobBuilder;
use crate::migrate::replay::Replay;
use crate::plan::position::ChainPosition;
use crate::plan::steps::plan_upgrade;
use crate::schema::difference::{Difference, drift_note};
use crate::schema::{ObjectKey, ObjectKind, Schema};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::transaction::apply;

/// Why a trial has no result.
pub(crate) enum TrialError {
    /// The rest of the document fails on this schema, for the reason given.
    Failed(String),
    Interrupted,
}

impl From<rusqlite::Error> for TrialError {
    fn from(error: rusqlite::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl From<DatabaseError> for TrialError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Interrupted => Self::Interrupted,
            error => Self::Failed(error.to_string()),
        }
    }
}

/// The document that is tried.
pub(crate) struct TrialDocument<'t, 'c, 'a> {
    pub(crate) changelog: &'c Changelog<'a>,
    pub(crate) replay: &'c Replay<'a>,
    /// Whether the document creates an object of a name.
    pub(crate) is_documented: &'t dyn Fn(&ObjectKey) -> bool,
    /// Setting it ends the trial.
    pub(crate) cancel: &'t Arc<AtomicBool>,
}

impl TrialDocument<'_, '_, '_> {
    /// Runs the rest of the document on an empty database of a schema, which is recorded at the
    /// position `start` (none: `baseline`) with its accepted drift. Returns the schema at head.
    pub(crate) fn run(
        &self,
        scope: Scope,
        schema: &Schema,
        start: Option<usize>,
        drift: &[Difference],
    ) -> Result<Schema, TrialError> {
        let jobs = JobBuilder {
            changelog: self.changelog,
            replay: self.replay,
            transaction_end: TransactionEnd::Commit,
            foreign_keys: ForeignKeyPolicy::Report,
            contents: TableContents::Nothing,
        };
        let mut database = TrialDatabase::create(schema, self.cancel, self.is_documented)?;
        let adopt_step =
            jobs.history_step(HistoryEvent::Adopt, scope, start, drift_note(drift.iter()));
        let state = database.history_state()?;
        database.apply(&MigrationJob::new(scope, vec![adopt_step]), &state)?;
        let position = start.map_or(ChainPosition::BelowBaseline, ChainPosition::AtVersion);
        let steps = plan_upgrade(self.changelog, scope, position, self.changelog.head_position());
        let state = database.history_state()?;
        match database.apply(&jobs.job(scope, position, &steps), &state) {
            Ok(_) => Ok(database.schema()?),
            Err(DatabaseError::Interrupted) => Err(TrialError::Interrupted),
            Err(error) => Err(TrialError::Failed(located_message(self.changelog, &error))),
        }
    }
}

/// The message of an error, after its place in the document.
fn located_message(changelog: &Changelog<'_>, error: &DatabaseError) -> String {
    let place = error.span().map(|span| changelog.source().format_position(span.start));
    place.map_or_else(|| error.to_string(), |place| format!("{place}: {error}"))
}

/// An in-memory database with the schema of another one and no rows.
struct TrialDatabase {
    connection: Connection,
    authorizer: StatementAuthorizer,
}

impl TrialDatabase {
    /// Creates every object that SQLite can create here. Another one, such as a virtual table of an
    /// unknown module, is left out, unless it is one of the document's.
    fn create(
        schema: &Schema,
        cancel: &Arc<AtomicBool>,
        is_documented: &dyn Fn(&ObjectKey) -> bool,
    ) -> Result<Self, TrialError> {
        let mut connection = open_in_memory(cancel)?;
        let rank = |key: &ObjectKey| match schema[key].kind {
            ObjectKind::Table => 0,
            ObjectKind::Index => 1,
            ObjectKind::View => 2,
            ObjectKind::Trigger => 3,
        };
        let mut keys: Vec<&ObjectKey> = schema.keys().collect();
        keys.sort_by_key(|key| rank(key));
        connection.execute_batch("BEGIN")?;
        for key in keys {
            let object = &schema[key];
            let Err(error) = connection.execute_batch(&object.sql) else { continue };
            match DatabaseError::from(error) {
                DatabaseError::Interrupted => return Err(TrialError::Interrupted),
                error if is_documented(key) => {
                    return Err(TrialError::Failed(format!(
                        "{} `{}` cannot be created in memory: {error}",
                        object.kind, object.name
                    )));
                }
                _ => {}
            }
        }
        connection.execute_batch("COMMIT")?;
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        Ok(Self { connection, authorizer })
    }
}

impl SessionDatabase for TrialDatabase {
    type Session = Connection;

    fn session(&self) -> Result<&Connection, DatabaseError> {
        Ok(&self.connection)
    }
}

impl Database for TrialDatabase {
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
    ) -> Result<JobResult, DatabaseError> {
        apply(&self.connection, &self.authorizer, job, expected, &|| false)
    }
}
