//! The difference between two schemas: what migrations must have done to a database, whatever else
//! it holds, and in what a database differs from what it should be, each in words.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::schema::{ForeignKey, Key, Kind, Object, Schema, Table, read_rows};
use crate::sql::lexer;

/// What migrations must have done to a database, whatever else it holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    /// Objects that were made, or made anew.
    present: Vec<Arc<Object>>,
    /// Objects that were removed.
    absent: Vec<(Key, Kind, String)>,
    /// Columns and keys that a table gained: the table as it should be, and the names gained.
    gained: Vec<(Arc<Object>, Vec<String>)>,
    /// Columns that a table lost.
    lost: Vec<(String, String)>,
    /// Columns that must be there, however they are declared.
    named: Vec<(String, String)>,
}

/// What a run renames, and what it makes; the rest of a difference SQLite rewrote to fit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deeds {
    /// Tables renamed, old and new name in lower case, in order.
    pub(crate) renames: Vec<(String, String)>,
    /// Columns under their new names, each with its table as it was called then.
    pub(crate) renamed_columns: Vec<(String, String)>,
    /// Indexes, views and triggers that statements made, in lower case.
    pub(crate) made: BTreeSet<String>,
}

impl Deeds {
    /// The name that a table had before.
    fn first_name(&self, name: &str) -> String {
        let back = self.renames.iter().rev();
        back.fold(name.to_owned(), |name, (from, to)| if *to == name { from.clone() } else { name })
    }
}

impl Effects {
    /// The difference from one schema to another, by deeds that may have renamed things: what was
    /// only rewritten on the way may have been different before, and is nobody's effect.
    pub(crate) fn of(deeds: &Deeds, before: &Schema, after: &Schema) -> Self {
        // Every renamed table is looked at as if it had had its new name before.
        let mut old = before.clone();
        for (key, object) in after.iter().filter(|(_, object)| object.kind == Kind::Table) {
            let first = Key { trigger: false, name: deeds.first_name(&key.name) };
            if first != *key
                && let Some(table) = old.remove(&first)
            {
                let renamed = Object { name: object.name.clone(), ..Object::clone(&table) };
                old.insert(key.clone(), Arc::new(renamed));
            }
        }
        let mut effects = Self::between(&old, after);
        effects.present.retain(|object| {
            object.kind == Kind::Table
                || deeds.made.contains(&object.name.to_ascii_lowercase())
                || !old.contains_key(&object.key())
        });
        // Of a column that got a new name only the name is an effect.
        for (table, names) in &mut effects.gained {
            let renamed = |name: &String| {
                let name = name.to_ascii_lowercase();
                deeds.renamed_columns.iter().any(|(of, column)| {
                    let now = table.name.to_ascii_lowercase();
                    *column == name && (*of == now || *of == deeds.first_name(&now))
                })
            };
            let (named, gained) = std::mem::take(names).into_iter().partition(renamed);
            *names = gained;
            effects.named.extend(Vec::into_iter(named).map(|column| (table.name.clone(), column)));
        }
        // A renamed table is there under its new name, whatever its columns are.
        for (key, object) in after.iter().filter(|(_, object)| object.kind == Kind::Table) {
            if deeds.renames.iter().any(|(_, to)| *to == key.name) {
                effects.gained.push((object.clone(), Vec::new()));
            }
        }
        for (from, _) in &deeds.renames {
            let key = Key { trigger: false, name: from.clone() };
            if let Some(object) = before.get(&key).filter(|_| !after.contains_key(&key)) {
                effects.absent.push((key, object.kind, object.name.clone()));
            }
        }
        effects
    }

    /// The difference from one schema to another.
    pub(crate) fn between(before: &Schema, after: &Schema) -> Self {
        let mut effects = Self::default();
        for (key, object) in after {
            match before.get(key) {
                Some(old) if old == object => {}
                Some(old) if old.kind == Kind::Table && object.kind == Kind::Table => {
                    let (old, new) = (&old.structure, &object.structure);
                    let gained = new
                        .columns
                        .iter()
                        .filter(|column| {
                            let definition = new.definition(&column.name);
                            let before = old.definition(&column.name);
                            !matches!((definition, before), (Some(new), Some(old)) if new.matches(&old))
                        })
                        .map(|column| column.name.clone())
                        .collect::<Vec<_>>();
                    let lost =
                        old.columns.iter().filter(|column| new.column(&column.name).is_none());
                    effects
                        .lost
                        .extend(lost.map(|column| (object.name.clone(), column.name.clone())));
                    if !gained.is_empty() {
                        effects.gained.push((object.clone(), gained));
                    }
                }
                None | Some(_) => effects.present.push(object.clone()),
            }
        }
        for (key, object) in before {
            if !after.contains_key(key) {
                effects.absent.push((key.clone(), object.kind, object.name.clone()));
            }
        }
        effects
    }

