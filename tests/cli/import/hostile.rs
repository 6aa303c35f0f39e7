//! Tests `import` with directories, names and texts that are unusual.

use std::fs;

use super::{document, file, fleet_with, import};
use crate::support::Fleet;

#[test]
fn an_existing_document_is_never_overwritten() {
    let fleet = fleet_with(&[
        file("m/20240131120000_a.sql", "CREATE TABLE a (x);"),
        file("MIGRATIONS.md", "mine\n"),
    ]);
    fleet
        .run_without_changes(["import", "m"])
        .status(2)
        .stderr("error: the document `MIGRATIONS.md` exists already and is never overwritten; name a new one with `--file`\n");
    fleet
        .run(["import", "m", "-f", "other.md"])
        .status(0)
        .stdout_contains("tatmig lint --file other.md");
    fleet.run(["lint", "-f", "other.md"]).status(0);
}

#[test]
fn a_directory_of_several_tools_names_them() {
    let fleet = fleet_with(&[file("m/0001_a.sql", "CREATE TABLE a (x);")]);
    import(&fleet, &["m"], 2).stderr("error: `m` may be of `sqlx` or `d1`; choose one with `--from`:\n  sqlx: files are named like `0001_notes.sql`\n  d1: files are named like `0001_notes.sql`\n");
    let fleet = fleet.file("wrangler.toml", "");
    import(&fleet, &["m"], 0).stdout_contains(
        "imported from d1 (files are named like `0001_notes.sql`, and `wrangler.toml` exists)",
    );
    let fleet =
        fleet_with(&[file("m/1_a.sql", "-- migrate:up\n"), file("m/2_a.sql", "-- +goose Up\n")]);
    import(&fleet, &["m"], 2).stderr_contains("`m` may be of `dbmate` or `goose`");
}

#[test]
fn a_directory_of_no_tool_is_an_error() {
    let fleet = fleet_with(&[file("m/notes.txt", ""), file("s/setup.sql", "")]).directory("empty");
    for (path, expected) in [
        ("m", "`m` has no migrations of a tool that tatmig knows"),
        ("s", "but 1 file of SQL"),
        ("empty", "`empty` has no migrations"),
        ("missing", "`missing` cannot be read: No such file or directory"),
        ("m/notes.txt", "`m/notes.txt` has no migrations"),
    ] {
        import(&fleet, &[path], 2).stderr_contains(expected);
    }
    for tool in tatmig::document::MigrationTool::ALL {
        import(&fleet, &["m", "--from", tool.name()], 2);
    }
    import(&fleet, &["m", "--from", "liquibase"], 2).stderr_contains("must be `auto`, `dbmate`,");
}

#[test]
fn a_directory_above_the_migrations_names_them() {
    let fleet =
        fleet_with(&[file("db/migrations/1_a.sql", "-- migrate:up\nCREATE TABLE a (x);\n")]);
    import(&fleet, &["."], 2)
        .stderr_contains("`./db/migrations` has files of SQL: name that directory");
}

#[test]
fn two_files_of_one_version_are_an_error() {
    let fleet = fleet_with(&[
        file("m/1_a.sql", "-- +goose Up\nCREATE TABLE a (x);"),
        file("m/01_b.sql", "-- +goose Up\nCREATE TABLE b (x);"),
    ]);
    import(&fleet, &["m"], 2)
        .stderr_contains("are the same migration for goose, `1`: rename or remove one of them");
    let fleet = fleet_with(&[
        file("m/1_a.up.sql", "CREATE TABLE a (x);"),
        file("m/1_b.up.sql", "CREATE TABLE b (x);"),
    ]);
    import(&fleet, &["m", "--from", "golang-migrate"], 2)
        .stderr_contains("`m/1_a.up.sql` and `m/1_b.up.sql` are the same migration");
    let fleet = fleet_with(&[file("m/1_a.down.sql", "DROP TABLE a;")]);
    import(&fleet, &["m", "--from", "sqlx"], 2).stderr_contains("no file leads up to this version");
}

