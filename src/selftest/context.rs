//! Bundles what every part of the self-test works on: the document, its replay and one scope.

use std::collections::BTreeSet;

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::error::DatabaseError;
use crate::database::policy::DatabasePolicy;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::document::version_index::VersionIndex;
use crate::migrate::borrowed::BorrowedConnection;
use crate::migrate::detector::DetectionOptions;
use crate::migrate::migrator::Migrator;
use crate::migrate::replay::Replay;
use crate::plan::outcome::{MigrateError, Outcome};
use crate::plan::position::ChainPosition;
use crate::plan::target::Target;
use crate::schema::ignored::IgnoredObjects;
use crate::schema::{Object, Schema};
use crate::selftest::snapshot::{find_table, is_ordinary_table};
use crate::sql::lexer::quote_identifier;

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
    /// The setup of its connections; a cancellation ends the test.
    pub(crate) setup: &'c ConnectionSetup,
}

impl SelfTestContext<'_, '_> {
    /// Opens an empty database in memory. Its pages are small, since its tables are: a copy then
    /// costs little.
    fn empty_database(&self) -> Result<Connection, DatabaseError> {
        let connection = open_in_memory(self.setup)?;
        connection.execute_batch("PRAGMA page_size = 512")?;
        Ok(connection)
    }

    /// Copies a database into memory.
    fn copy_database(&self, source: &Connection) -> Result<Connection, DatabaseError> {
        self.check_cancelled()?;
        let mut copy = open_in_memory(self.setup)?;
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
        if self.setup.is_cancelled() {
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
        let (ignored, setup) = (IgnoredObjects::default(), self.setup.clone());
        let migrator =
            migrator.with_policy(self.policy).with_detection(DetectionOptions { ignored, setup });
        let database = BorrowedConnection::new(connection, self.setup.extensions.schema_trust())?;
        let outcome = database.with_session(|session| migrator.upgrade(self.scope, session));
        database.restore()?;
        match outcome? {
            Outcome::Skipped => Err(DatabaseError::Interrupted),
            Outcome::Failed { error: failure, .. } => Ok(Err(*failure)),
            _ => Ok(Ok(())),
        }
    }
}

/// Gives tables, named in lower case, the rows that they have in another database of the same schema.
/// Triggers do not fire.
pub(crate) fn replace_rows(
    source: &TestDatabase,
    target: &TestDatabase,
    table_names: &BTreeSet<String>,
) -> rusqlite::Result<()> {
    let connection = &target.connection;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    let result = table_names.iter().try_for_each(|name| {
        if is_ordinary_table(connection, name)?
            && let Some(object) = find_table(&target.schema, name)
        {
            replace_table_rows(&source.connection, connection, object)?;
        }
        Ok(())
    });
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
    result
}

fn replace_table_rows(
    source: &Connection,
    target: &Connection,
    object: &Object,
) -> rusqlite::Result<()> {
    let table = quote_identifier(&object.name);
    target.execute(&format!("DELETE FROM {table}"), [])?;
    let columns: Vec<String> = object
        .structure()
        .columns
        .iter()
        .filter(|column| column.hidden == 0)
        .map(|column| quote_identifier(&column.name))
        .collect();
    let names = columns.join(", ");
    let placeholders = vec!["?"; columns.len()].join(", ");
    let mut insert =
        target.prepare(&format!("INSERT INTO {table} ({names}) VALUES ({placeholders})"))?;
    let mut select = source.prepare(&format!("SELECT {names} FROM {table}"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let values: Vec<Value> =
            (0..columns.len()).map(|index| row.get(index)).collect::<rusqlite::Result<_>>()?;
        insert.execute(params_from_iter(values))?;
    }
    Ok(())
}
