//! Describes the objects of two schemas for a diagram: what each table has, and what is added,
//! changed or removed on the way from the one schema to the other.

use std::sync::Arc;

use serde::Serialize;

use crate::schema::{Column, ForeignKey, Object, ObjectKind, Schema, shadow_tables};
use crate::schema_diff::statement;

/// How a part of a schema differs between the two schemas of a diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DiagramChange {
    /// It is the same in both.
    Same,
    /// Only the second schema has it.
    Added,
    /// Both have it, with different definitions.
    Changed,
    /// Only the first schema has it.
    Removed,
}

impl DiagramChange {
    fn between<T: PartialEq>(before: Option<T>, after: Option<T>) -> Self {
        match (before, after) {
            (None, _) => Self::Added,
            (_, None) => Self::Removed,
            (before, after) if before == after => Self::Same,
            _ => Self::Changed,
        }
    }
}

/// A table or a view of a diagram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiagramTable {
    /// Its name, as the later of the two schemas writes it.
    pub name: String,
    /// `table`, `virtual table` or `view`.
    pub kind: &'static str,
    /// How it differs, its columns and indexes included.
    pub change: DiagramChange,
    /// The columns of both schemas: those of the later one, then the removed ones.
    pub columns: Vec<DiagramColumn>,
    /// The foreign keys of both schemas.
    pub references: Vec<DiagramReference>,
    /// The indexes and triggers of both schemas.
    pub objects: Vec<DiagramObject>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiagramColumn {
    /// Its name.
    pub name: String,
    /// Type, NOT NULL and default, as far as the column has them.
    pub definition: String,
    /// The definition in the first schema, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition_before: Option<String>,
    /// Whether it is a part of the primary key.
    pub is_key: bool,
    /// How it differs.
    pub change: DiagramChange,
}

/// A foreign key of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiagramReference {
    /// The columns of the child.
    pub columns: Vec<String>,
    /// The table that they refer to.
    pub parent: String,
    /// Whether one of the schemas lacks it.
    pub change: DiagramChange,
}

/// An index or a trigger of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiagramObject {
    /// `index`, `unique index` or `trigger`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// How it differs.
    pub change: DiagramChange,
}

/// An object in the schema before and in the one after; at least one of them has it.
#[derive(Clone, Copy)]
struct ObjectPair<'s> {
    before: Option<&'s Arc<Object>>,
    after: Option<&'s Arc<Object>>,
}

impl<'s> ObjectPair<'s> {
    fn newest(&self) -> Option<&'s Object> {
        self.after.or(self.before).map(AsRef::as_ref)
    }

    fn change(&self) -> DiagramChange {
        let definition = |object: &'s Arc<Object>| object.definition();
        DiagramChange::between(self.before.map(definition), self.after.map(definition))
    }
}

/// The tables and views of both schemas, parents before the tables that refer to them.
pub(crate) fn describe(before: &Schema, after: &Schema) -> Vec<DiagramTable> {
    let objects = || before.values().chain(after.values());
    let shadows = shadow_tables(objects().map(AsRef::as_ref));
    let is_box = |kind| matches!(kind, ObjectKind::Table | ObjectKind::View);
    let removed = before.iter().filter(|(key, _)| !after.contains_key(key));
    let boxes = after
        .iter()
        .chain(removed)
        .filter(|(key, object)| is_box(object.kind) && !shadows.contains(&key.name));
    let sorted = statement::sort_by_dependency(boxes.map(|(_, object)| object));
    let tables = sorted.into_iter().map(|object| {
        let key = object.key();
        // A view may have the name of a table that was removed.
        let of_kind = |object: &&Arc<Object>| is_box(object.kind);
        let pair = ObjectPair {
            before: before.get(&key).filter(of_kind),
            after: after.get(&key).filter(of_kind),
        };
        let others = others_of(before, after, &object.name);
        describe_table(object, pair, others)
    });
    tables.collect()
}

/// The indexes and triggers of a table in both schemas.
fn others_of(before: &Schema, after: &Schema, table: &str) -> Vec<DiagramObject> {
    let keys = after.keys().chain(before.keys().filter(|key| !after.contains_key(key)));
    let pairs = keys.map(|key| ObjectPair { before: before.get(key), after: after.get(key) });
    let objects = pairs.filter_map(|pair| {
        let object = pair.newest()?;
        let kind = match object.kind {
            ObjectKind::Index if object.is_unique_index() => "unique index",
            ObjectKind::Index => "index",
            ObjectKind::Trigger => "trigger",
            ObjectKind::Table | ObjectKind::View => return None,
        };
        let is_own = object.table.eq_ignore_ascii_case(table);
        is_own.then(|| DiagramObject { kind, name: object.name.clone(), change: pair.change() })
    });
    objects.collect()
}

fn describe_table(
    object: &Object,
    pair: ObjectPair<'_>,
    objects: Vec<DiagramObject>,
) -> DiagramTable {
    let columns = describe_columns(pair);
    let references = describe_references(pair);
    let is_same = columns.iter().all(|column| column.change == DiagramChange::Same)
        && references.iter().all(|reference| reference.change == DiagramChange::Same)
        && objects.iter().all(|object| object.change == DiagramChange::Same);
    let change = match pair.change() {
        DiagramChange::Same if !is_same => DiagramChange::Changed,
        change => change,
    };
    let kind = match object.kind {
        ObjectKind::View => "view",
        _ if object.is_virtual_table() => "virtual table",
        _ => "table",
    };
    DiagramTable { name: object.name.clone(), kind, change, columns, references, objects }
}

