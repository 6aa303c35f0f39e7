//! Runs Alembic on the revisions in `alembic/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::{Tool, directory, run};

/// In their order.
const REVISIONS: [&str; 4] = ["1f0c2d7a9b31", "8d3e55b0c4f2", "c2a96e1f7d04", "e7b418d2a650"];

pub(crate) struct Alembic;

impl Alembic {
    fn run(&self, database: &Path, arguments: &[&str]) -> Vec<u8> {
        run(Command::new(self.program())
            .arg("-x")
            .arg(format!("url=sqlite:///{}", database.display()))
            .args(arguments)
            .current_dir(directory().join("alembic")))
    }
}

impl Tool for Alembic {
    fn name(&self) -> &'static str {
        "alembic"
    }

    fn program(&self) -> PathBuf {
        directory().join(".venv/bin/alembic")
    }

    fn version_table(&self) -> &'static str {
        "alembic_version"
    }

    fn migration_count(&self) -> usize {
        REVISIONS.len()
    }

    fn rows(&self) -> &'static str {
        "INSERT INTO accounts (id, name, created_at) VALUES (1, 'Ann', '2024-01-02 03:04:05');
         INSERT INTO payments (id, account_id, amount) VALUES (4, 1, 12.5), (9, 1, 3);"
    }

    /// The SQL that Alembic prints.
    fn source(&self, scratch: &Path) -> PathBuf {
        let database = scratch.join("none.db");
        let sql = scratch.join("sql");
        fs::create_dir(&sql).unwrap();
        for (direction, range) in [("upgrade", "head"), ("downgrade", "head:base")] {
            let text = self.run(&database, &[direction, range, "--sql"]);
            fs::write(sql.join(format!("{direction}.sql")), text).unwrap();
        }
        sql
    }

    fn migrate(&self, database: &Path, count: usize) {
        self.run(database, &["upgrade", REVISIONS[count - 1]]);
    }

    fn undo(&self, database: &Path, _count: usize) {
        self.run(database, &["downgrade", "-1"]);
    }
}
