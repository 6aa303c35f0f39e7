//! Runs a statement that reads on every database of a fleet, several at once, and passes the results
//! on in the order of the databases.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::database::query::ReadQuery;
use crate::fleet::discover::Fleet;
use crate::fleet::pool::{WorkValue, parallel_for_each};
use crate::fleet::run::RunOptions;
use crate::plan::outcome::MigrateError;
use crate::target::TargetDatabase;
use crate::target::query::{QueryFailure, QueryRows};

/// The result of a query on one database.
pub type QueryResult = Result<QueryRows, QueryFailure>;

/// How many databases may be ahead of the one whose result is passed on next, for each worker. It
/// limits the memory and the temporary files of results that wait.
const MAX_WAITING_PER_WORKER: usize = 2;

/// How long a worker sleeps that is too far ahead.
const WAIT_INTERVAL: Duration = Duration::from_millis(1);

impl WorkValue for QueryResult {
    fn from_failure(error: MigrateError) -> Self {
        Err(error.into())
    }
}

impl Fleet {
    /// Runs a statement that reads on every database. `on_result` is called with the results in the
    /// fleet's order; not for databases that were not started before an interrupt.
    pub fn query(
        &self,
        query: &ReadQuery,
        options: &RunOptions,
        on_result: &mut dyn FnMut(&TargetDatabase, QueryResult),
    ) {
        let targets: Vec<&TargetDatabase> = self.databases().collect();
        let connect_options = &options.connect_options;
        let is_cancelled = || connect_options.is_cancelled();
        let passed_on = AtomicUsize::new(0);
        let max_ahead = options.jobs.max(1) * MAX_WAITING_PER_WORKER;
        let caller = thread::current();
        let work = |index: usize| {
            while options.jobs > 1
                && index >= passed_on.load(Ordering::Acquire) + max_ahead
                && !is_cancelled()
            {
                caller.unpark();
                thread::sleep(WAIT_INTERVAL);
            }
            targets[index].query(query, connect_options)
        };
        let mut waiting: BTreeMap<usize, QueryResult> = BTreeMap::new();
        parallel_for_each(
            0..targets.len(),
            options.jobs,
            &work,
            &is_cancelled,
            &mut |index, result| {
                waiting.insert(index, result);
                let mut next = passed_on.load(Ordering::Relaxed);
                while let Some(result) = waiting.remove(&next) {
                    on_result(targets[next], result);
                    next += 1;
                }
                passed_on.store(next, Ordering::Release);
            },
        );
        // After an interrupt, databases are missing between these.
        for (index, result) in waiting {
            on_result(targets[index], result);
        }
    }
}
