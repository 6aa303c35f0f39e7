//! Tests every command on namespaces, and runs one scenario on files and on namespaces.

use crate::fleet::{ServerFleet, USERS_AND_NOTES, document_with};
use crate::sqld::Sqld;
use crate::support::{Fleet, RunOutput, document};

/// A fleet of files or of namespaces.
trait FleetBackend {
    fn run(&self, arguments: &[&str]) -> RunOutput<'_>;
    fn document(&mut self, markdown: &str);
    /// Runs SQL in a database: `system`, or a user's.
    fn execute(&self, name: &str, sql: &str);
    fn rows(&self, name: &str, sql: &str) -> Vec<String>;
}

struct FileBackend(Option<Fleet>);

impl FileBackend {
    fn fleet(&self) -> &Fleet {
        self.0.as_ref().unwrap()
    }
}

impl FleetBackend for FileBackend {
    fn run(&self, arguments: &[&str]) -> RunOutput<'_> {
        self.fleet().run(arguments)
    }

    fn document(&mut self, markdown: &str) {
        let fleet = self.0.take().unwrap();
        self.0 = Some(fleet.document(markdown));
    }

    fn execute(&self, name: &str, sql: &str) {
        self.fleet().database(name).connection().execute_batch(sql).unwrap();
    }

    fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        self.fleet().database(name).rows(sql)
    }
}

struct NamespaceBackend(Option<ServerFleet>);

impl FleetBackend for NamespaceBackend {
    fn run(&self, arguments: &[&str]) -> RunOutput<'_> {
        self.0.as_ref().unwrap().run(arguments)
    }

    fn document(&mut self, markdown: &str) {
        let ServerFleet { fleet, sqld } = self.0.take().unwrap();
        self.0 = Some(ServerFleet { fleet: fleet.document(markdown), sqld });
    }

    fn execute(&self, name: &str, sql: &str) {
        let name = if name == "system" { name.to_owned() } else { ServerFleet::namespace(name) };
        self.0.as_ref().unwrap().sqld.execute(&name, &[sql]);
    }

    fn rows(&self, name: &str, sql: &str) -> Vec<String> {
        let name = if name == "system" { name.to_owned() } else { ServerFleet::namespace(name) };
        self.0.as_ref().unwrap().sqld.rows(&name, sql)
    }
}

/// From nothing to head, with a failure, an adoption and a stamp. The output is the same for files
/// and namespaces, except for locations.
fn upgrade_scenario(backend: &mut dyn FleetBackend) {
    backend.document(&document_with(2, &[]));
    backend.run(&["init", "--user", "ann", "--user", "bob", "--user", "cid"]).status(0);
    backend.execute("system", "INSERT INTO users VALUES ('ann'), ('bob'), ('cid')");
    backend.execute("ann", "INSERT INTO notes (body) VALUES ('tea')");
    backend.execute("bob", "INSERT INTO notes (body) VALUES ('tea'), ('tea')");
    backend.run(&["status"]).status(0).stdout(
        "MIGRATIONS.md: head is 1.0.0\n\
         system  1.0.0     current\n\
         ann     1.0.0     current\n\
         bob     1.0.0     current\n\
         cid     1.0.0     current\n",
    );

    let seed = ("user:seed:welcome", "INSERT INTO notes (body) VALUES ('welcome');");
    backend.document(&document_with(4, &[seed]));
    backend.run(&["status", "--exit-code"]).status(3);
    backend
        .run(&["upgrade", "--dry-run", "--all-users"])
        .status(0)
        .stdout_contains("-- user 1.0.0 → 1.1.0 (MIGRATIONS.md:15): 3 databases, ann, bob, cid");
    backend.run(&["upgrade"]).status(0).stdout(
        "system: 1.0.0 → 1.2.0\n3 user databases were not selected; add `--all-users` or `--user NAME`\n",
    );
    backend
        .run(&["upgrade", "--all-users", "--canary", "1"])
        .status(1)
        .stdout_contains("system: already at 1.2.0")
        .stderr_contains("UNIQUE constraint failed: notes.body");
    assert_eq!(backend.rows("ann", "SELECT body, pinned FROM notes"), ["tea|0"]);
    assert_eq!(backend.rows("bob", "SELECT * FROM notes"), ["1|tea", "2|tea"]);
    backend.execute("bob", "DELETE FROM notes WHERE id = 2");
    backend.run(&["upgrade", "--user", "bob"]).status(0).stdout_contains("bob: 1.0.0 → 1.2.0");
    backend.run(&["upgrade", "--all-users"]).status(0);
    backend.run(&["seed", "welcome", "--user", "ann"]).status(0);
    assert_eq!(backend.rows("ann", "SELECT body FROM notes"), ["tea", "welcome"]);

    backend.execute("cid", "CREATE TABLE stray (x)");
    backend.execute("cid", "DROP TABLE _tatmig_migrations");
    backend.run(&["status"]).status(0).stdout_contains("unversioned");
    backend.run(&["verify"]).status(1).stdout_contains("the database has no history");
    backend
        .run(&["adopt", "--user", "cid"])
        .status(0)
        .stdout_contains("recorded at 1.2.0, with 1 difference")
        .stdout_contains("table `stray` is not expected");
    backend.run(&["verify"]).status(0);
    backend.run(&["stamp", "1.1.0", "--user", "cid"]).status(0);
    backend
        .run(&["history", "--user", "cid"])
        .status(0)
        .stdout_contains("adopt")
        .stdout_contains("stamp");
    backend.run(&["upgrade", "--user", "cid", "--to", "1.1.0"]).status(0);
    backend.run(&["status"]).status(0).stdout_contains("cid     1.1.0     behind");
}

