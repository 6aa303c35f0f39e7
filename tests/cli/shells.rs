//! Tests completions in the shells themselves: bash, and zsh and fish where they are installed. The
//! scripts of `tatmig completions` run in the shell, which runs the program at each request.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Fleet, NOTES};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Sources the script and prints the completions of the words in the arguments, one a line.
const BASH: &str = r#"
source script
complete_words() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _tatmig tatmig "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    for reply in "${COMPREPLY[@]}"; do printf '%s\n' "$reply"; done
}
complete_words "$@"
"#;

/// The completion system of zsh works at a prompt only; what it is given is captured instead.
const ZSH: &str = r#"
compdef() { : }
_describe() { local array=$3; print -rl -- "${(@P)array}" }
source ./script
words=("$@"); CURRENT=$#
_tatmig
"#;

const FISH: &str = r#"
source script
complete --do-complete (string join ' ' -- $argv)
"#;

/// A fleet whose document has planned versions and a seed, with users, a backup and a second document.
fn fleet() -> Fleet {
    let planned = "\n## 1.2.0 → 1.3.0 (Planned)\n\n```sql\n-- [user:1.2.0→1.3.0:start]\n-- SELECT 1;\n-- [user:1.2.0→1.3.0:end]\n```\n";
    let seed = ("user:seed:sample-data", "INSERT INTO notes (body) VALUES ('x');");
    let blocks: Vec<_> = NOTES.iter().copied().chain([seed]).collect();
    let document = crate::support::document(&blocks) + planned;
    let fleet = Fleet::new().document(document).system("");
    let fleet = fleet.user("ann", "").user("anton", "").user("bob", "").user("an n", "");
    let fleet = fleet.directory("other").file("backups/20261121T114500Z/manifest.json", "{}");
    fleet.file("other/tatmig.toml", "user_pattern = \"{username}.db\"\n").file("other/zoe.db", "")
}

/// What a shell offers for the words of a command line; `None` if the shell is not installed.
fn complete(fleet: &Fleet, shell: &str, words: &[&str]) -> Option<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let script = Fleet::new().run(["completions", shell]).status(0).stdout_text();
    std::fs::write(directory.path().join("script"), script).unwrap();
    let (driver, flag) = match shell {
        "bash" => (BASH, "--norc"),
        "zsh" => (ZSH, "-f"),
        _ => (FISH, "--no-config"),
    };
    let sourced = directory.path().join("script");
    let driver = driver
        .replace("./script", "script")
        .replace("source script", &format!("source {}", sourced.display()));
    std::fs::write(directory.path().join("driver"), driver).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_tatmig")).parent().unwrap();
    let mut path = OsString::from(program);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new(shell)
        .arg(flag)
        .arg(directory.path().join("driver"))
        .args(words)
        .current_dir(fleet.path(""))
        .envs(fleet.command(["status"]).get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", path)
        .env("HOME", directory.path())
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(
                shell != "bash" && std::env::var_os("TATMIG_REQUIRE_SHELLS").is_none(),
                "no {shell}"
            );
            return None;
        }
        output => output.unwrap(),
    };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell} {words:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // fish and zsh have a description after each value.
    let separator = if shell == "zsh" { ':' } else { '\t' };
    let values = text.lines().map(|line| match line.split_once(separator) {
        Some((value, _)) if shell != "bash" => value.to_owned(),
        _ => line.to_owned(),
    });
    Some(values.collect())
}

/// Asserts what every installed shell offers.
#[track_caller]
fn assert_complete(fleet: &Fleet, words: &[&str], expected: &[&str]) {
    for shell in SHELLS {
        if let Some(found) = complete(fleet, shell, words) {
            assert_eq!(found, expected, "{shell} {words:?}");
        }
    }
}

