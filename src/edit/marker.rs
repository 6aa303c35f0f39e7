//! Finds the schema sections of a document, each between two markers outside of code, and rewrites
//! them.

use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;

use semver::Version;

use crate::document::lines::line_ranges;
use crate::document::tag::Scope;
use crate::edit::change::{TextEdit, apply_edits};
use crate::edit::page::{DocumentView, fence_around, with_line_ends};
use crate::migrate::error::{Error, ErrorKind};
use crate::schema_diff::SchemaSnapshot;
use crate::source::Source;

const START_MARKER: &str = "tatmig:schema:start";
const END_MARKER: &str = "tatmig:schema:end";

/// The output format of a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaFormat {
    /// The statements that create it.
    Sql,
    /// A Mermaid entity relationship diagram.
    #[default]
    Mermaid,
}

impl FromStr for SchemaFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "sql" => Ok(Self::Sql),
            "mermaid" => Ok(Self::Mermaid),
            _ => Err(format!("unknown schema format `{text}`; use `sql` or `mermaid`")),
        }
    }
}

/// A pair of markers and their options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaSection {
    /// The output format of the schema.
    pub format: SchemaFormat,
    /// The scope whose schema is shown; `None` for every scope that the document has.
    pub scope: Option<Scope>,
    /// The version of the schema; `None` for head.
    pub version: Option<Version>,
    /// The bytes between the two markers.
    pub content: Range<usize>,
    /// The line of the start marker, counted from 1.
    pub line: usize,
}

