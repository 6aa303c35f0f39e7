//! Provides the changelog: every migration of a document, ordered and checked, with its versions, head
//! and checksums.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use semver::Version;

use crate::document::chain::{Chain, MissingMigrations};
use crate::document::diagnostic::{Diagnostic, DocumentError, Rule, Severity};
use crate::document::directive::{BlockState, read_directives};
use crate::document::extensions::Extensions;
use crate::document::migration::{Checksum, Migration, ScopedSql, Seed};
use crate::document::reader;
use crate::document::tag::{Scope, VersionPoint};
use crate::document::version_index::VersionIndex;
use crate::source::{Source, SourceSlice};

/// Identifies one migration or seed of a changelog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepId {
    /// The baseline at this index, lowest version first.
    Baseline(usize),
    /// The migration at this index of the chain.
    Forward(usize),
    /// The reverse of the migration at this index of the chain.
    Reverse(usize),
    /// The reverse of the baseline at this index.
    BaselineReverse(usize),
    /// The seed at this index, which is not a migration.
    Seed(usize),
}

/// Every migration of a document, ordered and checked. Borrows from the document's text.
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
    /// The running checksum at each position, by scope; computed on first use.
    chain_checksums: [OnceLock<Vec<Checksum>>; 2],
    id: ChangelogId,
    kept_replay: KeptReplay,
    extensions: Extensions,
}

/// Identifies a changelog. No two changelogs of a process have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangelogId(u64);

impl ChangelogId {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The place where a replay is kept for the life of the changelog. The type of a replay belongs to
/// a layer above.
pub(crate) type KeptReplay = OnceLock<Box<dyn Any + Send + Sync>>;

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

