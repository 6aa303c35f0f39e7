//! Tests what the program says about arguments and environment variables that it cannot use, and
//! the help that it gives.

use crate::support::{Fleet, NOTES, document};

#[test]
fn a_word_of_another_tool_is_answered_with_the_command_here() {
    let fleet = Fleet::from_blocks(NOTES);
    for (arguments, tip) in [
        (&["create"] as &[&str], "`tatmig init --user NAME` creates a database"),
        (&["drop"], "`tatmig reset` replaces databases"),
        (&["redo"], "`tatmig downgrade -1`"),
        (&["apply"], "`tatmig upgrade` applies pending migrations"),
        (&["validate"], "`tatmig lint` checks the document"),
        (&["upgrade", "1.2.0"], "`tatmig upgrade --to 1.2.0`"),
        (&["migrate", "1.2.0"], "`tatmig upgrade --to 1.2.0`"),
        (&["upgrade", "ann"], "`tatmig upgrade --user ann`"),
        (&["status", "ann"], "`tatmig status --user ann`"),
    ] {
        fleet.run_without_changes(arguments).status(2).stdout("").stderr_contains(tip);
    }
}

#[test]
fn an_invalid_value_names_the_variable_that_it_is_from() {
    let fleet = Fleet::from_blocks(NOTES).env("TATMIG_JOBS", "abc");
    fleet.run(["status"]).status(2).stderr_contains(
        "invalid value 'abc' for 'TATMIG_JOBS (environment variable)': must be a whole number of 1 or more",
    );
    let fleet = Fleet::from_blocks(NOTES);
    for flag in [["--jobs", "0"].as_slice(), &["--jobs=0"]] {
        let run = fleet.run([flag, &["status"]].concat());
        run.status(2).stderr_contains("invalid value '0' for '--jobs <N>'");
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let fleet = Fleet::from_blocks(NOTES).system("");
    let mut fleet = fleet.upgrade_to("1.2.0");
    for name in [
        "FILE",
        "SYSTEM_DB",
        "USERS_DIR",
        "USER_PATTERN",
        "BACKUPS_DIR",
        "CONFIG",
        "FOLLOW_SYMLINKS",
        "QUIET",
        "VERBOSE",
        "BUSY_TIMEOUT",
        "JOBS",
        "COLOR",
        "SHARD",
        "JSON",
        "MIN_SQLITE",
        "SERVER",
        "ADMIN",
        "SERVER_TIMEOUT",
        "NAMESPACE_PATTERN",
        "SYSTEM_NAMESPACE",
        "USERS_FROM",
        "USERS_ON",
        "AUTH_TOKEN",
        "ADMIN_KEY",
    ] {
        fleet = fleet.env(&format!("TATMIG_{name}"), "");
    }
    fleet.run(["status"]).status(0).stdout_contains("head is 1.2.0");
    fleet.run(["lint"]).status(0).stdout_contains("MIGRATIONS.md: 0 errors");
}

#[test]
fn the_help_names_the_environment_variables_without_their_values() {
    let fleet = Fleet::from_blocks(NOTES).env("TATMIG_FILE", "secret-name.md");
    let run = fleet.run(["upgrade", "--help"]);
    run.status(0).stdout_contains("[env: TATMIG_FILE]").stdout_contains("[env: TATMIG_JOBS]");
    assert!(!run.stdout_text().contains("secret-name"));
    run.status(0);
    let help = fleet.run(["help", "upgrade"]);
    assert_eq!(help.stdout_text(), fleet.run(["upgrade", "--help"]).stdout_text());
}

#[test]
fn the_long_version_names_sqlite() {
    let fleet = Fleet::new();
    fleet.run(["--version"]).status(0).stdout_contains("\nSQLite 3.");
    fleet.run(["-V"]).status(0).stdout(format!("tatmig {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_rule_is_explained_without_a_document() {
    let fleet = Fleet::new();
    let run = fleet.run(["lint", "--explain", "destructive"]);
    run.status(0).stdout_contains("destructive (warning)").stdout_contains("Fix:");
    let run = fleet.run(["lint", "--explain", "destructiv"]);
    run.status(2).stderr_contains("did you mean `destructive`?");
    let json = fleet.run(["lint", "--explain", "row-loss", "--json"]).status(0).json();
    assert_eq!(json["rule"], "row-loss");
    assert_eq!(json["severity"], "error");
}

#[test]
fn the_settings_file_is_found_in_the_directory_of_the_document_and_above() {
    let fleet = Fleet::new();
    let dir = fleet.path("");
    std::fs::create_dir_all(dir.join("project/deep/er")).unwrap();
    std::fs::create_dir_all(dir.join("project/data")).unwrap();
    std::fs::write(dir.join("project/tatmig.toml"), "users_dir = \"data\"\n").unwrap();
    std::fs::write(dir.join("project/MIGRATIONS.md"), document(NOTES)).unwrap();
    // From below, with -C, and through the document.
    fleet.run(["-C", "project/deep/er", "init", "--user", "ann"]).status(0);
    assert!(dir.join("project/data/ann_longterm.db").exists());
    assert!(dir.join("project/system.db").exists(), "the defaults are in the project");
    for arguments in [
        &["-C", "project", "status"] as &[&str],
        &["-C", "project/deep", "status"],
        &["status", "-C", "project/deep/er"],
        &["status", "--file", "project/MIGRATIONS.md"],
        &["-C", "project/deep", "status", "--file", "../MIGRATIONS.md"],
    ] {
        let run = fleet.run(arguments);
        run.status(0).stdout_contains("head is 1.2.0").stdout_contains("ann");
    }
    // A settings file that is named is the only one, and moves no default.
    std::fs::write(dir.join("other.toml"), "").unwrap();
    fleet.run(["status", "--config", "other.toml"]).status(2).stderr_contains("MIGRATIONS.md");
    fleet.run(["-C", "missing", "status"]).status(2).stderr_contains("`missing`");
}
