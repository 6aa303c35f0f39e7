//! Says what the user may have meant by a command, an option or an argument that tatmig does not
//! have, in place of the guesses of clap.

use clap::error::{ContextKind, ErrorKind};
use semver::Version;
use tatmig::text::nearest_name;

use crate::cli::usage::error_context::text;
use crate::cli::usage::typed_command::TypedCommand;

/// What users of other tools look for, and what does it here.
const OTHER_NAMES: [(&[&str], &str); 8] = [
    (
        &["create", "setup"],
        "`tatmig init --user NAME` creates a database, `tatmig new` a migration",
    ),
    (
        &["drop", "delete", "clean", "wipe"],
        "`tatmig reset` replaces databases with new ones; no command removes a database",
    ),
    (&["apply", "run", "deploy"], "`tatmig upgrade` applies pending migrations"),
    (
        &["generate", "add", "make", "revision"],
        "`tatmig new 1.2.0 -m TEXT` adds a migration to the document",
    ),
    (&["validate", "check"], "`tatmig lint` checks the document, `tatmig verify` the databases"),
    (
        &["repair", "baseline", "fake"],
        "`tatmig adopt` records the version of existing databases, `tatmig stamp` any version",
    ),
    (
        &["dump", "diff"],
        "`tatmig schema` prints the schema, `tatmig new --from-db FILE` writes a difference",
    ),
    (
        &["list", "show", "log"],
        "`tatmig status` lists the databases, `tatmig history` the migrations",
    ),
];

/// Options of other tools, and what they are called here.
const OTHER_OPTIONS: [(&[&str], &str); 6] = [
    (&["--target", "--version"], "to"),
    (&["--username", "--users", "-u"], "user"),
    (&["--all"], "all-users"),
    (&["--db", "--database", "--url"], "system-db"),
    (&["--dir", "--path", "--migrations-dir"], "file"),
    (&["--plan", "--preview", "--noop", "-n", "--pretend"], "dry-run"),
];

/// What is required, and how to find a value for it.
const VALUES: [(&str, &str, &str); 5] = [
    ("restore", "<ID>", "`tatmig backup list` lists the backups; `latest` is the newest"),
    ("seed", "<NAME>...", "the document names its seeds in their tags: `[user:seed:NAME:start]`"),
    ("promote", "<VERSION>", "`tatmig history` lists the planned versions"),
    (
        "new",
        "--message <TEXT>",
        "describe the migration: `tatmig new -m \"add the column pinned\"`",
    ),
    ("query", "<SQL>", "write the statement in quotes: `tatmig query \"SELECT …\"`"),
];

/// How many commands a tip lists.
const MAX_COMMANDS: usize = 4;

/// What to do about an error of usage.
pub(crate) fn tips(error: &clap::Error, typed: &TypedCommand) -> Vec<String> {
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            Some(tip_for_command(&text(error, ContextKind::InvalidSubcommand), typed))
        }
        ErrorKind::UnknownArgument => {
            let word = text(error, ContextKind::InvalidArg);
            if word.starts_with('-') {
                Some(tip_for_option(&word, typed))
            } else {
                tip_for_argument(&word, typed)
            }
        }
        ErrorKind::MissingRequiredArgument => tip_for_missing(error, typed),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => tip_for_value(error, typed),
        _ => None,
    };
    tip.into_iter().collect()
}

fn tip_for_command(name: &str, typed: &TypedCommand) -> String {
    let lower_case = name.to_lowercase();
    let known = OTHER_NAMES.iter().find(|(names, _)| names.contains(&lower_case.as_str()));
    let definition = typed.definition();
    if let Some((_, tip)) = known.filter(|_| typed.command().is_none()) {
        return (*tip).to_owned();
    }
    let names: Vec<&str> = definition
        .get_subcommands()
        .flat_map(|command| std::iter::once(command.get_name()).chain(command.get_all_aliases()))
        .collect();
    match nearest_name(name, names) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`tatmig --help` lists the commands".to_owned(),
    }
}

