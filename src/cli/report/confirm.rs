//! Asks on the terminal before rows are deleted.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::bail;
use tatmig::fleet::Fleet;
use tatmig::text::list_names;

use crate::cli::report::format::plural;

/// Asks whether the databases of a fleet may be replaced with empty ones.
///
/// # Errors
///
/// Standard input or standard error is not a terminal, or the answer is not yes.
pub(crate) fn confirm_reset(fleet: &Fleet) -> anyhow::Result<()> {
    let paths: Vec<String> =
        fleet.databases().map(|database| database.location.display()).collect();
    let rows = format!("every row of {} ({})", plural(paths.len(), "database"), list_names(&paths));
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        bail!("`reset` would delete {rows}; cannot ask for confirmation here; pass `--yes`");
    }
    let _ = write!(anstream::stderr(), "This deletes {rows}. Continue? [y/N] ");
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        bail!("not confirmed; no database was changed");
    }
    Ok(())
}
