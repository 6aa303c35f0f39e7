//! Plans and runs `redo`: the last migration of the selected databases is undone as it was applied,
//! and applied as the document has it now.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use crate::database::error::DatabaseError;
use crate::database::policy::DatabasePolicy;
use crate::document::changelog::Changelog;
use crate::document::tag::{Scope, VersionPoint};
use crate::fleet::discover::Fleet;
use crate::fleet::redo_candidates::{
    RedoCandidates, RedoError, RedoRequest, Role, no_history, read_error,
};
use crate::fleet::run::{FleetOutcome, RunOptions};
use crate::migrate::migrator::Migrator;
use crate::migrate::redo::{AppliedDocument, Redo};
use crate::migrate::replay::Replay;
use crate::migrate::undo::Undo;
use crate::plan::outcome::Outcome;
use crate::target::TargetDatabase;
use crate::text::list_names;

/// One step of a redo in one scope, with the databases that it runs on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedoStep<'p> {
    /// The kind of database.
    pub scope: Scope,
    /// The version before the step.
    pub from: VersionPoint,
    /// The version after the step.
    pub to: VersionPoint,
    /// The SQL; `None` if the step has no block for the scope.
    pub sql: Option<&'p str>,
    /// The byte offset of the block's start tag in the document; `None` for a reverse block that the
    /// system database stores.
    pub offset: Option<usize>,
    /// The names of the databases.
    pub databases: Vec<String>,
}

/// A planned redo.
#[derive(Debug)]
pub struct RedoPlan<'p> {
    candidates: &'p RedoCandidates,
    changelog: &'p Changelog<'p>,
    replay: &'p Replay<'p>,
    policy: DatabasePolicy,
    /// The document as it was applied, for each text in [`RedoCandidates::applied`].
    applied: Vec<AppliedDocument<'p>>,
}

impl<'p> RedoPlan<'p> {
    /// Runs the SQL that was applied in memory, and checks that every reverse block leads back.
    ///
    /// # Errors
    ///
    /// `CannotUndo` with every reason why the migration cannot be undone.
    pub fn new(
        candidates: &'p RedoCandidates,
        request: &RedoRequest<'_, 'p, 'p>,
    ) -> Result<Self, RedoError> {
        let RedoRequest { changelog, replay, policy, .. } = *request;
        let setup = &request.options.connect_options.setup;
        let mut reasons = Vec::new();
        let mut applied = Vec::new();
        for (index, sql) in candidates.applied.iter().enumerate() {
            let document = AppliedDocument::new(changelog, candidates.last, sql, setup)
                .map_err(|error| RedoError::Stored(DatabaseError::from(error).into()))?;
            let undo = Undo {
                last: candidates.last,
                scope: sql.scope,
                changelog,
                replay,
                applied: Some((sql, &document)),
            };
            let redone = candidates.redone().filter(|(_, applied)| *applied == Some(index));
            let names: Vec<String> = redone.map(|(database, _)| database.display_name()).collect();
            if let Some(problem) = undo.problem() {
                reasons.push(format!("{}: {problem}", list_names(&names)));
            }
            applied.push(document);
        }
        if !candidates.is_edited() {
            let redone = candidates.redone();
            let scopes: BTreeSet<Scope> = redone.map(|(database, _)| database.scope).collect();
            for scope in scopes {
                let last = candidates.last;
                let undo = Undo { last, scope, changelog, replay, applied: None };
                reasons.extend(undo.problem());
            }
        }
        if reasons.is_empty() {
            Ok(Self { candidates, changelog, replay, policy, applied })
        } else {
            Err(RedoError::CannotUndo { reasons })
        }
    }

    /// Whether the edit leaves the schema of some database as it is, so that `adopt` accepts the edit
    /// without running anything. Names these databases.
    #[must_use]
    pub fn names_with_same_schema(&self) -> Vec<String> {
        let last = self.candidates.last.position;
        let redone = self.candidates.redone();
        redone
            .filter(|(database, index)| {
                index.is_some_and(|index| {
                    let applied = self.applied[index].replay.schema_at(database.scope, last);
                    applied == self.replay.schema_at(database.scope, last)
                })
            })
            .map(|(database, _)| database.display_name())
            .collect()
    }

