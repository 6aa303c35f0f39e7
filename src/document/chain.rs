//! Orders migrations into one chain of versions, with baselines that lead to versions of the chain
//! and reverse blocks that undo its steps. A migration that does not fit is reported with its lines.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use crate::document::blocks::Blocks;
use crate::document::chain_errors;
use crate::document::chain_errors::ForkPoint;
use crate::document::diagnostic::Diagnostic;
use crate::document::grouping::UnorderedMigrations;
use crate::document::migration::{Migration, Seed};
use crate::document::tag::VersionPoint;
use crate::source::Source;

/// The migrations of a document, ordered.
#[derive(Clone, Debug)]
pub(crate) struct Chain<'a> {
    /// Lowest version first; never empty.
    pub(crate) baselines: Vec<Migration<'a>>,
    /// In the order of their versions; released migrations precede planned ones.
    pub(crate) forwards: Vec<Migration<'a>>,
    /// How many of `forwards` are released.
    pub(crate) released_count: usize,
    /// Reverse migrations, by the index in `forwards` of what they undo.
    pub(crate) reverses: BTreeMap<usize, Migration<'a>>,
    /// Reverse migrations, by the index in `baselines` of what they undo.
    pub(crate) baseline_reverses: BTreeMap<usize, Migration<'a>>,
    pub(crate) seeds: Vec<Seed<'a>>,
    /// The version of the lowest baseline, then the end of each of `forwards`.
    pub(crate) versions: Vec<Version>,
}

/// Whether migrations that are missing from the chain are reported.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissingMigrations {
    Report,
    /// For a document with errors in its blocks: a block that could not be read may be the one
    /// that is missing.
    Ignore,
}

impl<'a> Chain<'a> {
    /// Orders the blocks of a document. Errors and warnings are added to `diagnostics`; `None` if
    /// the document has no baseline, so that there is no chain.
    pub(crate) fn from_blocks(
        blocks: Blocks<'a>,
        source: &Source<'_>,
        diagnostics: &mut Vec<Diagnostic>,
        missing: MissingMigrations,
    ) -> Option<Self> {
        let UnorderedMigrations { baselines, mut forwards, reverses, seeds } =
            UnorderedMigrations::from_blocks(blocks, diagnostics);
        check_forks(&forwards, diagnostics);
        let Some(lowest) = baselines.first() else {
            if missing == MissingMigrations::Report {
                diagnostics.push(match forwards.first().or_else(|| reverses.first()) {
                    Some(first) => chain_errors::no_baseline(first),
                    None => chain_errors::no_migrations(source),
                });
            }
            return None;
        };
        let off_chain = extract_off_chain(&mut forwards, &lowest.to);
        let points: Vec<&VersionPoint> = std::iter::once(&lowest.to)
            .chain(forwards.iter().map(|migration| &migration.to))
            .collect();
        if missing == MissingMigrations::Report {
            check_gaps(&off_chain, lowest, &forwards, diagnostics);
            let off_chain_baselines =
                baselines.iter().filter(|baseline| points.binary_search(&&baseline.to).is_err());
            diagnostics.extend(
                off_chain_baselines
                    .map(|baseline| chain_errors::baseline_off_chain(baseline, lowest)),
            );
        }
        let released_count = count_released(lowest, &forwards, diagnostics);
        let versions = points.iter().filter_map(|point| point.version().cloned()).collect();
        let mut chain = Self {
            baselines,
            forwards,
            released_count,
            reverses: BTreeMap::new(),
            baseline_reverses: BTreeMap::new(),
            seeds,
            versions,
        };
        for reverse in reverses {
            if let Err(reverse) = chain.add_reverse(reverse)
                && missing == MissingMigrations::Report
            {
                diagnostics.push(chain_errors::reverse_without_forward(&reverse));
            }
        }
        Some(chain)
    }

    /// The position of a version, by semver precedence.
    pub(crate) fn position(&self, version: &Version) -> Option<usize> {
        self.versions.binary_search_by(|known| known.cmp_precedence(version)).ok()
    }

