//! Repeats the work on a database that another program changed after its state was read.

use crate::database::error::DatabaseError;
use crate::plan::outcome::MigrateError;

const MAX_RETRIES: usize = 10;

/// Calls `attempt`, which reads the state of a database and applies a job to that state, again as
/// long as another program was faster, but a limited number of times.
pub(crate) fn retry_after_change<T>(
    mut attempt: impl FnMut() -> Result<T, MigrateError>,
) -> Result<T, MigrateError> {
    for _ in 0..MAX_RETRIES {
        match attempt() {
            Err(MigrateError::Database(DatabaseError::ConcurrentChange)) => {}
            result => return result,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_by_another_program_is_retried_a_limited_number_of_times() {
        let run = |failures: usize| {
            let mut calls = 0;
            let result = retry_after_change(|| {
                calls += 1;
                if calls > failures {
                    Ok(calls)
                } else {
                    Err(DatabaseError::ConcurrentChange.into())
                }
            });
            (result.ok(), calls)
        };
        assert_eq!(run(0), (Some(1), 1));
        assert_eq!(run(MAX_RETRIES), (Some(MAX_RETRIES + 1), MAX_RETRIES + 1));
        assert_eq!(run(MAX_RETRIES + 1), (None, MAX_RETRIES + 1));
        let mut calls = 0;
        let result: Result<(), MigrateError> = retry_after_change(|| {
            calls += 1;
            Err(DatabaseError::Interrupted.into())
        });
        assert!(result.is_err());
        assert_eq!(calls, 1);
    }
}
