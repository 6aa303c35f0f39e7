//! Generates shell completions and man pages from the definition of the command line.
//!
//! Both commands read neither settings nor a document, so that an invalid `tatmig.toml` cannot
//! break the start of a shell.

use std::path::Path;

use anyhow::{Context, bail};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::args::{CliArgs, StandaloneCommand};
use crate::cli::completion::completion_script;
use crate::cli::report::Report;
use crate::cli::report::exit_status::EXIT_SUCCESS;

/// The headings that a paragraph at the end of a help text may begin with.
const HELP_HEADINGS: [&str; 2] = ["Examples", "Exit status"];

/// Runs a command that needs no settings.
pub(crate) fn run_standalone(command: &StandaloneCommand) -> anyhow::Result<u8> {
    match command {
        StandaloneCommand::Completions { shell } => Ok(print_completions(*shell)),
        StandaloneCommand::Man { command: command_name, dir } => {
            write_man_pages(command_name.as_deref(), dir.as_deref())
        }
    }
}

/// Prints the completion script of a shell.
fn print_completions(shell: Shell) -> u8 {
    Report::emit_bytes(&completion_script(shell));
    EXIT_SUCCESS
}

/// Prints the man page of a command, or writes all pages into a directory.
fn write_man_pages(command_name: Option<&str>, dir: Option<&Path>) -> anyhow::Result<u8> {
    // `build` sets the full names (`tatmig-upgrade`) and propagates the global options.
    let mut root_command = CliArgs::clap_command();
    root_command.build();
    if let Some(dir) = dir {
        if !dir.is_dir() {
            bail!(
                "the directory `{}` does not exist; create it first",
                tatmig::text::escape_for_display(dir.as_os_str())
            );
        }
        // `help` shows what the pages contain.
        let subcommands =
            root_command.get_subcommands().filter(|command| command.get_name() != "help");
        for command in std::iter::once(&root_command).chain(subcommands) {
            let path = dir.join(Man::new(command.clone()).get_filename());
            std::fs::write(&path, render_man_page(command)?).with_context(|| {
                format!(
                    "`{}` cannot be written",
                    tatmig::text::escape_for_display(path.as_os_str())
                )
            })?;
        }
        return Ok(EXIT_SUCCESS);
    }
    let command = match command_name {
        None => &root_command,
        Some(name) => match root_command.find_subcommand(name) {
            Some(command) => command,
            None => bail!("unknown command `{name}`; `tatmig --help` lists the commands"),
        },
    };
    Report::emit_bytes(&render_man_page(command)?);
    Ok(EXIT_SUCCESS)
}

/// Renders the page of a command. The paragraphs at the end of its help become sections of their
/// own, since `clap_mangen` would join the lines of the examples into one paragraph.
fn render_man_page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
    let source = concat!("tatmig ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    render_after_help(command).to_writer(&mut page)?;
    Ok(page)
}

/// The paragraphs at the end of a command's help as sections. Lines below `Examples:` are kept as
/// they are; other paragraphs are filled.
fn render_after_help(command: &clap::Command) -> Roff {
    let after_help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    for paragraph in after_help.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let (heading, body) = match paragraph.split_once(':') {
            Some((heading, body)) if HELP_HEADINGS.contains(&heading) => (heading, body),
            _ => ("Notes", paragraph),
        };
        roff.control("SH", [heading.to_uppercase().as_str()]);
        let lines = body.lines().map(str::trim_end).filter(|line| !line.is_empty());
        if body.starts_with('\n') {
            roff.control("nf", []);
            for line in lines {
                roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            roff.control("fi", []);
        } else {
            roff.text([roman(lines.map(str::trim).collect::<Vec<_>>().join(" "))]);
        }
    }
    roff
}
