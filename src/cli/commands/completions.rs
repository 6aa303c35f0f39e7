//! `completions` and `man`: the command line told to shells and readers, from its own definitions.
//! They ask for no settings and no document, so that a faulty `tatmig.toml` cannot break a shell.

use std::path::Path;

use anyhow::{Context, bail};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::args::{Arguments, Describe};
use crate::cli::report::{DONE, Report};

const NAME: &str = "tatmig";

/// What paragraphs at the end of a help may begin with.
const HEADINGS: [&str; 2] = ["Examples", "Exit status"];

/// Tells the command line itself.
pub(crate) fn describe(what: &Describe) -> anyhow::Result<u8> {
    match what {
        Describe::Completions { shell } => Ok(completions(*shell)),
        Describe::Man { of, dir } => man(of.as_deref(), dir.as_deref()),
    }
}

/// Prints the script of a shell.
fn completions(shell: Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::definitions(), NAME, &mut script);
    Report::text(&script);
    DONE
}

/// Prints a man page, or writes all of them into a directory.
fn man(of: Option<&str>, dir: Option<&Path>) -> anyhow::Result<u8> {
    // What a page calls the command and its synopsis is only known once the whole is built.
    let mut tatmig = Arguments::definitions();
    tatmig.build();
    if let Some(dir) = dir {
        if !dir.is_dir() {
            bail!("there is no directory `{}`; make it first", tatmig::shown(dir.as_os_str()));
        }
        for command in std::iter::once(&tatmig).chain(tatmig.get_subcommands()) {
            let path = dir.join(Man::new(command.clone()).get_filename());
            std::fs::write(&path, page(command)?).with_context(|| {
                format!("`{}` cannot be written", tatmig::shown(path.as_os_str()))
            })?;
        }
        return Ok(DONE);
    }
    let command = match of {
        None => &tatmig,
        Some(name) => match tatmig.find_subcommand(name) {
            Some(command) => command,
            None => bail!("there is no command `{name}`; `tatmig --help` lists them"),
        },
    };
    Report::text(&page(command)?);
    Ok(DONE)
}

/// The page of a command. What its help ends with becomes sections of their own: clap's generator
/// would put the lines of the examples into one paragraph.
fn page(command: &clap::Command) -> anyhow::Result<Vec<u8>> {
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
    let ending = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    for paragraph in ending.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        let (heading, body) = match paragraph.split_once(':') {
            Some((heading, body)) if HEADINGS.contains(&heading) => (heading, body),
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
    roff.to_writer(&mut page)?;
    Ok(page)
}
