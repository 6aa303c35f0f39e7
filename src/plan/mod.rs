//! Which steps a database needs, decided from the changelog and from what the database says of
//! itself; or why it is left alone, with the reason's name. Pure: no disk, no connection.

pub(crate) mod outcome;

use std::collections::BTreeMap;

use semver::Version;

use crate::database::history_entry::{Event, Record, State};
use crate::document::changelog::{Changelog, StepId};
use crate::document::migration::Part;
use crate::document::tag::{Point, Scope};

/// Where a database stands on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    /// It holds nothing: it takes the highest baseline that serves.
    New,
    /// It holds tables and no record, and its schema is that of the n-th version.
    Matched(usize),
    /// Its record says `baseline`: the lowest baseline runs, its guards in place.
    BelowBaseline,
    /// At the n-th version of the chain.
    At(usize),
}

/// Where a run is to bring databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Up to the n-th version of the chain.
    Up(usize),
    /// Down to the n-th version by reverse blocks; without one, to nothing.
    Down(Option<usize>),
}

/// Why a database is left alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its version is none of the document's.
    #[error(
        "its version is `{version}`, which the document does not know (head is `{head}`); use the document that brought it there"
    )]
    Unknown {
        /// The version in its record.
        version: String,
        /// The document's head.
        head: Version,
    },
    /// Its version is one that the document plans and has not released.
    #[error("its version is `{version}`, which is only planned in the document (head is `{head}`)")]
    AboveHead {
        /// The version in its record.
        version: String,
        /// The document's head.
        head: Version,
    },
    /// It has no record, and its schema fits no version of the document.
    #[error("it has tables and no record, and its schema fits no version: there is {}; but {}. `tatmig adopt` accepts it as it is", .there.join(", "), some(.missing))]
    Torn {
        /// What of the document's is there.
        there: Vec<String>,
        /// What is missing.
        missing: Vec<String>,
    },
    /// It has no record, and nothing of the document's.
    #[error(
        "it has tables and no record, and none of the tables are the document's; if it is this fleet's all the same, `tatmig adopt --at baseline` says so"
    )]
    Foreign,
    /// An edited migration cannot be accepted: the schema does not have what it makes.
    #[error("it does not have what the edited migration makes: {}", .missing.join("; "))]
    NotAsEdited {
        /// What is missing.
        missing: Vec<String>,
    },
    /// No reverse block leads down from where it stands.
    #[error("no reverse block leads down from where it stands: the document has no {}", tags(.missing))]
    NoReverse {
        /// The tags of the blocks that are missing, the first to be run first.
        missing: Vec<String>,
    },
    /// It holds nothing yet.
    #[error("it holds nothing yet; `tatmig upgrade` makes its tables")]
    Empty,
    /// A migration that it went through was changed in the document since.
    #[error("{} changed in the document after this database went through {}: {}", if .edits.len() == 1 { "a migration was" } else { "migrations were" }, if .edits.len() == 1 { "it" } else { "them" }, .edits.iter().map(|edit| format!("`{} → {}`", edit.from, edit.to)).collect::<Vec<_>>().join(", "))]
    Edited {
        /// Each of them.
        edits: Vec<Edit>,
    },
}

/// Tags as they stand in the document.
fn tags(missing: &[String]) -> String {
    let quoted: Vec<String> = missing.iter().map(|tag| format!("`-- {tag}`")).collect();
    quoted.join(", ")
}

/// What is missing; where nothing is, too much is there.
fn some(missing: &[String]) -> String {
    if missing.is_empty() { "in no order of the document's".to_owned() } else { missing.join(", ") }
}

/// A migration whose statements are not those that ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where the migration starts.
    pub from: Point,
    /// Where it ends.
    pub to: Point,
    /// The checksum of what ran.
    pub recorded: String,
    /// The bytes of the part's start tag in the document.
    pub span: std::ops::Range<usize>,
}

