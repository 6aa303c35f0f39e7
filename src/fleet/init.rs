//! Plans and creates the databases that `tatmig init` is asked for.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};

use crate::database::connection::ConnectOptions;
use crate::database::policy::JournalMode;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::fleet::directory::DirectoryScan;
use crate::fleet::error::FleetError;
use crate::fleet::pool::run_caught;
use crate::fleet::selection::{Selection, UserSelection};
use crate::migrate::create::CreateOutcome;
use crate::migrate::error::{Error, ErrorKind};
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::Outcome;
use crate::sqlite::database_file::DatabaseFile;
use crate::sqlite::new_directories::DividedPath;
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;
use crate::target::pattern::MAX_FILE_NAME;
use crate::target::pattern_error::PathTemplateError;
use crate::text::escape_for_display;

/// The longest path that SQLite opens on Unix, in bytes.
const MAX_SQLITE_PATH: usize = 512;

/// Which databases are to be created.
#[derive(Clone, Copy, Debug)]
pub struct InitRequest<'r> {
    /// Where the fleet is.
    pub config: &'r FleetConfig,
    /// The databases that are created; users are selected by name.
    pub selection: &'r Selection,
    /// The path of the only user's database, relative to the users directory, for a path template
    /// with `*`.
    pub path: Option<&'r Path>,
    /// The journal mode, if one was requested explicitly.
    pub journal_mode: Option<JournalMode>,
}

/// Databases that cannot be created. None was created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The document has no block for what was selected by name, or the user databases cannot be
    /// listed.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// All users were selected: those that exist need not be created, and no others are known.
    #[error(
        "`init` creates the databases of users that are named; replace `--all-users` with `--user NAME`"
    )]
    UsersNotNamed,
    /// A user's file would be the system database.
    #[error("the database of user `{user}` would be the file of the system database")]
    IsSystemDatabase {
        /// The user, escaped for display.
        user: String,
    },
    /// A user's file would be in the backups directory, where no user database is looked for.
    #[error(
        "the database of user `{user}` would be in the backups directory, where no database of a user is looked for; choose another directory with --backups-dir"
    )]
    InBackupsDir {
        /// The user, escaped for display.
        user: String,
    },
    /// A path was given, and not exactly one user.
    #[error("`--path` is the path of one user's database; pass exactly one `--user NAME` with it")]
    PathWithoutUser,
    /// A path was given for a namespace.
    #[cfg(feature = "server")]
    #[error("`--path` is for files only: a namespace has no path")]
    PathOnServer,
    /// The user has a database at another path.
    #[error("user `{user}` has a database at another path: `{path}`")]
    UserExists {
        /// The user, escaped for display.
        user: String,
        /// The path of the existing database, escaped for display.
        path: String,
    },
    /// The file name leaves no room for the name of SQLite's journal.
    #[error(
        "the user name `{user}` is too long: the journal of its database would have a file name of {length} bytes, and a file name has at most {MAX_FILE_NAME}"
    )]
    NoRoomForJournal {
        /// The user, escaped for display.
        user: String,
        /// The length of the journal's file name, in bytes.
        length: usize,
    },
    /// SQLite opens no path of this length.
    #[error(
        "the user name `{user}` is too long: the absolute path of its database would have {length} bytes, and SQLite opens paths of at most {MAX_SQLITE_PATH}"
    )]
    PathTooLong {
        /// The user, escaped for display.
        user: String,
        /// The length of the absolute path, in bytes.
        length: usize,
    },
    /// Something else has the name of a directory on the path of a database.
    #[error("cannot create `{location}`: `{}` {reason}", escape_for_display(.path.as_os_str()))]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
        /// What it is, and what to do about it.
        reason: &'static str,
        /// Where the database would be.
        location: String,
    },
    /// The directory of a database is missing, and its path has `..` after the part that exists.
    #[error("cannot create `{location}`: the directory `{}` does not exist; create it first", escape_for_display(.directory.as_os_str()))]
    NoDirectory {
        /// The missing directory.
        directory: PathBuf,
        /// Where the database would be.
        location: String,
    },
    /// A user's name that no file or namespace can have.
    #[error(transparent)]
    InvalidName(#[from] PathTemplateError),
    /// The server cannot create namespaces without its admin URL.
    #[cfg(feature = "server")]
    #[error(transparent)]
    Server(#[from] crate::sqld::error::ServerError),
    /// A journal mode was requested for namespaces.
    #[cfg(feature = "server")]
    #[error(
        "`--journal-mode` is for files only: the server chooses the journal mode of a namespace"
    )]
    JournalModeOnServer,
}

impl From<InitError> for Error {
    fn from(error: InitError) -> Self {
        let kind = match error {
            InitError::UsersNotNamed
            | InitError::IsSystemDatabase { .. }
            | InitError::InBackupsDir { .. }
            | InitError::PathWithoutUser
            | InitError::UserExists { .. }
            | InitError::NoRoomForJournal { .. }
            | InitError::PathTooLong { .. }
            | InitError::InvalidName(_) => ErrorKind::Argument,
            InitError::Fleet(error) => return error.into(),
            InitError::NoDirectory { .. } | InitError::InTheWay { .. } => ErrorKind::Missing,
            #[cfg(feature = "server")]
            InitError::Server(error) => return error.into(),
            #[cfg(feature = "server")]
            InitError::JournalModeOnServer | InitError::PathOnServer => ErrorKind::Argument,
        };
        Self::new(kind, error)
    }
}

/// The databases that are to be created.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InitPlan {
    /// The system database first, if the document has blocks for it.
    pub databases: Vec<TargetDatabase>,
}

