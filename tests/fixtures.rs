//! The words on faults: `lint` on every document in `fixtures/faults`, each named by its one
//! fault, prints exactly the diagnostics and ends with the status that stand beside it.
//! `TATMIG_BLESS=1` writes what it prints now; what is blessed is read like code.

#![allow(clippy::unwrap_used)] // in helpers too, a panic is how a test says no

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tatmig::{Rule, Source};

/// Rules that no document breaks by itself.
const OF_DATABASES: &[(Rule, &str)] = &[
    (Rule::Edited, "compares a document with what a database went through"),
    (Rule::ForeignKeys, "is about the rows of a database"),
    (Rule::RowLoss, "is about the rows of a database"),
    (Rule::RowChange, "is about the rows of a database; tests/selftest.rs"),
    (Rule::ObjectLoss, "is about a database on its way; tests/selftest.rs"),
];

/// Rules that judge what a document does well enough to be run: tests/lint.rs has a document for
/// each. Here they would stand beside every other fault.
const JUDGEMENTS: &[Rule] = &[
    Rule::NotRerunnable,
    Rule::Destructive,
    Rule::BrokenForeignKey,
    Rule::HidingGuard,
    Rule::PragmaWithoutEffect,
    Rule::DoubleQuotedString,
    Rule::MissingDate,
    Rule::MissingDescription,
    Rule::DatesOutOfOrder,
    Rule::ReverseDiffers,
    Rule::NeedsNewerSqlite,
    Rule::ServerRefuses,
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/faults")
}

/// The names of the files with an extension, without it.
fn names(extension: &str) -> BTreeSet<String> {
    std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// What `lint` says of a document, its exit status as the last line.
fn lint(name: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tatmig"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("TATMIG_") {
            command.env_remove(variable);
        }
    }
    let output = command
        .args(["lint", "-v", "--file", &format!("{name}.md")])
        .args(JUDGEMENTS.iter().flat_map(|rule| ["--allow", rule.name()]))
        .current_dir(folder())
        .env("NO_COLOR", "1")
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let status = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!("{stderr}exit status: {status}\n")
}

fn blesses() -> bool {
    std::env::var_os("TATMIG_BLESS").is_some_and(|value| value == "1")
}

#[test]
fn every_fault_is_told_in_the_words_beside_it() {
    let bless = blesses();
    let mut wrong = Vec::new();
    for name in names("md") {
        let golden = folder().join(format!("{name}.stderr"));
        let found = lint(&name);
        if bless {
            std::fs::write(golden, found).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(golden).unwrap_or_default();
        if expected != found {
            wrong.push(format!("== {name}.md: expected\n{expected}== found\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}\nTATMIG_BLESS=1 accepts what was found", wrong.join("\n"));
}

#[test]
fn no_golden_is_without_its_document() {
    if blesses() {
        return; // they are being written
    }
    let (documents, goldens) = (names("md"), names("stderr"));
    assert!(!documents.is_empty());
    let orphans: Vec<_> = documents.symmetric_difference(&goldens).collect();
    assert!(orphans.is_empty(), "a document or its golden is missing: {orphans:?}");
}

#[test]
fn every_rule_has_a_document_that_breaks_it() {
    let mut broken: BTreeSet<Rule> = OF_DATABASES.iter().map(|(rule, _)| *rule).collect();
    broken.extend(JUDGEMENTS);
    for name in names("md") {
        let bytes = std::fs::read(folder().join(format!("{name}.md"))).unwrap();
        // The one that is not UTF-8 is no document to any rule.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let (problems, _) = tatmig::lint(Source::new(name, &text), &std::sync::Arc::default());
        broken.extend(problems.iter().map(|problem| problem.rule));
    }
    let missing: Vec<_> =
        Rule::ALL.iter().filter(|rule| !broken.contains(rule)).map(|rule| rule.name()).collect();
    assert!(missing.is_empty(), "no document in fixtures/faults breaks {missing:?}");
}
