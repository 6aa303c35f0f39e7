//! What is wrong or risky in a document: a named rule, a message, the place, and how to mend it,
//! drawn over the source as rustc draws it.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::{LineColumn, Source};

/// How much a problem weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; nothing to mend.
    Note,
    /// Risky, or not what was meant; the document can be used.
    Warning,
    /// The document cannot be used.
    Error,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $severity:ident;)*) => {
        /// The kinds of problems, each with a stable name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The rule of a name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|rule| rule.name() == name)
            }

            /// The stable name, as messages show it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it is about, in a sentence.
            #[must_use]
            pub fn summary(self) -> &'static str {
                let text = match self {
                    $(Self::$variant => concat!($($doc),*),)*
                };
                text.trim_start()
            }

            /// The severity that a problem of this kind has unless a command says otherwise.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)*
                }
            }
        }
    };
}

rules! {
    /// A block holds a NUL character, at which SQLite would stop reading.
    NulCharacter = "nul-character", Error;
    /// No migration stands in the document.
    NoMigrations = "no-migrations", Error;
    /// A line looks like a tag and is not one.
    MalformedTag = "malformed-tag", Error;
    /// A heading that almost says `(Planned)`.
    MalformedPlanned = "malformed-planned", Error;
    /// A carriage return that ends no line.
    CarriageReturn = "carriage-return", Error;
    /// A tag stands outside any code block.
    TagOutsideCode = "tag-outside-code", Error;
    /// A block stands in a code block labelled with another language.
    WrongFenceLabel = "wrong-fence-label", Error;
    /// A start tag without its end tag.
    UnclosedBlock = "unclosed-block", Error;
    /// An end tag without its start tag.
    UnopenedBlock = "unopened-block", Error;
    /// A start tag inside another block, a template or a comment.
    NestedBlock = "nested-block", Error;
    /// An end tag that names another block than the one it stands in.
    MismatchedEnd = "mismatched-end", Error;
    /// SQL in a code block that holds tags, but outside them.
    TextOutsideBlock = "text-outside-block", Error;
    /// The same tag a second time.
    DuplicateTag = "duplicate-tag", Error;
    /// A tag whose versions are not those of the heading above it.
    HeadingMismatch = "heading-mismatch", Error;
    /// A tag from a version to itself.
    SameVersion = "same-version", Error;
    /// Build metadata, which has no precedence, in a version.
    BuildMetadata = "build-metadata", Error;
    /// Two migrations start at one version, or end at one.
    Fork = "fork", Error;
    /// A migration that starts where no other ends.
    Gap = "gap", Error;
    /// No baseline to begin with.
    NoBaseline = "no-baseline", Error;
    /// A baseline at a version that no migration reaches.
    BaselineOffChain = "baseline-off-chain", Error;
    /// A reverse block without the migration it would reverse.
    ReverseWithoutForward = "reverse-without-forward", Error;
    /// A released migration that only a planned one leads to.
    ReleasedAfterPlanned = "released-after-planned", Error;
    /// One part of a migration planned, another released.
    HalfPlanned = "half-planned", Error;
    /// A statement that SQLite refuses in the replay.
    Sql = "sql", Error;
    /// A statement that tatmig refuses inside a block.
    RefusedStatement = "refused-statement", Error;
    /// A parameter like `?1`, for which nobody gives a value.
    Parameter = "parameter", Error;
    /// A statement that left its transaction, in the replay.
    EndedTransaction = "ended-transaction", Error;
    /// A migration that a database went through was changed since.
    Edited = "edited", Error;
    /// A `-- tatmig:allow` without a reason, or for a rule that does not exist.
    MalformedAllow = "malformed-allow", Error;
    /// Rows refer to parents that are not there.
    ForeignKeys = "foreign-keys", Error;
    /// A table that is dropped and made again loses rows.
    RowLoss = "row-loss", Error;
    /// A migration changes values of columns that it does not name.
    RowChange = "row-change", Error;
    /// A table that is dropped and made again loses an index or a trigger.
    ObjectLoss = "object-loss", Error;
    /// A code block that swallowed a fence or a heading.
    StrayFence = "stray-fence", Warning;
    /// A heading with two versions and no block under it.
    EmptyHeading = "empty-heading", Warning;
    /// A planned migration whose SQL is not commented out.
    PlannedLiveSql = "planned-live-sql", Warning;
    /// A released migration whose blocks are all commented out.
    ReleasedWithoutSql = "released-without-sql", Warning;
    /// A row-changing statement broke a constraint in the replay.
    Constraint = "constraint", Warning;
    /// A later baseline does not end in the schema that the chain ends in.
    BaselinesDiffer = "baselines-differ", Warning;
    /// A statement that fails, or adds its rows again, when its block runs a second time.
    NotRerunnable = "not-rerunnable", Warning;
    /// A statement that deletes or overwrites rows wholesale.
    Destructive = "destructive", Warning;
    /// A foreign key that SQLite cannot use, or whose parent table is not there.
    BrokenForeignKey = "broken-foreign-key", Warning;
    /// An `IF NOT EXISTS` over something that is there with another definition.
    HidingGuard = "hiding-guard", Warning;
    /// A statement that a libSQL server refuses.
    ServerRefuses = "server-refuses", Warning;
    /// A PRAGMA that does nothing inside a migration.
    PragmaWithoutEffect = "pragma-without-effect", Warning;
    /// Text in double quotes, which SQLite takes for a string only where no column has its name.
    DoubleQuotedString = "double-quoted-string", Warning;
    /// A released migration without a date, or with one that cannot be read.
    MissingDate = "missing-date", Warning;
    /// A migration without a description.
    MissingDescription = "missing-description", Warning;
    /// A migration dated before the one that it builds on.
    DatesOutOfOrder = "dates-out-of-order", Warning;
    /// A reverse block that does not bring back the schema of its version.
    ReverseDiffers = "reverse-differs", Warning;
    /// Something in the schema that the application's SQLite (`min_sqlite`) cannot read.
    NeedsNewerSqlite = "needs-newer-sqlite", Warning;
    /// Tags in a code block for readers (`text`, `markdown`), which tatmig does not run.
    Example = "example", Note;
}

