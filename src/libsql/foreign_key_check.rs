//! Adds to a batch the steps that check foreign keys. Either no row may violate a key, or the
//! violations before and after the job are counted in a table of tatmig's own, so that a migration
//! is not blamed for old ones.

use std::fmt::Write as _;

use crate::database::error::DatabaseError;
use crate::database::foreign_key_violations::{
    MAX_LISTED_VIOLATIONS, Violation, format_value, missing_parents_note,
};
use crate::database::foreign_keys::{ForeignKeySet, OrphanQuery};
use crate::libsql::analysis::JobAnalysis;
use crate::libsql::program::{BatchBuilder, RAISE, StepKind};
use crate::schema::renames::Renames;
use crate::sql::value::{Row, SqlValue};
use crate::sqld::protocol::{BatchStep, StepResults};

/// How a batch checks foreign keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignKeyCheck {
    /// No row may violate a key.
    RequireNone,
    /// No more rows than before may violate a key.
    RejectNew,
    /// Violations are counted and allowed.
    CountOnly,
}

/// The steps of a batch whose rows are the counts of violations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ViolationQueries {
    total: usize,
    introduced: usize,
    listed: usize,
}

impl ViolationQueries {
    /// Reads the counts. Returns a note about violations that are allowed, or the error.
    pub(crate) fn evaluate(
        &self,
        results: &StepResults,
        check: ForeignKeyCheck,
    ) -> Result<Option<String>, DatabaseError> {
        let count_at = |step: usize, column: usize| {
            let row = results.rows(step).and_then(|rows| rows.first());
            row.map_or(0, |row| row.count(column))
        };
        let (groups, rows) = (count_at(self.introduced, 0), count_at(self.introduced, 1));
        if check == ForeignKeyCheck::RejectNew && rows > 0 {
            let listed_rows = results.rows(self.listed).cloned().unwrap_or_default();
            let mut descriptions: Vec<String> = listed_rows.iter().map(describe_group).collect();
            if groups > descriptions.len() {
                descriptions.push(format!("and {} more", groups - descriptions.len()));
            }
            let (violations, span) = (descriptions, None);
            return Err(DatabaseError::ForeignKeyViolations { violations, rows, span });
        }
        let total = count_at(self.total, 0);
        if total == 0 {
            return Ok(None);
        }
        let is_allowed = check == ForeignKeyCheck::CountOnly;
        Ok(Some(missing_parents_note(total, is_allowed)))
    }
}

/// Describes a row of the query for introduced violations: child, parent, number of rows, number
/// of key columns, and the values of the key.
fn describe_group(row: &Row) -> String {
    let key_values = row.0.iter().skip(4).take(row.count(3)).map(format_value).collect();
    let violation = Violation { child: row.text(0), parent: row.text(1), key_values };
    violation.describe(row.count(2))
}

/// Fails the batch if a row violates a key.
pub(crate) fn push_require_no_violations(builder: &mut BatchBuilder, keys: &ForeignKeySet) {
    for orphan_query in &keys.orphan_queries {
        let sql = format!(
            "SELECT CASE WHEN EXISTS (SELECT 1 {}) THEN {RAISE} ELSE 1 END",
            orphan_query.from_clause
        );
        builder.push(BatchStep::execute(sql, Vec::new()), StepKind::ForeignKeyCheck);
    }
}

/// The names of the key columns in tatmig's own table, `k0`, `k1` and so on, each after `prefix`.
fn key_columns(prefix: &str, key_width: usize) -> String {
    (0..key_width).fold(String::new(), |mut text, index| {
        let _ = write!(text, "{prefix}k{index}");
        text
    })
}

/// When violations were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CountPhase {
    Before = 0,
    After = 1,
    /// After, of a key that SQLite could not use before and so did not enforce.
    AfterUnusable = 2,
}

