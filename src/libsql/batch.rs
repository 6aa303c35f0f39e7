//! Builds the batch that runs a job: the precondition, the statements, the history entries, the
//! checks, and COMMIT or ROLLBACK.

use crate::database::assertion::MAX_SHOWN_ROWS;
use crate::database::history;
use crate::database::history_entry::{HistoryState, NewHistoryEntry};
use crate::database::job::{MigrationJob, Step, TransactionEnd};
use crate::document::diagnostic::Rule;
use crate::libsql::analysis::{JobAnalysis, StatementPosition};
use crate::libsql::foreign_key_check::{
    ForeignKeyCheck, ViolationQueries, push_count_after, push_count_before,
    push_require_no_violations,
};
use crate::libsql::namespace::{SCHEMA_FINGERPRINT_QUERY, StateSnapshot};
use crate::libsql::precondition::push_precondition;
use crate::libsql::program::{BatchBuilder, RAISE, StepKind};
use crate::sql::lexer;
use crate::sql::value::SqlValue;
use crate::sqld::protocol::BatchStep;

/// A job, with everything that decides what its batch is.
#[derive(Clone, Copy)]
pub(crate) struct BatchInput<'b> {
    pub(crate) job: &'b MigrationJob<'b>,
    /// The history state that the job was planned for.
    pub(crate) expected: &'b HistoryState,
    pub(crate) snapshot: &'b StateSnapshot,
    pub(crate) analysis: &'b JobAnalysis,
}

/// Builds the batch for a job. Also returns where the results have the counts of foreign key
/// violations, if `check` counts them.
pub(crate) fn build_batch(
    input: BatchInput<'_>,
    check: ForeignKeyCheck,
) -> (BatchBuilder, Option<ViolationQueries>) {
    let BatchInput { job, expected, snapshot, analysis } = input;
    let mut builder = BatchBuilder::new();
    push_precondition(&mut builder, expected, snapshot);
    let has_history = matches!(expected, HistoryState::Versioned(_));
    if !has_history && job.steps.iter().any(|step| step.history_entry.is_some()) {
        push_internal(&mut builder, history::CREATE_HISTORY_TABLE, Vec::new());
    }
    if check != ForeignKeyCheck::RequireNone {
        push_count_before(&mut builder, analysis, &job.table_renames);
    }
    let is_counting_rows =
        !analysis.counted_tables.is_empty() || job.steps.iter().any(checks_row_loss);
    if is_counting_rows {
        let create = "CREATE TABLE _tatmig_rows (step INTEGER, name TEXT, n INTEGER)";
        push_internal(&mut builder, create, Vec::new());
    }
    if job.steps.iter().all(|step| step.history_entry.is_none()) {
        // If the response is lost, only this shows that the batch was committed.
        push_schema_version_change(&mut builder);
    }
    for step_index in 0..job.steps.len() {
        push_step(&mut builder, job, analysis, step_index);
    }
    let violation_queries = match check {
        ForeignKeyCheck::RequireNone => {
            push_require_no_violations(&mut builder, &analysis.keys_after);
            None
        }
        ForeignKeyCheck::RejectNew | ForeignKeyCheck::CountOnly => {
            Some(push_count_after(&mut builder, analysis, check))
        }
    };
    if is_counting_rows {
        push_internal(&mut builder, "DROP TABLE _tatmig_rows", Vec::new());
    }
    if let Some(fingerprint) = &analysis.expected_fingerprint {
        let sql =
            format!("SELECT CASE WHEN ({SCHEMA_FINGERPRINT_QUERY}) IS ?1 THEN 1 ELSE {RAISE} END");
        let args = vec![SqlValue::from_text(fingerprint.clone())];
        builder.push(BatchStep::execute(sql, args), StepKind::SchemaCheck);
    }
    builder.push_transaction_end(match job.transaction_end {
        TransactionEnd::Commit => "COMMIT",
        TransactionEnd::Rollback => "ROLLBACK",
    });
    (builder, violation_queries)
}

/// Changes the version of the schema, but not the schema.
pub(crate) fn push_schema_version_change(builder: &mut BatchBuilder) {
    push_internal(builder, "CREATE TABLE _tatmig_fence (x)", Vec::new());
    push_internal(builder, "DROP TABLE _tatmig_fence", Vec::new());
}

fn push_internal(builder: &mut BatchBuilder, sql: impl Into<String>, args: Vec<SqlValue>) {
    builder.push(BatchStep::execute(sql, args), StepKind::Internal);
}

