//! Runs, seeds and reads the target databases of a fleet.

use crate::database::connection::ConnectOptions;
use crate::database::history_entry::{HistoryEntry, HistoryState};
use crate::database::policy::AheadPolicy;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::migrator::Migrator;
use crate::migrate::status::{
    DatabaseStatus, StatusDocument, StatusQuery, database_status, locate_database,
};
use crate::plan::error::{ChangedMigration, PlanError};
use crate::plan::outcome::{MigrateError, Outcome};
use crate::plan::position::ChainPosition;
use crate::plan::target::Target;
use crate::sql::lexer;
use crate::sql::statements::statement_ranges;
use crate::target::TargetDatabase;

/// The statements of a migration that was edited after it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementDiff {
    /// The statements that ran and are no longer in the document.
    pub applied: Vec<String>,
    /// The statements that are in the document and did not run.
    pub current: Vec<String>,
}

impl TargetDatabase {
    /// Reads the status of this database; no byte on the disk changes. A database that cannot be
    /// read has the state [`Error`](crate::DatabaseState::Error).
    #[must_use]
    pub fn status(&self, query: StatusQuery<'_, '_>, options: &ConnectOptions) -> DatabaseStatus {
        let StatusQuery { changelog, detector, target, ahead } = query;
        let document = StatusDocument { changelog, detector, ahead };
        let target = Target::Up(changelog.clamp(target));
        self.read_status(document, target, options)
    }

    /// Whether the history of this database ends at a version, and none of its migrations was
    /// edited. Neither the schema nor a replay is needed for that. False if the database cannot be
    /// read.
    #[must_use]
    pub fn is_at(
        &self,
        changelog: &Changelog<'_>,
        target: VersionIndex,
        options: &ConnectOptions,
    ) -> bool {
        let document = StatusDocument { changelog, detector: None, ahead: AheadPolicy::Refuse };
        let target = ChainPosition::AtVersion(changelog.clamp(target));
        let is_at_target = self.read(options, |database| {
            let state = database.history_state()?;
            if state == HistoryState::Unversioned {
                return Ok(false);
            }
            match locate_database(document, self.scope, &state, database) {
                Ok(position) => Ok(position == target),
                Err(MigrateError::Database(error)) => Err(error),
                Err(_) => Ok(false),
            }
        });
        is_at_target.unwrap_or(false)
    }

    fn read_status(
        &self,
        document: StatusDocument<'_, '_, '_>,
        target: Target,
        options: &ConnectOptions,
    ) -> DatabaseStatus {
        if let Err(error) = document.check() {
            return DatabaseStatus::from_error(None, error);
        }
        self.read(options, |database| database_status(document, target, self.scope, database))
            .unwrap_or_else(|error| DatabaseStatus::from_error(None, error))
    }

    /// Reads the history of this database, oldest entry first; no byte on the disk changes.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub fn history(&self, options: &ConnectOptions) -> Result<Vec<HistoryEntry>, MigrateError> {
        self.read(options, |database| database.history())
    }
}

impl Migrator<'_, '_> {
    /// Reads the status of a target database on the way to the target version; no byte on the disk
    /// changes.
    #[must_use]
    pub fn status(
        &self,
        target_database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> DatabaseStatus {
        let scope = target_database.scope;
        let mut status = target_database.read_status(self.document(), self.run_target(), options);
        if let Some(incomplete_reverse) = self.incomplete_reverse(scope, &status.steps) {
            status.error = Some(Box::new(incomplete_reverse.error().into()));
            status.steps.clear();
            status.pending.clear();
        }
        status
    }

    /// Brings a target database to the target version.
    #[must_use]
    pub fn upgrade_database(
        &self,
        target_database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> Outcome {
        match target_database.open(options) {
            Ok(mut database) => self.upgrade(target_database.scope, &mut *database),
            Err(error) => Outcome::Failed { version: None, error: Box::new(error) },
        }
    }

    /// Runs seed blocks on a target database, in the order of their names in `names`.
    #[must_use]
    pub fn seed_database(
        &self,
        target_database: &TargetDatabase,
        names: &[String],
        options: &ConnectOptions,
    ) -> Outcome {
        let document_check = self.document().check();
        let opened = document_check.and_then(|()| target_database.open(options));
        let result = opened.and_then(|mut database| {
            let state = database.history_state()?;
            let job = self.jobs().seed_job(target_database.scope, names, &state, &self.target());
            if state == HistoryState::Empty {
                return Err(PlanError::EmptyDatabase { scope: target_database.scope }.into());
            }
            Ok(database.apply(&job, &state)?)
        });
        match result {
            Ok(job_result) => {
                Outcome::Seeded { notes: job_result.notes, duration: job_result.duration }
            }
            Err(error) => Outcome::from_error(None, error),
        }
    }

    /// Compares the statements of an edited migration with those that ran. `None` if the system
    /// database does not hold the SQL that ran.
    #[must_use]
    pub fn statement_diff(
        &self,
        changed_migration: &ChangedMigration,
        scope: Scope,
        system_database: &TargetDatabase,
        options: &ConnectOptions,
    ) -> Option<StatementDiff> {
        let stored_source = system_database
            .read(options, |database| database.stored_source(&changed_migration.applied_checksum));
        let migration = self.changelog().find(&changed_migration.from, &changed_migration.to)?;
        let current_source = migration.block(scope).map_or("", |block| block.sql().text());
        Some(diff_statements(&stored_source.ok()??, current_source))
    }
}

/// Lists the statements that only one of two texts has. Comments and white space are ignored.
fn diff_statements(applied: &str, current: &str) -> StatementDiff {
    let split_statements = |text: &str| -> Vec<String> {
        statement_ranges(text).map(|statement| lexer::normalize(&text[statement])).collect()
    };
    let (applied, current) = (split_statements(applied), split_statements(current));
    let only_in_left = |left: &[String], right: &[String]| {
        left.iter().filter(|statement| !right.contains(statement)).cloned().collect()
    };
    StatementDiff {
        applied: only_in_left(&applied, &current),
        current: only_in_left(&current, &applied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_trigger_or_string_is_shown_whole() {
        let source = |value: &str| {
            format!(
                "SELECT 1; CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u; INSERT INTO u VALUES ('a ; {value}'); END;"
            )
        };
        let difference = diff_statements(&source("b"), &source("c"));
        let trigger = |value: &str| {
            format!(
                "CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM u ; INSERT INTO u VALUES ( 'a ; {value}' ) ; END"
            )
        };
        assert_eq!(difference.applied, [trigger("b")]);
        assert_eq!(difference.current, [trigger("c")]);
    }
}