/// An upgrade of all databases, a downgrade, and a restore from copies.
fn downgrade_and_restore_scenario(backend: &mut dyn FleetBackend) {
    backend.document(&document_with(2, &[]));
    backend.run(&["init", "--user", "ann", "--user", "bob"]).status(0);
    backend.execute("system", "INSERT INTO users VALUES ('ann'), ('bob')");
    backend.execute("ann", "INSERT INTO notes (body) VALUES ('tea')");
    backend.execute("bob", "INSERT INTO notes (body) VALUES ('tea'), ('tea')");
    backend.document(&document_with(
        4,
        &[
            ("user:1.2.0→1.1.0", "DROP INDEX one_body;"),
            ("user:1.1.0→1.0.0", "ALTER TABLE notes DROP COLUMN pinned;"),
        ],
    ));
    backend.run(&["upgrade", "--all-users", "--all-or-nothing"]).status(1);
    for (user, rows) in [("ann", "1"), ("bob", "2")] {
        assert_eq!(backend.rows(user, "SELECT count(*) FROM notes"), [rows]);
        assert_eq!(backend.rows(user, "SELECT to_version FROM _tatmig_migrations"), ["1.0.0"]);
    }
    backend.execute("bob", "DELETE FROM notes WHERE id = 2");
    backend
        .run(&["upgrade", "--all-users", "--rehearse"])
        .status(0)
        .stdout_contains("2 users: 2 rehearsed up to 1.2.0 and rolled back");
    assert_eq!(backend.rows("ann", "SELECT * FROM notes"), ["1|tea"]);
    backend
        .run(&["upgrade", "--all-users", "--all-or-nothing"])
        .status(0)
        .stdout("system: 1.0.0 → 1.2.0\n2 users: 2 upgraded to 1.2.0\n");
    let stats = backend.run(&["status", "--stats", "--json"]).status(0).json();
    assert_eq!(stats["stats"]["users"]["tables"]["notes"], 2, "{stats}");
    assert_eq!(stats["stats"]["system"]["tables"]["users"], 2, "{stats}");

    backend.execute("ann", "INSERT INTO notes (body, pinned) VALUES ('cup', 1)");
    backend
        .run(&["downgrade", "--to", "1.0.0", "--all-users", "--dry-run"])
        .status(0)
        .stdout_contains("DROP INDEX one_body;");
    backend
        .run(&["downgrade", "--to", "1.0.0", "--all-users"])
        .status(0)
        .stdout_contains("2 users: 2 downgraded to 1.0.0");
    assert_eq!(backend.rows("ann", "SELECT * FROM notes"), ["1|tea", "2|cup"]);
    backend.run(&["verify"]).status(0);
    backend.run(&["restore", "latest"]).status(0);
    assert_eq!(backend.rows("ann", "SELECT * FROM notes"), ["1|tea|0", "2|cup|1"]);
    backend.run(&["status", "--exit-code"]).status(0);
    backend
        .run(&["reset", "--user", "ann", "--yes"])
        .status(0)
        .stdout_contains("reset, empty at 1.2.0");
    assert_eq!(backend.rows("ann", "SELECT * FROM notes"), [""; 0]);
    assert_eq!(backend.rows("bob", "SELECT * FROM notes"), ["1|tea|0"]);
    backend.run(&["restore", "latest", "--user", "ann", "--no-backup"]).status(0);
    assert_eq!(backend.rows("ann", "SELECT * FROM notes"), ["1|tea|0", "2|cup|1"]);
    backend.run(&["backup", "prune", "--keep", "1"]).status(0);
    backend.run(&["verify"]).status(0);
}