/// A `--to` that no run can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Not a semantic version.
    #[error("`{text}` is not a version; versions read like `{head}`")]
    NotAVersion {
        /// What was given.
        text: String,
        /// The document's head.
        head: Version,
    },
    /// A version that no migration leads to.
    #[error("version `{version}` is not in {document}; it has {known}")]
    Unknown {
        /// What was given.
        version: Version,
        /// The document's name.
        document: String,
        /// The nearest versions that there are.
        known: String,
    },
    /// A version that is not released.
    #[error("version `{version}` is only planned in {document}; head is `{head}`")]
    Planned {
        /// What was given.
        version: Version,
        /// The document's name.
        document: String,
        /// The document's head.
        head: Version,
    },
}

/// The position of a target among the changelog's versions; head without one, or by that name.
fn target(changelog: &Changelog<'_>, to: Option<&str>) -> Result<usize, TargetError> {
    let Some(text) = to.filter(|text| *text != "head") else {
        return Ok(changelog.head_position());
    };
    let head = changelog.head().clone();
    let document = changelog.source().name().to_owned();
    let Ok(version) = Version::parse(text) else {
        return Err(TargetError::NotAVersion { text: text.to_owned(), head });
    };
    match changelog.position(&version) {
        Some(position) if position <= changelog.head_position() => Ok(position),
        Some(_) => Err(TargetError::Planned { version, document, head }),
        None => {
            let known = neighbours(changelog, &version);
            Err(TargetError::Unknown { version, document, known })
        }
    }
}

impl Changelog<'_> {
    /// The position of the version that a run is to reach; head where none is named, or `head` is.
    ///
    /// # Errors
    ///
    /// A text that is no version, or a version that is planned or not on the chain.
    pub fn target(&self, to: Option<&str>) -> Result<usize, TargetError> {
        target(self, to)
    }
}

