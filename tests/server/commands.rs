//! Every command over namespaces, and one story told twice: over files and over namespaces.

use crate::sqld::Sqld;
use crate::support::{Fleet, Run};
use crate::town::{TOWN, Town, town_and};

/// A fleet wherever it is.
trait Ground {
    fn run(&self, arguments: &[&str]) -> Run<'_>;
    fn document(&mut self, markdown: &str);
    /// Runs SQL in a database: `system`, or a user's.
    fn put(&self, name: &str, sql: &str);
    fn rows(&self, name: &str, sql: &str) -> Vec<String>;
}

struct OverFiles(Option<Fleet>);

impl OverFiles {
    fn fleet(&self) -> &Fleet {
        self.0.as_ref().unwrap()
    }
}

impl Ground for OverFiles {
    fn run(&self, arguments: &[&str]) -> Run<'_> {
        self.fleet().run(arguments)
    }

    fn document(&mut self, markdown: &str) {
        let fleet = self.0.take().unwrap();
        self.0 = Some(fleet.document(markdown));
    }

    fn put(&self, name: &str, sql: &str) {
        self.fleet().database(name).connection().execute_batch(sql).unwrap();
    }

    fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        self.fleet().database(name).rows(sql)
    }
}

struct OverNamespaces(Option<Town>);

impl Ground for OverNamespaces {
    fn run(&self, arguments: &[&str]) -> Run<'_> {
        self.0.as_ref().unwrap().run(arguments)
    }

    fn document(&mut self, markdown: &str) {
        let Town { fleet, sqld } = self.0.take().unwrap();
        self.0 = Some(Town { fleet: fleet.document(markdown), sqld });
    }

    fn put(&self, name: &str, sql: &str) {
        let name = if name == "system" { name.to_owned() } else { Town::namespace(name) };
        self.0.as_ref().unwrap().sqld.run_in(&name, &[sql]);
    }

    fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        let name = if name == "system" { name.to_owned() } else { Town::namespace(name) };
        self.0.as_ref().unwrap().sqld.rows(&name, sql)
    }
}

/// From nothing to head, through a failure, an adoption and a stamp. Results are the same text
/// wherever the databases are, their places aside.
fn story(ground: &mut dyn Ground) {
    ground.document(&town_and(2, &[]));
    ground.run(&["init", "--user", "ann", "--user", "bob", "--user", "cid"]).status(0);
    ground.put("system", "INSERT INTO users VALUES ('ann'), ('bob'), ('cid')");
    ground.put("ann", "INSERT INTO notes (body) VALUES ('tea')");
    ground.put("bob", "INSERT INTO notes (body) VALUES ('tea'), ('tea')");
    ground.run(&["status"]).status(0).stdout(
        "MIGRATIONS.md: head is 1.0.0\n\
         system  1.0.0     current\n\
         ann     1.0.0     current\n\
         bob     1.0.0     current\n\
         cid     1.0.0     current\n",
    );

    let seed = ("user:seed:welcome", "INSERT INTO notes (body) VALUES ('welcome');");
    ground.document(&town_and(4, &[seed]));
    ground.run(&["status", "--exit-code"]).status(3);
    ground
        .run(&["upgrade", "--dry-run", "--all-users"])
        .status(0)
        .stdout_contains("-- user 1.0.0 → 1.1.0 (MIGRATIONS.md:15): 3 databases, ann, bob, cid");
    ground.run(&["upgrade"]).status(0).stdout(
        "system: 1.0.0 → 1.2.0\n3 user databases left alone; `--all-users` or `--user NAME` migrates them\n",
    );
    ground
        .run(&["upgrade", "--all-users", "--canary", "1"])
        .status(1)
        .stdout_contains("system: already at 1.2.0")
        .stderr_contains("UNIQUE constraint failed: notes.body");
    assert_eq!(ground.rows("ann", "SELECT body, pinned FROM notes"), ["tea|0"]);
    assert_eq!(ground.rows("bob", "SELECT * FROM notes"), ["1|tea", "2|tea"]);
    ground.put("bob", "DELETE FROM notes WHERE id = 2");
    ground.run(&["upgrade", "--user", "bob"]).status(0).stdout_contains("bob: 1.0.0 → 1.2.0");
    ground.run(&["upgrade", "--all-users"]).status(0);
    ground.run(&["seed", "welcome", "--user", "ann"]).status(0);
    assert_eq!(ground.rows("ann", "SELECT body FROM notes"), ["tea", "welcome"]);

    ground.put("cid", "CREATE TABLE stray (x)");
    ground.put("cid", "DROP TABLE _tatmig_migrations");
    ground.run(&["status"]).status(0).stdout_contains("unversioned");
    ground.run(&["verify"]).status(1).stdout_contains("it has no record");
    ground
        .run(&["adopt", "--user", "cid"])
        .status(0)
        .stdout_contains("recorded at 1.2.0, with 1 difference")
        .stdout_contains("table `stray` is not expected");
    ground.run(&["verify"]).status(0);
    ground.run(&["stamp", "1.1.0", "--user", "cid"]).status(0);
    ground
        .run(&["history", "--user", "cid"])
        .status(0)
        .stdout_contains("adopt")
        .stdout_contains("stamp");
    ground.run(&["upgrade", "--user", "cid", "--to", "1.1.0"]).status(0);
    ground.run(&["status"]).status(0).stdout_contains("cid     1.1.0     behind");
}

