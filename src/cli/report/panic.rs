//! Reports a panic, which is an error of tatmig itself, in one line, and turns it into an exit status.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use crate::cli::report::Report;
use crate::cli::report::exit_status::EXIT_INVALID_INPUT;
use crate::cli::report::format::escape_for_terminal;

/// What is known about the data after a panic.
const STATE_OF_DATA: &str = "open transactions were rolled back, so every database is entirely before or entirely after its migration";

/// Prints each panic as one line, in place of the message of the Rust runtime.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let _ = writeln!(anstream::stderr(), "error: {}", describe(panic));
    }));
}

/// Runs the program. After a panic that nothing caught, the exit status is 2, and `report` may print
/// the JSON document that the caller of the program waits for.
pub(crate) fn catch_panic(program: impl FnOnce() -> u8, report: impl FnOnce() -> Report) -> u8 {
    // Nothing of the program is used after the panic.
    catch_unwind(AssertUnwindSafe(program)).unwrap_or_else(|_| {
        report().emit_panic(&format!("an internal error of tatmig; {STATE_OF_DATA}"));
        EXIT_INVALID_INPUT
    })
}

fn describe(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("panic");
    let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
    let text = format!(
        "an internal error of tatmig{}: {message}; report this line and the command at {}/issues; {STATE_OF_DATA}",
        place.unwrap_or_default(),
        env!("CARGO_PKG_REPOSITORY")
    );
    escape_for_terminal(&text).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::cli::output::OutputFormat;

    #[test]
    fn a_panic_is_one_line_that_names_the_place_and_the_state_of_the_data() {
        let (sender, receiver) = mpsc::channel();
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = sender.send(describe(panic));
        }));
        let report = || Report::without_settings(None, None, OutputFormat::Text);
        let status = catch_panic(|| panic!("index {}\nout of range", 7), report);
        std::panic::set_hook(previous);
        assert_eq!(status, 2);
        let lines: Vec<String> = receiver.try_iter().collect();
        let line = lines.iter().find(|line| line.contains("index 7 out of range")).unwrap();
        assert!(line.contains(" at src/cli/report/panic.rs:"), "{line}");
        assert!(line.contains("/issues; open transactions were rolled back"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_program_that_does_not_panic_keeps_its_status() {
        let report = || Report::without_settings(None, None, OutputFormat::Text);
        assert_eq!(catch_panic(|| 3, report), 3);
    }
}
