//! Builds the diagnostics for blocks and migrations that do not fit into one chain of versions.

use crate::document::blocks::Block;
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::migration::{Migration, ScopedSql};
use crate::document::tag::{Tag, VersionPoint};
use crate::source::Source;

pub(crate) fn duplicate_tag(block: &Block<'_>, first: &ScopedSql<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::DuplicateTag,
        block.tag_span.clone(),
        format!("the document contains the block `{}` twice", block.tag),
    )
    .label("the second block")
    .related(first.tag_span.clone(), "the first block")
    .help(match block.tag {
        Tag::Seed { .. } => "give the second seed another name, or remove it".to_owned(),
        Tag::Migration { ref from, ref to, .. } if *from != VersionPoint::Baseline => {
            let end = from.max(to);
            format!(
                "write the versions that the second block is meant for, or remove the block; if two branches added a migration each, `tatmig renumber {end} --after {end}` moves the second behind the first"
            )
        }
        _ => "write the versions that the second block is meant for, or remove the block".to_owned(),
    })
}

/// `block` is planned and the rest of its migration is released, or the other way round.
pub(crate) fn half_planned(migration: &Migration<'_>, block: &Block<'_>) -> Diagnostic {
    let (rest, here) =
        if migration.planned { ("planned", "released") } else { ("released", "planned") };
    Diagnostic::new(
        Rule::HalfPlanned,
        block.tag_span.clone(),
        format!("this block of `{migration}` is {here}, but another one is {rest}"),
    )
    .related(migration.tag_span.clone(), format!("{rest} here"))
    .help("put both blocks below one heading, with or without `(Planned)`")
}

pub(crate) fn planned_live_sql(migration: &Migration<'_>, block: &ScopedSql<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::PlannedLiveSql,
        block.tag_span.clone(),
        format!("the planned migration `{migration}` contains SQL that is not commented out"),
    )
    .help("comment the SQL out until the release: planned migrations are never applied")
}

pub(crate) fn released_without_sql(migration: &Migration<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::ReleasedWithoutSql,
        migration.tag_span.clone(),
        format!("the released migration `{migration}` contains no SQL"),
    )
    .help("write or uncomment its SQL, or add `(Planned)` to its heading")
}

/// The version that two migrations share.
#[derive(Clone, Copy)]
pub(crate) enum ForkPoint {
    Start,
    End,
}

pub(crate) fn fork(point: ForkPoint, first: &Migration<'_>, second: &Migration<'_>) -> Diagnostic {
    let (verb, version) = match point {
        ForkPoint::Start => ("start", &first.from),
        ForkPoint::End => ("end", &first.to),
    };
    Diagnostic::new(
        Rule::Fork,
        second.tag_span.clone(),
        format!("two migrations {verb} at `{version}`: `{first}` and `{second}`"),
    )
    .related(first.tag_span.clone(), "the other migration")
    .help(renumber_help(first, second))
}

/// The command that renumbers one of two migrations that share a version: the planned one, else the
/// second one.
fn renumber_help(first: &Migration<'_>, second: &Migration<'_>) -> String {
    let (kept, moved) =
        if first.planned && !second.planned { (second, first) } else { (first, second) };
    if kept.from != moved.from || kept.from == VersionPoint::Baseline {
        return "renumber one of the two: versions form a single chain".to_owned();
    }
    format!(
        "versions form a single chain; after a merge, `tatmig renumber {} --after {}` moves `{moved}` behind `{kept}`",
        moved.to, kept.to
    )
}

/// A migration that starts below the lowest baseline, where no other one ends.
pub(crate) fn gap_below_baseline(migration: &Migration<'_>, lowest: &Migration<'_>) -> Diagnostic {
    gap_at_start(migration).related(lowest.tag_span.clone(), "the lowest baseline").help(format!(
        "add a baseline at `{}`, or remove the migration: the chain starts at `{}`",
        migration.from, lowest.to
    ))
}

/// A migration that starts where no other one ends. `end` is the last version of the chain below
/// it, and `next` the migration that leads from `end` past it.
pub(crate) fn gap(
    migration: &Migration<'_>,
    end: &VersionPoint,
    next: Option<&Migration<'_>>,
) -> Diagnostic {
    let start = &migration.from;
    let diagnostic = gap_at_start(migration);
    let diagnostic = match next {
        Some(next) => {
            diagnostic.related(next.tag_span.clone(), format!("the chain skips `{start}` here"))
        }
        None => diagnostic,
    };
    let verb = if next.is_some() { "reaches" } else { "ends at" };
    diagnostic.help(format!(
        "add the migration `{end}→{start}` or correct a version: the chain {verb} `{end}`"
    ))
}

fn gap_at_start(migration: &Migration<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::Gap,
        migration.tag_span.clone(),
        format!("no migration ends at `{}`, where `{migration}` starts", migration.from),
    )
}

pub(crate) fn baseline_off_chain(baseline: &Migration<'_>, lowest: &Migration<'_>) -> Diagnostic {
    let version = &baseline.to;
    Diagnostic::new(
        Rule::BaselineOffChain,
        baseline.tag_span.clone(),
        format!("no migration leads to `{version}`, the version of this baseline"),
    )
    .related(lowest.tag_span.clone(), "the chain starts at this baseline")
    .help(format!(
        "add migrations up to `{version}`, so that older databases can reach it, or use a version \
         of the chain"
    ))
}

pub(crate) fn reverse_without_forward(reverse: &Migration<'_>) -> Diagnostic {
    let (from, to) = (&reverse.from, &reverse.to);
    Diagnostic::new(
        Rule::ReverseWithoutForward,
        reverse.tag_span.clone(),
        format!(
            "this reverse block from `{from}` to `{to}` has no migration from `{to}` to `{from}`"
        ),
    )
    .help("write one reverse block for each migration: a reverse block undoes exactly one")
}

pub(crate) fn released_after_planned(
    migration: &Migration<'_>,
    planned: &Migration<'_>,
) -> Diagnostic {
    Diagnostic::new(
        Rule::ReleasedAfterPlanned,
        migration.tag_span.clone(),
        format!("the released migration `{migration}` follows the planned migration `{planned}`"),
    )
    .related(planned.tag_span.clone(), "planned here")
    .help(format!("release `{planned}` first, or add `(Planned)` to the heading of `{migration}`"))
}

pub(crate) fn planned_baseline(lowest: &Migration<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::NoBaseline,
        lowest.tag_span.clone(),
        "the lowest baseline is planned, so that the chain has no start",
    )
    .help("remove `(Planned)` from its heading")
}

/// `first` is the first migration of a document without a baseline.
pub(crate) fn no_baseline(first: &Migration<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::NoBaseline,
        first.tag_span.clone(),
        format!("no baseline leads to `{}`, where the first migration starts", first.from),
    )
    .help(format!(
        "add a block tagged `-- [user:baseline→{}:start]` with the schema at that version",
        first.from
    ))
}

pub(crate) fn no_migrations(source: &Source<'_>) -> Diagnostic {
    Diagnostic::new(
        Rule::NoMigrations,
        0..source.text().find('\n').unwrap_or(source.text().len()),
        format!("`{}` contains no migration", source.name()),
    )
    .help("put SQL in a ```sql code block, between `-- [user:baseline→0.1.0:start]` and `-- [user:baseline→0.1.0:end]`")
}
