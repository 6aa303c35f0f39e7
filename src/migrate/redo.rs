//! Undoes the last migration of a database by the reverse block that it was applied with, and applies
//! the migration as the document has it now, in one transaction.

use std::sync::Arc;

use crate::database::Database;
use crate::database::connection::{ConnectOptions, ConnectionSetup};
use crate::database::error::DatabaseError;
use crate::database::history_entry::reverse_key;
use crate::database::job::{EMPTY_SCRIPT, MigrationJob, TableContents, TransactionEnd};
use crate::database::policy::{AheadPolicy, DatabasePolicy};
use crate::document::changelog::{Changelog, StepId};
use crate::document::diagnostic::Severity;
use crate::document::migration::Checksum;
use crate::document::tag::{Scope, VersionPair, VersionPoint};
use crate::migrate::job::JobBuilder;
use crate::migrate::replay::{Replay, changes_of_scripts};
use crate::migrate::retry::retry_after_change;
use crate::migrate::status::{StatusDocument, locate_database};
use crate::plan::outcome::{AppliedRun, MigrateError, MigrationPath, Outcome, PathStart};
use crate::plan::position::ChainPosition;
use crate::target::TargetDatabase;

/// The migration that leads to a version of the chain, and its reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastMigration {
    pub(crate) position: usize,
}

impl LastMigration {
    pub(crate) fn forward(self) -> StepId {
        self.position.checked_sub(1).map_or(StepId::Baseline(0), StepId::Forward)
    }

    pub(crate) fn reverse(self) -> StepId {
        self.position.checked_sub(1).map_or(StepId::BaselineReverse(0), StepId::Reverse)
    }

    pub(crate) fn versions(self, changelog: &Changelog<'_>) -> VersionPair {
        let (from, to) = changelog
            .endpoints(self.forward())
            .unwrap_or((VersionPoint::Baseline, VersionPoint::Baseline));
        VersionPair::new(from, to)
    }
}

/// The SQL of one scope of a migration as it was applied, and of its reverse block at that time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AppliedSql {
    pub(crate) scope: Scope,
    pub(crate) checksum: String,
    /// `None` if no database stores it.
    pub(crate) forward: Option<String>,
    /// `None` if no database stores it: the migration had no reverse block, or an older tatmig
    /// applied it.
    pub(crate) reverse: Option<String>,
}

impl AppliedSql {
    /// Reads the SQL that the system database stores.
    ///
    /// # Errors
    ///
    /// The system database cannot be read.
    pub(crate) fn read(
        versions: &VersionPair,
        scope: Scope,
        checksum: &str,
        system_database: Option<&TargetDatabase>,
        options: &ConnectOptions,
    ) -> Result<Self, MigrateError> {
        let key = reverse_key(checksum, scope, &versions.reversed());
        let (mut forward, mut reverse) = (None, None);
        if let Some(database) = system_database {
            forward = database.read(options, |database| database.stored_source(checksum))?;
            reverse = database.read(options, |database| database.stored_source(&key))?;
        }
        // An empty block is not stored.
        if checksum == Checksum::from_text("").to_string() {
            forward = Some(String::new());
        }
        Ok(Self { scope, checksum: checksum.to_owned(), forward, reverse })
    }
}

/// The document as it was when the last migration was applied, as far as this migration and its
/// reverse are concerned, with the replay of it.
#[derive(Debug)]
pub(crate) struct AppliedDocument<'t> {
    pub(crate) changelog: Changelog<'t>,
    pub(crate) replay: Replay<'t>,
}

impl<'t> AppliedDocument<'t> {
    /// Replaces the SQL of the document by the SQL that was applied. Where the reverse block is not
    /// stored, that of the document remains.
    pub(crate) fn new(
        changelog: &Changelog<'t>,
        last: LastMigration,
        sql: &'t AppliedSql,
        setup: &ConnectionSetup,
    ) -> rusqlite::Result<Self> {
        let mut changelog = changelog.with_sql(last.forward(), sql.scope, sql.forward.as_deref());
        if sql.reverse.is_some() {
            changelog = changelog.with_sql(last.reverse(), sql.scope, sql.reverse.as_deref());
        }
        let replay = Replay::run(&changelog, setup)?;
        Ok(Self { changelog, replay })
    }

    /// Why the SQL that is not part of the document cannot run, if so.
    pub(crate) fn stored_sql_error(&self) -> Option<String> {
        let end = self.changelog.source().text().len();
        let mut diagnostics = self.replay.all_diagnostics();
        diagnostics
            .find(|found| found.severity == Severity::Error && found.span.start > end)
            .map(|found| found.message)
    }
}

