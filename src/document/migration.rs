//! One migration as the document has it: where it starts and ends, its SQL for each scope, and what
//! is said of it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::document::diagnostic::Rule;
use crate::document::tag::{Scope, VersionPoint};
use crate::source::SourceSlice;
use crate::sql::lexer;

/// SHA-256 of a migration's statements, comments and white space folded; shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    pub(crate) fn from_text(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

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
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a migration runs on the databases of one scope.
#[derive(Clone, Debug)]
pub struct ScopedSql<'a> {
    pub(crate) sql: SourceSlice<'a>,
    pub(crate) tag_span: Range<usize>,
    pub(crate) allow_directives: Vec<AllowDirective>,
}

/// A rule that a block lifts for itself: `-- tatmig:allow row-loss because …`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllowDirective {
    /// The rule.
    pub rule: Rule,
    /// Why.
    pub reason: String,
}

impl<'a> ScopedSql<'a> {
    /// The SQL between the tags, verbatim.
    #[must_use]
    pub fn sql(&self) -> &SourceSlice<'a> {
        &self.sql
    }

    /// The bytes of the start tag in the document.
    #[must_use]
    pub fn tag_span(&self) -> Range<usize> {
        self.tag_span.clone()
    }

    /// Whether nothing but comments stands between the tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        lexer::is_empty(self.sql.text())
    }
}

/// One `from → to`, with what the document says of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Migration<'a> {
    /// Where it starts.
    pub from: VersionPoint,
    /// Where it ends.
    pub to: VersionPoint,
    /// What it runs on the system database, if anything.
    pub system: Option<ScopedSql<'a>>,
    /// What it runs on user databases, if anything.
    pub user: Option<ScopedSql<'a>>,
    /// The heading above its first block.
    pub title: Option<Cow<'a, str>>,
    /// The `**Date**` under that heading.
    pub date: Option<Cow<'a, str>>,
    /// The `**Description**` under that heading.
    pub description: Option<Cow<'a, str>>,
    /// Whether a heading over it says `(Planned)`.
    pub planned: bool,
    /// The first start tag.
    pub tag_span: Range<usize>,
}

impl<'a> Migration<'a> {
    /// Its part for a scope.
    #[must_use]
    pub fn block(&self, scope: Scope) -> Option<&ScopedSql<'a>> {
        match scope {
            Scope::System => self.system.as_ref(),
            Scope::User => self.user.as_ref(),
        }
    }

    /// The checksum of its statements for a scope; an absent part counts as an empty one.
    #[must_use]
    pub fn checksum(&self, scope: Scope) -> Checksum {
        Checksum::from_text(
            &self.block(scope).map_or_else(String::new, |part| lexer::normalize(part.sql.text())),
        )
    }
}

impl fmt::Display for Migration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.from, self.to)
    }
}

/// A block of rows that is run on demand, without a version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seed<'a> {
    /// The databases that it is for.
    pub scope: Scope,
    /// Its name.
    pub name: String,
    /// Its SQL.
    pub block: ScopedSql<'a>,
}
