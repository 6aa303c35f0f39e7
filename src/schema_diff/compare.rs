//! In what two schemas differ: by what SQLite's pragmas tell of them, and by what their text says
//! beyond that.

use crate::schema::{Kind, Object, Schema, effects};
use crate::schema_diff::statement;
use crate::sql::create_table::Definition;

/// In what `is` differs from `should`, each in words.
pub(crate) fn differences(should: &Schema, is: &Schema) -> Vec<String> {
    let mut found = effects::differences(should, is);
    for (key, expected) in should {
        let Some(object) = is.get(key).filter(|object| object.kind == expected.kind) else {
            continue;
        };
        if expected.kind == Kind::Table
            && expected.sql != object.sql
            && !same_table(expected, object)
        {
            let clauses = reasons(object, expected);
            let already = |name: &str| found.iter().any(|known| known.contains(name));
            let told = already(&format!("`{}.", expected.name));
            if clauses.is_empty() && !told {
                found.push(format!("table `{}` is declared otherwise", expected.name));
            }
            found.extend(clauses.into_iter().filter(|_| !told));
        }
    }
    found
}

/// Whether two tables are declared alike.
fn same_table(left: &Object, right: &Object) -> bool {
    match (statement::is_virtual(left), statement::is_virtual(right)) {
        (false, false) => Definition::read(&left.sql) == Definition::read(&right.sql),
        (true, true) => statement::module(left) == statement::module(right),
        _ => false,
    }
}

/// Whether an object of one schema need not be touched to be that of the other.
pub(crate) fn same(left: &Object, right: &Object) -> bool {
    let one = |object: &Object| Schema::from([(object.key(), std::sync::Arc::new(object.clone()))]);
    left.kind == right.kind
        && (left.kind != Kind::Table || same_table(left, right))
        && effects::differences(&one(left), &one(right)).is_empty()
        && effects::differences(&one(right), &one(left)).is_empty()
}

/// What changes from one table to another of its name, each in words.
pub(crate) fn reasons(old: &Object, new: &Object) -> Vec<String> {
    let (before, after) = (Definition::read(&old.sql), Definition::read(&new.sql));
    let name = &new.name;
    let mut found = Vec::new();
    for column in &after.columns {
        let shown = statement::first_word(&column.text);
        match before.column(&column.rules.name) {
            None => found.push(format!("`{shown}` is new")),
            Some(known) if known.rules != column.rules => {
                found.push(format!("`{shown}` was declared `{}`", one_line(&known.text)));
            }
            Some(_) => {}
        }
    }
    let gone = before.columns.iter().filter(|column| after.column(&column.rules.name).is_none());
    found.extend(gone.map(|column| format!("`{}` goes", statement::first_word(&column.text))));
    let names = |definition: &Definition, other: &Definition| -> Vec<String> {
        let kept = definition.columns.iter().map(|column| column.rules.name.clone());
        kept.filter(|name| other.column(name).is_some()).collect()
    };
    if names(&before, &after) != names(&after, &before) {
        found.push("the order of its columns".to_owned());
    }
    let (old, new) = (&before.constraints, &after.constraints);
    for (differs, what) in [
        (
            (&old.primary_key, &old.primary_key_words)
                != (&new.primary_key, &new.primary_key_words),
            "its primary key",
        ),
        (old.unique != new.unique, "its unique keys"),
        (old.checks != new.checks, "its CHECK constraints"),
        (old.foreign_keys != new.foreign_keys, "its foreign keys"),
        (old.options != new.options, "its options"),
    ] {
        if differs {
            found.push(what.to_owned());
        }
    }
    found.into_iter().map(|what| format!("table `{name}`: {what}")).collect()
}

/// A declaration in one line, fit for a comment.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'")
}
