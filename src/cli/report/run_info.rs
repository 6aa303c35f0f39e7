//! Describes a run as a whole, for the files that `--report` and `--metrics` write.

use jiff::Timestamp;
use serde::Serialize;

/// The run as a whole.
#[derive(Serialize)]
pub(crate) struct RunInfo<'r> {
    pub(crate) command: &'r str,
    pub(crate) command_line: String,
    pub(crate) file: &'r str,
    pub(crate) head: Option<String>,
    pub(crate) version: &'static str,
    pub(crate) sqlite: &'static str,
    /// In UTC, in whole seconds.
    pub(crate) start: String,
    #[serde(skip)]
    pub(crate) end: Timestamp,
    pub(crate) seconds: f64,
    pub(crate) exit_status: u8,
}
