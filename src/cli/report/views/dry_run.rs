//! Shows the SQL that a run would execute: each migration once for each scope, with the databases
//! that it would run on.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use tatmig::document::StepId;
use tatmig::fleet::{Fleet, RedoCandidates, RedoPlan, TargetDatabase};
use tatmig::migrate::{DatabaseStatus, Direction, Migrator};
use tatmig::text::list_names;
use tatmig::{Changelog, Scope, Source, VersionPoint};

use crate::cli::report::console::Console;
use crate::cli::report::digest::Digest;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::plural;
use crate::cli::report::json::{DatabaseKeys, ErrorEntry};
use crate::cli::report::state::State;
use crate::cli::report::view::View;
use crate::cli::report::views::failures::{StatementDiffs, print_failures};
use crate::cli::report::views::status_digest::{PlannedStatus, add_plans};
use crate::cli::report::views::status_entries::StatusOf;

/// The plan of `upgrade --dry-run`, `downgrade --dry-run` or `redo --dry-run`.
#[derive(Serialize)]
pub(crate) struct DryRunView<'r> {
    #[serde(skip)]
    file: &'r str,
    target: String,
    dry_run: bool,
    /// Of a redo: whether the migration was edited after some database applied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<bool>,
    migrations: Vec<PlannedMigration<'r>>,
    #[serde(skip)]
    databases: Vec<PlannedDatabase<'r>>,
    #[serde(skip)]
    summary: PlanCounts,
    /// What is printed if no migration would run.
    #[serde(skip)]
    nothing_to_run: String,
    #[serde(skip)]
    notices: &'r [String],
    #[serde(skip)]
    source: &'r Source<'r>,
    #[serde(skip)]
    statement_diffs: StatementDiffs,
}

/// One migration in one scope, with the names of the databases that would run it.
#[derive(Serialize)]
struct PlannedMigration<'r> {
    scope: Scope,
    from: VersionPoint,
    to: VersionPoint,
    /// The line of the start tag, if the migration is a section of the document.
    line: Option<usize>,
    databases: Vec<String>,
    /// The text of the block; `None` if the migration has no block for the scope.
    sql: Option<&'r str>,
}

/// One database and what the run would do with it. It is turned into a [`PlannedEntry`] as it is
/// written.
#[derive(Clone, Copy, Serialize)]
#[serde(into = "PlannedEntry<'r>")]
struct PlannedDatabase<'r> {
    database: &'r TargetDatabase,
    status: &'r DatabaseStatus,
    changelog: &'r Changelog<'r>,
}

/// The JSON object of one database.
#[derive(Serialize)]
struct PlannedEntry<'r> {
    #[serde(flatten)]
    database: DatabaseKeys,
    version: Option<&'r str>,
    steps: Vec<String>,
    outcome: State,
    error: Option<ErrorEntry<'r>>,
}

/// How many databases have each outcome.
#[derive(Clone, Copy, Serialize)]
struct PlanCounts {
    total: usize,
    planned: usize,
    current: usize,
    failed: usize,
}

impl PlannedDatabase<'_> {
    fn outcome_state(&self) -> State {
        match (&self.status.error, self.status.steps.is_empty()) {
            (Some(_), _) => State::Failed,
            (None, true) => State::Current,
            (None, false) => State::Planned,
        }
    }
}

impl<'r> From<PlannedDatabase<'r>> for PlannedEntry<'r> {
    fn from(planned: PlannedDatabase<'r>) -> Self {
        let PlannedDatabase { database, status, changelog } = planned;
        let endpoints = status.steps.iter().filter_map(|step| changelog.endpoints(*step));
        Self {
            database: DatabaseKeys::new(database),
            version: status.version.as_deref(),
            steps: endpoints.map(|(_, to)| to.to_string()).collect(),
            outcome: planned.outcome_state(),
            error: status.error.as_ref().map(|error| ErrorEntry::new(error, changelog.source())),
        }
    }
}

impl PlanCounts {
    fn new(databases: &[PlannedDatabase<'_>]) -> Self {
        let count =
            |state| databases.iter().filter(|planned| planned.outcome_state() == state).count();
        Self {
            total: databases.len(),
            planned: count(State::Planned),
            current: count(State::Current),
            failed: count(State::Failed),
        }
    }
}

impl<'r> DryRunView<'r> {
    /// Takes the statuses of the fleet's databases in their order; `None` for a database that was
    /// not read.
    pub(crate) fn new(
        migrator: &'r Migrator<'r, 'r>,
        fleet: &'r Fleet,
        statuses: &'r [Option<DatabaseStatus>],
    ) -> Self {
        let source = migrator.changelog().source();
        let mut names_by_step: BTreeMap<(Scope, StepId), Vec<String>> = BTreeMap::new();
        let mut databases = Vec::new();
        for (database, status) in fleet.databases().zip(statuses) {
            let Some(status) = status else { continue };
            for step in &status.steps {
                let names = names_by_step.entry((database.scope, *step)).or_default();
                names.push(database.display_name());
            }
            databases.push(PlannedDatabase { database, status, changelog: migrator.changelog() });
        }
        let mut steps: Vec<_> = names_by_step.into_iter().collect();
        if migrator.direction() == Direction::Down {
            // Users first, and the newest migration first.
            steps.sort_by_key(|((scope, step), _)| match step {
                StepId::Reverse(index) => (Reverse(*scope), 0, Reverse(*index)),
                _ => (Reverse(*scope), 1, Reverse(0)),
            });
        }
        let migrations = steps.into_iter().filter_map(|((scope, step), databases)| {
            PlannedMigration::new(migrator.changelog(), scope, step, databases)
        });
        Self {
            file: source.name(),
            target: migrator.target().to_string(),
            dry_run: true,
            edited: None,
            migrations: migrations.collect(),
            summary: PlanCounts::new(&databases),
            databases,
            nothing_to_run: match migrator.direction() {
                Direction::Up => format!("-- nothing is pending up to {}", migrator.target()),
                Direction::Down => format!("-- no database is above {}", migrator.target()),
            },
            notices: &fleet.notices,
            source,
            statement_diffs: StatementDiffs::new(),
        }
    }