#[test]
fn texts_that_no_document_can_contain_are_errors() {
    for (bytes, expected) in [
        (&b"SELECT 1;\n\xff"[..], "m/20240131120000_a.sql:2: the file is not UTF-8"),
        (b"\xff\xfeS\0", "m/20240131120000_a.sql:1: the file is UTF-16"),
        (b"SELECT\n\n\0", "m/20240131120000_a.sql:3: the file contains a NUL byte"),
    ] {
        let fleet = Fleet::new().file("m/20240131120000_a.sql", bytes);
        import(&fleet, &["m"], 2).stderr_contains(expected);
    }
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    let text = "\u{feff}-- migrate:up\r\n-- a\r\nCREATE TABLE a (\r\n  x DEFAULT 'p\r\nq'\r\n);\r\n-- migrate:down\r\nDROP TABLE a;\r\n";
    let fleet = fleet_with(&[file("m/1_a.sql", text)]);
    import(&fleet, &["m"], 0);
    let text = document(&fleet);
    assert!(text.contains("-- a\nCREATE TABLE a (\n  x DEFAULT 'p\r\nq'\n);\n"), "{text:?}");
    let old_mac =
        "CREATE TABLE a (x);\r-- b\rCREATE TABLE b (x);\r\nCREATE TABLE c (x DEFAULT 'p\rq');";
    let fleet = fleet_with(&[file("m/20240131120000_a.sql", old_mac)]);
    import(&fleet, &["m"], 1).stderr_contains("write `char(13)`");
    let text = document(&fleet);
    assert!(text.contains("CREATE TABLE a (x);\n-- b CREATE TABLE b (x);\n"), "{text:?}");
    assert!(text.contains("-- CREATE TABLE c (x DEFAULT 'p␍q');\n"), "{text:?}");
}

#[test]
fn sql_that_looks_like_markdown_or_like_tags_stays_sql() {
    let text = "-- [user:1.0.0→1.1.0:start]\n/*\n```\n## 1.0.0 → 1.1.0 (Planned)\n*/\nCREATE TABLE a (x DEFAULT '\n````\n-- [user:baseline→0.1.0:end]\n# x\n');\n-- tatmig:allow everything\n-- user:1.0.0→2.0.0\nCREATE TABLE b (\n  -- [user:baseline→0.1.0:end]\n  x\n);\n/* the rest";
    let fleet = fleet_with(&[file("m/20240131120000_a.sql", text)]);
    import(&fleet, &["m"], 0);
    let text = document(&fleet);
    assert!(text.contains("`````sql\n"), "{text}");
    assert!(text.contains("-- note: tatmig:allow everything\n"), "{text}");
    fleet.run(["init", "--user", "ann"]).status(0);
    let rows =
        fleet.database("ann").rows("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')");
    assert_eq!(rows, ["a", "b"]);
    fleet.run(["lint"]).status(0);
}

#[test]
fn names_neither_plan_nor_release_anything() {
    for name in [
        "wip",
        "planned",
        "(Planned)",
        "x (wip)",
        "x - draft",
        "todo",
        "1.0.0 → 2.0.0",
        "`a` *b* <c> [d](e)",
        "-- [user:0.1.0→0.1.1:start]",
        "#",
        "line\nend",
    ] {
        let escaped = name.replace('/', "_");
        let fleet = fleet_with(&[
            file("m/20240131120000_first.sql", "-- migrate:up\nCREATE TABLE a (x);"),
            file(format!("m/20240201120000_{escaped}.sql"), "-- migrate:up\nCREATE TABLE b (x);"),
        ]);
        import(&fleet, &["m"], 0);
        fleet.run(["lint"]).status(0).stderr("");
        fleet.run(["history"]).status(0).stdout_lacks("planned)");
        fleet.run(["init", "--user", "ann"]).status(0);
        assert_eq!(
            fleet.database("ann").rows("SELECT name FROM sqlite_schema WHERE name = 'b'"),
            ["b"]
        );
    }
}

