//! `test`: the document against itself, in memory; no database of the fleet is looked for.

use anyhow::Context;
use tatmig::SelfTest;

use crate::cli::commands::Tools;
use crate::cli::report::REFUSED;

pub(crate) fn run(tools: Tools<'_>) -> anyhow::Result<u8> {
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let replay = tools.replay(&changelog, changelog.head_position())?;
    match SelfTest::run(&changelog, &replay, &tools.signals.stop()) {
        Ok(outcome) => Ok(tools.report.tested(&changelog, &outcome)),
        // The signal decides the exit status.
        Err(_) if tools.signals.caught().is_some() => Ok(REFUSED),
        Err(error) => Err(error).context("the test in memory"),
    }
}