/// One problem of a document, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Which kind.
    pub rule: Rule,
    /// Its weight in this run.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The bytes of the document that are underlined.
    pub span: Range<usize>,
    /// What stands beside the underline; may be empty.
    pub label: String,
    /// Other places that belong to it, each with a label.
    pub related: Vec<(Range<usize>, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic with the rule's own severity, without label, related places and help. `span` is
    /// a byte range of the document.
    #[must_use]
    pub fn new(rule: Rule, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            rule,
            severity: rule.severity(),
            message: message.into(),
            span,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Where the problem begins.
    #[must_use]
    pub fn line_column(&self, source: &Source<'_>) -> LineColumn {
        source.line_column(self.span.start)
    }

    /// The problem drawn over its source line; `ColorMode` says whether with terminal colours.
    #[must_use]
    pub fn render(&self, source: &Source<'_>, color_mode: ColorMode) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut report =
            Group::with_title(level.primary_title(self.message.as_str()).id(self.rule.name()))
                .element(excerpt(source, &self.span, AnnotationKind::Primary, &self.label));
        for (span, label) in &self.related {
            report = report.element(excerpt(source, span, AnnotationKind::Context, label));
        }
        if let Some(help) = &self.help {
            report = report.element(Level::HELP.message(help.as_str()));
        }
        let renderer = match color_mode {
            ColorMode::Plain => Renderer::plain(),
            ColorMode::Colored => Renderer::styled(),
        };
        renderer.render(&[report])
    }
}

/// Whether text for people carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColorMode {
    /// Text alone.
    Plain,
    /// With ANSI colours.
    Colored,
}

/// The lines of a span, cut out of the document: the renderer's cost is then theirs alone.
fn excerpt<'s>(
    source: &Source<'s>,
    span: &Range<usize>,
    kind: AnnotationKind,
    label: &str,
) -> Snippet<'s, annotate_snippets::Annotation<'s>> {
    const MAX_LINE_LEN: usize = 2000;
    let text = source.text();
    // A caller may have built a span for another document.
    let span_start = floor_char_boundary(text, span.start);
    let first = source.line_number(span_start);
    let lines = source.line_range(first);
    // A span of many lines is shown by its first.
    let mut end = floor_char_boundary(text, span.end).clamp(span_start, lines.end);
    let mut window = lines.clone();
    if window.len() > MAX_LINE_LEN {
        // A line of megabytes: the part around the span is enough to find it.
        window.end = floor_char_boundary(text, (span_start + MAX_LINE_LEN).min(window.end));
        end = end.min(window.end);
    }
    end = span_start + text[span_start..end].trim_end().len();
    let annotation = kind.span(span_start - window.start..end - window.start);
    let annotation = if label.is_empty() { annotation } else { annotation.label(label.to_owned()) };
    Snippet::source(&text[window.clone()])
        .line_start(first)
        .path(source.name().to_owned())
        .annotation(annotation)
}

/// The offset, or the start of the character that it lies in; at most the length of the text.
fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A document that cannot be used: all its problems, and their drawing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DocumentError {
    /// Every problem found, errors and warnings, in document order.
    pub diagnostics: Vec<Diagnostic>,
    pub(crate) message: String,
}

impl DocumentError {
    pub(crate) fn new(source: &Source<'_>, diagnostics: Vec<Diagnostic>) -> Self {
        let message = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .map(|problem| problem.render(source, ColorMode::Plain))
            .collect::<Vec<_>>()
            .join("\n\n");
        Self { diagnostics, message }
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DocumentError {}