fn tip_for_option(word: &str, typed: &TypedCommand) -> String {
    let definition = typed.definition();
    let command = typed.command().map_or_else(String::new, |command| format!(" {command}"));
    let option = word.split('=').next().unwrap_or(word);
    if option == "-N" {
        return format!("write a number: `tatmig{command} -1`");
    }
    let options = || definition.get_arguments().filter_map(clap::Arg::get_long);
    let bare = option.trim_start_matches('-');
    let other_name = OTHER_OPTIONS.iter().find(|(names, _)| names.contains(&option));
    let other_name =
        other_name.map(|(_, name)| *name).filter(|name| options().any(|option| option == *name));
    let mut beginning = options().filter(|option| bare.len() > 1 && option.starts_with(bare));
    let unique = beginning.next().filter(|_| beginning.next().is_none());
    if let Some(command) = typed.command().filter(|_| options().any(|option| option == bare)) {
        return format!("write it after the command: `tatmig {command} {word}`");
    }
    if let Some(option) = other_name.or(unique).or_else(|| nearest_name(bare, options())) {
        return format!("did you mean `--{option}`?");
    }
    let having: Vec<String> = typed
        .root
        .get_subcommands()
        .filter(|command| command.get_arguments().any(|argument| argument.get_long() == Some(bare)))
        .map(|command| format!("`{}`", command.get_name()))
        .collect();
    if having.is_empty() || !option.starts_with("--") {
        return format!("`tatmig{command} --help` lists the options");
    }
    let listed = match having.as_slice() {
        [first @ .., last] if !first.is_empty() && having.len() <= MAX_COMMANDS => {
            format!("{} and {last}", first.join(", "))
        }
        having if having.len() > MAX_COMMANDS => {
            format!("{} and others", having[..MAX_COMMANDS].join(", "))
        }
        having => having.concat(),
    };
    format!("`{option}` is an option of {listed}, but not of `tatmig{command}`")
}

fn tip_for_argument(word: &str, typed: &TypedCommand) -> Option<String> {
    let command = typed.command()?;
    let has_option = |name: &str| {
        typed.definition().get_arguments().any(|argument| argument.get_long() == Some(name))
    };
    let is_version = Version::parse(word).is_ok();
    let version_option = ["to", "at"].into_iter().find(|option| is_version && has_option(option));
    let is_document =
        [".md", ".markdown"].iter().any(|ending| word.to_lowercase().ends_with(ending));
    Some(if command == "query" {
        "write the whole statement in quotes, as one argument".to_owned()
    } else if is_document {
        format!("the document is passed with `--file`: `tatmig {command} --file {word}`")
    } else if let Some(option) = version_option {
        format!("a version is passed with `--{option}`: `tatmig {command} --{option} {word}`")
    } else if has_option("user") && !is_version {
        format!("a user is passed with `--user`: `tatmig {command} --user {word}`")
    } else {
        format!("`tatmig {command} --help` describes the arguments")
    })
}

fn tip_for_missing(error: &clap::Error, typed: &TypedCommand) -> Option<String> {
    let missing = text(error, ContextKind::InvalidArg);
    let command = typed.command()?;
    let value = VALUES.iter().find(|(name, argument, _)| *name == command && *argument == missing);
    let needed = || match missing.as_str() {
        "--from-db <FILE>" => Some("`--rename` is about the difference to that database"),
        "--rehearse" => {
            Some("a planned migration can only be rehearsed; `tatmig promote` releases it")
        }
        _ => None,
    };
    value.map(|(_, _, tip)| *tip).or_else(needed).map(ToOwned::to_owned)
}

fn tip_for_value(error: &clap::Error, typed: &TypedCommand) -> Option<String> {
    let option = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    let command = typed.command()?;
    if option == "[-N]" && Version::parse(&value).is_ok() {
        return Some(format!("a version is passed with `--to`: `tatmig {command} --to {value}`"));
    }
    if value.is_empty() && option.starts_with("--user ") {
        return Some(format!(
            "name a user: `tatmig {command} --user ann`, or select all with `--all-users`"
        ));
    }
    let arguments = || typed.definition().get_arguments();
    let argument = arguments().find(|argument| argument.to_string() == option)?;
    let choices = argument.get_possible_values();
    let nearest = nearest_name(&value, choices.iter().map(clap::builder::PossibleValue::get_name))?;
    (!value.is_empty()).then(|| format!("did you mean `{nearest}`?"))
}
