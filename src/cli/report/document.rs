//! What was written into the document, and the schemas that it describes.

use std::path::Path;

use semver::Version;
use serde_json::json;
use tatmig::{Changelog, Migration, Scope, Shape};

use crate::cli::command_args::SchemaForm;
use crate::cli::report::{DONE, Report, plural};
use crate::cli::settings::Format;

/// A migration that was put into the document or released in it.
pub(crate) struct Written<'w> {
    pub(crate) migration: &'w Migration<'w>,
    /// What a human has to look at, each in words.
    pub(crate) remarks: &'w [String],
    /// What was done: `added`.
    pub(crate) what: &'w str,
}

impl Report {
    /// Tells what became of a migration.
    pub(crate) fn written(&self, changelog: &Changelog<'_>, written: &Written<'_>) {
        let Written { migration, remarks, what } = written;
        let source = changelog.source();
        let line = source.line(migration.span.start);
        if self.format == Format::Json {
            let scopes = Scope::BOTH.into_iter().filter(|scope| migration.part(*scope).is_some());
            Self::json(&json!({
                "file": source.name(),
                "line": line,
                "from": migration.from,
                "to": migration.to,
                "outcome": what,
                "scopes": scopes.collect::<Vec<_>>(),
                "remarks": remarks,
            }));
            return;
        }
        self.line(format!("{}:{line}: {migration} {what}", source.name()));
        for remark in *remarks {
            self.line(format!("  {remark}"));
        }
        let is_empty = Scope::BOTH
            .into_iter()
            .filter_map(|scope| migration.part(scope))
            .all(tatmig::Part::is_empty);
        if is_empty {
            self.line("  write its statements before the next upgrade, and then run `tatmig lint`");
        }
    }

    /// Tells that a database is what the document describes.
    pub(crate) fn nothing_to_write(&self, name: &str, (file, head): (&Path, Option<&str>)) -> u8 {
        let file = tatmig::shown(file.as_os_str());
        let head = head.unwrap_or("baseline");
        if self.format == Format::Json {
            Self::json(&json!({ "file": name, "outcome": "unchanged", "head": head }));
        }
        self.line(format!("`{file}` has the schema of {head} already; {name} is left as it is"));
        DONE
    }

    /// Prints schemas: one as it is, of several each under its scope.
    pub(crate) fn schemas(
        &self,
        (name, version): (&str, &Version),
        shapes: &[(Scope, Shape)],
        form: SchemaForm,
    ) {
        let text = |shape: &Shape| match form {
            SchemaForm::Sql => shape.sql(),
            SchemaForm::Mermaid => shape.mermaid(),
        };
        if self.format == Format::Json {
            let schemas =
                shapes.iter().map(|(scope, shape)| json!({ "scope": scope, "text": text(shape) }));
            Self::json(&json!({
                "file": name,
                "version": version.to_string(),
                "schemas": schemas.collect::<Vec<_>>(),
            }));
            return;
        }
        let mut parts = Vec::new();
        for (scope, shape) in shapes {
            let text = text(shape);
            parts.push(match (shapes.len(), form) {
                (1, _) => text,
                (_, SchemaForm::Sql) => format!("-- {scope} {version}\n\n{text}"),
                (_, SchemaForm::Mermaid) => {
                    format!("**{scope} {version}**\n\n```mermaid\n{text}```\n")
                }
            });
        }
        self.line(parts.join("\n").trim_end());
    }

    /// Tells which schemas between markers are stale, by the lines of their markers.
    pub(crate) fn checked(&self, name: &str, stale: &[usize]) {
        if self.format == Format::Json {
            Self::json(&json!({ "file": name, "stale": stale }));
        }
        for line in stale {
            self.error(format!(
                "{name}:{line}: the schema here is stale; `tatmig schema --write` brings it up to date"
            ));
        }
        if stale.is_empty() {
            self.line(format!("{name}: its schema is up to date"));
        }
    }

    /// Tells what was brought up to date.
    pub(crate) fn refreshed(&self, name: &str, stale: &[usize]) {
        if self.format == Format::Json {
            Self::json(&json!({ "file": name, "written": stale }));
        }
        self.line(if stale.is_empty() {
            format!("{name}: its schema is up to date")
        } else {
            format!("{name}: {} brought up to date", plural(stale.len(), "schema section"))
        });
    }
}
