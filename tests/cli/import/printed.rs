//! Tests the import of SQL that a tool prints or keeps beside its programs: Kysely, Knex, Alembic,
//! Django and Rails.

use std::io::Write as _;
use std::process::Stdio;

use super::{
    DOWNS, ToolCase, UPS, document, file, fleet_with, import, plain_schema, rows_of_new_database,
    schema,
};
use crate::support::Fleet;

const NO_DATES: [&str; 3] = ["", "", ""];

/// The output of `alembic upgrade head --sql`, and of `alembic downgrade head:base --sql`.
fn alembic_output() -> (String, String) {
    let mut upgrade = "CREATE TABLE alembic_version (\n    version_num VARCHAR(32) NOT NULL, \n    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n);\n\n".to_owned();
    let mut downgrade = String::new();
    let revisions = ["", "a1b2c3d4e5f6", "b2c3d4e5f6a7", "c3d4e5f6a7b8"];
    for index in 0..3 {
        let (from, to) = (revisions[index], revisions[index + 1]);
        let step = format!(
            "-- Running upgrade {from} -> {to}\n\n{}\n\nUPDATE alembic_version SET version_num='{to}' WHERE alembic_version.version_num = '{from}';\n\n",
            UPS[index]
        );
        upgrade += &step;
    }
    for index in (0..3).rev() {
        let (from, to) = (revisions[index + 1], revisions[index]);
        let step = format!(
            "-- Running downgrade {from} -> {to}\n\n{}\n\nDELETE FROM alembic_version WHERE alembic_version.version_num = '{from}';\n\n",
            DOWNS[index]
        );
        downgrade += &step;
    }
    (upgrade, downgrade)
}

const REVISIONS: [&str; 3] = ["a1b2c3d4e5f6", "b2c3d4e5f6a7", "c3d4e5f6a7b8"];

#[test]
fn alembic_is_imported() {
    let (upgrade, downgrade) = alembic_output();
    let files = vec![
        file("sql/upgrade.sql", &upgrade),
        file("sql/downgrade.sql", &downgrade),
        file("sql/versions/a1b2c3d4e5f6_create_users.py", ""),
    ];
    let case = ToolCase {
        tool: "alembic",
        path: "sql",
        files,
        keys: REVISIONS,
        dates: NO_DATES,
        has_downs: true,
    };
    let text = document(&case.check());
    assert!(text.contains("## Baseline → 0.1.0: a1b2c3d4e5f6_create_users\n"), "{text}");
    assert!(!text.contains("alembic_version"), "{text}");
    let files = vec![file("up.sql", upgrade + &downgrade)];
    ToolCase {
        tool: "alembic",
        path: "up.sql",
        files,
        keys: REVISIONS,
        dates: NO_DATES,
        has_downs: true,
    }
    .check();
}

