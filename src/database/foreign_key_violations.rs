//! Finds the rows that violate foreign keys. The violations before and after a job are compared,
//! so that only those that a migration caused are blamed on the migration.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::declared::with_section;
use crate::database::foreign_keys::ForeignKeySet;
use crate::database::session::{Query, Session, SessionError};
use crate::schema::renames::Renames;
use crate::sql::value::{Row, SqlValue};

/// How many violations a message lists.
pub(crate) const MAX_LISTED_VIOLATIONS: usize = 5;

/// Rows with one key value whose parent row is missing. The names of tables are in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    pub(crate) child: String,
    /// The values of the key's columns, as a message shows them.
    pub(crate) key_values: Vec<String>,
    pub(crate) parent: String,
}

impl Violation {
    /// Describes the violation for a message. `rows` is how many rows have the key value.
    pub(crate) fn describe(&self, rows: usize) -> String {
        let Self { child, parent, key_values } = self;
        let row_suffix = if rows > 1 { format!(" in {rows} rows") } else { String::new() };
        let key = key_values.join(", ");
        format!("`{child}` refers to `{parent}` by {key}{row_suffix}, which does not exist")
    }
}

/// The violations among some tables, with the number of rows of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForeignKeyViolations {
    counts: BTreeMap<Violation, usize>,
    /// Keys that SQLite cannot use, each as a message names it.
    pub(crate) unusable_keys: BTreeSet<String>,
    /// Child and parent of those keys, in lower case.
    unusable_pairs: BTreeSet<(String, String)>,
    /// Keys that only the application can check, each as a message shows it.
    pub(crate) unchecked: BTreeSet<String>,
}

/// A foreign key of a table that cannot be checked, as a message shows it.
fn unchecked_key(child: &str, message: String) -> String {
    format!("foreign keys of `{child}` cannot be checked here: {}", with_section(message))
}

/// Violations that a job introduced.
#[derive(Debug, Default)]
pub(crate) struct IntroducedViolations {
    /// Each violation as a message shows it.
    pub(crate) descriptions: Vec<String>,
    /// The children and parents, in lower case.
    pub(crate) tables: BTreeSet<String>,
    /// How many rows all of them have together.
    pub(crate) rows: usize,
}

