//! Rows without their parents, looked for by the batch itself: either there may be none, or they are
//! counted before and after into a table of tatmig's own, so that old ones are not blamed.

use std::fmt::Write as _;

use crate::database::error::DatabaseError;
use crate::database::foreign_keys::{ForeignKeyViolations, describe, format_value as shown_value};
use crate::libsql::analysis::JobAnalysis;
use crate::libsql::foreign_keys;
use crate::libsql::foreign_keys::ForeignKeySet;
use crate::libsql::program::{BatchBuilder, RAISE, StepKind};
use crate::schema::renames::Renames;
use crate::sqld::hrana::{BatchStep, StepResults, Value};

/// How foreign keys are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignKeyCheck {
    /// No row may lack its parent.
    RequireNone,
    /// No more rows than before may.
    RejectNew,
    /// They are counted, and the block says that they may.
    CountOnly,
}

/// Where the counts of foreign keys are in an answer.
pub(crate) struct ViolationQueries {
    total: usize,
    introduced: usize,
    listed: usize,
}

impl ViolationQueries {
    /// What they tell: notes, or an error.
    pub(crate) fn evaluate(
        &self,
        results: &StepResults,
        check: ForeignKeyCheck,
        notes: &mut Vec<String>,
    ) -> Result<(), DatabaseError> {
        let count_at = |step: usize, column: usize| {
            let value = results.rows(step).and_then(|rows| rows.first()?.get(column)?.as_integer());
            usize::try_from(value.unwrap_or(0)).unwrap_or(0)
        };
        let (groups, rows) = (count_at(self.introduced, 0), count_at(self.introduced, 1));
        if check == ForeignKeyCheck::RejectNew && rows > 0 {
            let listed_rows = results.rows(self.listed).cloned().unwrap_or_default();
            let mut descriptions: Vec<String> =
                listed_rows.iter().map(|row| describe_group(row)).collect();
            if groups > descriptions.len() {
                descriptions.push(format!("and {} more", groups - descriptions.len()));
            }
            return Err(DatabaseError::ForeignKeyViolations { violations: descriptions, rows });
        }
        let total = count_at(self.total, 0);
        if total > 0 {
            let noun = if total == 1 { "row refers" } else { "rows refer" };
            let explanation = match check {
                ForeignKeyCheck::CountOnly => "that are missing",
                ForeignKeyCheck::RequireNone | ForeignKeyCheck::RejectNew => {
                    "that were missing before already"
                }
            };
            notes.push(format!("{total} {noun} to parents {explanation}"));
        }
        Ok(())
    }
}

/// A group of rows without their parent: child, parent, how many, the key's width and values.
fn describe_group(row: &[Value]) -> String {
    let text_at = |index: usize| row.get(index).and_then(Value::to_text).unwrap_or_default();
    let rows = row.get(2).and_then(Value::as_integer).unwrap_or(1);
    let key_width = row.get(3).and_then(Value::as_integer).unwrap_or(1);
    let key_width = usize::try_from(key_width).unwrap_or(1);
    let key: Vec<String> = row.iter().skip(4).take(key_width).map(format_server_value).collect();
    describe((&text_at(0), &text_at(1)), &key, usize::try_from(rows).unwrap_or(1))
}

pub(crate) fn format_server_value(value: &Value) -> String {
    use rusqlite::types::Value as V;
    shown_value(&match value {
        Value::Null => V::Null,
        Value::Integer(number) => V::Integer(*number),
        Value::Real(number) => V::Real(*number),
        Value::Text(text) => V::Text(text.clone()),
        Value::Blob(bytes) => V::Blob(bytes.clone()),
    })
}

/// No row may lack its parent.
pub(crate) fn push_require_no_violations(builder: &mut BatchBuilder, keys: &ForeignKeySet) {
    for orphan_query in &keys.orphan_queries {
        let sql = format!(
            "SELECT CASE WHEN EXISTS (SELECT 1 {}) THEN {RAISE} ELSE 1 END",
            orphan_query.from_clause
        );
        builder.push(BatchStep::execute(sql, Vec::new()), StepKind::ForeignKeyCheck);
    }
}

