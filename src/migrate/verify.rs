//! Everything that can be wrong with a database, without changing a byte of it: its pages, its
//! foreign keys, its record against the document, its schema against the document.

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::database::foreign_key_violations::ForeignKeyReport;
use crate::database::history_entry::HistoryState;
use crate::database::policy::ForeignKeyPolicy;
use crate::document::tag::{Scope, VersionPoint};
use crate::migrate::detect;
use crate::migrate::migrator::Migrator;
use crate::migrate::status::locate_database;
use crate::plan::ChainPosition;
use crate::plan::outcome::MigrateError;
use crate::target::TargetDatabase;

/// What was found in one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifyReport {
    /// The version in its record.
    pub version: Option<String>,
    /// What is wrong, each in words.
    pub findings: Vec<String>,
    /// In what it differs from the document as was accepted when it was adopted, and what else is
    /// worth knowing.
    pub notes: Vec<String>,
}

impl TargetDatabase {
    /// Checks the database against itself and against the document; no byte on the disk changes.
    ///
    /// # Errors
    ///
    /// A file that cannot be read at all.
    pub fn verify(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &ConnectOptions,
    ) -> Result<VerifyReport, MigrateError> {
        self.read(options, |database| verify_database(migrator, self.scope, database))
    }
}

fn verify_database(
    migrator: &Migrator<'_, '_>,
    scope: Scope,
    database: &dyn ReadDatabase,
) -> Result<VerifyReport, DatabaseError> {
    let (changelog, replay) = (migrator.changelog(), migrator.replay());
    let mut report = VerifyReport::default();
    // What damage makes unreadable cannot be compared.
    report.findings.extend(database.check_integrity()?);
    if !report.findings.is_empty() {
        return Ok(report);
    }
    let ForeignKeyReport { violations, unusable_keys } = database.check_foreign_keys()?;
    match migrator.policy().foreign_keys {
        ForeignKeyPolicy::Enforce => report.findings.extend(violations),
        ForeignKeyPolicy::Report => report.notes.extend(violations),
    }
    report.notes.extend(
        unusable_keys.into_iter().map(|key| format!("SQLite cannot use the foreign key {key}")),
    );
    let state = database.history_state()?;
    if let HistoryState::Versioned(entry) = &state {
        report.version = Some(entry.to.clone());
    }
    let position = match locate_database((changelog, Some(replay)), scope, (&state, database)) {
        Ok(ChainPosition::Empty) => return Ok(report),
        Ok(ChainPosition::Detected(position)) => {
            let version = &changelog.versions()[position];
            report.findings.push(format!(
                "it has no record; its schema is that of {version}, which the next upgrade adopts"
            ));
            position
        }
        Ok(ChainPosition::AtVersion(position)) => position,
        Ok(ChainPosition::BelowBaseline) => 0,
        Err(MigrateError::Database(error)) => return Err(error),
        Err(migrate_error) => {
            report.findings.push(migrate_error.to_string());
            let version = report.version.as_deref().and_then(VersionPoint::parse);
            let known_version = version.as_ref().and_then(VersionPoint::version);
            match known_version.and_then(|version| changelog.position(version)) {
                Some(position) => position,
                None => return Ok(report),
            }
        }
    };
    let accepted_drift = match &state {
        HistoryState::Versioned(_) => database.accepted_drift()?,
        HistoryState::Empty | HistoryState::Unversioned => Vec::new(),
    };
    for difference in detect::drift(replay, scope, (Some(position), &database.schema()?)) {
        if accepted_drift.contains(&difference) {
            report.notes.push(format!("{difference} (accepted when it was adopted)"));
        } else {
            report.findings.push(difference);
        }
    }
    Ok(report)
}