/// Up in one piece, down again, and back by copies.
fn way_back(ground: &mut dyn Ground) {
    ground.document(&town_and(2, &[]));
    ground.run(&["init", "--user", "ann", "--user", "bob"]).status(0);
    ground.put("system", "INSERT INTO users VALUES ('ann'), ('bob')");
    ground.put("ann", "INSERT INTO notes (body) VALUES ('tea')");
    ground.put("bob", "INSERT INTO notes (body) VALUES ('tea'), ('tea')");
    ground.document(&town_and(
        4,
        &[
            ("user:1.2.0→1.1.0", "DROP INDEX one_body;"),
            ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;"),
        ],
    ));
    ground.run(&["upgrade", "--all-users", "--all-or-nothing"]).status(1);
    for (user, rows) in [("ann", "1"), ("bob", "2")] {
        assert_eq!(ground.rows(user, "SELECT count(*) FROM notes"), [rows]);
        assert_eq!(ground.rows(user, "SELECT to_version FROM _tatmig_migrations"), ["1.0.0"]);
    }
    ground.put("bob", "DELETE FROM notes WHERE id = 2");
    ground
        .run(&["upgrade", "--all-users", "--rehearse"])
        .status(0)
        .stdout_contains("2 users: 2 rehearsed up to 1.2.0 and rolled back");
    assert_eq!(ground.rows("ann", "SELECT * FROM notes"), ["1|tea"]);
    ground
        .run(&["upgrade", "--all-users", "--all-or-nothing"])
        .status(0)
        .stdout("system: 1.0.0 → 1.2.0\n2 users: 2 upgraded to 1.2.0\n");
    let stats = ground.run(&["status", "--stats", "--json"]).status(0).json();
    assert_eq!(stats["stats"]["users"]["tables"]["notes"], 2, "{stats}");
    assert_eq!(stats["stats"]["system"]["tables"]["users"], 2, "{stats}");

    ground.put("ann", "INSERT INTO notes (body, pinned) VALUES ('cup', 1)");
    ground
        .run(&["downgrade", "--to", "1.0.0", "--all-users", "--dry-run"])
        .status(0)
        .stdout_contains("DROP INDEX one_body;");
    ground
        .run(&["downgrade", "--to", "1.0.0", "--all-users"])
        .status(0)
        .stdout_contains("2 users: 2 downgraded to 1.0.0");
    assert_eq!(ground.rows("ann", "SELECT * FROM notes"), ["1|tea", "2|cup"]);
    ground.run(&["verify"]).status(0);
    ground.run(&["restore", "latest"]).status(0);
    assert_eq!(ground.rows("ann", "SELECT * FROM notes"), ["1|tea|0", "2|cup|1"]);
    ground.run(&["status", "--exit-code"]).status(0);
    ground
        .run(&["reset", "--user", "ann", "--yes"])
        .status(0)
        .stdout_contains("made anew at 1.2.0");
    assert_eq!(ground.rows("ann", "SELECT * FROM notes"), [""; 0]);
    assert_eq!(ground.rows("bob", "SELECT * FROM notes"), ["1|tea|0"]);
    ground.run(&["restore", "latest", "--user", "ann", "--no-backup"]).status(0);
    assert_eq!(ground.rows("ann", "SELECT * FROM notes"), ["1|tea|0", "2|cup|1"]);
    ground.run(&["backup", "prune", "--keep", "1"]).status(0);
    ground.run(&["verify"]).status(0);
}