/// A migration that is undone as it was applied, and applied as it is now. The databases of one
/// scope with the same SQL share it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Redo<'r> {
    pub(crate) last: LastMigration,
    /// The document and the replay of what was applied.
    pub(crate) applied_changelog: &'r Changelog<'r>,
    pub(crate) applied_replay: &'r Replay<'r>,
    /// The document as it is now, and its replay.
    pub(crate) changelog: &'r Changelog<'r>,
    pub(crate) replay: &'r Replay<'r>,
    pub(crate) policy: DatabasePolicy,
}

impl<'r> Redo<'r> {
    fn builder(&self, changelog: &'r Changelog<'r>, replay: &'r Replay<'r>) -> JobBuilder<'r, 'r> {
        JobBuilder {
            changelog,
            replay,
            transaction_end: TransactionEnd::Commit,
            foreign_keys: self.policy.foreign_keys,
            contents: TableContents::Rows,
        }
    }

    /// The job: the reverse block as it was, then the migration as it is now.
    fn job(&self, scope: Scope) -> MigrationJob<'r> {
        let (forward, reverse) = (self.last.forward(), self.last.reverse());
        let undo = self.builder(self.applied_changelog, self.applied_replay);
        let apply = self.builder(self.changelog, self.replay);
        let steps = [undo.migration_step(scope, reverse), apply.migration_step(scope, forward)];
        let schema_before = self.applied_replay.schema_at(scope, self.last.position);
        let scripts = [
            self.applied_replay.script(scope, reverse).unwrap_or(&EMPTY_SCRIPT),
            self.replay.script(scope, forward).unwrap_or(&EMPTY_SCRIPT),
        ];
        MigrationJob {
            expected_changes: changes_of_scripts(&schema_before, schema_before.clone(), &scripts),
            schema_before,
            foreign_keys: self.policy.foreign_keys,
            ..MigrationJob::new(scope, steps.into_iter().flatten().collect())
        }
    }

    fn path(&self) -> MigrationPath {
        let VersionPair { from, to } = self.last.versions(self.changelog);
        MigrationPath {
            start: PathStart::Existing,
            from: to.clone(),
            to: to.clone(),
            steps: vec![(to.clone(), from.clone()), (from, to)],
        }
    }

    /// Stores the SQL of the migration as it is now in the system database, which is not redone.
    pub(crate) fn store_sources(
        &self,
        system_database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> Result<(), MigrateError> {
        let step = self.builder(self.changelog, self.replay).source_step(self.last.forward());
        let job = MigrationJob::new(Scope::System, vec![step]);
        let mut database = system_database.open(options)?;
        retry_after_change(|| {
            let state = database.history_state()?;
            database.apply(&job, &state)?;
            Ok(())
        })
    }

    /// Undoes and applies the migration on one database.
    pub(crate) fn run(&self, target: &TargetDatabase, options: &ConnectOptions) -> Outcome {
        let version = self.last.versions(self.changelog).to;
        let opened = target.open(options);
        match opened.and_then(|mut database| self.try_run(target.scope, &mut *database)) {
            Ok(run) => Outcome::Redone(run),
            Err(error) => Outcome::from_error(Some(version), error),
        }
    }

    fn try_run(
        &self,
        scope: Scope,
        database: &mut dyn Database,
    ) -> Result<AppliedRun, MigrateError> {
        let document = StatusDocument {
            changelog: self.applied_changelog,
            detector: None,
            ahead: AheadPolicy::Refuse,
        };
        let job = self.job(scope);
        retry_after_change(|| {
            let state = database.history_state()?;
            let position = locate_database(document, scope, &state, &*database)?;
            if position != ChainPosition::AtVersion(self.last.position) {
                return Err(DatabaseError::ConcurrentChange.into());
            }
            let result = database.apply(&job, &state).map_err(|error| self.locate_error(error))?;
            Ok(AppliedRun {
                path: Arc::new(self.path()),
                notes: result.notes,
                rows_changed: result.rows_changed,
                duration: result.duration,
            })
        })
    }

    /// An error of the stored reverse block has no position in the document.
    fn locate_error(&self, error: DatabaseError) -> MigrateError {
        let end = self.changelog.source().text().len();
        match error.span() {
            Some(span) if span.start > end => {
                let versions = self.last.versions(self.changelog).reversed();
                MigrateError::StoredReverse {
                    versions: versions.to_string(),
                    error: Box::new(error),
                }
            }
            _ => error.into(),
        }
    }
}
