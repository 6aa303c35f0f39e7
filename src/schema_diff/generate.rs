//! The statements that lead from one schema to another and keep the rows: what has to go first
//! goes first, tables come by what they refer to, indexes, views and triggers after them. Whether
//! SQLite can alter a table is asked of SQLite, on an empty copy in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::database::connection::harden;
use crate::schema;
use crate::schema::{Kind, Object, Schema};
use crate::schema_diff::rebuild::{Rebuild, can_be_added};
use crate::schema_diff::statement::{guarded, in_order, is_virtual, mentions, written_name};
use crate::schema_diff::{Way, WayError, compare, statement};
use crate::sql::create_table::Definition;

/// What becomes of a table that is there before and after.
enum Change<'s> {
    Alter { table: &'s Arc<Object>, statements: Vec<String>, drops: Vec<String> },
    Rebuild { old: &'s Arc<Object>, new: &'s Arc<Object> },
    Module { old: &'s Arc<Object>, new: &'s Arc<Object> },
}

impl Change<'_> {
    fn table(&self) -> &str {
        match self {
            Self::Alter { table, .. } => &table.name,
            Self::Rebuild { old, .. } | Self::Module { old, .. } => &old.name,
        }
    }

    /// Whether everything that hangs on the table goes with it.
    fn replaces(&self) -> bool {
        !matches!(self, Self::Alter { .. })
    }

    /// Whether statements elsewhere that speak of the table would be in the way.
    fn disturbs(&self) -> bool {
        match self {
            Self::Alter { drops, .. } => !drops.is_empty(),
            Self::Rebuild { .. } | Self::Module { .. } => true,
        }
    }
}

struct Generator<'s> {
    before: &'s Schema,
    after: &'s Schema,
    /// An empty copy of the tables as they were.
    scratch: Connection,
    /// Each with its statements, blank lines between them.
    paragraphs: Vec<String>,
    remarks: Vec<String>,
    /// What is destroyed, each in words.
    destroyed: Vec<String>,
    /// Virtual tables that are dropped once their rows are elsewhere.
    copied: Vec<String>,
    adds_columns: bool,
    /// Whether rows may be there that the new schema refuses.
    narrows: bool,
}

pub(crate) fn way(before: &Schema, after: &Schema) -> Result<Way, WayError> {
    let mut generator = Generator {
        before,
        after,
        scratch: scratch(before, after)?,
        paragraphs: Vec::new(),
        remarks: Vec::new(),
        destroyed: Vec::new(),
        copied: Vec::new(),
        adds_columns: false,
        narrows: false,
    };
    generator.run()?;
    Ok(generator.finish())
}

/// The tables of a schema in memory, with the indexes that stay.
fn scratch(before: &Schema, after: &Schema) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    harden(&connection)?;
    for table in in_order(before.values().filter(|object| object.kind == Kind::Table)) {
        make(&connection, table);
    }
    for (key, index) in before.iter().filter(|(_, object)| object.kind == Kind::Index) {
        if after.get(key).is_some_and(|now| compare::same(index, now)) {
            make(&connection, index);
        }
    }
    Ok(connection)
}

/// Makes an object. One that SQLite refuses is not there; what asks for it finds that out.
fn make(connection: &Connection, object: &Object) {
    if let Ok(mut statement) = connection.prepare(&statement::whole(&object.sql)) {
        let _ = statement.raw_execute();
    }
}

impl<'s> Generator<'s> {
    fn run(&mut self) -> Result<(), WayError> {
        let (before, after) = (self.before, self.after);
        let stays = |object: &Object, other: &Schema| {
            other.get(&object.key()).is_some_and(|known| known.kind == object.kind)
        };
        let tables =
            |schema: &'s Schema| schema.values().filter(|object| object.kind == Kind::Table);
        let dropped: Vec<_> = tables(before).filter(|table| !stays(table, after)).collect();
        let created = in_order(tables(after).filter(|table| !stays(table, before)));
        let kept = tables(after).filter(|table| stays(table, before));
        let mut changes = Vec::new();
        for new in in_order(kept) {
            let old = &before[&new.key()];
            if !compare::same(old, new) {
                changes.push(self.change(old, new)?);
            }
        }
        let lifted = self.lifted(&changes, &dropped);
        self.drop_what_hangs(&lifted, &changes, &dropped);
        for table in dropped.iter().rev() {
            self.drop_table(table, &created);
        }
        for table in &created {
            self.paragraphs.push(guarded(&table.sql));
            self.fill_module(table);
        }
        for change in &changes {
            self.write(change);
        }
        self.make_what_hangs(&lifted, &changes);
        Ok(())
    }

