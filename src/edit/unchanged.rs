//! Checks that an edit changed nothing but what it was meant to change: every other migration and
//! every seed must be the same before and after.

use std::borrow::Cow;
use std::collections::BTreeMap;

use semver::Version;

use crate::document::changelog::{Changelog, StepId};
use crate::document::imported::ImportedFrom;
use crate::document::migration::Migration;
use crate::document::tag::{Scope, VersionPair, VersionPoint};
use crate::edit::error::EditError;
use crate::source::Source;

/// Parses the edited text under the document's name.
pub(crate) fn reparse<'t>(source: &Source<'_>, text: &'t str) -> Result<Changelog<'t>, EditError> {
    Changelog::from_source(Source::new(source.name(), text)).map_err(EditError::InvalidDocument)
}

/// Old versions of planned migrations and their new ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct VersionRenames {
    /// By single version, for migrations that are not in `pairs`.
    pub(crate) versions: BTreeMap<Version, Version>,
    /// By both versions of a migration. The first planned migration starts at head before the edit
    /// and at the new version after it, although head itself keeps its version.
    pub(crate) pairs: BTreeMap<VersionPair, VersionPair>,
}

impl VersionRenames {
    fn rename_point(&self, point: &VersionPoint) -> VersionPoint {
        let new = point.version().and_then(|version| self.versions.get(version));
        new.map_or_else(|| point.clone(), |version| VersionPoint::Version(version.clone()))
    }

    pub(crate) fn rename_pair(&self, old: &VersionPair) -> VersionPair {
        let new_pair = self.pairs.get(old);
        new_pair.cloned().unwrap_or_else(|| {
            VersionPair::new(self.rename_point(&old.from), self.rename_point(&old.to))
        })
    }
}

/// The properties of a migration that an edit elsewhere must not change; its versions are the key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MigrationFacts<'a> {
    planned: bool,
    date: Option<Cow<'a, str>>,
    description: Option<Cow<'a, str>>,
    imported: Vec<ImportedFrom>,
    /// The SQL of the system block and of the user block, with LF line ends.
    sql: [Option<String>; 2],
}

fn migration_facts<'a>(migration: &Migration<'a>) -> MigrationFacts<'a> {
    let sql = |scope| migration.block(scope).map(|part| part.sql().text().replace("\r\n", "\n"));
    MigrationFacts {
        planned: migration.planned,
        date: migration.date.clone(),
        description: migration.description.clone(),
        imported: migration.imported.clone(),
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
            let pair = VersionPair::new(migration.from.clone(), migration.to.clone());
            (renames.rename_pair(&pair), migration_facts(migration))
        })
        .collect()
}

/// Checks that `new` contains `edited`, and otherwise the same migrations and seeds as `old`, renamed
/// by `renames`. The reverse of `edited` may differ too. `old` is `None` for a document that had no
/// migrations.
pub(crate) fn check_unchanged(
    old: Option<&Changelog<'_>>,
    renames: &VersionRenames,
    new: &Changelog<'_>,
    edited: &VersionPair,
) -> Result<(), EditError> {
    let reverse = edited.reversed();
    let mut before = old.map(|old| collect_facts(old, renames)).unwrap_or_default();
    let mut after = collect_facts(new, &VersionRenames::default());
    if after.remove(edited).is_none() {
        return Err(EditError::VerificationFailed(format!("`{edited}` would be missing")));
    }
    after.remove(&reverse);
    before.remove(edited);
    before.remove(&reverse);
    if let Some((pair, _)) = before.iter().find(|(pair, facts)| after.get(pair) != Some(facts)) {
        return Err(EditError::VerificationFailed(format!("`{pair}` would change")));
    }
    if let Some(pair) = after.keys().find(|pair| !before.contains_key(pair)) {
        return Err(EditError::VerificationFailed(format!("`{pair}` would be added")));
    }
    let seeds = |changelog: &Changelog<'_>| -> Vec<String> {
        let seeds = changelog.seeds().iter();
        seeds.map(|s| format!("{} {} {}", s.scope, s.name, s.block.sql().text())).collect()
    };
    if old.map(seeds).unwrap_or_default() != seeds(new) {
        return Err(EditError::VerificationFailed("a seed would change".to_owned()));
    }
    Ok(())
}