fn describe_columns(pair: ObjectPair<'_>) -> Vec<DiagramColumn> {
    let columns = |object: Option<&Arc<Object>>| {
        let columns = object.map_or(&[][..], |object| &object.structure().columns);
        columns.iter().filter(|column| column.hidden != 1).cloned().collect::<Vec<Column>>()
    };
    let (before, after) = (columns(pair.before), columns(pair.after));
    let find = |columns: &[Column], name: &str| {
        columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned()
    };
    let removed = before.iter().filter(|column| find(&after, &column.name).is_none());
    let columns = after.iter().chain(removed).map(|column| {
        let old = find(&before, &column.name);
        let new = find(&after, &column.name);
        let change = match (&old, &new) {
            (Some(old), Some(new)) if old.matches(new) => DiagramChange::Same,
            (old, new) => DiagramChange::between(old.as_ref(), new.as_ref()),
        };
        DiagramColumn {
            name: column.name.clone(),
            definition: column_definition(column),
            definition_before: old
                .filter(|_| change == DiagramChange::Changed)
                .map(|old| column_definition(&old)),
            is_key: column.primary_key_position > 0,
            change,
        }
    });
    columns.collect()
}

/// `TEXT NOT NULL DEFAULT ''`.
fn column_definition(column: &Column) -> String {
    let mut parts = vec![column.declared_type.clone()];
    parts.extend(column.not_null.then(|| "NOT NULL".to_owned()));
    parts.extend(column.default.as_ref().map(|default| format!("DEFAULT {default}")));
    parts.extend((column.hidden > 1).then(|| "generated".to_owned()));
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

fn describe_references(pair: ObjectPair<'_>) -> Vec<DiagramReference> {
    let keys = |object: Option<&Arc<Object>>| {
        object.map_or_else(Vec::new, |object| object.structure().foreign_keys.clone())
    };
    let (before, after) = (keys(pair.before), keys(pair.after));
    let find = |keys: &[ForeignKey], key: &ForeignKey| keys.iter().any(|other| other == key);
    let removed = before.iter().filter(|key| !find(&after, key));
    let references = after.iter().chain(removed).map(|key| {
        let change = match (find(&before, key), find(&after, key)) {
            (true, true) => DiagramChange::Same,
            (false, _) => DiagramChange::Added,
            (true, false) => DiagramChange::Removed,
        };
        DiagramReference { columns: key.columns.clone(), parent: key.parent.clone(), change }
    });
    references.collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::database::ReadDatabase;

    fn schema(sql: &str) -> Schema {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        connection.schema().unwrap()
    }

    fn lines(before: &str, after: &str) -> Vec<String> {
        let mark = |change: DiagramChange| match change {
            DiagramChange::Same => ' ',
            DiagramChange::Added => '+',
            DiagramChange::Changed => '~',
            DiagramChange::Removed => '-',
        };
        let tables = describe(&schema(before), &schema(after));
        let lines = tables.iter().flat_map(|table| {
            let head = format!("{}{} {}", mark(table.change), table.kind, table.name);
            let columns = table.columns.iter().map(|column| {
                let before = column.definition_before.as_ref();
                let before = before.map_or(String::new(), |text| format!(" (was {text})"));
                format!("  {}{} {}{before}", mark(column.change), column.name, column.definition)
            });
            let references = table.references.iter().map(|reference| {
                format!(
                    "  {}{} → {}",
                    mark(reference.change),
                    reference.columns.join(","),
                    reference.parent
                )
            });
            let objects = table
                .objects
                .iter()
                .map(|object| format!("  {}{} {}", mark(object.change), object.kind, object.name));
            std::iter::once(head)
                .chain(columns)
                .chain(references)
                .chain(objects)
                .collect::<Vec<_>>()
        });
        lines.collect()
    }

    #[test]
    fn each_part_has_its_change() {
        let before =
            "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, y); CREATE INDEX a_x ON a (x);
                      CREATE TABLE gone (z); CREATE VIEW v AS SELECT x FROM a;";
        let after = "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT NOT NULL DEFAULT '', n INT);
                     CREATE TABLE b (a_id INTEGER REFERENCES a); CREATE UNIQUE INDEX b_a ON b (a_id);
                     CREATE VIEW v AS SELECT x FROM a;";
        assert_eq!(
            lines(before, after),
            [
                "~table a",
                "   id INTEGER",
                "  ~x TEXT NOT NULL DEFAULT '' (was TEXT)",
                "  +n INT",
                "  -y ",
                "  -index a_x",
                "+table b",
                "  +a_id INTEGER",
                "  +a_id → a",
                "  +unique index b_a",
                " view v",
                "-table gone",
                "  -z ",
            ]
        );
    }

    #[test]
    fn spelling_is_no_change_and_a_check_is_one() {
        assert_eq!(
            lines("CREATE TABLE a (x text)", "create table A(X TEXT)"),
            [" table A", "   X TEXT"]
        );
        assert_eq!(
            lines("CREATE TABLE a (x)", "CREATE TABLE a (x CHECK (x > 1))"),
            ["~table a", "   x "]
        );
    }

    #[test]
    fn shadow_tables_are_left_out() {
        let tables = describe(&Schema::new(), &schema("CREATE VIRTUAL TABLE f USING fts5(body)"));
        let names: Vec<_> = tables.iter().map(|table| (table.kind, table.name.as_str())).collect();
        assert_eq!(names, [("virtual table", "f")]);
    }
}
