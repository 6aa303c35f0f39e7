//! Reads a directory of migrations, or a single file, into memory. Which of the files are migrations,
//! the tools' own modules decide.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::import::error::{FileLine, ImportError};
use crate::sqlite::regular_file::read_regular_file;
use crate::text::escape_for_display;

/// How deep directories are nested at most. No tool nests its migrations deeper.
const MAX_DEPTH: usize = 8;

/// Directories that no tool keeps migrations in.
const SKIPPED_DIRECTORIES: [&str; 5] = ["node_modules", "target", "__pycache__", "vendor", "dist"];

/// The largest file of a project that is read to find out which tool it uses.
const MAX_NEIGHBOR_LEN: u64 = 4 << 20;

/// Files that name the tool of a project, in the directory of the migrations or up to three above.
const NEIGHBORS: [&str; 14] = [
    "package.json",
    "Cargo.toml",
    "go.mod",
    "wrangler.toml",
    "wrangler.json",
    "wrangler.jsonc",
    "diesel.toml",
    "alembic.ini",
    "manage.py",
    "Gemfile",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "flyway.toml",
];

/// The files of a directory of migrations by their relative paths, or one single file.
#[derive(Debug)]
pub struct SourceTree {
    /// The directory or the file, as messages show it.
    pub(crate) name: String,
    entries: BTreeMap<String, Entry>,
    is_single_file: bool,
    /// The contents of files around the directory, by name.
    pub(crate) neighbors: BTreeMap<&'static str, String>,
}

/// An entry of the directory.
#[derive(Debug)]
pub(crate) enum Entry {
    File(SourceFile),
    Directory,
    /// Something else, such as a symbolic link to a directory or a FIFO.
    Other(&'static str),
}

/// A file. The contents of files that cannot contain SQL are not read.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// As messages show it, with the directory.
    pub(crate) display_path: String,
    bytes: Vec<u8>,
    /// Whether a tool's module took the text, so that it is in the document.
    is_used: Cell<bool>,
}

/// Whether a path has an extension, in lower case.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

impl SourceFile {
    fn new(display_path: String, bytes: Vec<u8>) -> Self {
        Self { display_path, bytes, is_used: Cell::new(false) }
    }

    /// The text for the document, without a byte order mark.
    pub(crate) fn text(&self) -> Result<&str, ImportError> {
        self.is_used.set(true);
        self.peek()
    }

    /// Notes that a tool's module knows the file and has a note on it, instead of taking its text.
    pub(crate) fn mark_used(&self) {
        self.is_used.set(true);
    }

    /// The text to look for markers in, without a byte order mark.
    pub(crate) fn peek(&self) -> Result<&str, ImportError> {
        let error = |offset: usize, message: &str| {
            let line = memchr::memchr_iter(b'\n', &self.bytes[..offset]).count() + 1;
            let at = FileLine { file: self.display_path.clone(), line };
            Err(ImportError::Text { at, message: message.to_owned() })
        };
        if self.bytes.starts_with(&[0xff, 0xfe]) || self.bytes.starts_with(&[0xfe, 0xff]) {
            return error(0, "the file is UTF-16; save it as UTF-8");
        }
        if let Some(offset) = memchr::memchr(0, &self.bytes) {
            return error(
                offset,
                "the file contains a NUL byte, which no statement can contain; remove it",
            );
        }
        if let Some(offset) = find_conflict_marker(&self.bytes) {
            return error(offset, "a merge conflict; resolve it first");
        }
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(found) => error(found.valid_up_to(), "the file is not UTF-8; save it as UTF-8"),
        }
    }
}

/// The offset of a line with which git marks the start of a conflict.
fn find_conflict_marker(bytes: &[u8]) -> Option<usize> {
    let marker = b"<<<<<<< ";
    let is_line_start = |offset: &usize| *offset == 0 || bytes[*offset - 1] == b'\n';
    memchr::memmem::find_iter(bytes, marker).find(is_line_start)
}

