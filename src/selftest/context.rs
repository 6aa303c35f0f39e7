//! What every part of the self-test works on: the document, its replay and one scope.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use crate::database::connection::in_memory;
use crate::database::error::DatabaseError;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::migrate::replay::Replay;

/// The document, and the scope that is tested.
#[derive(Clone, Copy)]
pub(crate) struct Document<'c, 'a> {
    pub(crate) changelog: &'c Changelog<'a>,
    pub(crate) replay: &'c Replay<'a>,
    pub(crate) scope: Scope,
    pub(crate) stop: &'c Arc<AtomicBool>,
}

impl Document<'_, '_> {
    /// A database in memory that holds nothing.
    pub(crate) fn empty(&self) -> Result<Connection, DatabaseError> {
        Ok(in_memory(self.stop)?)
    }

    pub(crate) fn copy(&self, of: &Connection) -> Result<Connection, DatabaseError> {
        let mut copy = self.empty()?;
        Backup::new(of, &mut copy)?.step(-1)?;
        Ok(copy)
    }
}
