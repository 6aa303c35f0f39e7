//! Plans and runs downgrades of a fleet: users first, the system database last, so that the system
//! database is never at a lower version than a user's database.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::sync::atomic::AtomicBool;

use semver::Version;

use crate::database::policy::DatabasePolicy;
use crate::document::changelog::{Changelog, StepId};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::fleet::discover::Fleet;
use crate::fleet::error::FleetError;
use crate::fleet::no_known_version::NoKnownVersion;
use crate::fleet::pool::run_caught;
use crate::fleet::run::{FleetOutcome, RunOptions};
use crate::fleet::selection::Selection;
use crate::migrate::detect::Detection;
use crate::migrate::detector::DetectionOptions;
use crate::migrate::error::{Error, ErrorKind};
use crate::migrate::migrator::Migrator;
use crate::migrate::replay::Replay;
use crate::migrate::status::DatabaseStatus;
use crate::plan::error::{PlanError, TargetError};
use crate::plan::outcome::{MigrateError, Outcome};
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;
#[cfg(feature = "server")]
use crate::target::server_error::ServerSetError;
use crate::text::list_names;

/// Where a downgrade ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DowngradeTarget {
    /// Below the lowest version: every migration is undone.
    Baseline,
    /// At a version.
    Version(String),
    /// This many migrations below the highest version of the selected databases.
    Steps(usize),
}

/// What a downgrade is planned from.
#[derive(Clone, Copy, Debug)]
pub struct DowngradeRequest<'r, 'c, 'a> {
    /// The migrations.
    pub changelog: &'c Changelog<'a>,
    /// The replay of the changelog.
    pub replay: &'c Replay<'a>,
    /// Where the whole fleet is: databases that are not selected matter as well.
    pub config: &'r FleetConfig,
    /// The databases that are selected.
    pub selection: &'r Selection,
    /// Where the downgrade ends.
    pub target: &'r DowngradeTarget,
    /// What detection leaves out.
    pub detection: &'r DetectionOptions,
    /// The policy of the migrations.
    pub policy: DatabasePolicy,
    /// How databases are read.
    pub options: &'r RunOptions,
}

/// A downgrade that cannot be planned. No database was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DowngradeError {
    /// The databases cannot be found.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The target is not a version of the changelog.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A number of steps was given, and no selected database is at a version of the changelog.
    #[error(transparent)]
    NoKnownVersion(#[from] NoKnownVersion),
    /// More steps than migrations.
    #[error(
        "cannot undo {requested} migrations: databases at {version} have only {available} to undo"
    )]
    TooManySteps {
        /// The number of steps that was given.
        requested: usize,
        /// The number of steps down from `version` to the baseline.
        available: usize,
        /// The highest version of the selected databases.
        version: Version,
    },
    /// Steps without a reverse block.
    #[error(
        "{document} has no reverse {} down to {target}:{}\nno database was changed; add the reverse {}, or restore a backup (`tatmig backup list`)",
        if .missing_tags.len() == 1 { "block for a step" } else { "blocks for some steps" },
        .missing_tags.iter().map(|tag| format!("\n  -- {tag}")).collect::<Vec<_>>().concat(),
        if .missing_tags.len() == 1 { "block" } else { "blocks" }
    )]
    NoReverseBlock {
        /// The name of the document.
        document: String,
        /// Where the downgrade ends.
        target: VersionPoint,
        /// The tags of the missing blocks.
        missing_tags: Vec<String>,
    },
    /// What was skipped in the users directory may hold databases above the target.
    #[error(
        "the system database may end below user databases that were skipped: {}; correct this first, or leave the system database out with `--no-system`",
        .problems.join("; ")
    )]
    SkippedUsers {
        /// What was skipped.
        problems: Vec<String>,
    },
    /// The system database would be below users, and only the system database was selected.
    #[error("the system database would be below {0}; pass `--all-users` to downgrade them too")]
    SystemBelowUsers(UsersAboveTarget),
}

impl From<DowngradeError> for Error {
    fn from(error: DowngradeError) -> Self {
        let kind = match error {
            DowngradeError::Fleet(error) => return error.into(),
            DowngradeError::Target(error) => return error.into(),
            DowngradeError::NoReverseBlock { .. } => ErrorKind::NoReverse,
            DowngradeError::NoKnownVersion(_)
            | DowngradeError::TooManySteps { .. }
            | DowngradeError::SkippedUsers { .. }
            | DowngradeError::SystemBelowUsers(_) => ErrorKind::Argument,
        };
        Self::new(kind, error)
    }
}

/// Users that are not part of a downgrade and are, or may be, above its target. Displayed as
/// ``2 users that stay above 1.0.0 (`ann`, `bob`)``.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UsersAboveTarget {
    /// The names of the users, escaped for display.
    pub users: Vec<String>,
    /// Where the downgrade ends.
    pub target: VersionPoint,
}

impl std::fmt::Display for UsersAboveTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (noun, verb) =
            if self.users.len() == 1 { ("user", "stays") } else { ("users", "stay") };
        let (count, names) = (self.users.len(), list_names(&self.users));
        write!(f, "{count} {noun} that {verb} above {} ({names})", self.target)
    }
}

