//! Tests `import` and `adopt` against the real tools: dbmate, Drizzle and Alembic migrate databases,
//! and tatmig imports the same migrations. Without the tools the tests are listed as ignored; with
//! `TATMIG_REQUIRE_TOOLS` set, as in CI, their absence is a failure.
#![allow(clippy::unwrap_used, reason = "here all of it is test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is its own harness")]

mod alembic;
mod comparison;
mod dbmate;
mod drizzle;
#[allow(dead_code, reason = "each of the binaries uses its own part")]
#[path = "../support/mod.rs"]
mod support;
mod tool;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::tool::{INSTALL_COMMANDS, Tool};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tools: [&'static dyn Tool; 3] = [&dbmate::Dbmate, &drizzle::Drizzle, &alembic::Alembic];
    let missing: Vec<_> =
        tools.iter().filter(|tool| !tool.program().exists()).map(|tool| tool.name()).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        if std::env::var_os("TATMIG_REQUIRE_TOOLS").is_some() {
            eprintln!("{missing} must be installed for these tests: {INSTALL_COMMANDS}");
            return ExitCode::FAILURE;
        }
        println!("\nignored, for {missing} is not installed; install it: {INSTALL_COMMANDS}");
    }
    let trials = tools.into_iter().flat_map(|tool| {
        let is_missing = !tool.program().exists();
        let trial = |name: &str, run: fn(&dyn Tool)| {
            let run = move || {
                run(tool);
                Ok(())
            };
            Trial::test(format!("{}::{name}", tool.name()), run).with_ignored_flag(is_missing)
        };
        let mut trials = vec![
            trial(
                "every_version_has_the_schema_that_the_tool_makes",
                comparison::every_version_has_the_schema_that_the_tool_makes,
            ),
            trial(
                "databases_of_the_tool_are_adopted_at_their_versions",
                comparison::databases_of_the_tool_are_adopted_at_their_versions,
            ),
        ];
        if tool.can_undo() {
            trials.push(trial(
                "every_reverse_block_does_what_the_tool_does",
                comparison::every_reverse_block_does_what_the_tool_does,
            ));
        }
        trials
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}
