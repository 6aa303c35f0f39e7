//! Creates the databases of `upgrade --create`: those of the named users that do not exist.

use std::ffi::OsString;

use anyhow::Context as _;
use tatmig::Changelog;
use tatmig::fleet::{
    DatabaseFile, Fleet, FleetOutcome, InitPlan, InitRequest, Location, OnFailure, RunOptions,
    Selection, SymlinkPolicy, SystemSelection, TargetDatabase, UserSelection,
};
use tatmig::migrate::{CreateOutcome, DatabaseStatus, Migrator};
use tatmig::plan::Outcome;

use crate::cli::commands::context::CommandContext;
use crate::cli::commands::run_progress::RunProgress;
use crate::cli::report::progress::Stage;

/// The users who were named with `--create`.
#[derive(Default)]
pub(crate) struct MissingUsers {
    /// The databases that do not exist; `None` without `--create`.
    plan: Option<InitPlan>,
    /// The users whose databases exist.
    pub(crate) existing: Vec<OsString>,
}

impl MissingUsers {
    /// Finds which of the named users have no database. Nothing is created.
    ///
    /// # Errors
    ///
    /// A name that no database can have, or a directory or server that makes it impossible to
    /// create one.
    pub(crate) fn find(
        context: CommandContext<'_>,
        changelog: &Changelog<'_>,
        names: &[OsString],
    ) -> anyhow::Result<Self> {
        if names.is_empty() {
            return Ok(Self::default());
        }
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        let users = UserSelection::Named(names);
        let request = InitRequest {
            config: &context.settings.fleet_config,
            selection: &Selection { system: SystemSelection::Excluded, users },
            path: None,
            journal_mode: None,
        };
        let mut plan = InitPlan::new(changelog, &request)?;
        let existing = plan.databases.extract_if(.., |database| database.location.exists());
        let existing = existing.map(|database| database.name).collect();
        Ok(Self { plan: Some(plan), existing })
    }

    /// The databases that are to be created.
    pub(crate) fn databases(&self) -> &[TargetDatabase] {
        self.plan.as_ref().map_or(&[], |plan| plan.databases.as_slice())
    }

    /// Creates the databases at the migrator's target, after the run on those that existed. Returns
    /// an outcome for each.
    pub(crate) fn create(
        &self,
        context: CommandContext<'_>,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
        run: &FleetOutcome,
    ) -> Vec<Outcome> {
        let Some(plan) = &self.plan else { return Vec::new() };
        let stops = options.on_failure == OnFailure::Stop;
        // Users depend on the system database.
        let mut is_halted = run.system.as_ref().is_some_and(Outcome::is_failure)
            || (stops && run.users.iter().any(Outcome::is_failure));
        let progress = RunProgress::start(context, Stage::Creating, &plan.databases);
        let mut create = |database: &TargetDatabase| {
            if is_halted || context.signals.received_signal().is_some() {
                return Outcome::Skipped;
            }
            let mut one = plan.clone();
            one.databases = vec![database.clone()];
            let outcome = match one.run(migrator, &options.connect_options, &mut |_, _| {}).pop() {
                Some(CreateOutcome::Attempted(outcome)) => outcome,
                // Another program has created the database meanwhile.
                _ => {
                    let fleet = Fleet { users: vec![database.clone()], ..Fleet::default() };
                    let mut outcome = fleet.upgrade(migrator, options, &mut |_, _| {});
                    outcome.users.pop().unwrap_or(Outcome::Skipped)
                }
            };
            is_halted |= stops && outcome.is_failure();
            progress.advance(database, &outcome);
            outcome
        };
        plan.databases.iter().map(&mut create).collect()
    }

    /// What a run would do with the databases: that with an empty one.
    pub(crate) fn statuses(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &RunOptions,
    ) -> anyhow::Result<Vec<Option<DatabaseStatus>>> {
        let empty = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
        let file = DatabaseFile::new(empty.path().to_owned(), SymlinkPolicy::Refuse);
        let as_empty = |database: &TargetDatabase| TargetDatabase {
            location: Location::File(file.clone()),
            ..database.clone()
        };
        let users = self.databases().iter().map(as_empty).collect();
        let fleet = Fleet { users, ..Fleet::default() };
        Ok(fleet.statuses(migrator, options, &mut || {}))
    }
}
