//! The schema between two markers of the document: found, told apart from examples in code, and
//! replaced.

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

/// How a schema is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaFormat {
    /// The statements that make it.
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
            _ => {
                Err(format!("there is no format `{text}`; a schema is told as `sql` or `mermaid`"))
            }
        }
    }
}

/// A pair of markers and what they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaSection {
    /// How the schema is told.
    pub format: SchemaFormat,
    /// Of which databases; none for all that the document has.
    pub scope: Option<Scope>,
    /// At which version; none for head.
    pub version: Option<Version>,
    /// The bytes between the two markers.
    pub content: Range<usize>,
    /// The line of the first marker, from 1.
    pub line: usize,
}

/// Markers that do not make pairs, or ask for what there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {message}")]
pub struct MarkerError {
    /// `MIGRATIONS.md:12`
    pub location: String,
    /// What is wrong, and what to do.
    pub message: String,
}

impl From<MarkerError> for Error {
    fn from(error: MarkerError) -> Self {
        Self::new(ErrorKind::Document, error)
    }
}

/// The content of the comment that a line is.
fn comment_text(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

/// The lines outside of code.
fn prose_lines<'p>(view: &'p DocumentView<'_>) -> impl Iterator<Item = Range<usize>> + 'p {
    line_ranges(view.text, 0..view.text.len())
        .filter(|line| !view.code_blocks.iter().any(|code| code.contains(&line.start)))
}

/// Where markers begin.
pub(crate) fn start_marker_offsets(view: &DocumentView<'_>) -> Vec<usize> {
    let is_start = |line: &Range<usize>| {
        comment_text(&view.text[line.clone()]).is_some_and(|text| text.starts_with(START_MARKER))
    };
    prose_lines(view).filter(is_start).map(|line| line.start).collect()
}

/// The pairs of markers in a document.
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
/// The first marker without its partner, or with an option that means nothing.
pub fn schema_sections(source: &Source<'_>) -> Result<Vec<SchemaSection>, MarkerError> {
    let view = DocumentView::parse(source.text());
    let mut sections: Vec<SchemaSection> = Vec::new();
    let mut open_section: Option<SchemaSection> = None;
    for line in prose_lines(&view) {
        let line_number = source.line_number(line.start);
        let error_at = |number: usize, message: String| MarkerError {
            location: format!("{}:{number}", source.name()),
            message,
        };
        let Some(text) = comment_text(&view.text[line.clone()]) else { continue };
        let mut words = text.split_whitespace();
        match words.next() {
            Some(START_MARKER) => {
                if let Some(open) = &open_section {
                    let what = format!(
                        "no `<!-- {END_MARKER} -->` stands between this and line {line_number}"
                    );
                    return Err(error_at(open.line, what));
                }
                let mut section = SchemaSection {
                    format: SchemaFormat::default(),
                    scope: None,
                    version: None,
                    content: line.end..line.end,
                    line: line_number,
                };
                for word in words {
                    parse_option(&mut section, word).map_err(|what| error_at(line_number, what))?;
                }
                open_section = Some(section);
            }
            Some(END_MARKER) => match open_section.take() {
                Some(mut marker) => {
                    marker.content.end = line.start;
                    sections.push(marker);
                }
                None => {
                    let what = format!("no `<!-- {START_MARKER} -->` stands before this");
                    return Err(error_at(line_number, what));
                }
            },
            _ => {}
        }
    }
    match open_section {
        Some(open) => Err(MarkerError {
            location: format!("{}:{}", source.name(), open.line),
            message: format!("no `<!-- {END_MARKER} -->` ends this"),
        }),
        None => Ok(sections),
    }
}

fn parse_option(section: &mut SchemaSection, word: &str) -> Result<(), String> {
    match word.split_once('=') {
        Some(("format", value)) => section.format = value.parse()?,
        Some(("scope", "system")) => section.scope = Some(Scope::System),
        Some(("scope", "user")) => section.scope = Some(Scope::User),
        Some(("scope", other)) => {
            return Err(format!(
                "there is no scope `{other}`; write `scope=system` or `scope=user`"
            ));
        }
        Some(("at", value)) => {
            let version = Version::parse(value);
            section.version = Some(version.map_err(|_| format!("`{value}` is not a version"))?);
        }
        _ => {
            return Err(format!(
                "`{word}` means nothing here; a marker takes `format=`, `scope=` and `at=`"
            ));
        }
    }
    Ok(())
}

/// The document with what belongs between its markers, each given with the schemas that it asks for.
#[must_use]
pub fn render_schema_sections(
    source: &Source<'_>,
    sections: &[(SchemaSection, Vec<(Scope, SchemaSnapshot)>)],
) -> String {
    let view = DocumentView::parse(source.text());
    let to_edit = |(section, schemas): &(SchemaSection, Vec<(Scope, SchemaSnapshot)>)| {
        TextEdit::new(
            section.content.clone(),
            render_schemas(section.format, schemas, view.line_ending),
        )
    };
    apply_edits(source.text(), sections.iter().map(to_edit).collect())
}

fn render_schemas(format: SchemaFormat, schemas: &[(Scope, SchemaSnapshot)], eol: &str) -> String {
    let mut out = String::new();
    for (scope, schema) in schemas {
        let scope_title = match scope {
            Scope::System => "The system database:",
            Scope::User => "Each user's database:",
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
