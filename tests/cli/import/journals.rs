//! Tests the import of migrations of Flyway, Drizzle, Prisma and Cloudflare D1.

use super::{DOWNS, ToolCase, UPS, document, file, fleet_with, import, rows_of_new_database};

const DATES: [&str; 3] = ["2024-01-31", "2024-02-01", "2024-02-02"];
const NO_DATES: [&str; 3] = ["", "", ""];

#[test]
fn flyway_is_imported() {
    let mut files = Vec::new();
    // Flyway orders the parts of versions as numbers.
    for (index, name) in ["1_9__users", "1.10__email", "002__posts"].into_iter().enumerate() {
        files.push(file(format!("m/V{name}.sql"), UPS[index]));
        files.push(file(format!("m/undo/U{name}.sql"), DOWNS[index]));
    }
    let keys = ["1.9", "1.10", "002"];
    ToolCase { tool: "flyway", path: "m", files, keys, dates: NO_DATES, has_downs: true }.check();
}

#[test]
fn repeatable_migrations_of_flyway_are_the_last_ones() {
    let fleet = fleet_with(&[
        file("m/V20240131__a.sql", "CREATE TABLE a (x);\nINSERT INTO a VALUES ('${ region }');"),
        file("m/R__views.sql", "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT x FROM a;"),
        file("m/R__a_first.sql", "DROP VIEW IF EXISTS w;\nCREATE VIEW w AS SELECT x FROM a;"),
        file("m/V3__code.java", ""),
        file("m/callbacks/beforeMigrate.sql", "SELECT 1;"),
    ]);
    let run = import(&fleet, &["m"], 1);
    run.stdout_contains("repeatable migrations become the last migrations, and tatmig runs them once: `R__a_first.sql`, `R__views.sql`");
    run.stdout_contains("`callbacks/beforeMigrate.sql` is no migration of flyway");
    run.stderr_contains("m/V20240131__a.sql:2: the tool replaces `${ region }` by a value");
    run.stderr_contains("m/V3__code.java:1: `V3__code.java` is a program");
    let text = document(&fleet);
    let keys: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("**Imported**: flyway ")).collect();
    assert_eq!(keys, ["3", "20240131", "`R__a_first.sql`", "`R__views.sql`"]);
}

#[test]
fn a_baseline_migration_of_flyway_is_used_where_nothing_else_leads_there() {
    let baseline = file("m/B3__all.sql", "CREATE TABLE a (x);\nCREATE TABLE b (x);");
    let fleet = fleet_with(&[baseline, file("m/V4__c.sql", "CREATE TABLE c (x);")]);
    import(&fleet, &["m"], 0);
    assert!(document(&fleet).contains("**Imported**: flyway 3\n"));
    let baseline = file("m/B3__all.sql", "CREATE TABLE a (x);\nCREATE TABLE b (x);");
    let fleet = fleet_with(&[
        baseline,
        file("m/V1__a.sql", "CREATE TABLE a (x);"),
        file("m/V3__b.sql", "CREATE TABLE b (x);"),
    ]);
    import(&fleet, &["m"], 0)
        .stdout_contains("`m/B3__all.sql` is left out")
        .stdout_contains("2 migrations");
    let fleet = fleet_with(&[
        file("m/B1__a.sql", "CREATE TABLE a (x);"),
        file("m/B2__b.sql", "CREATE TABLE a (x);"),
    ]);
    import(&fleet, &["m"], 2).stderr_contains("`m/B1__a.sql` is a baseline migration as well");
}

#[test]
fn versions_of_flyway_that_are_equal_are_an_error() {
    let fleet = fleet_with(&[
        file("m/V1.0__a.sql", "CREATE TABLE a (x);"),
        file("m/V01__b.sql", "CREATE TABLE b (x);"),
    ]);
    import(&fleet, &["m"], 2).stderr_contains("are the same migration for flyway");
    let fleet = fleet_with(&[file("m/U1__a.sql", "DROP TABLE a;")]);
    import(&fleet, &["m", "--from", "flyway"], 2).stderr_contains("no file `V…` has this version");
    let fleet = fleet_with(&[file("m/V1__a.sql", "CREATE TABLE a (x);")]);
    import(&fleet, &["m"], 2).stderr_contains("`m` may be of `refinery` or `flyway`");
}

/// The statements of a migration as drizzle-kit separates them.
fn with_breakpoints(sql: &str) -> String {
    let mut text = sql.replace(";\nCREATE", ";--> statement-breakpoint\nCREATE");
    if text.ends_with("REFERENCES users (id));") {
        text.truncate(text.len() - 1);
    }
    text
}

#[test]
fn drizzle_is_imported() {
    let journal = r#"{"version": "7", "dialect": "sqlite", "entries": [
        {"idx": 0, "version": "6", "when": 1706702400000, "tag": "0000_users", "breakpoints": true},
        {"idx": 1, "version": "6", "when": 1706788800123, "tag": "0001_email", "breakpoints": true},
        {"idx": 2, "version": "6", "when": 1706875200000, "tag": "0002_posts", "breakpoints": true}]}"#;
    let files = vec![
        file("drizzle/0000_users.sql", with_breakpoints(UPS[0])),
        file("drizzle/0001_email.sql", with_breakpoints(UPS[1])),
        file("drizzle/0002_posts.sql", UPS[2]),
        file("drizzle/meta/_journal.json", journal),
        file("drizzle/meta/0000_snapshot.json", "{}"),
    ];
    let keys = ["1706702400000", "1706788800123", "1706875200000"];
    let case =
        ToolCase { tool: "drizzle", path: "drizzle", files, keys, dates: DATES, has_downs: false };
    assert!(!document(&case.check()).contains("breakpoint"));
}

