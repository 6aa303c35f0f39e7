//! Runs a job on a namespace: analyses what depends on the schema, sends the batch, and reads what
//! it did. If the response is lost, the history decides.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::database::error::{DatabaseError, StatementCause};
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob};
use crate::database::{Database, ReadDatabase};
use crate::libsql::analysis::JobAnalysis;
use crate::libsql::batch::{BatchInput, build_batch};
use crate::libsql::diagnosis::FailedJob;
use crate::libsql::error::{batch_error, is_busy, is_check_failure};
use crate::libsql::foreign_key_check::ForeignKeyCheck;
use crate::libsql::namespace::{Namespace, StateSnapshot};
use crate::libsql::program::{BatchBuilder, BatchFailure, StepKind};
use crate::schema::difference::AcceptedDrift;
use crate::sql::value::Rows;
use crate::sqld::dialect;
use crate::sqld::error::ServerError;
use crate::sqld::hrana::BatchRequest;
use crate::sqld::protocol::StepResults;
use crate::sqld::server::sleep_unless_cancelled;

impl Database for Namespace {
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
    ) -> Result<JobResult, DatabaseError> {
        reject_unsupported(job)?;
        let snapshot = self.snapshot()?;
        self.analyze_and_apply(job, expected, &snapshot).map_err(|error| {
            self.add_offending_rows(error, FailedJob { job, expected, snapshot: &snapshot })
        })
    }
}

/// How many times a batch is sent that SQLite or the server interrupts before it has any effect.
const MAX_INTERRUPTED_ATTEMPTS: usize = 4;

impl Namespace {
    fn analyze_and_apply(
        &self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
        snapshot: &StateSnapshot,
    ) -> Result<JobResult, DatabaseError> {
        let started = Instant::now();
        let analysis = self.cached_analysis(job, expected, snapshot)?;
        self.check_postcondition(expected, &analysis)?;
        let input = BatchInput { job, expected, snapshot, analysis: &analysis };
        let violation_note = self.apply_with_checks(input)?;
        let mut notes: Vec<String> =
            (0..job.steps.len()).filter_map(|step| analysis.step_note(step)).collect();
        notes.extend(violation_note);
        let new_unusable_keys =
            analysis.keys_after.unusable_keys.difference(&analysis.keys_before.unusable_keys);
        notes.extend(new_unusable_keys.map(|key| {
            format!("SQLite cannot use the foreign key {key}: its parent columns are not unique")
        }));
        Ok(JobResult { notes, duration: started.elapsed(), ..JobResult::default() })
    }

    /// Sends a batch. Sends it again if it cannot have had any effect: another program held the
    /// lock, or the server interrupted the batch.
    pub(crate) fn run_batch(
        &self,
        batch_builder: &BatchBuilder,
    ) -> Result<StepResults, ServerError> {
        let started = Instant::now();
        let mut interrupted_attempts = 0;
        loop {
            let batch = BatchRequest::new_write(&batch_builder.steps);
            let results =
                self.handle.server.send_batch(&self.name, batch, &self.options.setup.cancel)?;
            let Err(BatchFailure { kind, error: Some(error), .. }) =
                batch_builder.check_outcome(&results, |_| false)
            else {
                return Ok(results);
            };
            let is_busy_at_begin = kind == StepKind::Begin && is_busy(&error);
            if is_busy_at_begin && started.elapsed() < self.options.busy_timeout {
                sleep_unless_cancelled(Duration::from_millis(50), &self.options.setup.cancel);
            } else if error.message_and_offset().0 == "interrupted"
                && interrupted_attempts < MAX_INTERRUPTED_ATTEMPTS
            {
                interrupted_attempts += 1;
            } else {
                return Ok(results);
            }
        }
    }

    /// The snapshot of the last read, or of a read now.
    fn snapshot(&self) -> Result<StateSnapshot, DatabaseError> {
        if self.snapshot.borrow().is_none() {
            self.history_state()?;
        }
        self.snapshot.borrow().clone().ok_or(DatabaseError::ConcurrentChange)
    }

    /// Fails if the schema after the job would not have all expected changes, or if a column that
    /// it adds exists with another definition, except for what the history accepts as drift.
    fn check_postcondition(
        &self,
        expected: &HistoryState,
        analysis: &JobAnalysis,
    ) -> Result<(), DatabaseError> {
        if analysis.unmet.is_empty() && analysis.different_columns.is_empty() {
            return Ok(());
        }
        let accepted_drift = match expected {
            HistoryState::Versioned(_) => self.accepted_drift()?,
            HistoryState::Empty | HistoryState::Unversioned => AcceptedDrift::default(),
        };
        for column in &analysis.different_columns {
            column.require_accepted(&accepted_drift)?;
        }
        let mut unmet = analysis.unmet.clone();
        unmet.retain(|difference| !accepted_drift.accepts(difference));
        DatabaseError::postcondition(&unmet).map_or(Ok(()), Err)
    }

