//! Measures a fleet of a system database and 1,000 databases of about 150 KiB: an upgrade from
//! 0.3.19 to 0.3.20, an upgrade with nothing pending, and the creation of all databases. Each is
//! compared with the same work in bare SQLite calls. Quote the ratio, never the time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a bench whose files cannot be made shall stop

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tatmig::database::{ConnectOptions, ConnectionSetup};
use tatmig::fleet::FleetConfig;
use tatmig::fleet::{
    DEFAULT_JOBS, Fleet, OnFailure, RunOptions, Selection, SystemSelection, UserSelection,
    worker_count,
};
use tatmig::migrate::{Migrator, Replay};
use tatmig::{Changelog, Scope};

const DOCUMENT: &str = include_str!("../MIGRATIONS.md");
const DATABASES: usize = 1_000;

/// A directory with a fleet at a version, deleted on drop.
struct BenchFleet {
    directory: tempfile::TempDir,
}

impl BenchFleet {
    fn new(version_index: Option<usize>) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let fleet = Self { directory };
        let template = fleet.path("template");
        fs::write(&template, []).unwrap();
        fs::write(fleet.system(), []).unwrap();
        if let Some(position) = version_index {
            fleet.upgrade(position, UserSelection::Named(vec!["template".into()]));
            insert_rows(&template);
        }
        for number in 0..DATABASES {
            fs::copy(&template, fleet.path(&format!("user{number:04}"))).unwrap();
        }
        fs::remove_file(template).unwrap();
        // Writes the copied files to disk now, so that this does not happen during a measurement.
        let _ = std::process::Command::new("sync").status();
        fleet
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

    /// Runs what the command runs, without the command line.
    fn upgrade(&self, version_index: usize, users: UserSelection) {
        let changelog = Changelog::parse(DOCUMENT).unwrap();
        let setup = ConnectionSetup::default();
        let replay = Replay::run(&changelog, &setup).unwrap();
        let version = &changelog.versions()[version_index];
        let target = changelog.index_of(version).unwrap();
        let migrator = Migrator::new(&changelog, &replay, target);
        let pattern = "{username}_longterm.db".parse().unwrap();
        let users_dir = self.directory.path().to_owned();
        let config = FleetConfig::from_paths(self.system(), users_dir, pattern);
        let selection = Selection { system: SystemSelection::Implied, users };
        let fleet = Fleet::discover(&config, &selection, |_| true).unwrap();
        let options = RunOptions {
            jobs: worker_count(DEFAULT_JOBS),
            on_failure: OnFailure::Continue,
            canary: None,
            connect_options: ConnectOptions { busy_timeout: Duration::from_secs(10), setup },
        };
        let outcome = fleet.upgrade(&migrator, &options, &mut |_, _| {});
        assert!(!outcome.users.iter().any(tatmig::plan::Outcome::is_failure));
    }
}

/// Inserts rows until a database has a realistic size.
fn insert_rows(path: &Path) {
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

/// Runs bare SQLite calls on every file, on as many threads as tatmig uses.
fn for_each_file(paths: &[PathBuf], work: impl Fn(&Path) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..worker_count(DEFAULT_JOBS) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(path);
                }
            });
        }
    });
}

fn migration_sql(scope: Scope, version_index: usize) -> String {
    let changelog = Changelog::parse(DOCUMENT).unwrap();
    let migration = match version_index {
        0 => &changelog.baselines()[0],
        index => &changelog.chain()[index - 1],
    };
    migration.block(scope).unwrap().sql().text().to_owned()
}

const INSERT_HISTORY_ENTRY: &str = "INSERT INTO _tatmig_migrations (event, from_version, to_version, scope, checksum, chain, \
     applied_at, duration_ms, tool_version) VALUES ('upgrade', '0.3.19', '0.3.20', 'user', hex(zeroblob(32)), \
     hex(zeroblob(32)), '2026-01-01T00:00:00.000Z', 0, '0.1.0')";

fn migrate_with_rusqlite(path: &Path, sql: &str) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA temp_store = MEMORY; BEGIN IMMEDIATE; {sql}; {INSERT_HISTORY_ENTRY}; COMMIT"
        ))
        .unwrap();
}

