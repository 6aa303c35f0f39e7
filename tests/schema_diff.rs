//! Tests that any schema can be migrated to any other: the statements that tatmig generates between
//! two random schemas run on rows, forward and back. The resulting schema is read from SQLite, and
//! the rows are counted and compared.

#![allow(clippy::unwrap_used)] // helpers of tests are not seen as tests

use std::fmt::Write as _;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tatmig::database::ConnectionSetup;
use tatmig::migrate::Replay;
use tatmig::schema_diff::SchemaSnapshot;
use tatmig::{Changelog, Scope};

#[derive(Clone, Debug)]
struct Column {
    name: usize,
    declared_type: usize,
    constraint: usize,
    reference: usize,
}

#[derive(Clone, Debug)]
struct Table {
    primary_key: usize,
    columns: Vec<Column>,
    options: usize,
    index: usize,
    dependents: usize,
}

const TYPES: &[&str] = &["TEXT", "INTEGER", "REAL", "BLOB", "VARCHAR(10)", ""];
const NAMES: &[&str] = &["a", "\"b b\"", "[c]", "d", "\"e\"\"e\""];
const STRICT_TYPES: &[&str] = &["TEXT", "INTEGER", "REAL", "BLOB", "ANY", "INT"];

fn column() -> impl Strategy<Value = Column> {
    (0..5_usize, 0..6_usize, 0..12_usize, 0..8_usize).prop_map(
        |(name, declared_type, constraint, reference)| Column {
            name,
            declared_type,
            constraint,
            reference,
        },
    )
}

fn table() -> impl Strategy<Value = Option<Table>> {
    let table =
        (0..5_usize, prop::collection::vec(column(), 0..5), 0..6_usize, 0..8_usize, 0..6_usize);
    let table = table.prop_map(|(primary_key, mut columns, options, index, dependents)| {
        let mut seen = Vec::new();
        columns.retain(|column: &Column| {
            let is_new = !seen.contains(&column.name);
            seen.push(column.name);
            is_new
        });
        Table { primary_key, columns, options, index, dependents }
    });
    prop::option::weighted(0.85, table)
}

fn schema() -> impl Strategy<Value = Vec<Option<Table>>> {
    prop::collection::vec(table(), 3)
}

/// The declaration of a column.
fn column_sql(column: &Column, strict: bool) -> String {
    let declared_type = if strict { STRICT_TYPES } else { TYPES }[column.declared_type];
    let name = NAMES[column.name];
    let constraint = match column.constraint {
        0 => " NOT NULL DEFAULT 0".to_owned(),
        1 => " DEFAULT 'x'".to_owned(),
        2 => format!(" CHECK ({name} <> 'forbidden')"),
        3 => " COLLATE NOCASE".to_owned(),
        4 => " NOT NULL".to_owned(),
        5 => " DEFAULT (1 + 1)".to_owned(),
        6 => " UNIQUE".to_owned(),
        7 => " AS (id + 1)".to_owned(),
        _ => String::new(),
    };
    let reference = match column.reference {
        0 if column.constraint > 7 => " REFERENCES base (id)",
        1 if column.constraint > 7 => " REFERENCES base ON DELETE CASCADE",
        _ => "",
    };
    format!("{name} {declared_type}{constraint}{reference}")
}

/// The statements that create a schema. Each table is present or absent.
fn schema_sql(schema: &[Option<Table>]) -> String {
    let mut out = "CREATE TABLE base (id INTEGER PRIMARY KEY, note TEXT);\n".to_owned();
    for (index, table) in schema.iter().enumerate() {
        let Some(table) = table else { continue };
        let strict = table.options == 1;
        let without_rowid = table.options == 2;
        let mut items = vec![
            match table.primary_key {
                0 => "id INTEGER PRIMARY KEY AUTOINCREMENT",
                1 | 2 => "id INTEGER PRIMARY KEY",
                3 => "id INTEGER NOT NULL",
                _ => "id INT NOT NULL UNIQUE",
            }
            .replace(if without_rowid { " AUTOINCREMENT" } else { "\0" }, ""),
        ];
        for column in &table.columns {
            items.push(column_sql(column, strict));
        }
        if table.primary_key == 3 {
            items.push("PRIMARY KEY (id)".to_owned());
        }
        if table.options == 5 {
            // The key comes after the other columns.
            let key = items.remove(0);
            let end =
                items.iter().position(|item| item.starts_with("PRIMARY")).unwrap_or(items.len());
            items.insert(end, key);
        }
        let options = match (strict, without_rowid && table.primary_key != 4) {
            (true, _) => " STRICT",
            (_, true) => " WITHOUT ROWID",
            _ => "",
        };
        let _ = writeln!(out, "CREATE TABLE t{index} ({}){options};", items.join(", "));
        write_index_and_dependents(&mut out, index, table);
    }
    out
}

