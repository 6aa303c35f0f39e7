//! The judgement on a document: drawn for people, or as JSON, as workflow commands of GitHub
//! Actions, or as SARIF 2.1.0 for code scanning.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};
use tatmig::{Diagnostic, LineColumn, Rule, Severity, Source};

use crate::cli::command_args::LintFormat;
use crate::cli::report::{Report, diagnostic_json, severity_counts};

impl Report {
    /// Tells every problem of a document.
    pub(crate) fn print_lint(
        &self,
        source: &Source<'_>,
        diagnostics: &[Diagnostic],
        format: LintFormat,
    ) {
        match format {
            LintFormat::Human => {
                self.print_diagnostics(source, diagnostics);
                self.print_line(format!("{}: {}", source.name(), severity_counts(diagnostics)));
            }
            LintFormat::Json => Self::print_json(&lint_json(source, diagnostics)),
            LintFormat::Github => {
                let mut out = std::io::stdout().lock();
                for diagnostic in diagnostics {
                    let _ = writeln!(out, "{}", workflow_command(source, diagnostic));
                }
            }
            LintFormat::Sarif => Self::print_json(&sarif_json(source, diagnostics)),
        }
    }
}

fn lint_json(source: &Source<'_>, diagnostics: &[Diagnostic]) -> Value {
    let count = |severity| diagnostics.iter().filter(|p| p.severity == severity).count();
    json!({
        "file": source.name(),
        "problems": diagnostics.iter().map(|p| diagnostic_json(source, p)).collect::<Vec<_>>(),
        "summary": {
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
            "notes": count(Severity::Note),
        },
    })
}

/// Where a problem begins, and the place behind its last character.
fn line_column_range(
    source: &Source<'_>,
    span: &std::ops::Range<usize>,
) -> (LineColumn, LineColumn) {
    let text = source.text();
    let trimmed = text.get(span.clone()).unwrap_or("").trim_end();
    let start = source.line_column(span.start);
    (start, source.line_column(span.start + trimmed.len()).max(start))
}

/// `::warning file=m.md,line=3,col=1,endLine=3,endColumn=9,title=rule::message`.
fn workflow_command(source: &Source<'_>, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        _ => "notice",
    };
    let (start, end) = line_column_range(source, &diagnostic.span);
    let mut command = format!(
        "::{level} file={},line={},col={},endLine={}",
        escape_property(source.name()),
        start.line,
        start.column,
        end.line,
    );
    // GitHub takes columns for those of one line only.
    if start.line == end.line {
        let _ = write!(command, ",endColumn={}", end.column);
    }
    let mut message = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        let _ = write!(message, "\n{help}");
    }
    let _ = write!(
        command,
        ",title={}::{}",
        escape_property(diagnostic.rule.name()),
        escape_data(&message)
    );
    command
}

/// The escapes of a command's message.
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The escapes of a command's properties.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

fn sarif_json(source: &Source<'_>, diagnostics: &[Diagnostic]) -> Value {
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.name(),
                "shortDescription": { "text": rule.summary() },
                "help": { "text": format!("docs/lints.md tells what `{}` is about and how to mend it.", rule.name()) },
                "defaultConfiguration": { "level": sarif_level(rule.severity()) },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "tatmig",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": diagnostics.iter().map(|p| sarif_result(source, p)).collect::<Vec<_>>(),
        }],
    })
}

fn sarif_level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        _ => "note",
    }
}

fn sarif_result(source: &Source<'_>, diagnostic: &Diagnostic) -> Value {
    let mut text = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, "\n{help}");
    }
    let mut result = json!({
        "ruleId": diagnostic.rule.name(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == diagnostic.rule),
        "level": sarif_level(diagnostic.severity),
        "message": { "text": text },
        "locations": [{ "physicalLocation": sarif_location(source, &diagnostic.span) }],
    });
    if !diagnostic.related.is_empty() {
        let related = diagnostic.related.iter().map(|(span, label)| {
            json!({
                "physicalLocation": sarif_location(source, span),
                "message": { "text": label },
            })
        });
        result["relatedLocations"] = related.collect();
    }
    result
}

fn sarif_location(source: &Source<'_>, span: &std::ops::Range<usize>) -> Value {
    let (start, end) = line_column_range(source, span);
    json!({
        "artifactLocation": { "uri": path_to_uri(source.name()) },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    })
}

/// A path as a URI reference: an absolute one with its scheme, a relative one as it is.
fn path_to_uri(path: &str) -> String {
    let mut uri = String::new();
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
