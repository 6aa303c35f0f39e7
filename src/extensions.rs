//! Names what an application adds to SQLite on its own connections, so that tatmig's connections
//! get the same: functions, collations and extension libraries. A value of this module changes
//! nothing by itself; `src/database/connection.rs` applies it to each connection that tatmig opens.

use std::fmt;
use std::sync::Arc;

use rusqlite::Connection;

/// Adds something to a connection that was just opened.
type ConnectionHook = dyn Fn(&Connection) -> rusqlite::Result<()> + Send + Sync;

/// What an application adds to SQLite on its own connections. A copy shares the contents.
#[derive(Clone, Default)]
pub struct Extensions(Arc<Additions>);

#[derive(Clone, Default)]
struct Additions {
    hooks: Vec<Arc<ConnectionHook>>,
}

impl Extensions {
    /// No additions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls `hook` with every connection that tatmig opens, before tatmig's security settings are
    /// applied and before any statement runs: it may load an extension or register functions,
    /// collations and virtual tables. If the hook fails, the connection is not used.
    #[must_use]
    pub fn with_connection_hook(
        mut self,
        hook: impl Fn(&Connection) -> rusqlite::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.0).hooks.push(Arc::new(hook));
        self
    }

    /// Calls every hook with a connection.
    pub(crate) fn call_hooks(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.0.hooks.iter().try_for_each(|hook| hook(connection))
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Extensions").field("hooks", &self.0.hooks.len()).finish()
    }
}
