//! Writes man pages from the definition of the command line: what the help shows, and sections on
//! exit statuses, environment variables and files.

use std::path::Path;

use anyhow::{Context, bail};
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use tatmig::text::escape_for_display;

use crate::cli::args::CliArgs;
use crate::cli::report::Report;
use crate::cli::report::exit_status::EXIT_SUCCESS;

/// A term of a section, and what it means.
struct Entry {
    term: &'static str,
    text: &'static str,
}

const EXIT_STATUSES: [Entry; 5] = [
    Entry { term: "0", text: "Everything that was asked for is done." },
    Entry { term: "1", text: "At least one database failed and was not changed, or has problems." },
    Entry {
        term: "2",
        text: "Wrong usage, or a document that cannot be used. No database was changed.",
    },
    Entry { term: "3", text: "Something is pending (tatmig status --exit-code)." },
    Entry { term: "129, 130, 143", text: "Ended by SIGHUP, SIGINT or SIGTERM." },
];

/// Variables that are the default of no option.
const OTHER_VARIABLES: [Entry; 4] = [
    Entry { term: "TATMIG_AUTH_TOKEN", text: "Token for libSQL servers." },
    Entry { term: "TATMIG_ADMIN_KEY", text: "Key for the admin address of libSQL servers." },
    Entry { term: "NO_COLOR", text: "If it is set and not empty, nothing is colored." },
    Entry {
        term: "CLICOLOR_FORCE",
        text: "If it is set and not 0, output is colored in a pipe too.",
    },
];

const FILES: [Entry; 5] = [
    Entry {
        term: "MIGRATIONS.md",
        text: "The document: a Markdown file with the SQL of every migration in tagged code blocks.",
    },
    Entry {
        term: "tatmig.toml",
        text: "Settings. The nearest one in the directory of the document or above it is read; its paths are relative to it.",
    },
    Entry { term: "system.db", text: "The system database." },
    Entry {
        term: "*_longterm.db",
        text: "The databases of the users, as --user-pattern and --users-dir place them.",
    },
    Entry {
        term: "backups/TIME/",
        text: "A backup: one copy of each database, and manifest.json with the version, size and SHA-256 of each.",
    },
];

/// Prints the man page of a command, or writes all pages into a directory.
pub(crate) fn write_man_pages(
    command_name: Option<&str>,
    dir: Option<&Path>,
) -> anyhow::Result<u8> {
    // `build` sets the full names (`tatmig-upgrade`) and propagates the global options.
    let mut root_command = CliArgs::clap_command();
    root_command.build();
    if let Some(dir) = dir {
        if !dir.is_dir() {
            bail!(
                "the directory `{}` does not exist; create it first",
                escape_for_display(dir.as_os_str())
            );
        }
        return write_pages(&root_command, dir).map(|()| EXIT_SUCCESS);
    }
    let command = match command_name {
        None => &root_command,
        // The name as in the name of the page: `backup-list` is a command of `backup`.
        Some(name) => match name.split('-').try_fold(&root_command, Command::find_subcommand) {
            Some(command) => command,
            None => bail!("unknown command `{name}`; `tatmig --help` lists the commands"),
        },
    };
    Report::emit_bytes(&render_man_page(command)?);
    Ok(EXIT_SUCCESS)
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: &Command, dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(Man::new(command.clone()).get_filename());
    std::fs::write(&path, render_man_page(command)?)
        .with_context(|| format!("`{}` cannot be written", escape_for_display(path.as_os_str())))?;
    // `help` shows what the pages contain.
    let mut subcommands =
        command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help");
    subcommands.try_for_each(|subcommand| write_pages(subcommand, dir))
}

/// Renders the page of a command.
fn render_man_page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let source = concat!("tatmig ", env!("CARGO_PKG_VERSION"));
    // `help` has no page.
    let hide_help = |subcommand: Command| {
        let is_help = subcommand.get_name() == "help";
        subcommand.hide(is_help)
    };
    let man = Man::new(command.clone().mut_subcommands(hide_help)).source(source);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    render_entries("EXIT STATUS", &EXIT_STATUSES).to_writer(&mut page)?;
    render_environment(command).to_writer(&mut page)?;
    render_entries("FILES", &FILES).to_writer(&mut page)?;
    render_examples(command).to_writer(&mut page)?;
    Ok(page)
}

fn render_entries(heading: &str, entries: &[Entry]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for Entry { term, text } in entries {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
    roff
}

/// The variables of a command's options, and those that have no option.
fn render_environment(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    roff.text([roman(
        "An option overrides its variable, and a variable the key of tatmig.toml. An empty variable counts as not set.",
    )]);
    for argument in command.get_arguments() {
        let (Some(variable), Some(option)) = (argument.get_env(), argument.get_long()) else {
            continue;
        };
        roff.control("TP", []);
        roff.text([bold(variable.to_string_lossy())]);
        roff.text([roman("As "), bold(format!("--{option}")), roman(describe(argument))]);
    }
    for Entry { term, text } in &OTHER_VARIABLES {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
    roff
}

/// `: seconds to wait for a locked database`, as the help has it.
fn describe(argument: &Arg) -> String {
    argument.get_help().map(|help| format!(": {help}")).unwrap_or_default()
}

/// The examples at the end of a command's help, each on its own line.
fn render_examples(command: &Command) -> Roff {
    let after_help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    let examples = after_help.split("\n\n").find_map(|text| text.strip_prefix("Examples:\n"));
    let Some(examples) = examples else { return roff };
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in examples.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    roff
}
