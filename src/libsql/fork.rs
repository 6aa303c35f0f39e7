//! A copy of a namespace on its own server: a fork, made by the admin interface, checked, and closed
//! to writers so that it stays what it is.

use sha2::{Digest, Sha256};

use crate::database::Look;
use crate::database::error::DatabaseError;
use crate::database::history_entry::State;
use crate::libsql::namespace::{FINGERPRINT, Namespace};
use crate::sqld::admin::Made;
use crate::sqld::error::ServerError;
use crate::sqld::namespace_name;
use crate::sqlite::copy::Copied;

/// How many copies a namespace may have of one second.
const TRIES: u32 = 20;

impl Namespace {
    /// Copies it to a new namespace of its server, `NAME--TIME`; returns that one's name.
    pub(crate) fn fork(&self, time: &str) -> Result<(String, Copied), DatabaseError> {
        let server = &self.host.server;
        for number in 1..=TRIES {
            let again = if number == 1 { String::new() } else { format!("-{number}") };
            let name = format!("{}--{time}{again}", self.name);
            namespace_name::check(&name).map_err(|error| DatabaseError::NotADatabase {
                reason: format!("a copy cannot be named: {error}"),
            })?;
            if server.fork(&self.name, &name, &self.patience.stop)? == Made::There {
                continue;
            }
            let fork = Self::new(&self.host, &name, &self.patience);
            return match fork.finish() {
                Ok(copied) => Ok((name, copied)),
                Err(error) => {
                    let _ = fork.remove();
                    Err(error)
                }
            };
        }
        Err(DatabaseError::NotADatabase {
            reason: format!("it has {TRIES} copies of this second already"),
        })
    }

    /// A copy that was just made is whole, and from now on nobody writes to it.
    fn finish(&self) -> Result<Copied, DatabaseError> {
        if let Some(found) = self.integrity()?.into_iter().next() {
            return Err(DatabaseError::Damaged { found });
        }
        self.host.server.close_to_writes(&self.name, &self.patience.stop)?;
        self.summed()
    }

    /// What tells a copy from another: its record's end, its schema, and the rows of its tables.
    pub(crate) fn summed(&self) -> Result<Copied, DatabaseError> {
        let mut hash = Sha256::new();
        let mut put = |text: &str| {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        let version = match self.state()? {
            State::Recorded(last) => {
                put(&format!("{} {}", last.id, last.applied_at));
                Some(last.to)
            }
            State::New | State::Unversioned => None,
        };
        self.texts(FINGERPRINT)?.iter().for_each(|schema| put(schema));
        let stats = self.stats()?;
        for (table, rows) in &stats.tables {
            put(table);
            put(&rows.map_or_else(String::new, |rows| rows.to_string()));
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>();
        Ok(Copied { size: stats.file_bytes, sha256: sha256.concat(), version })
    }

    /// Removes it with all that is in it; one that is gone is no error.
    pub(crate) fn remove(&self) -> Result<(), ServerError> {
        match self.host.server.delete(&self.name, &self.patience.stop) {
            Ok(()) | Err(ServerError::NoNamespace { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes it where it is missing and an admin address is known, for `put` to write to; one that
    /// was made for nothing goes again.
    pub(crate) fn restore(
        &self,
        put: impl FnOnce() -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        let server = &self.host.server;
        let is_new =
            server.has_admin() && server.create(&self.name, &self.patience.stop)? == Made::New;
        let result = put();
        if is_new && result.is_err() && matches!(self.state(), Ok(State::New)) {
            let _ = self.remove();
        }
        result
    }
}
