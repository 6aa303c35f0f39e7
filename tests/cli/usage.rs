//! Tests what the program says about arguments and environment variables that it cannot use, and
//! the help that it gives.

use crate::support::{Fleet, NOTES, document};

#[test]
fn a_word_of_another_tool_is_answered_with_the_command_here() {
    let fleet = Fleet::from_blocks(NOTES);
    for (arguments, tip) in [
        (&["create"] as &[&str], "`tatmig init --user NAME` creates a database"),
        (&["drop"], "`tatmig reset` replaces databases"),
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
        "invalid value `abc` for the environment variable `TATMIG_JOBS`: must be a whole number of 1 or more",
    );
    let fleet = Fleet::from_blocks(NOTES);
    for flag in [["--jobs", "0"].as_slice(), &["--jobs=0"]] {
        let run = fleet.run([flag, &["status"]].concat());
        run.status(2).stderr_contains("invalid value `0` for `--jobs <N>`");
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

/// Arguments that no command takes, each with the message and a part of the help.
const UNKNOWN_WORDS: &[(&[&str], &str, &str)] = &[
    (&["upgrde"], "unknown command `upgrde`", "did you mean `upgrade`?"),
    (
        &["--all-users", "upgrade"],
        "unknown option `--all-users`",
        "write it after the command: `tatmig upgrade --all-users`",
    ),
    (
        &["upgrade", "--to", "baseline"],
        "`baseline` is not a version",
        "`tatmig downgrade --to baseline` leads to it",
    ),
    (&["redo", "--max", "x"], "invalid value `x`", "must be a whole number of 0 or more"),
    (
        &["backup", "prune", "--keep", "-2"],
        "unknown option `-2`",
        "`tatmig backup prune --help` lists the options",
    ),
    (
        &["backup", "prune", "--keep", "x"],
        "invalid value `x`",
        "must be a whole number of 0 or more",
    ),
    (&["xyzzy"], "unknown command `xyzzy`", "`tatmig --help` lists the commands"),
    (&["create"], "unknown command `create`", "`tatmig init --user NAME` creates"),
    (&["backup", "prun"], "unknown command `prun`", "did you mean `prune`?"),
    (&["verify", "--usr", "ann"], "unknown option `--usr`", "did you mean `--user`?"),
    (&["upgrade", "--version"], "unknown option `--version`", "did you mean `--to`?"),
    (&["test", "--user", "ann"], "unknown option `--user`", "`--user` is an option of `upgrade`,"),
    (&["status", "--to", "1.0.0"], "unknown option `--to`", "option of `upgrade` and `downgrade`,"),
    (&["verify", "--user"], "`--user <NAME>` needs a value", "`tatmig verify --user ann`"),
    (&["adopt", "1.0.0"], "unexpected argument `1.0.0`", "`tatmig adopt --at 1.0.0`"),
    (&["lint", "m.md"], "unexpected argument `m.md`", "`tatmig lint --file m.md`"),
    (&["query", "SELECT", "1"], "unexpected argument `1`", "in quotes, as one argument"),
    (&["downgrade", "1.0.0"], "invalid value `1.0.0`", "`tatmig downgrade --to 1.0.0`"),
    (&["downgrade", "-N"], "unknown option `-N`", "`tatmig downgrade -1`"),
    (&["downgrade"], "one of `--to <VERSION>`, `-N`, `--steps <N>` is required", "Usage:"),
    (&["restore"], "`<ID>` is required", "`tatmig backup list` lists the backups"),
    (&["new"], "`--message <TEXT>` is required", "`tatmig new -m "),
    (&["new", "-m", "x", "--rename", "a=b"], "`--from-db <FILE>` is required", "`--rename`"),
    (
        &["lint", "--format", "githb"],
        "invalid value `githb` for `--format <FORMAT>`: must be `human`, `json`, `github` or `sarif`",
        "`github`?",
    ),
    (&["status", "--json=1"], "`--json` has no value, but `1` was given", "Usage:"),
];

#[test]
fn a_word_that_no_command_takes_is_answered_in_plain_words() {
    let fleet = Fleet::from_blocks(NOTES);
    for (arguments, message, tip) in UNKNOWN_WORDS.iter().copied() {
        let run = fleet.run_without_changes(arguments);
        run.status(2).stderr_contains(&format!("error: {message}")).stderr_contains(tip);
        // Words of the parser.
        for word in ["tip:", "found", "subcommand", "wasn't", "'--"] {
            run.stderr_lacks(word);
        }
    }
}

/// Command lines with the reason why two of their options exclude each other.
const CONFLICTS: &[(&str, &str)] = &[
    (
        "lint --json --format github",
        "`--format` cannot be used with `--json`: `--json` is the format `json`",
    ),
    ("lint --json --format sarif", "`--format` cannot be used with `--json`"),
    ("lint --format human --json", "`--format` cannot be used with `--json`"),
    (
        "lint --explain sql --deny sql",
        "`--explain` cannot be used with `--deny`: `--explain` describes a rule",
    ),
    ("lint --explain sql --format sarif", "`--explain` cannot be used with `--format sarif`"),
    (
        "query --csv --json SELECT",
        "`--json` cannot be used with `--csv`: rows are printed in one format",
    ),
    ("query --ndjson --json SELECT", "`--json` cannot be used with `--ndjson`"),
    (
        "query --ndjson --csv SELECT",
        "`--ndjson` cannot be used with `--csv`: rows are printed in one format",
    ),
    (
        "upgrade --dry-run --fail-fast",
        "`--fail-fast` cannot be used with `--dry-run`: a dry run changes no database",
    ),
    ("upgrade --dry-run --canary 1 --all-users", "`--canary` cannot be used with `--dry-run`: "),
    (
        "upgrade --dry-run --rehearse",
        "`--rehearse` cannot be used with `--dry-run`: a dry run only prints the SQL",
    ),
    (
        "upgrade --backup --no-backup",
        "`--backup` cannot be used with `--no-backup`: use one of them",
    ),
    (
        "upgrade --all-or-nothing --rehearse",
        "`--all-or-nothing` rehearses by itself, and then commits",
    ),
    ("upgrade --json-lines --json", "`--json-lines` cannot be used with `--json`: "),
    ("downgrade -1 --fail-fast --dry-run", "`--fail-fast` cannot be used with `--dry-run`: "),
    ("downgrade -1 --to 1.0.0", "`--to` cannot be used with `-N`: each of them is where to stop"),
    ("downgrade -1 --steps 1", "`--steps` cannot be used with `-N`: each of them is where to stop"),
    ("new --patch --minor -m x", "each of them is the version of the new migration"),
    (
        "new 1.3.0 --minor -m x",
        "`VERSION` cannot be used with `--minor`: each of them is the version of the new migration",
    ),
    ("schema --check --scope user", "`--check` cannot be used with `--scope`: the markers"),
    ("schema --write --at 1.0.0", "the markers in the document say which schema they hold"),
    ("schema --write --check", "`--check` changes nothing"),
    ("status --system --no-system", "use one of them"),
    ("status --all-users --user ann", "`--all-users` selects every user already"),
    ("backup --user ann list", "`--user <NAME>` cannot be used with the command `list`"),
    (
        "completions bash --json",
        "`--json` cannot be used with `tatmig completions`, which prints a script",
    ),
    ("man upgrade --dir .", "`--dir` writes the pages of all commands"),
    ("status --users-from file:x", "`--users-from` has no effect without `--server URL`"),
    ("status --server http://[::1]:1 --users-dir x", "`--users-dir` has no effect with `--server`"),
];

#[test]
fn options_of_which_one_would_be_ignored_are_refused_with_the_reason() {
    let fleet = Fleet::from_blocks(NOTES);
    for (arguments, message) in CONFLICTS {
        let run = fleet.run_without_changes(arguments.split(' ').collect::<Vec<_>>());
        run.status(2).stderr_contains(message);
    }
    let usage = fleet.run(["new", "--minor", "--major", "-m", "x"]);
    usage.status(2).stderr_contains("Usage: tatmig new [OPTIONS]");
    // The same format twice, and a format that a variable only chooses, are no contradiction.
    fleet.run(["lint", "--json", "--format", "json"]).status(0).json();
    let fleet = fleet.env("TATMIG_JSON", "1");
    fleet.run(["lint", "--format", "github"]).status(0);
    fleet.run(["completions", "bash"]).status(0);
}

#[test]
fn an_invalid_setting_names_where_it_is_from() {
    let pattern = "the user pattern `x` cannot be used: ";
    let run = |fleet: &Fleet, source: &str| {
        let run = fleet.run_without_changes(["status"]);
        run.status(2).stderr_contains(pattern).stderr_contains(source);
    };
    run(
        &Fleet::from_blocks(NOTES).config("user_pattern = \"x\""),
        "(set by `user_pattern` in `tatmig.toml`)",
    );
    run(
        &Fleet::from_blocks(NOTES).env("TATMIG_USER_PATTERN", "x"),
        "(set by `TATMIG_USER_PATTERN`)",
    );
    let fleet = Fleet::from_blocks(NOTES);
    let flag = fleet.run_without_changes(["status", "--user-pattern", "x"]);
    flag.status(2).stderr_contains("(set by `--user-pattern`)");
    for (name, value) in [
        ("SERVER", "nowhere"),
        ("NAMESPACE_PATTERN", "x"),
        ("USERS_FROM", "x"),
        ("SERVER_TIMEOUT", "0"),
        ("FILE", "missing.md"),
        ("SYSTEM_DB", "missing.db"),
    ] {
        let variable = format!("TATMIG_{name}");
        let fleet = Fleet::from_blocks(NOTES).env(&variable, value);
        fleet
            .run_without_changes(["status"])
            .status(2)
            .stderr_contains(&format!("set by `{variable}`"));
        let fleet = Fleet::from_blocks(NOTES);
        let (key, number) = (name.to_lowercase(), value.parse::<u8>().is_ok());
        let value = if number { value.to_owned() } else { format!("\"{value}\"") };
        let fleet = fleet.config(&format!("{key} = {value}"));
        fleet
            .run_without_changes(["status"])
            .status(2)
            .stderr_contains(&format!("set by `{key}` in `tatmig.toml`"));
    }
    for (name, value) in
        [("FOLLOW_SYMLINKS", "maybe"), ("QUIET", "2"), ("COLOR", "red"), ("SHARD", "9/2")]
    {
        let variable = format!("TATMIG_{name}");
        let fleet = Fleet::from_blocks(NOTES).env(&variable, value);
        let run = fleet.run_without_changes(["status"]);
        run.status(2).stderr_contains(&format!("for the environment variable `{variable}`: "));
    }
}

#[test]
fn a_misspelled_name_is_answered_with_the_one_that_was_meant() {
    let fleet = Fleet::from_blocks(&[NOTES, &[("user:seed:sample", "SELECT 1;")]].concat());
    let fleet = fleet.system("").user("annabel", "");
    fleet.run(["upgrade"]).status(0);
    fleet.run(["backup"]).status(0);
    for (arguments, suggestion) in [
        (&["lint", "--explain", "destructiv"] as &[&str], "did you mean `destructive`?"),
        (&["lint", "--allow", "mising-date"], "did you mean `missing-date`?"),
        (&["lint", "--deny", "warning"], "did you mean `warnings`?"),
        (&["upgrade", "--to", "v1.2"], "did you mean `1.2.0`?"),
        (&["stamp", "baselin"], "did you mean `baseline`?"),
        (&["schema", "--at", "1.2"], "did you mean `1.2.0`?"),
        (&["new", "1.3", "-m", "x"], "did you mean `1.3.0`?"),
        (&["status", "--user", "anabel"], "did you mean `annabel`?"),
        (&["restore", "lates"], "did you mean `latest`?"),
        (&["restore", "20"], "did you mean `20"),
        (&["seed", "smple"], "did you mean `sample`?"),
        (&["status", "-f", "MIGRATION.md"], "did you mean `MIGRATIONS.md`?"),
    ] {
        fleet.run_without_changes(arguments).status(2).stderr_contains(suggestion);
    }
    fleet.run(["lint", "--explain", "xyz"]).status(2).stderr_lacks("did you mean");
    let fleet = fleet.config("usr_pattern = \"{username}.db\"");
    fleet
        .run(["status"])
        .status(2)
        .stderr_contains("unknown key `usr_pattern`; did you mean `user_pattern`?");
    let blocks =
        [("user:baseline→1.0.0", "-- tatmig:allow destructiv it is empty\nCREATE TABLE t (a);")];
    let fleet = Fleet::from_blocks(&blocks);
    fleet.run(["lint"]).status(2).stderr_contains("help: did you mean `destructive`?");
}

#[test]
fn in_an_empty_directory_every_command_names_the_one_that_creates_the_document() {
    let fleet = Fleet::new();
    for arguments in [
        &["init"] as &[&str],
        &["status"],
        &["upgrade", "--all-users"],
        &["downgrade", "-1"],
        &["history"],
        &["lint"],
        &["verify"],
        &["test"],
        &["stamp", "1.0.0"],
        &["adopt"],
        &["seed", "sample"],
        &["reset"],
        &["schema"],
        &["promote", "1.0.0"],
        &["new", "-m", "first"],
        &["new", "-m", "first", "--minor"],
    ] {
        let run = fleet.run_without_changes(arguments);
        run.status(2).stderr_contains("`tatmig new 1.0.0 -m ").stderr_lacks("no migration yet");
    }
    fleet.run(["new", "1.0.0", "-m", "first"]).status(0);
    assert!(fleet.path("MIGRATIONS.md").exists());
}

#[test]
fn no_message_has_the_numbers_and_words_of_a_library() {
    let fleet = Fleet::from_blocks(NOTES).file("file", "");
    for arguments in [
        &["status", "--config", "missing.toml"] as &[&str],
        &["status", "-C", "missing"],
        &["status", "--system-db", "file/system.db"],
        &["status", "--users-dir", "file"],
        &["status", "--server", "http://127.0.0.1:1"],
        &["import", "missing"],
        &["new", "1.3.0", "-m", "x", "--from-db", "missing.db"],
        &["backup", "--backups-dir", "file"],
        &["status", "--report", "missing/r.html"],
        &["status", "--metrics", "missing/m.prom"],
        &["import", "-", "--from", "dbmate", "-f", "missing/m.md"],
    ] {
        let run = fleet.run(arguments);
        assert!(run.has_status(&[1, 2]), "{}", run.describe());
        run.stderr_lacks("os error").stderr_lacks(".tatmig-");
        let json = fleet.run([arguments, &["--json"]].concat()).json();
        assert!(!json.to_string().contains("os error"), "{json}");
    }
    for toml in
        ["users_dir = x", "users_dir = \"x", "= 3", "a", "color = 3", "jobs = 99999999999999999999"]
    {
        let run = Fleet::from_blocks(NOTES).config(toml);
        let run = run.run(["status"]);
        run.status(2).stderr_contains("in the settings file `tatmig.toml`, line 1");
        for word in ["literal", "basic string", "i128", "wanted", "invalid type", "unquoted"] {
            run.stderr_lacks(word);
        }
    }
}
