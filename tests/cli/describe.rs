//! `completions` and `man`: made from the definitions of the command line, so that neither can
//! lack a command, and readable by what they are for, where that is installed.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::Fleet;

/// The commands that the help lists.
fn commands(fleet: &Fleet) -> Vec<String> {
    let help = fleet.run(["-h"]).status(0).out();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Whether a program reads a text without a complaint; none where it is not installed.
fn reads(program: &str, arguments: &[&str], text: &str) -> Option<(bool, String)> {
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
    // One that ends early has said why.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((output.status.success() && errors.is_empty(), errors))
}

#[test]
fn every_shell_gets_every_command_and_flag() {
    let fleet = Fleet::new();
    let commands = commands(&fleet);
    assert!(commands.len() > 10 && commands.contains(&"upgrade".to_owned()), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = fleet.run_without_a_trace(["completions", shell]).status(0).stderr("").out();
        for word in commands.iter().map(String::as_str).chain(["all-users", "canary", "stats"]) {
            assert!(script.contains(word), "`{word}` is not completed for {shell}");
        }
    }
}

#[test]
fn the_shells_read_their_scripts() {
    let fleet = Fleet::new();
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = fleet.run(["completions", shell]).status(0).out();
        let file = fleet.path(shell);
        std::fs::write(&file, &script).unwrap();
        if let Some((reads, errors)) = reads(shell, &[flag, file.to_str().unwrap()], "") {
            assert!(reads, "{shell}: {errors}");
        }
    }
}

#[test]
fn bash_completes_a_command_a_flag_and_a_value() {
    let fleet = Fleet::new();
    let script = fleet.run(["completions", "bash"]).status(0).out();
    let completed = |words: &str| {
        let at = words.split(' ').count() - 1;
        let text = format!(
            "{script}\nCOMP_WORDS=({words})\nCOMP_CWORD={at}\n_tatmig tatmig \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at} - 1]}}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
        );
        let file = fleet.path("complete.bash");
        std::fs::write(&file, text).unwrap();
        let output = Command::new("bash").arg(&file).output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap())
    };
    let cases = [
        ("tatmig upg", "upgrade"),
        ("tatmig upgrade --all-u", "--all-users"),
        ("tatmig init --journal-mode w", "wal"),
        ("tatmig completions po", "powershell"),
    ];
    for (words, expected) in cases {
        // Where there is no bash there is nobody to complete for.
        let Some(completed) = completed(words) else { return };
        assert_eq!(completed.trim(), expected, "{words}");
    }
}

#[test]
fn completions_ask_for_no_document_and_no_settings() {
    let fleet = Fleet::new().config("no = \"such key\"").env("TATMIG_JSON", "1");
    let fleet = fleet.env("TATMIG_QUIET", "1");
    let script = fleet.run_without_a_trace(["completions", "bash"]).status(0).out();
    assert!(script.starts_with("_tatmig()"));
    fleet.run_without_a_trace(["man"]).status(0).stdout_contains(".TH tatmig 1");
    fleet.run_without_a_trace(["completions", "tcsh"]).status(2).stderr_contains("possible values");
    fleet.run_without_a_trace(["completions"]).status(2);
}

#[test]
fn the_man_page_lists_every_command_and_the_exit_status() {
    let fleet = Fleet::new();
    let page = fleet.run_without_a_trace(["man"]).status(0).stderr("").out();
    for command in commands(&fleet) {
        assert!(page.contains(&format!("tatmig\\-{command}(1)")), "{command}\n{page}");
    }
    for heading in [".SH NAME", ".SH OPTIONS", ".SH EXAMPLES", ".SH \"EXIT STATUS\""] {
        assert!(page.contains(heading), "no {heading} in\n{page}");
    }
    assert!(page.contains("129/130/143 ended by a signal"));
}

#[test]
fn every_command_has_a_page_of_its_own_that_man_reads() {
    let fleet = Fleet::new().directory("man1");
    fleet.run(["man", "--dir", "man1"]).status(0).stdout("").stderr("");
    let commands = commands(&fleet);
    let pages = std::fs::read_dir(fleet.path("man1")).unwrap().count();
    assert_eq!(pages, commands.len() + 1);
    for command in commands {
        let page = fleet.path(format!("man1/tatmig-{command}.1"));
        let text = std::fs::read_to_string(page).unwrap();
        assert_eq!(fleet.run(["man", &command]).status(0).out(), text);
        assert!(text.contains(".SH EXAMPLES\n.nf\n") || command == "verify", "{command}\n{text}");
        assert!(text.contains(&format!("tatmig {command}")), "{text}");
        if let Some((reads, errors)) =
            reads("groff", &["-man", "-Kutf8", "-Tutf8", "-ww", "-z"], &text)
        {
            assert!(reads, "{command}: {errors}");
        }
    }
    // By the names that people type.
    assert_eq!(fleet.run(["man", "up"]).out(), fleet.run(["man", "upgrade"]).out());
}

#[test]
fn a_page_of_nothing_and_a_directory_that_is_not_there_are_wrong_usage() {
    let fleet = Fleet::new();
    fleet
        .run_without_a_trace(["man", "dance"])
        .status(2)
        .stderr_contains("there is no command `dance`");
    fleet
        .run_without_a_trace(["man", "--dir", "nowhere"])
        .status(2)
        .stderr_contains("there is no directory `nowhere`; make it first");
}
