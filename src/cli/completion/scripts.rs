//! Holds the scripts that register the completions with a shell.

use clap_complete::Shell;

use crate::cli::args::CliArgs;

/// The script of a shell. The scripts of bash, zsh and fish ask the program at each request; those
/// of other shells hold the names of commands and options.
pub(crate) fn completion_script(shell: Shell) -> Vec<u8> {
    match shell {
        Shell::Bash => include_bytes!("tatmig.bash").to_vec(),
        Shell::Zsh => include_bytes!("tatmig.zsh").to_vec(),
        Shell::Fish => include_bytes!("tatmig.fish").to_vec(),
        other => {
            let mut script = Vec::new();
            clap_complete::generate(other, &mut CliArgs::clap_command(), "tatmig", &mut script);
            script
        }
    }
}
