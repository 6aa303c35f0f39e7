//! The order of migrations: one chain of versions, with baselines that lead onto it and reverse
//! blocks beside it. Whatever does not fit on the chain is a problem that names its lines.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use crate::document::blocks::{Block, Blocks};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::migration::{Migration, ScopedSql, Seed};
use crate::document::tag::{Scope, Tag, VersionPoint};
use crate::source::Source;

/// A document's migrations in their order.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    /// Lowest first; never empty.
    pub(crate) baselines: Vec<Migration<'a>>,
    /// In order, released ones first.
    pub(crate) forwards: Vec<Migration<'a>>,
    /// How many of them are released.
    pub(crate) released_count: usize,
    /// By the index of what they reverse.
    pub(crate) reverses: BTreeMap<usize, Migration<'a>>,
    pub(crate) baseline_reverses: BTreeMap<usize, Migration<'a>>,
    pub(crate) seeds: Vec<Seed<'a>>,
    /// The lowest baseline's version, then the end of each migration of the chain.
    pub(crate) versions: Vec<Version>,
}

/// The migrations of a document before they are ordered.
#[derive(Default)]
struct UnorderedMigrations<'a> {
    baselines: Vec<Migration<'a>>,
    forwards: Vec<Migration<'a>>,
    reverses: Vec<Migration<'a>>,
    seeds: Vec<Seed<'a>>,
}

impl<'a> UnorderedMigrations<'a> {
    fn new(mut blocks: Blocks<'a>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut unordered = Self::default();
        let mut list = std::mem::take(&mut blocks.list);
        let mut migrations: Vec<Migration<'a>> = Vec::with_capacity(list.len());
        // What is about the same comes together, in the document's order; a document is nearly
        // in this order already, which sorting makes use of.
        list.sort_by(|left, right| compare_subjects(&left.tag, &right.tag));
        for block in list {
            match &block.tag {
                Tag::Placeholder { .. } => {}
                Tag::Seed { scope, name } => {
                    let seeds_with_name =
                        unordered.seeds.iter().rev().take_while(|seed| seed.name == *name);
                    if let Some(first) =
                        seeds_with_name.into_iter().find(|seed| seed.scope == *scope)
                    {
                        diagnostics.push(duplicate_tag(&block, &first.block));
                        continue;
                    }
                    let (scope, name) = (*scope, name.clone());
                    let scoped_sql = ScopedSql {
                        sql: block.sql,
                        tag_span: block.tag_span,
                        allow_directives: block.allow_directives,
                    };
                    unordered.seeds.push(Seed { scope, name, block: scoped_sql });
                }
                Tag::Migration { from, to, .. } if from == to => {}
                Tag::Migration { scope, from, to } => {
                    let is_same_migration =
                        |last: &Migration<'_>| last.from == *from && last.to == *to;
                    if !migrations.last().is_some_and(is_same_migration) {
                        let (from, to) = (from.clone(), to.clone());
                        migrations.push(new_migration(&blocks, &block, from, to));
                    }
                    let Some(migration) = migrations.last_mut() else { continue };
                    if let Some(first) = migration.block(*scope) {
                        diagnostics.push(duplicate_tag(&block, first));
                        continue;
                    }
                    let planned = blocks.planned_section(block.section);
                    if planned.is_some() != migration.planned {
                        diagnostics.push(half_planned(migration, &block, planned.is_some()));
                    }
                    let part = ScopedSql {
                        sql: block.sql,
                        tag_span: block.tag_span,
                        allow_directives: block.allow_directives,
                    };
                    match scope {
                        Scope::System => migration.system = Some(part),
                        Scope::User => migration.user = Some(part),
                    }
                }
            }
        }
        unordered.seeds.sort_by_key(|seed| seed.block.tag_span.start);
        let is_baseline = |migration: &mut Migration<'_>| migration.from == VersionPoint::Baseline;
        unordered.baselines.extend(migrations.extract_if(.., is_baseline));
        unordered
            .reverses
            .extend(migrations.extract_if(.., |migration| migration.to < migration.from));
        unordered.forwards = migrations;
        unordered.baselines.sort_by(|left, right| left.to.cmp(&right.to));
        unordered.forwards.sort_by(|left, right| {
            left.from.cmp(&right.from).then(left.tag_span.start.cmp(&right.tag_span.start))
        });
        for migration in unordered.baselines.iter().chain(&unordered.forwards) {
            diagnostics.extend(check_planned_sql(migration));
        }
        unordered
    }

