//! Finds the indexes and triggers that no longer exist although their table does, and that were not
//! lost on purpose.

use crate::schema::{Object, ObjectKey, ObjectKind, Schema};
use crate::sql::key_term::plain_columns;
use crate::sql::lexer;
use crate::sql::lexer::quote_identifier;

/// The indexes and triggers of the first schema that the second one lacks. Left out are those that
/// name a column which their table no longer has, those that exist under another name, and unique
/// indexes whose columns the new table declares unique.
pub(crate) fn lost_objects<'s>(
    before: &'s Schema,
    after: &'s Schema,
) -> impl Iterator<Item = &'s Object> {
    before.iter().filter(|(key, _)| !after.contains_key(key)).map(|(_, object)| &**object).filter(
        |object| {
            let table = ObjectKey::new(ObjectKind::Table, &object.table);
            matches!(object.kind, ObjectKind::Index | ObjectKind::Trigger)
                && after.get(&table).is_some_and(|new| {
                    let is_intended = before
                        .get(&table)
                        .is_some_and(|old| names_dropped_column(object, old, new));
                    !is_intended
                        && !declares_unique(new, object)
                        && !has_renamed_copy(object, after)
                })
        },
    )
}

/// Whether an index or a trigger contains the name of a column that its table no longer has.
fn names_dropped_column(object: &Object, old: &Object, new: &Object) -> bool {
    let text = &object.sql;
    let dropped = old.columns().filter(|column| !new.has_column(column)).collect::<Vec<_>>();
    dropped.into_iter().any(|column| {
        lexer::tokens(text, 0).any(|token| {
            let token_text = &text[token.range];
            !token_text.starts_with('\'') && lexer::unquote(token_text).eq_ignore_ascii_case(column)
        })
    })
}

/// Whether a table declares the columns of a unique index as its primary key or as unique.
fn declares_unique(table: &Object, index: &Object) -> bool {
    let Some(columns) = index.unique_key() else { return false };
    let Some(definition) = table.table_definition() else { return false };
    let keys = definition.constraints.unique_keys.iter().map(|key| &key.terms);
    keys.chain([&definition.constraints.primary_key])
        .any(|key| plain_columns(key).as_ref() == Some(&columns))
}

/// Whether an index or a trigger with the same definition exists under another name.
pub(crate) fn has_renamed_copy(object: &Object, after: &Schema) -> bool {
    let normalize_without_name = |object: &Object| {
        let text = lexer::normalize_case(&object.sql);
        let name = lexer::normalize_case(&object.name);
        let name =
            if text.contains(&quote_identifier(&name)) { quote_identifier(&name) } else { name };
        text.replacen(&name, "", 1).replace("if not exists", "").replace("  ", " ")
    };
    let normalized = normalize_without_name(object);
    after
        .values()
        .any(|other| other.kind == object.kind && normalize_without_name(other) == normalized)
}
