//! A system database and a fleet of 1,000 databases of about 150 KiB, migrated from 0.3.19 to
//! 0.3.20, asked again, and made anew, each in turn with the same work done with bare calls: quote
//! the ratio, never the time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench whose files cannot be made shall stop

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tatmig::fleet::{DEFAULT_JOBS, Fleet, OnFailure, Options, Selection, workers};
use tatmig::{Changelog, Layout, Patience, Ready, Replay, Scope};

const DOCUMENT: &str = include_str!("../MIGRATIONS.md");
const DATABASES: usize = 1_000;

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

/// What is measured: how often, on what, and the same work twice.
struct Race<'r> {
    name: &'r str,
    rounds: usize,
    /// Where the databases stand before.
    from: Option<usize>,
    limit: &'r dyn Fn(&Place),
    tatmig: &'r dyn Fn(&Place),
}

impl Race<'_> {
    /// Lets the two take turns, since a disk's speed drifts by the minute, and tells the medians
    /// and the middle half of the ratios of two that followed one another.
    fn run(&self) {
        let changes = self.from != Some(1);
        let kept = (!changes).then(|| Place::at(self.from));
        let time = |work: &dyn Fn(&Place)| {
            let made = changes.then(|| Place::at(self.from));
            let Some(place) = made.as_ref().or(kept.as_ref()) else { return Duration::ZERO };
            let started = Instant::now();
            work(place);
            started.elapsed()
        };
        let mut times: [Vec<Duration>; 2] = Default::default();
        let mut ratios = Vec::new();
        for round in 0..self.rounds {
            let (first, second) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
            for which in [first, second] {
                times[which].push(time([self.limit, self.tatmig][which]));
            }
            ratios.push(times[0][round].as_secs_f64() / times[1][round].as_secs_f64());
        }
        for times in &mut times {
            times.sort();
        }
        ratios.sort_by(f64::total_cmp);
        let [limit, tatmig] = times.map(|times| times[times.len() / 2].as_secs_f64() * 1e3);
        let quarter = |part: usize| ratios[ratios.len() * part / 4];
        println!(
            "{:14} limit {limit:7.1} ms   tatmig {tatmig:7.1} ms   ratio {:.2} ({:.2} to {:.2}), {} rounds",
            self.name,
            quarter(2),
            quarter(1),
            quarter(3),
            self.rounds,
        );
    }
}

fn main() {
    let history = "CREATE TABLE _tatmig_migrations (id INTEGER PRIMARY KEY, event TEXT, from_version TEXT, \
         to_version TEXT, scope TEXT, checksum TEXT, chain TEXT, applied_at TEXT, duration_ms INTEGER, \
         tool_version TEXT, note TEXT)";
    let step = [Scope::System, Scope::User].map(|scope| sql_of(scope, 1));
    let all = [Scope::System, Scope::User]
        .map(|scope| format!("{history}; {}; {}", sql_of(scope, 0), sql_of(scope, 1)));
    let migrate = |place: &Place, [system, user]: &[String; 2]| {
        migrate_bare(&place.system(), system);
        bare(&place.paths(), |path| migrate_bare(path, user));
    };
    let read = |place: &Place| {
        read_bare(&place.system());
        bare(&place.paths(), read_bare);
    };
    let tatmig = |place: &Place| place.upgrade(1, &Selection::All);
    let races = [
        Race {
            name: "migrate",
            rounds: 24,
            from: Some(0),
            limit: &|place| migrate(place, &step),
            tatmig: &tatmig,
        },
        Race { name: "nothing to do", rounds: 60, from: Some(1), limit: &read, tatmig: &tatmig },
        Race {
            name: "fresh",
            rounds: 24,
            from: None,
            limit: &|place| migrate(place, &all),
            tatmig: &tatmig,
        },
    ];
    // `cargo bench --bench fleet -- fresh` runs that one alone.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |race: &&Race<'_>| {
        wanted.is_empty() || wanted.iter().any(|wanted| race.name.contains(wanted.as_str()))
    };
    races.iter().filter(is_wanted).for_each(Race::run);
}