    /// Views and triggers that are gone, different, or in the way of a change; in lower case.
    fn lifted(&self, changes: &[Change<'_>], dropped: &[&Arc<Object>]) -> BTreeSet<schema::Key> {
        let mut disturbed: BTreeSet<String> = changes
            .iter()
            .filter(|change| change.disturbs())
            .map(|change| change.table().to_ascii_lowercase())
            .collect();
        // SQLite reads every view and trigger again when it alters a table.
        let alters = !disturbed.is_empty();
        if alters {
            disturbed.extend(dropped.iter().map(|table| table.name.to_ascii_lowercase()));
        }
        let mut lifted = BTreeSet::new();
        let mut views = BTreeSet::new();
        loop {
            let known = lifted.len();
            for (key, object) in self.before {
                if !matches!(object.kind, Kind::View | Kind::Trigger) || lifted.contains(key) {
                    continue;
                }
                let stays = self.after.get(key).is_some_and(|now| compare::same(object, now));
                let on_view = views.contains(&object.table.to_ascii_lowercase());
                if !stays || mentions(object, &disturbed) || object.kind == Kind::Trigger && on_view
                {
                    lifted.insert(key.clone());
                    if object.kind == Kind::View {
                        views.insert(object.name.to_ascii_lowercase());
                        if alters {
                            disturbed.insert(object.name.to_ascii_lowercase());
                        }
                    }
                }
            }
            if lifted.len() == known {
                return lifted;
            }
        }
    }

    /// Drops triggers, views and indexes. What goes with its table and comes again is not named.
    fn drop_what_hangs(
        &mut self,
        lifted: &BTreeSet<schema::Key>,
        changes: &[Change<'_>],
        dropped: &[&Arc<Object>],
    ) {
        let is = |name: &str, object: &Object| name.eq_ignore_ascii_case(&object.table);
        let mut lines = Vec::new();
        for kind in [Kind::Trigger, Kind::View, Kind::Index] {
            for (key, object) in self.before.iter().filter(|(_, object)| object.kind == kind) {
                let now = self.after.get(key).filter(|now| now.kind == kind);
                let same = now.is_some_and(|now| compare::same(object, now));
                let goes = match kind {
                    Kind::Index => !same,
                    _ => lifted.contains(key),
                };
                let with_table = kind != Kind::View
                    && (dropped.iter().any(|table| is(&table.name, object))
                        || same && changes.iter().any(|c| c.replaces() && is(c.table(), object)));
                if goes && !with_table {
                    let kind = kind.to_string().to_uppercase();
                    lines.push(format!("DROP {kind} IF EXISTS {};", written_name(object)));
                }
            }
        }
        if !lines.is_empty() {
            self.paragraphs.push(lines.join("\n"));
        }
    }

    fn drop_table(&mut self, table: &Object, created: &[&Arc<Object>]) {
        let name = written_name(table);
        let columns = |table: &Object| -> BTreeSet<String> {
            table.columns().map(str::to_ascii_lowercase).collect()
        };
        for new in created.iter().filter(|new| columns(new) == columns(table)) {
            self.paragraphs.push(comment(&format!(
                "if `{}` is `{}` under a new name, write `ALTER TABLE {name} RENAME TO {};` instead: it keeps the rows",
                new.name, table.name, written_name(new)
            )));
        }
        self.destroyed.push(format!("the rows of `{}`", table.name));
        self.paragraphs.push(format!("DROP TABLE IF EXISTS {name};"));
    }

    /// How a table that differs is changed.
    fn change(&self, old: &'s Arc<Object>, new: &'s Arc<Object>) -> Result<Change<'s>, WayError> {
        if is_virtual(old) || is_virtual(new) {
            if !is_virtual(old) || !is_virtual(new) || !can_be_copied(old) {
                return Err(WayError::Virtual { table: new.name.clone() });
            }
            return Ok(Change::Module { old, new });
        }
        let (before, after) = (Definition::read(&old.sql), Definition::read(&new.sql));
        let table = written_name(old);
        let gone = before.columns.iter().filter(|c| after.column(&c.rules.name).is_none());
        let drops: Vec<String> =
            gone.map(|column| statement::first_word(&column.text).to_owned()).collect();
        let mut statements: Vec<String> = drops
            .iter()
            .map(|column| format!("ALTER TABLE {table} DROP COLUMN {column};"))
            .collect();
        for column in after.columns.iter().filter(|c| before.column(&c.rules.name).is_none()) {
            if !can_be_added(&after, &column.rules) {
                return Ok(Change::Rebuild { old, new });
            }
            statements
                .push(statement::whole(&format!("ALTER TABLE {table} ADD COLUMN {}", column.text)));
        }
        if !statements.is_empty() && self.leads(&statements, new)? {
            return Ok(Change::Alter { table: old, statements, drops });
        }
        Ok(Change::Rebuild { old, new })
    }

    /// Whether statements make the table of the scratch database what it is to be.
    fn leads(&self, statements: &[String], new: &Object) -> rusqlite::Result<bool> {
        self.scratch.execute_batch("SAVEPOINT trial")?;
        let ran = statements.iter().all(|sql| self.scratch.execute_batch(sql).is_ok());
        let made = schema::read(&self.scratch)?;
        let leads = ran && made.get(&new.key()).is_some_and(|made| compare::same(made, new));
        self.scratch.execute_batch("ROLLBACK TO trial; RELEASE trial")?;
        Ok(leads)
    }

    fn write(&mut self, change: &Change<'_>) {
        match change {
            Change::Alter { table, statements, drops } => {
                self.adds_columns = true;
                let new = &self.after[&table.key()];
                self.renamed_columns(table, new);
                for column in drops {
                    self.destroyed.push(format!("the values of `{}.{column}`", table.name));
                }
                self.paragraphs.push(statements.join("\n"));
            }
            Change::Rebuild { old, new } => {
                let working_name = self.working_name(new);
                let text = Rebuild { old, new, working_name }.text(&self.scratch);
                self.renamed_columns(old, new);
                let mut lines: Vec<String> = std::iter::once(format!(
                    "SQLite cannot alter `{}` in place, so it is made anew. {}",
                    new.name,
                    compare::reasons(old, new).join("; ")
                ))
                .chain(text.remarks.iter().map(|remark| format!("CHECK THIS: {remark}")))
                .map(|line| comment(&line))
                .collect();
                lines.extend(text.statements);
                self.paragraphs.push(lines.join("\n"));
                self.remarks.extend(text.remarks);
                self.narrows |= narrows(old, new);
            }
            Change::Module { old, new } => self.write_module(old, new),
        }
    }

    /// A column that goes while another comes may be the same one.
    fn renamed_columns(&mut self, old: &Object, new: &Object) {
        let (before, after) = (Definition::read(&old.sql), Definition::read(&new.sql));
        for gone in before.columns.iter().filter(|c| after.column(&c.rules.name).is_none()) {
            let alike = after.columns.iter().filter(|column| {
                before.column(&column.rules.name).is_none()
                    && column.rules.declared_type == gone.rules.declared_type
            });
            for column in alike {
                let (from, to) =
                    (statement::first_word(&gone.text), statement::first_word(&column.text));
                let hint = format!(
                    "if `{to}` is `{from}` under a new name, write `ALTER TABLE {} RENAME COLUMN {from} TO {to};` instead: it keeps the values",
                    written_name(old)
                );
                self.remarks.push(format!("table `{}`: {hint}", new.name));
                self.paragraphs.push(comment(&hint));
            }
        }
    }

    /// A name that no table has.
    fn working_name(&self, table: &Object) -> String {
        let taken = |name: &str| {
            let key = schema::Key::new(Kind::Table, name);
            self.before.contains_key(&key) || self.after.contains_key(&key)
        };
        let mut name = format!("{}_new", table.name);
        while taken(&name) {
            name.push('_');
        }
        if written_name(table) == table.name { name } else { crate::sql::lexer::quote(&name) }
    }

    /// A virtual table made anew: dropped, made, and filled from a copy or from its content table.
    fn write_module(&mut self, old: &Object, new: &Object) {
        let name = written_name(old);
        self.copied.push(format!("`{}`", old.name));
        let mut lines =
            vec![comment(&format!("`{}` is a virtual table: it is made anew", new.name))];
        if content_table(new).is_some() {
            lines.push(format!("DROP TABLE IF EXISTS {name};"));
            lines.push(guarded(&new.sql));
            self.paragraphs.push(lines.join("\n"));
            self.fill_module(new);
            return;
        }
        let working = self.working_name(new);
        let columns: Vec<String> = new
            .columns()
            .filter(|column| old.has_column(column))
            .filter(|column| {
                let hidden = |table: &Object| {
                    table.structure.column(column).is_some_and(|column| column.hidden != 0)
                };
                !hidden(old) && !hidden(new)
            })
            .map(crate::sql::lexer::quote)
            .collect();
        let row_id = if statement::module(new).0.starts_with("fts") { "rowid, " } else { "" };
        let columns = columns.join(", ");
        lines.push(statement::renamed(new, &working));
        lines.push(format!(
            "INSERT INTO {working} ({row_id}{columns})\nSELECT {row_id}{columns}\nFROM {name};"
        ));
        lines.push(format!("DROP TABLE {name};"));
        lines.push(format!("ALTER TABLE {working} RENAME TO {};", written_name(new)));
        self.paragraphs.push(lines.join("\n"));
    }

    /// A full-text index over a table that holds rows already begins empty.
    fn fill_module(&mut self, table: &Object) {
        let (module, _) = statement::module(table);
        let has_content = content_table(table).is_some_and(|content| !content.is_empty());
        if is_virtual(table) && module == "fts5" && has_content {
            let name = written_name(table);
            self.paragraphs.push(format!("INSERT INTO {name} ({name}) VALUES ('rebuild');"));
        }
    }

    /// Makes indexes, views and triggers: new ones, different ones, and those that went.
    fn make_what_hangs(&mut self, lifted: &BTreeSet<schema::Key>, changes: &[Change<'_>]) {
        for kind in [Kind::Index, Kind::View, Kind::Trigger] {
            let objects = in_order(self.after.values().filter(|object| object.kind == kind));
            let mut lines = Vec::new();
            for object in objects {
                let key = object.key();
                let old = self.before.get(&key).filter(|old| old.kind == kind);
                let same = old.is_some_and(|old| compare::same(old, object));
                let went = changes.iter().any(|change| {
                    change.replaces() && change.table().eq_ignore_ascii_case(&object.table)
                });
                if !same || went && kind != Kind::View || lifted.contains(&key) {
                    lines.push(guarded(&object.sql));
                    let table = schema::Key::new(Kind::Table, &object.table);
                    self.narrows |= !same
                        && kind == Kind::Index
                        && object.is_unique_index()
                        && self.before.contains_key(&table);
                }
            }
            if !lines.is_empty() {
                self.paragraphs.push(lines.join("\n"));
            }
        }
    }

    fn finish(mut self) -> Way {
        let mut allows = Vec::new();
        let mut reasons = Vec::new();
        if !self.destroyed.is_empty() {
            let what = self.destroyed.join(", ");
            reasons.push(format!("the new schema does without: {what}"));
            self.remarks.push(format!("this deletes {what}"));
        }
        if !self.copied.is_empty() {
            reasons.push(format!("nothing is lost with the old {}", self.copied.join(", ")));
        }
        if !reasons.is_empty() {
            allows.push(comment(&format!("tatmig:allow destructive {}", reasons.join("; "))));
        }
        if self.adds_columns {
            allows.push(comment(
                "tatmig:allow not-rerunnable a column that is there, or gone, before this runs counts as done",
            ));
        }
        if self.narrows {
            allows.push(comment(
                "tatmig:allow constraint a database with rows that the new schema refuses is left as it was",
            ));
            self.remarks.push(
                "rows that the new schema refuses stop the upgrade of their database".to_owned(),
            );
        }
        if !allows.is_empty() && !self.paragraphs.is_empty() {
            self.paragraphs.insert(0, allows.join("\n"));
        }
        Way { sql: self.paragraphs.join("\n\n"), remarks: self.remarks }
    }
}

/// A line of comment: whatever a name holds, it stays one.
fn comment(text: &str) -> String {
    // A bracket could begin a tag.
    let plain = |c: char| match c {
        '[' => '(',
        ']' => ')',
        c if c.is_control() => ' ',
        c => c,
    };
    let text: String = text.chars().map(plain).collect();
    let text = text.replace('→', " to ").replace("->", " to ").replace("=>", " to ");
    format!("-- {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether there may be rows that the old table took and the new one refuses.
fn narrows(old: &Object, new: &Object) -> bool {
    let (before, after) = (Definition::read(&old.sql), Definition::read(&new.sql));
    let (old, new) = (&before.constraints, &after.constraints);
    let more = |old: &[String], new: &[String]| new.iter().any(|item| !old.contains(item));
    let unique_new = new.unique.iter().any(|(key, _)| !old.unique.iter().any(|(k, _)| k == key));
    let types = || {
        after.columns.iter().any(|column| {
            let known = before.column(&column.rules.name);
            known.is_some_and(|known| {
                known.rules.declared_type != column.rules.declared_type
                    || known.rules.collation != column.rules.collation
            })
        })
    };
    more(&old.checks, &new.checks)
        || unique_new
        || more(&old.foreign_keys, &new.foreign_keys)
        || old.primary_key != new.primary_key
        || more(&old.options, &new.options)
        || types()
}

/// The table or view whose rows an FTS table indexes; empty text for none at all.
fn content_table(table: &Object) -> Option<String> {
    let (_, arguments) = statement::module(table);
    arguments.iter().find_map(|argument| {
        let (name, value) = argument.split_once('=')?;
        (name.trim() == "content").then(|| value.trim().trim_matches('\'').to_owned())
    })
}

/// Whether the rows of a virtual table can be read back as they were put in.
fn can_be_copied(table: &Object) -> bool {
    let (module, _) = statement::module(table);
    let known = module.starts_with("fts") || module.starts_with("rtree");
    known && content_table(table).is_none_or(|content| !content.is_empty())
}
