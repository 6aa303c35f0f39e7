//! Killed at any moment and at any call: each database is wholly before or wholly after, its record
//! agrees, and a plain second run finishes.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::faults::tells_the_truth;
use crate::fire::{CHANGING, Known, Stand, calls, injected, points, strace_is_here, sweep, tell};
use crate::support::{Fleet, until};

const DATABASES: usize = 50;

/// One worker makes its calls in the same order in every run.
const ALONE: &[&str] = &["upgrade", "--all-users", "--jobs", "1"];

/// A number that no run foresees.
fn any() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[test]
fn killed_at_random_moments_each_is_before_or_after() {
    let known = Known::new(DATABASES);
    let run = |fleet: &Fleet, jobs: &str, delay: Option<Duration>| {
        let mut child = fleet.start(["upgrade", "--all-users", "--jobs", jobs]);
        if let Some(delay) = delay {
            std::thread::sleep(delay);
            // Not reaped yet, so that the number is still its own, ended or not.
            kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        }
        child.wait().unwrap();
    };
    let times = if crate::fire::all() { 300 } else { 10 };
    let tries: Vec<_> = (0..times).map(|at| (["1", "4", "32"][at % 3], any())).collect();
    let whole = Midway::default();
    sweep(&tries, |(jobs, random)| {
        let fleet = known.fleet.twin();
        let started = Instant::now();
        run(&fleet.twin(), jobs, None);
        let length = u64::try_from(started.elapsed().as_micros()).unwrap();
        let delay = Duration::from_micros(random % length.max(1));
        run(&fleet, jobs, Some(delay));
        let what = format!("killed after {delay:?} with {jobs} jobs");
        whole.note(&known.finishes(&fleet, &what));
    });
    tell(times, "random kills");
    whole.tell();
}

/// How often a kill met a fleet that was partly done.
#[derive(Default)]
struct Midway(std::sync::Mutex<(usize, usize)>);

impl Midway {
    fn note(&self, stands: &[Stand]) {
        let done = stands.iter().filter(|stand| **stand == Stand::After).count();
        let mut counts = self.0.lock().unwrap();
        counts.0 += usize::from(done > 0 && done < stands.len());
        counts.1 += 1;
    }

    fn tell(&self) {
        let (midway, all) = *self.0.lock().unwrap();
        tell(midway, &format!("of {all} kills met a fleet that was partly done"));
    }
}

/// Kills the run at its n-th call of each of these kinds; every one of them must be made.
fn killed_at(kinds: &[&str], some: usize) {
    if !strace_is_here() {
        return;
    }
    let known = Known::new(DATABASES);
    let mut tries = Vec::new();
    for kind in kinds {
        let count = calls(&known.fleet.twin(), kind, ALONE);
        tries.extend(points(count, some).into_iter().map(|point| (*kind, point)));
    }
    assert!(!tries.is_empty(), "no call of {kinds:?}");
    let whole = Midway::default();
    sweep(&tries, |(kind, point)| {
        let fleet = known.fleet.twin();
        let what = format!("killed at {kind} {point}");
        let ended = injected(&fleet, &[format!("{kind}:signal=KILL:when={point}")], ALONE);
        assert!(!ended.status.success(), "{what}: it was not");
        // A reader finds it as it is, and leaves it so.
        let before = fleet.files().without_shared_memory();
        fleet.run(["status"]);
        before.assert_same(&fleet.files().without_shared_memory());
        whole.note(&known.finishes(&fleet, &what));
    });
    tell(tries.len(), &format!("kills at {}", kinds.join(", ")));
    whole.tell();
}

#[test]
fn killed_at_each_write_each_is_before_or_after() {
    killed_at(&["write", "pwrite64", "ftruncate"], 10);
}

#[test]
fn killed_at_each_sync_each_is_before_or_after() {
    killed_at(&["fsync", "fdatasync"], 8);
}

#[test]
fn killed_at_each_unlink_or_rename_each_is_before_or_after() {
    killed_at(&["unlink", "unlinkat", "rename", "renameat", "renameat2"], 6);
}

