//! The order of migrations: one chain of versions, with baselines that lead onto it and reverse
//! blocks beside it. Whatever does not fit on the chain is a problem that names its lines.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use semver::Version;
use sha2::{Digest, Sha256};

use super::block::{Block, Blocks};
use super::problem::{DocumentError, Problem, Rule, Severity};
use super::source::{Piece, Source};
use super::sql;
use super::tag::{Point, Scope, Tag};

/// SHA-256 of a migration's statements, comments and white space folded; shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    fn then(self, next: Self) -> Self {
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
pub struct Part<'a> {
    pub(crate) sql: Piece<'a>,
    pub(crate) span: Range<usize>,
    pub(crate) allows: Vec<Allowance>,
}

/// A rule that a block lifts for itself: `-- tatmig:allow row-loss because …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The rule.
    pub rule: Rule,
    /// Why.
    pub reason: String,
}

impl<'a> Part<'a> {
    /// The SQL between the tags, verbatim.
    #[must_use]
    pub fn sql(&self) -> &Piece<'a> {
        &self.sql
    }

    /// The bytes of the start tag in the document.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether nothing but comments stands between the tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        sql::is_empty(self.sql.text())
    }
}

/// One `from → to`, with what the document says of it.
#[derive(Clone, Debug)]
pub struct Migration<'a> {
    /// Where it starts.
    pub from: Point,
    /// Where it ends.
    pub to: Point,
    /// What it runs on the system database, if anything.
    pub system: Option<Part<'a>>,
    /// What it runs on user databases, if anything.
    pub user: Option<Part<'a>>,
    /// The heading above its first block.
    pub title: Option<Cow<'a, str>>,
    /// The `**Date**` under that heading.
    pub date: Option<Cow<'a, str>>,
    /// The `**Description**` under that heading.
    pub description: Option<Cow<'a, str>>,
    /// Whether a heading over it says `(Planned)`.
    pub planned: bool,
    /// The first start tag.
    pub span: Range<usize>,
}

impl<'a> Migration<'a> {
    /// Its part for a scope.
    #[must_use]
    pub fn part(&self, scope: Scope) -> Option<&Part<'a>> {
        match scope {
            Scope::System => self.system.as_ref(),
            Scope::User => self.user.as_ref(),
        }
    }

    /// The checksum of its statements for a scope; an absent part counts as an empty one.
    #[must_use]
    pub fn checksum(&self, scope: Scope) -> Checksum {
        Checksum::of(&self.part(scope).map_or_else(String::new, |part| sql::fold(part.sql.text())))
    }
}

impl fmt::Display for Migration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.from, self.to)
    }
}