impl InitPlan {
    /// Determines the databases for which a document has blocks.
    ///
    /// # Errors
    ///
    /// A name, directory or option that makes it impossible to create one of them.
    pub fn new(changelog: &Changelog<'_>, request: &InitRequest<'_>) -> Result<Self, InitError> {
        let config = request.config;
        let selection = request.selection.within(|scope| changelog.has_scope(scope))?;
        let users: &[OsString] = match &selection.users {
            UserSelection::Named(names) => names,
            UserSelection::All => return Err(InitError::UsersNotNamed),
            UserSelection::Counted | UserSelection::Excluded => &[],
        };
        let mut databases: Vec<TargetDatabase> = Vec::new();
        databases.extend(selection.includes_system().then(|| config.system_database()));
        if request.path.is_some() && users.len() != 1 {
            return Err(InitError::PathWithoutUser);
        }
        for user in users {
            let database = match request.path {
                #[cfg(feature = "server")]
                Some(_) if config.server_set.is_some() => return Err(InitError::PathOnServer),
                Some(path) => config.user_database_at(user, path)?,
                None => config.user_database(user)?,
            };
            if let Some(file) = database.location.file() {
                check_file(file, user, config)?;
            }
            databases.push(database);
        }
        databases.iter().try_for_each(require_directory)?;
        if config.path_template.has_wildcard() {
            require_new_users(config, &databases)?;
        }
        #[cfg(feature = "server")]
        if let Some(server_set) = &config.server_set {
            if !server_set.has_admin() {
                return Err(crate::sqld::error::ServerError::NoAdminUrl.into());
            }
            if request.journal_mode.is_some() {
                return Err(InitError::JournalModeOnServer);
            }
            server_set.skip_case_conflicts(&mut databases);
        }
        Ok(Self { databases })
    }

    /// Creates the databases and migrates them to the migrator's target. `on_done` is called after
    /// each database. Returns their outcomes in the order of the databases. A failed system database
    /// ends the run, since users depend on it; the databases after it then have no outcome.
    pub fn run(
        &self,
        migrator: &Migrator<'_, '_>,
        options: &ConnectOptions,
        on_done: &mut dyn FnMut(&TargetDatabase, &CreateOutcome),
    ) -> Vec<CreateOutcome> {
        let mut outcomes = Vec::with_capacity(self.databases.len());
        for database in &self.databases {
            let outcome = run_caught(|| migrator.create_database(database, options));
            on_done(database, &outcome);
            let has_failed = matches!(outcome, CreateOutcome::Attempted(Outcome::Failed { .. }));
            outcomes.push(outcome);
            if has_failed && database.scope == Scope::System {
                break;
            }
        }
        outcomes
    }
}

/// Checks that a file can be a user's database.
fn check_file(file: &DatabaseFile, user: &OsStr, config: &FleetConfig) -> Result<(), InitError> {
    if is_same_path(&file.path, &config.system_db) {
        return Err(InitError::IsSystemDatabase { user: escape_for_display(user) });
    }
    let directories = file.path.ancestors().skip(1);
    let below_users_dir = directories.take(file.relative_path().components().count() - 1);
    let backups_dir = config.backups_dir.as_ref();
    if backups_dir
        .is_some_and(|backups| below_users_dir.into_iter().any(|dir| is_same_path(dir, backups)))
    {
        return Err(InitError::InBackupsDir { user: escape_for_display(user) });
    }
    let length = file.file_name().len() + "-journal".len();
    if length > MAX_FILE_NAME {
        return Err(InitError::NoRoomForJournal { user: escape_for_display(user), length });
    }
    let length = std::path::absolute(&file.path).map_or(0, |path| path.as_os_str().len());
    if length > MAX_SQLITE_PATH {
        return Err(InitError::PathTooLong { user: escape_for_display(user), length });
    }
    Ok(())
}

/// Checks that no user has a database at another path, which a template with `*` allows.
fn require_new_users(config: &FleetConfig, databases: &[TargetDatabase]) -> Result<(), InitError> {
    let users = databases.iter().filter(|database| database.scope == Scope::User);
    let users: Vec<&TargetDatabase> = users.collect();
    if users.is_empty() || !config.users_dir.exists() {
        return Ok(());
    }
    for existing in &DirectoryScan::read(config)?.targets {
        let is_other = |user: &&&TargetDatabase| {
            user.name == existing.name && user.location.file_path() != existing.location.file_path()
        };
        if let (Some(user), Some(file)) = (users.iter().find(is_other), existing.location.file()) {
            return Err(InitError::UserExists {
                user: user.display_name(),
                path: escape_for_display(file.relative_path().as_os_str()),
            });
        }
    }
    Ok(())
}

/// Checks that the directory of the system database or of all users exists or can be created.
fn require_directory(database: &TargetDatabase) -> Result<(), InitError> {
    let Some(file) = database.location.file() else { return Ok(()) };
    let location = || database.location.display();
    let DividedPath { existing, missing } = DividedPath::new(file.base());
    let reason = match std::fs::metadata(existing) {
        Ok(metadata) if metadata.is_dir() => None,
        Ok(_) => Some("is not a directory; move it away, or name another directory"),
        Err(error) if error.kind() == IoErrorKind::NotFound => {
            Some("is a symbolic link to nothing; remove it, or create what it points to")
        }
        Err(_) => None,
    };
    match (reason, missing) {
        (Some(reason), _) => {
            Err(InitError::InTheWay { path: existing.to_owned(), reason, location: location() })
        }
        (None, None) => {
            Err(InitError::NoDirectory { directory: file.base().to_owned(), location: location() })
        }
        (None, Some(_)) => Ok(()),
    }
}

/// Whether two paths name the same file, which need not exist.
fn is_same_path(left: &Path, right: &Path) -> bool {
    let absolute = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        path.components().collect::<PathBuf>()
    };
    absolute(left) == absolute(right)
}
