//! Tests the language server with pytest-lsp, an editor without a window: one trial for each file of
//! Python tests. Without pytest-lsp they are listed as ignored; with `TATMIG_REQUIRE_TOOLS` set, as in
//! CI, its absence is a failure.
#![allow(clippy::expect_used, reason = "here all of it is test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is its own harness")]

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

const INSTALL_COMMANDS: &str = "python3 -m venv tests/lsp/.venv && tests/lsp/.venv/bin/pip install --require-hashes -r tests/lsp/requirements.txt";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lsp");
    let is_missing = !directory.join(".venv/bin/pytest").exists();
    if is_missing {
        if std::env::var_os("TATMIG_REQUIRE_TOOLS").is_some() {
            eprintln!("pytest-lsp must be installed for these tests: {INSTALL_COMMANDS}");
            return ExitCode::FAILURE;
        }
        println!("\nignored, for pytest-lsp is not installed; install it: {INSTALL_COMMANDS}");
    }
    let files = directory.read_dir().expect("tests/lsp is readable");
    let names = files.map(|file| file.expect("tests/lsp is readable").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| {
        name.starts_with("test_") && Path::new(name).extension() == Some("py".as_ref())
    });
    names.sort();
    let trials = names.into_iter().map(|name| {
        let directory = directory.clone();
        let title = name.trim_end_matches(".py").to_owned();
        Trial::test(title, move || run_file(&directory, &name)).with_ignored_flag(is_missing)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn run_file(directory: &Path, name: &str) -> Result<(), Failed> {
    let output = Command::new(directory.join(".venv/bin/python"))
        .args(["-m", "pytest", "-q", name])
        .current_dir(directory)
        .env("TATMIG_BIN", env!("CARGO_BIN_EXE_tatmig"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    Err(format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)).into())
}
