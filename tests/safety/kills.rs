//! Tests kills at random moments and at chosen system calls: each database is in its old or its new
//! state, its history agrees, and a plain second run completes.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fault_injection::{
    MigrationState, ReferenceFleet, WRITE_SYSCALLS, count_syscalls, has_strace, report_count,
    run_in_parallel, run_with_injections, sample_points,
};
use crate::faults::assert_report_matches_state;
use crate::support::{Fleet, wait_until};

const DATABASES: usize = 50;

/// With one worker the order of the calls is the same in every run.
const SINGLE_JOB_UPGRADE: &[&str] = &["upgrade", "--all-users", "--jobs", "1"];

/// A number that differs from run to run.
fn random_number() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

#[test]
fn killed_at_random_moments_each_is_before_or_after() {
    let reference = ReferenceFleet::new(DATABASES);
    let run = |fleet: &Fleet, jobs: &str, delay: Option<Duration>| {
        let mut child = fleet.start(["upgrade", "--all-users", "--jobs", jobs]);
        if let Some(delay) = delay {
            std::thread::sleep(delay);
            // The child is not reaped yet, so its process ID is not reused even if it has exited.
            kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        }
        child.wait().unwrap();
    };
    let times = if crate::fault_injection::is_exhaustive() { 300 } else { 10 };
    let cases: Vec<_> =
        (0..times).map(|index| (["1", "4", "32"][index % 3], random_number())).collect();
    let stats = KillStats::default();
    run_in_parallel(&cases, |(jobs, random)| {
        let fleet = reference.fleet.copy();
        let started = Instant::now();
        run(&fleet.copy(), jobs, None);
        let duration_micros = u64::try_from(started.elapsed().as_micros()).unwrap();
        let delay = Duration::from_micros(random % duration_micros.max(1));
        run(&fleet, jobs, Some(delay));
        let context = format!("killed after {delay:?} with {jobs} jobs");
        stats.add(&reference.assert_second_run_finishes(&fleet, &context));
    });
    report_count(times, "random kills");
    stats.report();
}

/// How often a kill interrupted a partly migrated fleet.
#[derive(Default)]
struct KillStats(std::sync::Mutex<(usize, usize)>);

impl KillStats {
    fn add(&self, states: &[MigrationState]) {
        let done_count = states.iter().filter(|state| **state == MigrationState::After).count();
        let mut counts = self.0.lock().unwrap();
        counts.0 += usize::from(done_count > 0 && done_count < states.len());
        counts.1 += 1;
    }

    fn report(&self) {
        let (partly_done, total) = *self.0.lock().unwrap();
        report_count(partly_done, &format!("of {total} kills met a fleet that was partly done"));
    }
}

/// Kills the run at its n-th call of each kind. The run must make calls of every kind.
fn check_kills_at(syscalls: &[&str], max_points: usize) {
    if !has_strace() {
        return;
    }
    let reference = ReferenceFleet::new(DATABASES);
    let mut cases = Vec::new();
    for syscall in syscalls {
        let count = count_syscalls(&reference.fleet.copy(), syscall, SINGLE_JOB_UPGRADE);
        cases.extend(sample_points(count, max_points).into_iter().map(|point| (*syscall, point)));
    }
    assert!(!cases.is_empty(), "no call of {syscalls:?}");
    let stats = KillStats::default();
    run_in_parallel(&cases, |(syscall, point)| {
        let fleet = reference.fleet.copy();
        let context = format!("killed at {syscall} {point}");
        let output = run_with_injections(
            &fleet,
            &[format!("{syscall}:signal=KILL:when={point}")],
            SINGLE_JOB_UPGRADE,
        );
        assert!(!output.status.success(), "{context}: it was not");
        // A reading command reads the files as they are and changes nothing.
        let before = fleet.snapshot().without_shared_memory();
        fleet.run(["status"]);
        before.assert_same(&fleet.snapshot().without_shared_memory());
        stats.add(&reference.assert_second_run_finishes(&fleet, &context));
    });
    report_count(cases.len(), &format!("kills at {}", syscalls.join(", ")));
    stats.report();
}

#[test]
fn killed_at_each_write_each_is_before_or_after() {
    check_kills_at(&["write", "pwrite64", "ftruncate"], 10);
}

#[test]
fn killed_at_each_sync_each_is_before_or_after() {
    check_kills_at(&["fsync", "fdatasync"], 8);
}

#[test]
fn killed_at_each_unlink_or_rename_each_is_before_or_after() {
    check_kills_at(&["unlink", "unlinkat", "rename", "renameat", "renameat2"], 6);
}

