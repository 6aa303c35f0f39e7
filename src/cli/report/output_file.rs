//! Writes a file about a run: to a temporary file in the same directory, which is then renamed, so
//! that the file is never half written. The path is checked before the run, and only a file that
//! tatmig wrote for the same purpose is replaced.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tatmig::fleet::{PathMatch, is_side_file_name};
use tatmig::text::escape_for_display;

use crate::cli::settings::Settings;
use crate::cli::temporary_file::temporary_file_beside;

/// A part of the names of temporary files.
const FILE_KIND: &str = "report";

/// A file that a run writes at its end.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    kind: FileKind,
}

/// What the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Report,
    Metrics,
}

impl FileKind {
    fn option(self) -> &'static str {
        match self {
            Self::Report => "--report",
            Self::Metrics => "--metrics",
        }
    }

    /// How every file of this kind begins.
    pub(crate) fn beginning(self) -> &'static str {
        match self {
            Self::Report => "<!DOCTYPE html>\n<!-- tatmig report -->\n",
            Self::Metrics => "# tatmig metrics\n",
        }
    }

    /// Whether the path has an extension for files of this kind, which no database has.
    fn is_usual_name(self, path: &Path) -> bool {
        let extensions = match self {
            Self::Report => ["html", "htm"],
            Self::Metrics => ["prom", "txt"],
        };
        let extension = path.extension().and_then(OsStr::to_str);
        extension.is_some_and(|extension| extensions.contains(&extension))
    }
}

impl OutputFile {
    /// Checks that the file can be written, and that nothing else is at its path.
    ///
    /// # Errors
    ///
    /// The file cannot be created, or another file or a database is or belongs there.
    pub(crate) fn check(
        path: &Path,
        kind: FileKind,
        settings: Option<&Settings>,
    ) -> anyhow::Result<Self> {
        let option = kind.option();
        let name = escape_for_display(path.as_os_str());
        let refuse = |reason: &str| format!("`{option} {name}`: {reason}; choose another path");
        let file_name = path.file_name().filter(|_| path != Path::new("-"));
        let Some(file_name) = file_name else { bail!(refuse("this is not the name of a file")) };
        if is_side_file_name(file_name) {
            bail!(refuse("SQLite gives such a name to a file that belongs to a database"));
        }
        match settings {
            Some(settings) => {
                if let Some(owner) = reserved_for(path, settings) {
                    bail!(refuse(&format!("this is the path of {owner}")));
                }
            }
            None if !kind.is_usual_name(path) => {
                bail!(refuse("without settings, it may be the path of a database"));
            }
            None => {}
        }
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                let replaceable = may_replace(path, kind)
                    .with_context(|| format!("`{option} {name}` cannot be read"))?;
                if !replaceable {
                    bail!(refuse("the file exists and was not written by this option"));
                }
            }
            Ok(metadata) if metadata.is_dir() => bail!(refuse("this is a directory")),
            Ok(_) => bail!(refuse("this exists and is not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).context(format!("`{option} {name}` cannot be written"));
            }
        }
        // The directory must take a new file, which is removed again at once.
        let trial = temporary_file_beside(path, FILE_KIND);
        trial.with_context(|| format!("`{option} {name}` cannot be written"))?;
        Ok(Self { path: path.to_owned(), kind })
    }

    /// Replaces the file with `text`. Returns an error message.
    pub(crate) fn write(&self, text: &str) -> Result<(), String> {
        self.try_write(text).map_err(|error| {
            format!(
                "the file `{}` of `{}` cannot be written: {error}",
                escape_for_display(self.path.as_os_str()),
                self.kind.option()
            )
        })
    }

    fn try_write(&self, text: &str) -> io::Result<()> {
        let mut file = temporary_file_beside(&self.path, FILE_KIND)?;
        file.as_file_mut().write_all(text.as_bytes())?;
        // The run may have taken hours: something else may be there now.
        match fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_file() && may_replace(&self.path, self.kind)? => {}
            Ok(_) => return Err(io::Error::other("another file was created there meanwhile")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// What of the fleet has this path, whether it exists or not.
fn reserved_for(path: &Path, settings: &Settings) -> Option<&'static str> {
    let fleet = &settings.fleet_config;
    let path = absolute(path);
    if path == absolute(&settings.file) {
        return Some("the document");
    }
    if path == absolute(&fleet.system_db) {
        return Some("the system database");
    }
    let below_users = path.strip_prefix(absolute(&fleet.users_dir)).ok()?;
    match fleet.path_template.match_path(below_users) {
        PathMatch::NoMatch => None,
        _ => Some("a user database"),
    }
}

/// The path with its directory resolved. The file itself need not exist.
fn absolute(path: &Path) -> PathBuf {
    let joined = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (joined.parent().map(Path::canonicalize), joined.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => joined,
    }
}

/// Whether the file was written for the same purpose, or is empty and named for it.
fn may_replace(path: &Path, kind: FileKind) -> io::Result<bool> {
    let expected = kind.beginning();
    let mut beginning = Vec::new();
    let limit = u64::try_from(expected.len()).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(&mut beginning)?;
    // An empty file may be a database without tables.
    let is_empty = beginning.is_empty();
    Ok(if is_empty { kind.is_usual_name(path) } else { beginning == expected.as_bytes() })
}
