//! Threads that work through members: as many as asked for and as the descriptor limit allows.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::mpsc::TryRecvError;
use std::thread;
use std::time::Duration;

/// The number of databases worked on at once where nobody says: the work waits on the disk, not
/// on processors, and what waits overlaps.
pub const DEFAULT_JOBS: usize = 32;

/// As many workers as asked for and as the descriptor limit allows.
#[must_use]
pub fn worker_count(jobs: usize) -> usize {
    // A database takes its own descriptor, its journal's or its WAL's and shared memory's, and
    // its directory's while that is synced.
    const DESCRIPTORS_PER_DATABASE: u64 = 4;
    const RESERVED_DESCRIPTORS: u64 = 12;
    #[cfg(unix)]
    let descriptor_limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = None;
    let max_workers = descriptor_limit.map_or(u64::MAX, |descriptor_limit: u64| {
        descriptor_limit.saturating_sub(RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_DATABASE
    });
    jobs.min(usize::try_from(max_workers).unwrap_or(usize::MAX)).max(1)
}

/// What is done to one of many, on any thread.
pub(crate) type Work<'w, M, T> = dyn Fn(&M) -> T + Sync + 'w;

/// Works through items on some threads. `done` is called on the calling thread as each one ends;
/// one that was not begun, because `stop` said so before, has no value.
pub(crate) fn parallel_map<M: Sync, T: Send>(
    items: &[M],
    jobs: usize,
    (work, is_stopped): (&Work<'_, M, T>, &(dyn Fn() -> bool + Sync)),
    on_done: &mut dyn FnMut(),
) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = items.iter().map(|_| None).collect();
    let work = |index: usize| work(&items[index]);
    parallel_for_each(0..items.len(), jobs, (&work, is_stopped), &mut |index, value| {
        on_done();
        results[index] = Some(value);
    });
    results
}

/// Works through some members on some threads. `done` is called on the calling thread as each one
/// ends, and puts its value where it belongs; a member that was not begun, because `stop` said so
/// before, has none.
pub(crate) fn parallel_for_each<T: Send>(
    indices: Range<usize>,
    jobs: usize,
    (work, is_stopped): (&(dyn Fn(usize) -> T + Sync), &(dyn Fn() -> bool + Sync)),
    on_done: &mut dyn FnMut(usize, T),
) {
    // Waking for each one would take more from the workers than the work of some of them.
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
            // Where the system gives no more threads, those that run do the work.
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
                Ok((at, value)) => on_done(at, value),
                Err(TryRecvError::Empty) => thread::park_timeout(POLL_INTERVAL),
                Err(TryRecvError::Disconnected) => break,
            }
        }
    });
}