fn read_with_rusqlite(path: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    let sql = "SELECT to_version FROM _tatmig_migrations ORDER BY id DESC LIMIT 1";
    let version: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(version, "0.3.20");
}

/// A measurement: how often, on which fleet, and the two implementations.
struct Comparison<'r> {
    name: &'r str,
    rounds: usize,
    /// The version of the databases before.
    start_version: Option<usize>,
    bare_work: &'r dyn Fn(&BenchFleet),
    tatmig_work: &'r dyn Fn(&BenchFleet),
}

impl Comparison<'_> {
    /// Alternates the two implementations, because the speed of a disk changes over minutes. Prints
    /// the medians, and the middle half of the ratios of adjacent runs.
    fn run(&self) {
        let changes_databases = self.start_version != Some(1);
        let shared_fleet = (!changes_databases).then(|| BenchFleet::new(self.start_version));
        let time = |work: &dyn Fn(&BenchFleet)| {
            let new_fleet = changes_databases.then(|| BenchFleet::new(self.start_version));
            let Some(fleet) = new_fleet.as_ref().or(shared_fleet.as_ref()) else {
                return Duration::ZERO;
            };
            let started = Instant::now();
            work(fleet);
            started.elapsed()
        };
        let mut times: [Vec<Duration>; 2] = Default::default();
        let mut ratios = Vec::new();
        for round in 0..self.rounds {
            let (first, second) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
            for side in [first, second] {
                times[side].push(time([self.bare_work, self.tatmig_work][side]));
            }
            ratios.push(times[0][round].as_secs_f64() / times[1][round].as_secs_f64());
        }
        for times in &mut times {
            times.sort();
        }
        ratios.sort_by(f64::total_cmp);
        let [limit, tatmig] = times.map(|times| times[times.len() / 2].as_secs_f64() * 1e3);
        let quartile = |part: usize| ratios[ratios.len() * part / 4];
        println!(
            "{:14} limit {limit:7.1} ms   tatmig {tatmig:7.1} ms   ratio {:.2} ({:.2} to {:.2}), {} rounds",
            self.name,
            quartile(2),
            quartile(1),
            quartile(3),
            self.rounds,
        );
    }
}

fn main() {
    let create_history = "CREATE TABLE _tatmig_migrations (id INTEGER PRIMARY KEY, event TEXT, from_version TEXT, \
         to_version TEXT, scope TEXT, checksum TEXT, chain TEXT, applied_at TEXT, duration_ms INTEGER, \
         tool_version TEXT, note TEXT)";
    let step_sql = [Scope::System, Scope::User].map(|scope| migration_sql(scope, 1));
    let baseline_and_step_sql = [Scope::System, Scope::User].map(|scope| {
        format!("{create_history}; {}; {}", migration_sql(scope, 0), migration_sql(scope, 1))
    });
    let migrate = |fleet: &BenchFleet, [system, user]: &[String; 2]| {
        migrate_with_rusqlite(&fleet.system(), system);
        for_each_file(&fleet.paths(), |path| migrate_with_rusqlite(path, user));
    };
    let read = |place: &BenchFleet| {
        read_with_rusqlite(&place.system());
        for_each_file(&place.paths(), read_with_rusqlite);
    };
    let tatmig = |fleet: &BenchFleet| fleet.upgrade(1, UserSelection::All);
    let comparisons = [
        Comparison {
            name: "migrate",
            rounds: 24,
            start_version: Some(0),
            bare_work: &|fleet| migrate(fleet, &step_sql),
            tatmig_work: &tatmig,
        },
        Comparison {
            name: "nothing to do",
            rounds: 60,
            start_version: Some(1),
            bare_work: &read,
            tatmig_work: &tatmig,
        },
        Comparison {
            name: "fresh",
            rounds: 24,
            start_version: None,
            bare_work: &|fleet| migrate(fleet, &baseline_and_step_sql),
            tatmig_work: &tatmig,
        },
    ];
    // `cargo bench --bench fleet -- fresh` runs only that measurement.
    let name_filters: Vec<String> =
        std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let is_selected = |comparison: &&Comparison<'_>| {
        name_filters.is_empty()
            || name_filters
                .iter()
                .any(|name_filters| comparison.name.contains(name_filters.as_str()))
    };
    comparisons.iter().filter(is_selected).for_each(Comparison::run);
}
