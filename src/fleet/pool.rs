//! Runs work on many databases in parallel: on as many threads as requested, as far as the
//! open-file limit allows.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::mpsc::TryRecvError;
use std::thread;
use std::time::Duration;

/// The default number of databases that are worked on at once. It does not depend on the number of
/// processors: the work waits for the disk, and the waits overlap.
pub const DEFAULT_JOBS: usize = 32;

/// The number of workers for a requested number of jobs: less if the open-file limit is low, but
/// at least 1.
#[must_use]
pub fn worker_count(jobs: usize) -> usize {
    // A database needs its own descriptor twice, that of its journal or WAL, that of the shared
    // memory, and that of its directory during a sync.
    const DESCRIPTORS_PER_DATABASE: u64 = 5;
    const RESERVED_DESCRIPTORS: u64 = 12;
    #[cfg(unix)]
    let descriptor_limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let descriptor_limit = None;
    let max_workers = descriptor_limit.map_or(u64::MAX, |descriptor_limit: u64| {
        descriptor_limit.saturating_sub(RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_DATABASE
    });
    jobs.min(usize::try_from(max_workers).unwrap_or(usize::MAX)).max(1)
}

/// Work on one item, on any thread.
pub(crate) type Work<'w, M, T> = dyn Fn(&M) -> T + Sync + 'w;

/// Runs `work` on every item, on up to `jobs` threads. `on_done` is called on the calling thread
/// after each item. Returns the values in the order of the items; an item that was not started
/// before `is_stopped` returned true has `None`.
pub(crate) fn parallel_map<M: Sync, T: Send>(
    items: &[M],
    jobs: usize,
    work: &Work<'_, M, T>,
    is_stopped: &(dyn Fn() -> bool + Sync),
    on_done: &mut dyn FnMut(),
) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = items.iter().map(|_| None).collect();
    let work = |index: usize| work(&items[index]);
    parallel_for_each(0..items.len(), jobs, &work, is_stopped, &mut |index, value| {
        on_done();
        results[index] = Some(value);
    });
    results
}

/// Runs `work` on every index, on up to `jobs` threads. `on_done` is called on the calling thread
/// with each value; not for an index that was not started before `is_stopped` returned true.
pub(crate) fn parallel_for_each<T: Send>(
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
            send(index, work(index));
        }
    };
    thread::scope(|scope| {
        let mut started_workers = 0;
        for _ in 0..jobs.min(indices.len()) {
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
