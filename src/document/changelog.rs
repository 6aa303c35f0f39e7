//! Every migration of a document, ordered and checked: what versions there are, which is head, and
//! what leads from one to another.

use std::sync::OnceLock;

use semver::Version;

use crate::document::chain::Chain;
use crate::document::diagnostic::{Diagnostic, DocumentError, Rule, Severity};
use crate::document::migration::{Checksum, Migration, Seed};
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::source::{Source, SourceSlice};

/// A migration's place in the changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepId {
    /// The n-th baseline, lowest first.
    Baseline(usize),
    /// The n-th migration of the chain.
    Forward(usize),
    /// The reverse of the n-th migration of the chain.
    Reverse(usize),
    /// The reverse of the n-th baseline.
    BaselineReverse(usize),
    /// The n-th seed, which is no migration.
    Seed(usize),
}

/// Every migration of a document, ordered and checked.
///
/// It borrows from the document's text.
///
/// ````
/// let document = "
/// ## Baseline: 1.0.0
///
/// ```sql
/// -- [user:baseline→1.0.0:start]
/// CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
/// -- [user:baseline→1.0.0:end]
/// ```
/// ";
/// let changelog = tatmig::Changelog::parse(document)?;
/// assert_eq!(changelog.head().to_string(), "1.0.0");
/// # Ok::<(), tatmig::Error>(())
/// ````
#[derive(Debug)]
pub struct Changelog<'a> {
    source: Source<'a>,
    chain: Chain<'a>,
    warnings: Vec<Diagnostic>,
    chain_checksums: [OnceLock<Vec<Checksum>>; 2],
}

impl<'a> Changelog<'a> {
    /// Parses a document. The name of `source` is the file name that messages show.
    ///
    /// # Errors
    ///
    /// The document has an error; the error holds every diagnostic.
    pub(crate) fn from_source(source: Source<'a>) -> Result<Self, DocumentError> {
        let (changelog, diagnostics) = parse_source(source);
        changelog.map_err(|source| DocumentError::new(&source, diagnostics))
    }

