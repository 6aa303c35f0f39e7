//! What the tests under fire share: strace, which kills a program or fails its system calls at a
//! chosen call, a fleet whose rows are all known before and after, and the judgement over it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Database, Fleet};

/// The calls by which SQLite and tatmig change what is on the disk. One that this machine does not
/// have, or that a run does not make, counts for nothing.
pub(crate) const CHANGING: &[&str] = &[
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

/// Says what is left out and why, past the capture of the test's output.
pub(crate) fn skipped(why: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {why}");
}

/// Whether every point is tried, and not only some spread over the whole run.
pub(crate) fn all() -> bool {
    std::env::var_os("TATMIG_FIRE").is_some_and(|value| value == "all")
}

/// Whether strace is here and may trace. Where `TATMIG_REQUIRE_STRACE` is 1, it must.
pub(crate) fn strace_is_here() -> bool {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    if tried.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required = std::env::var_os("TATMIG_REQUIRE_STRACE").is_some_and(|value| value == "1");
    assert!(!required, "strace is missing or may not trace, and TATMIG_REQUIRE_STRACE is 1");
    skipped("strace is missing or may not trace");
    false
}

/// The program under strace with an injection: `pwrite64:signal=KILL:when=7`. Its standard output
/// is the program's own.
pub(crate) fn injected(fleet: &Fleet, injections: &[String], arguments: &[&str]) -> Output {
    let mut options = Vec::new();
    for injection in injections {
        let call = injection.split(':').next().unwrap();
        options.extend(["-e".to_owned(), format!("trace=?{call}")]);
        options.extend(["-e".to_owned(), format!("inject=?{injection}")]);
    }
    traced(fleet, &options, (Path::new("/dev/null"), arguments))
}

/// The program under strace with these options, and where strace writes what it saw.
pub(crate) fn traced<S: AsRef<OsStr>>(
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
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// How often the busiest thread of a run makes a call: strace counts for each thread.
pub(crate) fn calls(fleet: &Fleet, call: &str, arguments: &[&str]) -> usize {
    let log = tempfile::NamedTempFile::new().unwrap();
    let options = ["-e".to_owned(), format!("trace=?{call}")];
    let output = traced(fleet, &options, (log.path(), arguments));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = std::fs::read_to_string(log.path()).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let (thread, what) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if what.starts_with(&format!("{call}(")) {
            *counts.entry(thread).or_insert(0_usize) += 1;
        }
    }
    counts.into_values().max().unwrap_or(0)
}

/// Some points of `1..=count`, from the first to the last, or all of them.
pub(crate) fn points(count: usize, some: usize) -> Vec<usize> {
    if all() || count <= some {
        return (1..=count).collect();
    }
    let mut points: Vec<_> = (0..some).map(|at| 1 + at * (count - 1) / (some - 1)).collect();
    points.dedup();
    points
}

/// Tries every one, several at once.
pub(crate) fn sweep<T: Sync>(tries: &[T], attempt: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(one) = tries.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| attempt(one)));
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

/// Says how many faults were tried, past the capture of the test's output where all were.
pub(crate) fn tell(count: usize, what: &str) {
    if all() {
        let _ = writeln!(std::io::stderr(), "TRIED {count} {what}");
    } else {
        let _ = writeln!(std::io::stdout(), "tried {count} {what}");
    }
}

const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE tags (note INTEGER REFERENCES notes (id) ON DELETE CASCADE, tag TEXT);
CREATE INDEX by_body ON notes (body);",
);

/// Two steps that add, change, remove, build anew and make: what stands between two versions
/// would be told at once.
const PENDING: [(&str, &str); 2] = [
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

/// Users at 1.0.0 with rows and two steps pending, in rollback and in WAL mode by turns; the one in
/// the middle has more pages than SQLite keeps in memory, so that some are written before the
/// commit.
pub(crate) fn pending(count: usize) -> Fleet {
    let fleet = (0..count).fold(Fleet::of(&[BASELINE]), |fleet, at| {
        let mode = match at {
            at if at == count / 2 => "PRAGMA page_size = 65536;",
            at if at % 3 == 1 => "PRAGMA journal_mode = WAL;",
            at if at % 3 == 2 => "PRAGMA page_size = 512;",
            _ => "",
        };
        fleet.user(&format!("u{at:03}"), mode)
    });
    let fleet = fleet.at("1.0.0");
    let fleet = (0..count).fold(fleet, |fleet, at| {
        let (rows, size) = if at == count / 2 { (20, 30_000) } else { (12, 60) };
        let sql = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             INSERT INTO notes (body) SELECT 'u{at} ' || i || hex(zeroblob({size})) FROM n; \
             INSERT INTO tags SELECT id, iif(id % 2, 'gone', 'kept') FROM notes;"
        );
        fleet.user(&format!("u{at:03}"), &sql)
    });
    fleet.blocks(&[&[BASELINE], &PENDING[..]].concat())
}

/// Where a database stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Before,
    After,
}

/// A fleet with what each of its databases holds before and after.
pub(crate) struct Known {
    pub(crate) fleet: Fleet,
    pub(crate) names: Vec<String>,
    before: Vec<Vec<String>>,
    after: Vec<Vec<String>>,
}

/// All that a database holds, times and durations of its record aside.
fn content(path: &Path) -> Vec<String> {
    let database = Database::open(path);
    assert_eq!(database.rows("PRAGMA integrity_check"), ["ok"], "{}", path.display());
    assert!(database.rows("PRAGMA foreign_key_check").is_empty(), "{}", path.display());
    let mut all = database.dump();
    all.retain(|line| !line.starts_with("_tatmig_migrations: "));
    all.extend(database.record());
    all
}

impl Known {
    pub(crate) fn new(count: usize) -> Self {
        let fleet = pending(count);
        let names: Vec<_> = (0..count).map(|at| format!("u{at:03}_longterm.db")).collect();
        let contents =
            |fleet: &Fleet| names.iter().map(|name| content(&fleet.path(name))).collect();
        let done = fleet.twin();
        done.run(["upgrade", "--all-users"]).status(0);
        let (before, after) = (contents(&fleet), contents(&done));
        Self { fleet, names, before, after }
    }

    /// Where each database stands. One that is neither wholly before nor wholly after, or whose
    /// record tells something else, ends the test.
    #[track_caller]
    pub(crate) fn stands(&self, fleet: &Fleet, what: &str) -> Vec<Stand> {
        let stand = |(at, name): (usize, &String)| {
            let found = content(&fleet.path(name));
            if found == self.before[at] {
                return Stand::Before;
            }
            assert!(found == self.after[at], "{what}: {name} is between: {found:#?}");
            Stand::After
        };
        self.names.iter().enumerate().map(stand).collect()
    }

    /// What a run left is whole, a plain second run ends well, and then all of it is done. Returns
    /// where each database stood before that run.
    #[track_caller]
    pub(crate) fn finishes(&self, fleet: &Fleet, what: &str) -> Vec<Stand> {
        // Opening a database mends it, so that a copy is looked at, and the second run meets what
        // the first left.
        let found = self.stands(&fleet.twin(), what);
        let run = fleet.run(["upgrade", "--all-users"]);
        assert!(run.succeeded(), "{what}: {}", run.told());
        let stands = self.stands(fleet, what);
        assert!(stands.iter().all(|stand| *stand == Stand::After), "{what}: {stands:?}");
        found
    }
}