    /// Runs the job with the cheapest check of foreign keys that can succeed, and with a more
    /// exact one if that fails. Returns a note about violations that are allowed.
    fn apply_with_checks(&self, input: BatchInput<'_>) -> Result<Option<String>, DatabaseError> {
        let analysis = input.analysis;
        let mut check = if analysis.keys_after.orphan_queries.is_empty() {
            ForeignKeyCheck::RequireNone
        } else if input.job.allows_violations() {
            ForeignKeyCheck::CountOnly
        } else if analysis.has_violations() {
            ForeignKeyCheck::RejectNew
        } else {
            ForeignKeyCheck::RequireNone
        };
        let note = loop {
            match self.try_apply(input, check) {
                Ok(note) => break note,
                // Run the job again and compare with the violations before.
                Err(ApplyError::ForeignKeys) if check == ForeignKeyCheck::RequireNone => {
                    check = ForeignKeyCheck::RejectNew;
                }
                Err(ApplyError::ForeignKeys) => return Err(DatabaseError::ConcurrentChange),
                Err(ApplyError::Database(error)) => return Err(error),
            }
        };
        if check == ForeignKeyCheck::RejectNew {
            analysis.set_has_violations();
        }
        Ok(note)
    }

    /// The analysis of the job for this schema, from the cache or from a probe.
    fn cached_analysis(
        &self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
        snapshot: &StateSnapshot,
    ) -> Result<Arc<JobAnalysis>, DatabaseError> {
        if job.expected_changes.is_empty()
            && job.steps.iter().all(|step| step.script.statements.is_empty())
        {
            return Ok(Arc::default());
        }
        let key = analysis_key(job, snapshot);
        let analyses = || self.handle.analyses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(analysis) = analyses().get(&key) {
            return Ok(analysis.clone());
        }
        let job_analysis = Arc::new(self.analyze(job, expected, snapshot)?);
        analyses().insert(key, job_analysis.clone());
        Ok(job_analysis)
    }

    /// Sends the batch of a job and reads what it did. Returns a note about violations that are
    /// allowed.
    fn try_apply(
        &self,
        input: BatchInput<'_>,
        check: ForeignKeyCheck,
    ) -> Result<Option<String>, ApplyError> {
        let job = input.job;
        let (batch_builder, violation_queries) = build_batch(input, check);
        let results = match self.run_batch(&batch_builder) {
            Ok(results) => results,
            Err(cause) if cause.may_have_run() => {
                self.resolve_lost_response(input, cause)?;
                return Ok(None);
            }
            Err(error) => return Err(DatabaseError::from(error).into()),
        };
        let note = match violation_queries {
            Some(queries) => queries.evaluate(&results, check)?,
            None => None,
        };
        let Err(failure) = batch_builder.check_outcome(&results, |_| false) else {
            return Ok(note);
        };
        if failure.kind == StepKind::ForeignKeyCheck
            && failure.error.as_ref().is_some_and(is_check_failure)
        {
            return Err(ApplyError::ForeignKeys);
        }
        let no_rows = Rows::new();
        let check_rows = match failure.kind {
            StepKind::RowLossCheck { counts_step: step, .. }
            | StepKind::CounterCheck { counts_step: step, .. }
            | StepKind::AssertionCheck { rows_step: step, .. } => results.rows(step),
            _ => None,
        };
        Err(batch_error(job, failure, check_rows.unwrap_or(&no_rows)).into())
    }
}

/// Why a batch changed nothing.
enum ApplyError {
    /// A row violates a foreign key.
    ForeignKeys,
    Database(DatabaseError),
}

impl From<DatabaseError> for ApplyError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// Rejects statements that the server does not support, with their place in the document, before
/// anything is sent.
fn reject_unsupported(job: &MigrationJob<'_>) -> Result<(), DatabaseError> {
    for step in &job.steps {
        for statement in &step.script.statements {
            if let Some((message, range)) = dialect::unsupported(statement.sql.text()) {
                let (migration, span) = (step.label.clone(), statement.sql.document_span(range));
                let cause = StatementCause::Other;
                return Err(DatabaseError::Statement { migration, message, cause, span });
            }
        }
    }
    Ok(())
}

/// The key of an analysis in the cache: a checksum of the statements, the versions and the schema
/// before the job.
fn analysis_key(job: &MigrationJob<'_>, snapshot: &StateSnapshot) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let mut add_text = |text: &str| {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    };
    add_text(&job.scope.to_string());
    for step in &job.steps {
        add_text("step");
        if let Some(entry) = &step.history_entry {
            add_text(entry.event.name());
            add_text(&entry.from);
            add_text(&entry.to);
        }
        for statement in &step.script.statements {
            add_text(statement.sql.text());
        }
    }
    add_text(&snapshot.fingerprint);
    hasher.finalize().into()
}
