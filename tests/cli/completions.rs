//! Tests `completions` and `man`, which are generated from the definition of the command line: they
//! contain every command, and shells and `groff`, if installed, accept them.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::Fleet;

/// The commands that the help lists, below all of its headings.
fn listed_commands(fleet: &Fleet) -> Vec<String> {
    let help = fleet.run(["-h"]).status(0).stdout_text();
    let (_, groups) = help.split_once("<COMMAND>\n\n").unwrap();
    let (groups, _) = groups.split_once("Options:\n").unwrap();
    let names = groups.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Whether a program accepts a text, and its errors; `None` if the program is not installed.
fn check_syntax(program: &str, arguments: &[&str], text: &str) -> Option<(bool, String)> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    // A program that exits early has printed the reason.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((output.status.success() && errors.is_empty(), errors))
}

#[test]
fn scripts_without_values_cover_every_command_and_flag() {
    let fleet = Fleet::new();
    let commands = listed_commands(&fleet);
    assert!(commands.len() > 10 && commands.contains(&"upgrade".to_owned()), "{commands:?}");
    for shell in ["powershell", "elvish"] {
        let script =
            fleet.run_without_changes(["completions", shell]).status(0).stderr("").stdout_text();
        for word in commands.iter().map(String::as_str).chain(["all-users", "canary", "stats"]) {
            assert!(script.contains(word), "`{word}` is not completed for {shell}");
        }
    }
}

#[test]
fn the_page_of_a_command_of_a_command_is_printed() {
    let fleet = Fleet::new();
    let page = fleet.run(["man", "backup-list"]).status(0).stdout_text();
    assert!(page.contains(r"tatmig\-backup\-list \- List the backups"), "{page}");
    let page = fleet.run(["man", "backup"]).status(0).stdout_text();
    assert!(page.contains(r"tatmig\-backup\-prune(1)"), "{page}");
    assert!(!page.contains(r"tatmig\-backup\-help(1)"), "{page}");
    fleet.run(["man", "backup-nope"]).status(2).stderr_contains("unknown command `backup-nope`");
}

#[test]
fn shells_parse_their_completion_scripts() {
    let fleet = Fleet::new();
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = fleet.run(["completions", shell]).status(0).stdout_text();
        let file = fleet.path(shell);
        std::fs::write(&file, &script).unwrap();
        if let Some((is_valid, errors)) = check_syntax(shell, &[flag, file.to_str().unwrap()], "") {
            assert!(is_valid, "{shell}: {errors}");
        }
    }
}

#[test]
fn completions_need_no_document_and_no_settings() {
    let fleet = Fleet::new().config("no = \"such key\"").env("TATMIG_JSON", "1");
    let fleet = fleet.env("TATMIG_QUIET", "1");
    let script = fleet.run_without_changes(["completions", "bash"]).status(0).stdout_text();
    assert!(script.contains("complete -F _tatmig tatmig"));
    fleet.run_without_changes(["man"]).status(0).stdout_contains(".TH tatmig 1");
    fleet
        .run_without_changes(["completions", "tcsh"])
        .status(2)
        .stderr_contains("must be `bash`, `elvish`");
    fleet.run_without_changes(["completions"]).status(2);
}

#[test]
fn the_man_page_lists_every_command_and_the_exit_status() {
    let fleet = Fleet::new();
    let page = fleet.run_without_changes(["man"]).status(0).stderr("").stdout_text();
    for command in listed_commands(&fleet) {
        assert!(page.contains(&format!("tatmig\\-{command}(1)")), "{command}\n{page}");
    }
    for heading in [".SH NAME", ".SH OPTIONS", ".SH EXAMPLES", ".SH \"EXIT STATUS\""] {
        assert!(page.contains(heading), "no {heading} in\n{page}");
    }
    assert!(page.contains("Ended by SIGHUP, SIGINT or SIGTERM"));
    assert!(page.contains("\\fBTATMIG_USERS_DIR\\fR"), "{page}");
}

#[test]
fn every_command_has_its_own_valid_man_page() {
    let fleet = Fleet::new().directory("man1");
    fleet.run(["man", "--dir", "man1"]).status(0).stdout("").stderr("");
    let commands = listed_commands(&fleet);
    let pages = std::fs::read_dir(fleet.path("man1")).unwrap().count();
    // `tatmig`, its commands, and those of `backup`.
    assert_eq!(pages, commands.len() + 3);
    for command in commands {
        let page = fleet.path(format!("man1/tatmig-{command}.1"));
        let text = std::fs::read_to_string(page).unwrap();
        assert_eq!(fleet.run(["man", &command]).status(0).stdout_text(), text);
        for section in ["\"EXIT STATUS\"", "ENVIRONMENT", "FILES", "EXAMPLES\n.nf"] {
            assert!(text.contains(&format!(".SH {section}\n")), "{command} {section}\n{text}");
        }
        assert!(text.contains("\\fBTATMIG_FILE\\fR") && text.contains("\\-\\-file"), "{text}");
        assert!(text.contains("tatmig.toml") && text.contains("TATMIG_AUTH_TOKEN"), "{text}");
        if let Some((is_valid, errors)) =
            check_syntax("mandoc", &["-T", "lint", "-W", "error"], &text)
        {
            assert!(is_valid, "{command}: {errors}");
        }
        assert!(text.contains(&format!("tatmig {command}")), "{text}");
        if let Some((is_valid, errors)) =
            check_syntax("groff", &["-man", "-Kutf8", "-Tutf8", "-ww", "-z"], &text)
        {
            assert!(is_valid, "{command}: {errors}");
        }
    }
    // Aliases have the page of their command.
    assert_eq!(fleet.run(["man", "up"]).stdout_text(), fleet.run(["man", "upgrade"]).stdout_text());
}

#[test]
fn an_unknown_page_and_a_missing_directory_are_usage_errors() {
    let fleet = Fleet::new();
    fleet
        .run_without_changes(["man", "dance"])
        .status(2)
        .stderr_contains("unknown command `dance`");
    fleet
        .run_without_changes(["man", "--dir", "nowhere"])
        .status(2)
        .stderr_contains("the directory `nowhere` does not exist; create it first");
}
