//! Runs dbmate on the migrations in `dbmate/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::{Tool, directory, run};

pub(crate) struct Dbmate;

impl Dbmate {
    fn files() -> Vec<PathBuf> {
        let entries = fs::read_dir(directory().join("dbmate")).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn run(&self, database: &Path, migrations: &Path, verb: &str) {
        run(Command::new(self.program())
            .arg("--url")
            .arg(format!("sqlite:{}", database.display()))
            .arg("--migrations-dir")
            .arg(migrations)
            .args(["--no-dump-schema", verb]));
    }
}

impl Tool for Dbmate {
    fn name(&self) -> &'static str {
        "dbmate"
    }

    fn program(&self) -> PathBuf {
        directory().join("node_modules/@dbmate/linux-x64/bin/dbmate")
    }

    fn version_table(&self) -> &'static str {
        "schema_migrations"
    }

    fn migration_count(&self) -> usize {
        Self::files().len()
    }

    fn rows(&self) -> &'static str {
        "INSERT INTO notes (id, body) VALUES (1, 'tea'), (5, 'rain');
         INSERT INTO tags (note_id, tag) VALUES (1, 'drink'), (5, 'Weather');"
    }

    fn source(&self, _scratch: &Path) -> PathBuf {
        directory().join("dbmate")
    }

    /// dbmate applies all migrations of a directory, so this one has the first ones only.
    fn migrate(&self, database: &Path, count: usize) {
        let migrations = tempfile::tempdir().unwrap();
        for file in &Self::files()[..count] {
            fs::copy(file, migrations.path().join(file.file_name().unwrap())).unwrap();
        }
        self.run(database, migrations.path(), "migrate");
    }

    fn undo(&self, database: &Path, _count: usize) {
        self.run(database, &directory().join("dbmate"), "rollback");
    }
}