/// A planned downgrade.
#[derive(Debug)]
#[non_exhaustive]
pub struct DowngradePlan<'c, 'a> {
    /// The databases that are downgraded.
    pub fleet: Fleet,
    /// The status of each, in the fleet's order; `None` if an interrupt came first.
    pub statuses: Vec<Option<DatabaseStatus>>,
    migrator: Migrator<'c, 'a>,
    rehearsal: Migrator<'c, 'a>,
    users_above_target: Option<UsersAboveTarget>,
    /// What was skipped in the users directory.
    problems: Vec<String>,
}

impl<'c, 'a> DowngradePlan<'c, 'a> {
    /// Reads every database of the fleet and plans the downgrade of the selected ones in `fleet`.
    ///
    /// # Errors
    ///
    /// A target that does not exist, and steps without a reverse block.
    pub fn new(
        fleet: Fleet,
        request: &DowngradeRequest<'_, 'c, 'a>,
    ) -> Result<Self, DowngradeError> {
        let DowngradeRequest { changelog, replay, options, .. } = *request;
        let whole_fleet = request.whole_fleet(&fleet)?;
        let head_migrator = Migrator::new(changelog, replay, changelog.head_index())
            .with_detection(request.detection.clone());
        let current_statuses = whole_fleet.statuses(&head_migrator, options, &mut || {});
        let all: Vec<CurrentStatus<'_>> = whole_fleet
            .databases()
            .zip(&current_statuses)
            .map(|(database, status)| CurrentStatus {
                is_selected: is_selected(database, &fleet),
                database,
                status: status.as_ref(),
            })
            .collect();
        let target = request.target_version(&all)?;
        let migrator = Migrator::new_downgrade(changelog, replay, target)
            .with_policy(request.policy)
            .with_detection(request.detection.clone());
        let statuses = fleet.statuses(&migrator, options, &mut || {});
        require_reverse_blocks(&statuses, &migrator)?;
        let users: Vec<String> = all
            .iter()
            .filter(|current| current.is_user_outside(&fleet))
            .filter(|current| current.status.is_none_or(|status| is_above_target(status, target)))
            .map(|current| current.database.display_name())
            .collect();
        let users_above_target = UsersAboveTarget { users, target: migrator.target() };
        Ok(Self {
            rehearsal: migrator.rehearsal(),
            fleet,
            statuses,
            migrator,
            users_above_target: Some(users_above_target).filter(|above| !above.users.is_empty()),
            problems: whole_fleet.problems,
        })
    }

    /// The steps that some database needs.
    #[must_use]
    pub fn steps(&self) -> BTreeSet<StepId> {
        self.statuses.iter().flatten().flat_map(|status| status.steps.iter().copied()).collect()
    }

    /// The migrator that runs the downgrade.
    #[must_use]
    pub fn migrator(&self) -> &Migrator<'c, 'a> {
        &self.migrator
    }

    /// The migrator that runs and checks the downgrade, and rolls it back.
    #[must_use]
    pub fn rehearsal(&self) -> &Migrator<'c, 'a> {
        &self.rehearsal
    }

    /// Removes the system database from the plan if it would be below users that are not part of
    /// the downgrade. Returns these users if the system database was removed.
    ///
    /// # Errors
    ///
    /// `SystemBelowUsers` if the system database alone was selected: nothing would be left to do;
    /// `SkippedUsers` if it is not known which users there are.
    pub fn hold_system_back(
        &mut self,
        selection: &Selection,
    ) -> Result<Option<UsersAboveTarget>, DowngradeError> {
        let system_status = self.statuses.first().and_then(Option::as_ref);
        let system_has_steps = system_status.is_some_and(|status| !status.steps.is_empty());
        if self.fleet.system.is_none() || !system_has_steps {
            return Ok(None);
        }
        if !self.problems.is_empty() {
            return Err(DowngradeError::SkippedUsers {
                problems: std::mem::take(&mut self.problems),
            });
        }
        let Some(users_above_target) = self.users_above_target.take() else { return Ok(None) };
        if !selection.includes_users() {
            return Err(DowngradeError::SystemBelowUsers(users_above_target));
        }
        self.fleet.system = None;
        self.statuses.remove(0);
        Ok(Some(users_above_target))
    }
}

/// A database of the whole fleet with its status.
struct CurrentStatus<'f> {
    database: &'f TargetDatabase,
    /// `None` if an interrupt came first.
    status: Option<&'f DatabaseStatus>,
    /// Whether a number of steps counts from the version of this database.
    is_selected: bool,
}

impl CurrentStatus<'_> {
    /// Whether this is a user's database that is not part of a fleet.
    fn is_user_outside(&self, fleet: &Fleet) -> bool {
        self.database.scope == Scope::User && !has_user(fleet, &self.database.name)
    }
}

fn has_user(fleet: &Fleet, name: &OsStr) -> bool {
    fleet.users.iter().any(|user| user.name == name)
}

