//! Backs up a namespace on its own server: forks it through the admin interface, checks the copy,
//! and makes the copy read-only.

use sha2::{Digest, Sha256};

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::libsql::namespace::{Namespace, SCHEMA_FINGERPRINT_QUERY};
use crate::sqld::admin::CreateResult;
use crate::sqld::error::ServerError;
use crate::sqld::namespace_name;
use crate::sqlite::copy::CopyInfo;

/// How many copies of a namespace may have names with the same second.
const MAX_COPIES_PER_SECOND: u32 = 20;

/// A copy of a namespace on the same server.
pub(crate) struct NamespaceFork {
    pub(crate) name: String,
    pub(crate) info: CopyInfo,
}

impl Namespace {
    /// Copies this namespace to a new namespace `NAME--TIME` on the same server.
    pub(crate) fn fork(&self, time: &str) -> Result<NamespaceFork, DatabaseError> {
        let server = &self.handle.server;
        for number in 1..=MAX_COPIES_PER_SECOND {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let name = format!("{}--{time}{suffix}", self.name);
            namespace_name::validate(&name).map_err(|error| DatabaseError::NotADatabase {
                reason: format!("cannot name a copy of it: {error}"),
            })?;
            if server.fork(&self.name, &name, &self.options.setup.cancel)?
                == CreateResult::AlreadyExists
            {
                continue;
            }
            let fork = Self::new(&self.handle, &name, &self.options);
            return match fork.check_and_block_writes() {
                Ok(info) => Ok(NamespaceFork { name, info }),
                Err(error) => {
                    let _ = fork.remove_despite_interrupt();
                    Err(error)
                }
            };
        }
        Err(DatabaseError::NotADatabase {
            reason: format!("it already has {MAX_COPIES_PER_SECOND} copies of this second"),
        })
    }

    /// Checks a new copy and makes it read-only.
    fn check_and_block_writes(&self) -> Result<CopyInfo, DatabaseError> {
        if let Some(check_result) = self.check_integrity()?.damage.into_iter().next() {
            return Err(DatabaseError::Corrupt { check_result });
        }
        self.handle.server.block_writes(&self.name, &self.options.setup.cancel)?;
        self.fingerprint()
    }

    /// Computes a checksum of the last history entry, the schema, and the number of rows of each
    /// table.
    pub(crate) fn fingerprint(&self) -> Result<CopyInfo, DatabaseError> {
        let mut hasher = Sha256::new();
        let mut add_text = |text: &str| {
            hasher.update(text.len().to_le_bytes());
            hasher.update(text);
        };
        let version = match self.history_state()? {
            HistoryState::Versioned(last_entry) => {
                add_text(&format!("{} {}", last_entry.id, last_entry.applied_at));
                Some(last_entry.to)
            }
            HistoryState::Empty | HistoryState::Unversioned => None,
        };
        self.query_texts(SCHEMA_FINGERPRINT_QUERY)?.iter().for_each(|schema| add_text(schema));
        let stats = self.stats()?;
        for (table, rows) in &stats.tables {
            add_text(table);
            add_text(&rows.map_or_else(String::new, |rows| rows.to_string()));
        }
        let sha256 = hex::encode(hasher.finalize());
        Ok(CopyInfo { size: stats.file_bytes, sha256, version })
    }

    /// Deletes this namespace. Succeeds if it does not exist.
    pub(crate) fn remove(&self) -> Result<(), ServerError> {
        match self.handle.server.delete(&self.name, &self.options.setup.cancel) {
            Ok(()) | Err(ServerError::NoNamespace { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes this namespace, also after an interrupt, which ends every other request at once.
    fn remove_despite_interrupt(&self) -> Result<(), ServerError> {
        let options =
            ConnectOptions { setup: self.options.setup.uncancelled(), ..self.options.clone() };
        Self::new(&self.handle, &self.name, &options).remove()
    }

    /// Creates this namespace if it is missing and the admin interface is configured, and then runs
    /// `write`. If `write` fails and leaves a new namespace empty, deletes that namespace.
    pub(crate) fn create_if_missing(
        &self,
        write: impl FnOnce() -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let server = &self.handle.server;
        let is_new = server.has_admin()
            && server.create(&self.name, &self.options.setup.cancel)? == CreateResult::Created;
        let result = write();
        let may_be_committed = matches!(result, Ok(()) | Err(DatabaseError::OutcomeUnknown { .. }));
        if is_new && !may_be_committed && matches!(self.history_state(), Ok(HistoryState::Empty)) {
            let _ = self.remove();
        }
        result
    }
}
