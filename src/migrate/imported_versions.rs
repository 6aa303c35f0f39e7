//! Finds the versions of the document that the migrations of other tools became, and what the version
//! table of such a tool says about the version of a database. Pure: the table is read by `database`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use crate::database::version_table_rows::Record;
use crate::database::version_tables::VersionTable;
use crate::document::changelog::Changelog;
use crate::document::imported::{MigrationTool, flyway_version_parts, normalize_key};
use crate::document::tag::{Scope, VersionPoint};
use crate::text::list_names;

/// A migration of another tool.
#[derive(Clone, Debug)]
struct ImportedMigration {
    /// As the document writes it.
    key: String,
    /// The position of the version that it leads to.
    position: usize,
    /// Whether the tool runs it again whenever it changes, so that it may be recorded before others.
    is_repeatable: bool,
}

/// The migrations of one tool that the document imported for one scope, by position.
#[derive(Clone, Debug, Default)]
struct ImportedMigrations {
    migrations: Vec<ImportedMigration>,
    by_key: HashMap<String, usize>,
}

/// The migrations of other tools that the document imported for one scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct ImportedVersions {
    by_tool: BTreeMap<MigrationTool, ImportedMigrations>,
}

impl ImportedVersions {
    pub(crate) fn new(changelog: &Changelog<'_>, scope: Scope) -> Self {
        let baselines = changelog.baselines().iter().enumerate();
        let baselines = baselines
            .filter_map(|(index, baseline)| Some((changelog.baseline_position(index)?, baseline)));
        let chain = changelog.chain().iter().enumerate();
        let chain = chain.map(|(index, migration)| (index + 1, migration));
        let mut placed: Vec<_> = baselines.chain(chain).collect();
        placed.sort_by_key(|(position, _)| *position);
        let mut by_tool: BTreeMap<MigrationTool, ImportedMigrations> = BTreeMap::new();
        for (position, migration) in placed {
            // Databases of the other scope have version tables of their own.
            let Some(block) = migration.block(scope) else { continue };
            for imported_from in block.imported() {
                let tool = imported_from.tool;
                let is_repeatable = tool == MigrationTool::Flyway
                    && flyway_version_parts(&imported_from.key).is_none();
                let imported = by_tool.entry(tool).or_default();
                imported.by_key.insert(imported_from.normalized_key(), imported.migrations.len());
                let key = imported_from.key.clone();
                imported.migrations.push(ImportedMigration { key, position, is_repeatable });
            }
        }
        Self { by_tool }
    }

    /// The tools from which the document imported migrations.
    pub(crate) fn tools(&self) -> BTreeSet<MigrationTool> {
        self.by_tool.keys().copied().collect()
    }
}

/// What the version table of another tool says about the version of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionTableReport {
    /// The tool.
    pub tool: MigrationTool,
    /// The name of the table.
    pub table: String,
    /// What the table records, in words: `5 migrations`, `version 5`.
    pub records: String,
    /// The version of the last migration that it records; `baseline` if it records none.
    pub version: VersionPoint,
    /// Why the table cannot decide, each as a sentence.
    pub problems: Vec<String>,
    /// Migrations in the table that are of no account, each as a sentence.
    pub notes: Vec<String>,
    /// The position of `version`, below which the database cannot be.
    pub(crate) start: Option<usize>,
    /// The position before the first migration that is not recorded, above which it cannot be.
    pub(crate) end: Option<usize>,
}

impl VersionTableReport {
    /// Holds a version table against the document.
    pub(crate) fn new(
        changelog: &Changelog<'_>,
        imported_versions: &ImportedVersions,
        table: &VersionTable,
    ) -> Self {
        let none = ImportedMigrations::default();
        let imported = imported_versions.by_tool.get(&table.tool).unwrap_or(&none);
        let comparison = Comparison::new(imported, table);
        let last = comparison.applied.last().copied();
        let start = last.map(|index| imported.migrations[index].position);
        let ordered = imported.migrations.iter().filter(|migration| !migration.is_repeatable);
        let next = ordered.map(|migration| Some(migration.position));
        let end = match next.filter(|position| *position > start).min().flatten() {
            Some(position) => position.checked_sub(1),
            None => changelog.versions().len().checked_sub(1),
        };
        let mut report = Self {
            tool: table.tool,
            table: table.name.clone(),
            records: comparison.describe_records(),
            version: version_at(changelog, start),
            problems: table.records.problems.clone(),
            notes: Vec::new(),
            start,
            end,
        };
        report.problems.extend(comparison.unknown_problem(changelog.source().name()));
        report.problems.extend(comparison.gap_problem(changelog));
        if let Some(index) = last.filter(|_| start > Some(changelog.head_position())) {
            report.problems.push(format!(
                "records `{}`, and its version {} is only planned",
                imported.migrations[index].key, report.version
            ));
        }
        report.notes.extend(comparison.ignored_note());
        let name = &report.table;
        let begin_with_name = |text: &mut String| *text = format!("`{name}` {text}");
        report.problems.iter_mut().chain(&mut report.notes).for_each(begin_with_name);
        report
    }

    /// ``` `goose_db_version` records 5 migrations```
    pub(crate) fn statement(&self) -> String {
        format!("`{}` records {}", self.table, self.records)
    }
}

pub(crate) fn version_at(changelog: &Changelog<'_>, position: Option<usize>) -> VersionPoint {
    let version = position.and_then(|position| changelog.versions().get(position));
    version.map_or(VersionPoint::Baseline, |version| VersionPoint::Version(version.clone()))
}

