//! Finds the view or trigger of a database that makes SQLite refuse an ALTER TABLE, if the document
//! does not have it.

use crate::database::job::MigrationJob;
use crate::schema::{ObjectKey, ObjectKind};

/// The view or trigger that SQLite's message is about, if the document does not have it: `error in
/// view v: no such table: t`.
pub(crate) fn undocumented_object(
    job: &MigrationJob<'_>,
    message: &str,
) -> Option<(ObjectKind, String)> {
    let text = message.strip_prefix("error in ")?;
    let (kind, text) = text.split_once(' ')?;
    let kind = ObjectKind::parse(kind)?;
    let name = text.split_once(':')?.0;
    let name = [" after rename", " after add column", " after drop column"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name);
    let key = ObjectKey::new(kind, name);
    let mut changes = job.steps.iter().flat_map(|step| &step.script.object_changes);
    let is_documented =
        job.schema_before.contains_key(&key) || changes.any(|(changed, _)| *changed == key);
    (!is_documented).then(|| (kind, name.to_owned()))
}
