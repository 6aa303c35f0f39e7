//! Injects faults with strace, which kills a program or fails its system calls at a chosen call,
//! and checks the state of a fleet whose rows are known before and after.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Database, Fleet};

/// The system calls by which SQLite and tatmig change the disk. Calls that this machine lacks, or
/// that a run does not make, are skipped.
pub(crate) const WRITE_SYSCALLS: &[&str] = &[
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
];

/// Prints what is skipped and why, even if the test's output is captured.
pub(crate) fn report_skipped(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {reason}");
}

/// Whether every call is tried, instead of a sample spread over the whole run.
pub(crate) fn is_exhaustive() -> bool {
    std::env::var_os("TATMIG_FIRE").is_some_and(|value| value == "all")
}

/// Whether strace is installed and may trace. With `TATMIG_REQUIRE_STRACE=1` its absence is a
/// failure.
pub(crate) fn has_strace() -> bool {
    let probe = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    if probe.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required = std::env::var_os("TATMIG_REQUIRE_STRACE").is_some_and(|value| value == "1");
    assert!(!required, "strace is missing or may not trace, and TATMIG_REQUIRE_STRACE is 1");
    report_skipped("strace is missing or may not trace");
    false
}

/// The program under strace with an injection: `pwrite64:signal=KILL:when=7`. Standard output is
/// that of the program.
pub(crate) fn run_with_injections(
    fleet: &Fleet,
    injections: &[String],
    arguments: &[&str],
) -> Output {
    let mut options = Vec::new();
    for injection in injections {
        let syscall = injection.split(':').next().unwrap();
        options.extend(["-e".to_owned(), format!("trace=?{syscall}")]);
        options.extend(["-e".to_owned(), format!("inject=?{injection}")]);
    }
    run_under_strace(fleet, &options, (Path::new("/dev/null"), arguments))
}

/// The program under strace with these options, and the file to which strace writes its report.
pub(crate) fn run_under_strace<S: AsRef<OsStr>>(
    fleet: &Fleet,
    options: &[S],
    (log, arguments): (&Path, &[&str]),
) -> Output {
    let plain = fleet.command(arguments);
    Command::new("strace")
        .arg("-fqq")
        .arg("-o")
        .arg(log)
        .args(options)
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(fleet.path(""))
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// How often the busiest thread of a run makes a call. strace counts per thread.
pub(crate) fn count_syscalls(fleet: &Fleet, syscall: &str, arguments: &[&str]) -> usize {
    let log = tempfile::NamedTempFile::new().unwrap();
    let options = ["-e".to_owned(), format!("trace=?{syscall}")];
    let output = run_under_strace(fleet, &options, (log.path(), arguments));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = std::fs::read_to_string(log.path()).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for line in log.lines() {
        let mut fields = line.split_whitespace();
        let (thread, call) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if call.starts_with(&format!("{syscall}(")) {
            *counts.entry(thread).or_insert(0_usize) += 1;
        }
    }
    counts.into_values().max().unwrap_or(0)
}

/// All numbers of `1..=count`, or a sample from the first to the last.
pub(crate) fn sample_points(count: usize, max_points: usize) -> Vec<usize> {
    if is_exhaustive() || count <= max_points {
        return (1..=count).collect();
    }
    let mut points: Vec<_> =
        (0..max_points).map(|index| 1 + index * (count - 1) / (max_points - 1)).collect();
    points.dedup();
    points
}

/// Tries every fault, several in parallel.
pub(crate) fn run_in_parallel<T: Sync>(cases: &[T], run_case: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_case(case)));
                    if let Err(panic) = result {
                        failed.lock().unwrap().get_or_insert(panic);
                        return;
                    }
                }
            });
        }
    });
    if let Some(panic) = failed.into_inner().unwrap() {
        std::panic::resume_unwind(panic);
    }
}

/// Prints how many faults were tried, even if the test's output is captured and all were tried.
pub(crate) fn report_count(count: usize, description: &str) {
    if is_exhaustive() {
        let _ = writeln!(std::io::stderr(), "TRIED {count} {description}");
    } else {
        let _ = writeln!(std::io::stdout(), "tried {count} {description}");
    }
}

const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE tags (note INTEGER REFERENCES notes (id) ON DELETE CASCADE, tag TEXT);
CREATE INDEX by_body ON notes (body);",
);

