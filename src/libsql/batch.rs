//! An order as one batch: the guard, the statements, the rows of the record, the checks, and the
//! end.

use crate::database::history;
use crate::database::history_entry::{HistoryState, NewHistoryEntry};
use crate::database::job::{MigrationJob, TransactionEnd};
use crate::document::diagnostic::Rule;
use crate::libsql::analysis::JobAnalysis;
use crate::libsql::foreign_key_check::{
    ForeignKeyCheck, ViolationQueries, push_count_after, push_count_before,
    push_require_no_violations,
};
use crate::libsql::namespace::{SCHEMA_FINGERPRINT_QUERY, StateSnapshot};
use crate::libsql::precondition::push_precondition;
use crate::libsql::program::{BatchBuilder, RAISE, StepKind};
use crate::sql::lexer;
use crate::sqld::hrana::{BatchStep, Value};

/// The batch for an order.
pub(crate) fn build_batch(
    (job, expected, snapshot): (&MigrationJob<'_>, &HistoryState, &StateSnapshot),
    analysis: &JobAnalysis,
    check: ForeignKeyCheck,
) -> (BatchBuilder, Option<ViolationQueries>) {
    let mut builder = BatchBuilder::new();
    push_precondition(&mut builder, expected, snapshot);
    let push_internal = |program: &mut BatchBuilder, sql: String, args: Vec<Value>| {
        program.push(BatchStep::execute(sql, args), StepKind::Internal);
    };
    let has_history = matches!(expected, HistoryState::Versioned(_));
    if !has_history && job.steps.iter().any(|step| step.history_entry.is_some()) {
        push_internal(&mut builder, history::CREATE_HISTORY_TABLE.to_owned(), Vec::new());
    }
    if check != ForeignKeyCheck::RequireNone {
        push_count_before(&mut builder, analysis, &job.table_renames);
    }
    let checks_row_loss = |step: &crate::database::job::Step<'_, '_>| {
        !step.script.rebuilt_tables.is_empty() && !step.script.allows(Rule::RowLoss)
    };
    let is_counting_rows = job.steps.iter().any(checks_row_loss);
    if is_counting_rows {
        push_internal(
            &mut builder,
            "CREATE TABLE _tatmig_rows (step INTEGER, name TEXT, n INTEGER)".to_owned(),
            Vec::new(),
        );
    }
    for (step_index, step) in job.steps.iter().enumerate() {
        let step_number = Value::Integer(i64::try_from(step_index).unwrap_or(i64::MAX));
        if checks_row_loss(step) {
            for table in &step.script.rebuilt_tables {
                let count_query = format!(
                    "INSERT INTO _tatmig_rows SELECT ?1, ?2, count(*) FROM {} NOT INDEXED",
                    lexer::quote_identifier(table)
                );
                let count_query = BatchStep::execute(
                    count_query,
                    vec![step_number.clone(), Value::from_text(table)],
                );
                builder.push_with_fallback(
                    (count_query, StepKind::Optional),
                    vec![require_table_absent(table)],
                );
            }
        }
        if let Some(entry) = &step.history_entry {
            let note = entry.note.clone().or_else(|| analysis.step_note(step_index));
            builder.push(insert_entry_step(job, entry, note), StepKind::Internal);
        }
        for (statement_index, statement) in step.script.statements.iter().enumerate() {
            if !analysis.already_applied.contains_key(&(step_index, statement_index)) {
                let batch_step = BatchStep::execute(statement.sql.text(), Vec::new());
                builder.push(batch_step, StepKind::Statement(step_index, statement_index));
            }
        }
        if checks_row_loss(step) {
            for (statement_index, table) in step.script.rebuilt_tables.iter().enumerate() {
                push_row_loss_check(&mut builder, (step_index, statement_index), table);
            }
        }
        if step.history_entry.is_some() && !step.script.statements.is_empty() {
            push_internal(&mut builder, UPDATE_DURATION.to_owned(), Vec::new());
        }
        if !step.sources.is_empty() {
            push_internal(&mut builder, history::CREATE_SOURCES_TABLE.to_owned(), Vec::new());
        }
        for source in &step.sources {
            let args = vec![
                Value::from_text(source.checksum.to_string()),
                Value::from_text(source.scope.to_string()),
                Value::from_text(source.from.clone()),
                Value::from_text(source.to.clone()),
                Value::from_text(source.sql.clone()),
            ];
            push_internal(&mut builder, INSERT_SOURCE.to_owned(), args);
        }
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
        push_internal(&mut builder, "DROP TABLE _tatmig_rows".to_owned(), Vec::new());
    }
    if let Some(fingerprint) = &analysis.expected_fingerprint {
        let sql =
            format!("SELECT CASE WHEN ({SCHEMA_FINGERPRINT_QUERY}) IS ?1 THEN 1 ELSE {RAISE} END");
        builder.push(
            BatchStep::execute(sql, vec![Value::from_text(fingerprint.clone())]),
            StepKind::SchemaCheck,
        );
    }
    builder.push_transaction_end(match job.transaction_end {
        TransactionEnd::Commit => "COMMIT",
        TransactionEnd::Rollback => "ROLLBACK",
    });
    (builder, violation_queries)
}

/// A row of the record. It takes the server's clock, and the statements' time afterwards.
fn insert_entry_step(
    job: &MigrationJob<'_>,
    entry: &NewHistoryEntry,
    note: Option<String>,
) -> BatchStep {
    let args = vec![
        Value::from_text(entry.event.name()),
        Value::from_text(entry.from.clone()),
        Value::from_text(entry.to.clone()),
        Value::from_text(job.scope.to_string()),
        Value::from_optional_text(entry.checksum.map(|checksum| checksum.to_string())),
        Value::from_optional_text(entry.chain.map(|chain| chain.to_string())),
        Value::from_text(env!("CARGO_PKG_VERSION")),
        Value::from_optional_text(note),
    ];
    BatchStep::execute(
        "INSERT INTO _tatmig_migrations (event, from_version, to_version, scope, checksum, chain, \
         applied_at, duration_ms, tool_version, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
         strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 0, ?7, ?8)",
        args,
    )
}