/// Appends the index, views and triggers of a table.
fn write_index_and_dependents(out: &mut String, index: usize, table: &Table) {
    let first = table.columns.first().map_or("id", |first_column| NAMES[first_column.name]);
    let _ = match table.index {
        0 => writeln!(out, "CREATE INDEX i{index} ON t{index} ({first});"),
        1 => {
            writeln!(
                out,
                "CREATE UNIQUE INDEX i{index} ON t{index} (id, {first} DESC) WHERE id > 1;"
            )
        }
        2 => writeln!(out, "CREATE INDEX i{index} ON t{index} (lower({first}));"),
        _ => Ok(()),
    };
    let _ = match table.dependents {
        0 => writeln!(
            out,
            "CREATE VIEW v{index} AS SELECT * FROM t{index};\nCREATE VIEW w{index} AS SELECT count(*) FROM v{index};"
        ),
        1 => writeln!(
            out,
            "CREATE TRIGGER r{index} AFTER UPDATE ON t{index} BEGIN DELETE FROM base WHERE id < 0; END;"
        ),
        2 => writeln!(
            out,
            "CREATE TRIGGER s{index} AFTER UPDATE ON base BEGIN DELETE FROM t{index} WHERE id < 0; END;"
        ),
        _ => Ok(()),
    };
}

fn document(blocks: &[(&str, &str)]) -> String {
    let fence = |(tag, sql): &(&str, &str)| {
        format!("```sql\n-- [user:{tag}:start]\n{sql}\n-- [user:{tag}:end]\n```\n")
    };
    blocks.iter().map(fence).collect::<Vec<_>>().join("\n")
}

fn snapshot_of(sql: &str) -> SchemaSnapshot {
    let text = document(&[("baseline→1.0.0", sql)]);
    let changelog = Changelog::parse(&text).unwrap();
    let replay = Replay::run(&changelog, &ConnectionSetup::default()).unwrap();
    SchemaSnapshot::from_replay(&replay, Scope::User, changelog.head_index())
}

fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let count = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let values = (0..count).map(|index| format!("{:?}", row.get_ref(index).unwrap()));
        found.push(values.collect::<Vec<_>>().join("|"));
    }
    found
}

/// What SQLite's pragmas report of a schema, without tatmig's tables.
fn describe_schema(connection: &Connection) -> Vec<String> {
    let mut lines = Vec::new();
    for table in ["base", "t0", "t1", "t2"] {
        for sql in [
            format!("SELECT * FROM pragma_table_xinfo('{table}')"),
            format!(
                "SELECT \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list('{table}') ORDER BY 1"
            ),
            format!("SELECT wr, strict FROM pragma_table_list WHERE name = '{table}'"),
            format!(
                "SELECT \"unique\", origin, partial, (SELECT group_concat(x.cid || x.\"desc\" || x.coll) FROM pragma_index_xinfo(l.name) x WHERE key) FROM pragma_index_list('{table}') l ORDER BY 2, 4, 1"
            ),
        ] {
            lines.extend(rows(connection, &sql).into_iter().map(|row| format!("{table} {row}")));
        }
    }
    lines.extend(rows(
        connection,
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY 1, 2",
    ));
    lines
}

/// Inserts rows into every table. Rows that a table rejects are skipped.
fn insert_rows(connection: &Connection, schema: &[Option<Table>]) {
    connection.execute_batch("INSERT INTO base VALUES (1, 'x'), (2, NULL)").unwrap();
    for (index, table) in schema.iter().enumerate() {
        let Some(table) = table else { continue };
        for row in 1..4 {
            let mut names = vec!["id".to_owned()];
            let mut values = vec![row.to_string()];
            for column in table.columns.iter().filter(|column| column.constraint != 7) {
                let is_reference = column.reference < 2 && column.constraint > 7;
                let value = if is_reference {
                    "1".to_owned()
                } else {
                    match column.declared_type {
                        0 | 4 if row < 3 => format!("'v{row}'"),
                        3 if row < 3 => format!("x'0{row}'"),
                        _ if row == 3 && !matches!(column.constraint, 0 | 4) => "NULL".to_owned(),
                        0 | 4 => "'v'".to_owned(),
                        3 => "x'aa'".to_owned(),
                        _ => row.to_string(),
                    }
                };
                names.push(NAMES[column.name].to_owned());
                values.push(value);
            }
            let insert = format!(
                "INSERT INTO t{index} ({}) VALUES ({})",
                names.join(", "),
                values.join(", ")
            );
            // STRICT tables reject some values; the inserted rows are compared.
            let _ = connection.execute_batch(&insert);
        }
    }
}

