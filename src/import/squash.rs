//! Replaces the migrations before one by a single baseline: runs them on an empty database in memory
//! and writes the statements that create its schema and its rows.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::import::cleanup::{Action, Part, Section};
use crate::import::error::ImportError;
use crate::import::render::{Draft, DraftMigration};
use crate::sql::lexer;

/// The number of the migrations before the one that `--squash-before` names: by its name, its key or
/// its file.
pub(crate) fn find_migration(
    draft: &Draft,
    names: &[String],
    wanted: &str,
) -> Result<usize, ImportError> {
    let is_wanted = |migration: &DraftMigration| {
        let file_name = migration.up.file.rsplit('/').next().unwrap_or("");
        migration.name == wanted
            || file_name == wanted
            || migration.up.file == wanted
            || migration.imported_from.iter().any(|imported| imported.key == wanted)
    };
    let found: Vec<usize> =
        (0..draft.migrations.len()).filter(|index| is_wanted(&draft.migrations[*index])).collect();
    let (first, last) = (names.first(), names.last());
    let example = match (first, last) {
        (Some(first), Some(last)) => {
            format!("; the first one is `{first}`, the last one `{last}`")
        }
        _ => String::new(),
    };
    match found.as_slice() {
        [] => Err(ImportError::Squash(format!("no migration is named `{wanted}`{example}"))),
        [0] => Err(ImportError::Squash(format!(
            "`{wanted}` is the first migration, so nothing is before it; leave out `--squash-before`"
        ))),
        [index] => Ok(*index),
        _ => Err(ImportError::Squash(format!(
            "several migrations are named `{wanted}`; write the file name"
        ))),
    }
}

/// Replaces the first `count` migrations by a baseline. Returns notes on it.
pub(crate) fn squash(
    draft: &mut Draft,
    count: usize,
    setup: &ConnectionSetup,
) -> Result<Vec<String>, ImportError> {
    let squashed = &draft.migrations[..count];
    for migration in squashed {
        let todo = migration.up.parts.iter().find_map(|part| match &part.action {
            Action::Todo(reason) => Some(format!("{}:{}: {reason}", migration.up.file, part.line)),
            _ => None,
        });
        if let Some(todo) = todo {
            return Err(ImportError::Squash(format!(
                "the migrations before it cannot be squashed, because one of their statements cannot run: {todo}; correct the file, or import without `--squash-before`"
            )));
        }
    }
    let connection = open_in_memory(setup)?;
    let transaction = connection.unchecked_transaction()?;
    for migration in squashed {
        for part in &migration.up.parts {
            if part.action == Action::Keep && !part.statement.is_empty() {
                run_statement(&transaction, &part.statement)?;
            }
        }
    }
    let dump = Dump::read(&transaction)?;
    drop(transaction);
    let last = &squashed[count - 1];
    let migrations = if count == 1 { "migration" } else { "migrations" };
    let mut notes = vec![match count {
        1 => format!("`{}` is the baseline, with the schema that it creates", last.name),
        _ => format!(
            "{count} migrations, up to `{}`, are one baseline with the schema that they create",
            last.name
        ),
    }];
    notes.extend(dump.notes);
    let up = Section { file: last.up.file.clone(), parts: dump.parts };
    let baseline = DraftMigration {
        imported_from: squashed.iter().flat_map(|found| found.imported_from.clone()).collect(),
        name: format!("squashed up to {}", last.name),
        description: Some(format!("The schema of {count} {migrations}")),
        date: last.date,
        up,
        down: None,
    };
    draft.migrations.splice(..count, [baseline]);
    Ok(notes)
}

/// Runs a statement as the replay does: a row that breaks a constraint there is only a warning.
fn run_statement(connection: &Connection, sql: &str) -> Result<(), ImportError> {
    let run = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
        Ok(())
    };
    run().map_err(|error| {
        ImportError::Squash(format!(
            "the migrations before it cannot be squashed, because a statement fails: {error}: {}",
            sql.lines().next().unwrap_or("")
        ))
    })
}

/// The statements that create the schema and the rows of a database.
#[derive(Default)]
struct Dump {
    parts: Vec<Part>,
    notes: Vec<String>,
}