/// Whether a number of steps counts from the version of a database.
fn is_selected(database: &TargetDatabase, fleet: &Fleet) -> bool {
    match database.scope {
        Scope::System => fleet.system.is_some(),
        Scope::User => has_user(fleet, &database.name),
    }
}

impl DowngradeRequest<'_, '_, '_> {
    /// The selected databases, and every user if the system database is selected: it must not be
    /// below users that are not selected, or that belong to another shard.
    fn whole_fleet(&self, selected: &Fleet) -> Result<Fleet, FleetError> {
        if selected.system.is_none() || !self.changelog.has_scope(Scope::User) {
            return Ok(selected.clone());
        }
        let config = FleetConfig { shard: None, ..self.config.clone() };
        let has_blocks = |scope| self.changelog.has_scope(scope);
        match Fleet::discover(&config, &Selection::everything(), has_blocks) {
            // The list of the users is read, and empty.
            #[cfg(feature = "server")]
            Err(FleetError::ServerSet(ServerSetError::NoUsers { .. })) => Ok(selected.clone()),
            found => found,
        }
    }

    /// The target version; `None` for the baseline.
    fn target_version(
        &self,
        current_statuses: &[CurrentStatus<'_>],
    ) -> Result<Option<VersionIndex>, DowngradeError> {
        let requested = match self.target {
            DowngradeTarget::Baseline => return Ok(None),
            DowngradeTarget::Version(version) => {
                return Ok(Some(self.changelog.target_index(Some(version))?));
            }
            DowngradeTarget::Steps(steps) => *steps,
        };
        let selected = current_statuses.iter().filter(|current| current.is_selected);
        let selected = selected.filter_map(|current| Some((current.database, current.status?)));
        let highest = selected.clone().filter_map(|(_, status)| status.position).max();
        let highest = highest.ok_or_else(|| NoKnownVersion::new(selected))?;
        let available = self.changelog.clamp(highest) + 1;
        match available.checked_sub(requested) {
            Some(remaining) => Ok(remaining.checked_sub(1).map(VersionIndex::new)),
            None => {
                let version = self.changelog.version(highest).clone();
                Err(DowngradeError::TooManySteps { requested, available, version })
            }
        }
    }
}

/// Fails with all missing reverse blocks if some database needs one.
fn require_reverse_blocks(
    statuses: &[Option<DatabaseStatus>],
    migrator: &Migrator<'_, '_>,
) -> Result<(), DowngradeError> {
    let mut missing_tags: Vec<String> = Vec::new();
    for status in statuses.iter().flatten() {
        if let Some(MigrateError::Plan(PlanError::NoReverse { missing_tags: tags })) =
            status.error.as_deref()
        {
            for tag in tags {
                if !missing_tags.contains(tag) {
                    missing_tags.push(tag.clone());
                }
            }
        }
    }
    if missing_tags.is_empty() {
        return Ok(());
    }
    let document = migrator.changelog().source().name().to_owned();
    Err(DowngradeError::NoReverseBlock { document, target: migrator.target(), missing_tags })
}

/// Whether a user that is not part of the downgrade is, or may be, above its target.
fn is_above_target(status: &DatabaseStatus, target: Option<VersionIndex>) -> bool {
    match (status.position, &status.error) {
        (Some(position), _) => target.is_none_or(|target| position > target),
        // A database of another program has no version that could be above the target.
        (None, Some(_)) => !matches!(status.detection.as_deref(), Some(Detection::Unrelated)),
        (None, None) => false,
    }
}

impl Fleet {
    /// Downgrades the users to the migrator's target, then the system database. `on_done` is
    /// called after each database.
    ///
    /// The system database's downgrade is rehearsed first, and no user is changed if the rehearsal
    /// fails. The system database is skipped unless every user reached the target, so that it is
    /// never below a user.
    pub fn downgrade(
        &self,
        migrator: &Migrator<'_, '_>,
        rehearsal: &Migrator<'_, '_>,
        options: &RunOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &Outcome),
    ) -> FleetOutcome {
        let connect_options = &options.connect_options;
        let work = |target: &TargetDatabase| migrator.upgrade_database(target, connect_options);
        let rehearse = |target| run_caught(|| rehearsal.upgrade_database(target, connect_options));
        let rehearsal_outcome = self.system.as_ref().map(rehearse);
        if let Some(outcome) = rehearsal_outcome.filter(Outcome::is_failure) {
            let users = self.users.iter().map(|_| Outcome::Skipped).collect();
            return FleetOutcome { system: Some(outcome), users };
        }
        let users = self.run_users(&work, options, &AtomicBool::new(false), on_done);
        let is_not_downgraded =
            |outcome: &Outcome| outcome.is_failure() || matches!(outcome, Outcome::Skipped);
        let is_system_blocked =
            users.iter().any(is_not_downgraded) || connect_options.is_cancelled();
        let system = self.system.as_ref().map(|target| {
            let outcome =
                if is_system_blocked { Outcome::Skipped } else { run_caught(|| work(target)) };
            on_done(target, &outcome);
            outcome
        });
        let fleet_outcome = FleetOutcome { system, users };
        fleet_outcome.sync_directories(self);
        fleet_outcome
    }
}
