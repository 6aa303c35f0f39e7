//! Upgrades and reads a connection that an application owns, with the document that it embeds.

use std::time::Duration;

use rusqlite::Connection;
use semver::Version;

use crate::database::connection::ConnectionSetup;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::policy::AheadPolicy;
use crate::database::{ReadDatabase, SessionDatabase};
use crate::document::changelog::Changelog;
use crate::document::diagnostic::{DocumentError, Severity};
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::borrowed::{BorrowedConnection, run_interruptibly, with_lasting_interrupt};
use crate::migrate::connection_check::ensure_only_main;
use crate::migrate::detect::Detection;
use crate::migrate::detector::{DetectionOptions, Detector};
use crate::migrate::error::Error;
#[cfg(doc)]
use crate::migrate::error::ErrorKind;
use crate::migrate::migrator::Migrator;
use crate::migrate::replay::Replay;
use crate::migrate::status::{DatabaseState, StatusDocument, database_status};
use crate::plan::error::PlanError;
use crate::plan::history_check::chain_matches;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::plan::position::{ChainPosition, locate};
use crate::plan::target::Target;
use crate::source::Source;

/// What [`Changelog::upgrade`] did to a database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UpgradeReport {
    /// The version of the database before the call; `baseline` for a new database.
    pub from: VersionPoint,
    /// The version of the database now.
    pub to: VersionPoint,
    /// The versions that the database reached, one after the other. Empty if it was at head
    /// already, or if only its detected version was recorded.
    pub applied: Vec<Version>,
    /// Remarks that did not fail the upgrade, such as a column that existed already.
    pub notes: Vec<String>,
    /// The time from the lock to the commit; zero if nothing was pending.
    pub duration: Duration,
}

/// What [`Changelog::status`] read from a database.
#[derive(Debug)]
#[non_exhaustive]
pub struct StatusReport {
    /// The state of the database as one word.
    pub state: DatabaseState,
    /// The last version in the history of the database. It is text, since it may be one that this
    /// document does not have.
    pub version: Option<String>,
    /// The version whose schema the database has, if it has no history and exactly one matches.
    pub detected: Option<Version>,
    /// The versions that an upgrade would bring the database to, one after the other.
    pub pending: Vec<Version>,
    /// Why an upgrade would refuse the database.
    pub error: Option<Error>,
}

impl<'a> Changelog<'a> {
    /// Parses a document. Messages call it `MIGRATIONS.md`.
    ///
    /// The changelog borrows from the text, so it costs no copy of the SQL. Nothing runs yet: SQL
    /// that SQLite refuses is reported by [`upgrade`](Self::upgrade).
    ///
    /// # Errors
    ///
    /// The kind is [`Document`](ErrorKind::Document), and
    /// [`diagnostics`](Error::diagnostics) holds every error and warning, not only the first.
    pub fn parse(text: &'a str) -> Result<Self, Error> {
        Self::parse_named("MIGRATIONS.md", text)
    }

    /// Parses a document under the file name that messages show.
    ///
    /// ```
    /// let error = tatmig::Changelog::parse_named("notes.md", "no migrations\n").unwrap_err();
    /// assert!(error.to_string().contains("notes.md:1:1"));
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse).
    pub fn parse_named(name: &str, text: &'a str) -> Result<Self, Error> {
        Ok(Self::from_source(Source::new(name, text))?)
    }
}