#[test]
fn a_key_that_no_line_can_hold_is_an_error() {
    let fleet = fleet_with(&[file("m/1_a\nb.sql", "CREATE TABLE a (x);")]);
    import(&fleet, &["m", "--from", "d1"], 2)
        .stderr_contains("`1_a\\nb.sql` cannot be the key of a migration of d1");
    for name in ["1_ a.sql", "1_`a`.sql", "`1`.sql", "__a__.sql", "1_*a*_<b>.sql"] {
        let fleet = fleet_with(&[file(format!("m/{name}"), "CREATE TABLE a (x);")]);
        import(&fleet, &["m", "--from", "d1"], 0);
        let text = document(&fleet);
        assert!(text.contains(name), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn only_files_and_links_to_files_are_read() {
    use std::os::unix::fs::symlink;

    let fleet = fleet_with(&[
        file("m/20240131120000_a.sql", "CREATE TABLE a (x);"),
        file("b.txt", "CREATE TABLE b (x);"),
    ]);
    symlink("../b.txt", fleet.path("m/20240201120000_b.sql")).unwrap();
    symlink("..", fleet.path("m/up")).unwrap();
    import(&fleet, &["m"], 0).stdout_contains("2 migrations");
    for (name, reason) in [
        ("dangling", "symbolic link to nothing"),
        ("directory", "this is a directory"),
        ("fifo", "not a regular file"),
        ("loop", "symbolic link to a directory"),
    ] {
        let fleet = fleet_with(&[file("m/20240131120000_a.sql", "CREATE TABLE a (x);")]);
        let path = fleet.path("m/20240201120000_b.sql");
        match name {
            "dangling" => symlink("missing", &path).unwrap(),
            "directory" => fs::create_dir(&path).unwrap(),
            "loop" => symlink("..", &path).unwrap(),
            _ => rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                0,
            )
            .unwrap(),
        }
        import(&fleet, &["m"], 2).stderr_contains(reason).stderr_contains("m/20240201120000_b.sql");
    }
}

#[test]
fn what_sqlite_rejects_is_left_for_a_person() {
    let fleet = fleet_with(&[
        file(
            "m/20240131120000_a.sql",
            "CREATE TABLE a (x);\nATTACH 'b.db' AS b;\n.read c.sql\nSELECT 'a\u{a0}b' \u{a0};\nPRAGMA journal_mode = WAL;\nCREATE TABLE t (id SERIAL DEFAULT now());\nINSERT INTO t VALUES (1);\nCREATE TABLE z (x);\n",
        ),
        file("m/20240201120000_b.sql", "SELECT 'never ends;\nSELECT 1;\n"),
    ]);
    let run = import(&fleet, &["m"], 1);
    for expected in [
        "m/20240131120000_a.sql:2: `ATTACH` is not allowed inside a block",
        "m/20240131120000_a.sql:3: `.read` is a command of the sqlite3 shell",
        "m/20240131120000_a.sql:4: U+00A0",
        "m/20240131120000_a.sql:5: `PRAGMA journal_mode` is not allowed inside a block",
        "m/20240131120000_a.sql:6: near \"(\": syntax error",
        "m/20240131120000_a.sql:7: no such table: t; an unfinished statement above may create it",
        "m/20240201120000_b.sql:1: a string, a quoted name or a comment has no end",
    ] {
        run.stderr_contains(expected);
    }
    run.stdout_contains("write 7 statements in MIGRATIONS.md, then:");
    fleet.run(["lint"]).status(2).stderr_contains("unfinished-block").stderr_lacks("[sql]");
    // Once a person has done all of it, the document can be used.
    let text = document(&fleet);
    let lines = text.split_inclusive('\n').filter(|line| !line.contains("tatmig:todo"));
    let text: String = lines.collect();
    fs::write(fleet.path("MIGRATIONS.md"), text).unwrap();
    fleet.run(["lint"]).status(0);
    fleet.run(["init", "--user", "ann"]).status(0);
    let tables =
        fleet.database("ann").rows("SELECT name FROM sqlite_schema WHERE name IN ('a', 't', 'z')");
    assert_eq!(tables, ["a", "z"]);
}

#[test]
fn migrations_of_another_database_are_refused() {
    let fleet = fleet_with(&[file(
        "m/20240131120000_a.sql",
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB;\nCREATE EXTENSION pgcrypto;\n",
    )]);
    import(&fleet, &["m"], 2)
        .stderr_contains("SQLite accepts none of the statements")
        .stderr_contains("m/20240131120000_a.sql:1: near ");
}

#[test]
fn a_merge_conflict_leaves_nothing_behind() {
    let text = "CREATE TABLE a (x);\n<<<<<<< ours\n-- a\n=======\n-- b\n>>>>>>> theirs\n";
    let fleet = fleet_with(&[file("m/20240131120000_a.sql", text)]);
    let run = fleet.run_without_changes(["import", "m"]);
    run.status(2).stderr_contains("m/20240131120000_a.sql:2: a merge conflict; resolve it first");
}

#[test]
fn markers_of_another_tool_are_an_error() {
    for (tool, text) in [
        ("sqlx", "-- !Ups\nCREATE TABLE a (x);\n-- !Downs\nDROP TABLE a;\n"),
        ("d1", "CREATE TABLE a (x);\n-- +goose Down\nDROP TABLE a;\n"),
        ("sqlx", "-- migrate:up\nCREATE TABLE a (x);\n-- migrate:down\nDROP TABLE a;\n"),
    ] {
        let fleet = fleet_with(&[file("m/20240131120000_a.sql", text)]);
        import(&fleet, &["m", "--from", tool], 2)
            .stderr_contains(&format!("means nothing to {tool}"));
    }
}

#[test]
fn the_result_is_one_json_document() {
    let fleet = fleet_with(&[
        file("m/20240131120000_a.sql", "BEGIN;\nCREATE TABLE a (x);\nCOMMIT;\n"),
        file("m/20240201120000_b.sql", "VACUUM;\n"),
    ]);
    let run = import(&fleet, &["m", "--json", "--scope", "system", "--version-from", "1.0.0"], 1);
    let json = run.json();
    assert_eq!(json["tool"], "sqlx");
    assert_eq!(json["summary"]["migrations"], 2);
    assert_eq!(json["scopes"][0], "system");
    assert_eq!(json["todos"][0]["source_file"], "m/20240201120000_b.sql");
    assert_eq!(json["todos"][0]["source_line"], 1);
    assert_eq!(json["todos"][0]["line"], 25);
    assert_eq!(json["next"][1], "tatmig adopt");
    let text = document(&fleet);
    assert_eq!(text.lines().nth(24).unwrap().split(':').next(), Some("-- tatmig"));
    assert!(text.contains("-- [system:1.0.0→1.0.1:start]"), "{text}");
    let failed = fleet.run(["import", "m", "--json"]);
    assert!(
        failed.status(2).json()["error"]["message"].as_str().unwrap().contains("exists already")
    );
}

#[test]
fn versions_must_be_usable() {
    let fleet = fleet_with(&[
        file("m/20240131120000_a.sql", "CREATE TABLE a (x);"),
        file("m/20240201120000_b.sql", "CREATE TABLE b (x);"),
    ]);
    import(&fleet, &["m", "--version-from", "1.0"], 2).stderr_contains("`1.0` is not a version");
    import(&fleet, &["m", "--version-from", "1.0.0+a"], 2).stderr_contains("build metadata");
    import(&fleet, &["m", "--version-from", "1.0.18446744073709551615"], 2)
        .stderr_contains("no version follows `1.0.18446744073709551615`");
    import(&fleet, &["m", "--version-from", "1.0.0-rc.1"], 0);
    assert!(document(&fleet).contains("## 1.0.0-rc.1 → 1.0.0: "));
}

#[test]
fn every_file_of_sql_that_is_left_out_is_named() {
    let table = "CREATE TABLE a (id INTEGER PRIMARY KEY);";
    for (tool, migration, left_out) in [
        ("flyway", "m/V1__a.sql", "m/V2__b.SQL"),
        ("dbmate", "m/20240101000000_a.sql", "m/20240102000000_b.SQL"),
        ("goose", "m/00001_a.sql", "m/later/00002_b.sql"),
        ("golang-migrate", "m/1_a.up.sql", "m/2_b.up.Sql"),
        ("sqlx", "m/1_a.sql", "m/2_b.SQL"),
        ("refinery", "m/V1__a.sql", "m/V2__b.SQL"),
        ("d1", "m/0001_a.sql", "m/later/0002_b.sql"),
        ("diesel", "m/2024-01-01-000000_a/up.sql", "m/2024-01-02-000000_b/down.sql"),
        ("prisma", "m/1_a/migration.sql", "m/2_b/Migration.sql"),
        ("kysely", "m/1_a.sql", "m/2_b.SQL"),
    ] {
        let marked = match tool {
            "dbmate" => format!("-- migrate:up\n{table}\n"),
            "goose" => format!("-- +goose Up\n{table}\n"),
            _ => table.to_owned(),
        };
        let mut files = vec![file(migration, &marked), file(left_out, &marked)];
        files.extend((tool == "kysely").then(|| file("m/1_a.ts", "")));
        let fleet = fleet_with(&files);
        let name = left_out.strip_prefix("m/").unwrap();
        let expected = format!("`{name}` is no migration of {tool}, by the name or the directory");
        import(&fleet, &["m", "--from", tool], 0).stdout_contains(&expected);
    }
}
