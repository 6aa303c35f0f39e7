//! Finds out why the last migration cannot be undone: its SQL is not known, a reverse block is
//! missing or fails, or the block does not lead back.

use crate::document::changelog::Changelog;
use crate::document::tag::{Scope, VersionPair};
use crate::migrate::redo::{AppliedDocument, AppliedSql, LastMigration};
use crate::migrate::replay::Replay;
use crate::migrate::reverse::unrestored;
use crate::plan::error::adopt_command;
use crate::plan::position::ChainPosition;
use crate::plan::steps::plan_steps;
use crate::plan::target::Target;

/// What is undone, in one scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo<'u, 't> {
    pub(crate) last: LastMigration,
    pub(crate) scope: Scope,
    /// The document as it is now, and its replay.
    pub(crate) changelog: &'u Changelog<'t>,
    pub(crate) replay: &'u Replay<'t>,
    /// The SQL that was applied, and the document with it; `None` if that is the document as it is
    /// now.
    pub(crate) applied: Option<(&'u AppliedSql, &'u AppliedDocument<'t>)>,
}

impl Undo<'_, '_> {
    /// Why the migration cannot be undone, and what to do instead.
    pub(crate) fn problem(&self) -> Option<String> {
        let problem = self.reason()?;
        let Undo { last, changelog, .. } = *self;
        let from = last.versions(changelog).from;
        let Some((_, document)) = self.applied else { return Some(problem) };
        let schema_of = |replay: &Replay<'_>| replay.schema_at(self.scope, last.position);
        let adopt = adopt_command(self.scope);
        let acceptance = if schema_of(&document.replay) == schema_of(self.replay) {
            format!(
                "the edit does not change the schema, so `{adopt}` accepts it without running anything"
            )
        } else {
            format!("if the schema already has what the edited migration creates, run `{adopt}`")
        };
        Some(format!(
            "{problem}; {acceptance}; else undo it with the document as it was applied, for example from version control: `tatmig -f OLD.md downgrade --to {from}` for these databases, then `tatmig upgrade`"
        ))
    }

    fn reason(&self) -> Option<String> {
        let Undo { last, scope, changelog, replay, applied } = *self;
        let versions = last.versions(changelog);
        let (changelog, replay) = match applied {
            Some((_, document)) => (&document.changelog, &document.replay),
            None => (changelog, replay),
        };
        if let Some((sql, document)) = applied {
            if sql.forward.is_none() {
                return Some(unknown_sql(scope, &versions, changelog));
            }
            if let Some(error) = document.stored_sql_error() {
                return Some(format!(
                    "the {scope} SQL of `{versions}` that the system database stores fails in memory: {error}"
                ));
            }
        }
        let below = Target::Down(last.position.checked_sub(1));
        let position = ChainPosition::AtVersion(last.position);
        if let Err(error) = plan_steps(changelog, scope, position, below) {
            return Some(match applied {
                Some(_) => format!(
                    "`{versions}` was applied without a {scope} reverse block, so it cannot be undone"
                ),
                None => format!("`{versions}` cannot be undone: {error}; add the reverse block"),
            });
        }
        let differences = unrestored(changelog, replay, scope, last.reverse());
        if differences.is_empty() {
            return None;
        }
        let block = match applied {
            Some((sql, _)) if sql.reverse.is_some() => "that the system database stores",
            _ => "of the document",
        };
        Some(format!(
            "the {scope} reverse block {block} does not lead from `{}` back to the schema of `{}`: {}; complete it, or allow `reverse-differs` in it",
            versions.to,
            versions.from,
            differences.join("; ")
        ))
    }
}

fn unknown_sql(scope: Scope, versions: &VersionPair, changelog: &Changelog<'_>) -> String {
    let reason = if changelog.has_scope(Scope::System) {
        "the system database does not store the SQL that was applied"
    } else {
        "the document has no system database, which would store the SQL that was applied"
    };
    format!("the {scope} block of `{versions}` was edited, and {reason}, so it cannot be undone")
}
