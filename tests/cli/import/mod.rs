//! Tests `import`: a small directory of each tool becomes a document whose databases are, at every
//! version, up and down, those that the tool's own SQL creates in plain SQLite.

mod hostile;
mod journals;
mod printed;
mod squash;
mod tools;

use std::fs;

use rusqlite::Connection;

use crate::support::{Database, Fleet, RunOutput};

/// The statements of three migrations as any tool runs them, and those that undo them.
pub(crate) const UPS: [&str; 3] = [
    "CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL -- as shown
);
CREATE TRIGGER users_ai AFTER INSERT ON users BEGIN
  UPDATE users SET name = CASE WHEN new.name = '' THEN 'x; y' ELSE new.name END WHERE id = new.id;
END;",
    "-- two statements
ALTER TABLE users ADD COLUMN email TEXT;
CREATE INDEX users_email ON users (email) WHERE email <> '-- migrate:down';",
    "CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id));",
];
pub(crate) const DOWNS: [&str; 3] = [
    "DROP TABLE users;",
    "DROP INDEX users_email;\nALTER TABLE users DROP COLUMN email;",
    "DROP TABLE posts;",
];

/// The versions of the three migrations.
pub(crate) const VERSIONS: [&str; 3] = ["0.1.0", "0.1.1", "0.1.2"];

/// A directory of three migrations that run the statements of [`UPS`], and what becomes of it.
pub(crate) struct ToolCase<'c> {
    pub(crate) tool: &'c str,
    /// The argument of `import`.
    pub(crate) path: &'c str,
    pub(crate) files: Vec<TestFile>,
    pub(crate) keys: [&'c str; 3],
    pub(crate) dates: [&'c str; 3],
    /// Whether each migration has a reverse block.
    pub(crate) has_downs: bool,
}

pub(crate) struct TestFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A file of a test.
pub(crate) fn file(path: impl Into<String>, text: impl Into<String>) -> TestFile {
    TestFile { path: path.into(), text: text.into() }
}

pub(crate) fn fleet_with(files: &[TestFile]) -> Fleet {
    files.iter().fold(Fleet::new(), |fleet, file| fleet.file(&file.path, &file.text))
}

/// The objects of a database without tatmig's own, as written.
pub(crate) fn schema(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT type || ' ' || name || ' ' || sql FROM sqlite_schema WHERE name NOT LIKE '\\_tatmig%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' ORDER BY 1")
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The schema that statements create in plain SQLite.
pub(crate) fn plain_schema<'s>(scripts: impl IntoIterator<Item = &'s str>) -> Vec<String> {
    let connection = Connection::open_in_memory().unwrap();
    for script in scripts {
        connection.execute_batch(script).unwrap();
    }
    schema(&connection)
}

impl ToolCase<'_> {
    /// Imports with and without `--from`, and checks the document and its databases at every version.
    #[track_caller]
    pub(crate) fn check(&self) -> Fleet {
        let fleet = fleet_with(&self.files);
        let named = fleet.run(["import", self.path, "--from", self.tool]);
        named
            .status(0)
            .stderr("")
            .stdout_contains(&format!("3 migrations imported from {}", self.tool));
        named.stdout_contains("tatmig adopt --all-users");
        let text = fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
        fs::remove_file(fleet.path("MIGRATIONS.md")).unwrap();
        fleet.run(["import", self.path]).status(0).stderr("");
        assert_eq!(fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap(), text);
        for key in self.keys {
            let line = format!("\n**Imported**: {} {key}\n", self.tool);
            assert!(text.contains(&line), "no {line:?} in\n{text}");
        }
        let dates: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("**Date**: ")).collect();
        assert_eq!(
            dates,
            self.dates.into_iter().filter(|date| !date.is_empty()).collect::<Vec<_>>()
        );
        for up in UPS {
            assert!(text.contains(&format!(":start]\n{up}\n-- [")), "no {up:?} in\n{text}");
        }
        fleet.run(["lint"]).status(0).stderr_lacks("error");
        self.check_databases(&fleet);
        fleet
    }

    #[track_caller]
    fn check_databases(&self, fleet: &Fleet) {
        for (index, version) in VERSIONS.into_iter().enumerate() {
            let user = format!("u{index}");
            fs::write(fleet.path(format!("{user}_longterm.db")), "").unwrap();
            fleet.run(["upgrade", "--user", &user, "--to", version]).status(0);
            let found = schema(fleet.database(&user).connection());
            assert_eq!(found, plain_schema(UPS[..=index].iter().copied()), "{version}");
        }
        fleet.run(["upgrade", "--all-users"]).status(0);
        fleet.run(["init", "--user", "new"]).status(0);
        for user in ["u0", "u1", "u2", "new"] {
            assert_eq!(schema(fleet.database(user).connection()), plain_schema(UPS), "{user}");
        }
        if !self.has_downs {
            fleet.run(["downgrade", "-1", "--user", "new", "--no-backup"]).status(2);
            return;
        }
        for (index, version) in ["0.1.1", "0.1.0", "baseline"].into_iter().enumerate() {
            fleet.run(["downgrade", "--to", version, "--user", "new", "--no-backup"]).status(0);
            let downs = DOWNS.iter().rev().copied().take(index + 1);
            let found = schema(fleet.database("new").connection());
            assert_eq!(found, plain_schema(UPS.into_iter().chain(downs)), "{version}");
        }
    }
}

/// Imports and asserts the exit status. The document is written with 0 and 1 only.
#[track_caller]
pub(crate) fn import<'f>(fleet: &'f Fleet, arguments: &[&str], status: i32) -> RunOutput<'f> {
    let run = fleet.run([&["import"], arguments].concat());
    run.status(status);
    assert_eq!(fleet.path("MIGRATIONS.md").exists(), status < 2, "{}", run.describe());
    run
}

/// The text of the document.
pub(crate) fn document(fleet: &Fleet) -> String {
    fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap()
}

/// The rows of a query on a new database.
#[track_caller]
pub(crate) fn rows_of_new_database(fleet: &Fleet, sql: &str) -> Vec<String> {
    fleet.run(["init", "--user", "rows"]).status(0);
    Database::open(&fleet.path("rows_longterm.db")).rows(sql)
}
