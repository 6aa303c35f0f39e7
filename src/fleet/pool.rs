//! Threads that work through members: as many as asked for and as the descriptor limit allows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::member::Member;

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

/// What is done to a member, on any thread.
pub(super) type Work<'w, T> = WorkOn<'w, Member, T>;

/// What is done to anything else.
pub(crate) type WorkOn<'w, M, T> = dyn Fn(&M) -> T + Sync + 'w;

/// Works through members on some threads. `done` is called on the calling thread as each one
/// ends; a member that was not begun, because `stop` said so before, has no value.
pub(crate) fn each<M: Sync, T: Send>(
    members: &[M],
    jobs: usize,
    (work, stop): (&WorkOn<'_, M, T>, &(dyn Fn() -> bool + Sync)),
    done: &mut dyn FnMut(usize, &T),
) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = members.iter().map(|_| None).collect();
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let take = |send: &mut dyn FnMut(usize, T)| {
        while !stop() {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(member) = members.get(at) else { break };
            send(at, work(member));
        }
    };
    std::thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..jobs.min(members.len()) {
            let (sender, take) = (sender.clone(), &take);
            let worker = std::thread::Builder::new().name("tatmig-worker".to_owned());
            // Where the system gives no more threads, those that run do the work.
            let spawned = worker.spawn_scoped(scope, move || {
                take(&mut |at, value| {
                    let _ = sender.send((at, value));
                });
            });
            started += usize::from(spawned.is_ok());
        }
        drop(sender);
        if started == 0 {
            take(&mut |at, value| {
                done(at, &value);
                results[at] = Some(value);
            });
        }
        for (at, value) in receiver {
            done(at, &value);
            results[at] = Some(value);
        }
    });
    results
}
