//! Compares databases that a tool migrated with databases that tatmig migrated by the imported
//! document.

use std::path::PathBuf;

use crate::support::{Database, Fleet};
use crate::tool::Tool;

/// A fleet with the document that `tatmig import` writes.
fn imported_fleet(tool: &dyn Tool) -> Fleet {
    let fleet = Fleet::new().directory("scratch");
    let source = tool.source(&fleet.path("scratch"));
    let count = tool.migration_count();
    let expected = format!("MIGRATIONS.md: {count} migrations imported from {}", tool.name());
    let run = fleet.run(["import".as_ref(), source.as_os_str()]);
    // A rule that `lint` finds broken, such as a lost counter in Drizzle's rebuild, is no failure.
    assert!(run.has_status(&[0, 1]), "{}", run.describe());
    run.stdout_contains(&expected);
    fleet
}

/// The version of the migration that is the `count`th.
fn version(count: usize) -> String {
    format!("0.1.{}", count - 1)
}

fn database_path(fleet: &Fleet, user: &str) -> PathBuf {
    fleet.path(format!("{user}_longterm.db"))
}

/// Everything that SQLite knows of the schema, without the tables in which a tool and tatmig record
/// versions. White space in SQL does not count.
fn schema(database: &Database, tool: &dyn Tool) -> Vec<String> {
    let own = |column: &str| {
        format!(
            "{column} NOT LIKE 'sqlite$_%' ESCAPE '$' AND {column} NOT LIKE '$_tatmig$_%' ESCAPE '$' AND {column} <> '{}'",
            tool.version_table()
        )
    };
    let objects = format!(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE {} AND {} ORDER BY type, name",
        own("name"),
        own("tbl_name")
    );
    let fold = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = database.rows(&objects).iter().map(fold).collect();
    let names = format!(
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND {} ORDER BY name",
        own("name")
    );
    for name in database.rows(&names) {
        for query in [
            "SELECT * FROM pragma_table_xinfo('NAME') ORDER BY cid",
            "SELECT * FROM pragma_foreign_key_list('NAME') ORDER BY id, seq",
            "SELECT l.name, l.\"unique\", l.origin, l.partial, x.* FROM pragma_index_list('NAME') l, pragma_index_xinfo(l.name) x ORDER BY l.name, x.seqno",
            "SELECT name, type, ncol, wr, strict FROM pragma_table_list('NAME') WHERE schema = 'main'",
        ] {
            let rows = database.rows(&query.replace("NAME", &name));
            lines.extend(rows.into_iter().map(|row| format!("{name}: {row}")));
        }
    }
    lines
}

/// The rows of every table of the application, and the counters of AUTOINCREMENT.
fn rows(database: &Database, tool: &dyn Tool) -> Vec<String> {
    let tables = database.tables().into_iter().filter(|table| table != tool.version_table());
    let mut lines: Vec<String> = tables
        .flat_map(|table| {
            let rows = database.rows(&format!("SELECT * FROM \"{table}\""));
            rows.into_iter().map(move |row| format!("{table}: {row}"))
        })
        .collect();
    let sequence = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'";
    if !database.rows(sequence).is_empty() {
        let counters = "SELECT name, seq FROM sqlite_sequence WHERE name <> 'schema_migrations'";
        lines.extend(database.rows(counters).into_iter().map(|row| format!("counter {row}")));
    }
    lines.sort();
    lines
}

fn version_rows(database: &Database, tool: &dyn Tool) -> Vec<String> {
    database.rows(&format!("SELECT * FROM {} ORDER BY rowid", tool.version_table()))
}

/// A database that the tool migrated to its first `count` migrations, with rows since the first.
fn migrate_with_rows(fleet: Fleet, tool: &dyn Tool, user: &str, count: usize) -> Fleet {
    let path = database_path(&fleet, user);
    tool.migrate(&path, 1);
    let fleet = fleet.database_file(&path, tool.rows());
    if count > 1 {
        tool.migrate(&path, count);
    }
    fleet
}