pub(crate) fn the_same_story_over_files() {
    story(&mut OverFiles(Some(Fleet::new())));
}

pub(crate) fn the_same_story_over_namespaces() {
    story(&mut OverNamespaces(Some(nobody_yet())));
}

pub(crate) fn the_same_way_back_over_files() {
    way_back(&mut OverFiles(Some(Fleet::new())));
}

pub(crate) fn the_same_way_back_over_namespaces() {
    way_back(&mut OverNamespaces(Some(nobody_yet())));
}

/// A server without namespaces.
fn nobody_yet() -> Town {
    let sqld = Sqld::start();
    let fleet = Fleet::new().env("TATMIG_SERVER", sqld.url()).env("TATMIG_ADMIN", sqld.admin_url());
    Town { fleet, sqld }
}

pub(crate) fn the_json_is_that_of_files() {
    let town = Town::of(&["ann"]).document(3, &[]);
    let status = town.run(["status", "--json"]).status(0).json();
    assert_eq!(status["databases"][1]["state"], "behind");
    assert_eq!(status["databases"][1]["pending"][0], "1.1.0");
    assert_eq!(status["databases"][1]["path"], format!("ann_longterm @ {}", town.sqld.url()));
    let upgraded = town.run(["upgrade", "--all-users", "--json"]).status(0).json();
    assert_eq!(upgraded["databases"][1]["outcome"], "upgraded");
    assert_eq!(upgraded["databases"][1]["from"], "1.0.0");
    assert_eq!(upgraded["databases"][1]["to"], "1.1.0");
    let history = town.run(["history", "--user", "ann", "--json"]).status(0).out();
    assert!(history.contains("\"applied_at\": \"20"), "{history}");
}

