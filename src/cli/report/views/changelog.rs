//! Lists the migrations of the document, newest last.

use serde::Serialize;
use tatmig::document::Migration;
use tatmig::{Changelog, VersionPoint};

use crate::cli::report::console::Console;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;

/// The result of `history` without a selection.
#[derive(Serialize)]
pub(crate) struct ChangelogView<'r> {
    #[serde(skip)]
    file: &'r str,
    migrations: Vec<MigrationEntry<'r>>,
}

/// One migration of the document.
#[derive(Serialize)]
struct MigrationEntry<'r> {
    from: &'r VersionPoint,
    to: &'r VersionPoint,
    title: Option<&'r str>,
    date: Option<&'r str>,
    description: Option<&'r str>,
    /// The migrations of other tools that it came from, each as `TOOL KEY`.
    imported: Vec<String>,
    planned: bool,
    /// Whether the migration has a block for the system database.
    system: bool,
    /// Whether the migration has a block for user databases.
    user: bool,
    /// The line of the first tag.
    line: usize,
    #[serde(skip)]
    migration: &'r Migration<'r>,
}

impl<'r> ChangelogView<'r> {
    pub(crate) fn new(changelog: &'r Changelog<'r>) -> Self {
        let source = changelog.source();
        let migrations = changelog.forward_migrations().map(|migration| MigrationEntry {
            from: &migration.from,
            to: &migration.to,
            title: migration.title.as_deref(),
            date: migration.date.as_deref(),
            description: migration.description.as_deref(),
            imported: migration.imported.iter().map(ToString::to_string).collect(),
            planned: migration.planned,
            system: migration.system.is_some(),
            user: migration.user.is_some(),
            line: source.line_number(migration.tag_span.start),
            migration,
        });
        Self { file: source.name(), migrations: migrations.collect() }
    }
}

impl View for ChangelogView<'_> {
    fn print_text(&self, console: &Console) {
        for entry in &self.migrations {
            let (migration, date) = (entry.migration.to_string(), entry.date.unwrap_or("-"));
            let mut line = StyledLine::from(format!("{migration:20}  {date:10}"));
            if entry.planned {
                line = line.text("  ").state(State::Planned, "(planned)");
            }
            if let Some(description) = entry.description.or(entry.title) {
                line = line.text(format!("  {description}"));
            }
            console.line(line.text(format!("  ({}:{})", self.file, entry.line)));
        }
    }
}