    /// Adds a reverse migration; returns it if there is no migration that it undoes.
    fn add_reverse(&mut self, reverse: Migration<'a>) -> Result<(), Migration<'a>> {
        let is_reversed = |migration: &Migration<'_>| {
            migration.from == reverse.to && migration.to == reverse.from
        };
        let start = reverse.to.version().and_then(|version| self.position(version));
        if let Some(index) = start.filter(|at| self.forwards.get(*at).is_some_and(is_reversed)) {
            self.reverses.insert(index, reverse);
        } else if let Some(index) = self.baselines.iter().position(is_reversed) {
            self.baseline_reverses.insert(index, reverse);
        } else {
            return Err(reverse);
        }
        Ok(())
    }
}

/// Leaves in `forwards` the migrations that connect from `start` upwards, one for each version, and
/// returns the others. Of two migrations that start at one version, the first counts.
fn extract_off_chain<'a>(
    forwards: &mut Vec<Migration<'a>>,
    start: &VersionPoint,
) -> Vec<Migration<'a>> {
    forwards.dedup_by(|next, first| next.from == first.from);
    // One pass is enough: migrations are sorted by their start, and each leads to a higher version.
    let mut chain_version = start;
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
    let mut is_off_chain = is_off_chain.into_iter();
    forwards.extract_if(.., |_| is_off_chain.next().unwrap_or_default()).collect()
}

/// Reports pairs of migrations that start or end at the same version.
fn check_forks(forwards: &[Migration<'_>], diagnostics: &mut Vec<Diagnostic>) {
    for pair in forwards.windows(2).filter(|pair| pair[0].from == pair[1].from) {
        diagnostics.push(chain_errors::fork(ForkPoint::Start, &pair[0], &pair[1]));
    }
    let mut by_end: Vec<&Migration<'_>> = forwards.iter().collect();
    by_end.sort_by(|left, right| left.to.cmp(&right.to));
    for pair in by_end.windows(2).filter(|pair| pair[0].to == pair[1].to) {
        // A pair that also starts at one version is already reported.
        if pair[0].from != pair[1].from {
            diagnostics.push(chain_errors::fork(ForkPoint::End, pair[0], pair[1]));
        }
    }
}

/// Reports migrations that the chain does not reach.
fn check_gaps(
    off_chain: &[Migration<'_>],
    lowest: &Migration<'_>,
    chain: &[Migration<'_>],
    diagnostics: &mut Vec<Diagnostic>,
) {
    // In a sequence of unreachable migrations only the first one lacks a predecessor.
    let ends: BTreeSet<&VersionPoint> = off_chain.iter().map(|migration| &migration.to).collect();
    for migration in off_chain.iter().filter(|migration| !ends.contains(&migration.from)) {
        diagnostics.push(if migration.from < lowest.to {
            chain_errors::gap_below_baseline(migration, lowest)
        } else {
            let next_index = chain.partition_point(|step| step.to < migration.from);
            let end = chain[..next_index].last().map_or(&lowest.to, |step| &step.to);
            chain_errors::gap(migration, end, chain.get(next_index))
        });
    }
}

/// The number of migrations before the first planned one; 0 if the lowest baseline is planned.
/// Released migrations behind a planned one are reported.
fn count_released(
    lowest: &Migration<'_>,
    chain: &[Migration<'_>],
    diagnostics: &mut Vec<Diagnostic>,
) -> usize {
    let first_planned = std::iter::once(lowest).chain(chain).find(|migration| migration.planned);
    let Some(planned) = first_planned else { return chain.len() };
    let released_count = if lowest.planned {
        0
    } else {
        chain.iter().take_while(|migration| !migration.planned).count()
    };
    for migration in chain[released_count..].iter().filter(|migration| !migration.planned) {
        diagnostics.push(chain_errors::released_after_planned(migration, planned));
    }
    if lowest.planned {
        diagnostics.push(chain_errors::planned_baseline(lowest));
    }
    released_count
}
