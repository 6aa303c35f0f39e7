//! Lists the options that cannot be used together, each pair with the reason, and refuses those that
//! were given. Of such a pair one option would be ignored.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// Options of which no two can be used together.
struct Conflict {
    /// The commands that have the conflict; empty if all do.
    commands: &'static [&'static str],
    /// The name of one option or argument.
    option: &'static str,
    /// The names of the others.
    others: &'static [&'static str],
    reason: &'static str,
}

const CONFLICTS: [Conflict; 26] = [
    Conflict {
        commands: &["upgrade"],
        option: "create",
        others: &["all-users"],
        reason: "`--create` selects the users it names, as `--user` does",
    },
    Conflict {
        commands: &["upgrade"],
        option: "create",
        others: &["rehearse", "all-or-nothing"],
        reason: "a database that does not exist has no rows to rehearse on",
    },
    Conflict {
        commands: &[],
        option: "rehearse",
        others: &["dry-run"],
        reason: "a dry run only prints the SQL, a rehearsal runs it and rolls back",
    },
    Conflict {
        commands: &[],
        option: "fail-fast",
        others: &["dry-run"],
        reason: "a dry run changes no database, so that no change can fail",
    },
    Conflict {
        commands: &["upgrade"],
        option: "canary",
        others: &["dry-run"],
        reason: "a dry run changes no database, so that none comes first",
    },
    Conflict {
        commands: &["upgrade"],
        option: "json-lines",
        others: &["dry-run"],
        reason: "a dry run changes no database, so that no line would follow",
    },
    Conflict {
        commands: &[],
        option: "json-lines",
        others: &["json"],
        reason: "one prints an object a line, the other one document",
    },
    Conflict {
        commands: &["upgrade"],
        option: "planned",
        others: &["to"],
        reason: "`--planned` is itself the version to stop at",
    },
    Conflict {
        commands: &["upgrade"],
        option: "all-or-nothing",
        others: &["dry-run", "rehearse"],
        reason: "`--all-or-nothing` rehearses by itself, and then commits",
    },
    Conflict {
        commands: &[],
        option: "backup",
        others: &["dry-run", "rehearse"],
        reason: "nothing is changed, so that nothing is backed up",
    },
    Conflict { commands: &[], option: "backup", others: &["no-backup"], reason: "use one of them" },
    Conflict {
        commands: &[],
        option: "all-users",
        others: &["user"],
        reason: "`--all-users` selects every user already",
    },
    Conflict { commands: &[], option: "no-system", others: &["system"], reason: "use one of them" },
    Conflict {
        commands: &["lint"],
        option: "explain",
        others: &["deny", "allow", "min-sqlite"],
        reason: "`--explain` describes a rule and checks no document",
    },
    Conflict {
        commands: &["lint"],
        option: "watch",
        others: &["fix", "explain", "json"],
        reason: "`--watch` prints what it finds for a person, and writes nothing",
    },
    Conflict {
        commands: &["lint"],
        option: "format",
        others: &["json"],
        reason: "`--json` is the format `json`",
    },
    Conflict {
        commands: &["query"],
        option: "json",
        others: &["csv", "ndjson"],
        reason: "rows are printed in one format",
    },
    Conflict {
        commands: &["query"],
        option: "ndjson",
        others: &["csv"],
        reason: "rows are printed in one format",
    },
    Conflict {
        commands: &["schema"],
        option: "write",
        others: &["at", "scope", "format"],
        reason: "the markers in the document say which schema they hold",
    },
    Conflict {
        commands: &["schema"],
        option: "check",
        others: &["format"],
        reason: "the markers in the document say which schema they hold",
    },
    Conflict {
        commands: &["schema"],
        option: "diff",
        others: &["format", "write"],
        reason: "a comparison is printed as a table and as SQL, and changes nothing",
    },
    Conflict {
        commands: &["schema"],
        option: "diff-user",
        others: &["diff", "format", "write"],
        reason: "a comparison is with one other schema, printed as a table and as SQL, and changes nothing",
    },
    Conflict {
        commands: &["schema"],
        option: "check",
        others: &["write"],
        reason: "`--check` changes nothing",
    },
    Conflict {
        commands: &["new"],
        option: "version",
        others: &["patch", "minor", "major"],
        reason: "each of them is the version of the new migration",
    },
    Conflict {
        commands: &["downgrade"],
        option: "to",
        others: &["steps", "negative_steps"],
        reason: "each of them is where to stop",
    },
    Conflict {
        commands: &["man"],
        option: "dir",
        others: &["command"],
        reason: "`--dir` writes the pages of all commands",
    },
];

/// Commands that print something else than JSON, with what they print.
const TEXT_COMMANDS: [(&str, &str); 2] =
    [("completions", "a script for a shell"), ("man", "a man page")];

/// Why two options cannot be used together, by the names that clap shows: `--dry-run`,
/// `--at <VERSION>`, `[VERSION]`.
pub(crate) fn conflict_reason(first: &str, second: &str) -> Option<&'static str> {
    let (first, second) = (bare_name(first), bare_name(second));
    let is_pair = |conflict: &&Conflict| {
        let matches = |option: &str, other: &str| {
            conflict.option == option && conflict.others.contains(&other)
        };
        matches(&first, &second) || matches(&second, &first)
    };
    if let Some(conflict) = CONFLICTS.iter().find(is_pair) {
        return Some(conflict.reason);
    }
    // Two of the others exclude each other too: `--patch --minor`, `-1 --steps 1`.
    let has_both = |conflict: &&Conflict| {
        [&first, &second].iter().all(|name| conflict.others.contains(&name.as_str()))
    };
    let group = CONFLICTS.iter().filter(|conflict| ["version", "to"].contains(&conflict.option));
    group.into_iter().find(has_both).map(|conflict| conflict.reason)
}

/// The name of an option or argument without dashes, brackets and its value.
fn bare_name(shown: &str) -> String {
    match shown {
        "[-N]" => "negative_steps".to_owned(),
        _ if shown.starts_with('-') => {
            let name = shown.trim_start_matches('-');
            name.split([' ', '=']).next().unwrap_or(name).to_owned()
        }
        _ => shown.trim_matches(['[', ']', '<', '>']).to_lowercase(),
    }
}

/// The message about the first two options of the command line that cannot be used together, if
/// there are two. clap itself knows most of these conflicts; this finds the others.
pub(crate) fn find_conflict(root: &Command, matches: &ArgMatches) -> Option<String> {
    let (name, inner) = matches.subcommand()?;
    let command = root.find_subcommand(name)?;
    let is_typed = |option: &str| {
        let arguments = command.get_arguments().chain(root.get_arguments());
        let mut named = arguments.filter(|argument| argument.get_long() == Some(option));
        named.any(|argument| {
            let id = argument.get_id().as_str();
            [inner, matches].iter().any(|matches| {
                matches.try_contains_id(id).is_ok()
                    && matches.value_source(id) == Some(ValueSource::CommandLine)
            })
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
            && !(conflict.option == "format" && format.as_deref() == Some("json"))
    };
    CONFLICTS.iter().filter(applies).find_map(|conflict| {
        let option = conflict.option;
        let other = conflict.others.iter().find(|other| is_typed(option) && is_typed(other))?;
        Some(format!("`--{option}` cannot be used with `--{other}`: {}", conflict.reason))
    })
}

/// The value of an option as it was typed.
fn raw_value(matches: &ArgMatches, id: &str) -> Option<String> {
    let mut values = matches.try_get_raw(id).ok()??;
    values.next().map(|value| value.to_string_lossy().into_owned())
}