pub(crate) fn upgrade_scenario_over_files() {
    upgrade_scenario(&mut FileBackend(Some(Fleet::new())));
}

pub(crate) fn upgrade_scenario_over_namespaces() {
    upgrade_scenario(&mut NamespaceBackend(Some(empty_server_fleet())));
}

/// An edit of the last migration, redone twice, and once where a row refuses it.
fn redo_scenario(backend: &mut dyn FleetBackend) {
    let with = |sql: &str, reverse: &str| {
        document_with(2, &[("user:1.0.0→1.1.0", sql), ("user:1.1.0→1.0.0", reverse)])
    };
    let british =
        with("ALTER TABLE notes ADD COLUMN colour TEXT;", "ALTER TABLE notes DROP COLUMN colour;");
    let american =
        with("ALTER TABLE notes ADD COLUMN color TEXT;", "ALTER TABLE notes DROP COLUMN color;");
    let index = with("CREATE UNIQUE INDEX one_body ON notes (body);", "DROP INDEX one_body;");
    backend.document(&british);
    backend.run(&["init", "--user", "ann", "--user", "bob"]).status(0);
    backend.execute("system", "INSERT INTO users VALUES ('ann'), ('bob')");
    backend.execute("ann", "INSERT INTO notes (body, colour) VALUES ('tea', 'green')");
    backend.execute("bob", "INSERT INTO notes (body) VALUES ('tea'), ('tea')");
    backend
        .run(&["redo", "--user", "ann", "--no-backup"])
        .status(0)
        .stderr_contains("was not edited");
    assert_eq!(backend.rows("ann", "SELECT body, colour FROM notes"), ["tea|NULL"]);

    let run = |backend: &dyn FleetBackend, status| {
        let arguments = ["redo", "--user", "ann", "--user", "bob", "--no-backup"];
        backend.run(&arguments).status(status).describe()
    };
    backend.document(&american);
    assert!(run(backend, 0).contains("2 users: 2 redone at 1.1.0"));
    backend.document(&index);
    let output = run(backend, 1);
    assert!(output.contains("2 users: 1 redone at 1.1.0, 1 failed"), "{output}");
    assert!(output.contains("one_body") || output.contains("notes.body"), "{output}");
    assert_eq!(backend.rows("bob", "SELECT body, color FROM notes"), ["tea|NULL", "tea|NULL"]);
    backend.execute("bob", "DELETE FROM notes WHERE id = 2");
    assert!(run(backend, 0).contains("1 redone at 1.1.0, 1 already at 1.1.0"));
    assert_eq!(
        backend.rows("bob", "SELECT event, from_version, to_version FROM _tatmig_migrations")[2..],
        [
            "downgrade|1.1.0|1.0.0",
            "upgrade|1.0.0|1.1.0",
            "downgrade|1.1.0|1.0.0",
            "upgrade|1.0.0|1.1.0"
        ]
    );
    backend.run(&["verify", "--user", "ann", "--user", "bob"]).status(0);
}