/// Two steps that add, change, remove, rebuild and create, so that a state between two versions is
/// noticed.
const PENDING_STEPS: [(&str, &str); 2] = [
    (
        "user:1.0.0→1.1.0",
        "ALTER TABLE notes ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
UPDATE notes SET body = 'new ' || body, pinned = id % 2;
DELETE FROM tags WHERE tag = 'gone';
CREATE TABLE copies AS SELECT * FROM notes;",
    ),
    (
        "user:1.1.0→1.2.0",
        "CREATE TABLE fresh (id INTEGER PRIMARY KEY, body TEXT NOT NULL, pinned INTEGER, made TEXT DEFAULT 'x');
INSERT INTO fresh (id, body, pinned) SELECT id, body, pinned FROM notes;
DROP TABLE notes;
ALTER TABLE fresh RENAME TO notes;
CREATE INDEX by_body ON notes (body);
CREATE TRIGGER tidy AFTER DELETE ON notes BEGIN DELETE FROM tags WHERE note = old.id; END;
DROP TABLE copies;
CREATE TABLE more (id INTEGER PRIMARY KEY);",
    ),
];

/// Users at 1.0.0 with rows and two pending steps, alternately in rollback and in WAL mode. The
/// user in the middle has more pages than SQLite's cache holds, so that some are written before the
/// commit.
pub(crate) fn fleet_with_pending_steps(count: usize) -> Fleet {
    let fleet = (0..count).fold(Fleet::from_blocks(&[BASELINE]), |fleet, index| {
        let mode = match index {
            at if at == count / 2 => "PRAGMA page_size = 65536;",
            at if at % 3 == 1 => "PRAGMA journal_mode = WAL;",
            at if at % 3 == 2 => "PRAGMA page_size = 512;",
            _ => "",
        };
        fleet.user(&format!("u{index:03}"), mode)
    });
    let fleet = fleet.upgrade_to("1.0.0");
    let fleet = (0..count).fold(fleet, |fleet, at| {
        let (rows, size) = if at == count / 2 { (20, 30_000) } else { (12, 60) };
        let sql = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             INSERT INTO notes (body) SELECT 'u{at} ' || i || hex(zeroblob({size})) FROM n; \
             INSERT INTO tags SELECT id, iif(id % 2, 'gone', 'kept') FROM notes;"
        );
        fleet.user(&format!("u{at:03}"), &sql)
    });
    fleet.blocks(&[&[BASELINE], &PENDING_STEPS[..]].concat())
}

/// Which state a database is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MigrationState {
    Before,
    After,
}

/// A fleet with the contents of each database before and after.
pub(crate) struct ReferenceFleet {
    pub(crate) fleet: Fleet,
    pub(crate) file_names: Vec<String>,
    before: Vec<Vec<String>>,
    after: Vec<Vec<String>>,
}

/// The contents of a database, without the times and durations in its history.
fn database_contents(path: &Path) -> Vec<String> {
    let database = Database::open(path);
    assert_eq!(database.rows("PRAGMA integrity_check"), ["ok"], "{}", path.display());
    assert!(database.rows("PRAGMA foreign_key_check").is_empty(), "{}", path.display());
    let mut lines = database.dump();
    lines.retain(|line| !line.starts_with("_tatmig_migrations: "));
    lines.extend(database.history());
    lines
}

impl ReferenceFleet {
    pub(crate) fn new(count: usize) -> Self {
        let fleet = fleet_with_pending_steps(count);
        let file_names: Vec<_> =
            (0..count).map(|index| format!("u{index:03}_longterm.db")).collect();
        let contents = |fleet: &Fleet| {
            file_names.iter().map(|name| database_contents(&fleet.path(name))).collect()
        };
        let migrated = fleet.copy();
        migrated.run(["upgrade", "--all-users"]).status(0);
        let (before, after) = (contents(&fleet), contents(&migrated));
        Self { fleet, file_names, before, after }
    }

    /// The state of each database. Panics if a database is neither in its old nor in its new state,
    /// or if its history disagrees.
    #[track_caller]
    pub(crate) fn states(&self, fleet: &Fleet, context: &str) -> Vec<MigrationState> {
        let state_of = |(index, name): (usize, &String)| {
            let found = database_contents(&fleet.path(name));
            if found == self.before[index] {
                return MigrationState::Before;
            }
            assert!(found == self.after[index], "{context}: {name} is between: {found:#?}");
            MigrationState::After
        };
        self.file_names.iter().enumerate().map(state_of).collect()
    }

    /// Asserts that every database is intact after a run, and that a plain second run completes all
    /// of them. Returns the state of each database before the second run.
    #[track_caller]
    pub(crate) fn assert_second_run_finishes(
        &self,
        fleet: &Fleet,
        context: &str,
    ) -> Vec<MigrationState> {
        // Opening a database rolls back its hot journal, so a copy is checked, and the second run
        // gets the files as the first left them.
        let found = self.states(&fleet.copy(), context);
        let run = fleet.run(["upgrade", "--all-users"]);
        assert!(run.is_success(), "{context}: {}", run.describe());
        let states = self.states(fleet, context);
        assert!(
            states.iter().all(|state| *state == MigrationState::After),
            "{context}: {states:?}"
        );
        found
    }
}
