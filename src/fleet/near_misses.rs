//! Finds what a users directory holds if it has no user database: files that the user may have
//! meant, in the directory and as deep below it as the pattern is.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::fleet::walk::{is_side_file, is_tatmig_file};
use crate::sqlite::database_file::{DatabaseFile, open_parent};
use crate::sqlite::file_format::{MAGIC, has_database_header};
use crate::sqlite::file_status::{FileIdentity, FileKind};
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::FileUse;
use crate::sqlite::regular_file::{OpenedFile, SymlinkPolicy};
use crate::target::layout::FleetConfig;
use crate::text::escape_for_display;

/// How many near misses are listed.
const MAX_LISTED: usize = 3;

/// How many names are looked at below the users directory, so that a wrong `--users-dir` such as
/// `/` costs little.
const MAX_NAMES_BELOW: usize = 10_000;

/// What a users directory without user databases holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NearMisses {
    /// The absolute path of the users directory.
    pub dir: PathBuf,
    /// How the files of users are named.
    pub pattern: String,
    /// Up to three database files with other paths, relative to the users directory and escaped for
    /// display: those as deep as the pattern or less, the most similar paths first, then those one
    /// directory deeper whose names match.
    pub names: Vec<String>,
    /// Whether the directory holds database files besides the system database.
    pub has_databases: bool,
}

impl NearMisses {
    /// Looks into the users directory. It opens and closes the files in it, which drops the locks
    /// that this process holds on them; so a process must not have a database there open.
    #[must_use]
    pub fn find(config: &FleetConfig) -> Self {
        let pattern = config.path_template.to_string();
        let mut look = Look::new(config);
        look.run();
        look.files.sort_by_cached_key(|path| {
            let path = path.to_string_lossy();
            (strsim::levenshtein(&path, &pattern), path.into_owned())
        });
        let mut found = Self {
            dir: std::path::absolute(&config.users_dir)
                .unwrap_or_else(|_| config.users_dir.clone()),
            pattern,
            names: Vec::new(),
            has_databases: false,
        };
        let depth = config.path_template.components().len();
        let (files, files_below): (Vec<&PathBuf>, Vec<&PathBuf>) =
            look.files.iter().partition(|path| path.components().count() <= depth);
        for path in files {
            if found.has_databases && found.names.len() >= MAX_LISTED {
                break;
            }
            let is_database = look.is_database(path);
            found.has_databases |= is_database;
            if is_database || has_database_extension(path) {
                found.names.push(escape_for_display(path.as_os_str()));
            }
        }
        // The directory of one of these may be the users directory that was meant.
        let is_users =
            |path: &&PathBuf| config.path_template.matches_end_of(path) && look.is_database(path);
        let missing = MAX_LISTED.saturating_sub(found.names.len());
        let files_below = files_below.into_iter().filter(is_users).take(missing);
        found.names.extend(files_below.map(|path| escape_for_display(path.as_os_str())));
        found.names.truncate(MAX_LISTED);
        found
    }
}

/// The regular files in the users directory and below it.
struct Look<'c> {
    config: &'c FleetConfig,
    system: Option<FileIdentity>,
    backups: Option<FileIdentity>,
    /// Relative to the users directory.
    files: Vec<PathBuf>,
    /// Directories that were not looked into yet, the nearest first.
    directories: VecDeque<PathBuf>,
    names_left: usize,
}

impl<'c> Look<'c> {
    fn new(config: &'c FleetConfig) -> Self {
        let backups = config.backups_dir.as_ref();
        let backups = backups.and_then(|dir| std::fs::metadata(dir).ok());
        Self {
            config,
            system: config.system_file().located().identity,
            backups: backups.as_ref().and_then(FileIdentity::from_metadata),
            files: Vec::new(),
            directories: VecDeque::from([PathBuf::new()]),
            names_left: MAX_NAMES_BELOW,
        }
    }

    /// The file is one component deeper than a user's database at most.
    fn run(&mut self) {
        while let Some(directory_path) = self.directories.pop_front() {
            if self.names_left == 0 {
                return;
            }
            let depth = directory_path.components().count();
            let file_path = self.config.users_dir.join(&directory_path).join("file");
            if let Ok(directory) = open_parent(&file_path, depth + 1, SymlinkPolicy::Refuse) {
                self.look_into(&directory, &directory_path);
            }
        }
    }

    fn look_into(&mut self, directory: &OpenDirectory, directory_path: &Path) {
        let depth = directory_path.components().count();
        let is_backups = directory.own_status().is_ok_and(|own| own.identity == self.backups);
        if self.backups.is_some() && is_backups {
            return;
        }
        let mut names: Vec<OsString> = Vec::new();
        let limit = if depth == 0 { usize::MAX } else { self.names_left };
        // What cannot be read is no near miss.
        let _ = directory.for_each_entry(&mut |entry| {
            if names.len() < limit && !is_tatmig_file(entry.name) {
                names.push(entry.name.to_owned());
            }
        });
        if depth > 0 {
            self.names_left -= names.len();
        }
        names.sort();
        for name in names {
            let Ok(status) = directory.status(&name) else { continue };
            let path = directory_path.join(&name);
            match status.kind {
                FileKind::Directory if depth < self.config.path_template.components().len() => {
                    self.directories.push_back(path);
                }
                FileKind::Regular if is_side_file(directory, &name) => {}
                FileKind::Regular if self.system.is_none() || status.identity != self.system => {
                    self.files.push(path);
                }
                _ => {}
            }
        }
    }

    /// Whether a file begins as a SQLite database does.
    fn is_database(&self, path: &Path) -> bool {
        let file = DatabaseFile::below(&self.config.users_dir, path, SymlinkPolicy::Refuse);
        let Ok(parent) = file.parent() else { return false };
        let mut header = [0; MAGIC.len()];
        parent
            .open_file(file.file_name(), FileUse::Read)
            .and_then(OpenedFile::new)
            .and_then(|mut opened| opened.file.read_exact(&mut header))
            .is_ok_and(|()| has_database_header(&header))
    }
}

impl fmt::Display for NearMisses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dir, pattern, names, .. } = self;
        let dir = escape_for_display(dir.as_os_str());
        write!(f, "no user database in `{dir}`, where files are named `{pattern}`")?;
        if names.is_empty() {
            return write!(f, "; create one with `tatmig init --user NAME`");
        }
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        write!(f, "; near misses: {}; check `--users-dir` and `--user-pattern`", names.join(", "))
    }
}

fn has_database_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ["db", "sqlite", "sqlite3"].contains(&extension)
}
