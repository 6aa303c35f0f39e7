//! Defines why migrations of another tool cannot be imported. Nothing is written in any of these
//! cases.

use std::io;

use semver::Version;

use crate::database::error::DatabaseError;
use crate::document::diagnostic::Diagnostic;
use crate::document::imported::MigrationTool;
use crate::migrate::error::{Error, ErrorKind};

/// A line of a file of another tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileLine {
    /// The file, as messages show it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl std::fmt::Display for FileLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file or a directory cannot be read.
    #[error("`{path}` cannot be read: {error}")]
    Unreadable {
        /// The path, as messages show it.
        path: String,
        /// The operating system's error, or what the path names instead of a file.
        error: io::Error,
    },
    /// A text is not UTF-8, or contains something that no document can contain.
    #[error("{at}: {message}")]
    Text {
        /// The place.
        at: FileLine,
        /// What is wrong, and what to do.
        message: String,
    },
    /// A file does not have the form that its tool requires.
    #[error("`{file}`: {message}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and what to do.
        message: String,
    },
    /// No tool's migrations were found.
    #[error(
        "`{directory}` has no migrations of a tool that tatmig knows{found}; name the directory of the migrations, or the tool with `--from`"
    )]
    UnknownTool {
        /// The directory.
        directory: String,
        /// What the directory contains instead, if that helps.
        found: String,
    },
    /// The migrations of several tools were found, or the files fit several tools.
    #[error(
        "`{directory}` may be of {}; choose one with `--from`:{}",
        list_tools(.candidates),
        list_reasons(.candidates)
    )]
    AmbiguousTool {
        /// The directory.
        directory: String,
        /// The tools.
        candidates: Vec<Candidate>,
    },
    /// The directory has no migration of the tool.
    #[error("`{directory}` has no migration of {tool}: {expected}")]
    NoMigrations {
        /// The directory.
        directory: String,
        /// The tool.
        tool: MigrationTool,
        /// What is missing, and what to do.
        expected: String,
    },
    /// Two files have one version.
    #[error(
        "`{first}` and `{second}` are the same migration for {tool}, `{key}`: rename or remove one of them"
    )]
    DuplicateKey {
        /// The tool.
        tool: MigrationTool,
        /// The version or the name.
        key: String,
        /// The file of the first one.
        first: String,
        /// The file of the second one.
        second: String,
    },
    /// The migration that `--squash-before` names cannot be used.
    #[error("{0}")]
    Squash(String),
    /// The versions of the document would be too high.
    #[error("no version follows `{0}`; choose a lower one with `--version-from`")]
    VersionOverflow(Version),
    /// The document would be unusable for a reason that no comment in it can express.
    #[error(
        "the document would have errors, so it was not written; correct the files and run the command again"
    )]
    Unusable {
        /// The text of the document.
        text: String,
        /// Its errors. The help of each names the place in the files of the tool, if it has one.
        diagnostics: Vec<Diagnostic>,
    },
    /// SQLite accepts no statement.
    #[error(
        "SQLite accepts none of the statements, so the document was not written; are these the migrations of another database? The first error: {first}"
    )]
    NothingUsable {
        /// The reason for the first statement, with its place.
        first: String,
    },
    /// An error of the checks, while the document runs in memory.
    #[error("the document cannot be run in memory")]
    Lint(#[source] Box<DatabaseError>),
    /// SQLite's, while the document runs in memory.
    #[error("the document cannot be run in memory")]
    Sqlite(#[from] rusqlite::Error),
}

/// A tool that the files may belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The tool.
    pub tool: MigrationTool,
    /// What speaks for it.
    pub reason: String,
}

fn list_tools(candidates: &[Candidate]) -> String {
    let names: Vec<_> =
        candidates.iter().map(|candidate| format!("`{}`", candidate.tool)).collect();
    names.join(" or ")
}

fn list_reasons(candidates: &[Candidate]) -> String {
    let reasons: Vec<_> =
        candidates.iter().map(|found| format!("\n  {}: {}", found.tool, found.reason)).collect();
    reasons.concat()
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Sqlite(error) => error.into(),
            error => Self::new(ErrorKind::Argument, error),
        }
    }
}