/// Adds one step of the job. Its history entry is written before its statements, so that the
/// statements can be timed.
fn push_step(
    builder: &mut BatchBuilder,
    job: &MigrationJob<'_>,
    analysis: &JobAnalysis,
    step_index: usize,
) {
    let step = &job.steps[step_index];
    if checks_row_loss(step) {
        for table in &step.script.rebuilt_tables {
            push_count_rows(builder, step_index, table);
        }
    }
    for (table, _) in counted_tables(step, analysis) {
        push_read_counter(builder, step_index, table);
    }
    if let Some(entry) = &step.history_entry {
        let note = entry.note.clone().or_else(|| analysis.step_note(step_index));
        builder.push(insert_entry_step(job, entry, note), StepKind::Internal);
    }
    for (statement_index, statement) in step.script.statements.iter().enumerate() {
        let position = StatementPosition { step: step_index, statement: statement_index };
        if let Some(table) = analysis.undocumented_drops.get(&position) {
            push_require_empty(builder, position, table);
        }
        if statement.assertion.is_some() {
            push_assertion(builder, position, statement.sql.text());
        } else if !analysis.already_applied.contains_key(&position) {
            let batch_step = BatchStep::execute(statement.sql.text(), Vec::new());
            builder.push(batch_step, StepKind::Statement(position));
        }
    }
    if checks_row_loss(step) {
        for (table_index, table) in step.script.rebuilt_tables.iter().enumerate() {
            push_row_loss_check(builder, step_index, table_index, table);
        }
    }
    for (table, table_index) in counted_tables(step, analysis) {
        push_counter_check(builder, step_index, table_index, table);
    }
    if step.history_entry.is_some() && !step.script.statements.is_empty() {
        push_internal(builder, UPDATE_DURATION, Vec::new());
    }
    if !step.sources.is_empty() {
        push_internal(builder, history::CREATE_SOURCES_TABLE, Vec::new());
    }
    for source in &step.sources {
        push_internal(builder, history::INSERT_SOURCE, history::source_parameters(source).into());
    }
}

/// The statement for a history entry. The entry has the server's time and no duration yet.
fn insert_entry_step(
    job: &MigrationJob<'_>,
    entry: &NewHistoryEntry,
    note: Option<String>,
) -> BatchStep {
    let args = vec![
        SqlValue::from_text(entry.event.name()),
        SqlValue::from_text(entry.from.clone()),
        SqlValue::from_text(entry.to.clone()),
        SqlValue::from_text(job.scope.to_string()),
        SqlValue::from_optional_text(entry.checksum.map(|checksum| checksum.to_string())),
        SqlValue::from_optional_text(entry.chain.map(|chain| chain.to_string())),
        SqlValue::from_text(env!("CARGO_PKG_VERSION")),
        SqlValue::from_optional_text(note),
    ];
    BatchStep::execute(
        "INSERT INTO _tatmig_migrations (event, from_version, to_version, scope, checksum, chain, \
         applied_at, duration_ms, tool_version, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
         strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 0, ?7, ?8)",
        args,
    )
}

/// Sets the duration and the time of the last history entry after its statements ran.
const UPDATE_DURATION: &str = "\
UPDATE _tatmig_migrations SET \
duration_ms = CAST(round((julianday('now') - julianday(applied_at)) * 86400000) AS INTEGER), \
applied_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
WHERE rowid = (SELECT max(rowid) FROM _tatmig_migrations)";

/// Whether a step rebuilds tables that must not lose rows.
fn checks_row_loss(step: &Step<'_, '_>) -> bool {
    !step.script.rebuilt_tables.is_empty() && !step.script.allows(Rule::RowLoss)
}

/// Counts the rows of a table before a step rebuilds it. The table may not exist.
fn push_count_rows(builder: &mut BatchBuilder, step_index: usize, table: &str) {
    // `NOT INDEXED` counts the table itself: a damaged index may have fewer entries than rows.
    let count = format!(
        "INSERT INTO _tatmig_rows SELECT ?1, ?2, count(*) FROM {} NOT INDEXED",
        lexer::quote_identifier(table)
    );
    let count = BatchStep::execute(count, row_count_key(step_index, table));
    builder.push_with_fallback(count, StepKind::Optional, vec![require_table_absent(table)]);
}

/// The parameters that find the count of a table in `_tatmig_rows`.
fn row_count_key(step_index: usize, table: &str) -> Vec<SqlValue> {
    let step = i64::try_from(step_index).unwrap_or(i64::MAX);
    vec![SqlValue::Integer(step), SqlValue::from_text(table)]
}

/// A statement that fails if a table exists.
fn require_table_absent(table: &str) -> BatchStep {
    let sql = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' \
         AND name = ?1 COLLATE NOCASE) THEN {RAISE} ELSE 1 END"
    );
    BatchStep::execute(sql, vec![SqlValue::from_text(table)])
}

