//! Asks on the terminal before rows are deleted.

use std::io::{IsTerminal, Write};

use anyhow::{Context, bail};
use tatmig::fleet::Fleet;
use tatmig::text::list_names;

use crate::cli::input;
use crate::cli::report::format::plural;
use crate::cli::signals::Signals;

/// How a question ended that was not answered with no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// The answer is yes.
    Given,
    /// A signal ended the command.
    Interrupted,
}

/// Asks whether the databases of a fleet may be replaced with empty ones.
///
/// # Errors
///
/// Standard input or standard error is not a terminal, or the answer is not yes.
pub(crate) fn confirm_reset(fleet: &Fleet, signals: &Signals) -> anyhow::Result<Confirmation> {
    let paths: Vec<String> =
        fleet.databases().map(|database| database.location.display()).collect();
    let rows = format!("every row of {} ({})", plural(paths.len(), "database"), list_names(&paths));
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        bail!("`reset` would delete {rows}; cannot ask for confirmation here; pass `--yes`");
    }
    let _ = write!(anstream::stderr(), "This deletes {rows}. Continue? [y/N] ");
    let answer = input::read_line(signals).context("standard input cannot be read")?;
    let Some(answer) = answer else {
        // The line that reports the signal begins below the question.
        let _ = writeln!(anstream::stderr());
        return Ok(Confirmation::Interrupted);
    };
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        bail!("not confirmed; no database was changed");
    }
    Ok(Confirmation::Given)
}