    /// Adds the tables that were dropped and made again, with all that hangs on them: in another
    /// database that may have been different.
    pub(crate) fn with_rebuilt<'n>(
        mut self,
        tables: impl Iterator<Item = &'n String>,
        after: &Schema,
    ) -> Self {
        for table in tables {
            let theirs = after.values().filter(|object| object.table.eq_ignore_ascii_case(table));
            for object in theirs {
                if !self.present.contains(object) {
                    self.present.push(object.clone());
                }
            }
        }
        self
    }

    /// What of the effects is not in the database, each in words. Empty: all is there.
    pub(crate) fn missing_from(&self, connection: &Connection) -> rusqlite::Result<Vec<String>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = || self.present.iter().chain(self.gained.iter().map(|(table, _)| table));
        let mut keys: BTreeSet<Key> = wanted().map(|object| object.key()).collect();
        keys.extend(self.absent.iter().map(|(key, ..)| key.clone()));
        let tables = self.lost.iter().chain(&self.named);
        keys.extend(tables.map(|(table, _)| Key::new(Kind::Table, table)));
        let mut found = read_rows(connection, |key| keys.contains(key))?;
        for object in wanted() {
            // Equal SQL is equal structure; only where the text differs is the structure read.
            if let Some(is) = found.get_mut(&object.key())
                && is.sql != object.sql
            {
                *is = is.clone().complete(connection)?;
            }
        }
        for (table, _) in self.lost.iter().chain(&self.named) {
            if let Some(is) = found.get_mut(&Key::new(Kind::Table, table)) {
                *is = is.clone().complete(connection)?;
            }
        }
        Ok(self.missing_in(|key| found.get(key)))
    }

    /// What of the effects is not in a schema, each in words.
    pub(crate) fn missing_in<'s>(&self, find: impl Fn(&Key) -> Option<&'s Object>) -> Vec<String> {
        let mut missing = Vec::new();
        for object in &self.present {
            match find(&object.key()) {
                None => missing.push(format!("{} `{}` is missing", object.kind, object.name)),
                Some(is) => object.lacks(is, &mut missing),
            }
        }
        for (table, names) in &self.gained {
            let is = find(&table.key());
            if is.is_some_and(|is| is.sql == table.sql) {
                continue;
            }
            let none = Table::default();
            if is.is_none() {
                missing.push(format!("table `{}` is missing", table.name));
                continue;
            }
            for name in names {
                compare_column(table, name, is.map_or(&none, |is| &is.structure), &mut missing);
            }
        }
        for (key, kind, name) in &self.absent {
            if find(key).is_some() {
                missing.push(format!("{kind} `{name}` is still there"));
            }
        }
        for (table, column) in &self.named {
            let is = find(&Key::new(Kind::Table, table));
            if is.is_none_or(|is| is.structure.column(column).is_none()) {
                missing.push(format!("column `{table}.{column}` is missing"));
            }
        }
        for (table, column) in &self.lost {
            let is = find(&Key::new(Kind::Table, table));
            if is.is_some_and(|is| is.structure.column(column).is_some()) {
                missing.push(format!("column `{table}.{column}` is still there"));
            }
        }
        missing
    }

    /// What of the effects a schema has, and what not, each in words.
    pub(crate) fn evidence<'s>(
        &self,
        find: impl Fn(&Key) -> Option<&'s Object>,
    ) -> (Vec<String>, Vec<String>) {
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        let mut judge = |what: String, lacking: Vec<String>| {
            if lacking.is_empty() { there.push(what) } else { missing.extend(lacking) }
        };
        for object in &self.present {
            let alone = Self { present: vec![object.clone()], ..Self::default() };
            judge(format!("{} `{}`", object.kind, object.name), alone.missing_in(&find));
        }
        for (table, names) in &self.gained {
            for name in names {
                let gained = vec![(table.clone(), vec![name.clone()])];
                let alone = Self { gained, ..Self::default() };
                judge(format!("column `{}.{name}`", table.name), alone.missing_in(&find));
            }
        }
        // That something is not there is evidence only beside something that is.
        let gone = Self { absent: self.absent.clone(), lost: self.lost.clone(), ..Self::default() };
        let lacking = gone.missing_in(&find);
        if !gone.is_empty() && (lacking.is_empty() || !there.is_empty()) {
            let what = gone.absent.iter().map(|(_, kind, name)| format!("no {kind} `{name}`"));
            let columns =
                gone.lost.iter().map(|(table, name)| format!("no column `{table}.{name}`"));
            let what: Vec<String> = what.chain(columns).collect();
            if lacking.is_empty() { there.extend(what) } else { missing.extend(lacking) }
        }
        (there, missing)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.present.is_empty()
            && self.absent.is_empty()
            && self.gained.is_empty()
            && self.lost.is_empty()
            && self.named.is_empty()
    }
}

