//! What every one of the applications does with its databases in the course of its life: one
//! course for all four, so that none is spared a step.

use crate::support::{Database, Fleet};
use crate::{application, newest_backup};

/// An application, as its course needs to know it.
pub(crate) struct Application {
    /// The name of its fixture.
    pub(crate) name: &'static str,
    /// Where its databases go.
    pub(crate) directory: &'static str,
    /// Its users, if it has any.
    pub(crate) users: &'static [&'static str],
    /// Its databases, the one that a developer works on last.
    pub(crate) databases: &'static [&'static str],
    /// The rows that it begins with.
    pub(crate) seeds: &'static [&'static str],
    /// The versions of its document, head last.
    pub(crate) versions: &'static [&'static str],
    /// A table of the last database with its rows once the seeds are in.
    pub(crate) counted: (&'static str, u64),
    /// A table that a developer adds a column to.
    pub(crate) extended: &'static str,
    /// What the command for a new revision is told beside its message.
    pub(crate) revision: &'static [&'static str],
}

impl Application {
    fn head(&self) -> &'static str {
        self.versions.last().unwrap()
    }

    fn databases(&self, fleet: &Fleet) -> Vec<Database> {
        self.databases.iter().map(|path| Database::open(&fleet.path(path))).collect()
    }

    /// Runs a command on every database.
    #[track_caller]
    fn all(&self, fleet: &Fleet, arguments: &[&str]) -> String {
        let everybody: &[&str] = if self.users.is_empty() { &[] } else { &["--all-users"] };
        let run = fleet.run([arguments, everybody].concat());
        run.status(0).out()
    }

    /// Asserts that every database stands at a version, for `current` and in its own record.
    #[track_caller]
    fn assert_at(&self, fleet: &Fleet, version: &str) {
        let json = fleet.run_without_a_trace(["current", "--json"]).status(0).json();
        let found: Vec<_> =
            json["databases"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
        assert_eq!(found, vec![version; self.databases.len()], "{json}");
        for database in self.databases(fleet) {
            assert_eq!(database.version().as_deref(), Some(version));
        }
    }

    /// The rows that the statistics tell of the counted table, over all databases.
    #[track_caller]
    fn rows(&self, fleet: &Fleet) -> u64 {
        let json = fleet.run_without_a_trace(["status", "--stats", "--json"]).status(0).json();
        let scope = if self.users.is_empty() { "system" } else { "users" };
        let stats = &json["stats"][scope];
        assert_eq!(stats["databases"], self.users.len().max(1));
        assert!(stats["file_bytes"].as_u64() > Some(0) && stats["pages"].as_u64() > Some(0));
        stats["tables"][self.counted.0].as_u64().unwrap()
    }

    #[track_caller]
    fn assert_seeded(&self, fleet: &Fleet) {
        assert_eq!(self.rows(fleet), self.counted.1 * self.users.len().max(1) as u64);
    }

    #[track_caller]
    fn seed(&self, fleet: &Fleet) {
        self.all(fleet, &[&["seed"], self.seeds].concat());
        self.assert_seeded(fleet);
    }

    /// Lives it.
    #[track_caller]
    pub(crate) fn live(&self) {
        let fleet = self.first_start();
        self.back_and_forth(&fleet);
        self.stamps(&fleet);
        self.drift(&fleet);
        self.back_up_and_reset(&fleet);
        self.new_revision(&fleet);
    }

    /// init, current, history, the seeds, statistics.
    fn first_start(&self) -> Fleet {
        let fleet = application(self.name, self.directory);
        let users = self.users.iter().flat_map(|user| ["--user", user]);
        let made = fleet.run(std::iter::once("init").chain(users).collect::<Vec<_>>());
        let made = made.status(0).stderr("").out();
        assert_eq!(
            made.matches(&format!("made at {}\n", self.head())).count(),
            self.databases.len()
        );
        self.assert_at(&fleet, self.head());
        for database in self.databases(&fleet) {
            assert_eq!(database.rows("PRAGMA journal_mode"), ["wal"]);
        }
        fleet.run_without_a_trace(["status", "--exit-code"]).status(0);
        let history = fleet.run_without_a_trace(["history", "--json"]).status(0).json();
        assert_eq!(history["head"], self.head());
        let released = history["migrations"].as_array().unwrap();
        let released = released.iter().filter(|migration| migration["planned"] == false);
        let to: Vec<_> = released.map(|migration| migration["to"].as_str().unwrap()).collect();
        assert_eq!(to, self.versions);
        assert_eq!(self.rows(&fleet), 0);
        self.seed(&fleet);
        self.seed(&fleet);
        fleet
    }

    /// upgrade head, one step back, back to a revision, back to nothing and forward again.
    fn back_and_forth(&self, fleet: &Fleet) {
        let (first, below) = (self.versions[0], self.versions[self.versions.len() - 2]);
        self.all(fleet, &["upgrade", "--to", "head"]);
        self.all(fleet, &["downgrade", "-1"]);
        self.assert_at(fleet, below);
        fleet.run_without_a_trace(["status", "--exit-code"]).status(3);
        self.all(fleet, &["upgrade"]);
        self.assert_at(fleet, self.head());
        self.all(fleet, &["downgrade", "--to", first]);
        self.assert_at(fleet, first);
        self.all(fleet, &["upgrade"]);
        self.seed(fleet);
        self.all(fleet, &["downgrade", "--to", "baseline"]);
        self.assert_at(fleet, "baseline");
        for database in self.databases(fleet) {
            assert!(database.tables().is_empty(), "{:?}", database.tables());
            assert!(
                database
                    .rows("SELECT name FROM sqlite_schema WHERE type IN ('view', 'trigger')")
                    .is_empty()
            );
        }
        self.all(fleet, &["upgrade"]);
        self.assert_at(fleet, self.head());
        assert_eq!(self.rows(fleet), 0);
        self.seed(fleet);
        fleet.run_without_a_trace(["verify"]).status(0);
    }

    /// A version that is only written down, and a record that was lost.
    fn stamps(&self, fleet: &Fleet) {
        let before: Vec<_> = self.databases(fleet).iter().map(Database::tables).collect();
        self.all(fleet, &["stamp", self.versions[0]]);
        self.assert_at(fleet, self.versions[0]);
        self.all(fleet, &["stamp", "head"]);
        for database in self.databases(fleet) {
            database.connection().execute_batch("DROP TABLE _tatmig_migrations").unwrap();
        }
        let told = fleet.run_without_a_trace(["status"]).status(0).out();
        assert_eq!(told.matches("unversioned").count(), self.databases.len(), "{told}");
        self.all(fleet, &["stamp", "head"]);
        self.assert_at(fleet, self.head());
        let after: Vec<_> = self.databases(fleet).iter().map(Database::tables).collect();
        assert_eq!(before, after);
        self.assert_seeded(fleet);
    }

    /// A check finds what somebody changed by hand.
    fn drift(&self, fleet: &Fleet) {
        fleet.run_without_a_trace(["verify"]).status(0);
        let by_hand = |sql: &str| {
            self.databases(fleet).last().unwrap().connection().execute_batch(sql).unwrap();
        };
        by_hand("CREATE TABLE made_by_hand (x)");
        fleet.run_without_a_trace(["verify"]).status(1).stdout_contains("made_by_hand");
        by_hand("DROP TABLE made_by_hand");
        fleet.run_without_a_trace(["verify"]).status(0);
    }

    fn back_up_and_reset(&self, fleet: &Fleet) {
        self.all(fleet, &["backup"]);
        let backup = newest_backup(fleet);
        self.all(fleet, &["reset", "--yes"]);
        self.assert_at(fleet, self.head());
        assert_eq!(self.rows(fleet), 0);
        fleet.run_without_a_trace(["verify"]).status(0);
        fleet.run(["restore", &backup]).status(0);
        self.assert_at(fleet, self.head());
        self.assert_seeded(fleet);
        fleet.run_without_a_trace(["verify"]).status(0);
        for database in self.databases(fleet) {
            assert_eq!(database.rows("PRAGMA journal_mode"), ["wal"]);
        }
    }

    /// A developer changes a copy; the difference becomes the next migration, there and back.
    fn new_revision(&self, fleet: &Fleet) {
        let path = fleet.path("developer.db");
        std::fs::copy(fleet.path(self.databases.last().unwrap()), &path).unwrap();
        let changes = format!(
            "CREATE TABLE features (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE); \
             ALTER TABLE {} ADD COLUMN feature TEXT;",
            self.extended
        );
        Database::open(&path).connection().execute_batch(&changes).unwrap();
        let words = ["new", "-m", "A table of features", "--reverse", "--from-db", "developer.db"];
        fleet.run([&words, self.revision].concat()).status(0);
        fleet.run_without_a_trace(["lint"]).status(0);
        fleet.run_without_a_trace(["test"]).status(0).stdout_contains("nothing lost");
        fleet.run_without_a_trace(["status", "--exit-code"]).status(3);
        self.all(fleet, &["upgrade"]);
        fleet.run_without_a_trace(["verify"]).status(0);
        let last = || self.databases(fleet).pop().unwrap();
        assert!(last().tables().contains(&"features".to_owned()));
        assert_eq!(last().columns(self.extended), Database::open(&path).columns(self.extended));
        self.assert_seeded(fleet);
        self.all(fleet, &["downgrade", "-1"]);
        self.assert_at(fleet, self.head());
        assert!(!last().tables().contains(&"features".to_owned()));
        self.assert_seeded(fleet);
        // One that is written by hand is a section with room for its statements.
        fleet.run([&["new", "-m", "To be written"], self.revision].concat()).status(0);
        let text = std::fs::read_to_string(fleet.path("MIGRATIONS.md")).unwrap();
        assert!(text.contains("**Description**: To be written"));
        fleet.run_without_a_trace(["lint"]).status(0);
    }
}