/// Fails the batch if a rebuilt table has fewer rows than before.
fn push_row_loss_check(
    builder: &mut BatchBuilder,
    step_index: usize,
    table_index: usize,
    table: &str,
) {
    let rows_before = "coalesce((SELECT n FROM _tatmig_rows WHERE step = ?1 AND name = ?2), 0)";
    let rows_after =
        format!("(SELECT count(*) FROM {} NOT INDEXED)", lexer::quote_identifier(table));
    let counts_step = builder.push(
        BatchStep::query(
            format!("SELECT {rows_before}, {rows_after}"),
            row_count_key(step_index, table),
        ),
        StepKind::Internal,
    );
    let sql = format!("SELECT CASE WHEN {rows_after} >= {rows_before} THEN 1 ELSE {RAISE} END");
    builder.push(
        BatchStep::execute(sql, row_count_key(step_index, table)),
        StepKind::RowLossCheck { step: step_index, table: table_index, counts_step },
    );
}

/// The tables of a step whose counter must not fall, each with its index in the rebuilt tables.
fn counted_tables<'s>(
    step: &'s Step<'_, '_>,
    analysis: &'s JobAnalysis,
) -> impl Iterator<Item = (&'s String, usize)> {
    let tables = step.script.rebuilt_tables.iter().enumerate();
    let is_allowed = step.script.allows(Rule::CounterReset);
    tables
        .filter(move |(_, table)| !is_allowed && analysis.counted_tables.contains(*table))
        .map(|(index, table)| (table, index))
}

/// The AUTOINCREMENT counter of the table that is parameter 2.
const COUNTER: &str = "coalesce((SELECT CAST(seq AS INTEGER) FROM sqlite_sequence \
                       WHERE name = ?2 COLLATE NOCASE ORDER BY rowid LIMIT 1), 0)";

/// The parameters that find the counter of a table in `_tatmig_rows`.
fn counter_key(step_index: usize, table: &str) -> Vec<SqlValue> {
    let step = i64::try_from(step_index).unwrap_or(i64::MAX);
    vec![SqlValue::Integer(-1 - step), SqlValue::from_text(table)]
}

/// Reads the counter of a table before a step rebuilds it.
fn push_read_counter(builder: &mut BatchBuilder, step_index: usize, table: &str) {
    let sql = format!("INSERT INTO _tatmig_rows SELECT ?1, ?2, {COUNTER}");
    push_internal(builder, sql, counter_key(step_index, table));
}

/// Fails the batch if a rebuilt table has a lower counter than before.
fn push_counter_check(
    builder: &mut BatchBuilder,
    step_index: usize,
    table_index: usize,
    table: &str,
) {
    let before = "coalesce((SELECT n FROM _tatmig_rows WHERE step = ?1 AND name = ?2), 0)";
    let counters =
        BatchStep::query(format!("SELECT {before}, {COUNTER}"), counter_key(step_index, table));
    let counts_step = builder.push(counters, StepKind::Internal);
    let sql = format!("SELECT CASE WHEN {COUNTER} >= {before} THEN 1 ELSE {RAISE} END");
    builder.push(
        BatchStep::execute(sql, counter_key(step_index, table)),
        StepKind::CounterCheck { step: step_index, table: table_index, counts_step },
    );
}

/// Fails the batch if a table holds rows.
fn push_require_empty(builder: &mut BatchBuilder, position: StatementPosition, table: &str) {
    let table = lexer::quote_identifier(table);
    let sql = format!("SELECT CASE WHEN EXISTS (SELECT 1 FROM {table}) THEN {RAISE} ELSE 1 END");
    builder.push(BatchStep::execute(sql, Vec::new()), StepKind::EmptyTableCheck(position));
}

/// Fails the batch if the SELECT of an assertion returns a row. A step before reads the first rows,
/// for the message.
pub(crate) fn push_assertion(builder: &mut BatchBuilder, position: StatementPosition, sql: &str) {
    // The line feed ends a comment behind the SELECT.
    let select = sql.trim_end().trim_end_matches(';');
    let limit = MAX_SHOWN_ROWS + 1;
    let first_rows = format!("SELECT * FROM ({select}\n) LIMIT {limit}");
    let rows_step =
        builder.push(BatchStep::query(first_rows, Vec::new()), StepKind::Statement(position));
    let check = format!("SELECT CASE WHEN EXISTS ({select}\n) THEN {RAISE} ELSE 1 END");
    builder.push(
        BatchStep::execute(check, Vec::new()),
        StepKind::AssertionCheck { position, rows_step },
    );
}
