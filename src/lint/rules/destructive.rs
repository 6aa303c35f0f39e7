//! Statements that destroy rows wholesale: DROP TABLE, DROP COLUMN, and DELETE or UPDATE without
//! WHERE. A table that the block itself made, or makes anew, is not meant.

use std::collections::BTreeSet;

use crate::database::job::ColumnChange;
use crate::document::diagnostic::{Problem, Rule};
use crate::lint::context::{Act, Direction, Turn};
use crate::schema::{Key, Kind};
use crate::sql::tokens::Words;

const HELP: &str = "if it is meant, say why in the block: `-- tatmig:allow destructive because …`";

pub(crate) fn judge(act: &Act<'_, '_>, problems: &mut Vec<Problem>) {
    let mut own_tables: BTreeSet<Key> = BTreeSet::new();
    let mut own_columns: BTreeSet<(String, String)> = BTreeSet::new();
    for turn in &act.turns {
        problems.extend(verdict(act, turn, (&own_tables, &own_columns)));
        for (key, object) in &turn.changes {
            let created = object.as_ref().is_some_and(|object| object.kind == Kind::Table)
                && Words::of(turn.statement.sql.text()).is(0, "CREATE");
            if created {
                own_tables.insert(key.clone());
            }
        }
        if let Some(ColumnChange::Added { table, definition }) = &turn.statement.column {
            own_columns.insert((table.to_lowercase(), definition.column.name.to_lowercase()));
        }
    }
}

fn verdict(
    act: &Act<'_, '_>,
    turn: &Turn<'_, '_>,
    (own_tables, own_columns): (&BTreeSet<Key>, &BTreeSet<(String, String)>),
) -> Option<Problem> {
    let piece = &turn.statement.sql;
    let words = Words::of(piece.text());
    let verb = words.verb();
    let problem = |last: usize, message: String| {
        Some(Problem::new(Rule::Destructive, words.span(piece, verb, last), message).help(HELP))
    };
    let own = |name: &str| own_tables.contains(&Key::new(Kind::Table, name));
    if words.are(verb, &["DROP", "TABLE"]) {
        let at = if words.is(2, "IF") { 4 } else { 2 };
        let at = words.qualified(at);
        let name = words.name(at);
        let key = Key::new(Kind::Table, &name);
        let gone = turn.changes.iter().any(|(changed, object)| *changed == key && object.is_none());
        let first_name =
            act.script.deeds.renames.iter().rev().fold(name.to_lowercase(), |name, (from, to)| {
                if *to == name { from.clone() } else { name }
            });
        let meant = own(&name)
            || [name.to_lowercase(), first_name]
                .iter()
                .any(|name| act.script.rebuilt.contains(name))
            || is_taken_back(act, &key, None);
        return (gone && !meant)
            .then(|| problem(at, format!("dropping the table `{name}` deletes all of its rows")))
            .flatten();
    }
    if let Some(ColumnChange::Dropped { table, column }) = &turn.statement.column {
        let meant =
            own(table) || is_taken_back(act, &Key::new(Kind::Table, table), Some(column.as_str()));
        let first = words.outer(0, "DROP").unwrap_or(0);
        let last = (first..words.len()).find(|at| words.is_name(*at, column)).unwrap_or(first);
        return (!meant).then(|| {
            Problem::new(
                Rule::Destructive,
                words.span(piece, first, last),
                format!("dropping the column `{table}.{column}` deletes its values in every row"),
            )
            .help(HELP)
        });
    }
    if words.is(verb, "DELETE") && words.outer(verb, "WHERE").is_none() {
        let at = words.qualified(verb + 2);
        let name = words.name(at);
        let meant = own(&name) || !act.is_table(&name);
        return (!meant)
            .then(|| problem(at, format!("without `WHERE` this deletes every row of `{name}`")))
            .flatten();
    }
    if words.is(verb, "UPDATE") && words.outer(verb, "WHERE").is_none() {
        let at = words.qualified(if words.is(verb + 1, "OR") { verb + 3 } else { verb + 1 });
        let name = words.name(at);
        let table = name.to_lowercase();
        // A column that the block has just added holds nothing that could be lost.
        let fills = targets(&words, at).is_some_and(|names| {
            names.into_iter().all(|column| own_columns.contains(&(table.clone(), column)))
        });
        let meant = own(&name) || fills || !act.is_table(&name);
        return (!meant)
            .then(|| problem(at, format!("without `WHERE` this changes every row of `{name}`")))
            .flatten();
    }
    None
}

/// Whether a reverse block takes away what was not there at the version that it leads to.
fn is_taken_back(act: &Act<'_, '_>, table: &Key, column: Option<&str>) -> bool {
    let Direction::Down(_, _, target) = act.direction else { return false };
    match (target.get(table), column) {
        (None, _) => true,
        (Some(object), Some(column)) => object.structure.column(column).is_none(),
        (Some(_), None) => false,
    }
}

/// The columns, in lower case, that an UPDATE of the table named at a token sets; none if one is
/// not plain.
fn targets(words: &Words<'_>, table: usize) -> Option<Vec<String>> {
    let set = words.outer(table, "SET")?;
    let end = words.outer(set, "FROM").unwrap_or(words.len());
    let mut found = Vec::new();
    for at in set..end {
        if words.depth(at) == 0 && (at == set || words.is(at, ",")) {
            if words.is(at + 1, "(") {
                return None;
            }
            found.push(words.name(at + 1).to_lowercase());
        }
    }
    Some(found)
}