    /// Adds the statements of migrations that were edited after they were applied.
    pub(crate) fn with_statement_diffs(self, statement_diffs: StatementDiffs) -> Self {
        Self { statement_diffs, ..self }
    }

    /// The plan of a redo.
    pub(crate) fn redo(
        changelog: &'r Changelog<'r>,
        candidates: &'r RedoCandidates,
        plan: &'r RedoPlan<'r>,
    ) -> Self {
        let source = changelog.source();
        let read = candidates.fleet.databases().zip(&candidates.statuses);
        let databases: Vec<_> = read
            .filter_map(|(database, status)| {
                Some(PlannedDatabase { database, status: status.as_ref()?, changelog })
            })
            .collect();
        let target = candidates.target(changelog);
        let migrations = plan.steps().into_iter().map(|step| PlannedMigration {
            scope: step.scope,
            from: step.from,
            to: step.to,
            line: step.offset.map(|offset| source.line_number(offset)),
            databases: step.databases,
            sql: step.sql,
        });
        Self {
            file: source.name(),
            nothing_to_run: format!("-- no database is at {target}"),
            target,
            dry_run: true,
            edited: Some(candidates.is_edited()),
            migrations: migrations.collect(),
            summary: PlanCounts::new(&databases),
            databases,
            notices: &candidates.fleet.notices,
            source,
            statement_diffs: StatementDiffs::new(),
        }
    }

    fn print_migration(&self, console: &Console, migration: &PlannedMigration<'_>) {
        let PlannedMigration { scope, from, to, databases, .. } = migration;
        let location = match (migration.line, migration.sql) {
            (Some(line), _) => format!(" ({}:{line})", self.file),
            (None, Some(_)) => " (stored when the migration was applied)".to_owned(),
            (None, None) => String::new(),
        };
        console.line(format!(
            "-- {scope} {from} → {to}{location}: {}, {}",
            plural(databases.len(), "database"),
            list_names(databases).replace('`', "")
        ));
        match migration.sql {
            Some(sql) => console.verbatim(sql.trim_end_matches(['\n', '\r'])),
            None => console.line("-- no block for this scope: recorded in the history only"),
        }
        console.line("");
    }
}

impl<'r> PlannedMigration<'r> {
    fn new(
        changelog: &'r Changelog<'_>,
        scope: Scope,
        step: StepId,
        databases: Vec<String>,
    ) -> Option<Self> {
        let (from, to) = changelog.endpoints(step)?;
        let migration = changelog.step(step);
        let block = migration.and_then(|migration| migration.block(scope));
        let tag_start = migration.map(|migration| match block {
            Some(block) => block.tag_span().start,
            None => migration.tag_span.start,
        });
        Some(Self {
            scope,
            from: from.clone(),
            to: to.clone(),
            line: tag_start.map(|offset| changelog.source().line_number(offset)),
            databases,
            sql: block.map(|block| block.sql().text()),
        })
    }
}

impl View for DryRunView<'_> {
    fn print_text(&self, console: &Console) {
        for migration in &self.migrations {
            self.print_migration(console, migration);
        }
        if self.migrations.is_empty() && self.summary.failed == 0 {
            console.line(self.nothing_to_run.as_str());
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        for notice in self.notices {
            console.note(notice);
        }
        let failures =
            self.databases.iter().filter_map(|PlannedDatabase { database, status, .. }| {
                Some((*database, status.error.as_deref()?))
            });
        print_failures(console, failures, self.source, &self.statement_diffs);
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.summary.failed > 0)
    }

    fn digest(&self, digest: &mut Digest) {
        let PlanCounts { total, planned, current, failed } = self.summary;
        digest.verdict = format!(
            "{}: {planned} to be migrated to {}, {current} need nothing, {failed} would fail; nothing was changed",
            plural(total, "database"),
            self.target
        );
        digest.target = VersionPoint::parse(&self.target);
        digest.notices.extend(self.notices.iter().cloned());
        let Some(PlannedDatabase { changelog, .. }) = self.databases.first() else { return };
        let plans = self.databases.iter().map(|planned| {
            let PlannedDatabase { database, status, changelog } = *planned;
            let listed = StatusOf { database, status, changelog };
            PlannedStatus { listed, outcome: planned.outcome_state() }
        });
        add_plans(digest, changelog, plans);
    }

    fn databases(&self) -> impl Serialize {
        &self.databases
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }
}