pub(crate) fn every_version_has_the_schema_that_the_tool_makes(tool: &dyn Tool) {
    let mut fleet = imported_fleet(tool);
    for count in 1..=tool.migration_count() {
        let of_tool = fleet.path(format!("of_tool_{count}.sqlite"));
        tool.migrate(&of_tool, count);
        let user = format!("u{count}");
        fleet = fleet.user(&user, "");
        fleet.run(["upgrade", "--user", &user, "--to", &version(count)]).status(0);
        let expected = schema(&Database::open(&of_tool), tool);
        assert!(!expected.is_empty());
        assert_eq!(schema(&fleet.database(&user), tool), expected, "{}", version(count));
    }
    // `init` creates head at once.
    fleet.run(["init", "--user", "new"]).status(0);
    let head = format!("u{}", tool.migration_count());
    let expected = schema(&fleet.database(&head), tool);
    assert_eq!(schema(&fleet.database("new"), tool), expected);
}

pub(crate) fn every_reverse_block_does_what_the_tool_does(tool: &dyn Tool) {
    let count = tool.migration_count();
    let fleet = migrate_with_rows(imported_fleet(tool), tool, "ann", count);
    let of_tool = fleet.path("of_tool.sqlite");
    std::fs::copy(database_path(&fleet, "ann"), &of_tool).unwrap();
    fleet.run(["adopt", "--user", "ann"]).status(0);
    for count in (1..count).rev() {
        tool.undo(&of_tool, count + 1);
        fleet
            .run([
                "downgrade",
                "--user",
                "ann",
                "--no-system",
                "--to",
                &version(count),
                "--no-backup",
            ])
            .status(0);
        let (ann, of_tool) = (fleet.database("ann"), Database::open(&of_tool));
        assert_eq!(schema(&ann, tool), schema(&of_tool, tool), "{}", version(count));
        assert_eq!(rows(&ann, tool), rows(&of_tool, tool), "{}", version(count));
    }
    tool.undo(&of_tool, 1);
    fleet
        .run(["downgrade", "--user", "ann", "--no-system", "--to", "baseline", "--no-backup"])
        .status(0);
    assert_eq!(schema(&fleet.database("ann"), tool), Vec::<String>::new());
    assert_eq!(schema(&Database::open(&of_tool), tool), Vec::<String>::new());
}

pub(crate) fn databases_of_the_tool_are_adopted_at_their_versions(tool: &dyn Tool) {
    let mut fleet = imported_fleet(tool);
    let last = tool.migration_count();
    for count in 1..=last {
        fleet = migrate_with_rows(fleet, tool, &format!("adopted{count}"), count);
        let upgraded = database_path(&fleet, &format!("upgraded{count}"));
        std::fs::copy(database_path(&fleet, &format!("adopted{count}")), upgraded).unwrap();
    }
    let head = format!("adopted{last}");
    let (head_schema, head_rows) =
        (schema(&fleet.database(&head), tool), rows(&fleet.database(&head), tool));
    for count in 1..=last {
        let (user, version) = (format!("adopted{count}"), version(count));
        let recorded = version_rows(&fleet.database(&user), tool);
        fleet
            .run(["adopt", "--user", &user])
            .status(0)
            .stdout_contains(&format!("1 user (`{user}`): recorded at {version}\n"))
            .stdout_contains(&format!("  note: `{}` records ", tool.version_table()))
            .stdout_contains(&format!(" and the schema matches {version}\n"));
        assert_eq!(version_rows(&fleet.database(&user), tool), recorded);
    }
    // The other databases are adopted by the upgrade itself.
    let upgrade = fleet.run(["upgrade", "--all-users", "-v"]);
    upgrade.status(0);
    for count in 1..=last {
        let version = version(count);
        upgrade.stdout_contains(&format!(
            "(adopted at {version}: `{}` records ",
            tool.version_table()
        ));
        for user in [format!("adopted{count}"), format!("upgraded{count}")] {
            let database = fleet.database(&user);
            assert_eq!(schema(&database, tool), head_schema, "{user}");
            assert_eq!(rows(&database, tool), head_rows, "{user}");
        }
    }
    fleet.run_without_changes(["verify"]).status(0);
}