pub(crate) fn redo_over_files() {
    redo_scenario(&mut FileBackend(Some(Fleet::new())));
}

pub(crate) fn redo_over_namespaces() {
    redo_scenario(&mut NamespaceBackend(Some(empty_server_fleet())));
}

pub(crate) fn downgrade_and_restore_over_files() {
    downgrade_and_restore_scenario(&mut FileBackend(Some(Fleet::new())));
}

pub(crate) fn downgrade_and_restore_over_namespaces() {
    downgrade_and_restore_scenario(&mut NamespaceBackend(Some(empty_server_fleet())));
}

/// A server without namespaces.
fn empty_server_fleet() -> ServerFleet {
    let sqld = Sqld::start();
    let fleet = Fleet::new().env("TATMIG_SERVER", sqld.url()).env("TATMIG_ADMIN", sqld.admin_url());
    ServerFleet { fleet, sqld }
}

pub(crate) fn json_output_equals_that_of_files() {
    let server_fleet = ServerFleet::new(&["ann"]).document(3, &[]);
    let status = server_fleet.run(["status", "--json"]).status(0).json();
    assert_eq!(status["databases"][1]["state"], "behind");
    assert_eq!(status["databases"][1]["pending"][0], "1.1.0");
    assert_eq!(
        status["databases"][1]["path"],
        format!("ann_longterm @ {}", server_fleet.sqld.url())
    );
    let upgraded = server_fleet.run(["upgrade", "--all-users", "--json"]).status(0).json();
    assert_eq!(upgraded["databases"][1]["outcome"], "upgraded");
    assert_eq!(upgraded["databases"][1]["from"], "1.0.0");
    assert_eq!(upgraded["databases"][1]["to"], "1.1.0");
    let history = server_fleet.run(["history", "--user", "ann", "--json"]).status(0).stdout_text();
    assert!(history.contains("\"applied_at\": \"20"), "{history}");
}

pub(crate) fn a_namespace_without_history_is_adopted() {
    let server_fleet = ServerFleet::new(&["ann"]).document(4, &[]);
    server_fleet.sqld.create_namespace("old_longterm");
    for sql in [
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
        "CREATE TABLE tags (id INTEGER PRIMARY KEY, note INTEGER REFERENCES notes (id) ON DELETE CASCADE)",
        "INSERT INTO notes VALUES (1, 'tea')",
    ] {
        server_fleet.sqld.execute("old_longterm", &[sql]);
    }
    server_fleet.sqld.execute("system", &["INSERT INTO users VALUES ('old')"]);
    server_fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(0)
        .stdout_contains("adopted at 1.0.0");
    assert_eq!(server_fleet.history("old"), ["baseline→1.0.0", "1.0.0→1.1.0", "1.1.0→1.2.0"]);
    assert_eq!(server_fleet.rows("old", "SELECT * FROM notes"), ["1|tea|0"]);
}

