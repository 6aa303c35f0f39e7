//! Finds what a DROP TABLE or DROP VIEW would destroy that the document does not have.

use crate::schema::{Definition, Object, ObjectKind};
use crate::sql::key_term::{KeyTerm, compare_equally, list_terms};

/// The table or view that a statement drops, as the document has it just before the statement.
#[derive(Clone, Debug)]
pub(crate) struct DroppedTable {
    pub(crate) name: String,
    /// The table or view with its indexes and triggers; empty if the document does not have it.
    pub(crate) documented: Vec<Object>,
}

impl DroppedTable {
    /// The columns, unique keys, indexes and triggers that a database loses with this table and that
    /// the document does not have, each as a message shows it. `actual` is the table or view of the
    /// database with its indexes and triggers.
    pub(crate) fn undocumented(&self, actual: &[Object]) -> Vec<String> {
        let table = |objects: &[Object]| {
            let is_table = |object: &&Object| object.kind == ObjectKind::Table;
            objects.iter().find(is_table).cloned()
        };
        let mut losses = match (table(&self.documented), table(actual)) {
            (Some(documented), Some(actual)) => undocumented_parts(&documented, &actual),
            _ => Vec::new(),
        };
        let dependents = actual
            .iter()
            .filter(|object| matches!(object.kind, ObjectKind::Index | ObjectKind::Trigger));
        for object in dependents {
            let of_this_kind = || self.documented.iter().filter(|other| other.kind == object.kind);
            // An index or trigger of another name that does the same is no loss.
            if of_this_kind().any(|other| other.definition() == object.definition()) {
                continue;
            }
            let is_named = of_this_kind().any(|other| other.key() == object.key());
            let suffix = if is_named { " (with this definition)" } else { "" };
            losses.push(format!("{} `{}`{suffix}", object.kind, object.name));
        }
        losses
    }
}

/// The columns and unique keys of a table that the documented table does not have.
fn undocumented_parts(documented: &Object, actual: &Object) -> Vec<String> {
    let columns = actual.columns().filter(|name| !documented.has_column(name));
    let mut parts: Vec<String> = columns.map(|name| format!("column `{name}`")).collect();
    if let (Definition::Table(documented), Definition::Table(actual_table)) =
        (documented.definition(), actual.definition())
    {
        let keys = actual_table.constraints.unique_keys.iter().map(|key| &key.terms);
        let is_known = |key: &&Vec<KeyTerm>| {
            let constraints = &documented.constraints;
            let documented_keys = constraints.unique_keys.iter().map(|key| &key.terms);
            let mut names = key.iter().filter_map(KeyTerm::column);
            documented_keys
                .chain([&constraints.primary_key])
                .any(|other| compare_equally(other, key))
                // The column itself is named already.
                || names.any(|name| documented.column(name).is_none())
        };
        parts.extend(
            keys.filter(|key| !is_known(key))
                .map(|key| format!("constraint `UNIQUE ({})`", list_terms(key))),
        );
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(statements: &[&str]) -> Vec<Object> {
        let object = |sql: &&str| {
            let words: Vec<&str> = sql.split_whitespace().collect();
            let kind = ObjectKind::parse(&words[1].to_ascii_lowercase()).unwrap();
            Object::new(kind, words[2].to_owned(), "t".to_owned(), (*sql).to_owned())
        };
        statements.iter().map(object).collect()
    }

    #[track_caller]
    fn check(actual: &[&str], losses: &[&str]) {
        let documented = objects(&[
            "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, UNIQUE (n))",
            "CREATE INDEX by_n ON t (n)",
            "CREATE TRIGGER log AFTER DELETE ON t BEGIN SELECT 1; END",
        ]);
        let dropped = DroppedTable { name: "t".to_owned(), documented };
        assert_eq!(dropped.undocumented(&objects(actual)), losses);
    }

    #[test]
    fn columns_indexes_triggers_and_unique_keys_that_the_document_lacks_are_losses() {
        check(&["CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)"], &[]);
        check(
            &["CREATE TABLE t (n TEXT, colour TEXT UNIQUE, id INTEGER PRIMARY KEY)"],
            &["column `colour`"],
        );
        check(
            &["CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, UNIQUE (id, n))"],
            &["constraint `UNIQUE (id, n)`"],
        );
        check(
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, UNIQUE (n DESC), UNIQUE (n, id DESC))",
            ],
            &["constraint `UNIQUE (n, id desc)`"],
        );
        check(
            &["CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, UNIQUE (n COLLATE NOCASE))"],
            &["constraint `UNIQUE (n collate nocase)`"],
        );
        check(
            &[
                "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)",
                "CREATE INDEX by_n ON t (n DESC)",
                "CREATE INDEX own ON t (id)",
                "CREATE TRIGGER audit AFTER INSERT ON t BEGIN SELECT 1; END",
            ],
            &["index `by_n` (with this definition)", "index `own`", "trigger `audit`"],
        );
    }

    #[test]
    fn the_same_index_under_another_name_is_no_loss() {
        check(
            &["CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)", "CREATE INDEX ix_t_n ON \"t\"(N)"],
            &[],
        );
    }
}
