//! What two readings of a document have in common: every migration but those that were edited on
//! purpose must be what it was.

use std::borrow::Cow;
use std::collections::BTreeMap;

use semver::Version;

use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::Migration;
use crate::document::tag::{Scope, VersionPoint};
use crate::edit::error::EditError;
use crate::source::Source;

/// The edited text, read again.
pub(crate) fn reparse<'t>(source: &Source<'_>, text: &'t str) -> Result<Changelog<'t>, EditError> {
    Changelog::from_source(Source::new(source.name(), text)).map_err(EditError::InvalidDocument)
}

/// Where a migration leads.
pub(crate) type VersionPair = (VersionPoint, VersionPoint);

/// How versions and pairs are called after an edit.
#[derive(Clone, Debug, Default)]
pub(crate) struct VersionRenames {
    pub(crate) versions: BTreeMap<Version, Version>,
    pub(crate) pairs: BTreeMap<VersionPair, VersionPair>,
}

impl VersionRenames {
    pub(crate) fn rename_point(&self, point: &VersionPoint) -> VersionPoint {
        let new = point.version().and_then(|version| self.versions.get(version));
        new.map_or_else(|| point.clone(), |version| VersionPoint::Version(version.clone()))
    }

    pub(crate) fn rename_pair(&self, from: &VersionPoint, to: &VersionPoint) -> VersionPair {
        let new_pair = self.pairs.get(&(from.clone(), to.clone()));
        new_pair.cloned().unwrap_or_else(|| (self.rename_point(from), self.rename_point(to)))
    }
}

/// All that is known of a migration, its versions aside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MigrationFacts<'a> {
    planned: bool,
    date: Option<Cow<'a, str>>,
    description: Option<Cow<'a, str>>,
    sql: [Option<String>; 2],
}

fn migration_facts<'a>(migration: &Migration<'a>) -> MigrationFacts<'a> {
    let sql = |scope| migration.block(scope).map(|part| part.sql().text().replace("\r\n", "\n"));
    MigrationFacts {
        planned: migration.planned,
        date: migration.date.clone(),
        description: migration.description.clone(),
        sql: [sql(Scope::System), sql(Scope::User)],
    }
}

fn collect_facts<'a>(
    changelog: &Changelog<'a>,
    renames: &VersionRenames,
) -> BTreeMap<VersionPair, MigrationFacts<'a>> {
    let baselines = (0..changelog.baselines().len())
        .flat_map(|at| [StepId::Baseline(at), StepId::BaselineReverse(at)]);
    let chain =
        (0..changelog.chain().len()).flat_map(|at| [StepId::Forward(at), StepId::Reverse(at)]);
    baselines
        .chain(chain)
        .filter_map(|id| changelog.step(id))
        .map(|migration| {
            (renames.rename_pair(&migration.from, &migration.to), migration_facts(migration))
        })
        .collect()
}

/// Whether the edited document has, beside `edited` and its reverse, what the old one has.
pub(crate) fn check_unchanged(
    (old, renames): (Option<&Changelog<'_>>, &VersionRenames),
    new: &Changelog<'_>,
    edited: &VersionPair,
) -> Result<(), EditError> {
    let reverse = (edited.1.clone(), edited.0.clone());
    let mut before = old.map(|old| collect_facts(old, renames)).unwrap_or_default();
    let mut after = collect_facts(new, &VersionRenames::default());
    if after.remove(edited).is_none() {
        let (from, to) = edited;
        return Err(EditError::VerificationFailed(format!("`{from} → {to}` is not found in it")));
    }
    after.remove(&reverse);
    before.remove(edited);
    before.remove(&reverse);
    for (pair, facts) in &before {
        if after.get(pair) != Some(facts) {
            return Err(EditError::VerificationFailed(format!(
                "`{} → {}` would change",
                pair.0, pair.1
            )));
        }
    }
    if let Some(((from, to), _)) = after.iter().find(|(pair, _)| !before.contains_key(*pair)) {
        return Err(EditError::VerificationFailed(format!(
            "`{from} → {to}` would come of nothing"
        )));
    }
    let seeds = |changelog: &Changelog<'_>| -> Vec<String> {
        let seeds = changelog.seeds().iter();
        seeds.map(|s| format!("{} {} {}", s.scope, s.name, s.block.sql().text())).collect()
    };
    if old.map(seeds).unwrap_or_default() != seeds(new) {
        return Err(EditError::VerificationFailed("its seeds would change".to_owned()));
    }
    Ok(())
}
