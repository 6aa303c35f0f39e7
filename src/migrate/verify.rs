//! Checks one database without changing a byte: its pages, its foreign keys, its history against
//! the document, and its schema against the document.

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::foreign_key_violations::ForeignKeyReport;
use crate::database::history_entry::HistoryState;
use crate::database::integrity::IntegrityReport;
use crate::database::policy::ForeignKeyPolicy;
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::migrator::Migrator;
use crate::migrate::status::locate_database;
use crate::plan::outcome::MigrateError;
use crate::plan::position::ChainPosition;
use crate::schema::ObjectKey;
use crate::schema::difference::{AcceptedDrift, Difference};
use crate::target::TargetDatabase;

/// The result of checking one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The last version in the history.
    pub version: Option<String>,
    /// Whether the version is above head, and allowed to be, so that the schema is not compared.
    pub is_ahead: bool,
    /// The problems, each as text.
    pub findings: Vec<String>,
    /// Whether some of them are differences between the schema and the document's.
    pub has_drift: bool,
    /// Accepted drift, and remarks that are not problems.
    pub notes: Vec<String>,
}

impl TargetDatabase {
    /// Checks this database against itself and against the document; no byte on the disk changes.
    ///
    /// # Errors
    ///
    /// The database cannot be read at all.
    pub fn verify(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &ConnectOptions,
    ) -> Result<VerifyReport, MigrateError> {
        migrator.document().check()?;
        self.read_snapshot(options, |database| verify_database(migrator, self.scope, database))
    }
}

fn verify_database(
    migrator: &Migrator<'_, '_>,
    scope: Scope,
    database: &dyn ReadDatabase,
) -> Result<VerifyReport, DatabaseError> {
    let mut report = VerifyReport::default();
    let IntegrityReport { damage, unchecked } = database.check_integrity()?;
    report.findings.extend(damage);
    report.notes.extend(unchecked);
    // The contents of damaged pages cannot be compared.
    if !report.findings.is_empty() {
        return Ok(report);
    }
    check_foreign_keys(migrator.policy().foreign_keys, database, &mut report)?;
    let state = database.history_state()?;
    if let HistoryState::Versioned(entry) = &state {
        report.version = Some(entry.to.clone());
    }
    let position = match check_history(migrator, scope, &state, database, &mut report)? {
        ExpectedSchema::Unknown => return Ok(report),
        ExpectedSchema::BelowBaseline => None,
        ExpectedSchema::At(position) => Some(position),
    };
    let schema = database.schema()?;
    let documented = position.map(|position| migrator.replay().schema_at(scope, position));
    let is_documented =
        |key: &ObjectKey| documented.as_ref().is_some_and(|schema| schema.contains_key(key));
    report.findings.extend(database.check_references(&schema, &is_documented)?);
    let drift = migrator.detector().drift(scope, position, schema);
    check_drift(drift, &state, database, &mut report)?;
    Ok(report)
}

fn check_foreign_keys(
    policy: ForeignKeyPolicy,
    database: &dyn ReadDatabase,
    report: &mut VerifyReport,
) -> Result<(), DatabaseError> {
    let ForeignKeyReport { violations, unusable_keys, unchecked } =
        database.check_foreign_keys()?;
    match policy {
        ForeignKeyPolicy::Enforce => report.findings.extend(violations),
        ForeignKeyPolicy::Report => report.notes.extend(violations),
    }
    report.notes.extend(unchecked);
    report.notes.extend(
        unusable_keys.into_iter().map(|key| format!("SQLite cannot use the foreign key {key}")),
    );
    Ok(())
}

/// The schema that a database should have.
enum ExpectedSchema {
    /// None can be expected.
    Unknown,
    /// Nothing is applied.
    BelowBaseline,
    /// That of a position of the chain.
    At(usize),
}

/// Compares the history with the document. Returns the schema that the database should have.
fn check_history(
    migrator: &Migrator<'_, '_>,
    scope: Scope,
    state: &HistoryState,
    database: &dyn ReadDatabase,
    report: &mut VerifyReport,
) -> Result<ExpectedSchema, DatabaseError> {
    Ok(match locate_database(migrator.document(), scope, state, database) {
        Ok(ChainPosition::Empty) => ExpectedSchema::Unknown,
        Ok(ChainPosition::Detected(position)) => {
            let version = migrator.version_point_at(Some(position));
            report.findings.push(format!(
                "the database has no history; its schema is that of {version}, and the next upgrade adopts it at that version"
            ));
            ExpectedSchema::At(position)
        }
        Ok(ChainPosition::AtVersion(position)) => ExpectedSchema::At(position),
        Ok(ChainPosition::BelowBaseline) => ExpectedSchema::BelowBaseline,
        Err(MigrateError::Database(error)) => return Err(error),
        Err(error) if migrator.allows_ahead(&error) => {
            report.is_ahead = true;
            report.notes.push(format!("{error}; its schema is not compared"));
            ExpectedSchema::Unknown
        }
        Err(error) => {
            report.findings.push(error.to_string());
            // The schema of an edited migration can still be compared.
            let version = report.version.as_deref().and_then(VersionPoint::parse);
            version
                .as_ref()
                .and_then(VersionPoint::version)
                .and_then(|version| migrator.changelog().position(version))
                .map_or(ExpectedSchema::Unknown, ExpectedSchema::At)
        }
    })
}

/// Reports drift, and accepted drift as a note.
fn check_drift(
    drift: Vec<Difference>,
    state: &HistoryState,
    database: &dyn ReadDatabase,
    report: &mut VerifyReport,
) -> Result<(), DatabaseError> {
    let accepted_drift = match state {
        HistoryState::Versioned(_) => database.accepted_drift()?,
        HistoryState::Empty | HistoryState::Unversioned => AcceptedDrift::default(),
    };
    for difference in drift {
        if accepted_drift.accepts(&difference) {
            report.notes.push(format!("{difference} (accepted drift)"));
        } else if difference.is_significant() {
            report.findings.push(difference.to_string());
            report.has_drift = true;
        } else {
            report.notes.push(difference.to_string());
        }
    }
    Ok(())
}
