//! Groups the blocks of a document into migrations and seeds, not yet ordered into a chain.

use std::cmp::Ordering;

use crate::document::blocks::{Block, Blocks};
use crate::document::chain_errors;
use crate::document::diagnostic::Diagnostic;
use crate::document::directive::unfinished_parts;
use crate::document::imported_lines::{AssignedImports, assign_imported};
use crate::document::migration::{Migration, ScopedSql, Seed};
use crate::document::tag::{Scope, Tag, VersionPair, VersionPoint};

/// The migrations of a document before they are ordered into a chain.
#[derive(Default)]
pub(crate) struct UnorderedMigrations<'a> {
    /// The migrations from `baseline` to a version, lowest version first.
    pub(crate) baselines: Vec<Migration<'a>>,
    /// The migrations from a version to a higher one, by start version, then in document order.
    pub(crate) forwards: Vec<Migration<'a>>,
    /// The migrations to a lower version or to `baseline`, by start version, then by end version.
    pub(crate) reverses: Vec<Migration<'a>>,
    /// In document order.
    pub(crate) seeds: Vec<Seed<'a>>,
}

impl<'a> UnorderedMigrations<'a> {
    /// Groups blocks. Adds to `diagnostics`: duplicate tags, migrations with a planned and a released
    /// block, planned migrations with SQL that is not commented out, and released migrations without
    /// SQL.
    pub(crate) fn from_blocks(mut blocks: Blocks<'a>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut imported = assign_imported(&blocks, diagnostics);
        let mut list = std::mem::take(&mut blocks.list);
        let mut migrations: Vec<Migration<'a>> = Vec::with_capacity(list.len());
        let mut seeds = Vec::new();
        // Blocks of one migration become neighbours, in document order. A document is nearly in
        // this order already, which the stable sort makes use of.
        list.sort_by(|left, right| compare_migration_or_seed(&left.tag, &right.tag));
        for block in list {
            match &block.tag {
                // A template for readers, not a migration.
                Tag::Placeholder { .. } => {}
                Tag::Seed { .. } => add_seed(&mut seeds, block, diagnostics),
                // The collector of blocks reported it as `same-version`.
                Tag::Migration { from, to, .. } if from == to => {}
                Tag::Migration { .. } => {
                    add_block(&mut migrations, &blocks, block, diagnostics);
                }
            }
        }
        seeds.sort_by_key(|seed| seed.block.tag_span.start);
        let is_baseline = |migration: &mut Migration<'_>| migration.from == VersionPoint::Baseline;
        let mut baselines: Vec<_> = migrations.extract_if(.., is_baseline).collect();
        for migration in baselines.iter_mut().chain(&mut migrations) {
            let versions = VersionPair::new(migration.from.clone(), migration.to.clone());
            let AssignedImports { all, by_scope: [system, user] } =
                imported.remove(&versions).unwrap_or_default();
            migration.imported = all;
            for (block, of_scope) in [(&mut migration.system, system), (&mut migration.user, user)]
            {
                if let Some(block) = block {
                    block.imported = of_scope;
                }
            }
        }
        // `baseline` is ordered below every version.
        let is_reverse = |migration: &mut Migration<'_>| migration.to < migration.from;
        let reverses: Vec<_> = migrations.extract_if(.., is_reverse).collect();
        let mut forwards = migrations;
        baselines.sort_by(|left, right| left.to.cmp(&right.to));
        forwards.sort_by(|left, right| {
            left.from.cmp(&right.from).then(left.tag_span.start.cmp(&right.tag_span.start))
        });
        for migration in baselines.iter().chain(&forwards).chain(&reverses) {
            diagnostics.extend(check_planned_sql(migration));
        }
        // A reverse block may be released without SQL, if there is nothing to undo.
        for migration in baselines.iter().chain(&forwards) {
            diagnostics.extend(check_released_sql(migration));
        }
        Self { baselines, forwards, reverses, seeds }
    }
}

/// Compares tags without their scopes, so that all tags of one migration, and all of one seed name,
/// are equal: first migrations by their versions, then seeds by their names, then placeholders.
fn compare_migration_or_seed(left: &Tag, right: &Tag) -> Ordering {
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

/// Adds a seed, or reports a second one with its name and scope. All seeds of one name must be added
/// one after the other, since only the last ones are compared.
fn add_seed<'a>(seeds: &mut Vec<Seed<'a>>, block: Block<'a>, diagnostics: &mut Vec<Diagnostic>) {
    let Tag::Seed { scope, name } = &block.tag else { return };
    let first =
        seeds.iter().rev().take_while(|seed| seed.name == *name).find(|seed| seed.scope == *scope);
    if let Some(first) = first {
        diagnostics.push(chain_errors::duplicate_tag(&block, &first.block));
        return;
    }
    let (scope, name) = (*scope, name.clone());
    seeds.push(Seed { scope, name, block: into_scoped_sql(block) });
}

/// Adds a block to the last migration if the versions are the same, else to a new one, which gets
/// its title, date and description from this first block's section. All blocks of one migration must
/// be added one after the other, since only the last migration is compared.
fn add_block<'a>(
    migrations: &mut Vec<Migration<'a>>,
    blocks: &Blocks<'a>,
    block: Block<'a>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let Tag::Migration { scope, from, to } = &block.tag else { return };
    let scope = *scope;
    let planned = blocks.planned_section(block.section).is_some();
    let is_same_migration = |last: &Migration<'_>| last.from == *from && last.to == *to;
    if !migrations.last().is_some_and(is_same_migration) {
        migrations.push(Migration {
            from: from.clone(),
            to: to.clone(),
            system: None,
            user: None,
            title: blocks.title_section(block.section).map(|section| section.title.clone()),
            date: blocks.date(block.section),
            description: blocks.description(block.section),
            imported: Vec::new(),
            planned,
            tag_span: block.tag_span.clone(),
        });
    }
    let Some(migration) = migrations.last_mut() else { return };
    if let Some(first) = migration.block(scope) {
        diagnostics.push(chain_errors::duplicate_tag(&block, first));
        return;
    }
    if planned != migration.planned {
        diagnostics.push(chain_errors::half_planned(migration, &block));
    }
    let scoped_sql = Some(into_scoped_sql(block));
    match scope {
        Scope::System => migration.system = scoped_sql,
        Scope::User => migration.user = scoped_sql,
    }
}

fn into_scoped_sql(block: Block<'_>) -> ScopedSql<'_> {
    let Block { sql, tag_span, allow_directives, .. } = block;
    ScopedSql { sql, tag_span, allow_directives, imported: Vec::new() }
}

/// Returns a diagnostic if a planned migration has SQL that is not commented out.
fn check_planned_sql(migration: &Migration<'_>) -> Option<Diagnostic> {
    let mut blocks = Scope::BOTH.into_iter().filter_map(|scope| migration.block(scope));
    let live_block = blocks.find(|block| migration.planned && !block.is_empty())?;
    Some(chain_errors::planned_live_sql(migration, live_block))
}

/// Returns a diagnostic if a released migration has no SQL. A block that a person has to finish is
/// reported for that already.
fn check_released_sql(migration: &Migration<'_>) -> Option<Diagnostic> {
    let mut blocks = Scope::BOTH.into_iter().filter_map(|scope| migration.block(scope));
    let is_left_empty =
        |block: &ScopedSql<'_>| block.is_empty() && unfinished_parts(&block.sql).is_empty();
    (!migration.planned && blocks.all(is_left_empty))
        .then(|| chain_errors::released_without_sql(migration))
}
