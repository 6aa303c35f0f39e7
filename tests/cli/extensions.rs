//! Tests `[[extension]]` of `tatmig.toml`: a real extension, sqlite-vec, in every command, and
//! libraries that are refused.
//!
//! Without `target/sqlite-vec`, which `.ci/run` installs, the tests that load it are skipped.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::support::{Fleet, sha256};

/// The library of sqlite-vec, if it is installed.
fn vec0() -> Option<PathBuf> {
    let name = format!("target/sqlite-vec/sqlite_vec/vec0.{}", std::env::consts::DLL_EXTENSION);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("TATMIG_REQUIRE_SQLITE_VEC").is_some_and(|value| value == "1");
    assert!(!required, "sqlite-vec is not installed, and TATMIG_REQUIRE_SQLITE_VEC is 1");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: sqlite-vec is not installed");
    None
}

const BASELINE: (&str, &str) = (
    "user:baseline→1.0.0",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, e BLOB CHECK (e IS NULL OR vec_length(e) = 4));",
);

/// A virtual table that is filled from an ordinary one and kept up to date by a trigger.
const VECTORS: &[(&str, &str)] = &[
    (
        "user:1.0.0→1.1.0",
        "CREATE VIRTUAL TABLE vec_notes USING vec0(note_id INTEGER PRIMARY KEY, embedding float[4]);\n\
         INSERT INTO vec_notes (note_id, embedding) SELECT id, e FROM notes WHERE e IS NOT NULL;\n\
         CREATE TRIGGER forget AFTER DELETE ON notes BEGIN DELETE FROM vec_notes WHERE note_id = old.id; END;",
    ),
    ("user:1.1.0→1.0.0", "DROP TRIGGER forget;\nDROP TABLE vec_notes;"),
    (
        "user:1.1.0→1.2.0",
        "ALTER TABLE notes ADD COLUMN pinned INTEGER;\nDELETE FROM notes WHERE title = 'gone';",
    ),
    ("user:1.2.0→1.1.0", "ALTER TABLE notes DROP COLUMN pinned;"),
];

/// Three notes with vectors, as the application inserts them; the CHECK needs its function.
fn insert_notes(fleet: &Fleet) {
    let connection = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    let flags = rusqlite::functions::FunctionFlags::SQLITE_UTF8
        | rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_scalar_function("vec_length", 1, flags, |arguments| {
            Ok(i64::try_from(arguments.get::<Vec<u8>>(0)?.len() / 4).unwrap())
        })
        .unwrap();
    for (id, title) in [(1, "tea"), (2, "gone"), (3, "mate")] {
        let vector: Vec<u8> =
            [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|n| n.to_le_bytes()).collect();
        connection
            .execute("INSERT INTO notes (id, title, e) VALUES (?1, ?2, ?3)", (id, title, vector))
            .unwrap();
    }
}

/// The rows of the virtual table, read from a shadow table, which needs no extension.
const STORED_VECTORS: &str = "SELECT rowid FROM vec_notes_rowids ORDER BY rowid";

fn config(library: &str, more: &str) -> String {
    format!("trusted_schema = true\n[[extension]]\npath = \"{library}\"\n{more}")
}

/// A fleet with a copy of the library beside its settings, and notes at the baseline.
fn fleet_with_notes() -> Option<Fleet> {
    let library = fs::read(vec0()?).unwrap();
    let sha256 = sha256(&library);
    let fleet = Fleet::from_blocks(&[&[BASELINE], VECTORS].concat())
        .file(format!("lib/vec0.{}", std::env::consts::DLL_EXTENSION), &library)
        .config(&config("lib/vec0", &format!("sha256 = [\"{}\", \"{sha256}\"]", "0".repeat(64))))
        .user("ann", "")
        .user("ben", "")
        .upgrade_to("1.0.0");
    insert_notes(&fleet);
    Some(fleet)
}

#[test]
fn every_command_loads_the_extension() {
    let Some(fleet) = fleet_with_notes() else { return };
    fleet.run(["lint"]).status(0);
    fleet.run(["upgrade", "--all-users", "--rehearse"]).status(0);
    fleet.run(["upgrade", "--all-users"]).status(0);
    assert_eq!(fleet.database("ann").rows(STORED_VECTORS), ["1", "3"]);
    assert_eq!(fleet.database("ann").rows("SELECT id FROM notes"), ["1", "3"]);
    fleet
        .run_without_changing(&fleet.path("ann_longterm.db"), ["verify", "-v"])
        .status(0)
        .stdout_contains("OK, matches MIGRATIONS.md");
    fleet.run(["status", "--stats"]).status(0);
    fleet.run(["schema"]).status(0).stdout_contains("USING vec0");
    fleet.run(["backup", "--all-users"]).status(0);
    fleet.run(["downgrade", "--all-users", "--to", "1.0.0"]).status(0);
    assert!(
        fleet.database("ann").rows("SELECT 1 FROM sqlite_schema WHERE name LIKE 'vec%'").is_empty()
    );
    assert_eq!(fleet.database("ann").rows("SELECT id FROM notes"), ["1", "3"]);
    fleet.run(["restore", "latest"]).status(0);
    assert_eq!(fleet.database("ann").rows(STORED_VECTORS), ["1", "3"]);
    fleet.run(["init", "--user", "cid"]).status(0);
    assert_eq!(fleet.database("cid").version().as_deref(), Some("1.2.0"));
    fleet.run(["reset", "--user", "ben", "--yes"]).status(0);
    fleet.run(["verify"]).status(0);
}

