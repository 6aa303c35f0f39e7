//! The schema between two markers of the document: found, told apart from examples in code, and
//! replaced.

use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;

use semver::Version;

use crate::document::lines::lines;
use crate::document::tag::Scope;
use crate::edit::change::{Change, changed};
use crate::edit::page::{Page, fence_around, with_line_ends};
use crate::schema_diff::Shape;
use crate::source::Source;

const START: &str = "tatmig:schema:start";
const END: &str = "tatmig:schema:end";

/// How a schema is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
pub struct Marker {
    /// How the schema is told.
    pub format: SchemaFormat,
    /// Of which databases; none for all that the document has.
    pub scope: Option<Scope>,
    /// At which version; none for head.
    pub at: Option<Version>,
    /// The bytes between the two markers.
    pub inside: Range<usize>,
    /// The line of the first marker, from 1.
    pub line: usize,
}

/// Markers that do not make pairs, or ask for what there is not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct MarkerError {
    /// `MIGRATIONS.md:12`
    pub place: String,
    /// What is wrong, and what to do.
    pub what: String,
}

/// The content of the comment that a line is.
fn comment(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim())
}

/// The lines outside of code.
fn prose<'p>(page: &'p Page<'_>) -> impl Iterator<Item = Range<usize>> + 'p {
    lines(page.text, 0..page.text.len())
        .filter(|line| !page.code.iter().any(|code| code.contains(&line.start)))
}

/// Where markers begin.
pub(crate) fn starts(page: &Page<'_>) -> Vec<usize> {
    let is_start = |line: &Range<usize>| {
        comment(&page.text[line.clone()]).is_some_and(|text| text.starts_with(START))
    };
    prose(page).filter(is_start).map(|line| line.start).collect()
}

/// The pairs of markers in a document.
///
/// ```
/// let text = "<!-- tatmig:schema:start format=sql scope=user -->\n<!-- tatmig:schema:end -->\n";
/// let found = tatmig::edit::markers(&tatmig::Source::new("m.md", text))?;
/// assert_eq!(found[0].scope, Some(tatmig::Scope::User));
/// # Ok::<(), tatmig::edit::MarkerError>(())
/// ```
///
/// # Errors
///
/// The first marker without its partner, or with an option that means nothing.
pub fn markers(source: &Source<'_>) -> Result<Vec<Marker>, MarkerError> {
    let page = Page::read(source.text());
    let mut found: Vec<Marker> = Vec::new();
    let mut open: Option<Marker> = None;
    for line in prose(&page) {
        let number = source.line(line.start);
        let wrong = |number: usize, what: String| MarkerError {
            place: format!("{}:{number}", source.name()),
            what,
        };
        let Some(text) = comment(&page.text[line.clone()]) else { continue };
        let mut words = text.split_whitespace();
        match words.next() {
            Some(START) => {
                if let Some(open) = &open {
                    let what = format!("no `<!-- {END} -->` stands between this and line {number}");
                    return Err(wrong(open.line, what));
                }
                let mut marker = Marker {
                    format: SchemaFormat::default(),
                    scope: None,
                    at: None,
                    inside: line.end..line.end,
                    line: number,
                };
                for word in words {
                    option(&mut marker, word).map_err(|what| wrong(number, what))?;
                }
                open = Some(marker);
            }
            Some(END) => match open.take() {
                Some(mut marker) => {
                    marker.inside.end = line.start;
                    found.push(marker);
                }
                None => {
                    let what = format!("no `<!-- {START} -->` stands before this");
                    return Err(wrong(number, what));
                }
            },
            _ => {}
        }
    }
    match open {
        Some(open) => Err(MarkerError {
            place: format!("{}:{}", source.name(), open.line),
            what: format!("no `<!-- {END} -->` ends this"),
        }),
        None => Ok(found),
    }
}

fn option(marker: &mut Marker, word: &str) -> Result<(), String> {
    match word.split_once('=') {
        Some(("format", value)) => marker.format = value.parse()?,
        Some(("scope", "system")) => marker.scope = Some(Scope::System),
        Some(("scope", "user")) => marker.scope = Some(Scope::User),
        Some(("scope", other)) => {
            return Err(format!(
                "there is no scope `{other}`; write `scope=system` or `scope=user`"
            ));
        }
        Some(("at", value)) => {
            let version = Version::parse(value);
            marker.at = Some(version.map_err(|_| format!("`{value}` is not a version"))?);
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
pub fn written(source: &Source<'_>, sections: &[(Marker, Vec<(Scope, Shape)>)]) -> String {
    let page = Page::read(source.text());
    let change = |(marker, shapes): &(Marker, Vec<(Scope, Shape)>)| {
        Change::new(marker.inside.clone(), body(marker.format, shapes, page.line_end))
    };
    changed(source.text(), sections.iter().map(change).collect())
}

fn body(format: SchemaFormat, shapes: &[(Scope, Shape)], eol: &str) -> String {
    let mut out = String::new();
    for (scope, shape) in shapes {
        let whose = match scope {
            Scope::System => "The system database:",
            Scope::User => "Each user's database:",
        };
        out.push_str(eol);
        if shapes.len() > 1 {
            let _ = write!(out, "{whose}{eol}{eol}");
        }
        let (label, text) = match format {
            SchemaFormat::Sql => ("sql", with_line_ends(&shape.sql(), eol)),
            SchemaFormat::Mermaid => ("mermaid", shape.mermaid().replace('\n', eol)),
        };
        let fence = fence_around(&text);
        let _ = write!(out, "{fence}{label}{eol}{text}{fence}{eol}");
    }
    out.push_str(eol);
    out
}
