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
pub fn workers(jobs: usize) -> usize {
    // A database takes its own descriptor, its journal's or its WAL's and shared memory's, and
    // its directory's while that is synced.
    const EACH: u64 = 4;
    const ASIDE: u64 = 12;
    #[cfg(unix)]
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let limit = None;
    let fit = limit.map_or(u64::MAX, |limit: u64| limit.saturating_sub(ASIDE) / EACH);
    jobs.min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1)
}

/// What is done to one of many, on any thread.
pub(crate) type Work<'w, M, T> = dyn Fn(&M) -> T + Sync + 'w;

/// Works through items on some threads. `done` is called on the calling thread as each one ends;
/// one that was not begun, because `stop` said so before, has no value.
pub(crate) fn map<M: Sync, T: Send>(
    items: &[M],
    jobs: usize,
    (work, stop): (&Work<'_, M, T>, &(dyn Fn() -> bool + Sync)),
    done: &mut dyn FnMut(),
) -> Vec<Option<T>> {
    let mut found: Vec<Option<T>> = items.iter().map(|_| None).collect();
    let work = |at: usize| work(&items[at]);
    each(0..items.len(), jobs, (&work, stop), &mut |at, value| {
        done();
        found[at] = Some(value);
    });
    found
}

/// Works through some members on some threads. `done` is called on the calling thread as each one
/// ends, and puts its value where it belongs; a member that was not begun, because `stop` said so
/// before, has none.
pub(crate) fn each<T: Send>(
    places: Range<usize>,
    jobs: usize,
    (work, stop): (&(dyn Fn(usize) -> T + Sync), &(dyn Fn() -> bool + Sync)),
    done: &mut dyn FnMut(usize, T),
) {
    // Waking for each one would take more from the workers than the work of some of them.
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let next = AtomicUsize::new(places.start);
    let (sender, receiver) = mpsc::channel();
    let take = |send: &mut dyn FnMut(usize, T)| {
        while !stop() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= places.end {
                break;
            }
            send(at, work(at));
        }
    };
    thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs.min(places.len()) {
            let (sender, take, caller) = (sender.clone(), &take, thread::current());
            let worker = thread::Builder::new().name("tatmig-worker".to_owned());
            // Where the system gives no more threads, those that run do the work.
            let spawned = worker.spawn_scoped(scope, move || {
                take(&mut |at, value| {
                    let _ = sender.send((at, value));
                });
                drop(sender);
                caller.unpark();
            });
            started += usize::from(spawned.is_ok());
        }
        drop(sender);
        if started == 0 {
            take(done);
        }
        loop {
            match receiver.try_recv() {
                Ok((at, value)) => done(at, value),
                Err(TryRecvError::Empty) => thread::park_timeout(LOOK_EVERY),
                Err(TryRecvError::Disconnected) => break,
            }
        }
    });
}
