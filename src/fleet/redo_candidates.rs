//! Finds the databases whose last migration a redo concerns, and the SQL that they applied.

use std::collections::BTreeMap;

use crate::database::policy::DatabasePolicy;
use crate::document::changelog::Changelog;
use crate::document::tag::{Scope, VersionPair, VersionPoint};
use crate::fleet::discover::Fleet;
use crate::fleet::error::FleetError;
use crate::fleet::no_known_version::NoKnownVersion;
use crate::fleet::run::RunOptions;
use crate::fleet::selection::{Selection, SystemSelection, UserSelection};
use crate::migrate::detector::DetectionOptions;
use crate::migrate::error::{Error, ErrorKind};
use crate::migrate::migrator::Migrator;
use crate::migrate::redo::{AppliedSql, LastMigration};
use crate::migrate::replay::Replay;
use crate::migrate::status::{DatabaseState, DatabaseStatus};
use crate::plan::error::{PlanError, adopt_command};
use crate::plan::outcome::MigrateError;
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;

/// What a redo is planned from.
#[derive(Clone, Copy, Debug)]
pub struct RedoRequest<'r, 'c, 'a> {
    /// The migrations.
    pub changelog: &'c Changelog<'a>,
    /// The replay of the changelog.
    pub replay: &'c Replay<'a>,
    /// Where the fleet is: the system database stores the SQL that was applied, whether or not it
    /// is selected.
    pub config: &'r FleetConfig,
    /// What detection leaves out.
    pub detection: &'r DetectionOptions,
    /// The policy of the migrations.
    pub policy: DatabasePolicy,
    /// How databases are read.
    pub options: &'r RunOptions,
}

/// A redo that cannot be planned. No database was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedoError {
    /// The databases cannot be found.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The stored SQL cannot be read or run in memory.
    #[error("the SQL that was applied cannot be read from the system database: {0}")]
    Stored(#[from] MigrateError),
    /// The SQL of the migration cannot be stored.
    #[error(
        "the SQL of the migration cannot be stored in the system database: {0}; no database was redone"
    )]
    NotStored(#[source] MigrateError),
    /// No selected database is at a version of the changelog.
    #[error(transparent)]
    NoKnownVersion(#[from] NoKnownVersion),
    /// The migration or the reverse block that was applied is not known, or does not undo it.
    #[error("{}", .reasons.join("\n"))]
    CannotUndo {
        /// Why, for each scope and each text of the migration that was applied.
        reasons: Vec<String>,
    },
}

impl From<RedoError> for Error {
    fn from(error: RedoError) -> Self {
        let kind = match error {
            RedoError::Fleet(error) => return error.into(),
            RedoError::Stored(error) | RedoError::NotStored(error) => return error.into(),
            RedoError::CannotUndo { .. } => ErrorKind::NoReverse,
            RedoError::NoKnownVersion(_) => ErrorKind::Argument,
        };
        Self::new(kind, error)
    }
}

/// What a redo does with one database.
#[derive(Debug)]
pub(crate) enum Role {
    /// The migration is redone. The index is that of the SQL that was applied; `None` if it is that
    /// of the document.
    Redone(Option<usize>),
    /// The migration was applied as the document has it, and other databases have it otherwise.
    Current,
    /// The database is below the version of the migration.
    Behind(VersionPoint),
    /// The database is refused.
    Failed,
    /// An interrupt came before the database was read.
    Skipped,
}

/// The selected databases, and the SQL of the last migration as they applied it.
#[derive(Debug)]
#[non_exhaustive]
pub struct RedoCandidates {
    /// The selected databases.
    pub fleet: Fleet,
    /// The status of each, in the fleet's order; its steps are those of the redo. `None` if an
    /// interrupt came first.
    pub statuses: Vec<Option<DatabaseStatus>>,
    pub(crate) roles: Vec<Role>,
    pub(crate) last: LastMigration,
    /// Each distinct SQL that was applied and is not that of the document.
    pub(crate) applied: Vec<AppliedSql>,
}

impl RedoCandidates {
    /// Reads the selected databases in `fleet` and the SQL that they applied.
    ///
    /// # Errors
    ///
    /// `NoKnownVersion`, and a system database that cannot be read.
    pub fn find(fleet: Fleet, request: &RedoRequest<'_, '_, '_>) -> Result<Self, RedoError> {
        let RedoRequest { changelog, replay, options, .. } = *request;
        let migrator = Migrator::new(changelog, replay, changelog.head_index())
            .with_detection(request.detection.clone());
        let statuses = fleet.statuses(&migrator, options, &mut || {});
        let positions =
            statuses.iter().flatten().filter_map(|status| recorded_position(changelog, status));
        let position = positions.max().ok_or_else(|| {
            let read = fleet.databases().zip(&statuses);
            NoKnownVersion::new(
                read.filter_map(|(database, status)| Some((database, status.as_ref()?))),
            )
        })?;
        let last = LastMigration { position };
        let mut candidates = Self { fleet, statuses, roles: Vec::new(), last, applied: Vec::new() };
        candidates.read_applied_sql(request)?;
        candidates.settle_roles(changelog);
        Ok(candidates)
    }

    /// Finds the role of every database, and reads the SQL that was applied where it is not that of
    /// the document.
    fn read_applied_sql(&mut self, request: &RedoRequest<'_, '_, '_>) -> Result<(), RedoError> {
        let versions = self.last.versions(request.changelog);
        let mut system_database = None;
        let mut indexes: BTreeMap<(Scope, String), usize> = BTreeMap::new();
        for (database, status) in self.fleet.databases().zip(&self.statuses) {
            let edited = status.as_ref().and_then(|status| {
                only_edit(status.error.as_deref()?, &versions)
                    .map(|checksum| (database.scope, checksum))
            });
            let Some((scope, checksum)) = edited else {
                self.roles.push(role_without_edit(request.changelog, self.last, status.as_ref()));
                continue;
            };
            let key = (scope, checksum);
            let index = match indexes.get(&key) {
                Some(index) => *index,
                None => {
                    let system = match &system_database {
                        Some(system) => system,
                        None => system_database.insert(request.system_database()?),
                    };
                    let options = &request.options.connect_options;
                    let (scope, checksum) = (key.0, &key.1);
                    let system = system.as_ref();
                    let sql = AppliedSql::read(&versions, scope, checksum, system, options)?;
                    self.applied.push(sql);
                    indexes.insert(key, self.applied.len() - 1);
                    self.applied.len() - 1
                }
            };
            self.roles.push(Role::Redone(Some(index)));
        }
        Ok(())
    }

    /// If a migration was edited, only the databases that applied it otherwise are redone. Sets the
    /// steps of every status to those of the redo.
    fn settle_roles(&mut self, changelog: &Changelog<'_>) {
        let is_edited = self.is_edited();
        let scopes = self.fleet.databases().map(|database| database.scope);
        let statuses = self.roles.iter_mut().zip(&mut self.statuses);
        for (scope, (role, status)) in scopes.zip(statuses) {
            if is_edited && matches!(role, Role::Redone(None)) {
                *role = Role::Current;
            }
            let Some(status) = status else { continue };
            status.steps.clear();
            status.pending.clear();
            match role {
                Role::Redone(_) => {
                    status.steps = vec![self.last.reverse(), self.last.forward()];
                    let version = changelog.versions()[self.last.position].clone();
                    status.pending = vec![version];
                    status.error = None;
                }
                Role::Failed if status.version.is_some() => {}
                Role::Failed => {
                    let error = read_error(status.error.take());
                    status.error = Some(error.unwrap_or_else(|| no_history(scope)));
                }
                Role::Current | Role::Behind(_) | Role::Skipped => {}
            }
        }
    }

    /// Whether some database applied the migration with other SQL than the document has now.
    #[must_use]
    pub fn is_edited(&self) -> bool {
        !self.applied.is_empty()
    }

    /// The versions of the migration, such as `1.0.0 → 1.1.0`.
    #[must_use]
    pub fn migration(&self, changelog: &Changelog<'_>) -> String {
        self.last.versions(changelog).to_string()
    }

    /// The version that the databases are at before and after the redo.
    #[must_use]
    pub fn target(&self, changelog: &Changelog<'_>) -> String {
        self.last.versions(changelog).to.to_string()
    }

    /// The names of the databases whose migration is redone.
    #[must_use]
    pub fn redone_names(&self) -> Vec<String> {
        let redone = self.redone();
        redone.map(|(database, _)| database.display_name()).collect()
    }

    /// The databases whose migration is redone, each with the index of the SQL that was applied.
    pub(crate) fn redone(&self) -> impl Iterator<Item = (&TargetDatabase, Option<usize>)> {
        self.fleet.databases().zip(&self.roles).filter_map(|(database, role)| match role {
            Role::Redone(index) => Some((database, *index)),
            _ => None,
        })
    }
}

impl RedoRequest<'_, '_, '_> {
    /// The system database, if the document has one.
    pub(crate) fn system_database(&self) -> Result<Option<TargetDatabase>, FleetError> {
        if !self.changelog.has_scope(Scope::System) {
            return Ok(None);
        }
        let selection =
            Selection { system: SystemSelection::Named, users: UserSelection::Excluded };
        let has_blocks = |scope| self.changelog.has_scope(scope);
        Ok(Fleet::discover(self.config, &selection, has_blocks)?.system)
    }
}

