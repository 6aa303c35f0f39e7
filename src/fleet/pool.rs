//! Runs work on many databases in parallel: on as many threads as requested, as far as the
//! open-file limit allows. A panic in the work on one database is the failure of that database.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::mpsc::TryRecvError;
use std::thread;
use std::time::Duration;

use crate::migrate::create::CreateOutcome;
use crate::migrate::status::DatabaseStatus;
use crate::plan::outcome::{MigrateError, Outcome};

/// The default number of databases that are worked on at once. It does not depend on the number of
/// processors: the work waits for the disk, and the waits overlap.
pub const DEFAULT_JOBS: usize = 32;

/// The number of workers for a requested number of jobs: less if the limit of open files or of the
/// address space (`ulimit -v`) is low, but at least 1.
#[must_use]
pub fn worker_count(jobs: usize) -> usize {
    // A database needs its own descriptor twice, that of its journal or WAL, that of the shared
    // memory, and that of its directory during a sync.
    const DESCRIPTORS_PER_DATABASE: u64 = 5;
    const RESERVED_DESCRIPTORS: u64 = 12;
    // The C library reserves 64 MiB of addresses for the heap of each thread. The rest is the
    // thread's stack and SQLite's caches.
    const ADDRESSES_PER_DATABASE: u64 = 96 << 20;
    const RESERVED_ADDRESSES: u64 = 64 << 20;
    #[cfg(unix)]
    let [descriptors, addresses] = {
        use rustix::process::{Resource, getrlimit};
        [Resource::Nofile, Resource::As].map(|resource| getrlimit(resource).current)
    };
    #[cfg(not(unix))]
    let [descriptors, addresses] = [None; 2];
    let max_workers = |limit: Option<u64>, reserved: u64, per_database: u64| {
        limit.map_or(u64::MAX, |limit| limit.saturating_sub(reserved) / per_database)
    };
    let max_workers = max_workers(descriptors, RESERVED_DESCRIPTORS, DESCRIPTORS_PER_DATABASE)
        .min(max_workers(addresses, RESERVED_ADDRESSES, ADDRESSES_PER_DATABASE));
    jobs.min(usize::try_from(max_workers).unwrap_or(usize::MAX)).max(1)
}

/// Work on one item, on any thread.
pub(crate) type Work<'w, M, T> = dyn Fn(&M) -> T + Sync + 'w;

/// A value of work, which a failure also has.
pub(crate) trait WorkValue: Send {
    fn from_failure(error: MigrateError) -> Self;
}

impl WorkValue for Outcome {
    fn from_failure(error: MigrateError) -> Self {
        Self::from_error(None, error)
    }
}

impl WorkValue for DatabaseStatus {
    fn from_failure(error: MigrateError) -> Self {
        Self::from_error(None, error)
    }
}

impl<T: Send> WorkValue for Result<T, MigrateError> {
    fn from_failure(error: MigrateError) -> Self {
        Err(error)
    }
}

impl WorkValue for CreateOutcome {
    fn from_failure(error: MigrateError) -> Self {
        Self::Attempted(Outcome::from_error(None, error))
    }
}

/// What is wrong with something, if anything is.
impl WorkValue for Option<String> {
    fn from_failure(error: MigrateError) -> Self {
        Some(error.to_string())
    }
}

/// Runs work on one database. A panic becomes the failure of that database; dropping its connection
/// has rolled its transaction back.
pub(crate) fn run_caught<T: WorkValue>(work: impl FnOnce() -> T) -> T {
    // State that databases share is behind locks whose users accept a panic of another thread.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic".to_owned());
        T::from_failure(MigrateError::Panicked { message })
    })
}

/// Runs `work` on every item, on up to `jobs` threads. `on_done` is called on the calling thread with
/// each item and its value. Returns the values in the order of the items; an item that was not started
/// before `is_stopped` returned true has `None`.
pub(crate) fn parallel_map<M: Sync, T: WorkValue>(
    items: &[M],
    jobs: usize,
    work: &Work<'_, M, T>,
    is_stopped: &(dyn Fn() -> bool + Sync),
    on_done: &mut dyn FnMut(&M, &T),
) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = items.iter().map(|_| None).collect();
    let work = |index: usize| work(&items[index]);
    parallel_for_each(0..items.len(), jobs, &work, is_stopped, &mut |index, value| {
        on_done(&items[index], &value);
        results[index] = Some(value);
    });
    results
}

/// Runs `work` on every index, on up to `jobs` threads. `on_done` is called on the calling thread
/// with each value; not for an index that was not started before `is_stopped` returned true.
pub(crate) fn parallel_for_each<T: WorkValue>(
    indices: Range<usize>,
    jobs: usize,
    work: &(dyn Fn(usize) -> T + Sync),
    is_stopped: &(dyn Fn() -> bool + Sync),
    on_done: &mut dyn FnMut(usize, T),
) {
    // The calling thread polls: waking it for each value would cost the workers more time than
    // short work takes.
    const POLL_INTERVAL: Duration = Duration::from_millis(20);
    let next_index = AtomicUsize::new(indices.start);
    let (sender, receiver) = mpsc::channel();
    let run_worker = |send: &mut dyn FnMut(usize, T)| {
        while !is_stopped() {
            let index = next_index.fetch_add(1, Ordering::Relaxed);
            if index >= indices.end {
                break;
            }
            send(index, run_caught(|| work(index)));
        }
    };
    thread::scope(|scope| {
        let mut started_workers = 0;
        // One worker needs no thread of its own, which would need memory of its own.
        let threads = if jobs > 1 { jobs.min(indices.len()) } else { 0 };
        for _ in 0..threads {
            let (sender, run_worker, caller) = (sender.clone(), &run_worker, thread::current());
            let builder = thread::Builder::new().name("tatmig-worker".to_owned());
            // If the system refuses more threads, the threads that started do all the work.
            let spawned = builder.spawn_scoped(scope, move || {
                run_worker(&mut |index, value| {
                    let _ = sender.send((index, value));
                });
                drop(sender);
                caller.unpark();
            });
            started_workers += usize::from(spawned.is_ok());
        }
        drop(sender);
        if started_workers == 0 {
            run_worker(on_done);
        }
        loop {
            match receiver.try_recv() {
                Ok((index, value)) => on_done(index, value),
                Err(TryRecvError::Empty) => thread::park_timeout(POLL_INTERVAL),
                Err(TryRecvError::Disconnected) => break,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_failure_of_its_item_and_the_others_go_on() {
        let items = [1, 0, 2, 3];
        for jobs in [1, 4] {
            let work = |item: &i32| Ok(6_i32.checked_div(*item).unwrap());
            let mut done = 0;
            let results = parallel_map(&items, jobs, &work, &|| false, &mut |_, _| done += 1);
            assert_eq!(done, 4);
            let texts: Vec<String> = results
                .into_iter()
                .map(|result| match result.unwrap() {
                    Ok(value) => value.to_string(),
                    Err(error) => error.to_string(),
                })
                .collect();
            let failure = "an internal error of tatmig: called `Option::unwrap()` on a `None` value; report it with this message";
            assert_eq!(texts, ["6", failure, "3", "2"]);
        }
    }
}
