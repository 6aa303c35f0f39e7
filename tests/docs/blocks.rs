//! Reads the blocks that are not commands: settings, JSON, documents. A block has a label that says
//! what it is, and what could be run is not hidden under a label that is not run.

use std::fs;

use crate::page::{Block, Directive, Item, Page, pages, root};
use crate::program;

/// The labels that the blocks of the pages may have.
const LABELS: [&str; 14] = [
    "console",
    "dockerfile",
    "http",
    "js",
    "json",
    "markdown",
    "mermaid",
    "python",
    "rust",
    "sh",
    "sql",
    "text",
    "toml",
    "yaml",
];

/// The blocks of all pages, each with its page and the comment above it.
fn all_blocks() -> Vec<(Page, Block, Option<Directive>)> {
    let mut found = Vec::new();
    for page in pages() {
        let mut directive = None;
        for item in page.items() {
            match item {
                Item::Directive(next) => directive = Some(next),
                Item::Block(block) => {
                    let page = Page { path: page.path.clone(), text: String::new() };
                    found.push((page, block, directive.take()));
                }
            }
        }
    }
    found
}

#[test]
fn every_block_has_a_known_label() {
    for (page, block, _) in all_blocks() {
        let Block { label, line, .. } = &block;
        let known = LABELS.contains(&label.as_str());
        assert!(known, "{}:{line}: the label `{label}` is not one of {LABELS:?}", page.path);
    }
}

#[test]
fn what_can_be_run_is_run() {
    for (page, block, _) in all_blocks().into_iter().filter(|(_, block, _)| block.label == "sh") {
        let only_tatmig = block.content.lines().all(|line| line.starts_with("tatmig "));
        assert!(
            !only_tatmig,
            "{}:{}: label it `console` and show the output, so that the tests run it",
            page.path, block.line
        );
    }
}

#[test]
fn settings_are_accepted() {
    let document = "## Baseline: 1.0.0\n**Date**: 2026-05-04\n**Description**: First\n\
                    ```sql\n-- [user:baseline→1.0.0:start]\nCREATE TABLE t (a);\n\
                    -- [user:baseline→1.0.0:end]\n```\n";
    let mut blocks = 0;
    for (page, block, directive) in all_blocks() {
        if block.label != "toml" {
            continue;
        }
        let place = format!("{}:{}", page.path, block.line);
        let table = block.content.parse::<toml::Table>();
        let table = table.unwrap_or_else(|error| panic!("{place}: {error}"));
        if matches!(&directive, Some(Directive::File(path)) if path != "tatmig.toml") {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("MIGRATIONS.md"), document).unwrap();
        fs::write(directory.path().join("tatmig.toml"), &block.content).unwrap();
        let output = program::tatmig(directory.path(), &["lint", "--file", "MIGRATIONS.md"]);
        let error = String::from_utf8(output.stderr).unwrap();
        // A library that an example names does not exist here, which is found last.
        let accepted = output.status.success()
            || table.contains_key("extension") && error.contains("does not exist; correct `path`");
        assert!(accepted, "{place}: these settings are refused:\n{error}");
        blocks += 1;
    }
    assert!(blocks >= 3, "the pages show settings");
}

#[test]
fn json_is_valid() {
    let schema = include_str!("../../docs/tatmig.schema.json");
    let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    for (page, block, _) in all_blocks().into_iter().filter(|(_, block, _)| block.label == "json") {
        let place = format!("{}:{}", page.path, block.line);
        let json: serde_json::Value =
            serde_json::from_str(&block.content).unwrap_or_else(|error| panic!("{place}: {error}"));
        if json.get("format").is_some() {
            let errors: Vec<_> = schema.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{place}: {}", errors.join("\n"));
        }
    }
}

#[test]
fn documents_can_be_used() {
    for (page, block, directive) in all_blocks() {
        // A block that is written to a file is used by the commands of its page. The rules show what
        // is wrong.
        if block.label != "markdown" || directive.is_some() || page.path == "docs/lints.md" {
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("MIGRATIONS.md"), &block.content).unwrap();
        let output = program::tatmig(directory.path(), &["lint"]);
        let (path, line) = (&page.path, block.line);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path}:{line}: this document has errors:\n{error}");
    }
}

#[test]
fn hooks_and_inputs_of_the_action_exist() {
    let action = fs::read_to_string(root().join("action.yml")).unwrap();
    let hooks = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let mut names = 0;
    for (page, block, _) in all_blocks().into_iter().filter(|(_, block, _)| block.label == "yaml") {
        let mut inputs = false;
        for line in block.content.lines() {
            let text = line.trim();
            let (file, name) = match text.strip_prefix("- id: ") {
                Some(hook) => (&hooks, format!("- id: {hook}\n")),
                None if inputs && line.starts_with("          ") => {
                    (&action, format!("\n  {}:\n", text.split(':').next().unwrap()))
                }
                None => {
                    inputs = text == "with:";
                    continue;
                }
            };
            assert!(file.contains(&name), "{}:{}: no `{}`", page.path, block.line, name.trim());
            names += 1;
        }
    }
    assert!(names >= 4, "the pages use the action and the hooks");
}
