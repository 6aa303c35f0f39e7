//! What two readings of a document have in common: every migration but those that were edited on
//! purpose must be what it was.

use std::borrow::Cow;
use std::collections::BTreeMap;

use semver::Version;

use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::Migration;
use crate::document::tag::{Point, Scope};
use crate::edit::error::EditError;
use crate::source::Source;

/// The edited text, read again.
pub(crate) fn parse<'t>(source: &Source<'_>, text: &'t str) -> Result<Changelog<'t>, EditError> {
    Changelog::parse_named(source.name(), text).map_err(EditError::Unusable)
}

/// Where a migration leads.
pub(crate) type Pair = (Point, Point);

/// How versions and pairs are called after an edit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub(crate) versions: BTreeMap<Version, Version>,
    pub(crate) pairs: BTreeMap<Pair, Pair>,
}

impl Names {
    pub(crate) fn point(&self, point: &Point) -> Point {
        let new = point.version().and_then(|version| self.versions.get(version));
        new.map_or_else(|| point.clone(), |version| Point::Version(version.clone()))
    }

    pub(crate) fn pair(&self, from: &Point, to: &Point) -> Pair {
        let known = self.pairs.get(&(from.clone(), to.clone()));
        known.cloned().unwrap_or_else(|| (self.point(from), self.point(to)))
    }
}

/// All that is known of a migration, its versions aside.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts<'a> {
    planned: bool,
    date: Option<Cow<'a, str>>,
    description: Option<Cow<'a, str>>,
    sql: [Option<String>; 2],
}

fn facts<'a>(migration: &Migration<'a>) -> Facts<'a> {
    let sql = |scope| migration.part(scope).map(|part| part.sql().text().replace("\r\n", "\n"));
    Facts {
        planned: migration.planned,
        date: migration.date.clone(),
        description: migration.description.clone(),
        sql: [sql(Scope::System), sql(Scope::User)],
    }
}

fn all<'a>(changelog: &Changelog<'a>, names: &Names) -> BTreeMap<Pair, Facts<'a>> {
    let baselines = (0..changelog.baselines().len())
        .flat_map(|at| [StepId::Baseline(at), StepId::Unbaseline(at)]);
    let chain =
        (0..changelog.chain().len()).flat_map(|at| [StepId::Forward(at), StepId::Reverse(at)]);
    baselines
        .chain(chain)
        .filter_map(|id| changelog.step(id))
        .map(|migration| (names.pair(&migration.from, &migration.to), facts(migration)))
        .collect()
}

/// Whether the edited document has, beside `edited` and its reverse, what the old one has.
pub(crate) fn check(
    (old, names): (Option<&Changelog<'_>>, &Names),
    new: &Changelog<'_>,
    edited: &Pair,
) -> Result<(), EditError> {
    let back = (edited.1.clone(), edited.0.clone());
    let mut before = old.map(|old| all(old, names)).unwrap_or_default();
    let mut after = all(new, &Names::default());
    if after.remove(edited).is_none() {
        let (from, to) = edited;
        return Err(EditError::Differs(format!("`{from} → {to}` is not found in it")));
    }
    after.remove(&back);
    before.remove(edited);
    before.remove(&back);
    for (pair, facts) in &before {
        if after.get(pair) != Some(facts) {
            return Err(EditError::Differs(format!("`{} → {}` would change", pair.0, pair.1)));
        }
    }
    if let Some(((from, to), _)) = after.iter().find(|(pair, _)| !before.contains_key(*pair)) {
        return Err(EditError::Differs(format!("`{from} → {to}` would come of nothing")));
    }
    let seeds = |changelog: &Changelog<'_>| -> Vec<String> {
        let seeds = changelog.seeds().iter();
        seeds.map(|s| format!("{} {} {}", s.scope, s.name, s.part.sql().text())).collect()
    };
    if old.map(seeds).unwrap_or_default() != seeds(new) {
        return Err(EditError::Differs("its seeds would change".to_owned()));
    }
    Ok(())
}
