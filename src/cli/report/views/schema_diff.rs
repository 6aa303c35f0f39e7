//! Shows how two schemas differ: a table of the differences in comments, and the SQL that leads from
//! the first to the second.

use serde::Serialize;
use tatmig::Scope;
use tatmig::database::ConnectionSetup;
use tatmig::schema_diff::{PartChange, Rename, SchemaSnapshot};

use crate::cli::args::document_commands::SchemaAction;
use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::view::View;

/// The result of `schema --diff`.
#[derive(Serialize)]
pub(crate) struct SchemaDiffView<'r> {
    /// What the first schema is of, such as `MIGRATIONS.md at 1.0.0`.
    old_schema: &'r str,
    /// What the second schema is of.
    new_schema: &'r str,
    diffs: Vec<ScopeDiff>,
    /// What was left out of the comparison.
    notes: &'r [String],
    #[serde(skip)]
    action: SchemaAction,
}

/// The differences of one scope.
#[derive(Serialize)]
pub(crate) struct ScopeDiff {
    scope: Scope,
    changes: Vec<PartChange>,
    /// The statements that lead from the first schema to the second; `None` if they cannot be
    /// generated.
    sql: Option<String>,
    /// What a person has to check in the statements, and renames that may be meant.
    warnings: Vec<String>,
}

impl ScopeDiff {
    pub(crate) fn new(
        scope: Scope,
        from: &SchemaSnapshot,
        to: &SchemaSnapshot,
        setup: &ConnectionSetup,
    ) -> Self {
        let changes = from.changes_to(to);
        match from.diff_with_renames(to, &[], setup) {
            Ok(diff) => {
                let mut warnings = diff.warnings;
                warnings.extend(diff.suspected_renames.iter().map(Rename::suggestion));
                Self { scope, changes, sql: Some(diff.sql), warnings }
            }
            Err(error) => Self { scope, changes, sql: None, warnings: vec![error.to_string()] },
        }
    }
}

impl<'r> SchemaDiffView<'r> {
    pub(crate) fn new(
        old_schema: &'r str,
        new_schema: &'r str,
        diffs: Vec<ScopeDiff>,
        notes: &'r [String],
    ) -> Self {
        Self { old_schema, new_schema, diffs, notes, action: SchemaAction::Print }
    }

    /// The same with the exit status of an action.
    pub(crate) fn with_action(self, action: SchemaAction) -> Self {
        Self { action, ..self }
    }

    fn is_equal(&self) -> bool {
        self.diffs.iter().all(|diff| diff.changes.is_empty())
    }
}

impl View for SchemaDiffView<'_> {
    fn print_text(&self, console: &Console) {
        if self.is_equal() {
            console.line(format!(
                "-- {} and {} have the same schema",
                self.old_schema, self.new_schema
            ));
        }
        for diff in self.diffs.iter().filter(|diff| !diff.changes.is_empty()) {
            console.line(format!(
                "-- {}: from {} to {}",
                diff.scope, self.old_schema, self.new_schema
            ));
            for row in table(&diff.changes) {
                console.line(format!("--   {row}"));
            }
            for warning in &diff.warnings {
                console.line(format!("-- {}", one_line(warning)));
            }
            console.line("");
            if let Some(sql) = diff.sql.as_deref().filter(|sql| !sql.is_empty()) {
                console.verbatim(sql.trim_end_matches(['\n', '\r']));
                console.line("");
            }
        }
        self.print_errors(console);
    }

    fn print_errors(&self, console: &Console) {
        for note in self.notes {
            console.note(note);
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(self.action == SchemaAction::Check && !self.is_equal())
    }
}

/// The changes as aligned rows: what happens, to which part, and its definition.
fn table(changes: &[PartChange]) -> Vec<String> {
    let cells = |change: &PartChange| {
        let kind = format!("{:?}", change.change).to_lowercase();
        let definition = match (&change.before, &change.after) {
            (Some(before), Some(after)) => format!("{before} → {after}"),
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => String::new(),
        };
        [kind, format!("{} {}", change.part, change.name), definition].map(|cell| one_line(&cell))
    };
    let rows: Vec<[String; 3]> = changes.iter().map(cells).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    rows.iter()
        .map(|[kind, part, definition]| {
            format!("{kind:first$}  {part:second$}  {definition}").trim_end().to_owned()
        })
        .collect()
}

/// A text that stays in the line of its comment.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