impl Object {
    /// In what another object of the name falls short of this one, whatever else it has.
    pub(crate) fn lacks(&self, is: &Self, missing: &mut Vec<String>) {
        let (kind, name) = (self.kind, &self.name);
        if is.kind != kind {
            missing.push(format!("`{name}` is a {}, not a {kind}", is.kind));
            return;
        }
        let same_text =
            is.sql == self.sql || lexer::canonical(&is.sql) == lexer::canonical(&self.sql);
        if same_text && is.table.eq_ignore_ascii_case(&self.table) {
            return;
        }
        match (kind, &self.index, &is.index) {
            (Kind::Table, ..) if !self.structure.columns.is_empty() => {
                for column in &self.structure.columns {
                    compare_column(self, &column.name, &is.structure, missing);
                }
                if let Some(key) = self.structure.composite_key_not_in(&is.structure) {
                    missing.push(format!("table `{name}` has no foreign key {key}"));
                }
            }
            (Kind::Index, Some(index), Some(other)) if index.is_plain() => {
                if other != index || !is.table.eq_ignore_ascii_case(&self.table) {
                    missing.push(format!("index `{name}` is different: `{}`", is.sql));
                }
            }
            _ => missing.push(format!("{kind} `{name}` is different")),
        }
    }

    /// In what another object of the name differs from this one, either way.
    fn differences(&self, is: &Self, found: &mut Vec<String>) {
        self.lacks(is, found);
        if self.kind != Kind::Table || is.kind != Kind::Table {
            return;
        }
        let name = &self.name;
        for column in &is.structure.columns {
            if self.structure.column(&column.name).is_none() {
                found.push(format!("column `{name}.{}` is not expected", column.name));
            }
        }
        if let Some(key) = is.structure.composite_key_not_in(&self.structure) {
            found.push(format!("foreign key `{name}` {key} is not expected"));
        }
    }
}

impl Table {
    /// A foreign key of several columns that another table has not; those of one column belong
    /// to their column.
    fn composite_key_not_in(&self, other: &Self) -> Option<&ForeignKey> {
        self.foreign_keys
            .iter()
            .filter(|key| key.columns.len() > 1)
            .find(|key| !other.foreign_keys.iter().any(|k| k.matches(key)))
    }
}

fn compare_column(expected: &Object, name: &str, actual: &Table, missing: &mut Vec<String>) {
    let table = &expected.name;
    let Some(wanted) = expected.structure.definition(name) else { return };
    match actual.definition(name) {
        None => missing.push(format!("column `{table}.{name}` is missing ({wanted})")),
        Some(found) if wanted.matches(&found) => {}
        Some(found) => {
            missing.push(format!("column `{table}.{name}` is `{found}`, not `{wanted}`"));
        }
    }
}

/// In what two schemas differ, each in words, whatever their SQL's spelling and the order of
/// columns: `is` is held against `should`.
pub(crate) fn differences(should: &Schema, is: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for (key, expected) in should {
        match is.get(key) {
            None => found.push(format!("{} `{}` is missing", expected.kind, expected.name)),
            Some(object) => expected.differences(object, &mut found),
        }
    }
    for object in is.iter().filter(|(key, _)| !should.contains_key(key)).map(|(_, object)| object) {
        found.push(format!("{} `{}` is not expected", object.kind, object.name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn of_a_renamed_column_the_name_is_the_effect() {
        let of = |sql: &str| {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(sql).unwrap();
            connection
        };
        let schema = |sql: &str| schema::read(&of(sql)).unwrap();
        let renamed_columns = vec![("t".to_owned(), "b".to_owned())];
        let deeds = Deeds { renamed_columns, ..Deeds::default() };
        let effects = Effects::of(
            &deeds,
            &schema("CREATE TABLE t (a TEXT)"),
            &schema("CREATE TABLE t (b TEXT)"),
        );
        let missing = |sql: &str| effects.missing_from(&of(sql)).unwrap();
        assert!(missing("CREATE TABLE t (b INTEGER DEFAULT 7)").is_empty());
        assert_eq!(missing("CREATE TABLE t (c TEXT)"), ["column `t.b` is missing"]);
        let both = ["column `t.b` is missing", "column `t.a` is still there"];
        assert_eq!(missing("CREATE TABLE t (a TEXT)"), both);
    }
}