#[test]
fn the_self_test_names_an_empty_virtual_table_and_passes() {
    let Some(fleet) = fleet_with_notes() else { return };
    fleet
        .run(["test"])
        .status(0)
        .stdout_contains("no data lost up to 1.2.0, down to 1.0.0 and up again (1 table, 36 rows)")
        .stdout_contains("table `vec_notes` is not fully tested, its rows need the application: it is a virtual table of the module `vec0`");
}

#[test]
fn a_column_whose_vectors_only_the_application_can_make_is_a_gap() {
    let Some(fleet) = fleet_with_notes() else { return };
    let table = "CREATE TABLE v (e BLOB NOT NULL CHECK (vec_length(e) = 1536));";
    let fleet = fleet.blocks(&[("user:baseline→1.0.0", table)]);
    fleet
        .run(["test"])
        .status(0)
        .stdout_contains("table `v` is not fully tested, its rows need the application: ");
}

#[test]
fn a_database_without_a_history_is_detected_and_written_as_a_migration() {
    let Some(fleet) = fleet_with_notes() else { return };
    fleet.run(["upgrade", "--all-users"]).status(0);
    let connection = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    connection.execute_batch("DROP TABLE _tatmig_migrations; CREATE TABLE own (a)").unwrap();
    fleet.run(["status"]).status(0).stdout_contains("unversioned");
    fleet.run(["adopt", "--user", "ann"]).status(0).stdout_contains("1.2.0");
    let connection = Connection::open(fleet.path("ann_longterm.db")).unwrap();
    connection.execute_batch("DROP TABLE _tatmig_migrations").unwrap();
    let new = fleet.blocks(&[BASELINE]);
    new.run(["new", "-m", "All of it", "--from-db", "ann_longterm.db"])
        .status(0)
        .stdout_lacks("left out");
    let document = fs::read_to_string(new.path("MIGRATIONS.md")).unwrap();
    assert!(
        document.contains("USING vec0(note_id INTEGER PRIMARY KEY, embedding float[4])"),
        "{document}"
    );
}

#[test]
fn without_the_section_nothing_is_changed_and_the_section_is_named() {
    let Some(fleet) = fleet_with_notes() else { return };
    fleet.run(["upgrade", "--user", "ben", "--to", "1.1.0"]).status(0);
    let fleet = fleet.config("");
    for arguments in [&["lint"] as &[&str], &["upgrade", "--all-users"], &["test"]] {
        fleet
            .run_without_changes(arguments)
            .status(2)
            .stderr_contains("no such module: vec0")
            .stderr_contains("load the extension that has it with `[[extension]]` in tatmig.toml");
    }
    // What needs no module works without it.
    fleet.run(["status"]).status(0).stdout_contains("behind");
    fleet.run(["backup", "--all-users"]).status(0);
}

#[test]
fn a_trigger_on_a_virtual_table_needs_a_trusted_schema() {
    let Some(fleet) = fleet_with_notes() else { return };
    let fleet = fleet.config("[[extension]]\npath = \"lib/vec0\"");
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(2)
        .stderr_contains("unsafe use of virtual table \"vec_notes\"")
        .stderr_contains("set `trusted_schema = true` in tatmig.toml");
}

#[test]
fn a_library_with_another_checksum_is_not_loaded() {
    let Some(fleet) = fleet_with_notes() else { return };
    let (before, name) = (
        fs::read(vec0().unwrap()).unwrap(),
        format!("lib/vec0.{}", std::env::consts::DLL_EXTENSION),
    );
    let mut changed = before.clone();
    changed.push(0);
    let fleet = fleet.file(&name, &changed);
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(2)
        .stderr_contains(&format!("was not loaded: its SHA-256 is {}", sha256(&changed)))
        .stderr_contains("in the settings file `tatmig.toml`, line 3");
    let fleet = fleet.file(&name, &before);
    fleet.run(["upgrade", "--all-users"]).status(0);
}

