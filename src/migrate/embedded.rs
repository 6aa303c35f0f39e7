//! The library's front door: an application upgrades a connection of its own with a document that
//! it embeds, at log-in for instance.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthContext, Authorization};

use crate::database::connection::harden;
use crate::database::error::DatabaseError;
use crate::database::history_entry::{Record, State};
use crate::database::job::{Done, Order};
use crate::database::stats::Stats;
use crate::database::{Database, Look};
use crate::document::changelog::Changelog;
use crate::document::diagnostic::{DocumentError, Severity};
use crate::document::tag::Scope;
use crate::migrate::migrator::Ready;
use crate::migrate::replay::Replay;
use crate::migrate::status::Status;
use crate::plan;
use crate::plan::Standing;
use crate::plan::outcome::{Failure, Verdict};
use crate::schema::Schema;
use crate::sqlite::authorizer::Guard;
use crate::sqlite::transaction::apply;

/// Why an upgrade of an open connection did not happen. Nothing of the database was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The document fails in the replay.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The database was left as it was.
    #[error("{place}{failure}")]
    Database {
        /// `MIGRATIONS.md:224:5: `, where the failure has a place in the document; else empty.
        place: String,
        /// Why.
        #[source]
        failure: Failure,
    },
}

impl UpgradeError {
    fn new(changelog: &Changelog<'_>, failure: Failure) -> Self {
        let place = failure
            .span()
            .map(|span| format!("{}: ", changelog.source().locate(span.start)))
            .unwrap_or_default();
        Self::Database { place, failure }
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
    /// use tatmig::{Changelog, Scope, Verdict};
    ///
    /// let changelog = Changelog::parse(
    ///     "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE notes (body TEXT);\n-- [user:baseline→1.0.0:end]\n```\n",
    /// )?;
    /// let mut connection = rusqlite::Connection::open_in_memory()?;
    /// let verdict = changelog.upgrade(&mut connection, Scope::User)?;
    /// assert!(matches!(verdict, Verdict::Upgraded(_)));
    /// connection.execute("INSERT INTO notes VALUES ('kept')", [])?;
    /// let verdict = changelog.upgrade(&mut connection, Scope::User)?;
    /// assert!(matches!(verdict, Verdict::Current { .. }));
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
    ) -> Result<Verdict, UpgradeError> {
        let failed = |failure: Failure| UpgradeError::new(self, failure);
        if !connection.is_autocommit() {
            return Err(failed(DatabaseError::InTransaction.into()));
        }
        let state = connection.state().map_err(|error| failed(error.into()))?;
        if let (Ok(Standing::At(position)), State::Recorded(record)) =
            (plan::standing(self, &state, || Err(plan::Refusal::Foreign)), &state)
            && position == self.head_position()
            && plan::is_untouched(self, scope, (record, position))
        {
            let at = crate::document::tag::Point::Version(self.head().clone());
            return Ok(Verdict::Current { at });
        }
        let replay = self.replay(self.head_position())?;
        let ready = Ready::new(self, &replay, self.head_position());
        let mut lent = Lent::new(connection).map_err(|error| failed(error.into()))?;
        let verdict = ready.upgrade(scope, &mut lent);
        lent.give_back().map_err(|error| failed(error.into()))?;
        match verdict {
            Verdict::Failed { failure, .. } => Err(failed(*failure)),
            verdict => Ok(verdict),
        }
    }

    /// Where an open database stands, and what is pending. Nothing is written.
    ///
    /// ```
    /// # use tatmig::{Changelog, Condition, Scope};
    /// # let changelog = Changelog::parse(
    /// #     "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE notes (body TEXT);\n-- [user:baseline→1.0.0:end]\n```\n",
    /// # )?;
    /// let connection = rusqlite::Connection::open_in_memory()?;
    /// let status = changelog.status(&connection, Scope::User)?;
    /// assert_eq!(status.condition, Condition::New);
    /// assert_eq!(status.pending[0].to_string(), "1.0.0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A database that cannot be read. One that does not fit the document is a status.
    pub fn status(&self, connection: &Connection, scope: Scope) -> Result<Status, DatabaseError> {
        // A document that fails in memory tells nothing of a database's schema.
        let replay = Replay::run(self, &Arc::default()).ok();
        let at = (self, replay.as_ref(), self.head_position());
        crate::migrate::status::status(at, scope, connection)
    }

    fn replay(&self, target: usize) -> Result<Replay<'_>, UpgradeError> {
        let never = Arc::new(AtomicBool::new(false));
        let replay = Replay::run(self, &never)
            .map_err(|error| UpgradeError::new(self, DatabaseError::from(error).into()))?;
        let problems: Vec<_> = replay.problems(target).collect();
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(DocumentError::new(self.source(), problems).into());
        }
        Ok(replay)
    }
}

/// A connection of the application's, with tatmig's settings for as long as it is lent.
pub(crate) struct Lent<'c> {
    connection: &'c mut Connection,
    guard: Guard,
    settings: Vec<(DbConfig, bool)>,
}

impl<'c> Lent<'c> {
    pub(crate) fn new(connection: &'c mut Connection) -> Result<Self, DatabaseError> {
        let settings = [
            DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
            DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
            DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
            DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE,
        ]
        .into_iter()
        .map(|setting| Ok((setting, connection.db_config(setting)?)))
        .collect::<rusqlite::Result<_>>()?;
        harden(connection)?;
        let guard = Guard::install(connection)?;
        Ok(Self { connection, guard, settings })
    }

    pub(crate) fn give_back(self) -> Result<(), DatabaseError> {
        let none: Option<fn(AuthContext<'_>) -> Authorization> = None;
        self.connection.authorizer(none)?;
        for (setting, value) in self.settings {
            self.connection.set_db_config(setting, value)?;
        }
        Ok(())
    }
}

impl Look for Lent<'_> {
    fn state(&self) -> Result<State, DatabaseError> {
        self.connection.state()
    }

    fn records(&self) -> Result<Vec<Record>, DatabaseError> {
        self.connection.records()
    }

    fn schema(&self) -> Result<Schema, DatabaseError> {
        self.connection.schema()
    }

    fn accepted(&self) -> Result<Vec<String>, DatabaseError> {
        self.connection.accepted()
    }

    fn kept(&self, checksum: &str) -> Result<Option<String>, DatabaseError> {
        self.connection.kept(checksum)
    }

    fn integrity(&self) -> Result<Vec<String>, DatabaseError> {
        self.connection.integrity()
    }

    fn foreign_keys(&self) -> Result<(Vec<String>, Vec<String>), DatabaseError> {
        self.connection.foreign_keys()
    }

    fn stats(&self) -> Result<Stats, DatabaseError> {
        self.connection.stats()
    }
}

impl Database for Lent<'_> {
    fn apply(&mut self, order: &Order<'_>, expected: &State) -> Result<Done, DatabaseError> {
        apply(self.connection, &self.guard, (order, expected), &|| false)
    }
}
