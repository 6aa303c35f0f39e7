//! Serializes diagnostics as SARIF 2.1.0, the format of code scanning services.

use std::fmt::Write as _;
use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use tatmig::{Diagnostic, Rule, Severity, Source};

use crate::cli::report::format::line_column_range;
use crate::cli::report::views::rule::explanation;

/// The SARIF log of one document.
#[derive(Serialize)]
pub(crate) struct SarifLog<'r> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [SarifRun<'r>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRun<'r> {
    tool: SarifTool,
    column_kind: &'static str,
    results: Vec<SarifResult<'r>>,
}

#[derive(Serialize)]
struct SarifTool {
    driver: SarifDriver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifDriver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<SarifRule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRule {
    id: &'static str,
    short_description: SarifText<&'static str>,
    help: SarifHelp,
    help_uri: String,
    default_configuration: SarifConfiguration,
}

#[derive(Serialize)]
struct SarifConfiguration {
    level: &'static str,
}

#[derive(Serialize)]
struct SarifText<T> {
    text: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'r> {
    rule_id: &'static str,
    rule_index: Option<usize>,
    level: &'static str,
    message: SarifText<String>,
    locations: [SarifLocation<'r>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<SarifLocation<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifLocation<'r> {
    physical_location: SarifPhysicalLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<SarifText<&'r str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifPhysicalLocation {
    artifact_location: SarifArtifact,
    region: SarifRegion,
}

#[derive(Serialize)]
struct SarifArtifact {
    uri: String,
}

/// Lines and columns, both counted from 1; the end is exclusive.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifRegion {
    start_line: usize,
    start_column: usize,
    end_line: usize,
    end_column: usize,
}

impl<'r> SarifLog<'r> {
    pub(crate) fn new(source: &Source<'_>, diagnostics: &'r [Diagnostic]) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let driver = SarifDriver {
            name: "tatmig",
            version,
            semantic_version: version,
            rules: Rule::ALL.iter().map(|rule| SarifRule::new(*rule)).collect(),
        };
        let results = diagnostics.iter().map(|diagnostic| SarifResult::new(source, diagnostic));
        let run = SarifRun {
            tool: SarifTool { driver },
            column_kind: "unicodeCodePoints",
            results: results.collect(),
        };
        let schema = "https://json.schemastore.org/sarif-2.1.0.json";
        Self { schema, version: "2.1.0", runs: [run] }
    }
}

/// The description of a rule. Code scanning services show the Markdown.
#[derive(Serialize)]
struct SarifHelp {
    text: &'static str,
    markdown: &'static str,
}

impl SarifRule {
    fn new(rule: Rule) -> Self {
        let help = explanation(rule.name()).unwrap_or_else(|| rule.summary());
        Self {
            id: rule.name(),
            short_description: SarifText { text: rule.summary() },
            help: SarifHelp { text: help, markdown: help },
            help_uri: rule.url(),
            default_configuration: SarifConfiguration { level: sarif_level(rule.severity()) },
        }
    }
}

impl<'r> SarifResult<'r> {
    fn new(source: &Source<'_>, diagnostic: &'r Diagnostic) -> Self {
        let mut text = diagnostic.message.clone();
        if let Some(help) = &diagnostic.help {
            let _ = write!(text, "\n{help}");
        }
        let related = diagnostic.related.iter().map(|(span, label)| SarifLocation {
            physical_location: SarifPhysicalLocation::new(source, span),
            message: Some(SarifText { text: label.as_ref() }),
        });
        Self {
            rule_id: diagnostic.rule.name(),
            rule_index: Rule::ALL.iter().position(|rule| *rule == diagnostic.rule),
            level: sarif_level(diagnostic.severity),
            message: SarifText { text },
            locations: [SarifLocation {
                physical_location: SarifPhysicalLocation::new(source, &diagnostic.span),
                message: None,
            }],
            related_locations: related.collect(),
        }
    }
}

impl SarifPhysicalLocation {
    fn new(source: &Source<'_>, span: &Range<usize>) -> Self {
        let (start, end) = line_column_range(source, span);
        Self {
            artifact_location: SarifArtifact { uri: path_to_uri(source.name()) },
            region: SarifRegion {
                start_line: start.line,
                start_column: start.column,
                end_line: end.line,
                end_column: end.column,
            },
        }
    }
}

fn sarif_level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        _ => "note",
    }
}

/// A path as a URI reference: with the scheme `file` if it is absolute, else relative.
fn path_to_uri(path: &str) -> String {
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'_').remove(b'-').remove(b'~');
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    format!("{scheme}{}", utf8_percent_encode(path, ESCAPED))
}
