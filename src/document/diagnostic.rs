//! Defines diagnostics of a document: a rule, a message, a span of the document and a hint, rendered
//! over the source line as rustc does.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::source::{LineColumn, Source};
use crate::text::{escape_controls, replace_controls};

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// For information; nothing has to be fixed.
    Note,
    /// Risky or probably not intended; the document can be used.
    Warning,
    /// The document cannot be used.
    Error,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal, $severity:ident;)*) => {
        /// The kinds of diagnostics, each with a stable name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The rule with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|rule| rule.name() == name)
            }

            /// The stable name that messages, `--deny` and `tatmig:allow` use.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What the rule reports, in one line.
            #[must_use]
            pub fn summary(self) -> &'static str {
                let text = match self {
                    $(Self::$variant => concat!($($doc),*),)*
                };
                text.trim_start()
            }

            /// The severity of its diagnostics, unless a command changes it.
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
    /// A NUL character in a block, at which SQLite stops reading.
    NulCharacter = "nul-character", Error;
    /// The document contains no migration.
    NoMigrations = "no-migrations", Error;
    /// A line that looks like a tag and is not one.
    MalformedTag = "malformed-tag", Error;
    /// A heading that nearly holds two versions.
    MalformedHeading = "malformed-heading", Error;
    /// A heading, or a line like one, that is nearly marked `(Planned)`.
    MalformedPlanned = "malformed-planned", Error;
    /// A second heading with the versions of another one.
    DuplicateHeading = "duplicate-heading", Error;
    /// The markers of an unresolved merge conflict.
    ConflictMarker = "conflict-marker", Error;
    /// A space, quote or dash in SQL that only looks like the one of SQL.
    InvisibleCharacter = "invisible-character", Error;
    /// A carriage return without a line feed.
    CarriageReturn = "carriage-return", Error;
    /// A tag outside any code block.
    TagOutsideCode = "tag-outside-code", Error;
    /// A block in a code block that is labelled as another language.
    WrongFenceLabel = "wrong-fence-label", Error;
    /// A start tag without its end tag.
    UnclosedBlock = "unclosed-block", Error;
    /// An end tag without its start tag.
    UnopenedBlock = "unopened-block", Error;
    /// A start tag inside another block, a template or a comment.
    NestedBlock = "nested-block", Error;
    /// An end tag whose versions or scope differ from its start tag's.
    MismatchedEnd = "mismatched-end", Error;
    /// SQL in a code block with tags, but outside the tags.
    TextOutsideBlock = "text-outside-block", Error;
    /// The same tag twice in the document.
    DuplicateTag = "duplicate-tag", Error;
    /// A tag whose versions are not those of the heading above it.
    HeadingMismatch = "heading-mismatch", Error;
    /// A tag whose two versions are the same.
    SameVersion = "same-version", Error;
    /// A version with build metadata, which does not count when versions are compared.
    BuildMetadata = "build-metadata", Error;
    /// Two migrations that start or end at the same version.
    Fork = "fork", Error;
    /// A migration that starts where no other ends.
    Gap = "gap", Error;
    /// No released baseline to start the chain with.
    NoBaseline = "no-baseline", Error;
    /// A baseline at a version that no migration reaches.
    BaselineOffChain = "baseline-off-chain", Error;
    /// A reverse block without the migration that it would undo.
    ReverseWithoutForward = "reverse-without-forward", Error;
    /// A released migration behind a planned one.
    ReleasedAfterPlanned = "released-after-planned", Error;
    /// A migration with one planned block and one released block.
    HalfPlanned = "half-planned", Error;
    /// Two migrations that were imported from the same migration of another tool.
    DuplicateImported = "duplicate-imported", Error;
    /// A statement that SQLite rejects in the replay.
    Sql = "sql", Error;
    /// A statement that tatmig refuses inside a block.
    RefusedStatement = "refused-statement", Error;
    /// A parameter such as `?1`, which has no value in a migration.
    Parameter = "parameter", Error;
    /// A statement that ends the transaction of the run.
    EndedTransaction = "ended-transaction", Error;
    /// A migration that was edited after a database applied it.
    Edited = "edited", Error;
    /// A `-- tatmig:allow` without a reason, or for an unknown rule.
    MalformedAllow = "malformed-allow", Error;
    /// A `-- tatmig:assert` without a reason, or without a SELECT below it.
    MalformedAssert = "malformed-assert", Error;
    /// A released block in which `-- tatmig:todo` marks what is still to be written or decided.
    UnfinishedBlock = "unfinished-block", Error;
    /// A `-- tatmig:assert` whose SELECT returns rows.
    Assert = "assert", Error;
    /// Rows whose foreign keys refer to missing rows.
    ForeignKeys = "foreign-keys", Error;
    /// A table that loses rows when it is dropped and rebuilt.
    RowLoss = "row-loss", Error;
    /// A migration that changes values in columns it does not name.
    RowChange = "row-change", Error;
    /// A rebuild that lowers the AUTOINCREMENT counter of its table.
    CounterReset = "counter-reset", Error;
    /// A rebuild after which a full-text table no longer matches the rows of its content table.
    FtsRowIds = "fts-row-ids", Error;
    /// A table that loses an index or a trigger when it is dropped and rebuilt.
    ObjectLoss = "object-loss", Error;
    /// A rebuild or drop that destroys columns, indexes or triggers that the document does not have.
    UndocumentedLoss = "undocumented-loss", Error;
    /// A statement that overwrites a column which existed before the run that adds it.
    Overwrite = "overwrite", Error;
    /// A statement that uses a table by the order of its columns.
    PositionalCopy = "positional-copy", Error;
    /// A view, trigger or foreign key that cannot be used any more.
    DanglingReference = "dangling-reference", Error;
    /// An ADD COLUMN that SQLite accepts only while the table is empty.
    NeedsEmptyTable = "needs-empty-table", Error;
    /// A code block that includes a fence or a heading by mistake.
    StrayFence = "stray-fence", Warning;
    /// A heading with two versions and no block below it.
    EmptyHeading = "empty-heading", Warning;
    /// A bracket behind the versions of a heading that is not `(Planned)`.
    UnknownHeadingSuffix = "unknown-heading-suffix", Warning;
    /// A line `**Imported**: …` without a known tool, a key or a migration.
    MalformedImported = "malformed-imported", Warning;
    /// A code block labelled `sql` below a version heading that has no tag.
    UntaggedSql = "untagged-sql", Warning;
    /// A planned migration whose SQL is not commented out.
    PlannedLiveSql = "planned-live-sql", Warning;
    /// A released migration whose blocks are all commented out.
    ReleasedWithoutSql = "released-without-sql", Warning;
    /// A row-changing statement that violates a constraint in the replay.
    Constraint = "constraint", Warning;
    /// A later baseline whose schema differs from the schema that the chain leads to.
    BaselinesDiffer = "baselines-differ", Warning;
    /// A statement that fails or inserts its rows again when its block runs a second time.
    NotRerunnable = "not-rerunnable", Note;
    /// A statement that deletes or overwrites data.
    Destructive = "destructive", Warning;
    /// A foreign key that SQLite cannot use, or whose parent table does not exist.
    BrokenForeignKey = "broken-foreign-key", Warning;
    /// An `IF NOT EXISTS` for an object that exists with another definition.
    HidingGuard = "hiding-guard", Warning;
    /// A statement that a libSQL server refuses.
    ServerRefuses = "server-refuses", Warning;
    /// A PRAGMA that has no effect inside a migration.
    PragmaWithoutEffect = "pragma-without-effect", Warning;
    /// Text in double quotes, which SQLite takes for a string only if no column has that name.
    DoubleQuotedString = "double-quoted-string", Warning;
    /// A released migration without a date, or with one that cannot be read.
    MissingDate = "missing-date", Warning;
    /// A migration without a description.
    MissingDescription = "missing-description", Warning;
    /// A migration dated before the one that it follows.
    DatesOutOfOrder = "dates-out-of-order", Warning;
    /// A reverse block that does not restore the schema of its version.
    ReverseDiffers = "reverse-differs", Error;
    /// A part of the schema that the application's SQLite (`min_sqlite`) cannot read.
    NeedsNewerSqlite = "needs-newer-sqlite", Warning;
    /// Tags in a code block labelled as an example (`text`, `markdown`), which never run.
    Example = "example", Note;
}

