//! The library's front door: an application upgrades a connection of its own with a document that
//! it embeds, at log-in for instance.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthContext, Authorization};

use crate::database::connection::apply_security_settings;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob};
use crate::database::stats::Stats;
use crate::database::{Database, ReadDatabase, SessionDatabase};
use crate::document::changelog::Changelog;
use crate::document::diagnostic::{DocumentError, Severity};
use crate::document::tag::Scope;
use crate::migrate::migrator::Migrator;
use crate::migrate::replay::Replay;
use crate::migrate::status::DatabaseStatus;
use crate::plan;
use crate::plan::ChainPosition;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::sqlite::authorizer::StatementAuthorizer;
use crate::sqlite::transaction::apply;

/// Why an upgrade of an open connection did not happen. Nothing of the database was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The document fails in the replay.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The database was left as it was.
    #[error("{location}{error}")]
    Database {
        /// `MIGRATIONS.md:224:5: `, where the failure has a place in the document; else empty.
        location: String,
        /// Why.
        #[source]
        error: MigrateError,
    },
}

impl UpgradeError {
    fn new(changelog: &Changelog<'_>, error: MigrateError) -> Self {
        let location = error
            .span()
            .map(|span| format!("{}: ", changelog.source().format_position(span.start)))
            .unwrap_or_default();
        Self::Database { location, error }
    }
}

impl Changelog<'_> {
    /// Brings an open database to head, in one transaction. One that is there already costs one
    /// read.
    ///
    /// Foreign keys are off while the migrations run and checked before the commit; this and every
    /// other setting of the connection is put back, but an authorizer of the application's own is
    /// removed.
    ///
    /// ```
    /// use tatmig::{Changelog, Outcome, Scope};
    ///
    /// let changelog = Changelog::parse(
    ///     "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE notes (body TEXT);\n-- [user:baseline→1.0.0:end]\n```\n",
    /// )?;
    /// let mut connection = rusqlite::Connection::open_in_memory()?;
    /// let outcome = changelog.upgrade(&mut connection, Scope::User)?;
    /// assert!(matches!(outcome, Outcome::Upgraded(_)));
    /// connection.execute("INSERT INTO notes VALUES ('kept')", [])?;
    /// let outcome = changelog.upgrade(&mut connection, Scope::User)?;
    /// assert!(matches!(outcome, Outcome::Current { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A document that fails in the replay, a database that does not fit the document, or any
    /// failure of a migration; the database is then as it was.
    pub fn upgrade(
        &self,
        connection: &mut Connection,
        scope: Scope,
    ) -> Result<Outcome, UpgradeError> {
        let to_upgrade_error = |migrate_error: MigrateError| UpgradeError::new(self, migrate_error);
        if !connection.is_autocommit() {
            return Err(to_upgrade_error(DatabaseError::InTransaction.into()));
        }
        let state = connection.history_state().map_err(|error| to_upgrade_error(error.into()))?;
        if let (Ok(ChainPosition::AtVersion(position)), HistoryState::Versioned(entry)) =
            (plan::locate(self, &state, || Err(plan::PlanError::UnrelatedSchema)), &state)
            && position == self.head_position()
            && plan::chain_matches(self, scope, (entry, position))
        {
            let version = crate::document::tag::VersionPoint::Version(self.head().clone());
            return Ok(Outcome::Current { version });
        }
        let replay = self.checked_replay(self.head_position())?;
        let migrator = Migrator::new(self, &replay, self.head_position());
        let mut borrowed =
            BorrowedConnection::new(connection).map_err(|error| to_upgrade_error(error.into()))?;
        let outcome = migrator.upgrade(scope, &mut borrowed);
        borrowed.restore().map_err(|error| to_upgrade_error(error.into()))?;
        match outcome {
            Outcome::Failed { error: failure, .. } => Err(to_upgrade_error(*failure)),
            verdict => Ok(verdict),
        }
    }

    /// Where an open database stands, and what is pending. Nothing is written.
    ///
    /// ```
    /// # use tatmig::{Changelog, DatabaseState, Scope};
    /// # let changelog = Changelog::parse(
    /// #     "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE notes (body TEXT);\n-- [user:baseline→1.0.0:end]\n```\n",
    /// # )?;
    /// let connection = rusqlite::Connection::open_in_memory()?;
    /// let status = changelog.status(&connection, Scope::User)?;
    /// assert_eq!(status.state, DatabaseState::New);
    /// assert_eq!(status.pending[0].to_string(), "1.0.0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A database that cannot be read. One that does not fit the document is a status.
    pub fn status(
        &self,
        connection: &Connection,
        scope: Scope,
    ) -> Result<DatabaseStatus, DatabaseError> {
        // A document that fails in memory tells nothing of a database's schema.
        let replay = Replay::run(self, &Arc::default()).ok();
        let document = (self, replay.as_ref(), self.head_position());
        crate::migrate::status::database_status(document, scope, connection)
    }

    fn checked_replay(&self, target: usize) -> Result<Replay<'_>, UpgradeError> {
        let never_cancelled = Arc::new(AtomicBool::new(false));
        let replay = Replay::run(self, &never_cancelled)
            .map_err(|error| UpgradeError::new(self, DatabaseError::from(error).into()))?;
        let diagnostics: Vec<_> = replay.diagnostics(target).collect();
        if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(DocumentError::new(self.source(), diagnostics).into());
        }
        Ok(replay)
    }
}

/// A connection of the application's, with tatmig's settings for as long as it is lent.
pub(crate) struct BorrowedConnection<'c> {
    connection: &'c mut Connection,
    authorizer: StatementAuthorizer,
    saved_settings: Vec<(DbConfig, bool)>,
}

impl<'c> BorrowedConnection<'c> {
    pub(crate) fn new(connection: &'c mut Connection) -> Result<Self, DatabaseError> {
        let saved_settings = [
            DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
            DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
            DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
            DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE,
        ]
        .into_iter()
        .map(|setting| Ok((setting, connection.db_config(setting)?)))
        .collect::<rusqlite::Result<_>>()?;
        apply_security_settings(connection)?;
        let authorizer = StatementAuthorizer::install(connection)?;
        Ok(Self { connection, authorizer, saved_settings })
    }

    pub(crate) fn restore(self) -> Result<(), DatabaseError> {
        let no_authorizer: Option<fn(AuthContext<'_>) -> Authorization> = None;
        self.connection.authorizer(no_authorizer)?;
        for (setting, value) in self.saved_settings {
            self.connection.set_db_config(setting, value)?;
        }
        Ok(())
    }
}

impl SessionDatabase for BorrowedConnection<'_> {
    type Session = Connection;

    fn session(&self) -> Result<&Connection, DatabaseError> {
        Ok(self.connection)
    }

    fn read_stats(&self) -> Result<Stats, DatabaseError> {
        self.connection.read_stats()
    }
}

impl Database for BorrowedConnection<'_> {
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected_state: &HistoryState,
    ) -> Result<JobResult, DatabaseError> {
        apply(self.connection, &self.authorizer, (job, expected_state), &|| false)
    }
}