/// A version table next to the migrations that the document imported from its tool.
struct Comparison<'t> {
    imported: &'t ImportedMigrations,
    table: &'t VersionTable,
    /// The indexes of the imported migrations that are applied.
    applied: BTreeSet<usize>,
    /// Keys in the table that the document does not have.
    unknown: Vec<&'t str>,
    /// Migrations in the table that the document cannot have: of other Django apps, and repeatable
    /// ones.
    ignored: Vec<&'t str>,
}

impl<'t> Comparison<'t> {
    fn new(imported: &'t ImportedMigrations, table: &'t VersionTable) -> Self {
        let mut comparison = Self {
            imported,
            table,
            applied: BTreeSet::new(),
            unknown: Vec::new(),
            ignored: Vec::new(),
        };
        let records = &table.records;
        let mut repeated = BTreeSet::new();
        for record in &records.applied {
            match comparison.find(record) {
                Some(index) if imported.migrations[index].is_repeatable => {
                    repeated.insert(index);
                }
                Some(index) => {
                    comparison.applied.insert(index);
                }
                None if comparison.is_foreign(record) => comparison.ignored.push(&record.key),
                None => comparison.unknown.push(&record.key),
            }
        }
        for record in &records.applied_up_to {
            match comparison.find(record) {
                Some(index) => comparison.applied.extend(0..=index),
                None => comparison.unknown.push(&record.key),
            }
        }
        let baseline = records.baseline.as_deref().and_then(flyway_version_parts);
        for (index, migration) in imported.migrations.iter().enumerate() {
            let version = flyway_version_parts(&migration.key);
            if baseline.is_some() && version.is_some() && version <= baseline {
                comparison.applied.insert(index);
            }
        }
        // It counts once everything that the document has before it is applied.
        for index in repeated {
            if (0..index).all(|before| comparison.applied.contains(&before)) {
                comparison.applied.insert(index);
            }
        }
        comparison
    }

    fn find(&self, record: &Record) -> Option<usize> {
        let keys = std::iter::once(&record.key).chain(&record.other_keys);
        let mut indexes =
            keys.filter_map(|key| self.imported.by_key.get(&normalize_key(self.table.tool, key)));
        indexes.next().copied()
    }

    /// Whether the document cannot be expected to have a migration.
    fn is_foreign(&self, record: &Record) -> bool {
        let app_of = |key: &str| key.split('.').next().map(str::to_owned);
        let is_of_other_app = || {
            let app = app_of(&record.key);
            !self.imported.by_key.keys().any(|key| app_of(key) == app)
        };
        record.is_repeatable || self.table.tool == MigrationTool::Django && is_of_other_app()
    }

    fn describe_records(&self) -> String {
        let records = &self.table.records;
        let mut text = match (records.applied_up_to.as_slice(), self.applied.len()) {
            ([record], _) if self.table.tool == MigrationTool::Alembic => {
                format!("revision `{}`", record.key)
            }
            ([record], _) => format!("version `{}`", record.key),
            ([], 0) => "no migration".to_owned(),
            ([], 1) => "1 migration".to_owned(),
            (_, count) => format!("{count} migrations"),
        };
        if let Some(baseline) = &records.baseline {
            let _ = write!(text, ", those up to its baseline `{baseline}` included");
        }
        text
    }

    fn unknown_problem(&self, document: &str) -> Option<String> {
        let first = self.unknown.first()?;
        let number = |key: &str| key.parse::<i64>().ok();
        let last = self.imported.migrations.last().and_then(|migration| number(&migration.key));
        // A revision of Alembic does not show its place in the order.
        let is_newer = self.table.tool == MigrationTool::Alembic
            || self.applied.len()
                >= self
                    .imported
                    .migrations
                    .iter()
                    .filter(|migration| !migration.is_repeatable)
                    .count()
            || last.is_some() && number(first) > last;
        let reason = if is_newer {
            "; the database is newer than the document, or the migration was not imported"
        } else {
            ""
        };
        let keys = list_names(&self.unknown);
        Some(format!("records {keys}, which {document} does not have{reason}"))
    }

    /// The imported migrations that are not recorded, although a later one or one of the same version
    /// is.
    fn gap_problem(&self, changelog: &Changelog<'_>) -> Option<String> {
        let last = &self.imported.migrations[*self.applied.last()?];
        let missing: Vec<_> = self
            .imported
            .migrations
            .iter()
            .enumerate()
            .filter(|(index, other)| {
                let is_before = other.position <= last.position && !other.is_repeatable;
                is_before && !self.applied.contains(index)
            })
            .map(|(_, other)| other)
            .collect();
        let first = missing.first()?;
        let version = |position| version_at(changelog, Some(position));
        let keys =
            list_names(&missing.iter().map(|migration| migration.key.as_str()).collect::<Vec<_>>());
        Some(if first.position == last.position {
            format!(
                "records `{}` and not {keys}, and {} contains all of them",
                last.key,
                version(last.position)
            )
        } else {
            format!(
                "records `{}` ({}) and not {keys} ({}), which the document has before it",
                last.key,
                version(last.position),
                version(first.position)
            )
        })
    }

    fn ignored_note(&self) -> Option<String> {
        let count = self.ignored.len();
        (count > 0).then(|| {
            format!("also records {}, which the document has no part of", list_names(&self.ignored))
        })
    }
}