#[test]
fn shells_complete_commands_flags_and_values_of_flags() {
    let fleet = fleet();
    assert_complete(&fleet, &["tatmig", "upg"], &["upgrade"]);
    // Another name of a command is completed only if nothing else begins so.
    assert_complete(&fleet, &["tatmig", "u"], &["upgrade"]);
    assert_complete(&fleet, &["tatmig", "do"], &["downgrade", "doctor"]);
    assert_complete(&fleet, &["tatmig", "roll"], &["rollback"]);
    assert_complete(&fleet, &["tatmig", "upgrade", "--all-u"], &["--all-users"]);
    assert_complete(&fleet, &["tatmig", "init", "--journal-mode", "w"], &["wal"]);
    assert_complete(&fleet, &["tatmig", "completions", "po"], &["powershell"]);
    assert_complete(&fleet, &["tatmig", "man", "prom"], &["promote"]);
    assert_complete(&fleet, &["tatmig", "backup", "pr"], &["prune"]);
}

#[test]
fn shells_complete_users() {
    let fleet = fleet();
    assert_complete(&fleet, &["tatmig", "upgrade", "--user", "b"], &["bob"]);
    assert_complete(&fleet, &["tatmig", "status", "--user", "ant"], &["anton"]);
    assert_complete(&fleet, &["tatmig", "status", "--user", "ann", "--user", "b"], &["bob"]);
    assert_complete(&fleet, &["tatmig", "status", "--user", "zz"], &[]);
}

#[test]
fn shells_complete_versions_of_the_document() {
    let fleet = fleet();
    let all = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"];
    assert_complete(&fleet, &["tatmig", "upgrade", "--to", "1"], &all);
    assert_complete(&fleet, &["tatmig", "promote", "1"], &["1.3.0"]);
    assert_complete(&fleet, &["tatmig", "upgrade", "--rehearse", "--planned", "1"], &["1.3.0"]);
    assert_complete(&fleet, &["tatmig", "downgrade", "--to", "b"], &["baseline"]);
    assert_complete(&fleet, &["tatmig", "stamp", "h"], &["head"]);
    assert_complete(&fleet, &["tatmig", "schema", "--at", "1.1"], &["1.1.0"]);
}

#[test]
fn shells_complete_backups_seeds_rules_and_files() {
    let fleet = fleet();
    assert_complete(&fleet, &["tatmig", "restore", "2"], &["20261121T114500Z"]);
    assert_complete(&fleet, &["tatmig", "restore", "l"], &["latest"]);
    assert_complete(&fleet, &["tatmig", "seed", "s"], &["sample-data"]);
    assert_complete(&fleet, &["tatmig", "lint", "--deny", "warn"], &["warnings"]);
    assert_complete(&fleet, &["tatmig", "lint", "--explain", "stray"], &["stray-fence"]);
    assert_complete(&fleet, &["tatmig", "-f", "MIG"], &["MIGRATIONS.md"]);
}

#[test]
fn a_value_after_an_equals_sign_is_completed() {
    let fleet = fleet();
    // bash splits the word at `=` and replaces what is after it.
    let words = ["tatmig", "upgrade", "--user", "=", "b"];
    assert_eq!(complete(&fleet, "bash", &words).unwrap(), ["bob"]);
    let words = ["tatmig", "upgrade", "--user", "="];
    assert_eq!(complete(&fleet, "bash", &words).unwrap().len(), 4);
    for shell in ["zsh", "fish"] {
        let found = complete(&fleet, shell, &["tatmig", "upgrade", "--user=b"]);
        assert!(found.is_none_or(|found| found == ["--user=bob"]), "{shell}");
    }
}

#[test]
fn bash_quotes_a_name_with_a_space_and_reads_a_quoted_word() {
    let fleet = fleet();
    let found = |words: &[&str]| complete(&fleet, "bash", words).unwrap();
    assert_eq!(found(&["tatmig", "status", "--user", "an\\ "]), ["an\\ n"]);
    assert_eq!(found(&["tatmig", "status", "--user", "'an "]), ["an n"]);
    assert_eq!(found(&["tatmig", "-C", "'other'", "status", "--user", ""]), ["zoe"]);
    let fleet = fleet.user("*", "");
    assert_eq!(complete(&fleet, "bash", &["tatmig", "status", "--user", "\\*"]).unwrap(), ["\\*"]);
}

