//! One test for each tool on a small directory of the form that the tool writes, and tests of what is
//! special in it.

use super::{DOWNS, ToolCase, UPS, document, file, fleet_with, import, rows_of_new_database};

const DATES: [&str; 3] = ["2024-01-31", "2024-02-01", "2024-02-02"];
const NO_DATES: [&str; 3] = ["", "", ""];

#[test]
fn dbmate_is_imported() {
    let text = |index: usize| {
        format!("-- migrate:up\n{}\n\n-- migrate:down\n{}\n", UPS[index], DOWNS[index])
    };
    let case = ToolCase {
        tool: "dbmate",
        path: "db/migrations",
        files: vec![
            file("db/migrations/20240131120000_create_users.sql", text(0)),
            file("db/migrations/20240201120000_add_email.sql", text(1)),
            file("db/migrations/20240202120000_posts.sql", text(2)),
        ],
        keys: ["20240131120000", "20240201120000", "20240202120000"],
        dates: DATES,
        has_downs: true,
    };
    let text = document(&case.check());
    assert!(text.contains("## Baseline → 0.1.0: 20240131120000_create_users\n"), "{text}");
    assert!(text.contains("## 0.1.0 → 0.1.1: 20240201120000_add_email\n"), "{text}");
    assert!(text.contains("**Description**: Add email\n"), "{text}");
}

#[test]
fn goose_is_imported() {
    let text = |index: usize| {
        format!(
            "-- +goose Up\n-- +goose StatementBegin\n{}\n-- +goose StatementEnd\n\n-- +goose Down\n{}\n",
            UPS[index], DOWNS[index]
        )
    };
    // Goose orders the numbers, not the names.
    let files = vec![
        file("m/1_users.sql", text(0)),
        file("m/02_email.sql", text(1)),
        file("m/10_posts.sql", text(2)),
        file("m/10_posts_test.go", ""),
    ];
    let keys = ["1", "2", "10"];
    ToolCase { tool: "goose", path: "m", files, keys, dates: NO_DATES, has_downs: true }.check();
}

#[test]
fn golang_migrate_is_imported() {
    let mut files = vec![file("go.mod", "module notes\n")];
    for (index, name) in ["1_users", "000002_email", "10_posts"].into_iter().enumerate() {
        files.push(file(format!("m/{name}.up.sql"), format!("BEGIN;\n{}\nCOMMIT;\n", UPS[index])));
        files.push(file(format!("m/{name}.down.sql"), DOWNS[index]));
    }
    let keys = ["1", "2", "10"];
    let tool = "golang-migrate";
    ToolCase { tool, path: "m", files, keys, dates: NO_DATES, has_downs: true }.check();
}

#[test]
fn sqlx_is_imported() {
    let files = vec![
        file("m/20240131120000_users.sql", UPS[0]),
        file("m/20240201120000_email.sql", UPS[1]),
        file("m/20240202120000_posts.sql", UPS[2]),
    ];
    let keys = ["20240131120000", "20240201120000", "20240202120000"];
    ToolCase { tool: "sqlx", path: "m", files, keys, dates: DATES, has_downs: false }.check();
}

#[test]
fn sqlx_with_reverse_files_is_imported() {
    let mut files = vec![file("Cargo.toml", "[dependencies]\nsqlx = \"0.8\"\n")];
    let names = ["20240131120000_users", "20240201120000_email", "20240202120000_posts"];
    for (index, name) in names.into_iter().enumerate() {
        files.push(file(format!("m/{name}.up.sql"), UPS[index]));
        files.push(file(format!("m/{name}.down.sql"), DOWNS[index]));
    }
    let keys = ["20240131120000", "20240201120000", "20240202120000"];
    ToolCase { tool: "sqlx", path: "m", files, keys, dates: DATES, has_downs: true }.check();
}

#[test]
fn refinery_is_imported() {
    let files = vec![
        file("Cargo.toml", "[dependencies]\nrefinery = { version = \"0.8\" }\n"),
        file("m/V1__users.sql", UPS[0]),
        file("m/deeper/V2__email.sql", UPS[1]),
        file("m/U10__posts.sql", UPS[2]),
        file("m/mod.rs", ""),
    ];
    let keys = ["1", "2", "10"];
    ToolCase { tool: "refinery", path: "m", files, keys, dates: NO_DATES, has_downs: false }
        .check();
}

#[test]
fn diesel_is_imported() {
    let mut files = Vec::new();
    let names = ["2024-01-31-120000_users", "2024-02-01-120000-0000_email", "20240202120000_posts"];
    for (index, name) in names.into_iter().enumerate() {
        files.push(file(format!("m/{name}/up.sql"), UPS[index]));
        files.push(file(format!("m/{name}/down.sql"), DOWNS[index]));
    }
    files.push(file("m/.keep", ""));
    let keys = ["20240131120000", "202402011200000000", "20240202120000"];
    // Diesel compares the versions as texts.
    files[2].path = "m/2024-02-01-120000_email/up.sql".to_owned();
    files[3].path = "m/2024-02-01-120000_email/down.sql".to_owned();
    let keys = [keys[0], "20240201120000", keys[2]];
    ToolCase { tool: "diesel", path: "m", files, keys, dates: DATES, has_downs: true }.check();
}

#[test]
fn statements_of_goose_without_a_semicolon_stay_apart() {
    let text = "-- a header\n-- +goose NO TRANSACTION\n-- +goose Up\n-- +goose StatementBegin\nCREATE TABLE a (x)\n-- +goose StatementEnd\n-- +goose StatementBegin\nCREATE TABLE b (x) -- last\n-- +goose StatementEnd\nCREATE TABLE c (x);\n";
    let fleet = fleet_with(&[file("m/1_a.sql", text)]);
    import(&fleet, &["m"], 0).stdout_contains("`1_a` was not run in a transaction");
    let text = document(&fleet);
    let sql =
        "-- a header\nCREATE TABLE a (x);\nCREATE TABLE b (x); -- last\nCREATE TABLE c (x);\n--";
    assert!(text.contains(sql), "{text}");
}

