//! Runs the real program, with no setting from the environment of the test.

use std::path::Path;
use std::process::{Command, Output};

/// A command that finds `tatmig` by its name.
pub(crate) fn command(program: &str, directory: &Path) -> Command {
    let binaries = Path::new(env!("CARGO_BIN_EXE_tatmig")).parent().unwrap().to_owned();
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(binaries).chain(std::env::split_paths(&inherited));
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TATMIG_") || text == "NO_COLOR" || text == "CLICOLOR_FORCE" {
            command.env_remove(name);
        }
    }
    command.current_dir(directory).env("PATH", std::env::join_paths(path).unwrap());
    command.stdin(std::process::Stdio::null());
    command
}

pub(crate) fn tatmig(directory: &Path, arguments: &[&str]) -> Output {
    command(env!("CARGO_BIN_EXE_tatmig"), directory).args(arguments).output().unwrap()
}
