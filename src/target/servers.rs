//! Maps users to namespaces of one or more libSQL servers: what the namespaces are called, and
//! which server each one is on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::document::tag::Scope;
use crate::libsql::namespace::{Namespace, ServerHandle};
use crate::sqld::error::ServerError;
use crate::sqld::namespace_name::{NamespaceNameError, validate};
use crate::sqld::server::Server;
use crate::target::pattern::PathTemplate;
use crate::target::server_error::{MissingNamespace, ServerSetError};
use crate::target::shard::shard_index;
use crate::target::user_files::{read_placements, read_user_names};
use crate::target::user_source::UserSource;
use crate::target::{Location, TargetDatabase};
use crate::text::escape_for_display;

/// How users are assigned to servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// By a hash of the user's name, the same on every machine.
    Hash,
    /// By a file with one `NAME URL` per line.
    File(PathBuf),
}

/// The configuration of a fleet on servers.
#[derive(Debug)]
pub struct ServerSetConfig {
    /// The servers, at least one. The system namespace is on the first one.
    pub servers: Vec<Server>,
    /// How the namespaces of users are named.
    pub namespace_template: PathTemplate,
    /// The name of the system namespace.
    pub system_namespace: String,
    /// Where the names of users come from.
    pub user_source: UserSource,
    /// How users are assigned to servers.
    pub placement: Placement,
    /// The busy timeout and the cancellation flag.
    pub options: ConnectOptions,
}

/// A fleet on servers.
#[derive(Clone, Debug)]
pub struct ServerSet {
    /// The servers, at least one. The system namespace is on the first one.
    handles: Vec<Arc<ServerHandle>>,
    template: PathTemplate,
    system_namespace: String,
    user_source: UserSource,
    /// The index of each user's server, if a file assigns users to servers.
    placements: Option<HashMap<String, usize>>,
    options: ConnectOptions,
}

impl ServerSet {
    /// Checks the name of the system namespace.
    ///
    /// # Errors
    ///
    /// A name that no namespace can have.
    pub fn check_system_namespace(name: &str) -> Result<(), ServerSetError> {
        validate(name).map_err(ServerSetError::InvalidSystemName)
    }

    /// Checks the configuration.
    ///
    /// # Errors
    ///
    /// An empty list of servers, an invalid name of the system namespace, and a file of placements
    /// that cannot be used.
    pub fn new(config: ServerSetConfig) -> Result<Self, ServerSetError> {
        if config.servers.is_empty() {
            return Err(ServerSetError::NoServers);
        }
        let ServerSetConfig { system_namespace, user_source, options, .. } = config;
        Self::check_system_namespace(&system_namespace)?;
        let servers = config.servers.into_iter();
        let handles: Vec<Arc<ServerHandle>> =
            servers.map(|server| Arc::new(ServerHandle::new(server))).collect();
        let placements = match config.placement {
            Placement::Hash => None,
            Placement::File(path) => Some(read_placements(&path, &handles)?),
        };
        let template = config.namespace_template;
        Ok(Self { handles, template, system_namespace, user_source, placements, options })
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.handles.iter().map(|handle| handle.server())
    }

    /// The server with a URL, if it is one of these.
    pub(crate) fn handle_by_url(&self, url: &str) -> Option<&Arc<ServerHandle>> {
        self.handles.iter().find(|handle| handle.server().url() == url)
    }