#[test]
fn killed_again_while_it_mends_each_is_before_or_after() {
    if !strace_is_here() {
        return;
    }
    let known = Known::new(6);
    let count = calls(&known.fleet.twin(), "pwrite64", ALONE);
    let tries = points(count, 4);
    sweep(&tries, |first| {
        let fleet = known.fleet.twin();
        injected(&fleet, &[format!("pwrite64:signal=KILL:when={first}")], ALONE);
        // The next runs end at their first write, fsync, truncation and removal: those that undo
        // what the killed run left.
        for (round, kind) in CHANGING.iter().cycle().take(2 * CHANGING.len()).enumerate() {
            let when = 1 + round / CHANGING.len();
            let what = format!("killed at write {first}, then at {kind} {when}");
            injected(&fleet, &[format!("{kind}:signal=KILL:when={when}")], ALONE);
            known.stands(&fleet.twin(), &what);
        }
        known.finishes(&fleet, &format!("killed at write {first} and often again"));
    });
    tell(tries.len() * 2 * CHANGING.len(), "kills of runs after a kill");
}

#[test]
fn one_of_two_runs_is_killed_and_the_other_finishes() {
    let known = Known::new(DATABASES);
    let rounds = if crate::fire::all() { 60 } else { 6 };
    let tries: Vec<u64> = (0..rounds).map(|_| any()).collect();
    sweep(&tries, |random| {
        let fleet = known.fleet.twin();
        let [mut first, second] = [(); 2].map(|()| fleet.start(["upgrade", "--all-users"]));
        let delay = Duration::from_millis(random % 120);
        std::thread::sleep(delay);
        kill_process(Pid::from_child(&first), Signal::KILL).unwrap();
        first.wait().unwrap();
        fleet.ended(second).status(0);
        let what = format!("one of two killed after {delay:?}");
        let stands = known.finishes(&fleet, &what);
        assert!(stands.iter().all(|stand| *stand == Stand::After), "{what}: {stands:?}");
    });
    tell(rounds, "kills of one of two runs");
}

#[test]
fn a_signal_at_random_moments_is_told_as_it_was() {
    let known = Known::new(DATABASES);
    let times = if crate::fire::all() { 300 } else { 12 };
    let signals = [Signal::TERM, Signal::INT, Signal::HUP];
    let tries: Vec<_> = (0..times).map(|at| (signals[at % 3], at % 4 == 3, any())).collect();
    let whole = Midway::default();
    sweep(&tries, |(signal, twice, random)| {
        let fleet = known.fleet.twin();
        let child = fleet.start(["upgrade", "--all-users", "--json", "--jobs", "4"]);
        let delay = Duration::from_micros(15_000 + random % 200_000);
        std::thread::sleep(delay);
        for _ in 0..=usize::from(*twice) {
            kill_process(Pid::from_child(&child), *signal).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let what = format!("{signal:?} after {delay:?}, twice: {twice}");
        // Before the program has asked to be told, a signal ends it as it ends any program.
        if output.status.code().is_some() {
            tells_the_truth(&known, &fleet, (&output, &what));
        }
        whole.note(&known.finishes(&fleet, &what));
    });
    tell(times, "signals at random moments");
    whole.tell();
}

#[test]
fn a_database_that_somebody_uses_while_init_makes_it_is_not_removed() {
    if !strace_is_here() {
        return;
    }
    let fleet = Fleet::of(&[("user:baseline→1.0.0", "CREATE TABLE notes (body);")]);
    let path = fleet.path("ann_longterm.db");
    // Each lock is taken late, so that the application is there between the making of the file
    // and the first lock.
    std::thread::scope(|scope| {
        let init = scope.spawn(|| {
            let late = "fcntl:delay_enter=200000".to_owned();
            injected(&fleet, &[late], &["init", "--user", "ann", "--busy-timeout", "0.2"])
        });
        until("the file is there", || path.exists());
        let application = rusqlite::Connection::open(&path).unwrap();
        application.execute_batch("BEGIN IMMEDIATE; CREATE TABLE own (x)").unwrap();
        let ended = init.join().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{err}");
        assert!(err.contains("the database is busy"), "{err}");
        application.execute_batch("INSERT INTO own VALUES ('kept'); COMMIT").unwrap();
    });
    assert_eq!(fleet.database("ann").rows("SELECT x FROM own"), ["kept"]);
}