    /// The document's text and the name that messages show.
    #[must_use]
    pub fn source(&self) -> &Source<'a> {
        &self.source
    }

    /// What is risky in the document, as far as reading it tells.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The version at the end of the released migrations.
    #[must_use]
    pub fn head(&self) -> &Version {
        &self.chain.versions[self.chain.released_count]
    }

    /// The versions behind head that are planned, in order.
    #[must_use]
    pub fn planned_versions(&self) -> &[Version] {
        &self.chain.versions[self.chain.released_count + 1..]
    }

    /// Every version of the chain, planned ones included, in order.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.chain.versions
    }

    /// The position of a version among [`versions`](Self::versions).
    pub(crate) fn position(&self, version: &Version) -> Option<usize> {
        self.chain.position(version)
    }

    /// The position of head among [`versions`](Self::versions).
    pub(crate) fn head_position(&self) -> usize {
        self.chain.released_count
    }

    /// The index of a version, released or planned; `None` if the document does not have it.
    #[must_use]
    pub fn index_of(&self, version: &Version) -> Option<VersionIndex> {
        self.position(version).map(VersionIndex::new)
    }

    /// The index of head.
    #[must_use]
    pub fn head_index(&self) -> VersionIndex {
        VersionIndex::new(self.head_position())
    }

    /// The version of an index. An index that is too high, which only another changelog can have
    /// handed out, is treated as that of the last version.
    #[must_use]
    pub fn version(&self, index: VersionIndex) -> &Version {
        &self.chain.versions[self.clamp(index)]
    }

    /// The position of an index among [`versions`](Self::versions); at most the last one.
    pub(crate) fn clamp(&self, index: VersionIndex) -> usize {
        index.get().min(self.chain.versions.len() - 1)
    }

    /// Whether any block is for databases of this scope. A fleet without is one without such
    /// databases.
    #[must_use]
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.chain
            .baselines
            .iter()
            .chain(&self.chain.forwards)
            .any(|migration| migration.block(scope).is_some())
    }

    /// The baselines, lowest first.
    #[must_use]
    pub fn baselines(&self) -> &[Migration<'a>] {
        &self.chain.baselines
    }

    /// The migrations of the chain in order, planned ones last.
    #[must_use]
    pub fn chain(&self) -> &[Migration<'a>] {
        &self.chain.forwards
    }

    /// The same changelog with every planned version up to an index released, for a rehearsal of
    /// planned migrations.
    #[must_use]
    pub fn with_released_up_to(mut self, index: VersionIndex) -> Self {
        self.chain.released_count = self.clamp(index).max(self.chain.released_count);
        self.warnings.retain(|diagnostic| diagnostic.rule != Rule::PlannedLiveSql);
        self
    }

    /// The blocks of rows to run on demand.
    #[must_use]
    pub fn seeds(&self) -> &[Seed<'a>] {
        &self.chain.seeds
    }

    /// Every migration that goes up: baselines and chain, ordered by where they end.
    pub fn forward_migrations(&self) -> impl Iterator<Item = &Migration<'a>> {
        let mut migrations: Vec<_> =
            self.chain.baselines.iter().chain(&self.chain.forwards).collect();
        migrations.sort_by(|left, right| left.to.cmp(&right.to).then(left.from.cmp(&right.from)));
        migrations.into_iter()
    }

    /// The migration at a place, if there is one.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Migration<'a>> {
        match id {
            StepId::Baseline(index) => self.chain.baselines.get(index),
            StepId::Forward(at) => self.chain.forwards.get(at),
            StepId::Reverse(at) => self.chain.reverses.get(&at),
            StepId::BaselineReverse(at) => self.chain.baseline_reverses.get(&at),
            StepId::Seed(_) => None,
        }
    }

    /// Where a step starts and ends, which a step down does whether or not its block is there;
    /// none of a seed, which is no migration.
    #[must_use]
    pub fn endpoints(&self, id: StepId) -> Option<(VersionPoint, VersionPoint)> {
        let up = |migration: &Migration<'_>| (migration.from.clone(), migration.to.clone());
        let down = |migration: &Migration<'_>| (migration.to.clone(), migration.from.clone());
        match id {
            StepId::Baseline(index) => self.chain.baselines.get(index).map(up),
            StepId::Forward(at) => self.chain.forwards.get(at).map(up),
            StepId::Reverse(at) => self.chain.forwards.get(at).map(down),
            StepId::BaselineReverse(at) => self.chain.baselines.get(at).map(down),
            StepId::Seed(_) => None,
        }
    }

    /// The position of the version at which the n-th baseline stands.
    pub(crate) fn baseline_position(&self, index: usize) -> Option<usize> {
        self.chain.baselines.get(index)?.to.version().and_then(|version| self.position(version))
    }

    /// The migration from one point to another, in either direction.
    #[must_use]
    pub fn find(&self, from: &VersionPoint, to: &VersionPoint) -> Option<&Migration<'a>> {
        self.chain
            .baselines
            .iter()
            .chain(&self.chain.forwards)
            .chain(self.chain.reverses.values())
            .chain(self.chain.baseline_reverses.values())
            .find(|migration| migration.from == *from && migration.to == *to)
    }

    /// The baseline that a new database of this scope starts from to reach the version at a
    /// position: the highest one with a part for the scope, else the lowest as a recorded no-op.
    pub(crate) fn baseline_for(&self, scope: Scope, position: usize) -> usize {
        let target = &self.chain.versions[position];
        let is_applicable = |migration: &Migration<'_>| {
            migration.block(scope).is_some()
                && (!migration.planned || position > self.chain.released_count)
                && migration.to.version().is_some_and(|version| version <= target)
        };
        self.chain.baselines.iter().rposition(is_applicable).unwrap_or(0)
    }

    /// The running checksum of a scope up to a version: the hash of the checksums of its migrations
    /// from the lowest baseline on.
    #[must_use]
    pub fn running_checksum(&self, scope: Scope, index: VersionIndex) -> Checksum {
        self.chain_checksum(scope, self.clamp(index))
    }

    /// The running checksum of a scope up to the version at a position of the chain.
    pub(crate) fn chain_checksum(&self, scope: Scope, position: usize) -> Checksum {
        self.chain_checksums[scope as usize].get_or_init(|| {
            let mut running_checksum = self.chain.baselines[0].checksum(scope);
            std::iter::once(running_checksum)
                .chain(self.chain.forwards.iter().map(|migration| {
                    running_checksum = running_checksum.combine(migration.checksum(scope));
                    running_checksum
                }))
                .collect()
        })[position]
    }
}

/// Reads a document to a changelog, or gives its source back, with every problem on the way.
pub(crate) fn parse_source(
    source: Source<'_>,
) -> (Result<Changelog<'_>, Source<'_>>, Vec<Diagnostic>) {
    let text = source.text();
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut blocks =
        crate::document::reader::read_blocks(&SourceSlice::new(body, text.len() - body.len()));
    let mut diagnostics = std::mem::take(&mut blocks.diagnostics);
    let has_errors = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let chain = Chain::from_blocks(blocks, &source, &mut diagnostics, has_errors);
    diagnostics.sort_by_key(|problem| problem.span.start);
    let is_unusable = diagnostics.iter().any(|problem| problem.severity == Severity::Error);
    match chain {
        Some(chain) if !is_unusable => {
            let (warnings, chain_checksums) = (diagnostics.clone(), Default::default());
            (Ok(Changelog { source, chain, warnings, chain_checksums }), diagnostics)
        }
        _ => (Err(source), diagnostics),
    }
}