#[test]
fn directories_of_drizzle_are_imported() {
    let mut files = Vec::new();
    let names = ["20240131120000_users", "20240201120000_email", "20240202120000_posts"];
    for (index, name) in names.into_iter().enumerate() {
        files.push(file(format!("drizzle/{name}/migration.sql"), with_breakpoints(UPS[index])));
        files.push(file(format!("drizzle/{name}/snapshot.json"), "{}"));
    }
    files[4].text = UPS[2].to_owned();
    let keys = ["1706702400000", "1706788800000", "1706875200000"];
    ToolCase { tool: "drizzle", path: "drizzle", files, keys, dates: DATES, has_downs: false }
        .check();
}

#[test]
fn statements_of_drizzle_without_a_semicolon_stay_apart() {
    let journal = r#"{"entries": [{"when": 1, "tag": "0000_a"}]}"#;
    let text = "CREATE TABLE a (x)\n--> statement-breakpoint\nCREATE TABLE b (x DEFAULT '--> statement-breakpoint')\n--> statement-breakpoint\nPRAGMA foreign_keys=OFF;--> statement-breakpoint\nCREATE TABLE c (x)";
    let fleet = fleet_with(&[
        file("d/0000_a.sql", text),
        file("d/0001_unlisted.sql", "CREATE TABLE z (x);"),
        file("d/meta/_journal.json", journal),
    ]);
    import(&fleet, &["d"], 0).stdout_contains("`0001_unlisted.sql` is no migration of drizzle, since the journal does not list it: left out");
    assert_eq!(
        rows_of_new_database(
            &fleet,
            "SELECT name FROM sqlite_schema WHERE length(name) = 1 ORDER BY 1"
        ),
        ["a", "b", "c"]
    );
}

#[test]
fn a_journal_must_be_complete_and_of_sqlite() {
    for (journal, expected) in [
        ("[]", "this is not a journal of Drizzle"),
        (
            "{\"entries\": [{\"when\": 1, \"tag\": \"0000_a\"}]}",
            "`d/0000_a.sql` cannot be read: the file does not exist",
        ),
        ("{\"dialect\": \"postgresql\", \"entries\": []}", "the migrations are for `postgresql`"),
        ("{\"entries\": []}", "`d` has no migration of drizzle"),
        (
            "{\"entries\": [{\"when\": 1, \"tag\": \"../d\"}]}",
            "cannot be read: the file does not exist",
        ),
    ] {
        let fleet =
            fleet_with(&[file("d/meta/_journal.json", journal), file("d.sql", "SELECT 1;")]);
        import(&fleet, &["d"], 2).stderr_contains(expected);
    }
}

#[test]
fn prisma_is_imported() {
    let mut files = vec![file("m/migration_lock.toml", "# do not edit\nprovider = \"sqlite\"\n")];
    let names = ["20240131120000_users", "20240201120000_email", "20240202120000_posts"];
    for (index, name) in names.into_iter().enumerate() {
        files.push(file(format!("m/{name}/migration.sql"), UPS[index]));
        files.push(file(format!("m/{name}/down.sql"), DOWNS[index]));
    }
    ToolCase { tool: "prisma", path: "m", files, keys: names, dates: DATES, has_downs: true }
        .check();
}

#[test]
fn a_rebuild_of_prisma_keeps_its_rows() {
    let rebuild = "-- RedefineTables\nPRAGMA defer_foreign_keys=ON;\nPRAGMA foreign_keys=OFF;\nCREATE TABLE \"new_User\" (\n    \"id\" INTEGER NOT NULL PRIMARY KEY,\n    \"name\" TEXT NOT NULL\n);\nINSERT INTO \"new_User\" (\"id\", \"name\") SELECT \"id\", \"name\" FROM \"User\";\nDROP TABLE \"User\";\nALTER TABLE \"new_User\" RENAME TO \"User\";\nPRAGMA foreign_keys=ON;\nPRAGMA defer_foreign_keys=OFF;\n";
    let fleet = fleet_with(&[
        file(
            "m/20240131120000_a/migration.sql",
            "-- CreateTable\nCREATE TABLE \"User\" (\n    \"id\" INTEGER NOT NULL PRIMARY KEY,\n    \"name\" TEXT\n);\nINSERT INTO \"User\" VALUES (1, 'ann');\n",
        ),
        file("m/20240201120000_b/migration.sql", rebuild),
    ]);
    import(&fleet, &["m"], 0);
    fleet.run(["lint"]).status(0);
    let text = document(&fleet);
    assert!(text.contains("-- RedefineTables\nCREATE TABLE \"new_User\""), "{text}");
    assert_eq!(rows_of_new_database(&fleet, "SELECT * FROM User"), ["1|ann"]);
    let other = fleet_with(&[
        file("m/migration_lock.toml", "provider = \"mysql\"\n"),
        file("m/20240131120000_a/migration.sql", "SELECT 1;"),
    ]);
    import(&other, &["m"], 2)
        .stderr_contains("m/migration_lock.toml:1: the migrations are for `mysql`");
}

#[test]
fn d1_is_imported() {
    let files = vec![
        file("wrangler.jsonc", "{}"),
        file("migrations/0001_users.sql", UPS[0]),
        file("migrations/0002_email.sql", UPS[1]),
        file("migrations/10_posts.sql", UPS[2]),
    ];
    let keys = ["0001_users.sql", "0002_email.sql", "10_posts.sql"];
    ToolCase { tool: "d1", path: "migrations", files, keys, dates: NO_DATES, has_downs: false }
        .check();
}