/// The versions around a missing one, in words.
fn neighbours(changelog: &Changelog<'_>, version: &Version) -> String {
    const SHOWN: usize = 6;
    let released = &changelog.versions()[..=changelog.head_position()];
    let at = released.partition_point(|known| known < version);
    let start = at.saturating_sub(SHOWN / 2).min(released.len().saturating_sub(SHOWN));
    let end = (start + SHOWN).min(released.len());
    let shown: Vec<String> =
        released[start..end].iter().map(|version| format!("`{version}`")).collect();
    let more = if shown.len() < released.len() { ", among others" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Where a database stands.
pub(crate) fn standing(
    changelog: &Changelog<'_>,
    state: &State,
    evidence: impl FnOnce() -> Result<usize, Refusal>,
) -> Result<Standing, Refusal> {
    let record = match state {
        State::New => return Ok(Standing::New),
        State::Unversioned => return evidence().map(Standing::Matched),
        State::Recorded(record) => record,
    };
    let head = changelog.head().clone();
    let version = record.to.clone();
    match Point::parse(&record.to) {
        Some(Point::Baseline) => Ok(Standing::BelowBaseline),
        Some(Point::Version(known)) => match changelog.position(&known) {
            Some(position) if position <= changelog.head_position() => Ok(Standing::At(position)),
            Some(_) => Err(Refusal::AboveHead { version, head }),
            None => Err(Refusal::Unknown { version, head }),
        },
        None => Err(Refusal::Unknown { version, head }),
    }
}

/// Whether the last row alone tells that no migration of this database's was edited.
pub(crate) fn is_untouched(
    changelog: &Changelog<'_>,
    scope: Scope,
    (record, position): (&Record, usize),
) -> bool {
    record.chain.as_deref() == Some(&changelog.chain_checksum(scope, position).to_string())
}

/// The migrations that ran with other statements than the document has now. Those that the
/// document no longer holds, because a baseline replaced them, are not looked at.
pub(crate) fn edits(
    changelog: &Changelog<'_>,
    scope: Scope,
    (records, position): (&[Record], usize),
) -> Vec<Edit> {
    let at = &changelog.versions()[position];
    let mut latest: BTreeMap<(Point, Point), &Record> = BTreeMap::new();
    for record in records {
        let (Some(from), Some(to)) = (Point::parse(&record.from), Point::parse(&record.to)) else {
            continue;
        };
        match record.event {
            Event::Upgrade => {
                latest.insert((from, to), record);
            }
            Event::Downgrade if to == Point::Baseline => latest.clear(),
            // What was taken back is in effect no more.
            Event::Downgrade => {
                latest.remove(&(to, from));
            }
            // A human vouched for the schema as it is: what came before is settled.
            Event::Stamp | Event::Adopt => latest.clear(),
        }
    }
    latest
        .into_iter()
        .filter(|((_, to), _)| to.version().is_some_and(|to| to <= at))
        .filter_map(|((from, to), record)| {
            let migration = changelog.find(&from, &to)?;
            let recorded = record.checksum.clone()?;
            let span = migration.part(scope).map_or(migration.span.clone(), Part::span);
            (recorded != migration.checksum(scope).to_string()).then_some(Edit {
                from,
                to,
                recorded,
                span,
            })
        })
        .collect()
}

/// The steps from where a database stands to a goal; none if it is there or beyond.
pub(crate) fn route(
    changelog: &Changelog<'_>,
    scope: Scope,
    (standing, goal): (Standing, Goal),
) -> Result<Vec<StepId>, Refusal> {
    match goal {
        Goal::Up(target) => Ok(steps(changelog, scope, (standing, target))),
        Goal::Down(target) => descent(changelog, scope, (standing, target)),
    }
}

/// The steps down. All that are missing are named, not the first alone.
fn descent(
    changelog: &Changelog<'_>,
    scope: Scope,
    (standing, target): (Standing, Option<usize>),
) -> Result<Vec<StepId>, Refusal> {
    let (Standing::At(mut at) | Standing::Matched(mut at)) = standing else {
        return Ok(Vec::new());
    };
    let mut ids = Vec::new();
    let mut missing = Vec::new();
    let mut take = |id: StepId| {
        if leads_down(changelog, scope, id) {
            ids.push(id);
        } else if let Some((from, to)) = changelog.ends(id) {
            missing.push(format!("[{scope}:{from}→{to}:start]"));
        }
    };
    loop {
        if target.is_some_and(|target| at <= target) {
            break;
        }
        // A baseline's own reverse is the whole way down, from wherever it stands.
        if target.is_none() {
            let shortcut = (1..changelog.baselines().len())
                .filter(|baseline| changelog.baseline_position(*baseline) == Some(at))
                .map(StepId::Unbaseline)
                .find(|id| changelog.step(*id).is_some_and(|step| step.part(scope).is_some()));
            if let Some(id) = shortcut.or((at == 0).then_some(StepId::Unbaseline(0))) {
                take(id);
                break;
            }
        }
        at -= 1;
        take(StepId::Reverse(at));
    }
    if missing.is_empty() { Ok(ids) } else { Err(Refusal::NoReverse { missing }) }
}

/// Whether a step down can be made: its block is there, or there is nothing to take back.
fn leads_down(changelog: &Changelog<'_>, scope: Scope, id: StepId) -> bool {
    let reverse = changelog.step(id).filter(|reverse| !reverse.planned);
    let forward = match id {
        StepId::Reverse(at) => changelog.chain().get(at),
        StepId::Unbaseline(at) => changelog.baselines().get(at),
        StepId::Baseline(_) | StepId::Forward(_) | StepId::Seed(_) => None,
    };
    let nothing = forward.is_some_and(|up| up.part(scope).is_none_or(Part::is_empty));
    nothing || reverse.is_some_and(|reverse| reverse.part(scope).is_some())
}

/// The steps from where a database stands up to a target; none if it is there or above.
pub(crate) fn steps(
    changelog: &Changelog<'_>,
    scope: Scope,
    (standing, target): (Standing, usize),
) -> Vec<StepId> {
    let from_baseline = |baseline: usize| {
        let start = changelog.baselines()[baseline]
            .to
            .version()
            .and_then(|version| changelog.position(version))
            .unwrap_or(0);
        std::iter::once(StepId::Baseline(baseline))
            .chain((start..target).map(StepId::Forward))
            .collect()
    };
    match standing {
        Standing::New => from_baseline(changelog.baseline_for(scope, target)),
        Standing::BelowBaseline => from_baseline(0),
        Standing::At(position) | Standing::Matched(position) => {
            (position..target).map(StepId::Forward).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> String {
        let block =
            |tag: &str| format!("```sql\n-- [{tag}:start]\nSELECT 1;\n-- [{tag}:end]\n```\n\n");
        [
            block("system:baseline→1.0.0"),
            block("user:baseline→1.0.0"),
            block("user:1.0.0→1.1.0"),
            block("user:1.1.0→2.0.0-rc.1"),
            block("user:2.0.0-rc.1→2.0.0"),
            block("user:baseline→2.0.0"),
            "## 2.0.0 → 2.1.0 (Planned)\n".to_owned(),
            block("user:2.0.0→2.1.0"),
        ]
        .concat()
    }

    fn record(to: &str) -> State {
        State::Recorded(Record {
            id: 1,
            event: Event::Upgrade,
            from: "baseline".into(),
            to: to.into(),
            checksum: None,
            chain: None,
            applied_at: String::new(),
            duration_ms: 0,
            tool_version: String::new(),
            note: None,
        })
    }

    #[test]
    fn a_new_database_takes_the_highest_baseline_with_a_part_for_its_scope() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let head = changelog.head_position();
        assert_eq!(steps(&changelog, Scope::User, (Standing::New, head)), [StepId::Baseline(1)]);
        assert_eq!(
            steps(&changelog, Scope::System, (Standing::New, head)),
            [StepId::Baseline(0), StepId::Forward(0), StepId::Forward(1), StepId::Forward(2)]
        );
        assert_eq!(
            steps(&changelog, Scope::User, (Standing::New, 1)),
            [StepId::Baseline(0), StepId::Forward(0)]
        );
    }

    #[test]
    fn a_database_goes_on_from_its_version_and_never_down() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let none = || Err(Refusal::Foreign);
        let at = |to: &str| standing(&changelog, &record(to), none).unwrap();
        assert_eq!(steps(&changelog, Scope::User, (at("2.0.0-rc.1"), 3)), [StepId::Forward(2)]);
        assert_eq!(steps(&changelog, Scope::User, (at("2.0.0"), 1)), []);
        assert_eq!(at("baseline"), Standing::BelowBaseline);
        assert_eq!(
            steps(&changelog, Scope::User, (Standing::BelowBaseline, 0)),
            [StepId::Baseline(0)]
        );
    }

    #[test]
    fn versions_that_are_planned_or_unknown_are_refused_by_name() {
        let text = document();
        let changelog = Changelog::parse(&text).unwrap();
        let none = || Err(Refusal::Foreign);
        assert!(matches!(
            standing(&changelog, &record("2.1.0"), none),
            Err(Refusal::AboveHead { .. })
        ));
        assert!(matches!(
            standing(&changelog, &record("9.0.0"), none),
            Err(Refusal::Unknown { .. })
        ));
        assert!(matches!(
            standing(&changelog, &record("junk"), none),
            Err(Refusal::Unknown { .. })
        ));
        assert!(matches!(target(&changelog, Some("2.1.0")), Err(TargetError::Planned { .. })));
        assert!(matches!(target(&changelog, Some("1.0.5")), Err(TargetError::Unknown { .. })));
        assert!(matches!(target(&changelog, Some("1")), Err(TargetError::NotAVersion { .. })));
        assert_eq!(target(&changelog, None), Ok(3));
    }
}
