//! Lists the options that cannot be used together, each pair with the reason, and refuses those that
//! were given. Of such a pair one option would be ignored. clap knows none of these conflicts: it has
//! no place for a reason, and counts a value from an environment variable.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// An option or argument that cannot be used with some others. All are named by their ids in clap.
struct Conflict {
    /// The commands that have the conflict; empty if all do.
    commands: &'static [&'static str],
    option: &'static str,
    others: &'static [&'static str],
    /// The options with which there is no conflict.
    unless: &'static [&'static str],
    reason: &'static str,
}

const VERSION_OF_NEW: &str = "each of them is the version of the new migration";
const WHERE_TO_STOP: &str = "each of them is where to stop";

const CONFLICTS: [Conflict; 30] = [
    Conflict {
        commands: &["upgrade"],
        option: "create",
        others: &["all_users"],
        unless: &[],
        reason: "`--create` selects the users it names, as `--user` does",
    },
    Conflict {
        commands: &["upgrade"],
        option: "create",
        others: &["rehearse", "all_or_nothing"],
        unless: &[],
        reason: "a database that does not exist has no rows to rehearse on",
    },
    Conflict {
        commands: &[],
        option: "rehearse",
        others: &["dry_run"],
        unless: &[],
        reason: "a dry run only prints the SQL, a rehearsal runs it and rolls back",
    },
    Conflict {
        commands: &[],
        option: "fail_fast",
        others: &["dry_run"],
        unless: &[],
        reason: "a dry run changes no database, so that no change can fail",
    },
    Conflict {
        commands: &["upgrade"],
        option: "canary",
        others: &["dry_run"],
        unless: &[],
        reason: "a dry run changes no database, so that none comes first",
    },
    Conflict {
        commands: &["upgrade"],
        option: "json_lines",
        others: &["dry_run"],
        unless: &[],
        reason: "a dry run changes no database, so that no line would follow",
    },
    Conflict {
        commands: &[],
        option: "json_lines",
        others: &["json"],
        unless: &[],
        reason: "one prints an object a line, the other one document",
    },
    Conflict {
        commands: &["upgrade"],
        option: "planned",
        others: &["to"],
        unless: &[],
        reason: "`--planned` is itself the version to stop at",
    },
    Conflict {
        commands: &["upgrade"],
        option: "all_or_nothing",
        others: &["dry_run", "rehearse"],
        unless: &[],
        reason: "`--all-or-nothing` rehearses by itself, and then commits",
    },
    Conflict {
        commands: &[],
        option: "backup",
        others: &["dry_run", "rehearse"],
        unless: &[],
        reason: "nothing is changed, so that nothing is backed up",
    },
    Conflict {
        commands: &[],
        option: "backup",
        others: &["no_backup"],
        unless: &[],
        reason: "use one of them",
    },
    Conflict {
        commands: &[],
        option: "all_users",
        others: &["users"],
        unless: &[],
        reason: "`--all-users` selects every user already",
    },
    Conflict {
        commands: &[],
        option: "no_system",
        others: &["system"],
        unless: &[],
        reason: "use one of them",
    },
    Conflict {
        commands: &["lint"],
        option: "explain",
        others: &["deny", "allow", "min_sqlite"],
        unless: &[],
        reason: "`--explain` describes a rule and checks no document",
    },
    Conflict {
        commands: &["lint"],
        option: "watch",
        others: &["fix", "explain", "json"],
        unless: &[],
        reason: "`--watch` prints what it finds for a person, and writes nothing",
    },
    Conflict {
        commands: &["lint"],
        option: "format",
        others: &["json"],
        unless: &[],
        reason: "`--json` is the format `json`",
    },
    Conflict {
        commands: &["query"],
        option: "json",
        others: &["csv", "ndjson"],
        unless: &[],
        reason: "rows are printed in one format",
    },
    Conflict {
        commands: &["query"],
        option: "ndjson",
        others: &["csv"],
        unless: &[],
        reason: "rows are printed in one format",
    },
    Conflict {
        commands: &["schema"],
        option: "write",
        others: &["at", "scope", "format"],
        unless: &[],
        reason: "the markers in the document say which schema they hold",
    },
    Conflict {
        commands: &["schema"],
        option: "check",
        others: &["at", "scope"],
        unless: &["diff", "diff_user"],
        reason: "the markers in the document say which schema they hold",
    },
    Conflict {
        commands: &["schema"],
        option: "check",
        others: &["format"],
        unless: &[],
        reason: "the markers in the document say which schema they hold",
    },
    Conflict {
        commands: &["schema"],
        option: "diff",
        others: &["format", "write"],
        unless: &[],
        reason: "a comparison is printed as a table and as SQL, and changes nothing",
    },
    Conflict {
        commands: &["schema"],
        option: "diff_user",
        others: &["diff", "format", "write"],
        unless: &[],
        reason: "a comparison is with one other schema, printed as a table and as SQL, and changes nothing",
    },
    Conflict {
        commands: &["schema"],
        option: "check",
        others: &["write"],
        unless: &[],
        reason: "`--check` changes nothing",
    },
    Conflict {
        commands: &["new"],
        option: "version",
        others: &["patch", "minor", "major"],
        unless: &[],
        reason: VERSION_OF_NEW,
    },
    Conflict {
        commands: &["new"],
        option: "patch",
        others: &["minor", "major"],
        unless: &[],
        reason: VERSION_OF_NEW,
    },
    Conflict {
        commands: &["new"],
        option: "minor",
        others: &["major"],
        unless: &[],
        reason: VERSION_OF_NEW,
    },
    Conflict {
        commands: &["downgrade"],
        option: "to",
        others: &["steps", "negative_steps"],
        unless: &[],
        reason: WHERE_TO_STOP,
    },
    Conflict {
        commands: &["downgrade"],
        option: "steps",
        others: &["negative_steps"],
        unless: &[],
        reason: WHERE_TO_STOP,
    },
    Conflict {
        commands: &["man"],
        option: "dir",
        others: &["command"],
        unless: &[],
        reason: "`--dir` writes the pages of all commands",
    },
];

