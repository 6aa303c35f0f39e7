//! Shows the migration that `new` added or `promote` released.

use std::path::Path;

use serde::Serialize;
use tatmig::document::{Migration, ScopedSql};
use tatmig::text::escape_for_display;
use tatmig::{Changelog, Scope, VersionPoint};

use crate::cli::report::console::Console;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;

/// The result of `new` and `promote`.
#[derive(Serialize)]
pub(crate) struct MigrationChangeView<'r> {
    #[serde(skip)]
    file: &'r str,
    /// The line of the first tag.
    line: usize,
    from: &'r VersionPoint,
    to: &'r VersionPoint,
    outcome: State,
    scopes: Vec<Scope>,
    /// What the author has to check.
    notes: &'r [String],
    #[serde(skip)]
    migration: &'r Migration<'r>,
}

impl<'r> MigrationChangeView<'r> {
    pub(crate) fn new(
        changelog: &'r Changelog<'r>,
        migration: &'r Migration<'r>,
        outcome: State,
        notes: &'r [String],
    ) -> Self {
        let source = changelog.source();
        let scopes = Scope::BOTH.into_iter().filter(|scope| migration.block(*scope).is_some());
        Self {
            file: source.name(),
            line: source.line_number(migration.tag_span.start),
            from: &migration.from,
            to: &migration.to,
            outcome,
            scopes: scopes.collect(),
            notes,
            migration,
        }
    }

    fn is_empty(&self) -> bool {
        let blocks = Scope::BOTH.into_iter().filter_map(|scope| self.migration.block(scope));
        blocks.into_iter().all(ScopedSql::is_empty)
    }
}

impl View for MigrationChangeView<'_> {
    fn changes(&self) -> String {
        format!("{} was written; no database was changed", self.file)
    }

    fn print_text(&self, console: &Console) {
        let outcome = self.outcome;
        let place = format!("{}:{}: {} ", self.file, self.line, self.migration);
        console.line(StyledLine::from(place).state(outcome, outcome));
        for note in self.notes {
            console.line(format!("  {note}"));
        }
        if self.is_empty() {
            console.line("  write its SQL before the next upgrade, then run `tatmig lint`");
        }
    }
}

/// The result of `new --from-db` for a database that has the schema of head.
#[derive(Serialize)]
pub(crate) struct NoDifferenceView<'r> {
    #[serde(skip)]
    file: &'r str,
    outcome: State,
    #[serde(skip)]
    head: String,
    /// The objects that were left out.
    notes: &'r [String],
    #[serde(skip)]
    database_file: &'r Path,
}

impl<'r> NoDifferenceView<'r> {
    pub(crate) fn new(
        document_name: &'r str,
        changelog: Option<&Changelog<'_>>,
        database_file: &'r Path,
        notes: &'r [String],
    ) -> Self {
        let head = match changelog {
            Some(changelog) => changelog.head().to_string(),
            None => "baseline".to_owned(),
        };
        Self { file: document_name, outcome: State::Unchanged, head, notes, database_file }
    }
}

impl View for NoDifferenceView<'_> {
    fn print_text(&self, console: &Console) {
        console.line(format!(
            "`{}` already has the schema of {}; {} was not changed",
            escape_for_display(self.database_file.as_os_str()),
            self.head,
            self.file
        ));
        for note in self.notes {
            console.line(format!("  {note}"));
        }
    }
}
