//! Everything that can be wrong with a database, without changing a byte of it: its pages, its
//! foreign keys, its record against the document, its schema against the document.

use crate::database::Look;
use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::database::history_entry::State;
use crate::database::policy::ForeignKeys;
use crate::document::tag::{Point, Scope};
use crate::migrate::detect;
use crate::migrate::migrator::Ready;
use crate::migrate::status::standing;
use crate::plan::Standing;
use crate::plan::outcome::Failure;
use crate::target::Member;

/// What was found in one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verification {
    /// The version in its record.
    pub version: Option<String>,
    /// What is wrong, each in words.
    pub findings: Vec<String>,
    /// In what it differs from the document as was accepted when it was adopted, and what else is
    /// worth knowing.
    pub remarks: Vec<String>,
}

impl Member {
    /// Checks the database against itself and against the document; no byte on the disk changes.
    ///
    /// # Errors
    ///
    /// A file that cannot be read at all.
    pub fn verify(
        &self,
        ready: &Ready<'_, '_>,
        patience: &Patience,
    ) -> Result<Verification, Failure> {
        self.read(patience, |database| verify(ready, self.scope, database))
    }
}

fn verify(
    ready: &Ready<'_, '_>,
    scope: Scope,
    database: &dyn Look,
) -> Result<Verification, DatabaseError> {
    let (changelog, replay) = (ready.changelog(), ready.replay());
    let mut found = Verification::default();
    // What damage makes unreadable cannot be compared.
    found.findings.extend(database.integrity()?);
    if !found.findings.is_empty() {
        return Ok(found);
    }
    let (broken, unusable) = database.foreign_keys()?;
    match ready.practice().foreign_keys {
        ForeignKeys::Held => found.findings.extend(broken),
        ForeignKeys::Told => found.remarks.extend(broken),
    }
    found
        .remarks
        .extend(unusable.into_iter().map(|key| format!("SQLite cannot use the foreign key {key}")));
    let state = database.state()?;
    if let State::Recorded(record) = &state {
        found.version = Some(record.to.clone());
    }
    let position = match standing((changelog, Some(replay)), scope, (&state, database)) {
        Ok(Standing::New) => return Ok(found),
        Ok(Standing::Matched(position)) => {
            let version = &changelog.versions()[position];
            found.findings.push(format!(
                "it has no record; its schema is that of {version}, which the next upgrade adopts"
            ));
            position
        }
        Ok(Standing::At(position)) => position,
        Ok(Standing::BelowBaseline) => 0,
        Err(Failure::Database(error)) => return Err(error),
        Err(failure) => {
            found.findings.push(failure.to_string());
            let version = found.version.as_deref().and_then(Point::parse);
            let known = version.as_ref().and_then(Point::version);
            match known.and_then(|version| changelog.position(version)) {
                Some(position) => position,
                None => return Ok(found),
            }
        }
    };
    let accepted = match &state {
        State::Recorded(_) => database.accepted()?,
        State::New | State::Unversioned => Vec::new(),
    };
    for difference in detect::drift(replay, scope, (Some(position), &database.schema()?)) {
        if accepted.contains(&difference) {
            found.remarks.push(format!("{difference} (accepted when it was adopted)"));
        } else {
            found.findings.push(difference);
        }
    }
    Ok(found)
}
