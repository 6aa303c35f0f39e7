//! Names the choices of how results are printed: format, verbosity and color.

use clap::ValueEnum;

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ColorWhen {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The format of results on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    Text,
    /// One JSON document per run.
    Json,
    /// One JSON object a line: one for each database as it ends, then the summary.
    JsonLines,
}

/// How much text is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Only errors.
    Quiet,
    Normal,
    /// Every database by name, and notes of the document.
    Verbose,
}

/// How the rows of `query` are printed, other than as one JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFormat {
    /// Aligned columns for people.
    Table,
    /// RFC 4180.
    Csv,
    /// One JSON object a line.
    Ndjson,
}
