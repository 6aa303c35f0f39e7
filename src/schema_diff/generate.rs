//! The statements that lead from one schema to another and keep the rows: what has to go first
//! goes first, tables come by what they refer to, indexes, views and triggers after them. Whether
//! SQLite can alter a table is asked of SQLite, on an empty copy in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::Connection;

use crate::database::connection::apply_security_settings;
use crate::schema;
use crate::schema::{Object, ObjectKind, Schema};
use crate::schema_diff::rebuild::{Rebuild, can_add_column};
use crate::schema_diff::statement::{
    is_virtual_table, mentions, sort_by_dependency, with_if_not_exists, written_name,
};
use crate::schema_diff::{DiffError, SchemaDiff, compare, statement};
use crate::sql::create_table::TableDefinition;
use crate::sql::lexer;

/// What becomes of a table that is there before and after.
enum TableChange<'s> {
    Alter { table: &'s Arc<Object>, statements: Vec<String>, dropped_columns: Vec<String> },
    Rebuild { old: &'s Arc<Object>, new: &'s Arc<Object> },
    RecreateVirtual { old: &'s Arc<Object>, new: &'s Arc<Object> },
}

impl TableChange<'_> {
    fn table_name(&self) -> &str {
        match self {
            Self::Alter { table, .. } => &table.name,
            Self::Rebuild { old, .. } | Self::RecreateVirtual { old, .. } => &old.name,
        }
    }

    /// Whether everything that hangs on the table goes with it.
    fn drops_table(&self) -> bool {
        !matches!(self, Self::Alter { .. })
    }

    /// Whether statements elsewhere that speak of the table would be in the way.
    fn affects_dependents(&self) -> bool {
        match self {
            Self::Alter { dropped_columns, .. } => !dropped_columns.is_empty(),
            Self::Rebuild { .. } | Self::RecreateVirtual { .. } => true,
        }
    }
}

struct Generator<'s> {
    old_schema: &'s Schema,
    new_schema: &'s Schema,
    /// An empty copy of the tables as they were.
    sandbox: Connection,
    /// Each with its statements, blank lines between them.
    paragraphs: Vec<String>,
    warnings: Vec<String>,
    /// What is destroyed, each in words.
    deleted_data: Vec<String>,
    /// Virtual tables that are dropped once their rows are elsewhere.
    copied_virtual_tables: Vec<String>,
    adds_columns: bool,
    /// Whether rows may be there that the new schema refuses.
    tightens_constraints: bool,
}

pub(crate) fn generate(old_schema: &Schema, new_schema: &Schema) -> Result<SchemaDiff, DiffError> {
    let mut generator = Generator {
        old_schema,
        new_schema,
        sandbox: create_sandbox(old_schema, new_schema)?,
        paragraphs: Vec::new(),
        warnings: Vec::new(),
        deleted_data: Vec::new(),
        copied_virtual_tables: Vec::new(),
        adds_columns: false,
        tightens_constraints: false,
    };
    generator.run()?;
    Ok(generator.finish())
}

/// The tables of a schema in memory, with the indexes that stay.
fn create_sandbox(old_schema: &Schema, new_schema: &Schema) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    apply_security_settings(&connection)?;
    for table in
        sort_by_dependency(old_schema.values().filter(|object| object.kind == ObjectKind::Table))
    {
        create_object(&connection, table);
    }
    for (key, index) in old_schema.iter().filter(|(_, object)| object.kind == ObjectKind::Index) {
        if new_schema.get(key).is_some_and(|new_index| compare::is_equivalent(index, new_index)) {
            create_object(&connection, index);
        }
    }
    Ok(connection)
}

/// Makes an object. One that SQLite refuses is not there; what asks for it finds that out.
fn create_object(connection: &Connection, object: &Object) {
    if let Ok(mut statement) = connection.prepare(&statement::complete_statement(&object.sql)) {
        let _ = statement.raw_execute();
    }
}