/// A block of rows that is run on demand, without a version.
#[derive(Clone, Debug)]
pub struct Seed<'a> {
    /// The databases that it is for.
    pub scope: Scope,
    /// Its name.
    pub name: String,
    /// Its SQL.
    pub part: Part<'a>,
}

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
    /// Lowest first; never empty.
    baselines: Vec<Migration<'a>>,
    /// In order, released ones first.
    chain: Vec<Migration<'a>>,
    released: usize,
    /// By the index of what they reverse.
    reverses: BTreeMap<usize, Migration<'a>>,
    unbaselines: BTreeMap<usize, Migration<'a>>,
    seeds: Vec<Seed<'a>>,
    /// The lowest baseline's version, then the end of each migration of the chain.
    versions: Vec<Version>,
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
        &self.versions[self.released]
    }

    /// The versions behind head that are planned, in order.
    #[must_use]
    pub fn planned(&self) -> &[Version] {
        &self.versions[self.released + 1..]
    }

    /// Every version of the chain, planned ones included, in order.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The position of a version on the chain.
    #[must_use]
    pub fn position(&self, version: &Version) -> Option<usize> {
        self.versions.binary_search_by(|known| known.cmp_precedence(version)).ok()
    }

    /// The position of head among [`versions`](Self::versions).
    #[must_use]
    pub fn head_position(&self) -> usize {
        self.released
    }

    /// Whether any block is for databases of this scope. A fleet without is one without such
    /// databases.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.baselines.iter().chain(&self.chain).any(|migration| migration.part(scope).is_some())
    }

    /// The baselines, lowest first.
    #[must_use]
    pub fn baselines(&self) -> &[Migration<'a>] {
        &self.baselines
    }

    /// The migrations of the chain in order, planned ones last.
    #[must_use]
    pub fn chain(&self) -> &[Migration<'a>] {
        &self.chain
    }

    /// The same with every version up to a position released, planned ones included: for a
    /// rehearsal of what is to come.
    #[must_use]
    pub fn released_up_to(mut self, position: usize) -> Self {
        self.released = position.max(self.released).min(self.chain.len());
        self.warnings.retain(|problem| problem.rule != Rule::PlannedLiveSql);
        self
    }

    /// The blocks of rows to run on demand.
    #[must_use]
    pub fn seeds(&self) -> &[Seed<'a>] {
        &self.seeds
    }

    /// Every migration that goes up: baselines and chain, ordered by where they end.
    pub fn history(&self) -> impl Iterator<Item = &Migration<'a>> {
        let mut all: Vec<_> = self.baselines.iter().chain(&self.chain).collect();
        all.sort_by(|left, right| left.to.cmp(&right.to).then(left.from.cmp(&right.from)));
        all.into_iter()
    }

    /// The migration at a place, if there is one.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Migration<'a>> {
        match id {
            StepId::Baseline(at) => self.baselines.get(at),
            StepId::Forward(at) => self.chain.get(at),
            StepId::Reverse(at) => self.reverses.get(&at),
            StepId::Unbaseline(at) => self.unbaselines.get(&at),
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
            StepId::Baseline(at) => self.baselines.get(at).map(up),
            StepId::Forward(at) => self.chain.get(at).map(up),
            StepId::Reverse(at) => self.chain.get(at).map(down),
            StepId::Unbaseline(at) => self.baselines.get(at).map(down),
            StepId::Seed(_) => None,
        }
    }

    /// The position of the version at which the n-th baseline stands.
    pub(crate) fn baseline_position(&self, at: usize) -> Option<usize> {
        self.baselines.get(at)?.to.version().and_then(|version| self.position(version))
    }

    /// The migration from one point to another, in either direction.
    #[must_use]
    pub fn find(&self, from: &Point, to: &Point) -> Option<&Migration<'a>> {
        self.baselines
            .iter()
            .chain(&self.chain)
            .chain(self.reverses.values())
            .chain(self.unbaselines.values())
            .find(|migration| migration.from == *from && migration.to == *to)
    }

    /// The baseline that a new database of this scope starts from to reach the version at a
    /// position: the highest one with a part for the scope, else the lowest as a recorded no-op.
    #[must_use]
    pub fn baseline_for(&self, scope: Scope, position: usize) -> usize {
        let target = &self.versions[position];
        let fits = |migration: &Migration<'_>| {
            migration.part(scope).is_some()
                && (!migration.planned || position > self.released)
                && migration.to.version().is_some_and(|version| version <= target)
        };
        self.baselines.iter().rposition(fits).unwrap_or(0)
    }

    /// The running checksum of a scope up to the version at a position.
    #[must_use]
    pub fn chain_checksum(&self, scope: Scope, position: usize) -> Checksum {
        self.sums[scope as usize].get_or_init(|| {
            let mut sum = self.baselines[0].checksum(scope);
            std::iter::once(sum)
                .chain(self.chain.iter().map(|migration| {
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
    let mut blocks = super::block::read(&Piece::whole(body, text.len() - body.len()));
    let mut problems = std::mem::take(&mut blocks.problems);
    let torn = problems.iter().any(|problem| problem.severity == Severity::Error);
    let changelog = Draft::new(blocks, &mut problems).order(source, &mut problems, torn);
    problems.sort_by_key(|problem| problem.span.start);
    let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
    match changelog {
        Ok(mut changelog) if !failed => {
            changelog.warnings.clone_from(&problems);
            (Ok(changelog), problems)
        }
        Ok(changelog) => (Err(changelog.source), problems),
        Err(source) => (Err(source), problems),
    }
}

/// The migrations of a document before they are ordered.
#[derive(Default)]
struct Draft<'a> {
    baselines: Vec<Migration<'a>>,
    forwards: Vec<Migration<'a>>,
    reverses: Vec<Migration<'a>>,
    seeds: Vec<Seed<'a>>,
}

impl<'a> Draft<'a> {
    fn new(mut blocks: Blocks<'a>, problems: &mut Vec<Problem>) -> Self {
        let mut draft = Self::default();
        let mut list = std::mem::take(&mut blocks.list);
        let mut migrations: Vec<Migration<'a>> = Vec::with_capacity(list.len());
        // What is about the same comes together, in the document's order; a document is nearly
        // in this order already, which sorting makes use of.
        list.sort_by(|left, right| by_subject(&left.tag, &right.tag));
        for block in list {
            match &block.tag {
                Tag::Placeholder { .. } => {}
                Tag::Seed { scope, name } => {
                    let same = draft.seeds.iter().rev().take_while(|seed| seed.name == *name);
                    if let Some(first) = same.into_iter().find(|seed| seed.scope == *scope) {
                        problems.push(duplicate(&block, &first.part));
                        continue;
                    }
                    let (scope, name) = (*scope, name.clone());
                    let part = Part { sql: block.sql, span: block.span, allows: block.allows };
                    draft.seeds.push(Seed { scope, name, part });
                }
                Tag::Migration { from, to, .. } if from == to => {}
                Tag::Migration { scope, from, to } => {
                    let known = |last: &Migration<'_>| last.from == *from && last.to == *to;
                    if !migrations.last().is_some_and(known) {
                        let (from, to) = (from.clone(), to.clone());
                        migrations.push(described(&blocks, &block, from, to));
                    }
                    let Some(migration) = migrations.last_mut() else { continue };
                    if let Some(first) = migration.part(*scope) {
                        problems.push(duplicate(&block, first));
                        continue;
                    }
                    let planned = blocks.planned(block.section);
                    if planned.is_some() != migration.planned {
                        problems.push(half_planned(migration, &block, planned.is_some()));
                    }
                    let part = Part { sql: block.sql, span: block.span, allows: block.allows };
                    match scope {
                        Scope::System => migration.system = Some(part),
                        Scope::User => migration.user = Some(part),
                    }
                }
            }
        }
        draft.seeds.sort_by_key(|seed| seed.part.span.start);
        let from_nothing = |migration: &mut Migration<'_>| migration.from == Point::Baseline;
        draft.baselines.extend(migrations.extract_if(.., from_nothing));
        draft.reverses.extend(migrations.extract_if(.., |migration| migration.to < migration.from));
        draft.forwards = migrations;
        draft.baselines.sort_by(|left, right| left.to.cmp(&right.to));
        draft.forwards.sort_by(|left, right| {
            left.from.cmp(&right.from).then(left.span.start.cmp(&right.span.start))
        });
        for migration in draft.baselines.iter().chain(&draft.forwards) {
            problems.extend(liveness(migration));
        }
        draft
    }

    /// Puts the forward migrations on one chain. `torn`: the document has defects of its own, so
    /// that what is missing on the chain may only be a consequence.
    fn order(
        self,
        source: Source<'a>,
        problems: &mut Vec<Problem>,
        torn: bool,
    ) -> Result<Changelog<'a>, Source<'a>> {
        forks(&self.forwards, problems);
        let Some(lowest) = self.baselines.first() else {
            if !torn {
                problems.push(no_baseline(&source, &self));
            }
            return Err(source);
        };
        let mut forwards = self.forwards;
        forwards.dedup_by(|next, first| next.from == first.from);
        // What the chain reaches lies in its order: a migration leads up.
        let mut at = &lowest.to;
        let beyond: Vec<bool> = forwards
            .iter()
            .map(|migration| {
                let reached = migration.from == *at;
                if reached {
                    at = &migration.to;
                }
                !reached
            })
            .collect();
        let mut beyond = beyond.into_iter();
        let remaining: Vec<_> =
            forwards.extract_if(.., |_| beyond.next().unwrap_or_default()).collect();
        let chain = forwards;
        if !torn {
            gaps(&remaining, lowest, &chain, problems);
        }
        let points: Vec<Point> = std::iter::once(lowest.to.clone())
            .chain(chain.iter().map(|migration| migration.to.clone()))
            .collect();
        for baseline in &self.baselines {
            if !torn && points.binary_search(&baseline.to).is_err() {
                problems.push(
                    Problem::new(
                        Rule::BaselineOffChain,
                        baseline.span.clone(),
                        format!("no migration leads to `{}`, at which this baseline stands", baseline.to),
                    )
                    .related(lowest.span.clone(), "the chain starts at this baseline")
                    .help("a later baseline stands at a version of the chain, so that old databases can get there too"),
                );
            }
        }
        let released = released(lowest, &chain, problems);
        let mut changelog = Changelog {
            versions: points.iter().filter_map(|point| point.version().cloned()).collect(),
            source,
            baselines: self.baselines,
            chain,
            released,
            reverses: BTreeMap::new(),
            unbaselines: BTreeMap::new(),
            seeds: self.seeds,
            warnings: Vec::new(),
            sums: [OnceLock::new(), OnceLock::new()],
        };
        for reverse in self.reverses {
            changelog.add_reverse(reverse, problems, torn);
        }
        Ok(changelog)
    }
}

impl<'a> Changelog<'a> {
    fn add_reverse(&mut self, reverse: Migration<'a>, problems: &mut Vec<Problem>, torn: bool) {
        let reverses = |migration: &Migration<'_>| {
            migration.from == reverse.to && migration.to == reverse.from
        };
        let start = reverse.to.version().and_then(|version| self.position(version));
        if let Some(at) = start.filter(|at| self.chain.get(*at).is_some_and(reverses)) {
            self.reverses.insert(at, reverse);
        } else if let Some(at) = self.baselines.iter().position(reverses) {
            self.unbaselines.insert(at, reverse);
        } else if !torn {
            problems.push(
                Problem::new(
                    Rule::ReverseWithoutForward,
                    reverse.span.clone(),
                    format!("this goes down from `{}` to `{}`, but no migration goes up from `{}` to `{}`", reverse.from, reverse.to, reverse.to, reverse.from),
                )
                .help("a reverse block takes back exactly one migration"),
            );
        }
    }
}

/// Migrations by their versions, then seeds by their names.
fn by_subject(left: &Tag, right: &Tag) -> Ordering {
    match (left, right) {
        (
            Tag::Migration { from, to, .. },
            Tag::Migration { from: other_from, to: other_to, .. },
        ) => from.cmp(other_from).then_with(|| to.cmp(other_to)),
        (Tag::Seed { name, .. }, Tag::Seed { name: other, .. }) => name.cmp(other),
        (Tag::Migration { .. }, _) | (Tag::Seed { .. }, Tag::Placeholder { .. }) => Ordering::Less,
        (_, Tag::Migration { .. }) | (Tag::Placeholder { .. }, Tag::Seed { .. }) => {
            Ordering::Greater
        }
        (Tag::Placeholder { .. }, Tag::Placeholder { .. }) => Ordering::Equal,
    }
}

fn duplicate(block: &Block<'_>, first: &Part<'_>) -> Problem {
    Problem::new(
        Rule::DuplicateTag,
        block.span.clone(),
        format!("the block `{}` stands in the document twice", block.tag),
    )
    .label("again here")
    .related(first.span.clone(), "first here")
    .help(match block.tag {
        Tag::Seed { .. } => "give the second one another name, or remove it",
        _ => "give the second one the versions that it is meant for, or remove it",
    })
}

fn described<'a>(blocks: &Blocks<'a>, block: &Block<'a>, from: Point, to: Point) -> Migration<'a> {
    Migration {
        from,
        to,
        system: None,
        user: None,
        title: blocks.title(block.section).map(|section| section.title.clone()),
        date: blocks.date(block.section),
        description: blocks.description(block.section),
        planned: blocks.planned(block.section).is_some(),
        span: block.span.clone(),
    }
}

fn half_planned(migration: &Migration<'_>, block: &Block<'_>, planned: bool) -> Problem {
    let (here, there) = if planned { ("planned", "released") } else { ("released", "planned") };
    Problem::new(
        Rule::HalfPlanned,
        block.span.clone(),
        format!("this part of `{migration}` is {here}, another one is {there}"),
    )
    .related(migration.span.clone(), format!("{there} here"))
    .help("put both parts under one heading, with `(Planned)` in it or without")
}

/// Warnings about SQL where none belongs, and none where some does.
fn liveness(migration: &Migration<'_>) -> Option<Problem> {
    let mut parts = Scope::BOTH.into_iter().filter_map(|scope| migration.part(scope));
    if migration.planned {
        let live = parts.find(|part| !part.is_empty())?;
        return Some(
            Problem::new(
                Rule::PlannedLiveSql,
                live.span.clone(),
                format!("the planned migration `{migration}` holds SQL that is not commented out"),
            )
            .help("planned migrations are never applied; comment the SQL out until its release"),
        );
    }
    parts.all(Part::is_empty).then(|| {
        Problem::new(
            Rule::ReleasedWithoutSql,
            migration.span.clone(),
            format!("the released migration `{migration}` holds no SQL at all"),
        )
        .help("uncomment its SQL, or mark its heading `(Planned)`")
    })
}

fn forks(forwards: &[Migration<'_>], problems: &mut Vec<Problem>) {
    let mut tell = |verb: &str, point: &Point, [first, second]: [&Migration<'_>; 2]| {
        problems.push(
            Problem::new(
                Rule::Fork,
                second.span.clone(),
                format!("two migrations {verb} `{point}`: `{first}` and `{second}`"),
            )
            .related(first.span.clone(), "the other one")
            .help("versions form one chain; renumber one of the two"),
        );
    };
    for pair in forwards.windows(2).filter(|pair| pair[0].from == pair[1].from) {
        tell("start at", &pair[0].from, [&pair[0], &pair[1]]);
    }
    let mut by_end: Vec<&Migration<'_>> = forwards.iter().collect();
    by_end.sort_by(|left, right| left.to.cmp(&right.to));
    for pair in by_end.windows(2).filter(|pair| pair[0].to == pair[1].to) {
        // Where they start at one version as well, that is told.
        if pair[0].from != pair[1].from {
            tell("end at", &pair[0].to, [pair[0], pair[1]]);
        }
    }
}

fn gaps(
    remaining: &[Migration<'_>],
    lowest: &Migration<'_>,
    chain: &[Migration<'_>],
    problems: &mut Vec<Problem>,
) {
    // Of a run of unreachable migrations only the first lacks something.
    let ends: BTreeSet<&Point> = remaining.iter().map(|migration| &migration.to).collect();
    for migration in remaining.iter().filter(|migration| !ends.contains(&migration.from)) {
        let problem = Problem::new(
            Rule::Gap,
            migration.span.clone(),
            format!("nothing leads to `{}`, where `{migration}` starts", migration.from),
        );
        problems.push(if migration.from < lowest.to {
            problem.related(lowest.span.clone(), "the lowest baseline").help(format!(
                "the chain starts at `{}`; add a baseline at `{}` or remove the migration",
                lowest.to, migration.from
            ))
        } else {
            let over = chain.partition_point(|step| step.to < migration.from);
            let end = chain[..over].last().map_or(&lowest.to, |step| &step.to);
            match chain.get(over) {
                Some(step) => problem.related(step.span.clone(), "the chain leads past it here"),
                None => problem,
            }
            .help(format!(
                "the chain {} `{end}`; add the migration `{end}→{}` or mend a version",
                if over < chain.len() { "comes to" } else { "ends at" },
                migration.from
            ))
        });
    }
}

/// How many migrations of the chain come before the first planned one.
fn released(lowest: &Migration<'_>, chain: &[Migration<'_>], problems: &mut Vec<Problem>) -> usize {
    let first_planned = std::iter::once(lowest).chain(chain).find(|migration| migration.planned);
    let count = chain.iter().take_while(|migration| !migration.planned).count();
    let after = if lowest.planned { 0 } else { count };
    if let Some(planned) = first_planned {
        for migration in chain[after..].iter().filter(|migration| !migration.planned) {
            problems.push(
                Problem::new(
                    Rule::ReleasedAfterPlanned,
                    migration.span.clone(),
                    format!("the released migration `{migration}` can only be reached over the planned `{planned}`"),
                )
                .related(planned.span.clone(), "planned here")
                .help("release the planned one first, or plan this one too"),
            );
        }
        if lowest.planned {
            problems.push(
                Problem::new(
                    Rule::NoBaseline,
                    lowest.span.clone(),
                    "the only baseline to start from is planned",
                )
                .help("remove `(Planned)` from its heading"),
            );
        }
    }
    after
}

fn no_baseline(source: &Source<'_>, draft: &Draft<'_>) -> Problem {
    match draft.forwards.first().or_else(|| draft.reverses.first()) {
        Some(first) => Problem::new(
            Rule::NoBaseline,
            first.span.clone(),
            format!("no baseline leads to `{}`, where the first migration starts", first.from),
        )
        .help(format!(
            "add a block tagged `-- [user:baseline→{}:start]` with the schema at that version",
            first.from
        )),
        None => Problem::new(
            Rule::NoMigrations,
            0..source.text().find('\n').unwrap_or(source.text().len()),
            format!("`{}` holds no migration", source.name()),
        )
        .help("a migration is SQL in a ```sql fence between `-- [user:baseline→0.1.0:start]` and `-- [user:baseline→0.1.0:end]`"),
    }
}
