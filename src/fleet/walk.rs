//! Finds the user databases below the users directory. Each directory is opened relative to the one
//! above, and only those are opened that can be on the path of a user's database. Links are refused
//! at every level, unless they may be followed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::io::ErrorKind;
use std::iter::once;
use std::path::PathBuf;

use crate::document::tag::Scope;
use crate::sqlite::database_file::{DatabaseFile, SYMLINK_REFUSED};
use crate::sqlite::file_status::{FileIdentity, FileKind};
use crate::sqlite::open_directory::OpenDirectory;
use crate::sqlite::open_directory::entry::DirectoryUse;
use crate::sqlite::paths::database_of_side_file;
use crate::sqlite::regular_file::SymlinkPolicy;
use crate::target::layout::FleetConfig;
use crate::target::path_component::PathComponent;
use crate::target::pattern::PathMatch;
use crate::target::{Location, TargetDatabase};
use crate::text::{escape_for_display, os_string_from_bytes};

/// What is below the users directory.
pub(crate) struct Walk<'c> {
    pub(super) config: &'c FleetConfig,
    system: Option<FileIdentity>,
    backups: Option<FileIdentity>,
    /// The names of the directories that are open.
    pub(super) names: Vec<OsString>,
    pub(crate) found: Vec<FoundFile>,
    /// What the user should know, one message each.
    pub(crate) notices: Vec<String>,
    /// What was skipped and has to be corrected, one message each.
    pub(crate) problems: Vec<String>,
    pub(super) misplaced_count: usize,
    pub(super) stray_names: usize,
}

/// A user database.
pub(crate) struct FoundFile {
    pub(crate) target: TargetDatabase,
    /// `None` if the file may not be opened.
    pub(crate) identity: Option<FileIdentity>,
}

/// A name in a directory that can be on the path of a user's database.
struct Candidate {
    name: OsString,
    kind: Option<FileKind>,
}

impl<'c> Walk<'c> {
    /// Finds every database of the configured shard, in the order of their paths, component by
    /// component.
    ///
    /// # Errors
    ///
    /// The users directory cannot be opened or read. What is below it and cannot be read is one of
    /// the problems.
    pub(crate) fn run(config: &'c FleetConfig) -> io::Result<Self> {
        let backups = config.backups_dir.as_ref();
        let backups = backups.and_then(|dir| std::fs::metadata(dir).ok());
        let mut walk = Self {
            config,
            system: config.system_file().located().identity,
            backups: backups.as_ref().and_then(FileIdentity::from_metadata),
            names: Vec::new(),
            found: Vec::new(),
            notices: Vec::new(),
            problems: Vec::new(),
            misplaced_count: 0,
            stray_names: 0,
        };
        let users_dir = OpenDirectory::open(&config.users_dir, walk.directory_use(0))?;
        walk.visit_directory(&users_dir)?;
        walk.count_unlisted();
        Ok(walk)
    }

