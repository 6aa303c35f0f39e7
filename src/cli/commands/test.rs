//! Runs `test`: the document on generated rows, in memory, without a database of the fleet.

use anyhow::Context;
use tatmig::selftest::SelfTestReport;

use crate::cli::commands::context::CommandContext;
use crate::cli::report::exit_status::EXIT_INVALID_INPUT;
use crate::cli::report::progress::Stage;
use crate::cli::report::views::selftest::SelfTestView;

pub(crate) fn run(context: CommandContext<'_>) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let replay = context.replay(&changelog, changelog.head_index())?;
    let policy = context.settings.policy(None);
    let progress = context.report.progress(Stage::TestingRows, None);
    let setup = &context.settings.connection_setup;
    let result = SelfTestReport::run(&changelog, &replay, policy, setup);
    drop(progress);
    match result {
        Ok(test_report) => {
            let view = SelfTestView::new(&changelog, &test_report);
            Ok(context.report.emit_with_document(&view, &changelog, Some(&replay)))
        }
        // The signal decides the exit status.
        Err(_) if context.signals.received_signal().is_some() => Ok(EXIT_INVALID_INPUT),
        Err(error) => Err(error).context("the document cannot be tested in memory"),
    }
}
