//! Says what to do about an error of a database.

use crate::database::assertion::list_first_rows;
use crate::database::declared;
use crate::database::error::{DatabaseError, sqlite_message};
use crate::document::tag::Scope;

impl DatabaseError {
    /// What to do about the error, if it is not part of the message.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::AlreadyMigrated { scope, version, .. } => {
                let user = match scope {
                    Scope::System => "",
                    Scope::User => " --user NAME",
                };
                Some(format!(
                    "if all changes up to {version} were made here by hand, those of rows too, record the version with `tatmig stamp {version}{user}`"
                ))
            }
            Self::AssertionFailed { .. } => {
                Some("change these rows and run the command again".to_owned())
            }
            Self::ConstraintFailed { rows, .. } => Some(format!(
                "{}; change these rows and run the command again",
                list_first_rows(rows)
            )),
            Self::SafetyRule { rule, advice, .. } => Some(format!(
                "{advice}, add `-- tatmig:allow {}` and the reason to the block",
                rule.name()
            )),
            Self::UndocumentedObject { kind, name, .. } => Some(format!(
                "drop the {kind} `{name}` in this database and create it again after the upgrade, or drop and create it in the document"
            )),
            Self::RowLoss { .. } => Some(
                "if this is intended, add `-- tatmig:allow row-loss` and the reason to the block"
                    .to_owned(),
            ),
            Self::ForeignKeyViolations { .. } => Some(
                "give these rows a parent in the migration; if they may stay without one, add `-- tatmig:allow foreign-keys` and the reason to the block"
                    .to_owned(),
            ),
            Self::CounterReset { .. } => Some(
                "carry the counter over in `sqlite_sequence`; if ids may be used again, add `-- tatmig:allow counter-reset` and the reason to the block"
                    .to_owned(),
            ),
            Self::Statement { message, .. } => declared::help(message),
            Self::Sqlite(error) => declared::help(&sqlite_message(error)),
            _ => None,
        }
    }
}
