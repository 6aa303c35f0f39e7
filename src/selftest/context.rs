//! Bundles what every part of the self-test works on: the document, its replay and one scope.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::database::connection::open_in_memory;
use crate::database::error::DatabaseError;
use crate::database::policy::DatabasePolicy;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::borrowed::BorrowedConnection;
use crate::migrate::migrator::Migrator;
use crate::migrate::replay::Replay;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::plan::position::ChainPosition;
use crate::plan::target::Target;
use crate::schema::Schema;

/// A database in memory with its schema, as the replay describes it, and its position.
pub(crate) struct TestDatabase {
    pub(crate) connection: Connection,
    pub(crate) schema: Schema,
    pub(crate) chain_position: ChainPosition,
}

/// The document, and the scope that is tested.
#[derive(Clone, Copy)]
pub(crate) struct SelfTestContext<'c, 'a> {
    pub(crate) changelog: &'c Changelog<'a>,
    pub(crate) replay: &'c Replay<'a>,
    pub(crate) scope: Scope,
    pub(crate) policy: DatabasePolicy,
    /// Ends the test once set.
    pub(crate) cancel: &'c Arc<AtomicBool>,
}

impl SelfTestContext<'_, '_> {
    /// Opens an empty database in memory. Its pages are small, since its tables are: a copy then
    /// costs little.
    fn empty_database(&self) -> Result<Connection, DatabaseError> {
        let connection = open_in_memory(self.cancel)?;
        connection.execute_batch("PRAGMA page_size = 512")?;
        Ok(connection)
    }

    /// Copies a database into memory.
    fn copy_database(&self, source: &Connection) -> Result<Connection, DatabaseError> {
        self.check_cancelled()?;
        let mut copy = open_in_memory(self.cancel)?;
        Backup::new(source, &mut copy)?.step(-1)?;
        Ok(copy)
    }

    /// A database at no version.
    pub(crate) fn new_test_database(&self) -> Result<TestDatabase, DatabaseError> {
        Ok(TestDatabase {
            connection: self.empty_database()?,
            schema: Schema::new(),
            chain_position: ChainPosition::Empty,
        })
    }

    /// A copy that changes on its own.
    pub(crate) fn copy_test_database(
        &self,
        source: &TestDatabase,
    ) -> Result<TestDatabase, DatabaseError> {
        Ok(TestDatabase {
            connection: self.copy_database(&source.connection)?,
            schema: source.schema.clone(),
            chain_position: source.chain_position,
        })
    }

    /// Fails once the test was cancelled. SQLite checks that only in long statements.
    pub(crate) fn check_cancelled(&self) -> Result<(), DatabaseError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(DatabaseError::Interrupted);
        }
        Ok(())
    }

    /// Brings a database to a target, by the same code as any real database. The outer error ends
    /// the self-test, the inner one is a failed migration.
    pub(crate) fn migrate(
        &self,
        connection: &mut Connection,
        target: Target,
    ) -> Result<Result<(), MigrateError>, DatabaseError> {
        self.check_cancelled()?;
        let (changelog, replay) = (self.changelog, self.replay);
        let migrator = match target {
            Target::Up(position) => Migrator::new(changelog, replay, VersionIndex::new(position)),
            Target::Down(position) => {
                Migrator::new_downgrade(changelog, replay, position.map(VersionIndex::new))
            }
        };
        let migrator = migrator.with_policy(self.policy);
        let database = BorrowedConnection::new(connection)?;
        let outcome = database.with_session(|session| migrator.upgrade(self.scope, session));
        database.restore()?;
        match outcome? {
            Outcome::Skipped => Err(DatabaseError::Interrupted),
            Outcome::Failed { error: failure, .. } => Ok(Err(*failure)),
            _ => Ok(Ok(())),
        }
    }
}
