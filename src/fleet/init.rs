//! Plans and creates the databases that `tatmig init` is asked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::database::connection::ConnectOptions;
use crate::database::policy::JournalMode;
use crate::document::changelog::Changelog;
use crate::document::tag::Scope;
use crate::fleet::error::FleetError;
use crate::fleet::pool::run_caught;
use crate::fleet::selection::{Selection, UserSelection};
use crate::migrate::create::CreateOutcome;
use crate::migrate::error::{Error, ErrorKind};
use crate::migrate::migrator::Migrator;
use crate::plan::outcome::Outcome;
use crate::target::TargetDatabase;
use crate::target::layout::FleetConfig;
use crate::target::pattern::PathTemplateError;
use crate::text::escape_for_display;

/// Which databases are to be created.
#[derive(Clone, Copy, Debug)]
pub struct InitRequest<'r> {
    /// Where the fleet is.
    pub config: &'r FleetConfig,
    /// The databases that are created; users are selected by name.
    pub selection: &'r Selection,
    /// The journal mode, if one was requested explicitly.
    pub journal_mode: Option<JournalMode>,
}

/// Databases that cannot be created. None was created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The document has no block for what was selected by name.
    #[error(transparent)]
    NoBlocks(#[from] FleetError),
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
    /// The directory of a database is missing.
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
            InitError::NoBlocks(error) => return error.into(),
            InitError::UsersNotNamed
            | InitError::IsSystemDatabase { .. }
            | InitError::InvalidName(_) => ErrorKind::Argument,
            InitError::NoDirectory { .. } => ErrorKind::Missing,
            #[cfg(feature = "server")]
            InitError::Server(error) => return error.into(),
            #[cfg(feature = "server")]
            InitError::JournalModeOnServer => ErrorKind::Argument,
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
        for user in users {
            let database = config.user_database(user)?;
            let path = database.location.file_path();
            if path.is_some_and(|path| is_same_path(path, &config.system_db)) {
                return Err(InitError::IsSystemDatabase { user: escape_for_display(user) });
            }
            databases.push(database);
        }
        databases.iter().try_for_each(require_directory)?;
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

    /// Creates the databases and migrates them to the migrator's target. Returns their outcomes in
    /// the order of the databases. A failed system database ends the run, since users depend on it;
    /// the databases after it then have no outcome.
    #[must_use]
    pub fn run(&self, migrator: &Migrator<'_, '_>, options: &ConnectOptions) -> Vec<CreateOutcome> {
        let mut outcomes = Vec::with_capacity(self.databases.len());
        for database in &self.databases {
            let outcome = run_caught(|| migrator.create_database(database, options));
            let has_failed = matches!(outcome, CreateOutcome::Attempted(Outcome::Failed { .. }));
            outcomes.push(outcome);
            if has_failed && database.scope == Scope::System {
                break;
            }
        }
        outcomes
    }
}

fn require_directory(database: &TargetDatabase) -> Result<(), InitError> {
    let parent = database.location.file_path().and_then(Path::parent);
    match parent.filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir()) {
        None => Ok(()),
        Some(directory) => Err(InitError::NoDirectory {
            directory: directory.to_owned(),
            location: database.location.display(),
        }),
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