pub(crate) fn the_version_table_of_another_tool_decides_in_a_namespace() {
    let markdown = document_with(2, &[])
        + "## 1.0.0 → 1.1.0\n\n**Imported**: goose 2\n\n"
        + &document(&[("user:1.0.0→1.1.0", "UPDATE notes SET body = upper(body);")])
        + "## 1.1.0 → 1.2.0\n\n**Imported**: goose 3\n\n"
        + &document(&[("user:1.1.0→1.2.0", "UPDATE notes SET body = body || '!';")]);
    let mut server_fleet = ServerFleet::new(&[]);
    server_fleet.fleet = server_fleet.fleet.document(markdown);
    for (name, versions) in [("old", "(2)"), ("odd", "(3)")] {
        let namespace = ServerFleet::namespace(name);
        server_fleet.sqld.create_namespace(&namespace);
        for sql in [
            "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
            "CREATE TABLE tags (id INTEGER PRIMARY KEY, note INTEGER REFERENCES notes (id) ON DELETE CASCADE)",
            "INSERT INTO notes VALUES (1, 'TEA')",
            "CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL DEFAULT 1)",
            &format!("INSERT INTO goose_db_version (version_id) VALUES (0), {versions}"),
        ] {
            server_fleet.sqld.execute(&namespace, &[sql]);
        }
        let insert = format!("INSERT INTO users VALUES ('{name}')");
        server_fleet.sqld.execute("system", &[&insert]);
    }
    let before = server_fleet.dump("odd");
    server_fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(1)
        .stdout_contains("old: 1.1.0 → 1.2.0 (adopted at 1.1.0: `goose_db_version` records 1 migration and the schema matches 1.1.0)")
        .stderr_contains("`goose_db_version` records `3` (1.2.0) and not `2` (1.1.0)");
    assert_eq!(server_fleet.rows("old", "SELECT body FROM notes"), ["TEA!"]);
    assert_eq!(server_fleet.rows("old", "SELECT count(*) FROM goose_db_version"), ["2"]);
    assert_eq!(server_fleet.dump("odd"), before);
    server_fleet.run(["adopt", "--user", "odd"]).status(1).stderr_contains("and not `2`");
    server_fleet.run(["adopt", "--user", "odd", "--at", "1.2.0"]).status(0);
    assert_eq!(server_fleet.rows("odd", "SELECT body FROM notes"), ["TEA"]);
}

pub(crate) fn an_accepted_column_of_another_definition_counts_as_already_applied() {
    let add = ["ALTER TABLE notes ADD COLUMN pinned TEXT"];
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", &add)
        .execute("ann", &["INSERT INTO notes VALUES (1, 'tea', 'yes')"])
        .execute("bob", &add)
        .document(3, &[]);
    server_fleet.run(["adopt", "--user", "ann", "--accept-drift"]).status(0);
    let before = server_fleet.dump("bob");
    // Both have the same schema, and only one of them accepts it.
    server_fleet
        .run(["upgrade", "--all-users", "-v"])
        .status(1)
        .stdout_contains("ann: 1.0.0 → 1.1.0 (column `notes.pinned` already existed as `TEXT`, not `INTEGER NOT NULL DEFAULT 0` (accepted drift))")
        .stderr_contains("column `notes.pinned` already exists as `TEXT`");
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM notes"), ["1|tea|yes"]);
    assert_eq!(server_fleet.dump("bob"), before);
}

pub(crate) fn a_namespace_with_ignored_objects_only_is_new() {
    let server_fleet = ServerFleet::new(&["ann"]).document(3, &[]);
    server_fleet.sqld.create_namespace("old_longterm");
    for sql in ["CREATE TABLE alembic_version (id)", "INSERT INTO alembic_version VALUES (7)"] {
        server_fleet.sqld.execute("old_longterm", &[sql]);
    }
    server_fleet.sqld.execute("system", &["INSERT INTO users VALUES ('old')"]);
    server_fleet.run(["status"]).status(0).stdout_contains("old     -         new, pending");
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(server_fleet.version("old").as_deref(), Some("1.1.0"));
    assert_eq!(server_fleet.rows("old", "SELECT id FROM alembic_version"), ["7"]);
    server_fleet.run(["verify"]).status(0);
}

pub(crate) fn a_journal_mode_is_refused_for_namespaces() {
    let server_fleet = ServerFleet::new(&[]);
    server_fleet
        .run(["init", "--user", "ann", "--journal-mode", "wal"])
        .status(2)
        .stderr_contains("`--journal-mode` is for files");
    assert!(!server_fleet.sqld.has_namespace("ann_longterm"), "it was made");
}

pub(crate) fn unenforced_foreign_keys_are_reported() {
    let orphan_insert = "INSERT INTO tags (note) VALUES (99);";
    let server_fleet =
        ServerFleet::new(&["ann"]).document(2, &[("user:1.0.0→1.1.0", orphan_insert)]);
    server_fleet.run(["upgrade", "--all-users"]).status(1);
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM tags"), [""; 0]);
    let server_fleet = ServerFleet {
        fleet: server_fleet.fleet.file("tatmig.toml", "foreign_keys = false\n"),
        ..server_fleet
    };
    server_fleet
        .run(["upgrade", "--all-users"])
        .status(0)
        .stdout_contains("1 row refers to missing parents");
    assert_eq!(server_fleet.rows("ann", "SELECT note FROM tags"), ["99"]);
}