/// An object of `sqlite_schema` with its statement.
struct SchemaEntry {
    kind: String,
    name: String,
    sql: String,
}

impl Dump {
    fn read(connection: &Connection) -> Result<Self, ImportError> {
        let mut dump = Self::default();
        let entries = read_entries(connection)?;
        let is = |entry: &SchemaEntry, kind: &str| entry.kind == kind;
        let mut tables_with_rows = Vec::new();
        for table in entries.iter().filter(|entry| is(entry, "table")) {
            dump.add(&table.sql);
        }
        for table in entries.iter().filter(|entry| is(entry, "table")) {
            if dump.add_rows(connection, table)? {
                tables_with_rows.push(format!("`{}`", table.name));
            }
        }
        // Triggers come last, so that no row fires one.
        for kind in ["index", "view", "trigger"] {
            for entry in entries.iter().filter(|entry| is(entry, kind)) {
                dump.add(&entry.sql);
            }
        }
        if !tables_with_rows.is_empty() {
            dump.notes.push(format!(
                "the baseline inserts the rows that these migrations leave in {}; a value such as the current time is the one of this import",
                tables_with_rows.join(", ")
            ));
        }
        Ok(dump)
    }

    fn add(&mut self, statement: &str) {
        self.parts.push(Part {
            leading: if self.parts.is_empty() { String::new() } else { "\n".to_owned() },
            statement: format!("{};", crate::import::comments::defuse_comments(statement)),
            line: 1,
            action: Action::Keep,
        });
    }

    /// Adds the rows of a table. Returns whether it has any.
    fn add_rows(
        &mut self,
        connection: &Connection,
        table: &SchemaEntry,
    ) -> Result<bool, ImportError> {
        let name = lexer::quote_main_table(&table.name);
        let is_virtual = lexer::words(&table.sql)
            .nth(1)
            .is_some_and(|word| word.eq_ignore_ascii_case("virtual"));
        let columns = read_columns(connection, &table.name)?;
        let list = columns.join(", ");
        let mut statement = connection.prepare(&format!("SELECT {list} FROM {name}"))?;
        let mut rows = statement.query([])?;
        let mut has_rows = false;
        while let Some(row) = rows.next()? {
            if is_virtual {
                return Err(ImportError::Squash(format!(
                    "the migrations before it cannot be squashed: they leave rows in the virtual table `{}`; choose an earlier migration for `--squash-before`",
                    table.name
                )));
            }
            has_rows = true;
            let values: Vec<String> = (0..columns.len())
                .map(|index| row.get_ref(index).map(literal))
                .collect::<Result<_, _>>()?;
            let table = lexer::quote_identifier(&table.name);
            self.add(&format!("INSERT INTO {table} ({list}) VALUES ({})", values.join(", ")));
        }
        Ok(has_rows)
    }
}

/// The objects that statements created, in the order of their creation, without SQLite's own and the
/// shadow tables of virtual tables.
fn read_entries(connection: &Connection) -> rusqlite::Result<Vec<SchemaEntry>> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM main.sqlite_schema s WHERE sql IS NOT NULL
           AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
           AND NOT EXISTS (SELECT 1 FROM pragma_table_list l
                           WHERE l.schema = 'main' AND l.name = s.name AND l.type = 'shadow')
         ORDER BY rowid",
    )?;
    let entries = statement.query_map([], |row| {
        Ok(SchemaEntry { kind: row.get(0)?, name: row.get(1)?, sql: row.get(2)? })
    })?;
    entries.collect()
}

/// The quoted names of the columns that a row is inserted with: not those that are generated.
fn read_columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")?;
    let names = statement.query_map([table], |row| row.get::<_, String>(0))?;
    names.map(|name| name.map(|name| lexer::quote_identifier(&name))).collect()
}

/// A value as SQL.
fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) if number.is_infinite() => {
            if number > 0.0 {
                "9e999".to_owned()
            } else {
                "-9e999".to_owned()
            }
        }
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) if !text.contains(['\0', '\r']) => format!("'{}'", text.replace('\'', "''")),
            _ => format!("CAST(x'{}' AS TEXT)", hex::encode(text)),
        },
        ValueRef::Blob(bytes) => format!("x'{}'", hex::encode(bytes)),
    }
}
