//! Tests `--squash-before`: the migrations before one become a baseline with the same schema and rows.

use super::{UPS, document, file, fleet_with, import, plain_schema, schema};
use crate::support::Fleet;

fn fleet() -> Fleet {
    let seeds = "INSERT INTO users (id, name, email) VALUES (1, 'it''s; ann', NULL), (2, 'bob', 'a\nb');\nDELETE FROM users WHERE id = 1;\nINSERT INTO users (id, name) VALUES (3, x'6100');\n";
    fleet_with(&[
        file("m/20240131120000_users.sql", UPS[0]),
        file("m/20240201120000_email.sql", UPS[1]),
        file("m/20240202120000_seeds.sql", seeds),
        file("m/20240203120000_posts.sql", UPS[2]),
    ])
}

#[test]
fn a_squashed_baseline_creates_the_same_schema_and_rows() {
    let whole = fleet();
    import(&whole, &["m"], 0);
    whole.run(["init", "--user", "ann"]).status(0);
    let expected =
        whole.database("ann").rows("SELECT id, name, quote(name), email FROM users ORDER BY id");
    assert_eq!(expected.len(), 2);
    for name in [
        "20240203120000",
        "20240203120000_posts",
        "20240203120000_posts.sql",
        "m/20240203120000_posts.sql",
    ] {
        let fleet = fleet();
        let run = import(&fleet, &["m", "--squash-before", name], 0);
        run.stdout_contains("3 migrations, up to `20240202120000_seeds`, are one baseline");
        run.stdout_contains("the baseline inserts the rows that these migrations leave in `users`");
        let text = document(&fleet);
        assert!(text.contains("## Baseline → 0.1.0: squashed up to 20240202120000_seeds\n\n**Date**: 2024-02-02\n**Imported**: sqlx 20240131120000\n**Imported**: sqlx 20240201120000\n**Imported**: sqlx 20240202120000\n**Description**: The schema of 3 migrations\n"), "{text}");
        assert!(text.contains("## 0.1.0 → 0.1.1: 20240203120000_posts\n"), "{text}");
        fleet.run(["lint"]).status(0);
        fleet.run(["init", "--user", "ann"]).status(0);
        let database = fleet.database("ann");
        assert_eq!(
            database.rows("SELECT id, name, quote(name), email FROM users ORDER BY id"),
            expected
        );
        assert_eq!(schema(database.connection()).len(), plain_schema(UPS).len());
        let names = |schema: Vec<String>| -> Vec<String> {
            schema
                .iter()
                .map(|object| object.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(names(schema(database.connection())), names(plain_schema(UPS)));
    }
}

#[test]
fn a_squash_that_cannot_be_exact_is_refused() {
    for (name, expected) in [
        ("20240131120000", "`20240131120000` is the first migration, so nothing is before it"),
        (
            "nothing",
            "no migration is named `nothing`; the first one is `20240131120000_users`, the last one `20240203120000_posts`",
        ),
    ] {
        import(&fleet(), &["m", "--squash-before", name], 2).stderr_contains(expected);
    }
    for (sql, expected) in [
        ("VACUUM;", "m/20240131120000_a.sql:1: `VACUUM` is not allowed inside a block"),
        (
            "CREATE VIRTUAL TABLE f USING fts5 (x);\nINSERT INTO f VALUES ('a');",
            "they leave rows in the virtual table `f`",
        ),
        (
            "CREATE TABLE a (x NOT NULL);\nINSERT INTO a VALUES (NULL);",
            "a statement fails: NOT NULL constraint failed: a.x",
        ),
    ] {
        let fleet = fleet_with(&[
            file("m/20240131120000_a.sql", sql),
            file("m/20240201120000_b.sql", "CREATE TABLE b (x);"),
        ]);
        import(&fleet, &["m", "--squash-before", "20240201120000"], 2).stderr_contains(expected);
    }
    let fleet = fleet_with(&[
        file("m/20240131120000_a.sql", "CREATE VIRTUAL TABLE f USING fts5 (x);\nCREATE VIEW v AS SELECT x FROM f;\nCREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, d GENERATED ALWAYS AS (id + 1)) STRICT;".replace("d GEN", "d INT GEN")),
        file("m/20240201120000_b.sql", "CREATE TABLE b (x);"),
    ]);
    import(&fleet, &["m", "--squash-before", "20240201120000"], 0);
    fleet.run(["lint"]).status(0);
    fleet.run(["init", "--user", "ann"]).status(0);
}
