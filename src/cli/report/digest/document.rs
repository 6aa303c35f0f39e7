//! Describes what the document says about a run: the SQL of its steps, and the schemas before and
//! after it.

use serde::Serialize;
use tatmig::migrate::Replay;
use tatmig::schema_diff::{DiagramChange, DiagramTable, SchemaSnapshot};
use tatmig::{Changelog, Scope, VersionPoint};

use crate::cli::report::digest::excerpt::clip_message;
use crate::cli::report::digest::steps::{Step, StepCounts};

/// How many versions a page has schemas before the run for, in each scope.
const MAX_STARTS: usize = 6;
/// How many bytes of diagrams and of SQL a page holds.
const MAX_DIAGRAMS: usize = 250_000;
const MAX_SQL: usize = 250_000;
const MAX_STEPS: usize = 1_000;

/// The part of a page that is about the document.
#[derive(Default, Serialize)]
pub(crate) struct DocumentDigest {
    steps: Vec<StepEntry>,
    steps_left_out: usize,
    diagrams: Vec<Diagram>,
}

/// A step that ran, once for all databases.
#[derive(Serialize)]
struct StepEntry {
    scope: Scope,
    from: String,
    to: String,
    title: Option<String>,
    description: Option<String>,
    line: Option<usize>,
    databases: usize,
    /// `None` if the step has no block for the scope, or if it takes too much room.
    sql: Option<String>,
    is_left_out: bool,
}

/// The schemas of one scope before and after a run.
#[derive(Serialize)]
struct Diagram {
    scope: Scope,
    from: String,
    to: String,
    /// How many databases begin here; `None` if the run has no databases.
    databases: Option<usize>,
    tables: Vec<DiagramTable>,
    /// How many unchanged tables are left out of a large schema.
    left_out: usize,
}

impl DocumentDigest {
    /// Describes the steps of a run up or down to `target`.
    pub(crate) fn new(
        changelog: &Changelog<'_>,
        replay: Option<&Replay<'_>>,
        steps: &StepCounts,
        target: Option<&VersionPoint>,
    ) -> Self {
        let in_order = steps.in_order();
        let mut sql_bytes = 0;
        let entries = in_order.iter().take(MAX_STEPS);
        let entries = entries
            .map(|(step, count)| StepEntry::new(changelog, step, *count, &mut sql_bytes))
            .collect();
        let head = VersionPoint::Version(changelog.head().clone());
        let target = target.unwrap_or(&head);
        let diagrams = replay.map(|replay| describe_schemas(changelog, replay, steps, target));
        Self {
            steps: entries,
            steps_left_out: in_order.len().saturating_sub(MAX_STEPS),
            diagrams: diagrams.unwrap_or_default(),
        }
    }
}

impl StepEntry {
    fn new(changelog: &Changelog<'_>, step: &Step, databases: usize, used: &mut usize) -> Self {
        let migration = changelog.find(&step.from, &step.to);
        let block = migration.and_then(|migration| migration.block(step.scope));
        let sql = block.map(|block| block.sql().text().trim_end());
        let is_left_out = sql.is_some_and(|sql| *used + sql.len() > MAX_SQL);
        let sql = sql.filter(|_| !is_left_out);
        *used += sql.map_or(0, str::len);
        let tag = migration.map(|migration| {
            block.map_or(migration.tag_span.start, |block| block.tag_span().start)
        });
        let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(clip_message);
        Self {
            scope: step.scope,
            from: step.from.to_string(),
            to: step.to.to_string(),
            title: migration.and_then(|migration| text(&migration.title)),
            description: migration.and_then(|migration| text(&migration.description)),
            line: tag.map(|offset| changelog.source().line_number(offset)),
            databases,
            sql: sql.map(str::to_owned),
            is_left_out,
        }
    }
}

/// A schema that databases have before the run.
struct StartSchema {
    scope: Scope,
    from: VersionPoint,
    databases: Option<usize>,
}

/// The schemas at the versions that most databases begin at, each compared with that at the target.
fn describe_schemas(
    changelog: &Changelog<'_>,
    replay: &Replay<'_>,
    steps: &StepCounts,
    target: &VersionPoint,
) -> Vec<Diagram> {
    let mut bytes = 0;
    let scopes = Scope::BOTH.into_iter().rev().filter(|scope| changelog.has_scope(*scope));
    let starts = scopes.flat_map(|scope| starts_of(changelog, steps, scope, target));
    let diagrams = starts.filter_map(|start| {
        let before = snapshot(changelog, replay, start.scope, &start.from)?;
        let after = snapshot(changelog, replay, start.scope, target)?;
        let mut tables = before.diagram_to(&after);
        let mut left_out = 0;
        if bytes + size(&tables) > MAX_DIAGRAMS {
            let all = tables.len();
            tables.retain(|table| table.change != DiagramChange::Same);
            left_out = all - tables.len();
        }
        bytes += size(&tables);
        let (from, to) = (start.from.to_string(), target.to_string());
        let StartSchema { scope, databases, .. } = start;
        (bytes <= MAX_DIAGRAMS).then_some(Diagram { scope, from, to, databases, tables, left_out })
    });
    diagrams.collect()
}

fn size(tables: &[DiagramTable]) -> usize {
    serde_json::to_vec(tables).map_or(0, |json| json.len())
}

/// The versions before the run, that of the most databases first, and the target last. Without databases, the version
/// before the target.
fn starts_of(
    changelog: &Changelog<'_>,
    steps: &StepCounts,
    scope: Scope,
    target: &VersionPoint,
) -> Vec<StartSchema> {
    let of_scope = steps.starts.iter().filter(|(start, _)| start.scope == scope);
    let mut starts: Vec<StartSchema> = of_scope
        .map(|(start, count)| StartSchema {
            scope,
            from: start.from.clone(),
            databases: Some(*count),
        })
        .collect();
    // A schema that does not change says least.
    starts.sort_by_key(|start| (start.from == *target, std::cmp::Reverse(start.databases)));
    starts.truncate(MAX_STARTS);
    if steps.starts.is_empty() {
        let versions = changelog.versions().iter();
        let mut below =
            versions.filter(|version| target.version().is_some_and(|target| *version < target));
        let previous =
            below.next_back().cloned().map_or(VersionPoint::Baseline, VersionPoint::Version);
        starts.push(StartSchema { scope, from: previous, databases: None });
    }
    starts
}

/// The schema at a version; `None` if the document does not have the version.
fn snapshot(
    changelog: &Changelog<'_>,
    replay: &Replay<'_>,
    scope: Scope,
    point: &VersionPoint,
) -> Option<SchemaSnapshot> {
    match point {
        VersionPoint::Baseline => Some(SchemaSnapshot::default()),
        VersionPoint::Version(version) => {
            let index = changelog.index_of(version)?;
            Some(SchemaSnapshot::from_replay(replay, scope, index))
        }
    }
}
