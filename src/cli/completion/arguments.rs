//! Decides what completes each argument of the command line.

use std::ffi::OsStr;
use std::sync::Arc;

use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCompleter, PathCompleter};

use crate::cli::completion::candidates::{Candidates, VersionKind, commands, rules};

/// Adds what completes their values to the arguments of a command and its subcommands.
pub(crate) fn with_completers(command: Command, candidates: &Arc<Candidates>) -> Command {
    let name = command.get_name().to_owned();
    command
        .mut_args(|argument| with_completer(&name, argument, candidates))
        .mut_subcommands(|subcommand| with_completers(subcommand, candidates))
}

fn with_completer(command: &str, argument: Arg, candidates: &Arc<Candidates>) -> Arg {
    let id = argument.get_id().as_str().to_owned();
    let versions = |kind| {
        let candidates = Arc::clone(candidates);
        ArgValueCompleter::new(move |typed: &OsStr| candidates.versions(typed, kind))
    };
    let found = |find: fn(&Candidates, &OsStr) -> _| {
        let candidates = Arc::clone(candidates);
        ArgValueCompleter::new(move |typed: &OsStr| find(&candidates, typed))
    };
    match (command, id.as_str()) {
        (_, "users") => argument.add(found(Candidates::users)),
        ("stamp", "version") => argument.add(versions(VersionKind::OrBaselineOrHead)),
        ("promote", "version") | ("upgrade", "planned") => {
            argument.add(versions(VersionKind::Planned))
        }
        ("downgrade", "to") | ("adopt", "at") => argument.add(versions(VersionKind::OrBaseline)),
        (_, "to" | "at") => argument.add(versions(VersionKind::Any)),
        ("restore", "id") => argument.add(found(Candidates::backups)),
        ("seed", "names") => argument.add(found(Candidates::seeds)),
        ("lint", "deny") => {
            argument.add(ArgValueCompleter::new(|typed: &OsStr| rules(typed, &["warnings"])))
        }
        ("lint", "allow" | "explain") => {
            argument.add(ArgValueCompleter::new(|typed: &OsStr| rules(typed, &[])))
        }
        ("man", "command") => argument.add(ArgValueCompleter::new(commands)),
        (_, "directory") => match &candidates.start_directory {
            Some(directory) => {
                argument.add(ArgValueCompleter::new(PathCompleter::dir().current_dir(directory)))
            }
            None => argument,
        },
        (_, "users_dir" | "backups_dir" | "dir") => argument.value_hint(ValueHint::DirPath),
        _ => argument,
    }
}