/// The position of a database whose history records a version of the changelog.
fn recorded_position(changelog: &Changelog<'_>, status: &DatabaseStatus) -> Option<usize> {
    let version = VersionPoint::parse(status.version.as_deref()?)?;
    let position = changelog.position(version.version()?)?;
    (position <= changelog.head_position()).then_some(position)
}

/// The checksum of the SQL that was applied, if the last migration is the only one that was edited.
fn only_edit(error: &MigrateError, last: &VersionPair) -> Option<String> {
    let MigrateError::Plan(PlanError::ChecksumMismatch { changed_migrations }) = error else {
        return None;
    };
    match changed_migrations.as_slice() {
        [only] if (&only.from, &only.to) == (&last.from, &last.to) => {
            Some(only.applied_checksum.clone())
        }
        _ => None,
    }
}

fn role_without_edit(
    changelog: &Changelog<'_>,
    last: LastMigration,
    status: Option<&DatabaseStatus>,
) -> Role {
    let Some(status) = status else { return Role::Skipped };
    let is_new = status.state == DatabaseState::New;
    match recorded_position(changelog, status) {
        _ if status.error.is_some() => Role::Failed,
        Some(position) if position == last.position => Role::Redone(None),
        Some(position) => {
            Role::Behind(VersionPoint::Version(changelog.versions()[position].clone()))
        }
        None if is_new || status.version.is_some() => Role::Behind(VersionPoint::Baseline),
        None => Role::Failed,
    }
}

/// The error of a database that cannot be read.
pub(crate) fn read_error(error: Option<Box<MigrateError>>) -> Option<Box<MigrateError>> {
    error.filter(|error| matches!(**error, MigrateError::Database(_) | MigrateError::CannotOpen(_)))
}

/// The error of a database whose version no history records.
pub(crate) fn no_history(scope: Scope) -> Box<MigrateError> {
    let reason = format!(
        "the database has no history, so its last migration is not known; run `{}` first",
        adopt_command(scope)
    );
    Box::new(MigrateError::CannotOpen(reason))
}