#[test]
fn an_entry_point_is_called_by_its_name() {
    let Some(fleet) = fleet_with_notes() else { return };
    let fleet = fleet.config(&config("lib/vec0", "entry_point = \"sqlite3_vec_init\""));
    fleet.run(["lint"]).status(0);
    let fleet = fleet.config(&config("lib/vec0", "entry_point = \"sqlite3_gone_init\""));
    fleet
        .run_without_changes(["lint"])
        .status(2)
        .stderr_contains("it has no function `sqlite3_gone_init`; correct `entry_point`");
    let library = fs::read(vec0().unwrap()).unwrap();
    let name = format!("other.{}", std::env::consts::DLL_EXTENSION);
    let fleet = fleet.file(&name, &library).config(&config(&name, ""));
    fleet.run_without_changes(["lint"]).status(2).stderr_contains(
        "it has no function `sqlite3_extension_init` or `sqlite3_other_init`; if it is an SQLite extension, name its function with `entry_point`",
    );
}

#[test]
fn a_library_that_cannot_be_loaded_is_refused_with_its_line() {
    let hash = "a".repeat(64);
    let baseline = ("user:baseline→1.0.0", "CREATE TABLE t (a);");
    for (more, path, message) in [
        (
            "",
            "gone.so",
            "gone.so` does not exist; correct `path`, which is relative to the settings file",
        ),
        ("", "", "cannot be read: "),
        ("", "text.so", "text.so` cannot be loaded: it is not a shared library of Linux"),
        ("", "empty.so", "it is not a shared library of Linux"),
        ("", "dir.so", "cannot be read: "),
        ("", "other.so", "it is for another processor than this program"),
        ("", "torn.so", "torn.so` cannot be loaded: the file is not complete"),
        (&format!("sha256 = \"{hash}\""), "text.so", "was not loaded: its SHA-256 is "),
        (
            "sha256 = \"abc\"",
            "text.so",
            "line 4, `sha256 = \"abc\"`: must be a SHA-256: 64 hexadecimal digits",
        ),
        ("sha256 = []", "text.so", "must be a SHA-256"),
        ("sha256 = 7", "text.so", "must be a string or a list of strings"),
        ("sha1 = \"\"", "text.so", "unknown key `sha1`"),
    ] {
        let mut other = b"\x7fELF\x01\x02\x01".to_vec();
        other.resize(64, 1);
        let mut torn = fs::read("/proc/self/exe").unwrap_or_default();
        torn.truncate(4096);
        let fleet = Fleet::from_blocks(&[baseline])
            .file("text.so", "no library\n")
            .file("empty.so", "")
            .file("other.so", other)
            .file("torn.so", torn)
            .directory("dir.so")
            .config(&config(path, more))
            .user("ann", "");
        let run = fleet.run_without_changes(["upgrade", "--all-users"]);
        run.status(2)
            .stderr_contains(message)
            .stderr_contains("in the settings file `tatmig.toml`, line ");
    }
    let fleet = Fleet::from_blocks(&[baseline]).config("[extension]\npath = \"x\"").user("ann", "");
    fleet.run_without_changes(["status"]).status(2).stderr_contains("in the settings file");
}

#[test]
fn a_block_cannot_load_an_extension() {
    let Some(fleet) = fleet_with_notes() else { return };
    let path = fleet.path("lib/vec0").display().to_string();
    let sql = format!("SELECT load_extension('{path}');");
    let fleet = fleet.blocks(&[BASELINE, ("user:1.0.0→1.1.0", &sql)]);
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(2)
        .stderr_contains("load_extension");
}

#[test]
fn a_settings_file_of_another_user_that_was_only_found_loads_nothing() {
    let Some(fleet) = fleet_with_notes() else { return };
    let settings = fleet.path("tatmig.toml");
    // Only root can give a file to another user.
    if std::os::unix::fs::chown(&settings, Some(65_534), None).is_err() {
        return;
    }
    fleet
        .run_without_changes(["upgrade", "--all-users"])
        .status(2)
        .stderr_contains("`tatmig.toml` loads an extension and belongs to another user (id 65534)");
    fleet.run(["lint", "--config", "tatmig.toml"]).status(0);
}

#[test]
fn a_query_can_use_the_extension() {
    let Some(fleet) = fleet_with_notes() else { return };
    fleet.run(["upgrade", "--all-users"]).status(0);
    let sql = "SELECT count(*) FROM vec_notes WHERE embedding MATCH '[1, 2, 3, 4]' AND k = 2";
    fleet.run(["query", "--user", "ann", sql]).status(0).stdout_contains("2");
    let fleet = fleet.config("");
    fleet
        .run(["query", "--user", "ann", sql])
        .status(1)
        .stderr_contains("`[[extension]]` in tatmig.toml can load it");
}
