//! Decides what became of a batch whose response was lost. The server may still be running the
//! batch, or may not have it yet. So the history is read only after a transaction of tatmig's own
//! has begun, for which the server lets every other transaction end, and which changes the
//! schema's version: a batch that the server receives later fails at its precondition.

use std::time::Duration;

use crate::database::ReadDatabase;
use crate::database::error::DatabaseError;
use crate::database::history_entry::HistoryState;
use crate::database::job::TransactionEnd;
use crate::libsql::batch::{BatchInput, push_schema_version_change};
use crate::libsql::error::is_check_failure;
use crate::libsql::namespace::Namespace;
use crate::libsql::precondition::push_precondition;
use crate::libsql::program::{BatchBuilder, BatchFailure, StepKind};
use crate::sqld::error::ServerError;
use crate::sqld::server::sleep_unless_cancelled;

const MAX_ATTEMPTS: u32 = 4;

/// Whether a batch can still be committed.
enum Fence {
    /// The database is as the batch expects it, and the schema's version is a new one: the batch
    /// was not committed, and can no longer be.
    Raised,
    /// The history or the schema's version is another one than the batch expects: the batch was
    /// committed, or can no longer be.
    NotNeeded,
}

impl Namespace {
    /// Determines whether a batch was committed whose response was lost. Returns only if it was.
    pub(crate) fn resolve_lost_response(
        &self,
        input: BatchInput<'_>,
        cause: ServerError,
    ) -> Result<(), DatabaseError> {
        let BatchInput { job, expected, .. } = input;
        if job.transaction_end == TransactionEnd::Rollback {
            return Err(match cause {
                ServerError::Abandoned { .. } => DatabaseError::Interrupted,
                cause => DatabaseError::NotApplied { cause },
            });
        }
        let last_entry = job.steps.iter().rev().find_map(|step| step.history_entry.as_ref());
        let hint = match last_entry {
            Some(_) => "Run the command again, which applies only what is missing",
            None => "Look whether the rows of the seed exist before you run the command again",
        };
        let unknown = |cause, hint: String| Err(DatabaseError::OutcomeUnknown { cause, hint });
        if let ServerError::Abandoned { .. } = cause {
            return unknown(cause, hint.to_owned());
        }
        let id_before = match expected {
            HistoryState::Versioned(entry) => Some(entry.id),
            HistoryState::Empty | HistoryState::Unversioned => None,
        };
        let mut last_error = String::new();
        for attempt in 0..MAX_ATTEMPTS {
            sleep_unless_cancelled(
                Duration::from_millis(50 << attempt),
                &self.options.setup.cancel,
            );
            match self.raise_fence(input).and_then(|fence| Ok((fence, self.history_state()?))) {
                Ok((Fence::NotNeeded, HistoryState::Versioned(current)))
                    if Some(current.id) > id_before =>
                {
                    return if last_entry.is_some_and(|entry| entry.to == current.to) {
                        Ok(())
                    } else {
                        Err(DatabaseError::ConcurrentChange)
                    };
                }
                // Only the schema's version shows a seed, and another program may have changed it.
                Ok((Fence::NotNeeded, _)) if last_entry.is_none() => {
                    return unknown(cause, hint.to_owned());
                }
                Ok(_) => return Err(DatabaseError::NotApplied { cause }),
                Err(DatabaseError::Interrupted) => return unknown(cause, hint.to_owned()),
                Err(error) => last_error = error.to_string(),
            }
        }
        unknown(cause, format!("{hint}; the history cannot be read: {last_error}"))
    }

    /// Waits until no other transaction is open, and changes the schema's version if the database
    /// is as a batch expects it.
    fn raise_fence(&self, input: BatchInput<'_>) -> Result<Fence, DatabaseError> {
        let mut builder = BatchBuilder::new();
        push_precondition(&mut builder, input.expected, input.snapshot);
        push_schema_version_change(&mut builder);
        builder.push_transaction_end("COMMIT");
        let results = self.run_batch(&builder)?;
        match builder.check_outcome(&results, |_| false) {
            Ok(()) => Ok(Fence::Raised),
            Err(BatchFailure { kind: StepKind::Precondition, error: Some(error), .. })
                if is_check_failure(&error) || error.message.contains("no such table") =>
            {
                Ok(Fence::NotNeeded)
            }
            Err(BatchFailure { error: Some(error), .. }) => Err(ServerError::from(error).into()),
            Err(BatchFailure { error: None, .. }) => Err(DatabaseError::LockStolen),
        }
    }
}