impl Changelog<'_> {
    /// Upgrades an open database to head.
    ///
    /// Everything that is pending runs in one transaction, with its history entries: when the call
    /// returns, the database is at head or unchanged. A database that is at head already costs one
    /// read of its last history entry. Otherwise the document is first replayed in memory, so that
    /// SQL which cannot work fails before the database is locked. The changelog keeps the replay: an
    /// application that upgrades a database at every log-in replays the document once.
    ///
    /// ```
    /// use tatmig::{Changelog, Scope};
    ///
    /// let changelog = Changelog::parse(
    ///     "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE notes (body TEXT);\n-- [user:baseline→1.0.0:end]\n```\n",
    /// )?;
    /// let mut connection = tatmig::rusqlite::Connection::open_in_memory()?;
    /// let report = changelog.upgrade(&mut connection, Scope::User)?;
    /// assert_eq!(report.to.to_string(), "1.0.0");
    /// connection.execute("INSERT INTO notes VALUES ('kept')", [])?;
    /// let report = changelog.upgrade(&mut connection, Scope::User)?;
    /// assert!(report.applied.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # What SQLite demands of the caller
    ///
    /// - **Transactions.** SQLite has no nested transactions, and pragmas like `foreign_keys` are
    ///   silently ignored inside one. A connection inside a transaction is refused.
    /// - **Foreign keys.** With `foreign_keys` on, rebuilding a table (create, copy, drop, rename)
    ///   deletes the rows of child tables through ON DELETE CASCADE. Foreign keys are therefore off
    ///   while migrations run, and checked before the commit. The setting is restored.
    /// - **Other databases.** The call acts on `main` only. A connection with attached databases,
    ///   or with temporary objects that hide names of the document, is refused, and so is a
    ///   temporary trigger on a table whose rows a pending migration changes. All other temporary
    ///   objects stay as they are; those that a block creates are dropped after it.
    /// - **Settings.** `defensive`, `trusted_schema` and `legacy_alter_table` are set for the run
    ///   and restored, also after an error or a panic. SQLite cannot return an authorizer that was
    ///   set before, so an authorizer of the application is removed: set it again after the call.
    /// - **Locks.** The connection's own busy timeout or busy handler decides how long the call
    ///   waits for the locks of other connections. Without one, a lock fails the call at once.
    /// - **Other connections of this process.** Closing any descriptor of a database file, even
    ///   one opened with [`std::fs::File`], drops every lock that the process holds on that file.
    ///   This call opens and closes none; the application must not either.
    ///
    /// # Errors
    ///
    /// The database is unchanged after every error. The common kinds are
    /// [`Document`](ErrorKind::Document), [`Busy`](ErrorKind::Busy),
    /// [`Connection`](ErrorKind::Connection), [`Unversioned`](ErrorKind::Unversioned),
    /// [`Ahead`](ErrorKind::Ahead), [`Edited`](ErrorKind::Edited), [`Drift`](ErrorKind::Drift),
    /// [`Constraint`](ErrorKind::Constraint) and [`Statement`](ErrorKind::Statement). An upgrade
    /// that was interrupted (`sqlite3_interrupt`) is an error of the kind
    /// [`Interrupted`](ErrorKind::Interrupted), never a success.
    pub fn upgrade(
        &self,
        connection: &mut Connection,
        scope: Scope,
    ) -> Result<UpgradeReport, Error> {
        self.try_upgrade(connection, scope).map_err(|error| match error {
            EmbeddedError::Document(error) => error.into(),
            EmbeddedError::Database(error) => self.locate_error(error),
        })
    }

    /// Reads the status of an open database without writing to it.
    ///
    /// ```
    /// # use tatmig::{Changelog, DatabaseState, Scope};
    /// # let changelog = Changelog::parse(
    /// #     "```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE notes (body TEXT);\n-- [user:baseline→1.0.0:end]\n```\n",
    /// # )?;
    /// let connection = tatmig::rusqlite::Connection::open_in_memory()?;
    /// let status = changelog.status(&connection, Scope::User)?;
    /// assert_eq!(status.state, DatabaseState::New);
    /// assert_eq!(status.pending[0].to_string(), "1.0.0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # What SQLite demands of the caller
    ///
    /// - **One moment.** The call reads several times. Outside a transaction another connection can
    ///   commit in between; inside a read transaction (`BEGIN`, then a SELECT) all reads see the
    ///   same state.
    /// - **Files.** Opening a WAL database read-only can leave `-wal` and `-shm` files behind. The
    ///   connection is the caller's, so that is the caller's choice of flags.
    ///
    /// # Errors
    ///
    /// The database cannot be read, or the connection cannot be used
    /// ([`Connection`](ErrorKind::Connection)): it has attached databases, or temporary objects
    /// that hide names of the document. A status that was interrupted (`sqlite3_interrupt`) is an
    /// error of the kind [`Interrupted`](ErrorKind::Interrupted). A database that an upgrade would refuse is no error: its status
    /// holds the reason.
    pub fn status(&self, connection: &Connection, scope: Scope) -> Result<StatusReport, Error> {
        let target = Target::Up(self.head_position());
        let status = with_lasting_interrupt(connection, || {
            ensure_only_main(self, scope, connection)?;
            let replay = match connection.history_state()? {
                HistoryState::Unversioned => self.kept_replay_of(connection).map(Some),
                HistoryState::Empty | HistoryState::Versioned(_) => Ok(None),
            };
            // If the document fails in memory, the version of a database without a history is
            // unknown.
            let replay = match replay {
                Err(DatabaseError::Interrupted) => return Err(DatabaseError::Interrupted),
                replay => replay.ok().flatten(),
            };
            let options = DetectionOptions::for_changelog(self);
            let detector = replay.map(|replay| Detector::new(self, replay, options));
            let document = StatusDocument {
                changelog: self,
                detector: detector.as_ref(),
                ahead: AheadPolicy::Refuse,
            };
            database_status(document, target, scope, connection)
        });
        let status = status
            .map_err(DatabaseError::from)
            .flatten()
            .map_err(|error| self.locate_error(error.into()))?;
        let detected = match status.detection.as_deref() {
            Some(Detection::Match(index)) if status.position.is_some() => {
                Some(self.version(*index).clone())
            }
            _ => None,
        };
        Ok(StatusReport {
            state: status.state,
            version: status.version,
            detected,
            pending: status.pending,
            error: status.error.map(|error| self.locate_error(*error)),
        })
    }

    fn try_upgrade(
        &self,
        connection: &mut Connection,
        scope: Scope,
    ) -> Result<UpgradeReport, EmbeddedError> {
        if !connection.is_autocommit() {
            return Err(DatabaseError::InTransaction.into());
        }
        let state = with_lasting_interrupt(connection, || {
            ensure_only_main(self, scope, connection)?;
            connection.history_state()
        })??;
        if self.is_unchanged_at_head(scope, &state) {
            return Ok(UpgradeReport::unchanged(VersionPoint::Version(self.head().clone())));
        }
        let borrowed = BorrowedConnection::new(connection, self.extensions().schema_trust())?;
        let outcome = borrowed.with_session(|session| {
            let replay = self.checked_replay(session.session()?)?;
            let migrator = Migrator::new(self, replay, self.head_index());
            Ok::<_, EmbeddedError>(migrator.upgrade(scope, session))
        });
        borrowed.restore()?;
        match outcome?? {
            Outcome::Upgraded(run) => Ok(UpgradeReport {
                from: run.path.from.clone(),
                to: run.path.to.clone(),
                applied: run
                    .path
                    .steps
                    .iter()
                    .filter_map(|(_, to)| to.version().cloned())
                    .collect(),
                notes: run.notes,
                duration: run.duration,
            }),
            Outcome::Current { version } | Outcome::AheadOfTarget { version } => {
                Ok(UpgradeReport::unchanged(version))
            }
            Outcome::Failed { error, .. } => Err(EmbeddedError::Database(*error)),
            // A run up to head that commits has no other outcome than `Skipped`.
            Outcome::Skipped
            | Outcome::Downgraded(_)
            | Outcome::Redone(_)
            | Outcome::Rehearsed(_)
            | Outcome::Reset { .. }
            | Outcome::VersionRecorded { .. }
            | Outcome::Seeded { .. }
            | Outcome::BehindTarget { .. } => Err(DatabaseError::Interrupted.into()),
        }
    }

    /// Whether the last history entry alone proves that a database is at head and that none of its
    /// migrations was edited.
    fn is_unchanged_at_head(&self, scope: Scope, state: &HistoryState) -> bool {
        let HistoryState::Versioned(entry) = state else { return false };
        let head = self.head_position();
        locate(self, state, || Err(PlanError::UnrelatedSchema { scope }))
            == Ok(ChainPosition::AtVersion(head))
            && chain_matches(self, scope, entry, head)
    }

    /// The replay of the document, which must have no error up to head.
    fn checked_replay(&self, connection: &Connection) -> Result<&Replay<'_>, EmbeddedError> {
        let replay = self.kept_replay_of(connection)?;
        let diagnostics: Vec<_> = replay.diagnostics(self.head_index()).collect();
        if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(EmbeddedError::Document(DocumentError::new(self.source(), diagnostics)));
        }
        Ok(replay)
    }

    /// The replay, which runs once in the life of the changelog. An interrupt of the connection
    /// ends it.
    fn kept_replay_of(&self, connection: &Connection) -> Result<&Replay<'_>, DatabaseError> {
        Replay::kept(self, || {
            run_interruptibly(connection, |cancel| {
                let extensions = self.extensions().clone();
                Replay::run_owned(self, &ConnectionSetup { cancel: cancel.clone(), extensions })
            })
        })
    }

    /// The error with its line and column in the document, if it has a place there.
    fn locate_error(&self, error: MigrateError) -> Error {
        match error.span() {
            Some(span) => {
                let location = format!("{}: ", self.source().format_position(span.start));
                Error::from(error).at(location, span)
            }
            None => error.into(),
        }
    }
}

impl UpgradeReport {
    fn unchanged(version: VersionPoint) -> Self {
        Self {
            from: version.clone(),
            to: version,
            applied: Vec::new(),
            notes: Vec::new(),
            duration: Duration::ZERO,
        }
    }
}

/// Why an upgrade failed, before the place in the document is added.
enum EmbeddedError {
    Document(DocumentError),
    Database(MigrateError),
}

impl<E: Into<MigrateError>> From<E> for EmbeddedError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}