/// Commands that print something else than JSON, with what they print.
const TEXT_COMMANDS: [(&str, &str); 2] =
    [("completions", "a script for a shell"), ("man", "a man page")];

/// The message about the first two options of the command line that cannot be used together, if
/// there are two. A value from an environment variable is a default, and contradicts nothing.
pub(crate) fn find_conflict(root: &Command, matches: &ArgMatches) -> Option<String> {
    let (name, inner) = matches.subcommand()?;
    let command = root.find_subcommand(name)?;
    let is_typed = |id: &str| {
        [inner, matches].iter().any(|matches| {
            matches.try_contains_id(id).is_ok()
                && matches.value_source(id) == Some(ValueSource::CommandLine)
        })
    };
    let is_json = is_typed("json");
    if let Some((name, output)) = TEXT_COMMANDS.iter().find(|(text, _)| *text == name && is_json) {
        return Some(format!(
            "`--json` cannot be used with `tatmig {name}`, which prints {output}"
        ));
    }
    let format = (name == "lint").then(|| raw_value(inner, "format")).flatten();
    if is_typed("explain")
        && format.as_deref().is_some_and(|format| ["github", "sarif"].contains(&format))
    {
        return Some(format!(
            "`--explain` cannot be used with `--format {}`: a description of a rule has no annotations",
            format.unwrap_or_default()
        ));
    }
    let applies = |conflict: &&Conflict| {
        (conflict.commands.is_empty() || conflict.commands.contains(&name))
            && is_typed(conflict.option)
            && !conflict.unless.iter().any(|option| is_typed(option))
            && !(conflict.option == "format" && format.as_deref() == Some("json"))
    };
    CONFLICTS.iter().filter(applies).find_map(|conflict| {
        let other = conflict.others.iter().find(|other| is_typed(other))?;
        let [option, other] = [conflict.option, other].map(|id| shown_name(root, command, id));
        Some(format!("`{option}` cannot be used with `{other}`: {}", conflict.reason))
    })
}

/// How an option or argument of a command is written: `--dry-run`, `VERSION`, `-N`.
fn shown_name(root: &Command, command: &Command, id: &str) -> String {
    let mut arguments = command.get_arguments().chain(root.get_arguments());
    let argument = arguments.find(|argument| argument.get_id() == id);
    let long = argument.and_then(Arg::get_long).map(|long| format!("--{long}"));
    let value_name = || Some(argument?.get_value_names()?.first()?.to_string());
    long.or_else(value_name).unwrap_or_else(|| id.to_owned())
}

/// The value of an option as it was typed.
fn raw_value(matches: &ArgMatches, id: &str) -> Option<String> {
    let mut values = matches.try_get_raw(id).ok()??;
    values.next().map(|value| value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::CliArgs;

    #[test]
    fn every_conflict_is_between_options_of_its_commands() {
        let mut root = CliArgs::clap_command();
        root.build();
        let has = |command: &Command, id: &str| {
            command.get_arguments().any(|argument| argument.get_id() == id)
        };
        for conflict in &CONFLICTS {
            let Conflict { commands, option, others, unless, .. } = conflict;
            for id in others.iter().chain(*unless).chain([option]) {
                for name in *commands {
                    let command = root.find_subcommand(name).unwrap();
                    assert!(has(command, id), "`{name}` has no `{id}`");
                }
                assert!(root.get_subcommands().any(|command| has(command, id)), "{id}");
            }
        }
    }

    #[test]
    fn clap_knows_no_conflict_of_its_own() {
        let mut root = CliArgs::clap_command();
        root.build();
        for command in root.get_subcommands() {
            for argument in command.get_arguments() {
                let conflicts = command.get_arg_conflicts_with(argument);
                assert!(conflicts.is_empty(), "{} {argument}: {conflicts:?}", command.get_name());
            }
        }
    }
}
