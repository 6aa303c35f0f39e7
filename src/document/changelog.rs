//! Every migration of a document, ordered and checked: what versions there are, which is head, and
//! what leads from one to another.

use std::sync::OnceLock;

use semver::Version;

use crate::document::chain::Chain;
use crate::document::diagnostic::{DocumentError, Problem, Rule, Severity};
use crate::document::migration::{Checksum, Migration, Seed};
use crate::document::tag::{Point, Scope};
use crate::source::{Piece, Source};

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
    Unbaseline(usize),
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
/// # Ok::<(), tatmig::DocumentError>(())
/// ````
#[derive(Debug)]
pub struct Changelog<'a> {
    source: Source<'a>,
    chain: Chain<'a>,
    warnings: Vec<Problem>,
    sums: [OnceLock<Vec<Checksum>>; 2],
}

impl<'a> Changelog<'a> {
    /// Reads a document that messages call `MIGRATIONS.md`.
    ///
    /// # Errors
    ///
    /// Every problem of the document, if one of them makes it unusable.
    pub fn parse(text: &'a str) -> Result<Self, DocumentError> {
        Self::parse_named("MIGRATIONS.md", text)
    }

    /// Reads a document under the file name that messages show.
    ///
    /// # Errors
    ///
    /// Every problem of the document, if one of them makes it unusable.
    pub fn parse_named(name: &str, text: &'a str) -> Result<Self, DocumentError> {
        let (changelog, problems) = read(Source::new(name, text));
        changelog.map_err(|source| DocumentError::new(&source, problems))
    }

    /// The document's text and the name that messages show.
    #[must_use]
    pub fn source(&self) -> &Source<'a> {
        &self.source
    }

    /// What is risky in the document, as far as reading it tells.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The version at the end of the released migrations.
    #[must_use]
    pub fn head(&self) -> &Version {
        &self.chain.versions[self.chain.released]
    }

    /// The versions behind head that are planned, in order.
    #[must_use]
    pub fn planned(&self) -> &[Version] {
        &self.chain.versions[self.chain.released + 1..]
    }

    /// Every version of the chain, planned ones included, in order.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.chain.versions
    }

    /// The position of a version on the chain.
    #[must_use]
    pub fn position(&self, version: &Version) -> Option<usize> {
        self.chain.position(version)
    }

    /// The position of head among [`versions`](Self::versions).
    #[must_use]
    pub fn head_position(&self) -> usize {
        self.chain.released
    }

    /// Whether any block is for databases of this scope. A fleet without is one without such
    /// databases.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.chain
            .baselines
            .iter()
            .chain(&self.chain.forwards)
            .any(|migration| migration.part(scope).is_some())
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

    /// The same with every version up to a position released, planned ones included: for a
    /// rehearsal of what is to come.
    #[must_use]
    pub fn released_up_to(mut self, position: usize) -> Self {
        self.chain.released = position.max(self.chain.released).min(self.chain.forwards.len());
        self.warnings.retain(|problem| problem.rule != Rule::PlannedLiveSql);
        self
    }

    /// The blocks of rows to run on demand.
    #[must_use]
    pub fn seeds(&self) -> &[Seed<'a>] {
        &self.chain.seeds
    }

    /// Every migration that goes up: baselines and chain, ordered by where they end.
    pub fn history(&self) -> impl Iterator<Item = &Migration<'a>> {
        let mut all: Vec<_> = self.chain.baselines.iter().chain(&self.chain.forwards).collect();
        all.sort_by(|left, right| left.to.cmp(&right.to).then(left.from.cmp(&right.from)));
        all.into_iter()
    }

    /// The migration at a place, if there is one.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Migration<'a>> {
        match id {
            StepId::Baseline(at) => self.chain.baselines.get(at),
            StepId::Forward(at) => self.chain.forwards.get(at),
            StepId::Reverse(at) => self.chain.reverses.get(&at),
            StepId::Unbaseline(at) => self.chain.unbaselines.get(&at),
            StepId::Seed(_) => None,
        }
    }

    /// Where a step starts and ends, which a step down does whether or not its block is there;
    /// none of a seed, which is no migration.
    #[must_use]
    pub fn ends(&self, id: StepId) -> Option<(Point, Point)> {
        let up = |migration: &Migration<'_>| (migration.from.clone(), migration.to.clone());
        let down = |migration: &Migration<'_>| (migration.to.clone(), migration.from.clone());
        match id {
            StepId::Baseline(at) => self.chain.baselines.get(at).map(up),
            StepId::Forward(at) => self.chain.forwards.get(at).map(up),
            StepId::Reverse(at) => self.chain.forwards.get(at).map(down),
            StepId::Unbaseline(at) => self.chain.baselines.get(at).map(down),
            StepId::Seed(_) => None,
        }
    }

    /// The position of the version at which the n-th baseline stands.
    pub(crate) fn baseline_position(&self, at: usize) -> Option<usize> {
        self.chain.baselines.get(at)?.to.version().and_then(|version| self.position(version))
    }

    /// The migration from one point to another, in either direction.
    #[must_use]
    pub fn find(&self, from: &Point, to: &Point) -> Option<&Migration<'a>> {
        self.chain
            .baselines
            .iter()
            .chain(&self.chain.forwards)
            .chain(self.chain.reverses.values())
            .chain(self.chain.unbaselines.values())
            .find(|migration| migration.from == *from && migration.to == *to)
    }

    /// The baseline that a new database of this scope starts from to reach the version at a
    /// position: the highest one with a part for the scope, else the lowest as a recorded no-op.
    #[must_use]
    pub fn baseline_for(&self, scope: Scope, position: usize) -> usize {
        let target = &self.chain.versions[position];
        let fits = |migration: &Migration<'_>| {
            migration.part(scope).is_some()
                && (!migration.planned || position > self.chain.released)
                && migration.to.version().is_some_and(|version| version <= target)
        };
        self.chain.baselines.iter().rposition(fits).unwrap_or(0)
    }

    /// The running checksum of a scope up to the version at a position.
    #[must_use]
    pub fn chain_checksum(&self, scope: Scope, position: usize) -> Checksum {
        self.sums[scope as usize].get_or_init(|| {
            let mut sum = self.chain.baselines[0].checksum(scope);
            std::iter::once(sum)
                .chain(self.chain.forwards.iter().map(|migration| {
                    sum = sum.then(migration.checksum(scope));
                    sum
                }))
                .collect()
        })[position]
    }
}

/// Reads a document to a changelog, or gives its source back, with every problem on the way.
pub(crate) fn read(source: Source<'_>) -> (Result<Changelog<'_>, Source<'_>>, Vec<Problem>) {
    let text = source.text();
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut blocks = crate::document::reader::read(&Piece::whole(body, text.len() - body.len()));
    let mut problems = std::mem::take(&mut blocks.problems);
    let torn = problems.iter().any(|problem| problem.severity == Severity::Error);
    let chain = Chain::of(blocks, &source, &mut problems, torn);
    problems.sort_by_key(|problem| problem.span.start);
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    match chain {
        Some(chain) if !failed => {
            let (warnings, sums) = (problems.clone(), Default::default());
            (Ok(Changelog { source, chain, warnings, sums }), problems)
        }
        _ => (Err(source), problems),
    }
}
