//! What a libSQL server would refuse, where the fleet is to live on one.

use crate::document::diagnostic::{Diagnostic, Rule};
use crate::lint::engine::{Backend, SqliteVersion};
use crate::source::SourceSlice;
use crate::sqld::dialect;

pub(crate) fn check(statement: &SourceSlice<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if let Some((message, range)) = dialect::unsupported(statement.text()) {
        diagnostics.push(
            Diagnostic::new(Rule::ServerRefuses, statement.document_span(range), message)
                .help("a namespace that has not been through this migration cannot go through it"),
        );
    }
}

impl Backend {
    /// The oldest SQLite that reads the databases, where an application names one or not.
    pub(crate) fn oldest_sqlite(self, min_sqlite: Option<SqliteVersion>) -> Option<SqliteVersion> {
        match self {
            Self::SqliteFiles => min_sqlite,
            Self::LibsqlServer => {
                let server_version = SqliteVersion::libsql_server();
                Some(min_sqlite.map_or(server_version, |min_sqlite| min_sqlite.min(server_version)))
            }
        }
    }
}
