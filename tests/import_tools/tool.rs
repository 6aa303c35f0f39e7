//! What the tests need of a migration tool: it migrates a database up to one of its migrations, and
//! undoes the last one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How the tools are installed.
pub(crate) const INSTALL_COMMANDS: &str = "npm ci --ignore-scripts --prefix tests/import_tools; python3 -m venv tests/import_tools/.venv; tests/import_tools/.venv/bin/pip install -r tests/import_tools/requirements.txt";

/// A migration tool with a directory of migrations.
pub(crate) trait Tool: Sync {
    fn name(&self) -> &'static str;

    /// The program, which may not be installed.
    fn program(&self) -> PathBuf;

    /// The table in which the tool records its migrations.
    fn version_table(&self) -> &'static str;

    fn migration_count(&self) -> usize;

    /// Rows that the first version takes, and that every later migration has to keep.
    fn rows(&self) -> &'static str;

    /// What `tatmig import` reads; `scratch` is an empty directory for files made from the migrations.
    fn source(&self, scratch: &Path) -> PathBuf;

    /// Applies the first `count` migrations to a database, which may have some of them.
    fn migrate(&self, database: &Path, count: usize);

    fn can_undo(&self) -> bool {
        true
    }

    /// Undoes the last migration of a database with `count` migrations.
    fn undo(&self, database: &Path, count: usize);
}

/// The directory with the migrations and the tools.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import_tools")
}

/// Runs a program, which must succeed, and returns its standard output.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let output = command.env_clear().env("PATH", path).env("PYTHONDONTWRITEBYTECODE", "1").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