/// Counts the violations of a key into tatmig's own table.
fn push_count(
    builder: &mut BatchBuilder,
    query: &OrphanQuery,
    key_width: usize,
    phase: CountPhase,
    names: TableNames<'_>,
) {
    let columns = &query.key_columns;
    let padding = vec!["NULL".to_owned(); key_width - columns.len()];
    let values: Vec<String> = columns.iter().cloned().chain(padding).collect();
    let sql = format!(
        "INSERT INTO _tatmig_orphans SELECT ?1, ?2, ?3, count(*), {}, {} {} {}",
        columns.len(),
        values.join(", "),
        query.from_clause,
        query.group_by_clause()
    );
    let args = vec![
        SqlValue::Integer(phase as i64),
        SqlValue::from_text(names.child),
        SqlValue::from_text(names.parent),
    ];
    builder.push(BatchStep::execute(sql, args), StepKind::Internal);
}

/// The names that a key's violations are counted under, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TableNames<'n> {
    child: &'n str,
    parent: &'n str,
}

/// Counts the violations before the job, also under the names that its tables have after it.
pub(crate) fn push_count_before(
    builder: &mut BatchBuilder,
    analysis: &JobAnalysis,
    renames: &Renames,
) {
    let key_width = analysis.keys_before.max_key_width().max(analysis.keys_after.max_key_width());
    let create = format!(
        "CREATE TABLE _tatmig_orphans (phase, child, parent, n, width{})",
        key_columns(", ", key_width)
    );
    builder.push(BatchStep::execute(create, Vec::new()), StepKind::Internal);
    for query in &analysis.keys_before.orphan_queries {
        let names = TableNames { child: &query.child, parent: &query.parent };
        push_count(builder, query, key_width, CountPhase::Before, names);
        let (child, parent) = (renames.final_name(names.child), renames.final_name(names.parent));
        let new_names = TableNames { child: &child, parent: &parent };
        if new_names != names {
            push_count(builder, query, key_width, CountPhase::Before, new_names);
        }
    }
}

/// Counts the violations after the job, and fails the batch if `check` rejects new ones.
pub(crate) fn push_count_after(
    builder: &mut BatchBuilder,
    analysis: &JobAnalysis,
    check: ForeignKeyCheck,
) -> ViolationQueries {
    let key_width = analysis.keys_before.max_key_width().max(analysis.keys_after.max_key_width());
    for orphan_query in &analysis.keys_after.orphan_queries {
        let pair = (orphan_query.child.clone(), orphan_query.parent.clone());
        let phase = if analysis.keys_before.unusable_pairs.contains(&pair) {
            CountPhase::AfterUnusable
        } else {
            CountPhase::After
        };
        let names = TableNames { child: &pair.0, parent: &pair.1 };
        push_count(builder, orphan_query, key_width, phase, names);
    }
    let push_query = |builder: &mut BatchBuilder, sql: String| {
        builder.push(BatchStep::query(sql, Vec::new()), StepKind::Internal)
    };
    let total_step = push_query(
        builder,
        "SELECT coalesce(sum(n), 0) FROM _tatmig_orphans WHERE phase > 0".to_owned(),
    );
    let key_list = key_columns(", ", key_width);
    let introduced_query = format!(
        "SELECT child, parent, sum(CASE phase WHEN 1 THEN n WHEN 0 THEN -n ELSE 0 END) AS d, \
         width{key_list} FROM _tatmig_orphans WHERE phase < 2 GROUP BY child, parent, width{key_list} HAVING d > 0"
    );
    let introduced_step = push_query(
        builder,
        format!("SELECT count(*), coalesce(sum(d), 0) FROM ({introduced_query})"),
    );
    let listed_step = push_query(
        builder,
        format!(
            "{introduced_query} ORDER BY child, parent{key_list} LIMIT {MAX_LISTED_VIOLATIONS}"
        ),
    );
    if check == ForeignKeyCheck::RejectNew {
        let sql = format!("SELECT CASE WHEN EXISTS ({introduced_query}) THEN {RAISE} ELSE 1 END");
        builder.push(BatchStep::execute(sql, Vec::new()), StepKind::ForeignKeyCheck);
    }
    builder.push(BatchStep::execute("DROP TABLE _tatmig_orphans", Vec::new()), StepKind::Internal);
    ViolationQueries { total: total_step, introduced: introduced_step, listed: listed_step }
}