impl ForeignKeyViolations {
    /// Counts the violations of the tables in `modified_tables` (in lower case) and of the tables
    /// that refer to them.
    pub(crate) fn scan<S: Session>(
        session: &S,
        modified_tables: &BTreeSet<String>,
    ) -> Result<Self, S::Error> {
        let key_set = ForeignKeySet::read_violated(session, Some(modified_tables))?;
        let mut counts: BTreeMap<Violation, usize> = BTreeMap::new();
        let mut unchecked = BTreeSet::new();
        for query in key_set.orphan_queries {
            let key_width = query.key_columns.len();
            let rows = match session.query(&query.grouped(), &[]) {
                Ok(rows) => rows,
                // Only the application has a collation or function of the key.
                Err(error) if error.is_sql_error() => {
                    unchecked.insert(unchecked_key(&query.child, error.message()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for row in rows {
                let violation = Violation {
                    child: query.child.clone(),
                    key_values: format_key(&row, key_width),
                    parent: query.parent.clone(),
                };
                add_count(counts.entry(violation).or_default(), row.count(key_width));
            }
        }
        let ForeignKeySet { unusable_keys, unusable_pairs, .. } = key_set;
        Ok(Self { counts, unusable_keys, unusable_pairs, unchecked })
    }

    /// How many rows violate a key.
    pub(crate) fn row_count(&self) -> usize {
        self.counts.values().copied().fold(0, usize::saturating_add)
    }

    /// The violations that did not exist before. The old violations of a table in `renames` count
    /// under both of its names.
    pub(crate) fn introduced_since(
        &self,
        before: &Self,
        renames: &Renames,
    ) -> IntroducedViolations {
        let mut counts_before: BTreeMap<Violation, usize> = BTreeMap::new();
        for (violation, count) in &before.counts {
            add_count(counts_before.entry(violation.clone()).or_default(), *count);
            let renamed_violation = Violation {
                child: renames.final_name(&violation.child),
                parent: renames.final_name(&violation.parent),
                key_values: violation.key_values.clone(),
            };
            if renamed_violation != *violation {
                add_count(counts_before.entry(renamed_violation).or_default(), *count);
            }
        }
        let mut introduced = IntroducedViolations::default();
        for (violation, count) in &self.counts {
            // SQLite never enforced a key that it could not use.
            let pair = (violation.child.clone(), violation.parent.clone());
            if before.unusable_pairs.contains(&pair) {
                continue;
            }
            let rows = count.saturating_sub(counts_before.get(violation).copied().unwrap_or(0));
            if rows > 0 {
                add_count(&mut introduced.rows, rows);
                introduced.descriptions.push(violation.describe(rows));
                introduced.tables.extend([violation.child.clone(), violation.parent.clone()]);
            }
        }
        introduced
    }
}

/// What a check of all foreign keys of a database found.
#[derive(Debug, Default)]
pub(crate) struct ForeignKeyReport {
    /// The first violations, each as a message shows it.
    pub(crate) violations: Vec<String>,
    /// Keys that SQLite cannot use, each as a message names it.
    pub(crate) unusable_keys: Vec<String>,
    /// Tables that this SQLite cannot read, each as a message shows it.
    pub(crate) unchecked: Vec<String>,
}

/// Checks all foreign keys of a database.
pub(crate) fn check<S: Session>(session: &S) -> Result<ForeignKeyReport, S::Error> {
    let key_set = ForeignKeySet::read_violated(session, None)?;
    let unusable_keys = key_set.unusable_keys.into_iter().collect();
    let queries: Vec<Query<'_>> = key_set
        .orphan_queries
        .iter()
        .flat_map(|query| {
            let grouped = query.grouped();
            [
                Query::new(format!("SELECT count(*), coalesce(sum(n), 0) FROM ({grouped})")),
                Query::new(format!(
                    "{grouped} ORDER BY {} LIMIT {MAX_LISTED_VIOLATIONS}",
                    query.key_columns.join(", ")
                )),
            ]
        })
        .collect();
    let mut report = ForeignKeyReport { unusable_keys, ..ForeignKeyReport::default() };
    if queries.is_empty() {
        return Ok(report);
    }
    let mut results = session.query_all(&queries)?.into_iter();
    let (mut group_count, mut row_count) = (0, 0);
    for query in &key_set.orphan_queries {
        let (counts, groups) = (results.next().transpose(), results.next().transpose());
        let (counts, groups) = match (counts, groups) {
            (Ok(counts), Ok(groups)) => (counts.unwrap_or_default(), groups.unwrap_or_default()),
            // A collation or function of the application is missing in this SQLite.
            (Err(error), _) | (_, Err(error)) if error.is_sql_error() => {
                report.unchecked.push(unchecked_key(&query.child, error.message()));
                continue;
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        group_count += counts.first().map_or(0, |row| row.count(0));
        row_count += counts.first().map_or(0, |row| row.count(1));
        for row in groups.iter().take(MAX_LISTED_VIOLATIONS - report.violations.len()) {
            let key_width = query.key_columns.len();
            let violation = Violation {
                child: query.child.clone(),
                key_values: format_key(row, key_width),
                parent: query.parent.clone(),
            };
            report.violations.push(violation.describe(row.count(key_width)));
        }
    }
    if group_count > report.violations.len() {
        let more = group_count - report.violations.len();
        report.violations.push(format!("and {more} more missing parents; {row_count} rows in all"));
    }
    Ok(report)
}

/// Adds to a number of rows. A broken server can return any number.
fn add_count(sum: &mut usize, count: usize) {
    *sum = sum.saturating_add(count);
}

fn format_key(row: &Row, key_width: usize) -> Vec<String> {
    row.0.iter().take(key_width).map(format_value).collect()
}

/// Shows a value in a message as an SQL literal, shortened if long.
pub(crate) fn format_value(value: &SqlValue) -> String {
    const MAX_LENGTH: usize = 60;
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Integer(number) => number.to_string(),
        SqlValue::Real(number) => number.to_string(),
        SqlValue::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            if text.chars().count() > MAX_LENGTH {
                let start: String = text.chars().take(MAX_LENGTH).collect();
                format!("'{}…'", start.escape_debug())
            } else {
                format!("'{}'", text.escape_debug())
            }
        }
        SqlValue::Blob(bytes) => {
            let shown = &bytes[..bytes.len().min(MAX_LENGTH / 2)];
            let ellipsis = if shown.len() < bytes.len() { "…" } else { "" };
            format!("x'{}{ellipsis}'", hex::encode(shown))
        }
    }
}

/// The note of a run after which `rows` rows refer to missing parents. Unless the job allows new
/// violations, all of them existed before the run.
pub(crate) fn missing_parents_note(rows: usize, is_allowed: bool) -> String {
    let noun = if rows == 1 { "row refers" } else { "rows refer" };
    let parents = if is_allowed { "missing parents" } else { "parents that were missing before" };
    format!("{rows} {noun} to {parents}")
}