    pub(super) fn component(&self) -> &'c PathComponent {
        &self.config.path_template.components()[self.names.len()]
    }

    /// What the directory is opened for in which the component with this index is.
    fn directory_use(&self, index: usize) -> DirectoryUse {
        match self.config.path_template.components()[index].literal() {
            Some(_) => DirectoryUse::Enter,
            None => DirectoryUse::List,
        }
    }

    pub(super) fn is_last_level(&self) -> bool {
        self.names.len() + 1 == self.config.path_template.components().len()
    }

    /// Visits what can be the next component in a directory.
    fn visit_directory(&mut self, directory: &OpenDirectory) -> io::Result<()> {
        let component = self.component();
        if let Some(name) = component.literal() {
            let name = OsString::from(name);
            self.visit(directory, Candidate { name, kind: None });
            return Ok(());
        }
        let is_candidate =
            |name: &OsStr| component.has_shape(name.as_encoded_bytes()) && !is_tatmig_file(name);
        if self.is_last_level() {
            // The largest directories need no list of their names in addition to that of the files.
            let start = self.found.len();
            let listed = directory.for_each_entry(&mut |entry| {
                if is_candidate(entry.name) {
                    self.visit_file(directory, entry.name);
                }
            });
            self.found[start..]
                .sort_unstable_by(|left, right| path_bytes(left).cmp(path_bytes(right)));
            return listed;
        }
        let mut candidates = Vec::new();
        let mut strays = Vec::new();
        let listed = directory.for_each_entry(&mut |entry| {
            if matches!(entry.kind, Some(FileKind::Regular | FileKind::Other)) {
                return;
            }
            if is_candidate(entry.name) {
                candidates.push(Candidate { name: entry.name.to_owned(), kind: entry.kind });
            } else if !is_hidden(entry.name) {
                strays.push(entry.name.to_owned());
            }
        });
        candidates.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        for candidate in candidates {
            self.visit(directory, candidate);
        }
        self.visit_strays(directory, strays);
        listed
    }

    fn visit(&mut self, directory: &OpenDirectory, candidate: Candidate) {
        if self.is_last_level() {
            self.visit_file(directory, &candidate.name);
        } else {
            self.visit_child(directory, candidate);
        }
    }

    /// Visits a directory that may contain databases.
    fn visit_child(&mut self, parent: &OpenDirectory, candidate: Candidate) {
        let Candidate { name, kind } = candidate;
        let kind = match kind.map_or_else(|| parent.status(&name).map(|status| status.kind), Ok) {
            // A component without placeholders need not exist.
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                return self.refuse_directory(name, &format!("cannot read its metadata: {error}"));
            }
            Ok(kind) => kind,
        };
        let policy = self.config.symlink_policy;
        let symlinks = match kind {
            FileKind::Directory => SymlinkPolicy::Refuse,
            FileKind::Symlink => {
                let target = parent.followed_status(&name).map(|status| status.kind);
                match target {
                    // It cannot lead to a database.
                    Ok(FileKind::Regular | FileKind::Symlink | FileKind::Other) => return,
                    _ if policy == SymlinkPolicy::Refuse => {
                        return self.refuse_directory(name, SYMLINK_REFUSED);
                    }
                    _ => SymlinkPolicy::Follow,
                }
            }
            FileKind::Regular | FileKind::Other => return,
        };
        match parent.open_child(&name, self.directory_use(self.names.len() + 1), symlinks) {
            Ok(directory) if self.is_backups_dir(&directory) => self.report_user_of_backups(&name),
            Ok(directory) => {
                self.names.push(name);
                let visited = self.visit_directory(&directory);
                let name = self.names.pop().unwrap_or_default();
                if let Err(error) = visited {
                    self.refuse_directory(name, &format!("cannot read it: {error}"));
                }
            }
            // It was removed meanwhile.
            Err(error)
                if error.kind() == ErrorKind::NotFound && symlinks == SymlinkPolicy::Refuse => {}
            Err(error) => self.refuse_directory(name, &format!("cannot open it: {error}")),
        }
    }

    pub(super) fn is_backups_dir(&self, directory: &OpenDirectory) -> bool {
        self.backups.is_some()
            && directory.own_status().is_ok_and(|status| status.identity == self.backups)
    }

    /// Reports a directory that is not visited: as a database that may not be opened if the
    /// directory belongs to one user, else as a problem.
    fn refuse_directory(&mut self, name: OsString, reason: &str) {
        let path = escape_for_display(self.path_of(&name).as_os_str());
        let rest = &self.config.path_template.components()[self.names.len() + 1..];
        let rest: Option<Vec<&str>> = rest.iter().map(PathComponent::literal).collect();
        self.names.push(name);
        let user = rest.and_then(|rest| {
            let names = self.names.iter().map(OsString::as_os_str);
            let rest = rest.iter().map(OsStr::new);
            match self.config.path_template.match_names(names.chain(rest.clone())) {
                PathMatch::User(user) => {
                    Some((user, self.names.iter().map(OsString::as_os_str).chain(rest).collect()))
                }
                _ => None,
            }
        });
        self.names.pop();
        match user {
            Some((user, relative_path)) if self.config.contains(&user) => {
                let relative_path: PathBuf = relative_path;
                let file = self.config.user_file(&relative_path);
                self.add(
                    user,
                    file,
                    Err(format!("its directory `{path}` was not opened: {reason}")),
                );
            }
            Some(_) => {}
            None => self.problems.push(format!(
                "the directory `{path}` was skipped with every database in it: {reason}"
            )),
        }
    }

    /// Visits a file that may be a database.
    fn visit_file(&mut self, directory: &OpenDirectory, name: &OsStr) {
        let names = self.names.iter().map(OsString::as_os_str).chain(once(name));
        let user = match self.config.path_template.match_names(names) {
            PathMatch::NoMatch => return,
            PathMatch::User(user) if !self.config.contains(&user) => return,
            matched => matched,
        };
        if is_side_file(directory, name) {
            return;
        }
        let relative_path = self.path_of(name);
        let file = self.config.user_file(&relative_path);
        let identity = match directory.status(name) {
            // The name was removed meanwhile, or is a literal of the template.
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => Err(format!("cannot read its metadata: {error}")),
            Ok(status) => file.identify(directory, status),
        };
        let is_system = matches!(&identity, Ok(Some(found)) if self.system == Some(*found));
        if is_system || file.path == self.config.system_db {
            return;
        }
        match user {
            PathMatch::User(user) => self.add(user, file, identity),
            PathMatch::EmptyName => self.notices.push(format!(
                "`{}` matches the user pattern without a user name; it was skipped",
                escape_for_display(relative_path.as_os_str())
            )),
            PathMatch::Misplaced { user, expected } if self.config.contains(&user) => {
                self.add_misplaced(&relative_path, &user, expected.as_deref());
            }
            PathMatch::Misplaced { .. } | PathMatch::NoMatch => {}
        }
    }

    fn add(
        &mut self,
        user: OsString,
        file: DatabaseFile,
        identity: Result<Option<FileIdentity>, String>,
    ) {
        let (identity, skip_reason) = match identity {
            Ok(identity) => (identity, None),
            Err(reason) => (None, Some(reason)),
        };
        let location = Location::File(DatabaseFile { identity, ..file });
        let target = TargetDatabase { scope: Scope::User, name: user, location, skip_reason };
        self.found.push(FoundFile { target, identity });
    }

    /// The path of a name in the directory that is open, relative to the users directory.
    pub(super) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.names.iter().map(OsString::as_os_str).chain(once(name)).collect()
    }
}

fn path_bytes(file: &FoundFile) -> &[u8] {
    let path = file.target.location.file_path();
    path.map(|path| path.as_os_str().as_encoded_bytes()).unwrap_or_default()
}

pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a file is tatmig's own: the temporary directory of a restore.
pub(crate) fn is_tatmig_file(file: &OsStr) -> bool {
    file.as_encoded_bytes().starts_with(b".tatmig-")
}

/// Whether a file is the side file of another file in its directory.
pub(crate) fn is_side_file(directory: &OpenDirectory, name: &OsStr) -> bool {
    database_of_side_file(name).is_some_and(|database| {
        !database.is_empty() && directory.status(&os_string_from_bytes(database)).is_ok()
    })
}
