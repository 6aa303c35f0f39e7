//! `test`: the document against itself, in memory; no database of the fleet is looked for.

use anyhow::Context;
use tatmig::selftest::SelfTestReport;

use crate::cli::commands::CommandContext;
use crate::cli::report::EXIT_INVALID_INPUT;

pub(crate) fn run(context: CommandContext<'_>) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let replay = context.replay(&changelog, changelog.head_index())?;
    match SelfTestReport::run(&changelog, &replay, &context.signals.cancel_flag()) {
        Ok(test_report) => Ok(context.report.print_self_test(&changelog, &test_report)),
        // The signal decides the exit status.
        Err(_) if context.signals.received_signal().is_some() => Ok(EXIT_INVALID_INPUT),
        Err(error) => Err(error).context("the test in memory"),
    }
}