pub(crate) fn init_without_an_admin_url_is_refused() {
    let server_fleet = ServerFleet::new(&["ann"]);
    let fleet =
        Fleet::new().env("TATMIG_SERVER", server_fleet.sqld.url()).document(document_with(2, &[]));
    fleet.run(["init", "--user", "bob"]).status(2).stderr_contains("--admin URL");
    // Existing namespaces need no admin address.
    fleet.run(["upgrade", "--all-users"]).status(0);
}

pub(crate) fn seeds_add_no_history_entry() {
    let seeds = [
        ("system:seed:first", "INSERT INTO users VALUES ('ann');"),
        (
            "user:seed:first",
            "INSERT INTO notes (body) VALUES ('one');\nINSERT INTO notes (id, body) VALUES (1, 'again');",
        ),
        ("user:seed:second", "INSERT INTO notes (body) VALUES ('two');"),
    ];
    let server_fleet = ServerFleet::new(&["ann", "bob"]).document(2, &seeds);
    server_fleet.run(["seed", "second", "--all-users"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT body FROM notes"), ["two"]);
    server_fleet.run(["seed", "first", "--all-users"]).status(1);
    assert_eq!(server_fleet.rows("bob", "SELECT body FROM notes"), ["two"]);
    assert_eq!(server_fleet.history("ann"), ["baseline→1.0.0"]);
}

pub(crate) fn an_edited_migration_is_refused_and_shown() {
    let server_fleet =
        ServerFleet::new(&["ann"]).document(2, &[("user:1.0.0→1.1.0", "CREATE TABLE a (x);")]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    let server_fleet = server_fleet.document(2, &[("user:1.0.0→1.1.0", "CREATE TABLE a (x, y);")]);
    server_fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("CREATE TABLE a ( x )")
        .stderr_contains("CREATE TABLE a ( x , y )");
    server_fleet.run(["status"]).stdout_contains("edited");
}

pub(crate) fn unsupported_sql_is_reported_by_lint_and_upgrade() {
    for (sql, message) in [
        ("ANALYZE;", "a libSQL server refuses `ANALYZE`"),
        ("CREATE TEMP TABLE t (x);", "a libSQL server has no temporary tables"),
        ("PRAGMA optimize;", "a libSQL server refuses `PRAGMA optimize`"),
        ("PRAGMA application_id = 7;", "a libSQL server refuses `PRAGMA application_id =`"),
        ("INSERT INTO notes (id, body) VALUES (1_000, 'x');", "does not accept `_` in numbers"),
        (
            "INSERT INTO notes (body) SELECT group_concat(body ORDER BY id) FROM notes HAVING count(*) > 0;",
            "does not accept `ORDER BY` in the arguments",
        ),
        ("INSERT INTO notes (body) VALUES (\"tea\");", "reads it as a string"),
    ] {
        let server_fleet = ServerFleet::new(&["ann"]).document(2, &[("user:1.0.0→1.1.0", sql)]);
        let before = server_fleet.dump("ann");
        server_fleet.run(["lint"]).stderr_contains(message).stderr_contains("MIGRATIONS.md:16");
        server_fleet.run(["lint", "--deny", "warnings"]).status(1);
        // The message of the server or of `lint`, at the place in the document.
        server_fleet.run(["upgrade", "--all-users"]).status(1).stderr_contains("MIGRATIONS.md:16");
        assert_eq!(server_fleet.dump("ann"), before, "{sql}");
    }
    let files = Fleet::from_blocks(USERS_AND_NOTES);
    files
        .run(["lint", "--allow", "missing-date", "--allow", "missing-description"])
        .stderr_lacks("libSQL");
}