/// A marker without its partner or with an invalid option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {message}")]
pub struct MarkerError {
    /// The line of the marker, such as `MIGRATIONS.md:12`.
    pub location: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl From<MarkerError> for Error {
    fn from(error: MarkerError) -> Self {
        Self::new(ErrorKind::Document, error)
    }
}

/// The text of a line that is an HTML comment.
fn comment_text(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

/// The lines outside of code blocks.
fn prose_lines<'p>(view: &'p DocumentView<'_>) -> impl Iterator<Item = Range<usize>> + 'p {
    line_ranges(view.text, 0..view.text.len())
        .filter(|line| !view.code_blocks.iter().any(|code| code.contains(&line.start)))
}

/// The offsets of the lines with a start marker.
pub(crate) fn start_marker_offsets(view: &DocumentView<'_>) -> Vec<usize> {
    let is_start = |line: &Range<usize>| {
        comment_text(&view.text[line.clone()]).is_some_and(|text| text.starts_with(START_MARKER))
    };
    prose_lines(view).filter(is_start).map(|line| line.start).collect()
}

/// Finds the pairs of markers in a document.
///
/// ```
/// let text = "<!-- tatmig:schema:start format=sql scope=user -->\n<!-- tatmig:schema:end -->\n";
/// let found = tatmig::edit::schema_sections(&tatmig::Source::new("m.md", text))?;
/// assert_eq!(found[0].scope, Some(tatmig::Scope::User));
/// # Ok::<(), tatmig::edit::MarkerError>(())
/// ```
///
/// # Errors
///
/// The first marker without its partner or with an invalid option.
pub fn schema_sections(source: &Source<'_>) -> Result<Vec<SchemaSection>, MarkerError> {
    let view = DocumentView::parse(source.text());
    let error_at = |line: usize, message: String| MarkerError {
        location: format!("{}:{line}", source.name()),
        message,
    };
    let mut sections: Vec<SchemaSection> = Vec::new();
    let mut open_section: Option<SchemaSection> = None;
    for line in prose_lines(&view) {
        let Some(text) = comment_text(&view.text[line.clone()]) else { continue };
        let line_number = source.line_number(line.start);
        let mut words = text.split_whitespace();
        match words.next() {
            Some(START_MARKER) => {
                if let Some(open) = &open_section {
                    let message = format!(
                        "no `<!-- {END_MARKER} -->` between this marker and line {line_number}; add it"
                    );
                    return Err(error_at(open.line, message));
                }
                let section = parse_start_marker(words, &line, line_number);
                open_section = Some(section.map_err(|message| error_at(line_number, message))?);
            }
            Some(END_MARKER) => {
                let Some(mut section) = open_section.take() else {
                    let message =
                        format!("no `<!-- {START_MARKER} -->` before this marker; add it");
                    return Err(error_at(line_number, message));
                };
                section.content.end = line.start;
                sections.push(section);
            }
            _ => {}
        }
    }
    match open_section {
        Some(open) => {
            let message = format!("no `<!-- {END_MARKER} -->` after this marker; add it");
            Err(error_at(open.line, message))
        }
        None => Ok(sections),
    }
}

/// The section of a start marker with these options, not yet ended.
fn parse_start_marker<'w>(
    options: impl Iterator<Item = &'w str>,
    line: &Range<usize>,
    line_number: usize,
) -> Result<SchemaSection, String> {
    let mut section = SchemaSection {
        format: SchemaFormat::default(),
        scope: None,
        version: None,
        content: line.end..line.end,
        line: line_number,
    };
    for option in options {
        parse_option(&mut section, option)?;
    }
    Ok(section)
}

fn parse_option(section: &mut SchemaSection, word: &str) -> Result<(), String> {
    match word.split_once('=') {
        Some(("format", value)) => section.format = value.parse()?,
        Some(("scope", "system")) => section.scope = Some(Scope::System),
        Some(("scope", "user")) => section.scope = Some(Scope::User),
        Some(("scope", other)) => {
            return Err(format!("unknown scope `{other}`; write `scope=system` or `scope=user`"));
        }
        Some(("at", value)) => {
            let version = Version::parse(value);
            section.version = Some(version.map_err(|_| {
                format!("`{value}` is not a version; write three numbers, such as `at=1.2.0`")
            })?);
        }
        _ => {
            return Err(format!(
                "unknown option `{word}`; a marker takes `format=`, `scope=` and `at=`"
            ));
        }
    }
    Ok(())
}

/// The schema of the databases of one scope.
#[derive(Clone, Debug)]
pub struct ScopeSchema {
    /// System or user.
    pub scope: Scope,
    /// The schema.
    pub schema: SchemaSnapshot,
}

/// A schema section of a document and the schemas to write into it.
#[derive(Clone, Debug)]
pub struct SectionSchemas {
    /// The section, as [`schema_sections`] found it.
    pub section: SchemaSection,
    /// The schemas, in the order in which they are written.
    pub schemas: Vec<ScopeSchema>,
}

/// Returns the document's text with each section replaced by the schemas given for it.
#[must_use]
pub fn render_schema_sections(source: &Source<'_>, sections: &[SectionSchemas]) -> String {
    let view = DocumentView::parse(source.text());
    let to_edit = |SectionSchemas { section, schemas }: &SectionSchemas| {
        TextEdit::new(
            section.content.clone(),
            render_schemas(section.format, schemas, view.line_ending),
        )
    };
    apply_edits(source.text(), sections.iter().map(to_edit).collect())
}

fn render_schemas(format: SchemaFormat, schemas: &[ScopeSchema], eol: &str) -> String {
    let mut out = String::new();
    for ScopeSchema { scope, schema } in schemas {
        let scope_title = match scope {
            Scope::System => "The system database:",
            Scope::User => "Each user database:",
        };
        out.push_str(eol);
        if schemas.len() > 1 {
            let _ = write!(out, "{scope_title}{eol}{eol}");
        }
        let (label, text) = match format {
            SchemaFormat::Sql => ("sql", with_line_ends(&schema.sql(), eol)),
            SchemaFormat::Mermaid => ("mermaid", schema.mermaid().replace('\n', eol)),
        };
        let fence = fence_around(&text);
        let _ = write!(out, "{fence}{label}{eol}{text}{fence}{eol}");
    }
    out.push_str(eol);
    out
}