impl Rule {
    /// The address of the section that explains the rule.
    #[must_use]
    pub fn url(self) -> String {
        format!("{}/blob/main/docs/lints.md#{}", env!("CARGO_PKG_REPOSITORY"), self.name())
    }

    /// Whether the rule is about what a migration may do to a database. Its errors make `lint` exit
    /// with 1, a block can allow it with a reason, and no run refuses a document for it.
    #[must_use]
    pub fn is_safety_rule(self) -> bool {
        matches!(
            self,
            Self::ObjectLoss
                | Self::PositionalCopy
                | Self::DanglingReference
                | Self::NeedsEmptyTable
                | Self::CounterReset
                | Self::FtsRowIds
                | Self::ReverseDiffers
                | Self::UndocumentedLoss
                | Self::Overwrite
        )
    }

    /// Whether a `-- tatmig:allow` of a block has an effect. Of the errors, a block can allow those of
    /// the safety rules, and what only a run on rows can find.
    #[must_use]
    pub fn can_be_allowed(self) -> bool {
        self.severity() < Severity::Error
            || self.is_safety_rule()
            || matches!(self, Self::RowLoss | Self::RowChange | Self::ForeignKeys)
    }
}

/// One error, warning or note about a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// The kind of diagnostic.
    pub rule: Rule,
    /// How serious it is in this run.
    pub severity: Severity,
    /// What is wrong, without a full stop.
    pub message: String,
    /// The bytes of the document that are underlined.
    pub span: Range<usize>,
    /// The text next to the underline; may be empty.
    pub label: String,
    /// Other spans of the document that the message refers to, each with a label.
    pub related: Vec<(Range<usize>, String)>,
    /// What to do next.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic with the rule's own severity, without label, related spans and help. `span` is
    /// a byte range of the document. Control characters in the message are escaped.
    #[must_use]
    pub fn new(rule: Rule, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            rule,
            severity: rule.severity(),
            message: escape_controls(&message.into()).into_owned(),
            span,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = escape_controls(&label.into()).into_owned();
        self
    }

    pub(crate) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, escape_controls(&label.into()).into_owned()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(escape_controls(&help.into()).into_owned());
        self
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Whether the block that it points into can allow it.
    pub(crate) fn can_be_allowed(&self) -> bool {
        self.severity < Severity::Error || self.rule.can_be_allowed()
    }

    /// The line and column at which the span begins.
    #[must_use]
    pub fn line_column(&self, source: &Source<'_>) -> LineColumn {
        source.line_column(self.span.start)
    }

    /// The diagnostic as text for a terminal, with the source lines and their line numbers.
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

