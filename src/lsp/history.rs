//! Follows an object or a column along the chain: which migration made it, which one changed it last,
//! and by which statements.

use std::ops::Range;

use crate::document::tag::VersionPoint;
use crate::lsp::model::{Model, Step};
use crate::lsp::target::Target;
use crate::schema::{Object, ObjectKey, ObjectKind};
use crate::sql::lexer::quote_if_needed;
use crate::sql::tokens::one_line;

/// A statement that made or changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The version that its migration leads to.
    pub(crate) version: Option<VersionPoint>,
    /// The statement, in the document.
    pub(crate) span: Range<usize>,
}

/// Where something comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) created: Option<Origin>,
    /// `None` if nothing changed it after it was made.
    pub(crate) changed: Option<Origin>,
}

/// The history of what a name means, up to a block.
pub(crate) fn history_of(model: &Model, step: &Step, target: &Target) -> History {
    let column = match target {
        Target::Object(_) => None,
        Target::Column { column, .. } => Some(column.as_str()),
    };
    let steps: Vec<&Step> = model.steps_up_to(step).collect();
    // From the end, since the name that it has there is known.
    let mut key = target.object().key();
    let mut column = column.map(ToOwned::to_owned);
    let mut origins: Vec<Origin> = Vec::new();
    for step in steps.iter().rev() {
        let script = model.replay.script(step.scope, step.id);
        let old_key = script.map_or_else(
            || key.clone(),
            |script| ObjectKey {
                is_trigger: key.is_trigger,
                name: script.operations.table_renames.original_name(&key.name),
            },
        );
        let changes: Vec<_> = model.changes_in(step).collect();
        let changed_keys = [&key, &old_key];
        let before = object_before(model, step, &old_key);
        let after = changes.iter().rev().flat_map(|changed| changed.object_changes.iter().rev());
        let mut after = after.filter(|(changed, _)| *changed == key);
        let after = after.next().map(|(_, object)| object.as_deref());
        let is_touched = after.is_some() && {
            let definition = |object: Option<&Object>| describe(object, column.as_deref());
            definition(before.as_deref()) != definition(after.flatten())
        };
        if is_touched {
            let statement = changes.iter().rev().find(|changed| {
                let mut changes = changed.object_changes.iter();
                changes.any(|(changed, object)| changed_keys.contains(&changed) && object.is_some())
            });
            let version = step.versions.as_ref().map(|(_, to)| to.clone());
            origins.extend(
                statement.map(|statement| Origin { version, span: statement.span.clone() }),
            );
        }
        let existed = match (&before, column.as_deref()) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(before), Some(name)) => {
                before.has_column(name) || {
                    // A column that the block renames had another name before.
                    let old_name = renamed_column(model, step, name);
                    let was_renamed = old_name.as_ref().is_some_and(|old| before.has_column(old));
                    if was_renamed {
                        column = old_name;
                    }
                    was_renamed
                }
            }
        };
        if !existed && is_touched {
            break;
        }
        key = old_key;
    }
    let created = origins.pop();
    let changed = origins.into_iter().next();
    History { created, changed }
}

/// An object before a block.
fn object_before(model: &Model, step: &Step, key: &ObjectKey) -> Option<std::sync::Arc<Object>> {
    model.schema_before(step).get(key).cloned()
}

/// The definition of an object or of one of its columns, to compare; `None` if it does not exist.
fn describe(object: Option<&Object>, column: Option<&str>) -> Option<String> {
    let object = object?;
    let Some(name) = column else { return Some(object.sql.clone()) };
    match object.table_definition().and_then(|definition| definition.column(name)) {
        Some(column) => Some(column.to_string()),
        None => object.structure().column(name).map(|column| column.declared_type.clone()),
    }
}

/// The old name of a column that a block renames to `name`.
fn renamed_column(model: &Model, step: &Step, name: &str) -> Option<String> {
    use crate::schema::renames::StatementRename;

    model.statements(step).iter().rev().find_map(|statement| match &statement.rename {
        Some(StatementRename::Column { from, to, .. }) if to.eq_ignore_ascii_case(name) => {
            Some(from.clone())
        }
        _ => None,
    })
}

/// The definition of what a name means, as SQL.
pub(crate) fn definition(target: &Target) -> String {
    match target {
        Target::Object(object) => object.sql.clone(),
        Target::Column { table, column } => {
            let definition = table.table_definition().and_then(|table| table.column(column));
            definition.map_or_else(
                || {
                    let found = table.structure().column(column);
                    let declared_type = found.map_or("", |found| &found.declared_type);
                    format!("{} {declared_type}", quote_if_needed(column)).trim_end().to_owned()
                },
                |definition| one_line(&definition.sql),
            )
        }
    }
}

/// What a name means, in words.
pub(crate) fn describe_target(target: &Target) -> String {
    match target {
        Target::Object(object) if object.kind == ObjectKind::Table && object.is_virtual_table() => {
            format!("virtual table `{}`", object.name)
        }
        Target::Object(object) => format!("{} `{}`", object.kind, object.name),
        Target::Column { table, column } => {
            format!("column `{column}` of the {} `{}`", table.kind, table.name)
        }
    }
}