pub(crate) fn a_namespace_without_a_record_is_adopted() {
    let town = Town::of(&["ann"]).document(4, &[]);
    town.sqld.create("old_longterm");
    for sql in [
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        "CREATE TABLE tags (id INTEGER PRIMARY KEY, note INTEGER REFERENCES notes (id) ON DELETE CASCADE)",
        "INSERT INTO notes VALUES (1, 'tea')",
    ] {
        town.sqld.run_in("old_longterm", &[sql]);
    }
    town.sqld.run_in("system", &["INSERT INTO users VALUES ('old')"]);
    town.run(["upgrade", "--all-users", "-v"]).status(0).stdout_contains("adopted at 1.0.0");
    assert_eq!(town.record("old"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    assert_eq!(town.rows("old", "SELECT * FROM notes"), ["1|tea|0"]);
}

pub(crate) fn a_journal_mode_is_refused_where_the_server_has_its_own() {
    let town = Town::of(&[]);
    town.run(["init", "--user", "ann", "--journal-mode", "wal"])
        .status(2)
        .stderr_contains("`--journal-mode` is for files");
    assert!(!town.sqld.has("ann_longterm"), "it was made");
}

pub(crate) fn keys_that_the_application_never_holds_are_told() {
    let broken = "INSERT INTO tags (note) VALUES (99);";
    let town = Town::of(&["ann"]).document(2, &[("user:1.0.0→1.1.0", broken)]);
    town.run(["upgrade", "--all-users"]).status(1);
    assert_eq!(town.rows("ann", "SELECT * FROM tags"), [""; 0]);
    let town = Town { fleet: town.fleet.file("tatmig.toml", "foreign_keys = false\n"), ..town };
    town.run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("1 row refers to parents that are missing");
    assert_eq!(town.rows("ann", "SELECT note FROM tags"), ["99"]);
}

pub(crate) fn init_without_an_admin_address_says_so() {
    let town = Town::of(&["ann"]);
    let fleet = Fleet::new().env("TATMIG_SERVER", town.sqld.url()).document(town_and(2, &[]));
    fleet.run(["init", "--user", "bob"]).status(2).stderr_contains("--admin URL");
    // What is there already needs none.
    fleet.run(["upgrade", "--all-users"]).status(0);
}

pub(crate) fn seeds_run_without_a_record() {
    let seeds = [
        ("system:seed:first", "INSERT INTO users VALUES ('ann');"),
        (
            "user:seed:first",
            "INSERT INTO notes (body) VALUES ('one');\nINSERT INTO notes (id, body) VALUES (1, 'again');",
        ),
        ("user:seed:second", "INSERT INTO notes (body) VALUES ('two');"),
    ];
    let town = Town::of(&["ann", "bob"]).document(2, &seeds);
    town.run(["seed", "second", "--all-users"]).status(0);
    assert_eq!(town.rows("ann", "SELECT body FROM notes"), ["two"]);
    town.run(["seed", "first", "--all-users"]).status(1);
    assert_eq!(town.rows("bob", "SELECT body FROM notes"), ["two"]);
    assert_eq!(town.record("ann"), ["baseline→1.0.0"]);
}

pub(crate) fn an_edited_migration_is_shown() {
    let town = Town::of(&["ann"]).document(2, &[("user:1.0.0→1.1.0", "CREATE TABLE a (x);")]);
    town.run(["upgrade", "--all-users"]).status(0);
    let town = town.document(2, &[("user:1.0.0→1.1.0", "CREATE TABLE a (x, y);")]);
    town.run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("CREATE TABLE a ( x )")
        .stderr_contains("CREATE TABLE a ( x , y )");
    town.run(["status"]).stdout_contains("edited");
}

pub(crate) fn what_the_server_refuses_is_told_by_lint_and_by_upgrade() {
    for (sql, words) in [
        ("ANALYZE;", "a libSQL server refuses `ANALYZE`"),
        ("CREATE TEMP TABLE t (x);", "a libSQL server has no temporary tables"),
        ("PRAGMA optimize;", "a libSQL server refuses `PRAGMA optimize`"),
        ("PRAGMA application_id = 7;", "a libSQL server refuses `PRAGMA application_id =`"),
        (
            "INSERT INTO notes (id, body) VALUES (1_000, 'x');",
            "does not read `_` inside of numbers",
        ),
        (
            "INSERT INTO notes (body) SELECT group_concat(body ORDER BY id) FROM notes HAVING count(*) > 0;",
            "does not read `ORDER BY` inside",
        ),
        ("INSERT INTO notes (body) VALUES (\"tea\");", "takes it for a string"),
    ] {
        let town = Town::of(&["ann"]).document(2, &[("user:1.0.0→1.1.0", sql)]);
        let before = town.dump("ann");
        town.run(["lint"]).stderr_contains(words).stderr_contains("MIGRATIONS.md:16");
        town.run(["lint", "--deny", "warnings"]).status(1);
        // The server's own words, or those of lint, at the place in the document.
        town.run(["upgrade", "--all-users"]).status(1).stderr_contains("MIGRATIONS.md:16");
        assert_eq!(town.dump("ann"), before, "{sql}");
    }
    let files = Fleet::of(TOWN);
    files
        .run(["lint", "--allow", "missing-date", "--allow", "missing-description"])
        .stderr_lacks("libSQL");
}