/// Whether text for a terminal has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColorMode {
    /// Without colours.
    Plain,
    /// With ANSI colours.
    Colored,
}

/// The source lines of a span, cut out of the document so that the renderer does not scan all of it.
fn excerpt<'s>(
    source: &Source<'s>,
    span: &Range<usize>,
    kind: AnnotationKind,
    label: &str,
) -> Snippet<'s, annotate_snippets::Annotation<'s>> {
    const MAX_LINE_LEN: usize = 2000;
    let text = source.text();
    // A caller may have built a span for another document.
    let span_start = text.floor_char_boundary(span.start);
    let first = source.line_number(span_start);
    let lines = source.line_range(first);
    // A span of many lines is shown by its first.
    let mut end = text.floor_char_boundary(span.end).clamp(span_start, lines.end);
    let mut window = lines.clone();
    if window.len() > MAX_LINE_LEN {
        // A line may be megabytes long; the part around the span is enough to find it.
        window.end = text.floor_char_boundary((span_start + MAX_LINE_LEN).min(window.end));
        end = end.min(window.end);
    }
    end = span_start + text[span_start..end].trim_end().len();
    // Each is replaced by one character, so that lines and columns stay the same. Each part is replaced
    // alone, so that the mark covers the same text as before.
    let before = replace_controls(&text[window.start..span_start]);
    let marked = replace_controls(&text[span_start..end]);
    let behind = replace_controls(&text[end..window.end]);
    let annotation = kind.span(before.len()..before.len() + marked.len());
    let annotation = if label.is_empty() { annotation } else { annotation.label(label.to_owned()) };
    let is_unchanged =
        [&before, &marked, &behind].iter().all(|part| matches!(part, Cow::Borrowed(_)));
    let shown = if is_unchanged {
        Cow::Borrowed(&text[window])
    } else {
        Cow::Owned(format!("{before}{marked}{behind}"))
    };
    Snippet::source(shown).line_start(first).path(source.name().to_owned()).annotation(annotation)
}

/// A document that cannot be used. Its `Display` shows all errors with their source lines.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DocumentError {
    /// All diagnostics, warnings included, in document order.
    pub diagnostics: Vec<Diagnostic>,
    pub(crate) message: String,
}

impl DocumentError {
    pub(crate) fn new(source: &Source<'_>, diagnostics: Vec<Diagnostic>) -> Self {
        let message = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .map(|diagnostic| diagnostic.render(source, ColorMode::Plain))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_can_allow_warnings_even_if_they_are_denied_but_only_some_errors() {
        let denied = |rule| Diagnostic::new(rule, 0..0, "").severity(Severity::Error);
        for rule in [Rule::Destructive, Rule::ObjectLoss, Rule::RowLoss, Rule::ForeignKeys] {
            assert!(denied(rule).can_be_allowed(), "{}", rule.name());
        }
        for rule in [Rule::Sql, Rule::Assert, Rule::MalformedTag] {
            assert!(!denied(rule).can_be_allowed(), "{}", rule.name());
            // In a planned migration, an error is a warning.
            assert!(denied(rule).severity(Severity::Warning).can_be_allowed());
        }
    }
}