/// The row is written before the statements, and becomes the time of their end.
const UPDATE_DURATION: &str = "\
UPDATE _tatmig_migrations SET \
duration_ms = CAST(round((julianday('now') - julianday(applied_at)) * 86400000) AS INTEGER), \
applied_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
WHERE rowid = (SELECT max(rowid) FROM _tatmig_migrations)";

const INSERT_SOURCE: &str = "\
INSERT OR IGNORE INTO _tatmig_sources (checksum, scope, from_version, to_version, sql) \
VALUES (?1, ?2, ?3, ?4, ?5)";

/// Fails if there is a table of that name.
fn require_table_absent(table: &str) -> BatchStep {
    let sql = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' \
         AND name = ?1 COLLATE NOCASE) THEN {RAISE} ELSE 1 END"
    );
    BatchStep::execute(sql, vec![Value::from_text(table)])
}

/// The row guard of a rebuilt table.
fn push_row_loss_check(
    builder: &mut BatchBuilder,
    (step_index, table_index): (usize, usize),
    table: &str,
) {
    let rows_before = "coalesce((SELECT n FROM _tatmig_rows WHERE step = ?1 AND name = ?2), 0)";
    let rows_after =
        format!("(SELECT count(*) FROM {} NOT INDEXED)", lexer::quote_identifier(table));
    let args = || {
        vec![Value::Integer(i64::try_from(step_index).unwrap_or(i64::MAX)), Value::from_text(table)]
    };
    let counts_step = builder.push(
        BatchStep::query(format!("SELECT {rows_before}, {rows_after}"), args()),
        StepKind::Internal,
    );
    let sql = format!("SELECT CASE WHEN {rows_after} >= {rows_before} THEN 1 ELSE {RAISE} END");
    builder.push(
        BatchStep::execute(sql, args()),
        StepKind::RowLossCheck(step_index, table_index, counts_step),
    );
}
