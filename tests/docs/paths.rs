//! Checks that the paths and functions which the documents name exist.

use std::path::Path;

use crate::page::{Page, pages, root};

/// Documents that name paths of the repository.
const DOCUMENTS: [&str; 2] = ["CONTRIBUTING.md", "docs/architecture.md"];

/// The directories of this repository that the documents refer to.
const DIRECTORIES: [&str; 9] = [
    "src/",
    "tests/",
    "docs/",
    "benches/",
    "editors/",
    "examples/",
    "fixtures/",
    "fuzz/",
    "packaging/",
];

/// The code spans of a Markdown text that are paths in this repository. Fences hold commands and
/// output, and are left out.
fn named_paths(text: &str) -> Vec<&str> {
    let mut paths = Vec::new();
    let mut fence_length = None;
    for line in text.lines() {
        let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
        match fence_length {
            None if ticks >= 3 => fence_length = Some(ticks),
            Some(opening) if ticks >= opening => fence_length = None,
            Some(_) => {}
            None => paths.extend(line.split('`').skip(1).step_by(2).filter(|span| is_path(span))),
        }
    }
    paths
}

fn is_path(span: &str) -> bool {
    DIRECTORIES.iter().any(|directory| span.starts_with(directory))
        && !span.contains(char::is_whitespace)
}

#[test]
fn every_path_that_the_documents_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in DOCUMENTS.map(Page::read).into_iter().chain(pages()) {
        let paths = named_paths(&page.text);
        let must_name_paths = DOCUMENTS.contains(&page.path.as_str());
        assert!(!must_name_paths || !paths.is_empty(), "{} names paths", page.path);
        for path in paths {
            assert!(root.join(path).exists(), "{} names `{path}`, which does not exist", page.path);
        }
    }
}

#[test]
fn every_message_in_the_table_of_problems_is_one_of_the_program() {
    let readme = Page::read("README.md").text;
    let table = readme.split("## Troubleshooting").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut sources = String::new();
    for file in rust_files(&root().join("src")) {
        sources += &std::fs::read_to_string(file).unwrap();
    }
    let mut messages = 0;
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let message = row.split('`').nth(1).unwrap();
        assert!(sources.contains(message), "no message of tatmig contains `{message}`");
        messages += 1;
    }
    assert!(messages >= 3, "the table names messages");
}

fn rust_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_module_is_in_the_table_of_the_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    for entry in std::fs::read_dir(root.join("src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // The library's root declares the modules and is not one of them.
        if name != "lib.rs" {
            let row = format!("| `src/{name}` |");
            assert!(text.contains(&row), "docs/architecture.md has no row for `src/{name}`");
        }
    }
}

#[test]
fn every_function_of_the_walk_is_in_the_file_that_is_named() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let function_in_file =
        regex::Regex::new(r"`(?:\w+::)?([a-z]\w*)`\s+in\s+`(src/[^`]+)`").unwrap();
    let mut functions = 0;
    for captures in function_in_file.captures_iter(&text) {
        let (function, path) = (&captures[1], &captures[2]);
        let source = std::fs::read_to_string(root.join(path)).unwrap();
        let definition = regex::Regex::new(&format!(r"\bfn {function}\b")).unwrap();
        assert!(definition.is_match(&source), "`{path}` has no function `{function}`");
        functions += 1;
    }
    assert!(functions > 10, "the walk names functions");
}

#[test]
fn paths_are_found_outside_fences_only() {
    let text = "See `src/a.rs` and `cargo test`.\n````md\n```sh\ncat `src/b.rs`\n```\n````\n\
                Also `docs/c.md`.";
    assert_eq!(named_paths(text), ["src/a.rs", "docs/c.md"]);
}
