//! Finds what a users directory holds if it has no user database: files and directories that the
//! user may have meant.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{DirEntry, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::fleet::directory::{is_side_file, is_tatmig_file};
use crate::sqlite::database_file::FileIdentity;
use crate::sqlite::regular_file;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::layout::FleetConfig;
use crate::text::escape_for_display;

/// How many near misses are listed.
const MAX_LISTED: usize = 3;

/// What a users directory without user databases holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NearMisses {
    /// The absolute path of the users directory.
    pub dir: PathBuf,
    /// How the files of users are named.
    pub pattern: String,
    /// Up to three database files with other names, escaped for display: those in the directory,
    /// the most similar names first, then those one directory below.
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
        let system_identity = config.system_file().located().identity;
        let mut entries: Vec<DirEntry> =
            std::fs::read_dir(&config.users_dir).into_iter().flatten().flatten().collect();
        entries.retain(|entry| {
            let identity = entry.metadata().ok().as_ref().and_then(FileIdentity::of);
            !is_tatmig_file(&entry.file_name())
                && !is_side_file(&entry.path())
                && (system_identity.is_none() || identity != system_identity)
        });
        entries.sort_by_cached_key(|entry| {
            let name = entry.file_name();
            (strsim::levenshtein(&name.to_string_lossy(), &pattern), name)
        });
        let mut found = Self {
            dir: std::path::absolute(&config.users_dir)
                .unwrap_or_else(|_| config.users_dir.clone()),
            pattern,
            names: Vec::new(),
            has_databases: false,
        };
        for entry in &entries {
            if found.has_databases && found.names.len() >= MAX_LISTED {
                break;
            }
            let is_database = is_database(&entry.path());
            found.has_databases |= is_database;
            if is_database || has_database_extension(entry) {
                found.names.push(escape_for_display(&entry.file_name()));
            }
        }
        found.names.extend(entries.iter().filter_map(|entry| database_below(config, entry)));
        found.names.truncate(MAX_LISTED);
        found
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

/// Whether a file begins as a SQLite database does.
fn is_database(path: &Path) -> bool {
    const MAGIC: &[u8; 16] = b"SQLite format 3\0";
    let mut header = [0; MAGIC.len()];
    regular_file::open(path, OpenOptions::new().read(true), SymlinkPolicy::Refuse)
        .and_then(|mut file| file.read_exact(&mut header))
        .is_ok_and(|()| header == *MAGIC)
}

fn has_database_extension(entry: &DirEntry) -> bool {
    let name = PathBuf::from(entry.file_name());
    let extension = name.extension().and_then(OsStr::to_str).unwrap_or_default();
    ["db", "sqlite", "sqlite3"].contains(&extension)
        && entry.file_type().is_ok_and(|kind| kind.is_file())
}

/// The first file in a subdirectory that is named as a user's file is: the subdirectory may be the
/// users directory that was meant.
fn database_below(config: &FleetConfig, entry: &DirEntry) -> Option<String> {
    if !entry.file_type().ok()?.is_dir() {
        return None;
    }
    let names = std::fs::read_dir(entry.path()).ok()?.flatten().map(|file| file.file_name());
    let is_users = |name: &OsString| {
        config.path_template.user_name(name).is_some_and(|user| !user.is_empty())
            && is_database(&entry.path().join(name))
    };
    let name = names.filter(is_users).min()?;
    Some(escape_for_display(PathBuf::from(entry.file_name()).join(name).as_os_str()))
}
