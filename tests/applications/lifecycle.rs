//! Runs the life cycle that every application shares: the same commands for all four.

use crate::support::{Database, Fleet};
use crate::{application_fleet, newest_backup};

/// What the life cycle needs to know of an application.
pub(crate) struct Application {
    /// The name of its fixture.
    pub(crate) name: &'static str,
    /// The directory of its databases.
    pub(crate) directory: &'static str,
    /// Its users, if it has any.
    pub(crate) users: &'static [&'static str],
    /// Its databases; the last is the one that a developer works on.
    pub(crate) open_databases: &'static [&'static str],
    /// The rows that it starts with.
    pub(crate) seeds: &'static [&'static str],
    /// The versions of its document, head last.
    pub(crate) versions: &'static [&'static str],
    /// A table of the last database, with its row count after the seeds.
    pub(crate) counted_table: (&'static str, u64),
    /// A table to which a developer adds a column.
    pub(crate) extended_table: &'static str,
    /// Further arguments of the command that creates a revision.
    pub(crate) new_arguments: &'static [&'static str],
}

impl Application {
    fn head(&self) -> &'static str {
        self.versions.last().unwrap()
    }

    fn open_databases(&self, fleet: &Fleet) -> Vec<Database> {
        self.open_databases.iter().map(|path| Database::open(&fleet.path(path))).collect()
    }

    /// Runs a command on every database.
    #[track_caller]
    fn run_all(&self, fleet: &Fleet, arguments: &[&str]) -> String {
        let all_users: &[&str] = if self.users.is_empty() { &[] } else { &["--all-users"] };
        let run = fleet.run([arguments, all_users].concat());
        run.status(0).stdout_text()
    }

    /// Asserts that every database is at a version, according to `current` and to its history.
    #[track_caller]
    fn assert_version(&self, fleet: &Fleet, version: &str) {
        let json = fleet.run_without_changes(["current", "--json"]).status(0).json();
        let found: Vec<_> =
            json["databases"].as_array().unwrap().iter().map(|entry| &entry["version"]).collect();
        assert_eq!(found, vec![version; self.open_databases.len()], "{json}");
        for database in self.open_databases(fleet) {
            assert_eq!(database.version().as_deref(), Some(version));
        }
    }

    /// The number of rows of the counted table in all databases, according to the statistics.
    #[track_caller]
    fn counted_rows(&self, fleet: &Fleet) -> u64 {
        let json = fleet.run_without_changes(["status", "--stats", "--json"]).status(0).json();
        let scope = if self.users.is_empty() { "system" } else { "users" };
        let stats = &json["stats"][scope];
        assert_eq!(stats["databases"], self.users.len().max(1));
        assert!(stats["file_bytes"].as_u64() > Some(0) && stats["pages"].as_u64() > Some(0));
        stats["tables"][self.counted_table.0].as_u64().unwrap()
    }

    #[track_caller]
    fn assert_seeded(&self, fleet: &Fleet) {
        assert_eq!(self.counted_rows(fleet), self.counted_table.1 * self.users.len().max(1) as u64);
    }

    #[track_caller]
    fn run_seeds(&self, fleet: &Fleet) {
        self.run_all(fleet, &[&["seed"], self.seeds].concat());
        self.assert_seeded(fleet);
    }

    /// Runs the life cycle.
    #[track_caller]
    pub(crate) fn run_lifecycle(&self) {
        let fleet = self.init_and_seed();
        self.downgrade_and_upgrade(&fleet);
        self.stamp_versions(&fleet);
        self.detect_drift(&fleet);
        self.back_up_and_reset(&fleet);
        self.add_migration_from_database(&fleet);
    }

    /// init, current, history, the seeds, statistics.
    fn init_and_seed(&self) -> Fleet {
        let fleet = application_fleet(self.name, self.directory);
        let users = self.users.iter().flat_map(|user| ["--user", user]);
        let init_output = fleet.run(std::iter::once("init").chain(users).collect::<Vec<_>>());
        let init_output = init_output.status(0).stderr("").stdout_text();
        assert_eq!(
            init_output.matches(&format!("created at {}\n", self.head())).count(),
            self.open_databases.len()
        );
        self.assert_version(&fleet, self.head());
        for database in self.open_databases(&fleet) {
            assert_eq!(database.rows("PRAGMA journal_mode"), ["wal"]);
        }
        fleet.run_without_changes(["status", "--exit-code"]).status(0);
        let history = fleet.run_without_changes(["history", "--json"]).status(0).json();
        assert_eq!(history["head"], self.head());
        let released = history["migrations"].as_array().unwrap();
        let released = released.iter().filter(|migration| migration["planned"] == false);
        let to: Vec<_> = released.map(|migration| migration["to"].as_str().unwrap()).collect();
        assert_eq!(to, self.versions);
        assert_eq!(self.counted_rows(&fleet), 0);
        self.run_seeds(&fleet);
        self.run_seeds(&fleet);
        fleet
    }

    /// upgrade head, one step back, back to a revision, back to nothing and forward again.
    fn downgrade_and_upgrade(&self, fleet: &Fleet) {
        let (first, previous) = (self.versions[0], self.versions[self.versions.len() - 2]);
        self.run_all(fleet, &["upgrade", "--to", "head"]);
        self.run_all(fleet, &["downgrade", "-1"]);
        self.assert_version(fleet, previous);
        fleet.run_without_changes(["status", "--exit-code"]).status(3);
        self.run_all(fleet, &["upgrade"]);
        self.assert_version(fleet, self.head());
        self.run_all(fleet, &["downgrade", "--to", first]);
        self.assert_version(fleet, first);
        self.run_all(fleet, &["upgrade"]);
        self.run_seeds(fleet);
        self.run_all(fleet, &["downgrade", "--to", "baseline"]);
        self.assert_version(fleet, "baseline");
        for database in self.open_databases(fleet) {
            assert!(database.tables().is_empty(), "{:?}", database.tables());
            assert!(
                database
                    .rows("SELECT name FROM sqlite_schema WHERE type IN ('view', 'trigger')")
                    .is_empty()
            );
        }
        self.run_all(fleet, &["upgrade"]);
        self.assert_version(fleet, self.head());
        assert_eq!(self.counted_rows(fleet), 0);
        self.run_seeds(fleet);
        fleet.run_without_changes(["verify"]).status(0);
    }

    /// A stamped version, and a lost history table.
    fn stamp_versions(&self, fleet: &Fleet) {
        let before: Vec<_> = self.open_databases(fleet).iter().map(Database::tables).collect();
        self.run_all(fleet, &["stamp", self.versions[0]]);
        self.assert_version(fleet, self.versions[0]);
        self.run_all(fleet, &["stamp", "head"]);
        for database in self.open_databases(fleet) {
            database.connection().execute_batch("DROP TABLE _tatmig_migrations").unwrap();
        }
        let status = fleet.run_without_changes(["status"]).status(0).stdout_text();
        assert_eq!(status.matches("unversioned").count(), self.open_databases.len(), "{status}");
        self.run_all(fleet, &["stamp", "head"]);
        self.assert_version(fleet, self.head());
        let after: Vec<_> = self.open_databases(fleet).iter().map(Database::tables).collect();
        assert_eq!(before, after);
        self.assert_seeded(fleet);
    }

    /// A check finds a manual change.
    fn detect_drift(&self, fleet: &Fleet) {
        fleet.run_without_changes(["verify"]).status(0);
        let execute = |sql: &str| {
            self.open_databases(fleet).last().unwrap().connection().execute_batch(sql).unwrap();
        };
        execute("CREATE TABLE made_by_hand (x)");
        fleet.run_without_changes(["verify"]).status(1).stdout_contains("made_by_hand");
        execute("DROP TABLE made_by_hand");
        fleet.run_without_changes(["verify"]).status(0);
    }

    fn back_up_and_reset(&self, fleet: &Fleet) {
        self.run_all(fleet, &["backup"]);
        let backup = newest_backup(fleet);
        self.run_all(fleet, &["reset", "--yes"]);
        self.assert_version(fleet, self.head());
        assert_eq!(self.counted_rows(fleet), 0);
        fleet.run_without_changes(["verify"]).status(0);
        fleet.run(["restore", &backup]).status(0);
        self.assert_version(fleet, self.head());
        self.assert_seeded(fleet);
        fleet.run_without_changes(["verify"]).status(0);
        for database in self.open_databases(fleet) {
            assert_eq!(database.rows("PRAGMA journal_mode"), ["wal"]);
        }
    }

    /// A developer changes a copy; the difference becomes the next migration, up and down.
    fn add_migration_from_database(&self, fleet: &Fleet) {
        let path = fleet.path("developer.db");
        std::fs::copy(fleet.path(self.open_databases.last().unwrap()), &path).unwrap();
        let changes = format!(
            "CREATE TABLE features (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE); \
             ALTER TABLE {} ADD COLUMN feature TEXT;",
            self.extended_table
        );
        Database::open(&path).connection().execute_batch(&changes).unwrap();
        let arguments =
            ["new", "-m", "A table of features", "--reverse", "--from-db", "developer.db"];
        fleet.run([&arguments, self.new_arguments].concat()).status(0);
        fleet.run_without_changes(["lint"]).status(0);
        fleet.run_without_changes(["test"]).status(0).stdout_contains("no data lost");
        fleet.run_without_changes(["status", "--exit-code"]).status(3);
        self.run_all(fleet, &["upgrade"]);
        fleet.run_without_changes(["verify"]).status(0);
        let last_database = || self.open_databases(fleet).pop().unwrap();
        assert!(last_database().tables().contains(&"features".to_owned()));
        assert_eq!(
            last_database().columns(self.extended_table),
            Database::open(&path).columns(self.extended_table)
        );
        self.assert_seeded(fleet);
        self.run_all(fleet, &["downgrade", "-1"]);
        self.assert_version(fleet, self.head());
        assert!(!last_database().tables().contains(&"features".to_owned()));
        self.assert_seeded(fleet);
        // A migration written by hand starts as a section with empty blocks.
        fleet.run([&["new", "-m", "To be written"], self.new_arguments].concat()).status(0);
        let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
        assert!(text.contains("**Description**: To be written"));
        fleet.run_without_changes(["lint"]).status(2).stderr_contains("error[unfinished-block]");
        fleet.run_without_changes(["status"]).status(0);
    }
}
