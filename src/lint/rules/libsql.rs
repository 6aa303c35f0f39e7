//! What a libSQL server would refuse, where the fleet is to live on one.

use crate::document::diagnostic::{Problem, Rule};
use crate::lint::engine::{Engine, SqliteVersion};
use crate::source::Piece;
use crate::sqld::dialect;

pub(crate) fn judge(statement: &Piece<'_>, problems: &mut Vec<Problem>) {
    if let Some((message, range)) = dialect::refused(statement.text()) {
        problems.push(
            Problem::new(Rule::ServerRefuses, statement.span(range), message)
                .help("a namespace that has not been through this migration cannot go through it"),
        );
    }
}

impl Engine {
    /// The oldest SQLite that reads the databases, where an application names one or not.
    pub(crate) fn oldest(self, minimum: Option<SqliteVersion>) -> Option<SqliteVersion> {
        match self {
            Self::SqliteFiles => minimum,
            Self::LibsqlServer => {
                let server = SqliteVersion::of_libsql_server();
                Some(minimum.map_or(server, |minimum| minimum.min(server)))
            }
        }
    }
}
