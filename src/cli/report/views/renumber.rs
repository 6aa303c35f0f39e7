//! Shows the migrations that `renumber` gave new versions, and the lines that name the old ones.

use serde::Serialize;
use tatmig::VersionPoint;
use tatmig::edit::Renumbered;

use crate::cli::report::console::Console;
use crate::cli::report::view::View;

/// The result of `renumber`.
#[derive(Serialize)]
pub(crate) struct RenumberView<'r> {
    #[serde(skip)]
    file: &'r str,
    renumbered: Vec<RenumberedEntry<'r>>,
    /// The lines that name an old version.
    references: Vec<ReferenceEntry<'r>>,
    notes: &'r [String],
    /// Whether the SQL cannot run in the new order.
    fails: bool,
}

/// One migration with its old and its new versions.
#[derive(Serialize)]
struct RenumberedEntry<'r> {
    line: usize,
    old_from: &'r VersionPoint,
    old_to: &'r VersionPoint,
    from: &'r VersionPoint,
    to: &'r VersionPoint,
}

/// A line that names an old version.
#[derive(Serialize)]
struct ReferenceEntry<'r> {
    line: usize,
    version: &'r str,
}

impl<'r> RenumberView<'r> {
    /// `fails` is whether the SQL cannot run in the new order.
    pub(crate) fn new(file: &'r str, renumbered: &'r Renumbered, fails: bool) -> Self {
        let entries = renumbered.migrations.iter().map(|migration| RenumberedEntry {
            line: migration.line,
            old_from: &migration.old_from,
            old_to: &migration.old_to,
            from: &migration.from,
            to: &migration.to,
        });
        let references = renumbered
            .references
            .iter()
            .map(|(line, version)| ReferenceEntry { line: *line, version: version.as_str() });
        Self {
            file,
            renumbered: entries.collect(),
            references: references.collect(),
            notes: &renumbered.notes,
            fails,
        }
    }
}

impl View for RenumberView<'_> {
    fn print_text(&self, console: &Console) {
        for entry in &self.renumbered {
            let RenumberedEntry { line, old_from, old_to, from, to } = entry;
            console
                .line(format!("{}:{line}: {old_from} → {old_to} is now {from} → {to}", self.file));
        }
        for note in self.notes {
            console.line(format!("  {note}"));
        }
        for ReferenceEntry { line, version } in &self.references {
            console.line(format!("  {}:{line} names {version}; check this text", self.file));
        }
        if self.fails {
            console.line(
                "  the SQL does not run in this order; run `tatmig lint` and correct it by hand",
            );
        }
    }
}
