//! Checks, during a run, that no step leaves a view, trigger or foreign key of this database
//! unusable that could be used before. A step may break them while it rebuilds a table: what counts
//! is the state after its last statement.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::Connection;

use crate::database::error::DatabaseError;
use crate::database::error_span::span_of_message;
use crate::database::job::{MigrationJob, Statement, Step};
use crate::database::schema_tracker::SchemaTracker;
use crate::database::usable_references::{Reference, Usability, UsabilityChange, UsableReferences};
use crate::document::diagnostic::Rule;
use crate::schema::changes::SchemaChange;
use crate::source::first_line_span;

/// The references of a database during a run.
pub(crate) struct ReferenceChecks<'r> {
    connection: &'r Connection,
    tracker: SchemaTracker,
    references: UsableReferences,
    /// SQLite changes this number with every change of the schema.
    schema_version: i64,
    changed: BTreeMap<Reference, ChangedReference>,
    /// Whether the database is new, so that only the state after the last step counts: an old
    /// migration that a later one repaired never stops a new database.
    is_new_database: bool,
}

/// A reference whose usability changed.
struct ChangedReference {
    /// None if the reference did not exist.
    before: Option<Usability>,
    /// The last statement after which the reference was unusable in a new way.
    broken_by: Option<Place>,
}

#[derive(Clone)]
struct Place {
    migration: String,
    span: Range<usize>,
}

impl<'r> ReferenceChecks<'r> {
    /// Reads the references before the first step. Foreign keys must be off on the connection.
    pub(crate) fn begin(
        connection: &'r Connection,
        job: &MigrationJob<'_>,
    ) -> Result<Self, DatabaseError> {
        let mut tracker = SchemaTracker::default();
        tracker.refresh(connection, SchemaChange::Any)?;
        Ok(Self {
            references: UsableReferences::read(connection, tracker.schema())?,
            schema_version: schema_version(connection)?,
            changed: BTreeMap::new(),
            is_new_database: job.schema_before.is_empty() && tracker.schema().is_empty(),
            connection,
            tracker,
        })
    }

    /// Follows what a statement changed.
    pub(crate) fn after_statement(
        &mut self,
        statement: &Statement<'_>,
        step: &Step<'_, '_>,
    ) -> Result<(), DatabaseError> {
        let schema_version = schema_version(self.connection)?;
        if schema_version == self.schema_version {
            return Ok(());
        }
        self.schema_version = schema_version;
        let object_changes = self.tracker.refresh(self.connection, SchemaChange::Any)?;
        for change in self.references.update(self.connection, &object_changes)? {
            let UsabilityChange { reference, before, after } = change;
            let changed = self
                .changed
                .entry(reference)
                .or_insert(ChangedReference { before, broken_by: None });
            let is_new = changed.before.is_none();
            let is_unusable = |usability: &Usability| {
                usability.is_dangling() || is_new && usability.fault_of_document().is_some()
            };
            if let Some(usability) = after.filter(is_unusable) {
                let span = usability
                    .fault_of_document()
                    .and_then(|message| span_of_message(&statement.sql, 0, message));
                let span = span.unwrap_or_else(|| first_line_span(&statement.sql));
                changed.broken_by = Some(Place { migration: step.label.clone(), span });
            }
        }
        Ok(())
    }

    /// Refuses a step that leaves something unusable, and begins the next one.
    pub(crate) fn after_step(&mut self, step: &Step<'_, '_>) -> Result<(), DatabaseError> {
        if self.is_new_database {
            for (reference, changed) in &mut self.changed {
                if self.references.get(reference) == Some(&Usability::Usable) {
                    changed.before = Some(Usability::Usable);
                }
            }
            return Ok(());
        }
        let broken = self.broken_reference(step);
        self.changed.clear();
        broken.map_or(Ok(()), Err)
    }

    /// Refuses a new database in which something is unusable after the last step.
    pub(crate) fn after_last_step(&self, steps: &[Step<'_, '_>]) -> Result<(), DatabaseError> {
        let Some(last) = steps.last().filter(|_| self.is_new_database) else { return Ok(()) };
        self.broken_reference(last).map_or(Ok(()), Err)
    }

    fn broken_reference(&self, step: &Step<'_, '_>) -> Option<DatabaseError> {
        if step.script.allows(Rule::DanglingReference) {
            return None;
        }
        self.changed.iter().find_map(|(reference, changed)| {
            let usability = self.references.get(reference)?;
            let place = changed.broken_by.clone()?;
            if !usability.is_dangling()
                && (changed.before.is_some() || usability.fault_of_document().is_none())
            {
                return None;
            }
            match (self.before(reference, step).or(changed.before.as_ref()), reference) {
                (Some(Usability::Usable), _)
                // The step creates it. Of such a foreign key, `lint` warns.
                | (None, Reference::View { .. } | Reference::Trigger { .. }) => {}
                // It was unusable before.
                _ => return None,
            }
            let Place { migration, span } = place;
            let name = self.describe(reference);
            let consequence = match usability {
                Usability::NotCompiling(message) | Usability::Unloadable(message) => {
                    message.replace("no such table: main.", "no such table: ")
                }
                Usability::MissingParent => "its parent table does not exist".to_owned(),
                _ => "its parent columns are not unique".to_owned(),
            };
            Some(DatabaseError::SafetyRule {
                rule: Rule::DanglingReference,
                migration,
                message: format!("after this, the {name} cannot be used: {consequence}"),
                advice: format!(
                    "drop or rebuild the {name} in the same migration; if it may stay unusable"
                ),
                span,
            })
        })
    }

    /// The usability before the step. A foreign key of a table that the step renames is the same
    /// key.
    fn before(&self, reference: &Reference, step: &Step<'_, '_>) -> Option<&Usability> {
        let Reference::ForeignKey { child, columns } = reference else { return None };
        let child = step.script.operations.table_renames.original_name(child);
        let original = Reference::ForeignKey { child, columns: columns.clone() };
        self.changed.get(&original)?.before.as_ref()
    }

    fn describe(&self, reference: &Reference) -> String {
        let object = self.references.object(reference);
        let name = object.map_or("", |object| object.name.as_str());
        match self.references.foreign_key(reference) {
            Some(key) => {
                format!("foreign key `{name} ({})` → `{}`", key.columns.join(", "), key.parent)
            }
            None => format!("{} `{name}`", reference.noun()),
        }
    }
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA main.schema_version", [], |row| row.get(0))
}
