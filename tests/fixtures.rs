//! Tests the messages: `lint` on every document in `fixtures/faults`, each named by its one fault,
//! prints exactly the diagnostics and exits with the status in the file next to it. `TATMIG_BLESS=1`
//! overwrites those files with the current output; review the changes like code.

#![allow(clippy::unwrap_used)] // in helpers too, a panic is how a test says no

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use tatmig::database::ConnectionSetup;
use tatmig::{Rule, Source};

/// Rules that a document alone cannot violate.
const DATABASE_RULES: &[(Rule, &str)] = &[
    (Rule::Edited, "compares a document with what a database went through"),
    (Rule::ForeignKeys, "is about the rows of a database"),
    (Rule::RowLoss, "is about the rows of a database"),
    (Rule::RowChange, "is about the rows of a database; tests/selftest.rs"),
    (Rule::UndocumentedLoss, "is about a database that differs from the document; tests/safety"),
    (Rule::Overwrite, "is about a database that differs from the document; tests/safety"),
];

/// Rules about valid SQL, for which tests/lint.rs has a document each. Here their warnings would
/// appear next to every other fault.
const RISK_RULES: &[Rule] = &[
    Rule::NotRerunnable,
    Rule::Destructive,
    Rule::BrokenForeignKey,
    Rule::HidingGuard,
    Rule::PragmaWithoutEffect,
    Rule::DoubleQuotedString,
    Rule::MissingDate,
    Rule::MissingDescription,
    Rule::DatesOutOfOrder,
    Rule::NeedsNewerSqlite,
    Rule::ServerRefuses,
];

fn faults_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/faults")
}

/// The names of the files with an extension, without the extension.
fn file_stems(extension: &str) -> BTreeSet<String> {
    std::fs::read_dir(faults_directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// The output of `lint` on a document, with the exit status as the last line.
fn lint_output(name: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tatmig"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("TATMIG_") {
            command.env_remove(variable);
        }
    }
    let output = command
        .args(["lint", "-v", "--file", &format!("{name}.md")])
        .args(RISK_RULES.iter().flat_map(|rule| ["--allow", rule.name()]))
        .current_dir(faults_directory())
        .env("NO_COLOR", "1")
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let status = output.status.code().map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!("{stderr}exit status: {status}\n")
}

fn is_blessing() -> bool {
    std::env::var_os("TATMIG_BLESS").is_some_and(|value| value == "1")
}

#[test]
fn every_faulty_document_prints_its_expected_diagnostics() {
    let bless = is_blessing();
    let mut wrong = Vec::new();
    for name in file_stems("md") {
        let golden = faults_directory().join(format!("{name}.stderr"));
        let found = lint_output(&name);
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
fn every_document_has_a_golden_file() {
    if is_blessing() {
        return; // they are being written
    }
    let (documents, goldens) = (file_stems("md"), file_stems("stderr"));
    assert!(!documents.is_empty());
    let orphans: Vec<_> = documents.symmetric_difference(&goldens).collect();
    assert!(orphans.is_empty(), "a document or its golden is missing: {orphans:?}");
}

#[test]
fn every_rule_has_a_document_that_breaks_it() {
    let mut broken: BTreeSet<Rule> = DATABASE_RULES.iter().map(|(rule, _)| *rule).collect();
    broken.extend(RISK_RULES);
    for name in file_stems("md") {
        let bytes = std::fs::read(faults_directory().join(format!("{name}.md"))).unwrap();
        // A file that is not UTF-8 is not parsed at all.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let report = tatmig::lint::lint(Source::new(name, &text), &ConnectionSetup::default());
        broken.extend(report.diagnostics.iter().map(|diagnostic| diagnostic.rule));
    }
    let missing: Vec<_> =
        Rule::ALL.iter().filter(|rule| !broken.contains(rule)).map(|rule| rule.name()).collect();
    assert!(missing.is_empty(), "no document in fixtures/faults breaks {missing:?}");
}
