//! Tests `query` on namespaces: the same rows as from files, and nothing is written.

use serde_json::json;

use crate::fleet::ServerFleet;

fn fleet() -> ServerFleet {
    ServerFleet::new(&["ann", "bob"])
}

fn insert(fleet: &ServerFleet, user: &str, sql: &str) {
    fleet.sqld.execute(&format!("{user}_longterm"), &[sql]);
}

pub(crate) fn rows_of_namespaces_are_those_of_files() {
    let fleet = fleet();
    insert(&fleet, "ann", "INSERT INTO notes (body) VALUES ('tea'), ('a,b')");
    insert(&fleet, "bob", "INSERT INTO notes (body) VALUES ('milk')");
    let sql =
        "SELECT id, body, NULL AS n, x'00ff' AS b, 1.5 AS r, 9223372036854775807 AS i FROM notes;";
    fleet.run(["query", sql, "--no-system", "--csv"]).status(0).stderr("").stdout(
        "database,id,body,n,b,r,i\r\n\
         ann,1,tea,,x'00ff',1.5,9223372036854775807\r\n\
         ann,2,\"a,b\",,x'00ff',1.5,9223372036854775807\r\n\
         bob,1,milk,,x'00ff',1.5,9223372036854775807\r\n",
    );
    let sum = fleet.run(["query", "SELECT count(*) AS n FROM notes", "--no-system", "--sum"]);
    sum.status(0).stdout("n\n3\n");
    let json = fleet.run(["query", "SELECT count(*) AS n FROM notes", "--user", "bob", "--json"]);
    assert_eq!(json.status(0).json()["databases"][0]["rows"], json!([{"n": 1}]));
    let empty = fleet.run(["query", "SELECT body FROM notes WHERE 0", "--user", "bob"]);
    empty.status(0).stdout("database  body\n");
}

pub(crate) fn an_error_of_a_namespace_has_its_place() {
    let fleet = fleet();
    let run = fleet.run(["query", "SELECT count(*) AS n FROM notes"]);
    run.status(1)
        .stdout("database  n\nann       0\nbob       0\n")
        .stderr_contains("no such table: notes")
        .stderr_contains("--> SQL:1:27");
}

pub(crate) fn a_statement_that_writes_reaches_no_namespace() {
    let fleet = fleet();
    for sql in [
        "INSERT INTO notes (body) VALUES ('x')",
        "WITH a AS (SELECT 'x') INSERT INTO notes (body) SELECT * FROM a",
        "SELECT 1; INSERT INTO notes (body) VALUES ('x')",
        "DELETE FROM _tatmig_migrations",
        "PRAGMA user_version = 5",
        "ATTACH 'ann_longterm' AS x",
        "COMMIT",
    ] {
        fleet.run(["query", sql]).status(2);
    }
    assert_eq!(fleet.sqld.rows("ann_longterm", "SELECT count(*) FROM notes"), ["0"]);
    assert_eq!(fleet.sqld.rows("ann_longterm", "PRAGMA user_version"), ["0"]);
    fleet.run(["verify"]).status(0);
}

pub(crate) fn an_unknown_namespace_is_an_error() {
    let fleet = fleet();
    fleet.run(["query", "SELECT 1", "--user", "eve"]).status(2).stderr_contains("no namespace");
}
