//! Runs drizzle-kit on the migrations in `drizzle/`, which it generated, except that the statements of
//! `0002_fill_email.sql` are written by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::tool::{Tool, directory, run};

pub(crate) struct Drizzle;

impl Drizzle {
    fn journal() -> serde_json::Value {
        let path = directory().join("drizzle/meta/_journal.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }
}

impl Tool for Drizzle {
    fn name(&self) -> &'static str {
        "drizzle"
    }

    fn program(&self) -> PathBuf {
        directory().join("node_modules/.bin/drizzle-kit")
    }

    fn version_table(&self) -> &'static str {
        "__drizzle_migrations"
    }

    fn migration_count(&self) -> usize {
        Self::journal()["entries"].as_array().unwrap().len()
    }

    fn rows(&self) -> &'static str {
        "INSERT INTO authors (id, name) VALUES (1, 'Ann'), (7, 'Bob');
         INSERT INTO posts (id, author, title, body) VALUES (2, 1, 'Tea', 'hot'), (3, 7, 'Rain', NULL);"
    }

    fn source(&self, _scratch: &Path) -> PathBuf {
        directory().join("drizzle")
    }

    /// drizzle-kit applies all migrations of a journal, so this one lists the first ones only.
    fn migrate(&self, database: &Path, count: usize) {
        let scratch = tempfile::tempdir().unwrap();
        let migrations = scratch.path().join("drizzle");
        fs::create_dir_all(migrations.join("meta")).unwrap();
        let mut journal = Self::journal();
        journal["entries"].as_array_mut().unwrap().truncate(count);
        for entry in journal["entries"].as_array().unwrap() {
            let name = format!("{}.sql", entry["tag"].as_str().unwrap());
            fs::copy(directory().join("drizzle").join(&name), migrations.join(name)).unwrap();
        }
        fs::write(migrations.join("meta/_journal.json"), journal.to_string()).unwrap();
        let config = scratch.path().join("drizzle.config.json");
        let url = format!("file:{}", database.display());
        let settings =
            json!({ "dialect": "sqlite", "out": migrations, "dbCredentials": { "url": url } });
        fs::write(&config, settings.to_string()).unwrap();
        // It finds the driver from the directory that it runs in, and the settings from there too.
        let depth = directory().components().count() - 1;
        let config = Path::new(&"../".repeat(depth)).join(config.strip_prefix("/").unwrap());
        run(Command::new(self.program())
            .args(["migrate", "--config"])
            .arg(config)
            .current_dir(directory()));
    }

    /// Drizzle has no migrations down.
    fn can_undo(&self) -> bool {
        false
    }

    fn undo(&self, _database: &Path, _count: usize) {
        unreachable!("Drizzle undoes nothing");
    }
}
