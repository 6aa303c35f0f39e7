//! Shows the schemas of the document, and whether the schema sections in it are up to date.

use semver::Version;
use serde::Serialize;
use tatmig::Scope;
use tatmig::edit::ScopeSchema;

use crate::cli::args::document_commands::SchemaFormat;
use crate::cli::report::console::Console;
use crate::cli::report::exit_status::failure_if;
use crate::cli::report::format::plural;
use crate::cli::report::state::State;
use crate::cli::report::styled_line::StyledLine;
use crate::cli::report::view::View;

/// The result of `schema`.
#[derive(Serialize)]
pub(crate) struct SchemaView {
    version: String,
    schemas: Vec<SchemaEntry>,
    #[serde(skip)]
    format: SchemaFormat,
}

/// The schema of one scope, as SQL or as a Mermaid diagram.
#[derive(Serialize)]
struct SchemaEntry {
    scope: Scope,
    text: String,
}

impl SchemaView {
    pub(crate) fn new(version: &Version, schemas: &[ScopeSchema], format: SchemaFormat) -> Self {
        let schemas = schemas.iter().map(|ScopeSchema { scope, schema }| SchemaEntry {
            scope: *scope,
            text: match format {
                SchemaFormat::Sql => schema.sql(),
                SchemaFormat::Mermaid => schema.mermaid(),
            },
        });
        let schemas = schemas.collect();
        Self { version: version.to_string(), schemas, format }
    }
}

impl View for SchemaView {
    fn print_text(&self, console: &Console) {
        let version = &self.version;
        let parts = self.schemas.iter().map(|SchemaEntry { scope, text }| {
            match (self.schemas.len(), self.format) {
                (1, _) => text.clone(),
                (_, SchemaFormat::Sql) => format!("-- {scope} {version}\n\n{text}"),
                (_, SchemaFormat::Mermaid) => {
                    format!("**{scope} {version}**\n\n```mermaid\n{text}```\n")
                }
            }
        });
        let text = parts.collect::<Vec<_>>().join("\n");
        match (text.trim_end(), self.schemas.as_slice()) {
            ("", [SchemaEntry { scope, .. }]) => {
                console.note(format!("note: the {scope} schema of {version} is empty"));
            }
            (text, _) => console.line(text),
        }
    }
}

/// The result of `schema --check`: the lines of the markers of stale schema sections.
#[derive(Serialize)]
pub(crate) struct SchemaCheckView<'r> {
    #[serde(skip)]
    pub(crate) file: &'r str,
    pub(crate) stale: &'r [usize],
}

impl View for SchemaCheckView<'_> {
    fn print_text(&self, console: &Console) {
        self.print_errors(console);
        if self.stale.is_empty() {
            console.line(up_to_date(self.file));
        }
    }

    fn print_errors(&self, console: &Console) {
        for line in self.stale {
            console.error(format!(
                "{}:{line}: this schema is stale; run `tatmig schema --write`",
                self.file
            ));
        }
    }

    fn exit_status(&self) -> u8 {
        failure_if(!self.stale.is_empty())
    }
}

/// The result of `schema --write`: the lines of the markers of the updated schema sections.
#[derive(Serialize)]
pub(crate) struct SchemaUpdateView<'r> {
    #[serde(skip)]
    pub(crate) file: &'r str,
    pub(crate) written: &'r [usize],
}

impl View for SchemaUpdateView<'_> {
    fn print_text(&self, console: &Console) {
        console.line(match self.written.len() {
            0 => up_to_date(self.file),
            count => StyledLine::from(format!("{}: ", self.file))
                .state(State::Ok, format!("{} updated", plural(count, "schema section"))),
        });
    }
}

fn up_to_date(file: &str) -> StyledLine {
    StyledLine::from(format!("{file}: the schema is ")).state(State::Ok, "up to date")
}