/// The columns that two tables declare in the same way.
fn identical_columns(
    (old, new): (&Option<Table>, &Option<Table>),
) -> impl Iterator<Item = &'static str> {
    let mut found = Vec::new();
    if let (Some(old), Some(new)) = (old, new)
        && (old.options == 1) == (new.options == 1)
    {
        for column in &old.columns {
            let is_same = |other: &&Column| {
                (other.name, other.declared_type, other.constraint)
                    == (column.name, column.declared_type, column.constraint)
            };
            found.extend(new.columns.iter().find(is_same).map(|column| NAMES[column.name]));
        }
    }
    found.into_iter()
}

/// SQL whose author has removed the comments about what was to be decided.
fn decided(sql: &str) -> String {
    sql.replace("tatmig:todo", "decided:")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_schema_migrates_to_any_other_and_keeps_rows((before, after) in (schema(), schema())) {
        let (old, new) = (schema_sql(&before), schema_sql(&after));
        let (from, to) = (snapshot_of(&old), snapshot_of(&new));
        let (way, back) = (from.diff_to(&to).unwrap(), to.diff_to(&from).unwrap());
        prop_assert_eq!(way.sql.is_empty(), from.differences(&to).is_empty());
        let text = document(&[
            ("baseline→1.0.0", &old),
            ("1.0.0→1.1.0", &decided(&way.sql)),
            ("1.1.0→1.0.0", &decided(&back.sql)),
        ]);
        let changelog = Changelog::parse(&text).unwrap();
        let replay = Replay::run(&changelog, &ConnectionSetup::default()).unwrap();
        let problems: Vec<String> = replay.all_diagnostics().map(|problem| problem.message).collect();
        prop_assert!(problems.is_empty(), "{:?}\n{}", problems, text);
        let made = SchemaSnapshot::from_replay(&replay, Scope::User, changelog.head_index());
        prop_assert_eq!(to.differences(&made), Vec::<String>::new(), "{}", text);
        let returned = SchemaSnapshot::from_reverse_block(&replay, Scope::User, changelog.head_index()).unwrap();
        prop_assert_eq!(from.differences(&returned), Vec::<String>::new(), "{}", text);

        // The same with rows.
        let mut database = Connection::open_in_memory().unwrap();
        let first = document(&[("baseline→1.0.0", &old)]);
        Changelog::parse(&first).unwrap().upgrade(&mut database, Scope::User).unwrap();
        database.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false).unwrap();
        insert_rows(&database, &before);
        let kept: Vec<usize> =
            (0..3).filter(|at| before[*at].is_some() && after[*at].is_some()).collect();
        let ids = |database: &Connection| -> Vec<Vec<String>> {
            kept.iter().map(|at| rows(database, &format!("SELECT id FROM t{at} ORDER BY id"))).collect()
        };
        let old_ids = ids(&database);
        let values = |database: &Connection| -> Vec<Vec<String>> {
            let same = kept.iter().flat_map(|at| identical_columns((&before[*at], &after[*at])).map(move |name| (at, name)));
            let selects = same.map(|(at, name)| format!("SELECT id, {name} FROM t{at} ORDER BY id"));
            selects.map(|select| rows(database, &select)).collect()
        };
        let old_values = values(&database);
        let old_schema = describe_schema(&database);
        match changelog.upgrade(&mut database, Scope::User) {
            Ok(_) => {
                let wanted = Connection::open_in_memory().unwrap();
                wanted.execute_batch(&new).unwrap();
                prop_assert_eq!(describe_schema(&database), describe_schema(&wanted), "{}", text);
            }
            Err(error) => {
                let known = way.sql.contains("tatmig:allow constraint");
                prop_assert!(known, "{}\n{}", error, text);
                prop_assert_eq!(describe_schema(&database), old_schema);
            }
        }
        prop_assert_eq!(ids(&database), old_ids, "{}", text);
        prop_assert_eq!(values(&database), old_values, "{}", text);
    }
}