impl<'s> Generator<'s> {
    fn run(&mut self) -> Result<(), DiffError> {
        let (old_schema, new_schema) = (self.old_schema, self.new_schema);
        let exists_in = |object: &Object, other: &Schema| {
            other.get(&object.key()).is_some_and(|counterpart| counterpart.kind == object.kind)
        };
        let tables_of =
            |schema: &'s Schema| schema.values().filter(|object| object.kind == ObjectKind::Table);
        let dropped_tables: Vec<_> =
            tables_of(old_schema).filter(|table| !exists_in(table, new_schema)).collect();
        let created_tables =
            sort_by_dependency(tables_of(new_schema).filter(|table| !exists_in(table, old_schema)));
        let kept_tables = tables_of(new_schema).filter(|table| exists_in(table, old_schema));
        let mut changes = Vec::new();
        for new in sort_by_dependency(kept_tables) {
            let old = &old_schema[&new.key()];
            if !compare::is_equivalent(old, new) {
                changes.push(self.choose_change(old, new)?);
            }
        }
        let dependents = self.dependents_to_recreate(&changes, &dropped_tables);
        self.drop_dependents(&dependents, &changes, &dropped_tables);
        for table in dropped_tables.iter().rev() {
            self.drop_table(table, &created_tables);
        }
        for table in &created_tables {
            self.paragraphs.push(with_if_not_exists(&table.sql));
            self.rebuild_fts5_index(table);
        }
        for change in &changes {
            self.write_change(change);
        }
        self.create_dependents(&dependents, &changes);
        Ok(())
    }

