//! Foreign keys that SQLite cannot use, and those whose parent table is not there, each told once:
//! where the key is declared, or where its parent was taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::database::foreign_keys::usable;
use crate::document::diagnostic::{Problem, Rule};
use crate::lint::context::{Act, Made, Turn};
use crate::lint::sandbox::Stage;
use crate::schema::{ForeignKey, Key, Kind, Object, Table};
use crate::source::Piece;
use crate::sql::tokens::{Words, span_of_name};

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Mismatch,
    NoParent,
}

/// The foreign keys that are broken, by child table and key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    broken: BTreeMap<(Key, String), Fault>,
}

impl Keys {
    /// Looks at the keys that a block may have changed.
    pub(crate) fn judge(
        &mut self,
        stage: &Stage,
        (act, made): (&Act<'_, '_>, &Made),
        problems: &mut Vec<Problem>,
    ) -> rusqlite::Result<()> {
        let changed = changed_tables(stage, act);
        if changed.is_empty() {
            return Ok(());
        }
        let mut broken = BTreeMap::new();
        for (child_key, child) in stage.schema() {
            for foreign in &child.structure.foreign_keys {
                let parent = Key::new(Kind::Table, &foreign.parent);
                let id = (child_key.clone(), foreign.to_string());
                let known = self.broken.get(&id).copied();
                let fault = if changed.contains(child_key) || changed.contains(&parent) {
                    match usable(stage.connection(), foreign)? {
                        Some(Some(_)) => None,
                        Some(None) => Some(Fault::NoParent),
                        None => Some(Fault::Mismatch),
                    }
                } else {
                    known
                };
                let Some(fault) = fault else { continue };
                if known != Some(fault) {
                    let at = culprit(act, (child_key, &parent), foreign);
                    problems.extend(at.map(|turn| {
                        let label = made.get(child_key).filter(|_| !changes(turn, child_key));
                        problem(stage, turn, (child, foreign, fault), label.cloned())
                    }));
                }
                broken.insert(id, fault);
            }
        }
        self.broken = broken;
        Ok(())
    }
}

/// The tables that a block changed, and those whose indexes it changed.
fn changed_tables(stage: &Stage, act: &Act<'_, '_>) -> BTreeSet<Key> {
    let mut found = BTreeSet::new();
    for (key, object) in act.turns.iter().flat_map(|turn| &turn.changes) {
        let objects = [object.as_ref(), act.before.get(key), stage.schema().get(key)];
        let tables = objects.into_iter().flatten();
        found.extend(tables.map(|object| Key::new(Kind::Table, &object.table)));
        found.insert(key.clone());
    }
    found
}

fn changes(turn: &Turn<'_, '_>, table: &Key) -> bool {
    turn.changes.iter().any(|(key, _)| key == table)
}

/// The statement that broke a key: the one that declared it if the block did, else the last one
/// that did something to its parent.
fn culprit<'t, 's, 'a>(
    act: &'t Act<'s, 'a>,
    (child, parent): (&Key, &Key),
    foreign: &ForeignKey,
) -> Option<&'t Turn<'s, 'a>> {
    let declared_before =
        act.before.get(child).is_some_and(|object| object.structure.foreign_keys.contains(foreign));
    let last = |is: &dyn Fn(&Turn<'_, '_>) -> bool| act.turns.iter().rfind(|turn| is(turn));
    let by_child = || last(&|turn| changes(turn, child));
    let by_parent = || {
        last(&|turn| {
            turn.changes.iter().any(|(key, object)| {
                let before = act.before.get(key);
                let mut objects = object.iter().chain(before);
                key == parent || objects.any(|o| Key::new(Kind::Table, &o.table) == *parent)
            })
        })
    };
    let found = if declared_before { by_parent().or_else(by_child) } else { by_child() };
    found.or(act.turns.last())
}

fn problem(
    stage: &Stage,
    turn: &Turn<'_, '_>,
    (child, foreign, fault): (&Object, &ForeignKey, Fault),
    declared: Option<Range<usize>>,
) -> Problem {
    let statement = &turn.statement.sql;
    let (name, parent) = (&child.name, &foreign.parent);
    let columns = foreign.columns.join(", ");
    let span = reference(statement, foreign).unwrap_or_else(|| span_of_name(statement, parent));
    let (message, help) = match (fault, &declared) {
        (Fault::NoParent, Some(_)) => (
            format!(
                "this takes away the table `{parent}`, to which `{name} ({columns})` refers: the rows of `{name}` would be orphans"
            ),
            format!(
                "drop `{name}` as well, or rebuild it without the key; where it holds rows, the run fails its check of the foreign keys"
            ),
        ),
        (Fault::NoParent, None) => (
            format!("`{name} ({columns})` refers to the table `{parent}`, which is not there"),
            format!(
                "make `{parent}` in this block, or mend its name; where foreign keys are on, no row can be put into `{name}`"
            ),
        ),
        (Fault::Mismatch, _) => (
            format!(
                "`{name} ({columns})` refers to {}: a foreign key mismatch",
                target(stage, foreign)
            ),
            format!(
                "refer to the primary key of `{parent}`, or make a unique index on what is referred to; where foreign keys are on, writing to `{name}` fails"
            ),
        ),
    };
    let problem = Problem::new(Rule::BrokenForeignKey, span, message).help(help);
    match declared {
        Some(declared) => problem.related(declared, "the table that refers to it"),
        None => problem,
    }
}

/// What is wrong with what a key refers to, in words.
fn target(stage: &Stage, foreign: &ForeignKey) -> String {
    let parent = &foreign.parent;
    let table = stage
        .schema()
        .get(&Key::new(Kind::Table, parent))
        .map_or_else(Table::default, |object| object.structure.clone());
    if foreign.parent_columns.is_empty() {
        return format!("the primary key of `{parent}`, which has not as many columns");
    }
    match foreign.parent_columns.iter().find(|column| table.column(column).is_none()) {
        Some(missing) => format!("`{parent}.{missing}`, which is not there"),
        None => {
            format!("`{parent} ({})`, which is not unique", foreign.parent_columns.join(", "))
        }
    }
}

/// The `REFERENCES` clause of a key, if the statement declares it.
fn reference(statement: &Piece<'_>, foreign: &ForeignKey) -> Option<Range<usize>> {
    let words = Words::of(statement.text());
    (0..words.len()).find_map(|at| {
        if !words.is(at, "REFERENCES") || !words.is_name(at + 1, &foreign.parent) {
            return None;
        }
        let has_columns = words.is(at + 2, "(");
        let last = if has_columns { words.behind(at + 2) - 1 } else { at + 1 };
        let named: Vec<String> = (at + 3..last)
            .filter(|at| !words.is(*at, ","))
            .map(|at| words.name(at).to_lowercase())
            .collect();
        let wanted = foreign.parent_columns.iter().map(|name| name.to_lowercase());
        named.into_iter().eq(wanted).then(|| words.span(statement, at, last))
    })
}