#[test]
fn standard_input_is_read() {
    let (upgrade, _) = alembic_output();
    let fleet = Fleet::new();
    let mut child = fleet.command(["import", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(upgrade.as_bytes()).unwrap();
    fleet.wait(child).status(0).stdout_contains("3 migrations imported from alembic");
    assert!(document(&fleet).contains("**Imported**: alembic b2c3d4e5f6a7"));
    let empty = Fleet::new();
    empty
        .run_without_changes(["import", "-"])
        .status(2)
        .stderr_contains("`standard input` has no migrations");
}

#[test]
fn output_of_alembic_must_name_each_revision_once() {
    let (upgrade, downgrade) = alembic_output();
    for (text, expected) in [
        (format!("{upgrade}{upgrade}"), "the revision `a1b2c3d4e5f6` is in the output twice"),
        (downgrade, "the revision `c3d4e5f6a7b8` is downgraded and never upgraded"),
        (
            "-- Running upgrade a -> b, c\n".to_owned(),
            "a.sql:1: this line does not name one revision",
        ),
    ] {
        let fleet = fleet_with(&[file("a.sql", text)]);
        import(&fleet, &["a.sql", "--from", "alembic"], 2).stderr_contains(expected);
    }
    // A merge of two branches has one revision.
    let merge = "-- Running upgrade  -> a\nCREATE TABLE a (x);\n-- Running upgrade a -> b\nCREATE TABLE b (x);\n-- Running upgrade a -> c\nCREATE TABLE c (x);\n-- Running upgrade b, c -> d\nDELETE FROM alembic_version WHERE alembic_version.version_num = 'b';\n";
    let fleet = fleet_with(&[file("a.sql", merge)]);
    import(&fleet, &["a.sql"], 0).stdout_contains("4 migrations");
    assert!(document(&fleet).contains("**Imported**: alembic d\n"));
}

#[test]
fn django_is_imported() {
    let output = |index: usize, sql: &str| {
        format!(
            "-- notes.000{}_step\nBEGIN;\n--\n-- Create model Note\n--\n{sql}\nCOMMIT;\n",
            index + 1
        )
    };
    let mut text: String = (0..3).map(|index| output(index, UPS[index])).collect();
    for (index, sql) in DOWNS.iter().enumerate() {
        text += &output(index, sql).replacen("_step\n", "_step backwards\n", 1);
    }
    let fleet = fleet_with(&[file("django.sql", text)]);
    import(&fleet, &["django.sql"], 0).stdout_contains("3 migrations imported from django");
    let text = document(&fleet);
    for key in ["notes.0001_step", "notes.0002_step", "notes.0003_step"] {
        assert!(text.contains(&format!("\n**Imported**: django {key}\n")), "{text}");
    }
    fleet.run(["lint"]).status(0);
    fleet.run(["init", "--user", "ann"]).status(0);
    assert_eq!(schema(fleet.database("ann").connection()), plain_schema(UPS));
    fleet.run(["downgrade", "--to", "baseline", "--user", "ann", "--no-backup"]).status(0);
    assert_eq!(schema(fleet.database("ann").connection()), Vec::<String>::new());
}

#[test]
fn files_of_django_are_imported_by_app_and_name() {
    let output = |sql: &str| format!("BEGIN;\n--\n-- Create model Note\n--\n{sql}\nCOMMIT;\n");
    let fleet = fleet_with(&[
        file("sql/notes/0002_b.sql", output("CREATE TABLE b (x);")),
        file("sql/notes/0001_a.sql", output("CREATE TABLE a (x);")),
        file("sql/notes/0001_a.down.sql", output("DROP TABLE a;")),
        file("sql/accounts.0001_initial.sql", output("CREATE TABLE accounts (x);")),
        file("sql/other.sql", output("SELECT 1;")),
    ]);
    let run = import(&fleet, &["sql"], 0);
    run.stdout_contains("`other.sql` is no migration of django").stdout_contains(
        "the migrations of several apps are in the order of the names of the apps",
    );
    let text = document(&fleet);
    let keys: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("**Imported**: django ")).collect();
    assert_eq!(keys, ["accounts.0001_initial", "notes.0001_a", "notes.0002_b"]);
    assert!(
        text.contains("-- [user:0.1.1→0.1.0:start]\n--\n-- Create model Note\n--\nDROP TABLE a;\n"),
        "{text}"
    );
}

#[test]
fn python_in_django_is_left_for_a_person_where_it_runs() {
    let text = "-- notes.0001_a\nBEGIN;\nCREATE TABLE a (x);\n--\n-- Raw Python operation\n--\n-- THIS OPERATION CANNOT BE WRITTEN AS SQL\n--\n-- Alter field x on a\n--\nCREATE TABLE b (x);\nCOMMIT;\n";
    let fleet = fleet_with(&[file("django.sql", text)]);
    import(&fleet, &["django.sql"], 1).stderr("error: MIGRATIONS.md:17: not taken over from django.sql:7: `notes.0001_a` runs Python here, which Django does not print; write the statements that it runs\n");
    let text = document(&fleet);
    let todo = text.find("tatmig:todo").unwrap();
    assert!(
        text.find("CREATE TABLE a").unwrap() < todo && todo < text.find("CREATE TABLE b").unwrap()
    );
}

#[test]
fn rails_is_imported_as_one_baseline() {
    let structure = "CREATE TABLE IF NOT EXISTS \"schema_migrations\" (\"version\" varchar NOT NULL PRIMARY KEY);\nCREATE TABLE IF NOT EXISTS \"ar_internal_metadata\" (\"key\" varchar NOT NULL PRIMARY KEY, \"value\" varchar, \"created_at\" datetime(6) NOT NULL, \"updated_at\" datetime(6) NOT NULL);\nCREATE TABLE IF NOT EXISTS \"notes\" (\"id\" integer PRIMARY KEY AUTOINCREMENT NOT NULL, \"body\" text);\nCREATE TABLE sqlite_sequence(name,seq);\nCREATE INDEX \"index_notes_on_body\" ON \"notes\" (\"body\") /*application='Notes'*/;\nINSERT INTO \"schema_migrations\" (version) VALUES\n('20240202120000'),\n('20240131120000');\n";
    let fleet = fleet_with(&[file("db/structure.sql", structure), file("db/seeds.rb", "")]);
    for path in ["db", "db/structure.sql"] {
        import(&fleet, &[path], 0)
            .stdout_contains("1 migration imported from rails")
            .stdout_contains("2 migrations of rails are one baseline")
            .stdout_contains("`sqlite_sequence`");
        let text = document(&fleet);
        assert!(text.contains("**Date**: 2024-02-02\n**Imported**: rails 20240131120000\n**Imported**: rails 20240202120000\n"), "{text}");
        assert!(!text.contains("schema_migrations"), "{text}");
        fleet.run(["lint"]).status(0);
        std::fs::remove_file(fleet.path("MIGRATIONS.md")).unwrap();
    }
    import(&fleet, &["db"], 0);
    assert_eq!(
        rows_of_new_database(&fleet, "SELECT name FROM sqlite_schema WHERE name LIKE '%notes%'"),
        ["notes", "index_notes_on_body"]
    );
    let twice = fleet_with(&[file("db/a.sql", structure), file("db/b.sql", structure)]);
    import(&twice, &["db"], 2).stderr_contains("is a structure of a Rails database as well");
}

#[test]
fn tables_that_a_module_creates_are_left_out_of_a_structure_of_rails() {
    let structure = "CREATE TABLE IF NOT EXISTS \"schema_migrations\" (\"version\" varchar NOT NULL PRIMARY KEY);
CREATE VIRTUAL TABLE found USING fts5(title)
/* found(title) */;
CREATE TABLE IF NOT EXISTS 'found_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE IF NOT EXISTS 'found_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS 'found_content'(id INTEGER PRIMARY KEY, c0);
CREATE TABLE IF NOT EXISTS 'found_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE IF NOT EXISTS 'found_config'(k PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE found_users (id INTEGER PRIMARY KEY);
INSERT INTO \"schema_migrations\" (version) VALUES ('20240101000000');
";
    let fleet = fleet_with(&[file("structure.sql", structure)]);
    import(&fleet, &["structure.sql", "--from", "rails"], 0).stdout_contains("SQLite's own tables");
    let text = document(&fleet);
    assert!(!text.contains("found_data"), "{text}");
    assert!(text.contains("CREATE TABLE found_users"), "{text}");
    fleet.run(["init", "--user", "ann"]).status(0);
    let database = fleet.database("ann");
    assert!(database.tables().contains(&"found_users".to_owned()));
    assert_eq!(database.rows("SELECT count(*) FROM found"), ["0"]);
}

#[test]
fn kysely_is_imported_from_the_sql_beside_its_programs() {
    let mut files = vec![file("package.json", "{\"dependencies\": {\"kysely\": \"0.28.0\"}}")];
    let names = ["20240131_users", "20240201_email", "20240202_posts"];
    for (index, name) in names.into_iter().enumerate() {
        files.push(file(format!("m/{name}.ts"), "export async function up(db) {}"));
        let middle = if index == 0 { ".ts" } else { "" };
        files.push(file(format!("m/{name}{middle}.sql"), UPS[index]));
        files.push(file(format!("m/{name}{middle}.down.sql"), DOWNS[index]));
    }
    let dates = ["2024-01-31", "2024-02-01", "2024-02-02"];
    let case = ToolCase { tool: "kysely", path: "m", files, keys: names, dates, has_downs: true };
    case.check();
}

#[test]
fn knex_is_imported_with_the_names_of_its_programs() {
    let mut files = vec![file("package.json", "{\"dependencies\": {\"knex\": \"3.1.0\"}}")];
    let names = ["20240131120000_users.js", "20240201120000_email.ts", "20240202120000_posts.js"];
    for (index, name) in names.into_iter().enumerate() {
        if index < 2 {
            files.push(file(format!("m/{name}"), "exports.up = () => {}"));
        }
        files.push(file(format!("m/{name}.sql"), UPS[index]));
    }
    let dates = ["2024-01-31", "2024-02-01", "2024-02-02"];
    ToolCase { tool: "knex", path: "m", files, keys: names, dates, has_downs: false }.check();
}

#[test]
fn programs_without_sql_are_left_for_a_person() {
    let fleet = fleet_with(&[
        file("m/1_a.ts", ""),
        file("m/1_a.sql", "CREATE TABLE a (x);"),
        file("m/2_fill.ts", ""),
        file("m/types.d.ts", ""),
    ]);
    let run = import(&fleet, &["m", "--from", "kysely"], 1);
    run.stderr_contains(
        "m/2_fill.ts:1: `2_fill.ts` is a program; write the statements that it runs",
    );
    let only_programs = fleet_with(&[file("m/1_a.ts", "")]);
    import(&only_programs, &["m"], 2).stderr_contains("`m` may be of `kysely` or `knex`");
    import(&only_programs, &["m", "--from", "knex"], 2).stderr_contains("`1_a.ts` is a program");
    let unknown = fleet_with(&[file("m/1_a.sql", "CREATE TABLE a (x);")]);
    import(&unknown, &["m", "--from", "knex"], 2)
        .stderr_contains("name the file `1_a.js.sql` or `1_a.ts.sql`");
    let down = fleet_with(&[file("m/1_a.down.sql", "DROP TABLE a;")]);
    import(&down, &["m", "--from", "kysely"], 2)
        .stderr_contains("no file with the same name leads up");
}

#[test]
fn migrations_in_python_and_ruby_name_the_command_that_prints_sql() {
    for (path, expected) in [
        ("m/a1b2c3d4e5f6_users.py", "alembic upgrade head --sql"),
        ("m/0001_initial.py", "python manage.py sqlmigrate"),
        ("m/20240131120000_users.rb", "bin/rails db:schema:dump"),
    ] {
        let fleet = fleet_with(&[file(path, "")]);
        import(&fleet, &["m"], 2).stderr_contains(expected);
    }
}
