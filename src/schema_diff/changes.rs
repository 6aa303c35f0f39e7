//! Lists what changes from one schema to another, one row for each difference.

use crate::schema::difference::Difference;
use crate::schema::{Schema, compare};

/// How a part of a schema changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// Only the second schema has it.
    Added,
    /// Only the first schema has it.
    Removed,
    /// Both have it, with other definitions.
    Changed,
}

/// One difference of the second schema from the first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct PartChange {
    /// How it changes.
    pub change: ChangeKind,
    /// What it is: `table`, `view`, `index`, `trigger`, `column`, `constraint`, `order of columns`.
    pub part: String,
    /// The name of the object; of a column with its table, such as `notes.body`.
    pub name: String,
    /// The definition in the first schema, where it says more than the name.
    pub before: Option<String>,
    /// The definition in the second schema.
    pub after: Option<String>,
}

/// The changes from one schema to another.
pub(crate) fn part_changes(from: &Schema, to: &Schema) -> Vec<PartChange> {
    compare::differences(to, from).into_iter().map(part_change).collect()
}

fn part_change(difference: Difference) -> PartChange {
    let change = |change, part: String, name: String| PartChange {
        change,
        part,
        name,
        before: None,
        after: None,
    };
    let column = |kind, table: String, column: String| {
        change(kind, "column".to_owned(), format!("{table}.{column}"))
    };
    let constraint = |kind, table: String| change(kind, "constraint".to_owned(), table);
    match difference {
        Difference::Missing { kind, name } => change(ChangeKind::Added, kind.to_string(), name),
        Difference::Unexpected { kind, name } | Difference::NotDropped { kind, name } => {
            change(ChangeKind::Removed, kind.to_string(), name)
        }
        Difference::OtherKind { name, expected, found } => PartChange {
            before: Some(found.to_string()),
            after: Some(expected.to_string()),
            ..change(ChangeKind::Changed, "object".to_owned(), name)
        },
        Difference::MissingColumn { table, column: name, expected } => {
            PartChange { after: Some(expected), ..column(ChangeKind::Added, table, name) }
        }
        Difference::RenamedColumnMissing { table, column: name } => {
            column(ChangeKind::Added, table, name)
        }
        Difference::UnexpectedColumn { table, column: name, found } => {
            PartChange { before: Some(found), ..column(ChangeKind::Removed, table, name) }
        }
        Difference::ColumnNotDropped { table, column: name } => {
            column(ChangeKind::Removed, table, name)
        }
        Difference::Column { table, column: name, expected, found } => PartChange {
            before: Some(found),
            after: Some(expected),
            ..column(ChangeKind::Changed, table, name)
        },
        Difference::MissingClause { table, clause } => {
            PartChange { after: Some(clause), ..constraint(ChangeKind::Added, table) }
        }
        Difference::UnexpectedClause { table, clause } => {
            PartChange { before: Some(clause), ..constraint(ChangeKind::Removed, table) }
        }
        Difference::Definition { kind, name, expected, found } => PartChange {
            before: Some(found),
            after: Some(expected),
            ..change(ChangeKind::Changed, kind.to_string(), name)
        },
        Difference::ColumnOrder { table, expected, found } => PartChange {
            before: Some(found.join(", ")),
            after: Some(expected.join(", ")),
            ..change(ChangeKind::Changed, "order of columns".to_owned(), table)
        },
    }
}
