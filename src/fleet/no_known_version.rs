//! Reports that no selected database is at a version from which a migration can be undone, and why.

use std::collections::BTreeMap;

use crate::document::tag::Scope;
use crate::migrate::status::{DatabaseState, DatabaseStatus};
use crate::plan::error::adopt_command;
use crate::target::TargetDatabase;
use crate::text::list_names;

/// No selected database is at a version of the document. Displayed with the reason of each database,
/// or with how to select one.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
#[non_exhaustive]
pub struct NoKnownVersion {
    /// The reasons, each with the databases that it concerns; empty if no database is selected.
    pub reasons: Vec<String>,
}

impl NoKnownVersion {
    pub(crate) fn new<'s>(
        databases: impl Iterator<Item = (&'s TargetDatabase, &'s DatabaseStatus)>,
    ) -> Self {
        let mut names_by_reason: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (database, status) in databases {
            let names = names_by_reason.entry(reason(database.scope, status)).or_default();
            names.push(database.display_name());
        }
        let reasons = names_by_reason.into_iter();
        let reasons = reasons.map(|(reason, names)| format!("{}: {reason}", list_names(&names)));
        Self { reasons: reasons.collect() }
    }

    fn text(&self) -> String {
        if self.reasons.is_empty() {
            return "no database is selected, so no migration can be undone; select user databases with `--all-users` or `--user NAME`".to_owned();
        }
        format!("no migration can be undone: {}", self.reasons.join("; "))
    }
}

fn reason(scope: Scope, status: &DatabaseStatus) -> String {
    match (status.state, &status.error) {
        (DatabaseState::New, _) => "the database is new".to_owned(),
        (_, Some(error)) => error.to_string(),
        (DatabaseState::Unversioned, None) => {
            format!("the database has no history; run `{}` first", adopt_command(scope))
        }
        _ => "the database is below the lowest version".to_owned(),
    }
}
