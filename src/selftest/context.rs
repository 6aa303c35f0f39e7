//! Bundles what every part of the self-test works on: the document, its replay and one scope.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::database::connection::open_in_memory;
use crate::database::error::DatabaseError;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::migrate::replay::Replay;

/// The document, and the scope that is tested.
#[derive(Clone, Copy)]
pub(crate) struct SelfTestContext<'c, 'a> {
    pub(crate) changelog: &'c Changelog<'a>,
    pub(crate) replay: &'c Replay<'a>,
    pub(crate) scope: Scope,
    /// Ends the test once set.
    pub(crate) cancel: &'c Arc<AtomicBool>,
}

impl SelfTestContext<'_, '_> {
    /// Opens an empty database in memory.
    pub(crate) fn empty_database(&self) -> Result<Connection, DatabaseError> {
        Ok(open_in_memory(self.cancel)?)
    }

    /// Copies a database into memory.
    pub(crate) fn copy_database(&self, source: &Connection) -> Result<Connection, DatabaseError> {
        let mut copy = self.empty_database()?;
        Backup::new(source, &mut copy)?.step(-1)?;
        Ok(copy)
    }
}