#[test]
fn completions_obey_the_document_the_directory_and_the_settings_file() {
    let fleet = fleet().file(
        "second.md",
        crate::support::document(&[("user:baseline→7.0.0", "CREATE TABLE a (x);")]),
    );
    assert_complete(&fleet, &["tatmig", "-C", "other", "status", "--user", ""], &["zoe"]);
    assert_complete(&fleet, &["tatmig", "-f", "second.md", "upgrade", "--to", "7"], &["7.0.0"]);
    assert_complete(&fleet, &["tatmig", "upgrade", "-f", "second.md", "--to", "7"], &["7.0.0"]);
    let config = fleet
        .config("file = \"second.md\"\nusers_dir = \"other\"\nuser_pattern = \"{username}.db\"");
    assert_complete(&config, &["tatmig", "upgrade", "--to", "7"], &["7.0.0"]);
    assert_complete(&config, &["tatmig", "upgrade", "--user", "z"], &["zoe"]);
    assert_complete(
        &config,
        &[
            "tatmig",
            "--user-pattern",
            "{username}_longterm.db",
            "--users-dir",
            ".",
            "status",
            "--user",
            "b",
        ],
        &["bob"],
    );
}

#[test]
fn completions_are_silent_where_something_is_wrong_and_write_nothing() {
    let words = &["tatmig", "upgrade", "--user", "a"];
    for fleet in [
        Fleet::new(),
        fleet().config("no = \"such key\""),
        fleet().config("users_dir = \"nowhere\""),
        fleet().env("TATMIG_JOBS", "x"),
    ] {
        let before = fleet.snapshot();
        for shell in SHELLS {
            let found = complete(&fleet, shell, words);
            assert!(found.is_none_or(|found| found.len() < 4), "{shell}");
        }
        before.assert_same(&fleet.snapshot());
    }
    let broken = fleet().document("```sql\n-- [user:baseline→1.0.0:start]\n```\n");
    assert_complete(&broken, &["tatmig", "stamp", "1"], &[]);
    assert_complete(&broken, &["tatmig", "-C", "nowhere", "status", "--user", "a"], &[]);
    assert_complete(&broken, &["tatmig", "upgrade", "--user", "b"], &["bob"]);
    // The names of commands need no settings.
    assert_complete(&fleet().config("no = 1"), &["tatmig", "upg"], &["upgrade"]);
}

#[test]
fn a_request_without_words_or_of_an_unknown_shell_prints_nothing() {
    for (shell, arguments) in
        [("bash", &[] as &[&str]), ("tcsh", &["--", "tatmig", "upg"]), ("bash", &["--"])]
    {
        let fleet = fleet().env("_TATMIG_COMPLETE", shell);
        fleet.run_without_changes(arguments).status(0).stdout("").stderr("");
    }
    // An empty variable is no request.
    fleet().env("_TATMIG_COMPLETE", "").run(["status"]).status(0).stdout_contains("ann");
}

#[test]
fn users_in_directories_are_completed_by_their_path_template() {
    let fleet = fleet();
    let fleet = fleet.config("user_pattern = \"{sha256:2}/{username}/store.sqlite\"");
    // The hash of `ann` begins with 49; `bob` is in a wrong directory, and `cleo` has no file.
    let fleet = fleet.file("49/ann/store.sqlite", "").file("00/bob/store.sqlite", "");
    let fleet = fleet.directory("49/cleo");
    assert_complete(&fleet, &["tatmig", "status", "--user", ""], &["ann"]);
    assert_complete(&fleet, &["tatmig", "status", "--user", "c"], &[]);
}

#[test]
fn many_users_are_completed_by_the_next_character_and_fast() {
    let fleet = Fleet::from_blocks(NOTES);
    for index in 0..20_000 {
        std::fs::File::create(fleet.path(format!("u{index:05}_longterm.db"))).unwrap();
    }
    let started = Instant::now();
    assert_complete(&fleet, &["tatmig", "status", "--user", ""], &["u0", "u1"]);
    assert_complete(
        &fleet,
        &["tatmig", "status", "--user", "u0123"],
        &[
            "u01230", "u01231", "u01232", "u01233", "u01234", "u01235", "u01236", "u01237",
            "u01238", "u01239",
        ],
    );
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
