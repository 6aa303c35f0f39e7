//! Tests that the safety rules hold for namespaces whose schema differs from the document's: each is
//! refused and left unchanged, while others are upgraded.

use crate::fleet::ServerFleet;

/// Expects that the upgrade to 1.1.0 with this block refuses Ann's namespace, which then has run
/// `drift`, with these texts, and upgrades Bob's.
#[track_caller]
fn assert_refused(drift: &[&str], block: &str, texts: &[&str]) {
    let server_fleet = ServerFleet::new(&["ann", "bob"])
        .execute("ann", drift)
        .document(2, &[("user:1.0.0→1.1.0", block)]);
    let before = server_fleet.dump("ann");
    let run = server_fleet.run(["upgrade", "--all-users"]);
    run.status(1);
    for text in texts {
        run.stderr_contains(text);
    }
    assert_eq!(server_fleet.dump("ann"), before);
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.1.0"));
}

const REBUILD: &str = "CREATE TABLE new_notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);\n\
                       INSERT INTO new_notes (id, body) SELECT id, body FROM notes;\n\
                       DROP TABLE notes;\n\
                       ALTER TABLE new_notes RENAME TO notes;";

pub(crate) fn a_rebuild_keeps_what_the_document_does_not_have() {
    for (drift, loss) in [
        ("ALTER TABLE notes ADD COLUMN colour TEXT DEFAULT 'red'", "column `colour`"),
        ("CREATE INDEX own ON notes (body, id)", "index `own`"),
        ("CREATE TRIGGER own AFTER DELETE ON notes BEGIN DELETE FROM tags; END", "trigger `own`"),
    ] {
        let drift = [drift, "INSERT INTO notes (body) VALUES ('tea')"];
        assert_refused(&drift, REBUILD, &["error[undocumented-loss]", loss, "MIGRATIONS.md:18"]);
    }
}

pub(crate) fn a_table_with_rows_that_the_document_does_not_have_is_not_dropped() {
    let block = "DROP TABLE IF EXISTS extra;\nCREATE TABLE extra (x);";
    let drift = ["CREATE TABLE extra (y)", "INSERT INTO extra VALUES (1)"];
    let texts = ["error[undocumented-loss]", "this drops table `extra`, which holds rows"];
    assert_refused(&drift, block, &texts);
    // Without rows nothing is lost.
    let server_fleet = ServerFleet::new(&["ann"])
        .execute("ann", &drift[..1])
        .document(2, &[("user:1.0.0→1.1.0", block)]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT name FROM pragma_table_info('extra')"), ["x"]);
}

pub(crate) fn a_column_that_was_already_applied_is_not_overwritten() {
    let block = "ALTER TABLE notes ADD COLUMN state TEXT;\nUPDATE notes SET state = 'new';";
    let drift = [
        "ALTER TABLE notes ADD COLUMN state TEXT",
        "INSERT INTO notes (body, state) VALUES ('tea', 'done')",
    ];
    assert_refused(&drift, block, &["error[overwrite]", "`notes.state`"]);
}

pub(crate) fn columns_in_another_order_are_not_copied_by_position() {
    let block = "CREATE TABLE new_notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);\n\
                 INSERT INTO new_notes SELECT * FROM notes;\n\
                 DROP TABLE notes;\n\
                 ALTER TABLE new_notes RENAME TO notes;";
    let drift = [
        "DROP TABLE notes",
        "CREATE TABLE notes (body TEXT NOT NULL, id INTEGER PRIMARY KEY)",
        "INSERT INTO notes (body) VALUES ('tea')",
    ];
    let texts = ["error[positional-copy]", "the document has id, body, this database has body, id"];
    assert_refused(&drift, block, &texts);
}

pub(crate) fn a_view_that_the_document_does_not_have_is_not_broken() {
    let drift = ["CREATE VIEW own AS SELECT note FROM tags"];
    assert_refused(&drift, "DROP TABLE tags;", &["error[dangling-reference]", "`own`"]);
}

pub(crate) fn a_block_may_allow_a_safety_rule() {
    let block = format!("-- tatmig:allow undocumented-loss nobody uses colours\n{REBUILD}");
    let server_fleet = ServerFleet::new(&["ann"])
        .execute(
            "ann",
            &[
                "ALTER TABLE notes ADD COLUMN colour TEXT",
                "INSERT INTO notes (body) VALUES ('tea')",
            ],
        )
        .document(2, &[("user:1.0.0→1.1.0", &block)]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(server_fleet.rows("ann", "SELECT * FROM notes"), ["1|tea"]);
}

pub(crate) fn a_rebuild_keeps_the_autoincrement_counter() {
    let create = "CREATE TABLE visits (id INTEGER PRIMARY KEY AUTOINCREMENT);";
    let rebuild = "CREATE TABLE visits_new (id INTEGER PRIMARY KEY AUTOINCREMENT);\n\
                   INSERT INTO visits_new (id) SELECT id FROM visits;\n\
                   DROP TABLE visits;\n\
                   ALTER TABLE visits_new RENAME TO visits;";
    let first = ("user:1.0.0→1.1.0", create);
    let server_fleet = ServerFleet::new(&["ann", "bob"]).document(2, &[first]);
    server_fleet.run(["upgrade", "--all-users"]).status(0);
    let visits = ["INSERT INTO visits VALUES (1), (7)", "DELETE FROM visits WHERE id = 7"];
    let server_fleet = server_fleet.execute("ann", &visits).execute("bob", &visits[..1]);
    let server_fleet = server_fleet.document(2, &[first, ("user:1.1.0→1.2.0", rebuild)]);
    let before = server_fleet.dump("ann");
    server_fleet
        .run(["upgrade", "--all-users"])
        .status(1)
        .stderr_contains("counter")
        .stderr_contains("was 7 before the migration 1.1.0 → 1.2.0 rebuilt it, and 1 after");
    assert_eq!(server_fleet.dump("ann"), before);
    assert_eq!(server_fleet.version("bob").as_deref(), Some("1.2.0"));
}
