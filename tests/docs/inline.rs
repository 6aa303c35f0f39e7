//! Tries the commands that the pages name in their text and tables, so that no page names a flag or
//! a command that does not exist.

use std::collections::BTreeMap;
use std::fs;

use pulldown_cmark::{Event, Options, Parser};
use regex::Regex;
use tempfile::TempDir;

use crate::page::pages;
use crate::program;

/// The names that commands have for values, and a value for each.
const PLACEHOLDERS: [(&str, &str); 14] = [
    ("COMMAND", "upgrade"),
    ("DIR", "."),
    ("FILE", "ann_longterm.db"),
    ("I/N", "1/2"),
    ("ID", "latest"),
    ("N", "1"),
    ("NAME", "ann"),
    ("OLD=NEW", "notes=pages"),
    ("PATH", "ann_longterm.db"),
    ("RULE", "sql"),
    ("SQL", "SELECT 1"),
    ("TEXT", "text"),
    ("V", "1.0.0"),
    ("VERSION", "1.0.0"),
];

const DOCUMENT: &str = "```sql
-- [system:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS accounts (name TEXT);
-- [system:baseline→1.0.0:end]
-- [user:baseline→1.0.0:start]
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT);
-- [user:baseline→1.0.0:end]
```
";

#[test]
fn every_command_in_the_text_is_one_of_the_program() {
    let mut pages_of_command: BTreeMap<String, String> = BTreeMap::new();
    for page in pages() {
        for command in commands_in(&page.text) {
            pages_of_command.insert(command, page.path.clone());
        }
    }
    let fleet = small_fleet();
    let mut unknown = Vec::new();
    for (command, page) in &pages_of_command {
        if let Some(error) = usage_error(&fleet, command) {
            unknown.push(format!("{page}: `tatmig {command}`: {error}"));
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(pages_of_command.len() > 50, "the pages name commands");
}

/// The arguments of the commands in code spans.
fn commands_in(text: &str) -> Vec<String> {
    let spans = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Code(span) => span.strip_prefix("tatmig ").map(str::to_owned),
        _ => None,
    });
    spans.filter(|span| !span.contains(['…', '|', '>', '='])).collect()
}

fn small_fleet() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("MIGRATIONS.md"), DOCUMENT).unwrap();
    let output = program::tatmig(directory.path(), &["init", "--user", "ann"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory
}

/// Runs a command on a copy of the fleet. Returns the first line of an error about its arguments. A
/// page may name a command without all of its arguments.
fn usage_error(fleet: &TempDir, command: &str) -> Option<String> {
    let directory = TempDir::new().unwrap();
    for entry in fs::read_dir(fleet.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    let arguments: Vec<String> = words(command)
        .into_iter()
        .map(|word| {
            let value = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
            value.map_or(word, |(_, value)| (*value).to_owned())
        })
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = program::tatmig(directory.path(), &arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_usage = error.contains("Usage: tatmig") || error.contains("--help");
    let first = error.lines().next().unwrap_or_default();
    let is_incomplete = first.ends_with("required") || first.ends_with("needs a value");
    let is_wrong = output.status.code() == Some(2) && is_usage && !is_incomplete;
    is_wrong.then(|| first.to_owned())
}

/// The words of a command; quotes keep words together.
fn words(command: &str) -> Vec<String> {
    let word = Regex::new(r#""([^"]*)"|(\S+)"#).unwrap();
    let found = word
        .captures_iter(command)
        .map(|captures| captures.get(1).or_else(|| captures.get(2)).unwrap().as_str().to_owned());
    found.collect()
}

#[test]
fn an_unknown_flag_is_found() {
    let fleet = small_fleet();
    assert_eq!(usage_error(&fleet, "status --stats"), None);
    assert_eq!(usage_error(&fleet, "new -m TEXT"), None);
    assert_eq!(usage_error(&fleet, "new --minor"), None);
    assert!(usage_error(&fleet, "status --no-such-flag").is_some());
    assert!(usage_error(&fleet, "no-such-command").is_some());
    assert_eq!(words(r#"query "SELECT 1" --sum"#), ["query", "SELECT 1", "--sum"]);
}
