//! The order of migrations: one chain of versions, with baselines that lead onto it and reverse
//! blocks beside it. Whatever does not fit on the chain is a problem that names its lines.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use crate::document::blocks::{Block, Blocks};
use crate::document::diagnostic::{Problem, Rule};
use crate::document::migration::{Migration, Part, Seed};
use crate::document::tag::{Point, Scope, Tag};
use crate::source::Source;

/// A document's migrations in their order.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    /// Lowest first; never empty.
    pub(crate) baselines: Vec<Migration<'a>>,
    /// In order, released ones first.
    pub(crate) forwards: Vec<Migration<'a>>,
    /// How many of them are released.
    pub(crate) released: usize,
    /// By the index of what they reverse.
    pub(crate) reverses: BTreeMap<usize, Migration<'a>>,
    pub(crate) unbaselines: BTreeMap<usize, Migration<'a>>,
    pub(crate) seeds: Vec<Seed<'a>>,
    /// The lowest baseline's version, then the end of each migration of the chain.
    pub(crate) versions: Vec<Version>,
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

    /// Puts the forward migrations on one chain.
    fn order(
        self,
        source: &Source<'_>,
        problems: &mut Vec<Problem>,
        torn: bool,
    ) -> Option<Chain<'a>> {
        forks(&self.forwards, problems);
        let Some(lowest) = self.baselines.first() else {
            if !torn {
                problems.push(no_baseline(source, &self));
            }
            return None;
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
        let mut ordered = Chain {
            versions: points.iter().filter_map(|point| point.version().cloned()).collect(),
            baselines: self.baselines,
            forwards: chain,
            released,
            reverses: BTreeMap::new(),
            unbaselines: BTreeMap::new(),
            seeds: self.seeds,
        };
        for reverse in self.reverses {
            ordered.add_reverse(reverse, problems, torn);
        }
        Some(ordered)
    }
}

impl<'a> Chain<'a> {
    /// Orders what the blocks of a document make, if it can be ordered at all. `torn`: the document
    /// has defects of its own, so that what is missing on the chain may only be a consequence.
    pub(crate) fn of(
        blocks: Blocks<'a>,
        source: &Source<'_>,
        problems: &mut Vec<Problem>,
        torn: bool,
    ) -> Option<Self> {
        Draft::new(blocks, problems).order(source, problems, torn)
    }

    /// The position of a version.
    pub(crate) fn position(&self, version: &Version) -> Option<usize> {
        self.versions.binary_search_by(|known| known.cmp_precedence(version)).ok()
    }

    fn add_reverse(&mut self, reverse: Migration<'a>, problems: &mut Vec<Problem>, torn: bool) {
        let reverses = |migration: &Migration<'_>| {
            migration.from == reverse.to && migration.to == reverse.from
        };
        let start = reverse.to.version().and_then(|version| self.position(version));
        if let Some(at) = start.filter(|at| self.forwards.get(*at).is_some_and(reverses)) {
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