    /// Whether the admin URL of every server is known.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        self.servers().all(Server::has_admin)
    }

    /// The system database, which need not exist.
    #[must_use]
    pub fn system_database(&self) -> TargetDatabase {
        let location = Location::Namespace(self.handles[0].clone(), self.system_namespace.clone());
        TargetDatabase { scope: Scope::System, name: "system".into(), location, skip_reason: None }
    }

    /// A user's database, which need not exist. Its `skip_reason` is set if the namespace would be
    /// the system namespace, or if the file of placements does not list the user.
    ///
    /// # Errors
    ///
    /// A name that no namespace can have.
    pub fn user_database(&self, user: &OsStr) -> Result<TargetDatabase, NamespaceNameError> {
        let name = namespace_for_user(&self.template, user)?;
        let mut skip_reason = None;
        if name.eq_ignore_ascii_case(&self.system_namespace) {
            skip_reason = Some(format!(
                "its namespace would be the system namespace `{}`",
                self.system_namespace
            ));
        }
        let server_index = self.server_index(user);
        if server_index.is_none() {
            skip_reason = Some("the file of `--users-on` does not list this user".to_owned());
        }
        // The database of a user without a server is skipped; its location is only shown.
        let server_index = server_index.unwrap_or(0);
        let location = Location::Namespace(self.handles[server_index].clone(), name);
        Ok(TargetDatabase { scope: Scope::User, name: user.to_owned(), location, skip_reason })
    }

    /// The index of a user's server; `None` if the file of placements does not list the user.
    fn server_index(&self, user: &OsStr) -> Option<usize> {
        match &self.placements {
            Some(placements) => placements.get(user.to_str()?).copied(),
            None => Some(shard_index(user, NonZeroUsize::new(self.handles.len())?)),
        }
    }

    /// The system database, which must exist.
    pub(crate) fn require_system(&self) -> Result<TargetDatabase, ServerSetError> {
        let target = self.system_database();
        let handle = &self.handles[0];
        match self.check_exists(handle, &self.system_namespace) {
            Ok(()) => Ok(target),
            Err(DatabaseError::Server(ServerError::NoNamespace { name })) => {
                Err(ServerSetError::NoSystemNamespace {
                    name,
                    url: handle.server().url().to_owned(),
                })
            }
            Err(source) => Err(Self::unusable_error(handle, source)),
        }
    }

    /// The error for a server that could not be asked whether a namespace exists.
    fn unusable_error(handle: &ServerHandle, source: DatabaseError) -> ServerSetError {
        ServerSetError::Unusable { url: handle.server().url().to_owned(), source }
    }

    /// Reads from a namespace, to check that it exists.
    fn check_exists(&self, handle: &Arc<ServerHandle>, name: &str) -> Result<(), DatabaseError> {
        match Namespace::new(handle, name, &self.options).history_state() {
            // The namespace exists: another program's table has the name of the history table, or
            // the table is damaged. The run reports that per database.
            Err(DatabaseError::InvalidHistoryTable { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// The databases of all users, in the order of their names.
    ///
    /// # Errors
    ///
    /// A source of names that cannot be read or is empty.
    pub(crate) fn all_users(&self) -> Result<Vec<TargetDatabase>, ServerSetError> {
        let names = self.user_names()?;
        if names.is_empty() {
            let source_name = match &self.user_source {
                UserSource::Query(query) => format!("`{query}`"),
                UserSource::File(path) => format!("the file `{}`", path.display()),
            };
            return Err(ServerSetError::NoUsers { user_source: source_name });
        }
        Ok(self.user_databases(&names))
    }

    /// The databases of users. A user whose name no namespace can have is skipped.
    fn user_databases(&self, names: &BTreeSet<String>) -> Vec<TargetDatabase> {
        let user_target = |name: &String| {
            let user = OsStr::new(name);
            self.user_database(user).unwrap_or_else(|error| TargetDatabase {
                scope: Scope::User,
                name: user.to_owned(),
                // The database has no location; messages show the user's name in its place.
                location: Location::Namespace(self.handles[0].clone(), escape_for_display(user)),
                skip_reason: Some(error.to_string()),
            })
        };
        let mut targets: Vec<TargetDatabase> = names.iter().map(user_target).collect();
        skip_case_conflicts(&mut targets, names);
        targets
    }

    /// Sets the skip reason of users whose names differ from another user's only by the case of
    /// letters. Compares the users with each other, and with all users if these can be listed.
    pub fn skip_case_conflicts(&self, targets: &mut [TargetDatabase]) {
        let mut names = self.user_names().unwrap_or_default();
        let users = targets.iter().filter(|target| target.scope == Scope::User);
        names.extend(users.filter_map(|user| user.name.to_str()).map(str::to_owned));
        skip_case_conflicts(targets, &names);
    }

    /// The databases of the named users.
    ///
    /// # Errors
    ///
    /// `UnknownUsers` for users that have no namespace, `UnplacedUser` for a user that the file of
    /// placements does not list, `Unusable` for a server that cannot be read, and the error of a
    /// name that no namespace can have.
    pub(crate) fn named_users(
        &self,
        users: &[OsString],
    ) -> Result<Vec<TargetDatabase>, ServerSetError> {
        let mut targets = Vec::new();
        let mut missing = Vec::new();
        for user in users.iter().collect::<BTreeSet<_>>() {
            if self.server_index(user).is_none() {
                return Err(ServerSetError::UnplacedUser { user: escape_for_display(user) });
            }
            let target = self.user_database(user)?;
            let Location::Namespace(handle, name) = &target.location else { continue };
            match self.check_exists(handle, name) {
                Ok(()) => targets.push(target),
                Err(DatabaseError::Server(ServerError::NoNamespace { name })) => {
                    missing
                        .push(MissingNamespace { user: escape_for_display(user), namespace: name });
                }
                Err(source) => return Err(Self::unusable_error(handle, source)),
            }
        }
        self.skip_case_conflicts(&mut targets);
        if missing.is_empty() { Ok(targets) } else { Err(ServerSetError::UnknownUsers(missing)) }
    }

    /// The names of all users, from the file or from the query on the system namespace.
    fn user_names(&self) -> Result<BTreeSet<String>, ServerSetError> {
        match &self.user_source {
            UserSource::File(path) => read_user_names(path),
            UserSource::Query(query) => {
                let namespace =
                    Namespace::new(&self.handles[0], &self.system_namespace, &self.options);
                let query_error = |reason: String| ServerSetError::UsersQueryFailed {
                    query: query.clone(),
                    system_namespace: self.system_namespace.clone(),
                    reason,
                };
                namespace.query_texts(query).map_err(|error| query_error(error.to_string()))
            }
        }
    }
}

/// Sets the skip reason of users whose names differ from one of `names` only by the case of letters.
fn skip_case_conflicts(targets: &mut [TargetDatabase], names: &BTreeSet<String>) {
    let mut names_by_lowercase: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in names {
        names_by_lowercase.entry(name.to_lowercase()).or_default().push(name);
    }
    let users = targets.iter_mut().filter(|target| target.scope == Scope::User);
    for target in users.filter(|target| target.skip_reason.is_none()) {
        let conflicting_names =
            target.name.to_str().and_then(|name| names_by_lowercase.get(&name.to_lowercase()));
        if let Some(names) = conflicting_names.filter(|names| names.len() > 1) {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            target.skip_reason = Some(format!(
                "the names {} differ only by case, and the server's file system may not distinguish them",
                names.join(" and ")
            ));
        }
    }
}

/// The name of a user's namespace.
fn namespace_for_user(template: &PathTemplate, user: &OsStr) -> Result<String, NamespaceNameError> {
    let invalid_name = || NamespaceNameError::Invalid(escape_for_display(user));
    // The template checks for a valid file name, which every valid namespace name is.
    let name = template.path(user).map_err(|_| invalid_name())?;
    let name = name.into_os_string().into_string().map_err(|_| invalid_name())?;
    validate(&name).map(|()| name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::database::connection::ConnectionSetup;
    use crate::target::user_source::DEFAULT_USERS_QUERY;

    #[test]
    fn a_user_namespace_is_named_by_the_template() {
        let template: PathTemplate = "{username}_longterm".parse().unwrap();
        assert_eq!(namespace_for_user(&template, OsStr::new("ann")).unwrap(), "ann_longterm");
        assert!(namespace_for_user(&template, OsStr::new("..")).is_err());
        assert!(namespace_for_user(&template, OsStr::new("a/b")).is_err());
        assert!(namespace_for_user(&template, OsStr::new("")).is_err());
    }

    #[test]
    fn an_empty_list_of_servers_is_an_error() {
        let config = ServerSetConfig {
            servers: Vec::new(),
            namespace_template: "{username}_longterm".parse().unwrap(),
            system_namespace: "system".to_owned(),
            user_source: UserSource::Query(DEFAULT_USERS_QUERY.to_owned()),
            placement: Placement::Hash,
            options: ConnectOptions {
                busy_timeout: Duration::ZERO,
                setup: ConnectionSetup::default(),
            },
        };
        assert!(matches!(ServerSet::new(config), Err(ServerSetError::NoServers)));
    }
}
