//! Loads extension libraries into connections. This is the only file with `unsafe` code: a library
//! is code of the operator's choice, which Rust cannot check.
//!
//! If a checksum is given, the file that was hashed is the file that is loaded: its bytes are read
//! once, and the library is loaded from a private copy of them that nothing can change or replace.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, LoadExtensionGuard};
use sha2::{Digest, Sha256};

use crate::database::connection::{ConnectionSetup, open_in_memory};
use crate::database::error::sqlite_message;
use crate::document::extensions::Extensions;
use crate::sqlite::library_header::{HEADER_LENGTH, header_problem};
use crate::sqlite::private_copy::PrivateCopy;
use crate::sqlite::regular_file::{self, SymlinkPolicy};
use crate::text::escape_for_display;

/// A library that is to be loaded into every connection.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExtensionLibrary {
    /// The file. Without a suffix, that of the operating system's libraries may be left out.
    pub path: PathBuf,
    /// The SHA-256 that the file may have, one for each operating system and processor, in
    /// hexadecimal. Empty: any file is loaded.
    pub sha256: Vec<String>,
    /// The function that initializes the extension. `None`: `sqlite3_extension_init`, or the one that
    /// SQLite derives from the file's name.
    pub entry_point: Option<String>,
}

/// Why a library cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionError {
    /// The file cannot be read.
    #[error("the extension `{}` cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file does not exist.
    #[error("the extension `{}` does not exist; correct `path`, which is relative to the settings file", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file has another checksum.
    #[error("the extension `{}` was not loaded: its SHA-256 is {found}, and `sha256` has another one", .path.display())]
    WrongChecksum {
        /// The file.
        path: PathBuf,
        /// Its checksum.
        found: String,
    },
    /// The file is not a library, or one for another system.
    #[error("the extension `{}` cannot be loaded: {reason}", .path.display())]
    Unloadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, or what SQLite reported.
        reason: String,
    },
}

impl ExtensionLibrary {
    /// A library without a checksum, with the usual entry point.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, ..Self::default() }
    }

    /// Checks the library, loads it once, and adds it to `extensions`, whose other parts it may use.
    /// It stays in memory as long as a copy of the result exists, so that it is read only once.
    ///
    /// # Errors
    ///
    /// The file cannot be read, has another checksum, is not a library for this program, or its
    /// initialization fails. Then no function of the library ran, except that initialization.
    pub fn add_to(&self, extensions: Extensions) -> Result<Extensions, ExtensionError> {
        let path = self.find_file()?;
        let unloadable = |reason: String| ExtensionError::Unloadable { path: path.clone(), reason };
        let loadable = self.open_checked(&path)?;
        let setup = ConnectionSetup { extensions, ..ConnectionSetup::default() };
        let first = open_in_memory(&setup).map_err(|error| unloadable(error.to_string()))?;
        let candidates = self.entry_points(&path);
        let entry_point = find_entry_point(&first, loadable.path(), &candidates)
            .map_err(|error| unloadable(self.explain(&error, &path)))?;
        // The operating system unloads a library with its last connection.
        let first = Mutex::new(first);
        Ok(setup.extensions.with_connection_hook(move |connection| {
            let _keeps_library_loaded = &first;
            load(connection, loadable.path(), &entry_point)
        }))
    }

    /// The absolute path of the file: the operating system searches its own directories for a name
    /// without a directory.
    fn find_file(&self) -> Result<PathBuf, ExtensionError> {
        let read_error = |source| ExtensionError::Read { path: self.path.clone(), source };
        let path = std::path::absolute(&self.path).map_err(read_error)?;
        if path.exists() {
            return Ok(path);
        }
        let with_suffix = path.with_extension(std::env::consts::DLL_EXTENSION);
        if path.extension().is_none() && with_suffix.exists() {
            return Ok(with_suffix);
        }
        Err(ExtensionError::Missing { path: self.path.clone() })
    }

    /// Opens the file, checks that it is a library for this program, and compares its checksum.
    fn open_checked(&self, path: &Path) -> Result<Loadable, ExtensionError> {
        let read_error = |source| ExtensionError::Read { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file = regular_file::open(path, options.read(true), SymlinkPolicy::Follow)
            .map_err(read_error)?;
        let mut bytes = Vec::new();
        if self.sha256.is_empty() {
            (&mut file).take(HEADER_LENGTH).read_to_end(&mut bytes).map_err(read_error)?;
        } else {
            file.read_to_end(&mut bytes).map_err(read_error)?;
            let found = hex::encode(Sha256::digest(&bytes));
            if !self.sha256.iter().any(|allowed| allowed.eq_ignore_ascii_case(&found)) {
                return Err(ExtensionError::WrongChecksum { path: path.to_owned(), found });
            }
        }
        let length = file.metadata().map_err(read_error)?.len();
        if let Some(reason) = header_problem(&bytes, length) {
            return Err(ExtensionError::Unloadable { path: path.to_owned(), reason });
        }
        if self.sha256.is_empty() {
            return Ok(Loadable::File(path.to_owned()));
        }
        PrivateCopy::new(&bytes, path).map(Loadable::Copy).map_err(read_error)
    }

    /// The entry points to try.
    fn entry_points(&self, path: &Path) -> Vec<String> {
        self.entry_point.clone().map_or_else(|| default_entry_points(path), |name| vec![name])
    }

    /// What SQLite reported, in words about the file and the settings.
    fn explain(&self, error: &rusqlite::Error, path: &Path) -> String {
        let message = sqlite_message(error);
        let entry_points = self.entry_points(path);
        if is_missing_entry_point(&message, &entry_points) {
            let hint = if self.entry_point.is_some() {
                "correct `entry_point`"
            } else {
                "if it is an SQLite extension, name its function with `entry_point`"
            };
            return format!("it has no function `{}`; {hint}", entry_points.join("` or `"));
        }
        // SQLite tries the name once more with a suffix, and reports only why that failed.
        if ["cannot open shared object file", "unable to open shared library"]
            .iter()
            .any(|words| message.contains(words))
        {
            let name = escape_for_display(path.as_os_str());
            return format!(
                "the operating system refuses it, most often because a library that it needs is missing; `ldd {name}` lists them"
            );
        }
        message
    }
}