/// Columns `k0, k1, …`, each with something before it.
fn key_columns(prefix: &str, key_width: usize) -> String {
    (0..key_width).fold(String::new(), |mut text, index| {
        let _ = write!(text, "{prefix}k{index}");
        text
    })
}

/// Counts the rows without parents into a table of tatmig's own.
fn push_count(
    builder: &mut BatchBuilder,
    (orphan_query, key_width): (&foreign_keys::OrphanQuery, usize),
    (phase, child_and_parent): (i64, (&str, &str)),
) {
    let columns = &orphan_query.key_columns;
    let padding = vec!["NULL".to_owned(); key_width - columns.len()];
    let values: Vec<String> = columns.iter().cloned().chain(padding).collect();
    let sql = format!(
        "INSERT INTO _tatmig_orphans SELECT ?1, ?2, ?3, count(*), {}, {} {} GROUP BY {}",
        columns.len(),
        values.join(", "),
        orphan_query.from_clause,
        columns.join(", ")
    );
    let args = vec![
        Value::Integer(phase),
        Value::from_text(child_and_parent.0),
        Value::from_text(child_and_parent.1),
    ];
    builder.push(BatchStep::execute(sql, args), StepKind::Internal);
}

pub(crate) fn push_count_before(
    builder: &mut BatchBuilder,
    analysis: &JobAnalysis,
    table_renames: &Renames,
) {
    let key_width = analysis.keys_before.max_key_width().max(analysis.keys_after.max_key_width());
    let create = format!(
        "CREATE TABLE _tatmig_orphans (phase, child, parent, n, width{})",
        key_columns(", ", key_width)
    );
    builder.push(BatchStep::execute(create, Vec::new()), StepKind::Internal);
    for orphan_query in &analysis.keys_before.orphan_queries {
        let child_and_parent = (orphan_query.child.as_str(), orphan_query.parent.as_str());
        push_count(builder, (orphan_query, key_width), (0, child_and_parent));
        let child = table_renames.final_name(child_and_parent.0);
        let parent = table_renames.final_name(child_and_parent.1);
        if (child.as_str(), parent.as_str()) != child_and_parent {
            push_count(builder, (orphan_query, key_width), (0, (&child, &parent)));
        }
    }
}

pub(crate) fn push_count_after(
    builder: &mut BatchBuilder,
    analysis: &JobAnalysis,
    check: ForeignKeyCheck,
) -> ViolationQueries {
    let key_width = analysis.keys_before.max_key_width().max(analysis.keys_after.max_key_width());
    for orphan_query in &analysis.keys_after.orphan_queries {
        let child_and_parent = (orphan_query.child.clone(), orphan_query.parent.clone());
        // A key that could not be used before held nobody to anything.
        let phase =
            if analysis.keys_before.unusable_pairs.contains(&child_and_parent) { 2 } else { 1 };
        push_count(
            builder,
            (orphan_query, key_width),
            (phase, (&child_and_parent.0, &child_and_parent.1)),
        );
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
            "{introduced_query} ORDER BY child, parent{key_list} LIMIT {}",
            ForeignKeyViolations::MAX_LISTED
        ),
    );
    if check == ForeignKeyCheck::RejectNew {
        let sql = format!("SELECT CASE WHEN EXISTS ({introduced_query}) THEN {RAISE} ELSE 1 END");
        builder.push(BatchStep::execute(sql, Vec::new()), StepKind::ForeignKeyCheck);
    }
    builder.push(BatchStep::execute("DROP TABLE _tatmig_orphans", Vec::new()), StepKind::Internal);
    ViolationQueries { total: total_step, introduced: introduced_step, listed: listed_step }
}
