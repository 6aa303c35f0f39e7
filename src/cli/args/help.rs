//! Lists the commands of the top-level help under headings.
//!
//! clap puts all subcommands under one heading. So the list is a part of the help template, built
//! from the descriptions that the subcommands already have.

use std::fmt::Write as _;

use clap::Command;

/// A heading of the help with its commands, in the order of the list.
struct CommandGroup {
    heading: &'static str,
    commands: &'static [&'static str],
}

const GROUPS: [CommandGroup; 8] = [
    CommandGroup {
        heading: "Migrate",
        commands: &["upgrade", "downgrade", "redo", "status", "history", "init"],
    },
    CommandGroup { heading: "Check", commands: &["lint", "test", "verify", "doctor"] },
    CommandGroup {
        heading: "Write migrations",
        commands: &["new", "import", "promote", "renumber", "schema"],
    },
    CommandGroup { heading: "Take in existing databases", commands: &["adopt", "stamp"] },
    CommandGroup { heading: "Protect", commands: &["backup", "restore", "reset"] },
    CommandGroup { heading: "Data", commands: &["query", "seed"] },
    CommandGroup { heading: "Servers", commands: &["push", "pull"] },
    CommandGroup { heading: "Other", commands: &["lsp", "demo", "completions", "man"] },
];

/// Returns `command` with a help that lists its subcommands by group.
///
/// The subcommands are hidden from clap's own list. Shell completions and man pages leave out what
/// is hidden, so they must be generated from the command without this change.
pub(crate) fn group_subcommands(command: Command) -> Command {
    let list = render_groups(&command);
    let literal = command.get_styles().get_literal();
    // clap leaves `<COMMAND>` out of its usage line if all subcommands are hidden.
    let usage = format!("{literal}{}{literal:#} [OPTIONS] <COMMAND>", command.get_name());
    command
        .override_usage(usage)
        .help_template(format!(
            "{{before-help}}{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{{all-args}}{{after-help}}"
        ))
        .mut_subcommands(|subcommand| subcommand.hide(true))
}

/// The groups as text, each followed by an empty line. A group without commands, as `Servers` is
/// in a build without that feature, is left out.
fn render_groups(command: &Command) -> String {
    let styles = command.get_styles();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let width = GROUPS.iter().flat_map(|group| group.commands).map(|name| name.len()).max();
    let width = width.unwrap_or(0);
    let mut list = String::new();
    for group in &GROUPS {
        let mut subcommands =
            group.commands.iter().filter_map(|name| command.find_subcommand(name)).peekable();
        if subcommands.peek().is_none() {
            continue;
        }
        // Writing to a `String` cannot fail.
        let _ = writeln!(list, "{header}{}:{header:#}", group.heading);
        for subcommand in subcommands {
            let name = subcommand.get_name();
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            let aliases: Vec<&str> = subcommand.get_all_aliases().collect();
            let _ = write!(list, "  {literal}{name:width$}{literal:#}  {about}");
            if !aliases.is_empty() {
                let _ = write!(list, " [aliases: {}]", aliases.join(", "));
            }
            list.push('\n');
        }
        list.push('\n');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::CliArgs;

    #[test]
    fn every_subcommand_is_in_exactly_one_group() {
        let command = CliArgs::clap_command();
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            let groups = GROUPS.iter().flat_map(|group| group.commands).filter(|c| **c == name);
            assert_eq!(groups.count(), 1, "{name}");
        }
    }

    #[test]
    fn the_help_lists_every_subcommand_on_one_line() {
        let command = CliArgs::clap_command();
        let help = group_subcommands(CliArgs::clap_command()).render_help().to_string();
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            let lines: Vec<&str> =
                help.lines().filter(|line| line.starts_with(&format!("  {name} "))).collect();
            let about = subcommand.get_about().unwrap().to_string();
            assert!(lines.len() == 1 && lines[0].contains(&about), "{name}: {lines:?}\n{help}");
            assert!(lines[0].len() <= 80, "{}", lines[0]);
        }
    }

    #[test]
    fn the_command_line_is_well_defined() {
        group_subcommands(CliArgs::clap_command()).debug_assert();
    }
}