impl SourceTree {
    /// Reads a directory with all below it, or a single file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has a file of SQL whose name is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let name = escape_for_display(path.as_os_str());
        let unreadable = |error| ImportError::Unreadable { path: name.clone(), error };
        let metadata = std::fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_dir() {
            let bytes = read_regular_file(path).map_err(unreadable)?;
            let file_name = path.file_name().map(escape_for_display).unwrap_or_default();
            let mut tree = Self::from_text(&name, &file_name, bytes);
            tree.neighbors = read_neighbors(path.parent().unwrap_or(path));
            return Ok(tree);
        }
        let neighbors = read_neighbors(path);
        let mut tree = Self { name, entries: BTreeMap::new(), is_single_file: false, neighbors };
        tree.read_directory(path, "", 0)?;
        Ok(tree)
    }

    /// A single file that was read already, such as standard input.
    #[must_use]
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        Self::from_text(name, name, bytes)
    }

    fn from_text(name: &str, file_name: &str, bytes: Vec<u8>) -> Self {
        let file = SourceFile::new(name.to_owned(), bytes);
        Self {
            name: name.to_owned(),
            entries: BTreeMap::from([(file_name.to_owned(), Entry::File(file))]),
            is_single_file: true,
            neighbors: BTreeMap::new(),
        }
    }

    fn read_directory(
        &mut self,
        directory: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<(), ImportError> {
        let unreadable = |path: &Path, error| ImportError::Unreadable {
            path: escape_for_display(path.as_os_str()),
            error,
        };
        let list = std::fs::read_dir(directory).map_err(|error| unreadable(directory, error))?;
        for item in list {
            let item = item.map_err(|error| unreadable(directory, error))?;
            let path = item.path();
            let file_name = item.file_name();
            let Some(file_name) = file_name.to_str() else {
                let is_sql = path.extension().is_some_and(|extension| extension == "sql");
                if is_sql {
                    let reason = "the name is not UTF-8; rename the file";
                    return Err(unreadable(
                        &path,
                        io::Error::new(io::ErrorKind::InvalidInput, reason),
                    ));
                }
                continue;
            };
            let relative = format!("{prefix}{file_name}");
            let kind = item.file_type().map_err(|error| unreadable(&path, error))?;
            let entry = if kind.is_dir() {
                let is_skipped =
                    file_name.starts_with('.') || SKIPPED_DIRECTORIES.contains(&file_name);
                if !is_skipped && depth < MAX_DEPTH {
                    self.read_directory(&path, &format!("{relative}/"), depth + 1)?;
                }
                Entry::Directory
            } else {
                read_file(&path, file_name).map_err(|error| unreadable(&path, error))?
            };
            self.entries.insert(relative, entry);
        }
        Ok(())
    }

    /// Every path, in the order of the names.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The names directly in the directory.
    pub(crate) fn top_names(&self) -> impl Iterator<Item = &str> {
        self.paths().filter(|path| !path.contains('/'))
    }

    pub(crate) fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        matches!(self.entries.get(path), Some(Entry::Directory))
    }

    /// The files with their paths, in the order of the names.
    pub(crate) fn files(&self) -> impl Iterator<Item = TreeFile<'_>> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::File(file) => Some(TreeFile { path, file }),
            _ => None,
        })
    }

    /// The files of SQL that no tool's module took, in the order of the names.
    pub(crate) fn unused_sql_files(&self) -> Vec<String> {
        let is_sql = |path: &str| {
            Path::new(path).extension().is_some_and(|found| found.eq_ignore_ascii_case("sql"))
        };
        let unused = self.files().filter(|file| is_sql(file.path) && !file.file.is_used.get());
        unused.map(|file| file.path.to_owned()).collect()
    }

    /// A file that must exist and be a regular one.
    pub(crate) fn file(&self, path: &str) -> Result<&SourceFile, ImportError> {
        let reason = match self.entries.get(path) {
            Some(Entry::File(file)) => return Ok(file),
            Some(Entry::Directory) => "this is a directory",
            Some(Entry::Other(reason)) => reason,
            None => "the file does not exist",
        };
        let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
        Err(ImportError::Unreadable { path: self.display_path(path), error })
    }

    /// The only file, if a file was named instead of a directory.
    pub(crate) fn single_file(&self) -> Option<TreeFile<'_>> {
        self.files().next().filter(|_| self.is_single_file)
    }

    /// A path as messages show it.
    pub(crate) fn display_path(&self, path: &str) -> String {
        if self.is_single_file {
            return self.name.clone();
        }
        let separator = if self.name.ends_with('/') { "" } else { "/" };
        format!("{}{separator}{}", self.name, escape_for_display(path.as_ref()))
    }
}

/// A file and its relative path.
#[derive(Clone, Copy)]
pub(crate) struct TreeFile<'t> {
    pub(crate) path: &'t str,
    pub(crate) file: &'t SourceFile,
}

impl<'t> TreeFile<'t> {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &'t str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// Reads a file, or the one that a symbolic link points to. Only SQL and a few files of tools are
/// read; of the others the name is enough.
fn read_file(path: &Path, name: &str) -> io::Result<Entry> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Entry::Other("this is a symbolic link to nothing"));
        }
        Err(error) => return Err(error),
    };
    if metadata.is_dir() {
        return Ok(Entry::Other("this is a symbolic link to a directory"));
    }
    if !metadata.is_file() {
        return Ok(Entry::Other("this is not a regular file"));
    }
    let display_path = escape_for_display(path.as_os_str());
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let has_content = extension.eq_ignore_ascii_case("sql")
        || matches!(name, "_journal.json" | "metadata.toml" | "migration_lock.toml");
    let bytes = if has_content { read_regular_file(path)? } else { Vec::new() };
    Ok(Entry::File(SourceFile::new(display_path, bytes)))
}

/// The files around a directory that name the tool of a project. What cannot be read names none.
fn read_neighbors(directory: &Path) -> BTreeMap<&'static str, String> {
    let mut neighbors = BTreeMap::new();
    let Ok(directory) = directory.canonicalize() else { return neighbors };
    for ancestor in directory.ancestors().take(4) {
        for name in NEIGHBORS {
            let path = ancestor.join(name);
            let is_small = path
                .metadata()
                .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_NEIGHBOR_LEN);
            if is_small && let Ok(bytes) = read_regular_file(&path) {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                neighbors.entry(name).or_insert(text);
            }
        }
    }
    neighbors
}
