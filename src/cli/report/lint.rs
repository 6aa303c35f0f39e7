//! The judgement on a document: drawn for people, or as JSON, as workflow commands of GitHub
//! Actions, or as SARIF 2.1.0 for code scanning.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};
use tatmig::{Place, Problem, Rule, Severity, Source};

use crate::cli::command_args::LintFormat;
use crate::cli::report::{Report, counts, problem_json};

impl Report {
    /// Tells every problem of a document.
    pub(crate) fn linted(&self, source: &Source<'_>, problems: &[Problem], format: LintFormat) {
        match format {
            LintFormat::Human => {
                self.problems(source, problems);
                self.line(format!("{}: {}", source.name(), counts(problems)));
            }
            LintFormat::Json => Self::json(&document(source, problems)),
            LintFormat::Github => {
                let mut out = std::io::stdout().lock();
                for problem in problems {
                    let _ = writeln!(out, "{}", workflow_command(source, problem));
                }
            }
            LintFormat::Sarif => Self::json(&sarif(source, problems)),
        }
    }
}

fn document(source: &Source<'_>, problems: &[Problem]) -> Value {
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    json!({
        "file": source.name(),
        "problems": problems.iter().map(|p| problem_json(source, p)).collect::<Vec<_>>(),
        "summary": {
            "errors": count(Severity::Error),
            "warnings": count(Severity::Warning),
            "notes": count(Severity::Note),
        },
    })
}

/// Where a problem begins, and the place behind its last character.
fn region(source: &Source<'_>, span: &std::ops::Range<usize>) -> (Place, Place) {
    let text = source.text();
    let inside = text.get(span.clone()).unwrap_or("").trim_end();
    let start = source.place(span.start);
    (start, source.place(span.start + inside.len()).max(start))
}

/// `::warning file=m.md,line=3,col=1,endLine=3,endColumn=9,title=rule::message`.
fn workflow_command(source: &Source<'_>, problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let (start, end) = region(source, &problem.span);
    let mut command = format!(
        "::{level} file={},line={},col={},endLine={}",
        property(source.name()),
        start.line,
        start.column,
        end.line,
    );
    // GitHub takes columns for those of one line only.
    if start.line == end.line {
        let _ = write!(command, ",endColumn={}", end.column);
    }
    let mut message = problem.message.clone();
    if let Some(help) = &problem.help {
        let _ = write!(message, "\n{help}");
    }
    let _ = write!(command, ",title={}::{}", property(problem.rule.name()), data(&message));
    command
}

/// The escapes of a command's message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The escapes of a command's properties.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn sarif(source: &Source<'_>, problems: &[Problem]) -> Value {
    let rules: Vec<Value> = Rule::ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.name(),
                "shortDescription": { "text": rule.summary() },
                "help": { "text": format!("docs/lints.md tells what `{}` is about and how to mend it.", rule.name()) },
                "defaultConfiguration": { "level": level(rule.severity()) },
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
            "results": problems.iter().map(|p| result(source, p)).collect::<Vec<_>>(),
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn result(source: &Source<'_>, problem: &Problem) -> Value {
    let mut text = problem.message.clone();
    if let Some(help) = &problem.help {
        let _ = write!(text, "\n{help}");
    }
    let mut result = json!({
        "ruleId": problem.rule.name(),
        "ruleIndex": Rule::ALL.iter().position(|rule| *rule == problem.rule),
        "level": level(problem.severity),
        "message": { "text": text },
        "locations": [{ "physicalLocation": location(source, &problem.span) }],
    });
    if !problem.related.is_empty() {
        let related = problem.related.iter().map(|(span, label)| {
            json!({
                "physicalLocation": location(source, span),
                "message": { "text": label },
            })
        });
        result["relatedLocations"] = related.collect();
    }
    result
}

fn location(source: &Source<'_>, span: &std::ops::Range<usize>) -> Value {
    let (start, end) = region(source, span);
    json!({
        "artifactLocation": { "uri": uri(source.name()) },
        "region": {
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        },
    })
}

/// A path as a URI reference: an absolute one with its scheme, a relative one as it is.
fn uri(path: &str) -> String {
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
