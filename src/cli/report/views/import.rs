//! Shows what `import` took over from another tool, and what a person must do.

use serde::Serialize;
use tatmig::import::{Import, ImportOptions, Todo};
use tatmig::{Diagnostic, Scope, Severity, Source};

use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::{plural, severity_counts_with};
use crate::cli::report::json::ProblemEntry;
use crate::cli::report::view::View;

/// The result of `import`.
#[derive(Serialize)]
pub(crate) struct ImportView<'r> {
    #[serde(skip)]
    file: &'r str,
    tool: &'static str,
    /// How the tool was found; null if it was named.
    reason: Option<&'r str>,
    scopes: [Scope; 1],
    notes: &'r [String],
    todos: Vec<TodoEntry<'r>>,
    #[serde(skip)]
    summary: ImportCounts,
    /// The commands to run next.
    next: Vec<String>,
    #[serde(skip)]
    source: &'r Source<'r>,
    #[serde(skip)]
    diagnostics: &'r [Diagnostic],
}

#[derive(Serialize)]
struct ImportCounts {
    /// The number of databases.
    total: usize,
    migrations: usize,
    reverse_blocks: usize,
    todos: usize,
}

/// Something that a person must do, in a line of the document.
#[derive(Serialize)]
struct TodoEntry<'r> {
    line: usize,
    source_file: &'r str,
    source_line: usize,
    message: &'r str,
}

impl<'r> ImportView<'r> {
    pub(crate) fn new(
        source: &'r Source<'r>,
        import: &'r Import,
        options: &ImportOptions<'_>,
        reason: &'r str,
    ) -> Self {
        let entry = |todo: &'r Todo| TodoEntry {
            line: todo.document_line,
            source_file: &todo.origin.file,
            source_line: todo.origin.line,
            message: &todo.reason,
        };
        Self {
            file: source.name(),
            tool: import.tool.name(),
            reason: (!reason.is_empty()).then_some(reason),
            scopes: [options.scope],
            notes: &import.notes,
            todos: import.todos.iter().map(entry).collect(),
            summary: ImportCounts {
                total: 0,
                migrations: import.migration_count,
                reverse_blocks: import.reverse_count,
                todos: import.todos.len(),
            },
            next: next_commands(source.name(), options.scope),
            source,
            diagnostics: &import.problems,
        }
    }

    fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }
}

/// The commands that check the document and bring the databases under its care.
fn next_commands(file: &str, scope: Scope) -> Vec<String> {
    let file = if file == "MIGRATIONS.md" { String::new() } else { format!(" --file {file}") };
    let users = if scope == Scope::User { " --all-users" } else { "" };
    vec![
        format!("tatmig lint{file}"),
        format!("tatmig adopt{users}{file}"),
        format!("tatmig upgrade{users}{file}"),
    ]
}

impl View for ImportView<'_> {
    fn print_text(&self, console: &Console) {
        let found = self.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        console.line(format!(
            "{}: {} imported from {}{found}, {} with a reverse block",
            self.file,
            plural(self.summary.migrations, "migration"),
            self.tool,
            self.summary.reverse_blocks
        ));
        for note in self.notes {
            console.line(format!("  {note}"));
        }
        self.print_errors(console);
        if !self.diagnostics.is_empty() || !self.todos.is_empty() {
            // `lint` counts an error for each comment that a person has to replace.
            let counts = severity_counts_with(self.diagnostics, self.todos.len());
            console.line(format!("{}: {counts}", self.file));
        }
        if self.todos.is_empty() {
            console.line("next:");
        } else {
            let statements = plural(self.todos.len(), "statement");
            console.line(format!("write {statements} in {}, then:", self.file));
        }
        for command in &self.next {
            console.line(format!("  {command}"));
        }
    }

    fn print_errors(&self, console: &Console) {
        for todo in &self.todos {
            console.error(format!(
                "{}:{}: not taken over from {}:{}: {}",
                self.file, todo.line, todo.source_file, todo.source_line, todo.message
            ));
        }
        let errors: Vec<_> = self
            .diagnostics
            .iter()
            .filter(|found| found.severity == Severity::Error)
            .cloned()
            .collect();
        console.diagnostics(self.source, &errors);
    }

    fn problems(&self) -> Vec<ProblemEntry<'_>> {
        ProblemEntry::list(self.source, self.diagnostics)
    }

    fn summary(&self) -> impl Serialize {
        &self.summary
    }

    fn exit_status(&self) -> u8 {
        failure_if(!self.todos.is_empty() || self.has_errors())
    }
}
