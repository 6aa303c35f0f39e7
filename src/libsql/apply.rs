//! An order applied to a namespace: what the schema decides is learned, the batch is sent, and what
//! came of it is found out, be it from the record where the answer was lost.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::{JobResult, MigrationJob, TransactionEnd};
use crate::database::policy::ForeignKeyPolicy;
use crate::database::{Database, ReadDatabase};
use crate::document::diagnostic::Rule;
use crate::libsql::analysis::JobAnalysis;
use crate::libsql::batch::build_batch;
use crate::libsql::error::{batch_error, is_busy, is_check_failure};
use crate::libsql::foreign_key_check::ForeignKeyCheck;
use crate::libsql::namespace::{Namespace, StateSnapshot};
use crate::libsql::program::{BatchBuilder, BatchFailure, StepKind};
use crate::sqld::dialect;
use crate::sqld::error::ServerError;
use crate::sqld::hrana::{BatchRequest, Rows, StepResults};
use crate::sqld::server::sleep_unless_cancelled;

impl Database for Namespace {
    fn apply(
        &mut self,
        job: &MigrationJob<'_>,
        expected: &HistoryState,
    ) -> Result<JobResult, DatabaseError> {
        let started = Instant::now();
        reject_unsupported(job)?;
        let snapshot = self.snapshot.borrow().clone();
        let snapshot = match snapshot {
            Some(seen) => seen,
            None => {
                self.history_state()?;
                self.snapshot.borrow().clone().ok_or(DatabaseError::ConcurrentChange)?
            }
        };
        let analysis = self.cached_analysis((job, expected), &snapshot)?;
        if !analysis.unmet.is_empty() {
            let accepted_drift = match expected {
                HistoryState::Versioned(_) => self.accepted_drift()?,
                HistoryState::Empty | HistoryState::Unversioned => Vec::new(),
            };
            let unmet = analysis.unmet.iter().filter(|mismatch| !accepted_drift.contains(mismatch));
            let missing: Vec<String> = unmet.cloned().collect();
            if !missing.is_empty() {
                return Err(DatabaseError::PostconditionFailed { unmet: missing });
            }
        }
        let is_allowed = job.foreign_keys == ForeignKeyPolicy::Report
            || job.steps.iter().any(|step| step.script.allows(Rule::ForeignKeys));
        let mut check = match (analysis.keys_after.orphan_queries.is_empty(), is_allowed) {
            (false, true) => ForeignKeyCheck::CountOnly,
            (false, false) if analysis.has_violations() => ForeignKeyCheck::RejectNew,
            _ => ForeignKeyCheck::RequireNone,
        };
        let apply_input = (job, expected, &snapshot);
        let key_notes = loop {
            match self.try_apply(apply_input, &analysis, check) {
                Ok(notes) => break notes,
                // Once more, beside the rows that lacked theirs before.
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
        let mut notes: Vec<String> =
            (0..job.steps.len()).filter_map(|step| analysis.step_note(step)).collect();
        notes.extend(key_notes);
        for key in analysis.keys_after.unusable_keys.difference(&analysis.keys_before.unusable_keys)
        {
            notes.push(format!(
                "SQLite cannot use the foreign key {key}: its parent columns are not unique"
            ));
        }
        Ok(JobResult { notes, duration: started.elapsed() })
    }
}

/// How often a batch is sent that SQLite or the server interrupted without having run it.
const MAX_INTERRUPTED_ATTEMPTS: usize = 4;

impl Namespace {
    /// Sends a whole program, again where nothing of it can have run: another program's lock was
    /// in the way, or the server interrupted it.
    pub(crate) fn run_batch(
        &self,
        batch_builder: &BatchBuilder,
    ) -> Result<StepResults, ServerError> {
        let started = Instant::now();
        let mut interrupted_attempts = 0;
        loop {
            let batch = BatchRequest::new_write(&batch_builder.steps);
            let results = self.handle.server.send_batch(&self.name, batch, &self.options.cancel)?;
            let Err(BatchFailure { kind, error: Some(error), .. }) =
                batch_builder.check_outcome(&results, |_| false)
            else {
                return Ok(results);
            };
            let is_busy_at_begin = kind == StepKind::Begin && is_busy(&error);
            if is_busy_at_begin && started.elapsed() < self.options.busy_timeout {
                sleep_unless_cancelled(Duration::from_millis(50), &self.options.cancel);
            } else if error.message_and_offset().0 == "interrupted"
                && interrupted_attempts < MAX_INTERRUPTED_ATTEMPTS
            {
                interrupted_attempts += 1;
            } else {
                return Ok(results);
            }
        }
    }

    /// What is known of an order on this schema, learned if need be.
    fn cached_analysis(
        &self,
        (job, expected): (&MigrationJob<'_>, &HistoryState),
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
        let job_analysis = Arc::new(self.analyze((job, expected), snapshot)?);
        analyses().insert(key, job_analysis.clone());
        Ok(job_analysis)
    }

    /// After an answer that did not come: what the record tells of it.
    fn resolve_lost_response(
        &self,
        (job, expected): (&MigrationJob<'_>, &HistoryState),
        cause: ServerError,
    ) -> Result<(), DatabaseError> {
        const MAX_ATTEMPTS: u32 = 4;
        let target_version = job
            .steps
            .iter()
            .rev()
            .find_map(|step| step.history_entry.as_ref())
            .map(|entry| &entry.to);
        let (TransactionEnd::Commit, Some(to)) = (job.transaction_end, target_version) else {
            return match job.transaction_end {
                TransactionEnd::Rollback => Err(DatabaseError::NotApplied { cause }),
                TransactionEnd::Commit => {
                    let history_error = "it leaves no record".to_owned();
                    Err(DatabaseError::OutcomeUnknown { cause, history_error })
                }
            };
        };
        let mut history_error = String::new();
        for attempt in 0..MAX_ATTEMPTS {
            sleep_unless_cancelled(Duration::from_millis(50 << attempt), &self.options.cancel);
            match (self.history_state(), expected) {
                (Ok(HistoryState::Versioned(current)), HistoryState::Versioned(expected_entry))
                    if current.id > expected_entry.id =>
                {
                    return if current.to == *to {
                        Ok(())
                    } else {
                        Err(DatabaseError::ConcurrentChange)
                    };
                }
                (
                    Ok(HistoryState::Versioned(now)),
                    HistoryState::Empty | HistoryState::Unversioned,
                ) => {
                    return if now.to == *to {
                        Ok(())
                    } else {
                        Err(DatabaseError::ConcurrentChange)
                    };
                }
                (Ok(_), _) => return Err(DatabaseError::NotApplied { cause }),
                (Err(DatabaseError::Interrupted), _) => break,
                (Err(error), _) => history_error = error.to_string(),
            }
        }
        Err(DatabaseError::OutcomeUnknown { cause, history_error })
    }

    /// Sends the batch of an order and reads what came of it.
    fn try_apply(
        &self,
        (job, expected, snapshot): (&MigrationJob<'_>, &HistoryState, &StateSnapshot),
        analysis: &JobAnalysis,
        check: ForeignKeyCheck,
    ) -> Result<Vec<String>, ApplyError> {
        let (batch_builder, violation_queries) =
            build_batch((job, expected, snapshot), analysis, check);
        let results = match self.run_batch(&batch_builder) {
            Ok(results) => results,
            Err(
                cause @ (ServerError::ResponseLost { .. }
                | ServerError::HttpStatus { .. }
                | ServerError::UnexpectedResponse { .. }),
            ) => {
                self.resolve_lost_response((job, expected), cause)?;
                return Ok(Vec::new());
            }
            Err(error) => return Err(DatabaseError::from(error).into()),
        };
        let mut notes = Vec::new();
        if let Some(counts) = violation_queries {
            counts.evaluate(&results, check, &mut notes)?;
        }
        match batch_builder.check_outcome(&results, |_| false) {
            Ok(()) => Ok(notes),
            Err(failure) => {
                let rows = match failure.kind {
                    StepKind::RowLossCheck(.., counts_step) => {
                        results.rows(counts_step).cloned().unwrap_or_default()
                    }
                    _ => Rows::new(),
                };
                if failure.kind == StepKind::ForeignKeyCheck
                    && failure.error.as_ref().is_some_and(is_check_failure)
                {
                    return Err(ApplyError::ForeignKeys);
                }
                Err(batch_error(job, failure, &rows).into())
            }
        }
    }
}

/// Why a batch changed nothing.
enum ApplyError {
    /// A row lacks its parent.
    ForeignKeys,
    Database(DatabaseError),
}

impl From<DatabaseError> for ApplyError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// What the server would refuse is refused here, with its place, before anything is sent.
fn reject_unsupported(job: &MigrationJob<'_>) -> Result<(), DatabaseError> {
    for step in &job.steps {
        for statement in &step.script.statements {
            if let Some((message, range)) = dialect::unsupported(statement.sql.text()) {
                let (migration, span) = (step.label.clone(), statement.sql.document_span(range));
                return Err(DatabaseError::Statement { migration, message, span });
            }
        }
    }
    Ok(())
}

/// What makes a lesson another one: the statements, where they lead, and the schema before.
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