#[test]
fn variables_of_goose_are_left_for_a_person() {
    let text = "-- +goose Up\nCREATE TABLE a (x);\n-- +goose ENVSUB ON\nINSERT INTO a VALUES ('${REGION:-eu}');\nINSERT INTO a VALUES ('$REGION');\n-- +goose ENVSUB OFF\nINSERT INTO a VALUES ('$REGION');\n";
    let fleet = fleet_with(&[file("m/1_a.sql", text)]);
    let run = import(&fleet, &["m"], 1);
    run.stderr_contains("m/1_a.sql:4: the tool replaces `${REGION:-eu}` by a value");
    run.stderr_contains("m/1_a.sql:5: the tool replaces `$REGION` by a value");
    run.stderr_lacks("m/1_a.sql:7");
    fleet.run(["lint"]).status(2).stderr_contains("unfinished-block");
}

#[test]
fn migrations_in_other_languages_are_left_for_a_person() {
    let fleet = fleet_with(&[
        file("m/00001_a.sql", "-- +goose Up\nCREATE TABLE a (x);\n"),
        file("m/00002_fill.go", "package m"),
        file("m/00003_b.sql", "-- +goose Up\nCREATE TABLE b (x);\n"),
    ]);
    let run = import(&fleet, &["m"], 1);
    run.stderr("error: MIGRATIONS.md:23: not taken over from m/00002_fill.go:1: `00002_fill.go` is a migration in Go; write the statements that it runs\n");
    let fleet = fleet_with(&[
        file("m/V1__a.sql", "CREATE TABLE a (x);\n"),
        file("m/V2__fill.rs", "pub fn migration() -> String {}"),
    ]);
    import(&fleet, &["m"], 1)
        .stderr_contains("m/V2__fill.rs:1: `V2__fill.rs` is a migration in Rust");
}

#[test]
fn a_rebuild_keeps_its_rows_without_the_pragmas_around_it() {
    let rebuild = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE new_a (x TEXT NOT NULL);\nINSERT INTO new_a (x) SELECT x FROM a;\nDROP TABLE a;\nALTER TABLE new_a RENAME TO a;\nPRAGMA foreign_key_check;\nCOMMIT;\nPRAGMA foreign_keys=ON;\n";
    let fleet = fleet_with(&[
        file("m/20240131120000_a.sql", "CREATE TABLE a (x);\nINSERT INTO a VALUES ('kept');\n"),
        file("m/20240201120000_b.sql", rebuild),
    ]);
    let run = import(&fleet, &["m"], 0);
    run.stdout_contains("`BEGIN` and `COMMIT` are left out");
    run.stdout_contains("`PRAGMA foreign_keys` and `PRAGMA defer_foreign_keys` are left out");
    run.stdout_contains("PRAGMAs that only check are left out");
    assert!(!document(&fleet).contains("PRAGMA"));
    assert_eq!(rows_of_new_database(&fleet, "SELECT x FROM a"), ["kept"]);
}

#[test]
fn a_down_part_without_statements_makes_no_reverse_block() {
    let text = "-- migrate:up\nCREATE TABLE a (x);\n-- migrate:down\n-- it cannot be undone\n";
    let fleet = fleet_with(&[file("m/1_a.sql", text)]);
    import(&fleet, &["m"], 0)
        .stdout_contains("no reverse block, because the down part has no statement: `1_a`");
    assert!(!document(&fleet).contains("0.1.0→baseline"));
}

#[test]
fn markers_in_the_wrong_place_are_errors() {
    for (text, expected) in [
        ("CREATE TABLE a (x);\n-- migrate:up\n", "m/1_a.sql:1: a statement above `-- migrate:up`"),
        ("-- migrate:down\n-- migrate:up\n", "m/1_a.sql:1: `-- migrate:down` must be once"),
        (
            "-- migrate:up\n-- migrate:down\n-- migrate:up\n",
            "m/1_a.sql:3: a second `-- migrate:up`",
        ),
        ("-- nothing\n", "m/1_a.sql:1: the file has no line `-- migrate:up`"),
    ] {
        let fleet = fleet_with(&[file("m/1_a.sql", text)]);
        import(&fleet, &["m", "--from", "dbmate"], 2).stderr_contains(expected);
    }
    for (text, expected) in [
        ("SELECT 1;\n-- +goose Up\n", "m/1_a.sql:1: a statement above `-- +goose Up`"),
        ("-- +goose Down\n", "m/1_a.sql:1: `+goose Down` is in the wrong place"),
        (
            "-- +goose Up\n-- +goose StatementBegin\n",
            "m/1_a.sql:2: `-- +goose StatementBegin` without",
        ),
        (
            "-- +goose Up\n-- +goose StatementEnd\n",
            "m/1_a.sql:2: `+goose StatementEnd` has no partner",
        ),
        ("-- +goose Up\n-- +goose Dwn\n", "m/1_a.sql:2: `+goose Dwn` is not an annotation"),
        ("CREATE TABLE a (x);\n", "m/1_a.sql:1: a statement above `-- +goose Up`"),
        ("-- nothing\n", "m/1_a.sql:1: the file has no line `-- +goose Up`"),
    ] {
        let fleet = fleet_with(&[file("m/1_a.sql", text)]);
        import(&fleet, &["m", "--from", "goose"], 2).stderr_contains(expected);
    }
}