    /// The document's text, and the file name that messages show.
    #[must_use]
    pub fn source(&self) -> &Source<'a> {
        &self.source
    }

    /// The warnings and notes that parsing found, in document order. `lint` finds more.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The last version of the chain of released migrations.
    #[must_use]
    pub fn head(&self) -> &Version {
        &self.chain.versions[self.chain.released_count]
    }

    /// The planned versions, all of them above head, in order.
    #[must_use]
    pub fn planned_versions(&self) -> &[Version] {
        &self.chain.versions[self.chain.released_count + 1..]
    }

    /// Every version of the chain, planned ones included, in order.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.chain.versions
    }

    /// The identity of this changelog.
    pub(crate) fn id(&self) -> ChangelogId {
        self.id
    }

    /// Sets what the application adds to SQLite on its own connections. The document is then
    /// replayed on connections with the same additions; see [`Extensions`].
    #[must_use]
    pub fn with_extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions;
        (self.id, self.kept_replay) = (ChangelogId::new(), KeptReplay::new());
        self
    }

    /// What the application adds to SQLite.
    pub(crate) fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The place for the replay of this changelog.
    pub(crate) fn kept_replay(&self) -> &KeptReplay {
        &self.kept_replay
    }

    /// The position of a version among [`versions`](Self::versions), by semver precedence.
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

    /// Whether the document has a block for this scope. If it has none, the fleet has no databases
    /// of this scope: none is required or created.
    #[must_use]
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.chain
            .baselines
            .iter()
            .chain(&self.chain.forwards)
            .any(|migration| migration.block(scope).is_some())
    }

    /// The baselines, lowest version first; at least one.
    #[must_use]
    pub fn baselines(&self) -> &[Migration<'a>] {
        &self.chain.baselines
    }

    /// The migrations of the chain in order, planned ones last. Baselines are not among them.
    #[must_use]
    pub fn chain(&self) -> &[Migration<'a>] {
        &self.chain.forwards
    }

    /// The same changelog with every planned version up to an index released, for a rehearsal of
    /// planned migrations.
    #[must_use]
    pub fn with_released_up_to(mut self, index: VersionIndex) -> Self {
        self.chain.released_count = self.clamp(index).max(self.chain.released_count);
        (self.id, self.kept_replay) = (ChangelogId::new(), KeptReplay::new());
        self.warnings.retain(|diagnostic| diagnostic.rule != Rule::PlannedLiveSql);
        self
    }

    /// The same changelog with other SQL for one scope in a migration or in a reverse, which is added
    /// if the document does not have it. The positions in this SQL are beyond the end of the
    /// document.
    pub(crate) fn with_sql(&self, id: StepId, scope: Scope, sql: Option<&'a str>) -> Self {
        let start = self.source.text().len() + 1;
        let block = sql.map(|sql| {
            let sql = SourceSlice::new(sql, start);
            // A malformed directive was reported when the SQL was part of the document.
            let allow_directives = read_directives(&sql, BlockState::Released, |_| {});
            ScopedSql { sql, tag_span: start..start, allow_directives, imported: Vec::new() }
        });
        let mut chain = self.chain.clone();
        let endpoints = self.endpoints(id);
        let missing = || {
            let (from, to) = endpoints.unwrap_or((VersionPoint::Baseline, VersionPoint::Baseline));
            Migration::without_blocks(from, to, start)
        };
        let migration = match id {
            StepId::Baseline(index) => chain.baselines.get_mut(index),
            StepId::Forward(index) => chain.forwards.get_mut(index),
            StepId::Reverse(index) => Some(chain.reverses.entry(index).or_insert_with(missing)),
            StepId::BaselineReverse(index) => {
                Some(chain.baseline_reverses.entry(index).or_insert_with(missing))
            }
            StepId::Seed(_) => None,
        };
        if let Some(migration) = migration {
            migration.set_block(scope, block);
        }
        Self {
            source: self.source.clone(),
            chain,
            warnings: self.warnings.clone(),
            chain_checksums: Default::default(),
            id: ChangelogId::new(),
            kept_replay: KeptReplay::new(),
            extensions: self.extensions.clone(),
        }
    }

    /// The seeds, in document order.
    #[must_use]
    pub fn seeds(&self) -> &[Seed<'a>] {
        &self.chain.seeds
    }

    /// Baselines and the migrations of the chain, ordered by the version that they lead to.
    pub fn forward_migrations(&self) -> impl Iterator<Item = &Migration<'a>> {
        let mut migrations: Vec<_> =
            self.chain.baselines.iter().chain(&self.chain.forwards).collect();
        migrations.sort_by(|left, right| left.to.cmp(&right.to).then(left.from.cmp(&right.from)));
        migrations.into_iter()
    }

    /// Every block of a scope: of baselines, migrations, reverses and seeds.
    pub(crate) fn blocks(&self, scope: Scope) -> impl Iterator<Item = &ScopedSql<'a>> {
        let chain = &self.chain;
        let seeds = chain.seeds.iter().filter(move |seed| seed.scope == scope);
        chain
            .baselines
            .iter()
            .chain(&chain.forwards)
            .chain(chain.reverses.values())
            .chain(chain.baseline_reverses.values())
            .filter_map(move |migration| migration.block(scope))
            .chain(seeds.map(|seed| &seed.block))
    }

    /// A migration by its id; `None` for a seed, for a reverse that the document does not have, and
    /// for an index out of range.
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

    /// The versions that a step starts and ends at. A step down has them even if the document has no
    /// reverse block for it. `None` for a seed and for an index out of range.
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

    /// The position of the version of the baseline at `index`.
    pub(crate) fn baseline_position(&self, index: usize) -> Option<usize> {
        self.chain.baselines.get(index)?.to.version().and_then(|version| self.position(version))
    }

    /// The migration from one version to another: a baseline, a migration of the chain or a reverse.
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

    /// The index of the baseline that a new database of this scope starts with on its way to the
    /// version at `position`: the highest one at or below that version with a block for the scope.
    /// Without such a baseline, it is the lowest baseline, which then runs no statement.
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

/// Parses a document into a changelog, or returns its source if it has an error. The diagnostics are
/// in document order in both cases.
pub(crate) fn parse_source(
    source: Source<'_>,
) -> (Result<Changelog<'_>, Source<'_>>, Vec<Diagnostic>) {
    let text = source.text();
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut blocks = reader::read_blocks(&SourceSlice::new(body, text.len() - body.len()));
    let mut diagnostics = std::mem::take(&mut blocks.diagnostics);
    let missing =
        if has_error(&diagnostics) { MissingMigrations::Ignore } else { MissingMigrations::Report };
    let chain = Chain::from_blocks(blocks, &source, &mut diagnostics, missing);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    match chain {
        Some(chain) if !has_error(&diagnostics) => {
            let (warnings, chain_checksums) = (diagnostics.clone(), Default::default());
            let (id, kept_replay) = (ChangelogId::new(), KeptReplay::new());
            let extensions = Extensions::default();
            let changelog =
                Changelog { source, chain, warnings, chain_checksums, id, kept_replay, extensions };
            (Ok(changelog), diagnostics)
        }
        _ => (Err(source), diagnostics),
    }
}

fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}
