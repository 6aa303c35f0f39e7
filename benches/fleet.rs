//! A system database and a fleet of 1,000 databases of about 150 KiB, migrated from 0.3.19 to
//! 0.3.20, asked again, and made anew, each beside the same work done with bare calls: quote the
//! ratio, never the time.

#![allow(clippy::unwrap_used)] // a bench whose files cannot be made shall stop

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use divan::Bencher;
use rusqlite::{Connection, OpenFlags};
use tatmig::fleet::{DEFAULT_JOBS, Fleet, OnFailure, Options, Selection, workers};
use tatmig::{Changelog, Layout, Patience, Ready, Replay, Scope};

const DOCUMENT: &str = include_str!("../MIGRATIONS.md");
const DATABASES: usize = 1_000;

fn main() {
    divan::main();
}

/// A directory with a fleet at a version, removed when it is dropped.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn at(position: Option<usize>) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let place = Self { directory };
        let template = place.path("template");
        fs::write(&template, []).unwrap();
        fs::write(place.system(), []).unwrap();
        if let Some(position) = position {
            place.upgrade(position, &Selection::Named(vec!["template".into()]));
            fill(&template);
        }
        for number in 0..DATABASES {
            fs::copy(&template, place.path(&format!("user{number:04}"))).unwrap();
        }
        fs::remove_file(template).unwrap();
        // What was written by copying shall not be written while something is measured.
        let _ = std::process::Command::new("sync").status();
        place
    }

    fn path(&self, user: &str) -> PathBuf {
        self.directory.path().join(format!("{user}_longterm.db"))
    }

    fn system(&self) -> PathBuf {
        self.directory.path().join("system.db")
    }

    fn paths(&self) -> Vec<PathBuf> {
        (0..DATABASES).map(|number| self.path(&format!("user{number:04}"))).collect()
    }

    /// What the command does, without the command line.
    fn upgrade(&self, position: usize, selection: &Selection) {
        let changelog = Changelog::parse(DOCUMENT).unwrap();
        let stop = Arc::default();
        let replay = Replay::run(&changelog, &stop).unwrap();
        let ready = Ready::new(&changelog, &replay, position);
        let pattern = "{username}_longterm.db".parse().unwrap();
        let users_dir = self.directory.path().to_owned();
        let layout = Layout::of_files(self.system(), users_dir, pattern);
        let fleet = Fleet::discover(&layout, |_| true, selection).unwrap();
        let options = Options {
            jobs: workers(DEFAULT_JOBS),
            on_failure: OnFailure::GoOn,
            canary: None,
            patience: Patience { busy_timeout: Duration::from_secs(10), stop },
        };
        let outcome = fleet.upgrade(&ready, &options, &mut |_, _| {});
        assert!(!outcome.users.iter().any(tatmig::Verdict::is_failure));
    }
}

/// Rows up to the size of a database in use.
fn fill(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 160)
             INSERT INTO memories SELECT 'i' || i, 'c' || (i / 8), '2026-01-01', hex(randomblob(100)),
                 hex(randomblob(150)), NULL FROM n;
             INSERT INTO conversations (conversation_id, title)
                 SELECT DISTINCT conversation_id, 'about' FROM memories;",
        )
        .unwrap();
}

/// Runs bare calls on every file, on as many threads as tatmig would.
fn bare(paths: &[PathBuf], work: impl Fn(&Path) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers(DEFAULT_JOBS) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(path);
                }
            });
        }
    });
}

fn sql_of(scope: Scope, position: usize) -> String {
    let changelog = Changelog::parse(DOCUMENT).unwrap();
    let migration = match position {
        0 => &changelog.baselines()[0],
        n => &changelog.chain()[n - 1],
    };
    migration.part(scope).unwrap().sql().text().to_owned()
}

const RECORD: &str = "INSERT INTO _tatmig_migrations (event, from_version, to_version, scope, checksum, chain, \
     applied_at, duration_ms, tool_version) VALUES ('upgrade', '0.3.19', '0.3.20', 'user', hex(zeroblob(32)), \
     hex(zeroblob(32)), '2026-01-01T00:00:00.000Z', 0, '0.1.0')";

fn migrate_bare(path: &Path, sql: &str) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE; {sql}; {RECORD}; COMMIT"
        ))
        .unwrap();
}

fn read_bare(path: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    let sql = "SELECT to_version FROM _tatmig_migrations ORDER BY id DESC LIMIT 1";
    let version: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(version, "0.3.20");
}

mod migrate {
    use super::{Bencher, Place, Scope, Selection, bare, migrate_bare, sql_of};

    #[divan::bench(sample_count = 15, sample_size = 1)]
    fn limit(bencher: Bencher<'_, '_>) {
        let [system, sql] = [Scope::System, Scope::User].map(|scope| sql_of(scope, 1));
        bencher.with_inputs(|| Place::at(Some(0))).bench_local_refs(|place| {
            migrate_bare(&place.system(), &system);
            bare(&place.paths(), |path| migrate_bare(path, &sql));
        });
    }

    #[divan::bench(sample_count = 15, sample_size = 1)]
    fn tatmig(bencher: Bencher<'_, '_>) {
        bencher
            .with_inputs(|| Place::at(Some(0)))
            .bench_local_refs(|place| place.upgrade(1, &Selection::All));
    }
}

mod nothing_to_do {
    use super::{Bencher, Place, Selection, bare, read_bare};

    #[divan::bench(sample_count = 30, sample_size = 1)]
    fn limit(bencher: Bencher<'_, '_>) {
        let place = Place::at(Some(1));
        let paths = place.paths();
        bencher.bench_local(|| {
            read_bare(&place.system());
            bare(&paths, read_bare);
        });
    }

    #[divan::bench(sample_count = 30, sample_size = 1)]
    fn tatmig(bencher: Bencher<'_, '_>) {
        let place = Place::at(Some(1));
        bencher.bench_local(|| place.upgrade(1, &Selection::All));
    }
}

mod fresh {
    use super::{Bencher, Place, Scope, Selection, bare, migrate_bare, sql_of};

    #[divan::bench(sample_count = 15, sample_size = 1)]
    fn limit(bencher: Bencher<'_, '_>) {
        let [system, sql] = [Scope::System, Scope::User]
            .map(|scope| format!("{}; {}", sql_of(scope, 0), sql_of(scope, 1)));
        let history = "CREATE TABLE _tatmig_migrations (id INTEGER PRIMARY KEY, event TEXT, from_version TEXT, \
             to_version TEXT, scope TEXT, checksum TEXT, chain TEXT, applied_at TEXT, duration_ms INTEGER, \
             tool_version TEXT, note TEXT)";
        bencher.with_inputs(|| Place::at(None)).bench_local_refs(|place| {
            migrate_bare(&place.system(), &format!("{history}; {system}"));
            bare(&place.paths(), |path| migrate_bare(path, &format!("{history}; {sql}")));
        });
    }

    #[divan::bench(sample_count = 15, sample_size = 1)]
    fn tatmig(bencher: Bencher<'_, '_>) {
        bencher
            .with_inputs(|| Place::at(None))
            .bench_local_refs(|place| place.upgrade(1, &Selection::All));
    }
}