#[test]
fn killed_again_during_recovery_each_is_before_or_after() {
    if !has_strace() {
        return;
    }
    let reference = ReferenceFleet::new(6);
    let count = count_syscalls(&reference.fleet.copy(), "pwrite64", SINGLE_JOB_UPGRADE);
    let cases = sample_points(count, 4);
    run_in_parallel(&cases, |first| {
        let fleet = reference.fleet.copy();
        run_with_injections(
            &fleet,
            &[format!("pwrite64:signal=KILL:when={first}")],
            SINGLE_JOB_UPGRADE,
        );
        // The next runs are killed at their first write, fsync, truncation and removal, which roll
        // back the killed run's hot journal.
        for (round, syscall) in
            WRITE_SYSCALLS.iter().cycle().take(2 * WRITE_SYSCALLS.len()).enumerate()
        {
            let when = 1 + round / WRITE_SYSCALLS.len();
            let context = format!("killed at write {first}, then at {syscall} {when}");
            run_with_injections(
                &fleet,
                &[format!("{syscall}:signal=KILL:when={when}")],
                SINGLE_JOB_UPGRADE,
            );
            reference.states(&fleet.copy(), &context);
        }
        reference.assert_second_run_finishes(
            &fleet,
            &format!("killed at write {first} and often again"),
        );
    });
    report_count(cases.len() * 2 * WRITE_SYSCALLS.len(), "kills of runs after a kill");
}

#[test]
fn one_of_two_runs_is_killed_and_the_other_finishes() {
    let reference = ReferenceFleet::new(DATABASES);
    let rounds = if crate::fault_injection::is_exhaustive() { 60 } else { 6 };
    let cases: Vec<u64> = (0..rounds).map(|_| random_number()).collect();
    run_in_parallel(&cases, |random| {
        let fleet = reference.fleet.copy();
        let [mut first, second] = [(); 2].map(|()| fleet.start(["upgrade", "--all-users"]));
        let delay = Duration::from_millis(random % 120);
        std::thread::sleep(delay);
        kill_process(Pid::from_child(&first), Signal::KILL).unwrap();
        first.wait().unwrap();
        fleet.wait(second).status(0);
        let context = format!("one of two killed after {delay:?}");
        let states = reference.assert_second_run_finishes(&fleet, &context);
        assert!(
            states.iter().all(|state| *state == MigrationState::After),
            "{context}: {states:?}"
        );
    });
    report_count(rounds, "kills of one of two runs");
}

#[test]
fn a_signal_at_a_random_moment_is_reported_correctly() {
    let reference = ReferenceFleet::new(DATABASES);
    let times = if crate::fault_injection::is_exhaustive() { 300 } else { 12 };
    let signals = [Signal::TERM, Signal::INT, Signal::HUP];
    let cases: Vec<_> =
        (0..times).map(|index| (signals[index % 3], index % 4 == 3, random_number())).collect();
    let stats = KillStats::default();
    run_in_parallel(&cases, |(signal, twice, random)| {
        let fleet = reference.fleet.copy();
        let child = fleet.start(["upgrade", "--all-users", "--json", "--jobs", "4"]);
        let delay = Duration::from_micros(15_000 + random % 200_000);
        std::thread::sleep(delay);
        for _ in 0..=usize::from(*twice) {
            kill_process(Pid::from_child(&child), *signal).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let context = format!("{signal:?} after {delay:?}, twice: {twice}");
        // Before the program has installed its handlers, a signal ends it as any other program.
        if output.status.code().is_some() {
            assert_report_matches_state(&reference, &fleet, (&output, &context));
        }
        stats.add(&reference.assert_second_run_finishes(&fleet, &context));
    });
    report_count(times, "signals at random moments");
    stats.report();
}

#[test]
fn a_database_in_use_during_init_is_not_removed() {
    if !has_strace() {
        return;
    }
    let fleet = Fleet::from_blocks(&[("user:baseline→1.0.0", "CREATE TABLE notes (body);")]);
    let path = fleet.path("ann_longterm.db");
    // Each lock call is delayed, so that the application opens the file between its creation and
    // the first lock.
    std::thread::scope(|scope| {
        let init = scope.spawn(|| {
            let delay_locks = "fcntl:delay_enter=200000".to_owned();
            run_with_injections(
                &fleet,
                &[delay_locks],
                &["init", "--user", "ann", "--busy-timeout", "0.2"],
            )
        });
        wait_until("the file is there", || path.exists());
        let application = rusqlite::Connection::open(&path).unwrap();
        application.execute_batch("BEGIN IMMEDIATE; CREATE TABLE own (x)").unwrap();
        let output = init.join().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains("the database is busy"), "{err}");
        application.execute_batch("INSERT INTO own VALUES ('kept'); COMMIT").unwrap();
    });
    assert_eq!(fleet.database("ann").rows("SELECT x FROM own"), ["kept"]);
}
