//! Tests `query`: one statement that reads, on every selected database, and its rows in each format.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use serde_json::json;
use snapbox::str;

use crate::support::{Fleet, NOTES};

/// A system database and two users with rows of every kind.
fn fleet() -> Fleet {
    Fleet::from_blocks(NOTES)
        .system("")
        .user("ann", "")
        .user("bob", "")
        .upgrade_to("1.1.0")
        .system("INSERT INTO accounts VALUES ('ann'), ('bob')")
        .user("ann", "INSERT INTO notes (body, pinned) VALUES ('tea', 1), ('', 0)")
        .user("bob", "INSERT INTO notes (body, pinned) VALUES ('a, \"b\"' || char(10) || 'c', 0)")
}

#[test]
fn a_statement_that_fits_only_the_users_names_the_option_that_leaves_the_system_out() {
    let fleet = Fleet::from_blocks(NOTES).system("").users(2, "").upgrade_to("1.2.0");
    let hint = "`--no-system` leaves the system database out";
    let sql = "SELECT count(*) AS n FROM notes";
    fleet.run(["query", sql]).status(1).stderr_contains(hint);
    fleet.run(["query", sql, "--no-system"]).status(0).stderr_lacks(hint);
    fleet.run(["query", "SELECT no"]).status(1).stderr_lacks(hint);
    fleet.run(["query", sql, "--system"]).status(1).stderr_lacks(hint);
}

#[test]
fn rows_of_all_databases_are_one_table() {
    let fleet = fleet();
    let sql = "SELECT id, body, CASE id WHEN 1 THEN 2.5 END AS price FROM notes";
    fleet.run_without_changes(["query", sql, "--no-system"]).status(0).stderr("").stdout(
        "database  id  body       price\n\
         ann        1  tea          2.5\n\
         ann        2              NULL\n\
         bob        1  a, \"b\"\\nc    2.5\n",
    );
}

#[test]
fn without_a_selection_every_database_is_queried() {
    let fleet = fleet();
    let count = "SELECT count(*) AS tables FROM sqlite_schema WHERE name = 'notes'";
    let all = "database  tables\nsystem         0\nann            1\nbob            1\n";
    fleet.run_without_changes(["query", count]).status(0).stdout(all);
    fleet.run_without_changes(["query", "--all-users", count, "-q"]).status(0).stdout(all);
    let one = "database  tables\nbob            1\n";
    fleet.run_without_changes(["query", count, "--user", "bob"]).status(0).stdout(one);
    let accounts = fleet.run_without_changes(["query", "TABLE accounts", "--system"]);
    accounts.status(2).stderr_contains("`TABLE` is not a statement that reads");
    let accounts = fleet.run_without_changes(["query", "SELECT * FROM accounts", "--system"]);
    accounts.status(0).stdout("database  name\nsystem    ann\nsystem    bob\n");
    fleet.run_without_changes(["query", count, "--user", "eve"]).status(2);
}

#[test]
fn csv_follows_rfc_4180() {
    let fleet = fleet();
    let sql =
        "SELECT body, NULL AS n, x'00ff' AS b, 1e999 AS r, 9223372036854775807 AS i FROM notes";
    fleet.run_without_changes(["query", sql, "--no-system", "--csv"]).status(0).stdout(
        "database,body,n,b,r,i\r\n\
         ann,tea,,x'00ff',Inf,9223372036854775807\r\n\
         ann,\"\",,x'00ff',Inf,9223372036854775807\r\n\
         bob,\"a, \"\"b\"\"\nc\",,x'00ff',Inf,9223372036854775807\r\n",
    );
    // A result without rows has its header.
    let empty = fleet.run_without_changes(["query", "SELECT 1 AS one WHERE 0", "--csv"]);
    empty.status(0).stdout("database,one\r\n");
}