    /// The steps in the order in which they run, each with its databases.
    #[must_use]
    pub fn steps(&self) -> Vec<RedoStep<'_>> {
        let mut groups: BTreeMap<(Scope, Option<usize>), Vec<String>> = BTreeMap::new();
        for (database, index) in self.candidates.redone() {
            groups.entry((database.scope, index)).or_default().push(database.display_name());
        }
        let end = self.changelog.source().text().len();
        let last = self.candidates.last;
        let mut steps = Vec::new();
        for ((scope, index), databases) in groups {
            let undone = index.map_or(self.changelog, |index| &self.applied[index].changelog);
            for (changelog, id) in [(undone, last.reverse()), (self.changelog, last.forward())] {
                let Some((from, to)) = changelog.endpoints(id) else { continue };
                let block = changelog.step(id).and_then(|step| step.block(scope));
                let offset = block.map(|block| block.tag_span.start).filter(|at| *at < end);
                let sql = block.map(|block| block.sql.text());
                steps.push(RedoStep { scope, from, to, sql, offset, databases: databases.clone() });
            }
        }
        steps
    }

    /// Stores the SQL of the migration as it is now in the system database, unless it is redone
    /// itself and so stores the SQL. Without it, the next edit of the migration could not be undone.
    ///
    /// # Errors
    ///
    /// The system database cannot be found or changed. No database was redone.
    pub fn store_sources(&self, request: &RedoRequest<'_, '_, '_>) -> Result<(), RedoError> {
        let mut redone = self.candidates.redone().peekable();
        let is_stored = |database: &TargetDatabase| database.scope == Scope::System;
        if redone.peek().is_none() || redone.any(|(database, _)| is_stored(database)) {
            return Ok(());
        }
        let Some(system_database) = request.system_database()? else { return Ok(()) };
        let options = &request.options.connect_options;
        self.redo(None).store_sources(&system_database, options).map_err(RedoError::NotStored)
    }

    /// Redoes the migration on the system database, then on the users. A failed system database
    /// skips the users. `fleet` has the databases of the candidates, of which some may be skipped
    /// by now. `on_done` is called after each database.
    pub fn run(
        &self,
        fleet: &Fleet,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let databases = self.candidates.fleet.databases().zip(&self.candidates.roles);
        let roles: BTreeMap<(Scope, &OsStr), &Role> = databases
            .map(|(database, role)| ((database.scope, database.name.as_os_str()), role))
            .collect();
        let work = |target: &TargetDatabase| match roles
            .get(&(target.scope, target.name.as_os_str()))
        {
            Some(Role::Redone(index)) => self.redo(*index).run(target, &options.connect_options),
            Some(Role::Behind(version)) => Outcome::BehindTarget { version: version.clone() },
            Some(Role::Failed) => self.failure(target, options),
            Some(Role::Skipped) => Outcome::Skipped,
            Some(Role::Current) | None => {
                Outcome::Current { version: self.candidates.last.versions(self.changelog).to }
            }
        };
        fleet.run(&work, options, on_done)
    }

    /// Reads a database that was refused once more, for its error.
    fn failure(&self, target: &TargetDatabase, options: &RunOptions) -> Outcome {
        let migrator = Migrator::new(self.changelog, self.replay, self.changelog.head_index());
        let status = migrator.status(target, &options.connect_options);
        let version = status.version.as_deref().and_then(VersionPoint::parse);
        let error = match (status.error, &status.version) {
            (Some(error), Some(_)) => error,
            (None, Some(_)) => Box::new(DatabaseError::ConcurrentChange.into()),
            (error, None) => read_error(error).unwrap_or_else(|| no_history(target.scope)),
        };
        Outcome::Failed { version, error }
    }

    fn redo(&self, index: Option<usize>) -> Redo<'_> {
        let applied = index.map(|index| &self.applied[index]);
        Redo {
            last: self.candidates.last,
            applied_changelog: applied.map_or(self.changelog, |document| &document.changelog),
            applied_replay: applied.map_or(self.replay, |document| &document.replay),
            changelog: self.changelog,
            replay: self.replay,
            policy: self.policy,
        }
    }
}
