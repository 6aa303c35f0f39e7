//! Defines a migration of the document: its versions, its SQL for each scope, the text of its heading
//! and fields, and its checksum.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::document::diagnostic::Rule;
use crate::document::imported::ImportedFrom;
use crate::document::tag::{Scope, VersionPoint};
use crate::source::SourceSlice;
use crate::sql::lexer;

/// The SHA-256 digest of a migration's statements, with comments removed and white space normalized.
/// Its `Display` is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// The checksum of normalized SQL.
    pub(crate) fn from_text(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The checksum of two migrations in this order.
    pub(crate) fn combine(self, next: Self) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(next.0).finalize().into())
    }
}

impl From<[u8; 32]> for Checksum {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The SQL of a migration for the databases of one scope.
#[derive(Clone, Debug)]
pub struct ScopedSql<'a> {
    pub(crate) sql: SourceSlice<'a>,
    pub(crate) tag_span: Range<usize>,
    pub(crate) allow_directives: Vec<AllowDirective>,
    pub(crate) imported: Vec<ImportedFrom>,
}

/// A rule that a block allows itself to break: `-- tatmig:allow row-loss because …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowDirective {
    /// The allowed rule.
    pub rule: Rule,
    /// The reason; not empty.
    pub reason: String,
}

impl<'a> ScopedSql<'a> {
    /// The SQL between the tags, byte for byte.
    #[must_use]
    pub fn sql(&self) -> &SourceSlice<'a> {
        &self.sql
    }

    /// The migrations of another tool that it came from: each `**Imported**` below a heading that
    /// contains the block.
    #[must_use]
    pub fn imported(&self) -> &[ImportedFrom] {
        &self.imported
    }

    /// The byte range of the start tag in the document.
    #[must_use]
    pub fn tag_span(&self) -> Range<usize> {
        self.tag_span.clone()
    }

    /// The byte range of the block in the document, from its start tag to the end of its SQL.
    pub(crate) fn range(&self) -> Range<usize> {
        block_range(&self.tag_span, &self.sql)
    }

    /// Whether the SQL consists of comments and white space alone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        lexer::is_empty(self.sql.text())
    }
}

/// The byte range from a start tag to the end of the SQL behind it.
pub(crate) fn block_range(tag_span: &Range<usize>, sql: &SourceSlice<'_>) -> Range<usize> {
    tag_span.start..sql.full_span().end.max(tag_span.end)
}

/// One migration of the document, `from → to`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Migration<'a> {
    /// The version that it starts at.
    pub from: VersionPoint,
    /// The version that it leads to.
    pub to: VersionPoint,
    /// Its block for the system database.
    pub system: Option<ScopedSql<'a>>,
    /// Its block for user databases.
    pub user: Option<ScopedSql<'a>>,
    /// The heading above its first block.
    pub title: Option<Cow<'a, str>>,
    /// The `**Date**` below that heading, as written.
    pub date: Option<Cow<'a, str>>,
    /// The `**Description**` below that heading, in one line.
    pub description: Option<Cow<'a, str>>,
    /// The migrations of other tools that it came from: each `**Imported**` below that heading.
    pub imported: Vec<ImportedFrom>,
    /// Whether a heading above it has `(Planned)`.
    pub planned: bool,
    /// The byte range of its first start tag.
    pub tag_span: Range<usize>,
}

impl<'a> Migration<'a> {
    /// A migration without a heading and without blocks.
    pub(crate) fn without_blocks(from: VersionPoint, to: VersionPoint, offset: usize) -> Self {
        Self {
            from,
            to,
            system: None,
            user: None,
            title: None,
            date: None,
            description: None,
            imported: Vec::new(),
            planned: false,
            tag_span: offset..offset,
        }
    }

    /// Replaces its block for a scope.
    pub(crate) fn set_block(&mut self, scope: Scope, block: Option<ScopedSql<'a>>) {
        match scope {
            Scope::System => self.system = block,
            Scope::User => self.user = block,
        }
    }

    /// Its block for a scope.
    #[must_use]
    pub fn block(&self, scope: Scope) -> Option<&ScopedSql<'a>> {
        match scope {
            Scope::System => self.system.as_ref(),
            Scope::User => self.user.as_ref(),
        }
    }

    /// The checksum of its statements for a scope; an absent block counts as an empty one.
    #[must_use]
    pub fn checksum(&self, scope: Scope) -> Checksum {
        Checksum::from_text(
            &self.block(scope).map_or_else(String::new, |block| lexer::normalize(block.sql.text())),
        )
    }
}

impl fmt::Display for Migration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.from, self.to)
    }
}

/// A seed block, which only `tatmig seed NAME` runs and which has no version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seed<'a> {
    /// The kind of database that it is for.
    pub scope: Scope,
    /// Its name.
    pub name: String,
    /// Its SQL.
    pub block: ScopedSql<'a>,
}