#[test]
fn ndjson_is_one_object_a_line() {
    let fleet = fleet();
    let sql = "SELECT id, id, body, x'00ff' AS database, 1.0 AS r FROM notes WHERE id = 1";
    fleet.run_without_changes(["query", sql, "--no-system", "--ndjson"]).status(0).stdout(
        concat!(
            r#"{"database":"ann","id":1,"id:1":1,"body":"tea","database:1":{"blob":"x'00ff'"},"r":1.0}"#,
            "\n",
            r#"{"database":"bob","id":1,"id:1":1,"body":"a, \"b\"\nc","database:1":{"blob":"x'00ff'"},"r":1.0}"#,
            "\n"
        ),
    );
}

#[test]
fn json_is_one_document() {
    let fleet = fleet();
    let run = fleet.run_without_changes(["query", "SELECT body FROM notes LIMIT 1", "--json"]);
    let document = run.status(1).json();
    assert_eq!(document["command"], "query");
    assert_eq!(document["head"], "1.2.0");
    assert_eq!(document["summary"], json!({"total": 3, "failed": 1, "rows": 2}));
    let [system, ann, bob] = document["databases"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(system["error"]["message"], "no such table: notes");
    assert_eq!(system["error"]["column"], 18);
    assert_eq!(system["rows"], json!([]));
    assert_eq!(ann["name"], "ann");
    assert_eq!(ann["columns"], json!(["body"]));
    assert_eq!(ann["rows"], json!([{"body": "tea"}]));
    assert_eq!(bob["rows"], json!([{"body": "a, \"b\"\nc"}]));
    assert!(bob["error"].is_null());
    let sum = fleet.run_without_changes([
        "query",
        "SELECT count(*) n FROM notes",
        "--no-system",
        "--sum",
        "--json",
    ]);
    assert_eq!(sum.status(0).json()["sum"], json!({"n": 3}));
    let usage = fleet.run_without_changes(["query", "SELEC 1", "--json"]).status(2).json();
    assert_eq!(usage["error"]["message"].as_str().unwrap().split(' ').next(), Some("SQL"));
}

#[test]
fn bytes_that_are_no_text_are_kept_apart() {
    let fleet = fleet();
    let sql = "SELECT CAST(x'61ff0a1b' AS TEXT) AS t FROM notes WHERE id = 1";
    let run = |format: &str| {
        let arguments = ["query", sql, "--user", "ann", format];
        fleet
            .run_without_changes(arguments.iter().filter(|a| !a.is_empty()).collect::<Vec<_>>())
            .status(0)
            .stdout_text()
    };
    assert_eq!(run("-v"), "database  t\nann       a\\xff\\n\\u{1b}\n");
    assert_eq!(run("--ndjson"), "{\"database\":\"ann\",\"t\":{\"text\":\"x'61ff0a1b'\"}}\n");
}

#[test]
fn sum_adds_numbers_over_all_databases() {
    let fleet = fleet();
    let sum = |sql: &str| fleet.run_without_changes(["query", sql, "--no-system", "--sum"]);
    sum("SELECT count(*) AS n, sum(pinned) AS pinned, 0.5 AS half, NULL AS none FROM notes")
        .status(0)
        .stderr("")
        .stdout("n  pinned  half  none\n3       1   1.0  NULL\n");
    // Integers are exact.
    sum("SELECT 9007199254740993 AS big, 0 AS zero FROM notes WHERE id = 1")
        .status(0)
        .stdout("              big  zero\n18014398509481986     0\n");
    sum("SELECT 9223372036854775807 AS big")
        .status(1)
        .stdout("")
        .stderr_contains("the sum of column `big` does not fit into 64 bits");
    sum("SELECT body FROM notes WHERE id < 3").status(1).stderr_contains(
        "2 databases (`ann`, `bob`): `--sum` adds numbers, and column `body` holds something else",
    );
    let partial = fleet.run_without_changes(["query", "SELECT count(*) n FROM notes", "--sum"]);
    partial.status(1).stdout("n\n3\n").stderr_contains("the sum leaves out 1 database that failed");
}

#[test]
fn a_failing_database_is_reported_at_the_end_and_the_others_continue() {
    let fleet = fleet().user("cid", "CREATE TABLE own (x)").file("dan_longterm.db", "a letter");
    let run = fleet.run_without_changes(["query", "SELECT count(*) AS n\nFROM notes"]);
    run.status(1).stdout("database  n\nann       2\nbob       1\n").stderr(str![[r#"
error[sql]: 2 databases (`system`, `cid`): no such table: notes
 --> SQL:2:6
  |
2 | FROM notes
  |      ^^^^^

error: `dan` (dan_longterm.db): not a SQLite database: it does not start with SQLite's header

"#]]);
    // The same reason is reported once for all.
    let run = fleet.run_without_changes(["query", "SELECT 1 FROM missing", "--no-system"]);
    run.status(1).stdout("").stderr_contains("3 databases (`ann`, `bob`, `cid`): no such table");
}

#[test]
fn databases_with_other_columns_are_reported_where_there_is_one_header() {
    let fleet = fleet().user("bob", "ALTER TABLE notes ADD COLUMN extra");
    let message = "`bob` (bob_longterm.db): its columns (`id`, `body`, `pinned`, `extra`) are not those of `ann` (`id`, `body`, `pinned`); name the columns instead of `*`";
    for format in ["-v", "--csv"] {
        let run =
            fleet.run_without_changes(["query", "SELECT * FROM notes", "--no-system", format]);
        run.status(1).stdout_contains("tea").stdout_lacks("bob").stderr_contains(message);
    }
    let run =
        fleet.run_without_changes(["query", "SELECT * FROM notes", "--no-system", "--ndjson"]);
    run.status(0).stdout_contains("\"database\":\"bob\"").stdout_contains("\"extra\":null");
}

#[test]
fn wrong_sql_is_an_error_of_usage_with_its_place() {
    let fleet = fleet();
    for (sql, message, place) in [
        ("SELECT coutn(*) FORM notes", "near \"notes\": syntax error", "SQL:1:22"),
        ("SELECT 1 +", "incomplete input", "SQL:1:"),
        ("SELECT 1;\nSELECT 2", "a second statement begins here", "SQL:2:1"),
        (
            "INSERT INTO notes (body) VALUES ('x')",
            "`INSERT` is not a statement that reads",
            "SQL:1:1",
        ),
        ("WITH a AS (SELECT 1) DELETE FROM notes", "`DELETE` is not", "SQL:1:22"),
        ("UPDATE notes SET body = ''", "`UPDATE` is not", "SQL:1:1"),
        ("DROP TABLE notes", "`DROP` is not", "SQL:1:1"),
        ("CREATE TEMP TABLE t (x)", "`CREATE` is not", "SQL:1:1"),
        ("ATTACH 'x.db' AS x", "`ATTACH` is not", "SQL:1:1"),
        ("VACUUM INTO 'copy.db'", "`VACUUM` is not", "SQL:1:1"),
        ("BEGIN IMMEDIATE", "`BEGIN` is not", "SQL:1:1"),
        ("PRAGMA user_version = 5", "`PRAGMA user_version` may change something", "SQL:1:8"),
        ("PRAGMA journal_mode = WAL", "`PRAGMA journal_mode` may change", "SQL:1:8"),
        ("PRAGMA wal_checkpoint(TRUNCATE)", "`PRAGMA wal_checkpoint` may change", "SQL:1:8"),
        ("SELECT 'open", "has no end", "SQL:1:8"),
        ("SELECT :x", "has a parameter", "SQL:1:8"),
    ] {
        let run = fleet.run_without_changes(["query", sql]);
        run.status(2).stdout("").stderr_contains(message).stderr_contains(place);
    }
    for sql in ["", " ; -- nothing"] {
        fleet
            .run_without_changes(["query", sql])
            .status(2)
            .stderr_contains("the statement is empty");
    }
    let run = fleet.run_without_changes(["query", "SELECT load_extension('x')"]);
    run.status(1).stderr_contains("`load_extension` is not allowed in a query");
    fleet.run_without_changes(["query"]).status(2);
    fleet.run_without_changes(["query", "SELECT 1", "--csv", "--ndjson"]).status(2);
}

#[test]
fn comments_and_a_semicolon_at_the_end_are_fine() {
    let fleet = fleet();
    let sql = "/* a; */ SELECT ';' AS x -- ;\n; ;\n-- the end";
    fleet
        .run_without_changes(["query", sql, "--system"])
        .status(0)
        .stdout("database  x\nsystem    ;\n");
    for sql in ["PRAGMA user_version", "EXPLAIN QUERY PLAN SELECT 1", "VALUES (1)"] {
        fleet.run_without_changes(["query", sql]).status(0);
    }
}

#[test]
fn a_hyphen_reads_the_statement_from_standard_input() {
    let fleet = fleet();
    let run = |sql: &[u8]| {
        let mut command = fleet.command(["query", "-", "--system"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(sql).unwrap();
        fleet.wait(child)
    };
    run(b"-- a comment\nSELECT 7 AS x\n").status(0).stdout("database  x\nsystem    7\n");
    run(b"SELECT '\xff'").status(2).stderr_contains("is not UTF-8");
    run(b"").status(2).stderr_contains("the statement is empty");
}

#[test]
fn a_document_is_not_needed() {
    let fleet = fleet();
    std::fs::remove_file(fleet.path("MIGRATIONS.md")).unwrap();
    let all = "database  x\nsystem    1\nann       1\nbob       1\n";
    fleet.run_without_changes(["query", "SELECT 1 AS x"]).status(0).stderr("").stdout(all);
    std::fs::remove_file(fleet.path("system.db")).unwrap();
    let users = "database  x\nann       1\nbob       1\n";
    fleet.run_without_changes(["query", "SELECT 1 AS x"]).status(0).stderr("").stdout(users);
    fleet
        .run_without_changes(["query", "SELECT 1", "--system"])
        .status(2)
        .stderr_contains("system.db");
    let fleet = fleet.document("-- [user:baseline→1.0.0:start]\n");
    let run = fleet.run_without_changes(["query", "SELECT 1 AS x"]);
    run.status(0).stdout(users).stderr_contains("the document cannot be used");
}

#[test]
fn results_are_in_the_order_of_names_however_many_databases_run_at_once() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).users(150, "CREATE TABLE t (x)");
    let expected: String = std::iter::once("database  n\n".to_owned())
        .chain((0..150).map(|index| format!("u{index:03}      1\n")))
        .collect();
    for jobs in ["1", "3", "32"] {
        let sql = "SELECT count(*) AS n FROM sqlite_schema";
        fleet.run_without_changes(["query", sql, "--jobs", jobs]).status(0).stdout(&expected);
    }
}

#[test]
fn a_large_result_is_written_as_it_comes() {
    let fleet = fleet();
    let sql = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) \
               SELECT x, 'some text to fill the row' AS t FROM n";
    let run = fleet.run_without_changes(["query", sql, "--ndjson", "--no-system"]);
    let text = run.status(0).stderr("").stdout_text();
    assert_eq!(text.lines().count(), 400_000);
    assert_eq!(
        text.lines().last().unwrap(),
        r#"{"database":"bob","x":200000,"t":"some text to fill the row"}"#
    );
    let json =
        fleet.run_without_changes(["query", sql, "--json", "--user", "ann"]).status(0).json();
    assert_eq!(json["databases"][0]["rows"][199_999]["x"], 200_000);
    // A value that is longer than those of the first rows is not cut.
    let sql = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000) \
               SELECT CASE x WHEN 3000 THEN hex(zeroblob(100)) ELSE 'a' END AS t FROM n";
    let run = fleet.run_without_changes(["query", sql, "--user", "ann"]);
    assert!(run.status(0).stdout_text().ends_with(&format!("ann       {}\n", "0".repeat(200))));
}

#[test]
fn a_closed_output_ends_the_query_quietly() {
    let fleet = Fleet::from_blocks(&NOTES[1..]).users(40, "CREATE TABLE t (x)");
    let sql = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000) \
               SELECT x FROM n";
    for format in ["--csv", "--ndjson", "-v"] {
        let mut child = fleet.start(["query", sql, format]);
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 10]).unwrap();
        drop(stdout);
        fleet.wait(child).status(0).stderr("");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_an_error() {
    let fleet = fleet();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = fleet.command(["query", "SELECT 1 AS x"]);
    let child = command.stdout(full).spawn().unwrap();
    fleet.wait(child).status(1).stderr_contains("error: cannot write the rows: ");
}