    /// Puts the forward migrations on one chain.
    fn into_chain(
        self,
        source: &Source<'_>,
        diagnostics: &mut Vec<Diagnostic>,
        has_errors: bool,
    ) -> Option<Chain<'a>> {
        check_forks(&self.forwards, diagnostics);
        let Some(lowest) = self.baselines.first() else {
            if !has_errors {
                diagnostics.push(no_baseline(source, &self));
            }
            return None;
        };
        let mut forwards = self.forwards;
        forwards.dedup_by(|next, first| next.from == first.from);
        // What the chain reaches lies in its order: a migration leads up.
        let mut chain_version = &lowest.to;
        let is_off_chain: Vec<bool> = forwards
            .iter()
            .map(|migration| {
                let is_reached = migration.from == *chain_version;
                if is_reached {
                    chain_version = &migration.to;
                }
                !is_reached
            })
            .collect();
        let mut beyond = is_off_chain.into_iter();
        let off_chain: Vec<_> =
            forwards.extract_if(.., |_| beyond.next().unwrap_or_default()).collect();
        let chain = forwards;
        if !has_errors {
            check_gaps(&off_chain, lowest, &chain, diagnostics);
        }
        let points: Vec<VersionPoint> = std::iter::once(lowest.to.clone())
            .chain(chain.iter().map(|migration| migration.to.clone()))
            .collect();
        for baseline in &self.baselines {
            if !has_errors && points.binary_search(&baseline.to).is_err() {
                diagnostics.push(
                    Diagnostic::new(
                        Rule::BaselineOffChain,
                        baseline.tag_span.clone(),
                        format!("no migration leads to `{}`, at which this baseline stands", baseline.to),
                    )
                    .related(lowest.tag_span.clone(), "the chain starts at this baseline")
                    .help("a later baseline stands at a version of the chain, so that old databases can get there too"),
                );
            }
        }
        let released_count = count_released(lowest, &chain, diagnostics);
        let mut ordered = Chain {
            versions: points.iter().filter_map(|point| point.version().cloned()).collect(),
            baselines: self.baselines,
            forwards: chain,
            released_count,
            reverses: BTreeMap::new(),
            baseline_reverses: BTreeMap::new(),
            seeds: self.seeds,
        };
        for reverse in self.reverses {
            ordered.add_reverse(reverse, diagnostics, has_errors);
        }
        Some(ordered)
    }
}

impl<'a> Chain<'a> {
    /// Orders what the blocks of a document make, if it can be ordered at all. `torn`: the document
    /// has defects of its own, so that what is missing on the chain may only be a consequence.
    pub(crate) fn from_blocks(
        blocks: Blocks<'a>,
        source: &Source<'_>,
        diagnostics: &mut Vec<Diagnostic>,
        torn: bool,
    ) -> Option<Self> {
        UnorderedMigrations::new(blocks, diagnostics).into_chain(source, diagnostics, torn)
    }

    /// The position of a version.
    pub(crate) fn position(&self, version: &Version) -> Option<usize> {
        self.versions.binary_search_by(|known| known.cmp_precedence(version)).ok()
    }

