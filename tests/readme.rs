//! Runs the README: writes its documents in their order, runs its commands, and compares their
//! output exactly.

#![allow(clippy::unwrap_used, reason = "clippy exempts test functions only")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The fenced blocks of a Markdown text: label and content.
fn fenced_blocks(text: &str) -> Vec<(&str, String)> {
    let mut found: Vec<(&str, String)> = Vec::new();
    let mut fence: Option<usize> = None;
    for line in text.lines() {
        let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
        match fence {
            None if ticks >= 3 => {
                fence = Some(ticks);
                found.push((&line[ticks..], String::new()));
            }
            Some(open) if ticks >= open && line.len() == ticks => fence = None,
            Some(_) => {
                let (_, content) = found.last_mut().unwrap();
                content.push_str(line);
                content.push('\n');
            }
            None => {}
        }
    }
    found
}

fn run_command(directory: &Path, command: &str) -> String {
    let arguments = command.strip_prefix("tatmig ").unwrap().split_whitespace();
    let mut tatmig = Command::new(env!("CARGO_BIN_EXE_tatmig"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TATMIG_") {
            tatmig.env_remove(name);
        }
    }
    let output = tatmig.args(arguments).current_dir(directory).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "`{command}` failed:\n{errors}");
    assert_eq!(errors, "", "`{command}` printed to standard error");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_prints_what_the_readme_shows() {
    let directory = tempfile::tempdir().unwrap();
    let document = directory.path().join("MIGRATIONS.md");
    let mut commands = 0;
    for (label, content) in fenced_blocks(include_str!("../README.md")) {
        match label {
            "markdown" => {
                let text = fs::read_to_string(&document).unwrap_or_default() + &content;
                fs::write(&document, text).unwrap();
            }
            "console" => {
                for part in content.split("$ ").skip(1) {
                    let (command, expected_output) = part.split_once('\n').unwrap();
                    assert_eq!(
                        run_command(directory.path(), command),
                        expected_output,
                        "$ {command}"
                    );
                    commands += 1;
                }
            }
            _ => {}
        }
    }
    assert!(commands >= 5, "the README shows commands");
}

#[test]
fn every_flag_is_in_the_readme() {
    let readme = include_str!("../README.md");
    let output =
        Command::new(env!("CARGO_BIN_EXE_tatmig")).args(["upgrade", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for word in help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 2) {
        let flag = word.trim_end_matches([',', '.', ')']);
        if !["--help", "--version"].contains(&flag) {
            assert!(readme.contains(flag), "`{flag}` is not in the README");
        }
    }
}
