//! Describes how two schemas differ: by what SQLite's pragmas report, and by what only the SQL text
//! shows, such as CHECK constraints.

use crate::schema::{Object, ObjectKind, Schema, effects};
use crate::schema_diff::comment::one_line;
use crate::schema_diff::statement;
use crate::sql::table_definition::TableDefinition;

/// Describes how the actual schema differs from the expected one, one message per difference.
pub(crate) fn differences(expected_schema: &Schema, actual_schema: &Schema) -> Vec<String> {
    let mut differences = effects::differences(expected_schema, actual_schema);
    for (key, expected_object) in expected_schema {
        let Some(actual_object) = actual_schema
            .get(key)
            .filter(|actual_object| actual_object.kind == expected_object.kind)
        else {
            continue;
        };
        if expected_object.kind == ObjectKind::Table
            && expected_object.sql != actual_object.sql
            && !has_same_definition(expected_object, actual_object)
        {
            let table_changes = describe_changes(actual_object, expected_object);
            let is_reported =
                |name: &str| differences.iter().any(|difference| difference.contains(name));
            let has_column_difference = is_reported(&format!("`{}.", expected_object.name));
            if table_changes.is_empty() && !has_column_difference {
                differences
                    .push(format!("table `{}` is declared differently", expected_object.name));
            }
            differences.extend(table_changes.into_iter().filter(|_| !has_column_difference));
        }
    }
    differences
}

/// Whether two tables have the same declaration, except for its spelling.
fn has_same_definition(left: &Object, right: &Object) -> bool {
    match (statement::is_virtual_table(left), statement::is_virtual_table(right)) {
        (false, false) => TableDefinition::parse(&left.sql) == TableDefinition::parse(&right.sql),
        (true, true) => {
            statement::module_and_arguments(left) == statement::module_and_arguments(right)
        }
        _ => false,
    }
}

/// Whether an object of one schema needs no change to become that of the other.
pub(crate) fn is_equivalent(left: &Object, right: &Object) -> bool {
    let single_object_schema =
        |object: &Object| Schema::from([(object.key(), std::sync::Arc::new(object.clone()))]);
    left.kind == right.kind
        && (left.kind != ObjectKind::Table || has_same_definition(left, right))
        && effects::differences(&single_object_schema(left), &single_object_schema(right))
            .is_empty()
        && effects::differences(&single_object_schema(right), &single_object_schema(left))
            .is_empty()
}

/// Describes the changes between two tables of the same name, one message per change.
pub(crate) fn describe_changes(old: &Object, new: &Object) -> Vec<String> {
    let (before, after) = (TableDefinition::parse(&old.sql), TableDefinition::parse(&new.sql));
    let name = &new.name;
    let mut changes = Vec::new();
    for column in &after.columns {
        let column_name = statement::first_token(&column.sql);
        match before.column(&column.spec.name) {
            None => changes.push(format!("`{column_name}` is new")),
            Some(old_column) if old_column.spec != column.spec => {
                changes
                    .push(format!("`{column_name}` was declared `{}`", one_line(&old_column.sql)));
            }
            Some(_) => {}
        }
    }
    let dropped_columns =
        before.columns.iter().filter(|column| after.column(&column.spec.name).is_none());
    changes.extend(
        dropped_columns
            .map(|column| format!("`{}` is dropped", statement::first_token(&column.sql))),
    );
    let shared_column_names =
        |definition: &TableDefinition, other: &TableDefinition| -> Vec<String> {
            let column_names = definition.columns.iter().map(|column| column.spec.name.clone());
            column_names.filter(|name| other.column(name).is_some()).collect()
        };
    if shared_column_names(&before, &after) != shared_column_names(&after, &before) {
        changes.push("the order of its columns differs".to_owned());
    }
    let (old, new) = (&before.constraints, &after.constraints);
    for (is_different, aspect) in [
        (
            (&old.primary_key, &old.primary_key_options)
                != (&new.primary_key, &new.primary_key_options),
            "its primary key differs",
        ),
        (old.unique_keys != new.unique_keys, "its unique keys differ"),
        (old.checks != new.checks, "its CHECK constraints differ"),
        (old.foreign_keys != new.foreign_keys, "its foreign keys differ"),
        (old.options != new.options, "its options differ"),
    ] {
        if is_different {
            changes.push(aspect.to_owned());
        }
    }
    changes.into_iter().map(|aspect| format!("table `{name}`: {aspect}")).collect()
}
