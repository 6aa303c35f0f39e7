//! Defines the options that name the files which a command writes about its run.

use std::path::PathBuf;

use clap::Args;

/// The files that a run is described in.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Files about the run")]
pub(crate) struct ReportArgs {
    /// Write a page about the run: one HTML file that needs no network
    #[arg(long, value_name = "FILE", env = "TATMIG_REPORT", hide_env_values = true)]
    pub(crate) report: Option<PathBuf>,
    /// Write metrics of the run in the text format of Prometheus
    #[arg(long, value_name = "FILE", env = "TATMIG_METRICS", hide_env_values = true)]
    pub(crate) metrics: Option<PathBuf>,
}