    fn add_reverse(
        &mut self,
        reverse: Migration<'a>,
        diagnostics: &mut Vec<Diagnostic>,
        torn: bool,
    ) {
        let is_reversed = |migration: &Migration<'_>| {
            migration.from == reverse.to && migration.to == reverse.from
        };
        let start = reverse.to.version().and_then(|version| self.position(version));
        if let Some(index) = start.filter(|at| self.forwards.get(*at).is_some_and(is_reversed)) {
            self.reverses.insert(index, reverse);
        } else if let Some(at) = self.baselines.iter().position(is_reversed) {
            self.baseline_reverses.insert(at, reverse);
        } else if !torn {
            diagnostics.push(
                Diagnostic::new(
                    Rule::ReverseWithoutForward,
                    reverse.tag_span.clone(),
                    format!("this goes down from `{}` to `{}`, but no migration goes up from `{}` to `{}`", reverse.from, reverse.to, reverse.to, reverse.from),
                )
                .help("a reverse block takes back exactly one migration"),
            );
        }
    }
}

/// Migrations by their versions, then seeds by their names.
fn compare_subjects(left: &Tag, right: &Tag) -> Ordering {
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

fn duplicate_tag(block: &Block<'_>, first: &ScopedSql<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::DuplicateTag,
        block.tag_span.clone(),
        format!("the block `{}` stands in the document twice", block.tag),
    )
    .label("again here")
    .related(first.tag_span.clone(), "first here")
    .help(match block.tag {
        Tag::Seed { .. } => "give the second one another name, or remove it",
        _ => "give the second one the versions that it is meant for, or remove it",
    })
}

fn new_migration<'a>(
    blocks: &Blocks<'a>,
    block: &Block<'a>,
    from: VersionPoint,
    to: VersionPoint,
) -> Migration<'a> {
    Migration {
        from,
        to,
        system: None,
        user: None,
        title: blocks.title_section(block.section).map(|section| section.title.clone()),
        date: blocks.date(block.section),
        description: blocks.description(block.section),
        planned: blocks.planned_section(block.section).is_some(),
        tag_span: block.tag_span.clone(),
    }
}

fn half_planned(migration: &Migration<'_>, block: &Block<'_>, is_planned: bool) -> Diagnostic {
    let (here, there) = if is_planned { ("planned", "released") } else { ("released", "planned") };
    Diagnostic::new(
        Rule::HalfPlanned,
        block.tag_span.clone(),
        format!("this part of `{migration}` is {here}, another one is {there}"),
    )
    .related(migration.tag_span.clone(), format!("{there} here"))
    .help("put both parts under one heading, with `(Planned)` in it or without")
}

/// Warnings about SQL where none belongs, and none where some does.
fn check_planned_sql(migration: &Migration<'_>) -> Option<Diagnostic> {
    let mut blocks = Scope::BOTH.into_iter().filter_map(|scope| migration.block(scope));
    if migration.planned {
        let live_block = blocks.find(|part| !part.is_empty())?;
        return Some(
            Diagnostic::new(
                Rule::PlannedLiveSql,
                live_block.tag_span.clone(),
                format!("the planned migration `{migration}` holds SQL that is not commented out"),
            )
            .help("planned migrations are never applied; comment the SQL out until its release"),
        );
    }
    blocks.all(ScopedSql::is_empty).then(|| {
        Diagnostic::new(
            Rule::ReleasedWithoutSql,
            migration.tag_span.clone(),
            format!("the released migration `{migration}` holds no SQL at all"),
        )
        .help("uncomment its SQL, or mark its heading `(Planned)`")
    })
}