/// Loads a library with the first of some entry points that it has.
fn find_entry_point(
    connection: &Connection,
    path: &Path,
    candidates: &[String],
) -> rusqlite::Result<String> {
    let mut result = Err(rusqlite::Error::InvalidQuery);
    for entry_point in candidates {
        result = load(connection, path, entry_point).map(|()| entry_point.clone());
        let is_missing = |error: &_| is_missing_entry_point(&sqlite_message(error), candidates);
        if !result.as_ref().is_err_and(is_missing) {
            break;
        }
    }
    result
}

/// Whether a message is about an entry point that a library does not have. The operating systems use
/// different words, but all of them name the function.
fn is_missing_entry_point(message: &str, entry_points: &[String]) -> bool {
    entry_points.iter().any(|entry_point| message.contains(entry_point.as_str()))
}

/// What SQLite loads.
enum Loadable {
    File(PathBuf),
    Copy(PrivateCopy),
}

impl Loadable {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Copy(copy) => copy.path(),
        }
    }
}

/// Loads a library into a connection and runs its entry point. Loading is allowed only meanwhile.
#[allow(unsafe_code, reason = "Rust cannot check a library that is chosen at run time")]
fn load(connection: &Connection, path: &Path, entry_point: &str) -> rusqlite::Result<()> {
    // SAFETY: `LoadExtensionGuard::new` requires that no untrusted SQL runs while loading is
    // allowed. No SQL but that of the library runs before the guard is dropped, at the end of this
    // function. `load_extension` requires that the library and its entry point are trustworthy and
    // follow the rules of SQLite's extensions. That is the operator's promise: only the settings
    // file names a library, never a document or a database, and the settings file decides what the
    // program does as the program itself does. The path is absolute, so that no search path is
    // used, and with a checksum it is a private copy of the bytes that were hashed. The connection
    // belongs to this thread, as the reference to a type that is not `Sync` proves.
    unsafe {
        let _guard = LoadExtensionGuard::new(connection)?;
        connection.load_extension(path, Some(entry_point))
    }
}

/// The names of the entry points that SQLite tries, in its order.
fn default_entry_points(path: &Path) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let stem = name.strip_prefix("lib").unwrap_or(&name).split('.').next().unwrap_or_default();
    let letters: String = stem.chars().filter(char::is_ascii_alphabetic).collect();
    vec!["sqlite3_extension_init".to_owned(), format!("sqlite3_{letters}_init")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_points_are_derived_as_sqlite_derives_them() {
        for (path, expected) in [
            ("/x/vec0.so", "sqlite3_vec_init"),
            ("/x/libSpatialite-7.1.so.8", "sqlite3_spatialite_init"),
            ("/x/mod_spatialite.dylib", "sqlite3_modspatialite_init"),
            ("/x/liblib.so", "sqlite3_lib_init"),
        ] {
            assert_eq!(default_entry_points(Path::new(path)), ["sqlite3_extension_init", expected]);
        }
    }
}
