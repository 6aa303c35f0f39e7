//! What was written into the document, and the schemas that it describes.

use std::path::Path;

use semver::Version;
use serde_json::json;
use tatmig::document::Migration;
use tatmig::schema_diff::SchemaSnapshot;
use tatmig::{Changelog, Scope};

use crate::cli::command_args::SchemaFormat;
use crate::cli::output::OutputFormat;
use crate::cli::report::{EXIT_SUCCESS, Report, plural};

/// A migration that was put into the document or released in it.
pub(crate) struct MigrationChange<'w> {
    pub(crate) migration: &'w Migration<'w>,
    /// What a human has to look at, each in words.
    pub(crate) notes: &'w [String],
    /// What was done: `added`.
    pub(crate) action: &'w str,
}

impl Report {
    /// Tells what became of a migration.
    pub(crate) fn print_migration_change(
        &self,
        changelog: &Changelog<'_>,
        change: &MigrationChange<'_>,
    ) {
        let MigrationChange { migration, notes, action } = change;
        let source = changelog.source();
        let line = source.line_number(migration.tag_span.start);
        if self.format == OutputFormat::Json {
            let scopes = Scope::BOTH.into_iter().filter(|scope| migration.block(*scope).is_some());
            Self::print_json(&json!({
                "file": source.name(),
                "line": line,
                "from": migration.from,
                "to": migration.to,
                "outcome": action,
                "scopes": scopes.collect::<Vec<_>>(),
                "remarks": notes,
            }));
            return;
        }
        self.print_line(format!("{}:{line}: {migration} {action}", source.name()));
        for note in *notes {
            self.print_line(format!("  {note}"));
        }
        let is_empty = Scope::BOTH
            .into_iter()
            .filter_map(|scope| migration.block(scope))
            .all(tatmig::document::ScopedSql::is_empty);
        if is_empty {
            self.print_line(
                "  write its statements before the next upgrade, and then run `tatmig lint`",
            );
        }
    }

    /// Tells that a database is what the document describes.
    pub(crate) fn print_no_difference(
        &self,
        document_name: &str,
        (file, head): (&Path, Option<&str>),
    ) -> u8 {
        let file = tatmig::text::escape_for_display(file.as_os_str());
        let head = head.unwrap_or("baseline");
        if self.format == OutputFormat::Json {
            Self::print_json(
                &json!({ "file": document_name, "outcome": "unchanged", "head": head }),
            );
        }
        self.print_line(format!(
            "`{file}` has the schema of {head} already; {document_name} is left as it is"
        ));
        EXIT_SUCCESS
    }

    /// Prints schemas: one as it is, of several each under its scope.
    pub(crate) fn print_schemas(
        &self,
        (document_name, version): (&str, &Version),
        snapshots: &[(Scope, SchemaSnapshot)],
        schema_format: SchemaFormat,
    ) {
        let render = |snapshot: &SchemaSnapshot| match schema_format {
            SchemaFormat::Sql => snapshot.sql(),
            SchemaFormat::Mermaid => snapshot.mermaid(),
        };
        if self.format == OutputFormat::Json {
            let schemas = snapshots
                .iter()
                .map(|(scope, snapshot)| json!({ "scope": scope, "text": render(snapshot) }));
            Self::print_json(&json!({
                "file": document_name,
                "version": version.to_string(),
                "schemas": schemas.collect::<Vec<_>>(),
            }));
            return;
        }
        let mut parts = Vec::new();
        for (scope, snapshot) in snapshots {
            let render = render(snapshot);
            parts.push(match (snapshots.len(), schema_format) {
                (1, _) => render,
                (_, SchemaFormat::Sql) => format!("-- {scope} {version}\n\n{render}"),
                (_, SchemaFormat::Mermaid) => {
                    format!("**{scope} {version}**\n\n```mermaid\n{render}```\n")
                }
            });
        }
        self.print_line(parts.join("\n").trim_end());
    }

    /// Tells which schemas between markers are stale, by the lines of their markers.
    pub(crate) fn print_schema_check(&self, document_name: &str, stale_lines: &[usize]) {
        if self.format == OutputFormat::Json {
            Self::print_json(&json!({ "file": document_name, "stale": stale_lines }));
        }
        for line in stale_lines {
            self.print_error(format!(
                "{document_name}:{line}: the schema here is stale; `tatmig schema --write` brings it up to date"
            ));
        }
        if stale_lines.is_empty() {
            self.print_line(format!("{document_name}: its schema is up to date"));
        }
    }

    /// Tells what was brought up to date.
    pub(crate) fn print_schema_update(&self, document_name: &str, stale_lines: &[usize]) {
        if self.format == OutputFormat::Json {
            Self::print_json(&json!({ "file": document_name, "written": stale_lines }));
        }
        self.print_line(if stale_lines.is_empty() {
            format!("{document_name}: its schema is up to date")
        } else {
            format!(
                "{document_name}: {} brought up to date",
                plural(stale_lines.len(), "schema section")
            )
        });
    }
}