fn check_forks(forwards: &[Migration<'_>], diagnostics: &mut Vec<Diagnostic>) {
    let mut report = |verb: &str, point: &VersionPoint, [first, second]: [&Migration<'_>; 2]| {
        diagnostics.push(
            Diagnostic::new(
                Rule::Fork,
                second.tag_span.clone(),
                format!("two migrations {verb} `{point}`: `{first}` and `{second}`"),
            )
            .related(first.tag_span.clone(), "the other one")
            .help("versions form one chain; renumber one of the two"),
        );
    };
    for pair in forwards.windows(2).filter(|pair| pair[0].from == pair[1].from) {
        report("start at", &pair[0].from, [&pair[0], &pair[1]]);
    }
    let mut by_end: Vec<&Migration<'_>> = forwards.iter().collect();
    by_end.sort_by(|left, right| left.to.cmp(&right.to));
    for pair in by_end.windows(2).filter(|pair| pair[0].to == pair[1].to) {
        // Where they start at one version as well, that is told.
        if pair[0].from != pair[1].from {
            report("end at", &pair[0].to, [pair[0], pair[1]]);
        }
    }
}

fn check_gaps(
    off_chain: &[Migration<'_>],
    lowest: &Migration<'_>,
    chain: &[Migration<'_>],
    diagnostics: &mut Vec<Diagnostic>,
) {
    // Of a run of unreachable migrations only the first lacks something.
    let ends: BTreeSet<&VersionPoint> = off_chain.iter().map(|migration| &migration.to).collect();
    for migration in off_chain.iter().filter(|migration| !ends.contains(&migration.from)) {
        let diagnostic = Diagnostic::new(
            Rule::Gap,
            migration.tag_span.clone(),
            format!("nothing leads to `{}`, where `{migration}` starts", migration.from),
        );
        diagnostics.push(if migration.from < lowest.to {
            diagnostic.related(lowest.tag_span.clone(), "the lowest baseline").help(format!(
                "the chain starts at `{}`; add a baseline at `{}` or remove the migration",
                lowest.to, migration.from
            ))
        } else {
            let next_index = chain.partition_point(|step| step.to < migration.from);
            let end = chain[..next_index].last().map_or(&lowest.to, |step| &step.to);
            match chain.get(next_index) {
                Some(step) => {
                    diagnostic.related(step.tag_span.clone(), "the chain leads past it here")
                }
                None => diagnostic,
            }
            .help(format!(
                "the chain {} `{end}`; add the migration `{end}→{}` or mend a version",
                if next_index < chain.len() { "comes to" } else { "ends at" },
                migration.from
            ))
        });
    }
}

/// How many migrations of the chain come before the first planned one.
fn count_released(
    lowest: &Migration<'_>,
    chain: &[Migration<'_>],
    diagnostics: &mut Vec<Diagnostic>,
) -> usize {
    let first_planned = std::iter::once(lowest).chain(chain).find(|migration| migration.planned);
    let leading_released = chain.iter().take_while(|migration| !migration.planned).count();
    let released_count = if lowest.planned { 0 } else { leading_released };
    if let Some(planned) = first_planned {
        for migration in chain[released_count..].iter().filter(|migration| !migration.planned) {
            diagnostics.push(
                Diagnostic::new(
                    Rule::ReleasedAfterPlanned,
                    migration.tag_span.clone(),
                    format!("the released migration `{migration}` can only be reached over the planned `{planned}`"),
                )
                .related(planned.tag_span.clone(), "planned here")
                .help("release the planned one first, or plan this one too"),
            );
        }
        if lowest.planned {
            diagnostics.push(
                Diagnostic::new(
                    Rule::NoBaseline,
                    lowest.tag_span.clone(),
                    "the only baseline to start from is planned",
                )
                .help("remove `(Planned)` from its heading"),
            );
        }
    }
    released_count
}

fn no_baseline(source: &Source<'_>, unordered: &UnorderedMigrations<'_>) -> Diagnostic {
    match unordered.forwards.first().or_else(|| unordered.reverses.first()) {
        Some(first) => Diagnostic::new(
            Rule::NoBaseline,
            first.tag_span.clone(),
            format!("no baseline leads to `{}`, where the first migration starts", first.from),
        )
        .help(format!(
            "add a block tagged `-- [user:baseline→{}:start]` with the schema at that version",
            first.from
        )),
        None => Diagnostic::new(
            Rule::NoMigrations,
            0..source.text().find('\n').unwrap_or(source.text().len()),
            format!("`{}` holds no migration", source.name()),
        )
        .help("a migration is SQL in a ```sql fence between `-- [user:baseline→0.1.0:start]` and `-- [user:baseline→0.1.0:end]`"),
    }
}
