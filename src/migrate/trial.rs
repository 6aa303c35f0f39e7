//! Tries a version: creates the schema of a database, empty, in memory, records the version there,
//! and runs the rest of the document with the executor of real runs.

use rusqlite::Connection;

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::database::history_entry::{HistoryEvent, HistoryState};
use crate::database::job::{
    CompiledScript, JobResult, MigrationJob, TableContents, TransactionEnd,
};
use crate::database::policy::ForeignKeyPolicy;
use crate::database::{Database, ReadDatabase, SessionDatabase};
use crate::document::changelog::Changelog;
use crate::document::diagnostic::Rule;
use crate::document::tag::Scope;
use crate::migrate::empty_copy::{EmptyCopy, LeftOut};
use crate::migrate::job::JobBuilder;
use crate::migrate::replay::Replay;
use crate::plan::position::ChainPosition;
use crate::plan::steps::plan_upgrade;
use crate::schema::difference::{Difference, drift_note};
use crate::schema::{ObjectKey, Schema};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::transaction::apply;

/// Why a trial has no result.
pub(crate) enum TrialError {
    /// The rest of the document fails on this schema, for the reason given.
    Failed(String),
    /// A safety rule forbids a statement, for the reason given.
    Refused(String),
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

/// Whether the safety rules apply in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SafetyRules {
    Apply,
    /// Every block allows them.
    Allow,
}

/// The document that is tried.
pub(crate) struct TrialDocument<'t, 'c, 'a> {
    pub(crate) changelog: &'c Changelog<'a>,
    pub(crate) replay: &'c Replay<'a>,
    /// Whether the document creates an object of a name.
    pub(crate) is_documented: &'t dyn Fn(&ObjectKey) -> bool,
    /// Its connections in memory; a cancellation ends the trial.
    pub(crate) setup: &'t ConnectionSetup,
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
        safety_rules: SafetyRules,
    ) -> Result<Schema, TrialError> {
        let jobs = JobBuilder {
            changelog: self.changelog,
            replay: self.replay,
            transaction_end: TransactionEnd::Commit,
            foreign_keys: ForeignKeyPolicy::Report,
            contents: TableContents::Nothing,
        };
        let mut database = TrialDatabase::create(schema, self.setup, self.is_documented)?;
        let adopt_step =
            jobs.history_step(HistoryEvent::Adopt, scope, start, drift_note(drift.iter()));
        let state = database.history_state()?;
        database.apply(&MigrationJob::new(scope, vec![adopt_step]), &state)?;
        let position = start.map_or(ChainPosition::BelowBaseline, ChainPosition::AtVersion);
        let steps = plan_upgrade(self.changelog, scope, position, self.changelog.head_position());
        let state = database.history_state()?;
        let scripts: Vec<CompiledScript<'_>>;
        let mut job: MigrationJob<'_> = jobs.job(scope, position, &steps);
        if safety_rules == SafetyRules::Allow {
            scripts = job.steps.iter().map(|step| with_safety_rules_allowed(step.script)).collect();
            for (step, script) in job.steps.iter_mut().zip(&scripts) {
                step.script = script;
            }
        }
        match database.apply(&job, &state) {
            Ok(_) => {
                let mut result = database.schema()?;
                result.extend(database.left_out);
                Ok(result)
            }
            Err(DatabaseError::Interrupted) => Err(TrialError::Interrupted),
            Err(error @ DatabaseError::SafetyRule { .. }) => {
                Err(TrialError::Refused(located_message(self.changelog, &error)))
            }
            Err(error) => Err(TrialError::Failed(located_message(self.changelog, &error))),
        }
    }
}

/// A script whose block allows every rule that depends on the schema of the database at hand.
fn with_safety_rules_allowed<'a>(script: &CompiledScript<'a>) -> CompiledScript<'a> {
    let mut script = script.clone();
    script.allowed_rules.extend([
        Rule::UndocumentedLoss,
        Rule::PositionalCopy,
        Rule::Overwrite,
        Rule::DanglingReference,
    ]);
    script
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
    /// The objects that SQLite cannot create here. A run leaves them as they are.
    left_out: Schema,
}

impl TrialDatabase {
    /// Creates every object that SQLite can create here. Another one, such as a virtual table of an
    /// unknown module, is left out, unless it is one of the document's.
    fn create(
        schema: &Schema,
        setup: &ConnectionSetup,
        is_documented: &dyn Fn(&ObjectKey) -> bool,
    ) -> Result<Self, TrialError> {
        let EmptyCopy { mut connection, left_out: objects } = EmptyCopy::create(schema, setup)?;
        let mut left_out = Schema::new();
        for LeftOut { object, error } in objects {
            if is_documented(&object.key()) {
                return Err(TrialError::Failed(format!(
                    "{} `{}` cannot be created in memory: {error}",
                    object.kind, object.name
                )));
            }
            left_out.insert(object.key(), object);
        }
        let authorizer = StatementAuthorizer::install(&mut connection)?;
        Ok(Self { connection, authorizer, left_out })
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
