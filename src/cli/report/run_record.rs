//! Writes the files of `--report` and `--metrics` at the end of a run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;

use crate::cli::args::report_files::ReportArgs;
use crate::cli::report::command_line::own_command_line;
use crate::cli::report::digest::Digest;
use crate::cli::report::metrics;
use crate::cli::report::output_file::{FileKind, OutputFile};
use crate::cli::report::page;
use crate::cli::report::run_info::RunInfo;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;

/// The files that a run writes about itself, and what is known about the run from its beginning.
pub(crate) struct RunRecord {
    report: Option<OutputFile>,
    metrics: Option<OutputFile>,
    signals: Signals,
    start: Timestamp,
    clock: Instant,
    is_written: AtomicBool,
}

/// What a report knows about a run.
pub(crate) struct RunResult<'r> {
    pub(crate) command: &'r str,
    pub(crate) file: &'r str,
    pub(crate) head: Option<String>,
    pub(crate) exit_status: u8,
}

impl RunRecord {
    /// Checks that the files can be written. `None` if the arguments name none.
    ///
    /// # Errors
    ///
    /// A file cannot be written, or must not be.
    pub(crate) fn begin(
        args: &ReportArgs,
        settings: Option<&Settings>,
        signals: &Signals,
    ) -> anyhow::Result<Option<Self>> {
        let check = |path: &Option<std::path::PathBuf>, kind| {
            path.as_ref().map(|path| OutputFile::check(path, kind, settings)).transpose()
        };
        let report = check(&args.report, FileKind::Report)?;
        let metrics = check(&args.metrics, FileKind::Metrics)?;
        if args.report.is_some() && args.report == args.metrics {
            anyhow::bail!("`--report` and `--metrics` name the same file; choose another path");
        }
        let has_files = report.is_some() || metrics.is_some();
        Ok(has_files.then(|| Self {
            report,
            metrics,
            signals: signals.clone(),
            start: Timestamp::now(),
            clock: Instant::now(),
            is_written: AtomicBool::new(false),
        }))
    }

    /// Whether the page shows schemas, for which the document has to be replayed.
    pub(crate) fn has_page(&self) -> bool {
        self.report.is_some()
    }

    /// Reserves the files for the caller; false if they are written already.
    pub(crate) fn claim(&self) -> bool {
        !self.is_written.swap(true, Ordering::Relaxed)
    }

    /// Writes the files. Returns a message for each that could not be written.
    pub(crate) fn write(&self, result: RunResult<'_>, digest: &Digest) -> Vec<String> {
        let RunResult { command, file, head, exit_status } = result;
        let exit_status = self.signals.received_signal().map_or(exit_status, |signal| 128 + signal);
        let mut run = RunInfo {
            command,
            command_line: own_command_line(),
            file,
            head,
            version: env!("CARGO_PKG_VERSION"),
            sqlite: tatmig::rusqlite::version(),
            start: self.start.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            end: Timestamp::now(),
            seconds: self.clock.elapsed().as_secs_f64(),
            exit_status,
        };
        let mut failures = Vec::new();
        if let Some(report) = &self.report {
            failures.extend(report.write(&page::render(&run, digest)).err());
        }
        if let Some(metrics) = &self.metrics {
            if !failures.is_empty() && exit_status == 0 {
                run.exit_status = 1;
            }
            failures.extend(metrics.write(&metrics::render(&run, digest)).err());
        }
        let done = |failure| format!("{failure}; the run ended before: {}", digest.verdict);
        failures.into_iter().map(done).collect()
    }
}