    /// Views and triggers that are gone, different, or in the way of a change; in lower case.
    fn dependents_to_recreate(
        &self,
        changes: &[TableChange<'_>],
        dropped_tables: &[&Arc<Object>],
    ) -> BTreeSet<schema::ObjectKey> {
        let mut affected_names: BTreeSet<String> = changes
            .iter()
            .filter(|change| change.affects_dependents())
            .map(|change| change.table_name().to_ascii_lowercase())
            .collect();
        // SQLite reads every view and trigger again when it alters a table.
        let has_alterations = !affected_names.is_empty();
        if has_alterations {
            affected_names
                .extend(dropped_tables.iter().map(|table| table.name.to_ascii_lowercase()));
        }
        let mut dependents = BTreeSet::new();
        let mut affected_views = BTreeSet::new();
        loop {
            let count_before = dependents.len();
            for (key, object) in self.old_schema {
                if !matches!(object.kind, ObjectKind::View | ObjectKind::Trigger)
                    || dependents.contains(key)
                {
                    continue;
                }
                let is_unchanged = self
                    .new_schema
                    .get(key)
                    .is_some_and(|new_object| compare::is_equivalent(object, new_object));
                let is_on_affected_view =
                    affected_views.contains(&object.table.to_ascii_lowercase());
                if !is_unchanged
                    || mentions(object, &affected_names)
                    || object.kind == ObjectKind::Trigger && is_on_affected_view
                {
                    dependents.insert(key.clone());
                    if object.kind == ObjectKind::View {
                        affected_views.insert(object.name.to_ascii_lowercase());
                        if has_alterations {
                            affected_names.insert(object.name.to_ascii_lowercase());
                        }
                    }
                }
            }
            if dependents.len() == count_before {
                return dependents;
            }
        }
    }

    /// Drops triggers, views and indexes. What goes with its table and comes again is not named.
    fn drop_dependents(
        &mut self,
        dependents: &BTreeSet<schema::ObjectKey>,
        changes: &[TableChange<'_>],
        dropped_tables: &[&Arc<Object>],
    ) {
        let is_on_table = |name: &str, object: &Object| name.eq_ignore_ascii_case(&object.table);
        let mut lines = Vec::new();
        for kind in [ObjectKind::Trigger, ObjectKind::View, ObjectKind::Index] {
            for (key, object) in self.old_schema.iter().filter(|(_, object)| object.kind == kind) {
                let new_object =
                    self.new_schema.get(key).filter(|new_object| new_object.kind == kind);
                let is_unchanged =
                    new_object.is_some_and(|new_object| compare::is_equivalent(object, new_object));
                let needs_drop = match kind {
                    ObjectKind::Index => !is_unchanged,
                    _ => dependents.contains(key),
                };
                let is_dropped_with_table = kind != ObjectKind::View
                    && (dropped_tables.iter().any(|table| is_on_table(&table.name, object))
                        || is_unchanged
                            && changes.iter().any(|change| {
                                change.drops_table() && is_on_table(change.table_name(), object)
                            }));
                if needs_drop && !is_dropped_with_table {
                    let kind = kind.to_string().to_uppercase();
                    lines.push(format!("DROP {kind} IF EXISTS {};", written_name(object)));
                }
            }
        }
        if !lines.is_empty() {
            self.paragraphs.push(lines.join("\n"));
        }
    }

    fn drop_table(&mut self, table: &Object, created_tables: &[&Arc<Object>]) {
        let name = written_name(table);
        let column_names = |table: &Object| -> BTreeSet<String> {
            table.columns().map(str::to_ascii_lowercase).collect()
        };
        for new in created_tables.iter().filter(|new| column_names(new) == column_names(table)) {
            self.paragraphs.push(to_comment(&format!(
                "if `{}` is `{}` under a new name, write `ALTER TABLE {name} RENAME TO {};` instead: it keeps the rows",
                new.name, table.name, written_name(new)
            )));
        }
        self.deleted_data.push(format!("the rows of `{}`", table.name));
        self.paragraphs.push(format!("DROP TABLE IF EXISTS {name};"));
    }

    /// How a table that differs is changed.
    fn choose_change(
        &self,
        old: &'s Arc<Object>,
        new: &'s Arc<Object>,
    ) -> Result<TableChange<'s>, DiffError> {
        if is_virtual_table(old) || is_virtual_table(new) {
            if !is_virtual_table(old) || !is_virtual_table(new) || !can_be_copied(old) {
                return Err(DiffError::VirtualTable { table: new.name.clone() });
            }
            return Ok(TableChange::RecreateVirtual { old, new });
        }
        let (old_definition, new_definition) =
            (TableDefinition::parse(&old.sql), TableDefinition::parse(&new.sql));
        let table_name = written_name(old);
        let dropped = old_definition
            .columns
            .iter()
            .filter(|column| new_definition.column(&column.spec.name).is_none());
        let dropped_columns: Vec<String> =
            dropped.map(|column| statement::first_token(&column.sql).to_owned()).collect();
        let mut statements: Vec<String> = dropped_columns
            .iter()
            .map(|column| format!("ALTER TABLE {table_name} DROP COLUMN {column};"))
            .collect();
        for column in new_definition
            .columns
            .iter()
            .filter(|column| old_definition.column(&column.spec.name).is_none())
        {
            if !can_add_column(&new_definition, &column.spec) {
                return Ok(TableChange::Rebuild { old, new });
            }
            statements.push(statement::complete_statement(&format!(
                "ALTER TABLE {table_name} ADD COLUMN {}",
                column.sql
            )));
        }
        if !statements.is_empty() && self.produces_table(&statements, new)? {
            return Ok(TableChange::Alter { table: old, statements, dropped_columns });
        }
        Ok(TableChange::Rebuild { old, new })
    }

    /// Whether statements make the table of the scratch database what it is to be.
    fn produces_table(&self, statements: &[String], new: &Object) -> rusqlite::Result<bool> {
        self.sandbox.execute_batch("SAVEPOINT trial")?;
        let has_run = statements.iter().all(|sql| self.sandbox.execute_batch(sql).is_ok());
        let created = schema::read(&self.sandbox)?;
        let is_produced = has_run
            && created.get(&new.key()).is_some_and(|created| compare::is_equivalent(created, new));
        self.sandbox.execute_batch("ROLLBACK TO trial; RELEASE trial")?;
        Ok(is_produced)
    }

    fn write_change(&mut self, change: &TableChange<'_>) {
        match change {
            TableChange::Alter { table, statements, dropped_columns } => {
                self.adds_columns = true;
                let new = &self.new_schema[&table.key()];
                self.suggest_column_renames(table, new);
                for column in dropped_columns {
                    self.deleted_data.push(format!("the values of `{}.{column}`", table.name));
                }
                self.paragraphs.push(statements.join("\n"));
            }
            TableChange::Rebuild { old, new } => {
                let working_name = self.working_name(new);
                let script = Rebuild { old, new, working_name }.script(&self.sandbox);
                self.suggest_column_renames(old, new);
                let mut lines: Vec<String> = std::iter::once(format!(
                    "SQLite cannot alter `{}` in place, so it is made anew. {}",
                    new.name,
                    compare::describe_changes(old, new).join("; ")
                ))
                .chain(script.warnings.iter().map(|warning| format!("CHECK THIS: {warning}")))
                .map(|line| to_comment(&line))
                .collect();
                lines.extend(script.statements);
                self.paragraphs.push(lines.join("\n"));
                self.warnings.extend(script.warnings);
                self.tightens_constraints |= tightens_constraints(old, new);
            }
            TableChange::RecreateVirtual { old, new } => self.write_virtual_table(old, new),
        }
    }

    /// A column that goes while another comes may be the same one.
    fn suggest_column_renames(&mut self, old: &Object, new: &Object) {
        let (old_definition, new_definition) =
            (TableDefinition::parse(&old.sql), TableDefinition::parse(&new.sql));
        for dropped in old_definition
            .columns
            .iter()
            .filter(|column| new_definition.column(&column.spec.name).is_none())
        {
            let candidates = new_definition.columns.iter().filter(|column| {
                old_definition.column(&column.spec.name).is_none()
                    && column.spec.declared_type == dropped.spec.declared_type
            });
            for column in candidates {
                let (from, to) =
                    (statement::first_token(&dropped.sql), statement::first_token(&column.sql));
                let hint = format!(
                    "if `{to}` is `{from}` under a new name, write `ALTER TABLE {} RENAME COLUMN {from} TO {to};` instead: it keeps the values",
                    written_name(old)
                );
                self.warnings.push(format!("table `{}`: {hint}", new.name));
                self.paragraphs.push(to_comment(&hint));
            }
        }
    }

    /// A name that no table has.
    fn working_name(&self, table: &Object) -> String {
        let is_taken = |name: &str| {
            let key = schema::ObjectKey::new(ObjectKind::Table, name);
            self.old_schema.contains_key(&key) || self.new_schema.contains_key(&key)
        };
        let mut name = format!("{}_new", table.name);
        while is_taken(&name) {
            name.push('_');
        }
        if written_name(table) == table.name {
            name
        } else {
            crate::sql::lexer::quote_identifier(&name)
        }
    }

    /// A virtual table made anew: dropped, made, and filled from a copy or from its content table.
    fn write_virtual_table(&mut self, old: &Object, new: &Object) {
        let name = written_name(old);
        self.copied_virtual_tables.push(format!("`{}`", old.name));
        let mut lines =
            vec![to_comment(&format!("`{}` is a virtual table: it is made anew", new.name))];
        if content_table(new).is_some() {
            lines.push(format!("DROP TABLE IF EXISTS {name};"));
            lines.push(with_if_not_exists(&new.sql));
            self.paragraphs.push(lines.join("\n"));
            self.rebuild_fts5_index(new);
            return;
        }
        let working_name = self.working_name(new);
        let columns: Vec<String> = new
            .columns()
            .filter(|column| old.has_column(column))
            .filter(|column| {
                let is_hidden = |table: &Object| {
                    table.structure.column(column).is_some_and(|column| column.hidden != 0)
                };
                !is_hidden(old) && !is_hidden(new)
            })
            .map(crate::sql::lexer::quote_identifier)
            .collect();
        let rowid_prefix =
            if statement::module_and_arguments(new).0.starts_with("fts") { "rowid, " } else { "" };
        let columns = columns.join(", ");
        lines.push(statement::with_name(new, &working_name));
        lines.push(format!(
            "INSERT INTO {working_name} ({rowid_prefix}{columns})\nSELECT {rowid_prefix}{columns}\nFROM {name};"
        ));
        lines.push(format!("DROP TABLE {name};"));
        lines.push(format!("ALTER TABLE {working_name} RENAME TO {};", written_name(new)));
        self.paragraphs.push(lines.join("\n"));
    }

    /// A full-text index over a table that holds rows already begins empty.
    fn rebuild_fts5_index(&mut self, table: &Object) {
        let (module, _) = statement::module_and_arguments(table);
        let has_content = content_table(table).is_some_and(|content| !content.is_empty());
        if is_virtual_table(table) && module == "fts5" && has_content {
            let name = written_name(table);
            self.paragraphs.push(format!("INSERT INTO {name} ({name}) VALUES ('rebuild');"));
        }
    }

    /// Makes indexes, views and triggers: new ones, different ones, and those that went.
    fn create_dependents(
        &mut self,
        dependents: &BTreeSet<schema::ObjectKey>,
        changes: &[TableChange<'_>],
    ) {
        for kind in [ObjectKind::Index, ObjectKind::View, ObjectKind::Trigger] {
            let objects =
                sort_by_dependency(self.new_schema.values().filter(|object| object.kind == kind));
            let mut lines = Vec::new();
            for object in objects {
                let key = object.key();
                let old = self.old_schema.get(&key).filter(|old| old.kind == kind);
                let is_unchanged = old.is_some_and(|old| compare::is_equivalent(old, object));
                let is_dropped_with_table = changes.iter().any(|change| {
                    change.drops_table() && change.table_name().eq_ignore_ascii_case(&object.table)
                });
                if !is_unchanged
                    || is_dropped_with_table && kind != ObjectKind::View
                    || dependents.contains(&key)
                {
                    lines.push(with_if_not_exists(&object.sql));
                    let table = schema::ObjectKey::new(ObjectKind::Table, &object.table);
                    self.tightens_constraints |= !is_unchanged
                        && kind == ObjectKind::Index
                        && object.is_unique_index()
                        && self.old_schema.contains_key(&table);
                }
            }
            if !lines.is_empty() {
                self.paragraphs.push(lines.join("\n"));
            }
        }
    }

    fn finish(mut self) -> SchemaDiff {
        let mut allow_directives = Vec::new();
        let mut reasons = Vec::new();
        if !self.deleted_data.is_empty() {
            let deleted = self.deleted_data.join(", ");
            reasons.push(format!("the new schema does without: {deleted}"));
            self.warnings.push(format!("this deletes {deleted}"));
        }
        if !self.copied_virtual_tables.is_empty() {
            reasons.push(format!(
                "nothing is lost with the old {}",
                self.copied_virtual_tables.join(", ")
            ));
        }
        if !reasons.is_empty() {
            allow_directives
                .push(to_comment(&format!("tatmig:allow destructive {}", reasons.join("; "))));
        }
        if self.adds_columns {
            allow_directives.push(to_comment(
                "tatmig:allow not-rerunnable a column that is there, or gone, before this runs counts as done",
            ));
        }
        if self.tightens_constraints {
            allow_directives.push(to_comment(
                "tatmig:allow constraint a database with rows that the new schema refuses is left as it was",
            ));
            self.warnings.push(
                "rows that the new schema refuses stop the upgrade of their database".to_owned(),
            );
        }
        if !allow_directives.is_empty() && !self.paragraphs.is_empty() {
            self.paragraphs.insert(0, allow_directives.join("\n"));
        }
        SchemaDiff { sql: self.paragraphs.join("\n\n"), warnings: self.warnings }
    }
}

/// A line of comment: whatever a name holds, it stays one.
fn to_comment(text: &str) -> String {
    // A bracket could begin a tag.
    let sanitize = |character: char| match character {
        '[' => '(',
        ']' => ')',
        c if c.is_control() => ' ',
        c => c,
    };
    let text: String = text.chars().map(sanitize).collect();
    let text = text.replace('→', " to ").replace("->", " to ").replace("=>", " to ");
    format!("-- {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether there may be rows that the old table took and the new one refuses.
fn tightens_constraints(old: &Object, new: &Object) -> bool {
    let (old_definition, new_definition) =
        (TableDefinition::parse(&old.sql), TableDefinition::parse(&new.sql));
    let (old, new) = (&old_definition.constraints, &new_definition.constraints);
    let has_additions = |old: &[String], new: &[String]| new.iter().any(|item| !old.contains(item));
    let has_new_unique_key = new
        .unique_keys
        .iter()
        .any(|(key, _)| !old.unique_keys.iter().any(|(old_key, _)| old_key == key));
    let has_type_changes = || {
        new_definition.columns.iter().any(|column| {
            let old_column = old_definition.column(&column.spec.name);
            old_column.is_some_and(|old_column| {
                old_column.spec.declared_type != column.spec.declared_type
                    || old_column.spec.collation != column.spec.collation
            })
        })
    };
    has_additions(&old.checks, &new.checks)
        || has_new_unique_key
        || has_additions(&old.foreign_keys, &new.foreign_keys)
        || old.primary_key != new.primary_key
        || has_additions(&old.options, &new.options)
        || has_type_changes()
}

/// The table or view whose rows an FTS table indexes; empty text for none at all.
fn content_table(table: &Object) -> Option<String> {
    let (_, arguments) = statement::module_and_arguments(table);
    arguments.iter().find_map(|argument| {
        let (name, value) = argument.split_once('=')?;
        (name.trim() == "content").then(|| lexer::unquote(value.trim()).into_owned())
    })
}

/// Whether the rows of a virtual table can be read back as they were put in.
fn can_be_copied(table: &Object) -> bool {
    let (module, _) = statement::module_and_arguments(table);
    let is_known_module = module.starts_with("fts") || module.starts_with("rtree");
    is_known_module && content_table(table).is_none_or(|content| !content.is_empty())
}
