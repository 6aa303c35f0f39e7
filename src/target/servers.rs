//! Where a fleet on libSQL servers is kept: which servers, what the namespaces are called, where
//! the names of the users come from, and which server each user's is on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::database::ReadDatabase;
use crate::database::connection::ConnectOptions;
use crate::database::error::DatabaseError;
use crate::document::tag::Scope;
use crate::libsql::namespace::{Namespace, ServerHandle};
use crate::sqld::error::ServerError;
use crate::sqld::namespace_name;
use crate::sqld::namespace_name::{NamespaceNameError, validate};
use crate::sqld::server::Server;
use crate::target::pattern::PathTemplate;
use crate::target::shard::shard_index;
use crate::target::{Location, TargetDatabase};
use crate::text::escape_for_display;

/// Where the names of the users come from: a server lists no namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSource {
    /// A query on the system namespace, one name a row.
    Query(String),
    /// A file, one name a line.
    File(PathBuf),
}

/// The query that is asked where no other is given.
pub const DEFAULT_USERS_QUERY: &str = "SELECT username FROM users";

/// A text that says neither a query nor a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no source of users: write `query:SELECT …` or `file:PATH`")]
pub struct UserSourceError(String);

impl FromStr for UserSource {
    type Err = UserSourceError;

    fn from_str(text: &str) -> Result<Self, UserSourceError> {
        let trimmed = text.trim();
        if let Some(path) = trimmed.strip_prefix("file:") {
            return Ok(Self::File(PathBuf::from(path)));
        }
        let query = trimmed.strip_prefix("query:").unwrap_or(trimmed).trim();
        let first_word = query.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if first_word == "SELECT" || first_word == "WITH" {
            return Ok(Self::Query(query.to_owned()));
        }
        Err(UserSourceError(text.to_owned()))
    }
}

/// How users are spread over several servers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// By a hash of their names, the same on every machine.
    Hash,
    /// By a file that names each user and the address of the server, one a line.
    File(PathBuf),
}

/// A fleet on servers that cannot be made out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerSetError {
    /// A name that no namespace may have.
    #[error("the system namespace: {0}")]
    InvalidSystemName(#[source] NamespaceNameError),
    /// There is no system namespace.
    #[error(
        "there is no system namespace `{name}` on {url}; `tatmig init` makes one, `--system-namespace` names another"
    )]
    NoSystemNamespace {
        /// Its name.
        name: String,
        /// The server.
        url: String,
    },
    /// A server that cannot be used at all.
    #[error("{}{source}", url_prefix(.url, .source))]
    Unusable {
        /// The server.
        url: String,
        /// Why.
        source: DatabaseError,
    },
    /// The query for the users failed.
    #[error(
        "the users cannot be listed by `{query}` in the namespace `{system_namespace}`: {reason}; `--users-from` names another query, or a file"
    )]
    UsersQueryFailed {
        /// The query.
        query: String,
        /// The system namespace.
        system_namespace: String,
        /// Why.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("the file `{}` cannot be read: {source}", .path.display())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the file that spreads users.
    #[error("`{}`, line {line}: {reason}", .path.display())]
    InvalidLine {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody was listed.
    #[error(
        "{user_source} names no user, and a list that is empty by mistake must not pass for a fleet that is done; `--users-from` names another query, or a file"
    )]
    NoUsers {
        /// What was asked.
        user_source: String,
    },
    /// Users that have no namespace.
    #[error("there is no namespace for {}: {}; `tatmig init --user NAME` makes one", user_list(.0), .0.iter().map(|(_, name)| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    UnknownUsers(
        /// Each with the name that was looked for.
        Vec<(String, String)>,
    ),
    /// A user whose namespace may not be.
    #[error(transparent)]
    InvalidName(#[from] NamespaceNameError),
}

/// The server, where the error does not name it.
fn url_prefix(url: &str, error: &DatabaseError) -> String {
    if error.to_string().contains(url) { String::new() } else { format!("{url}: ") }
}

fn user_list(missing: &[(String, String)]) -> String {
    let noun = if missing.len() == 1 { "user" } else { "users" };
    let names: Vec<String> = missing.iter().map(|(user, _)| format!("`{user}`")).collect();
    format!("{noun} {}", names.join(", "))
}

/// A fleet on servers.
#[derive(Clone, Debug)]
pub struct ServerSet {
    handles: Vec<Arc<ServerHandle>>,
    template: PathTemplate,
    system_namespace: String,
    user_source: UserSource,
    /// Which server a user is on, where a file says so.
    placements: Option<HashMap<String, usize>>,
    options: ConnectOptions,
}

impl ServerSet {
    /// Puts it together. The system namespace is on the first server.
    ///
    /// # Errors
    ///
    /// A system namespace whose name is not safe, and a file that does not spread users.
    pub fn new(
        servers: Vec<Server>,
        (template, system_namespace): (PathTemplate, String),
        (user_source, placement): (UserSource, &Placement),
        options: ConnectOptions,
    ) -> Result<Self, ServerSetError> {
        namespace_name::validate(&system_namespace).map_err(ServerSetError::InvalidSystemName)?;
        let handles: Vec<Arc<ServerHandle>> =
            servers.into_iter().map(|server| Arc::new(ServerHandle::new(server))).collect();
        let placements = match placement {
            Placement::Hash => None,
            Placement::File(path) => Some(read_placements(path, &handles)?),
        };
        Ok(Self { handles, template, system_namespace, user_source, placements, options })
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.handles.iter().map(|handle| handle.server())
    }

    /// The server at an address, if it is one of these.
    pub(crate) fn handle_by_url(&self, url: &str) -> Option<&Arc<ServerHandle>> {
        self.handles.iter().find(|handle| handle.server().url() == url)
    }

    /// Whether every server's admin address is known.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        self.servers().all(Server::has_admin)
    }

    /// The system database, whether it is there or not.
    #[must_use]
    pub fn system_database(&self) -> TargetDatabase {
        let location = Location::Namespace(self.handles[0].clone(), self.system_namespace.clone());
        TargetDatabase { scope: Scope::System, name: "system".into(), location, skip_reason: None }
    }

    /// A user's database, whether it is there or not.
    ///
    /// # Errors
    ///
    /// A name that no namespace may have.
    pub fn user_database(&self, user: &OsStr) -> Result<TargetDatabase, NamespaceNameError> {
        let name = namespace_for_user(&self.template, user)?;
        let mut skip_reason = None;
        if name.eq_ignore_ascii_case(&self.system_namespace) {
            skip_reason =
                Some(format!("its namespace would be the system's, `{}`", self.system_namespace));
        }
        let server_index = match (&self.placements, NonZeroUsize::new(self.handles.len())) {
            (Some(placements), _) => {
                let placed_on = user.to_str().and_then(|user| placements.get(user)).copied();
                if placed_on.is_none() {
                    skip_reason = Some("the file that spreads users does not name it".to_owned());
                }
                placed_on.unwrap_or(0)
            }
            (None, Some(count)) => shard_index(user, count),
            (None, None) => 0,
        };
        let location = Location::Namespace(self.handles[server_index].clone(), name);
        Ok(TargetDatabase { scope: Scope::User, name: user.to_owned(), location, skip_reason })
    }

    /// Makes sure that the system namespace is there.
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

    fn unusable_error(handle: &ServerHandle, source: DatabaseError) -> ServerSetError {
        ServerSetError::Unusable { url: handle.server().url().to_owned(), source }
    }

    /// Reads from a namespace, to see that it is there.
    fn check_exists(&self, handle: &Arc<ServerHandle>, name: &str) -> Result<(), DatabaseError> {
        match Namespace::new(handle, name, &self.options).history_state() {
            // A damaged or foreign one is there all the same.
            Err(DatabaseError::InvalidHistoryTable { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// The users of all names, in their order; those that may not be opened say why.
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

    fn user_databases(&self, names: &BTreeSet<String>) -> Vec<TargetDatabase> {
        let user_target = |name: &String| {
            let user = OsStr::new(name);
            self.user_database(user).unwrap_or_else(|error| TargetDatabase {
                scope: Scope::User,
                name: user.to_owned(),
                location: Location::Namespace(self.handles[0].clone(), escape_for_display(user)),
                skip_reason: Some(error.to_string()),
            })
        };
        let mut targets: Vec<TargetDatabase> = names.iter().map(user_target).collect();
        reject_case_conflicts(&mut targets, names);
        targets
    }

    /// Refuses those of the users named whose names differ from another's by case alone: from one
    /// another's, and from all others' as far as they can be listed.
    pub fn reject_case_conflicts(&self, targets: &mut [TargetDatabase]) {
        let mut names = self.user_names().unwrap_or_default();
        let users = targets.iter().filter(|target| target.scope == Scope::User);
        names.extend(users.filter_map(|user| user.name.to_str()).map(str::to_owned));
        reject_case_conflicts(targets, &names);
    }

    /// The users named, each of which must have its namespace.
    pub(crate) fn named_users(
        &self,
        users: &[OsString],
    ) -> Result<Vec<TargetDatabase>, ServerSetError> {
        let mut targets = Vec::new();
        let mut missing = Vec::new();
        for user in users.iter().collect::<BTreeSet<_>>() {
            let target = self.user_database(user)?;
            let Location::Namespace(handle, name) = &target.location else { continue };
            match self.check_exists(handle, name) {
                Ok(()) => targets.push(target),
                Err(DatabaseError::Server(ServerError::NoNamespace { name })) => {
                    missing.push((escape_for_display(user), name));
                }
                Err(source) => return Err(Self::unusable_error(handle, source)),
            }
        }
        self.reject_case_conflicts(&mut targets);
        if missing.is_empty() { Ok(targets) } else { Err(ServerSetError::UnknownUsers(missing)) }
    }

    fn user_names(&self) -> Result<BTreeSet<String>, ServerSetError> {
        match &self.user_source {
            UserSource::File(path) => {
                let text = read_file(path)?;
                Ok(numbered_lines(&text).map(|(_, line)| line.to_owned()).collect())
            }
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

/// Refuses users whose names differ from another's by case alone.
fn reject_case_conflicts(targets: &mut [TargetDatabase], names: &BTreeSet<String>) {
    let mut names_by_lowercase: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in names {
        names_by_lowercase.entry(name.to_lowercase()).or_default().push(name);
    }
    let users = targets.iter_mut().filter(|target| target.scope == Scope::User);
    for target in users.filter(|target| target.skip_reason.is_none()) {
        let conflicting_names =
            target.name.to_str().and_then(|name| names_by_lowercase.get(&name.to_lowercase()));
        if let Some(twins) =
            conflicting_names.filter(|conflicting_names| conflicting_names.len() > 1)
        {
            let twins: Vec<String> =
                twins.iter().map(|conflicting_name| format!("`{conflicting_name}`")).collect();
            target.skip_reason = Some(format!(
                "the names {} differ by the case of letters alone, which not every file system under a server keeps apart",
                twins.join(" and ")
            ));
        }
    }
}

/// A text file's lines, numbered from 1, without blanks around them and without empty ones.
fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty())
}

fn read_file(path: &Path) -> Result<String, ServerSetError> {
    std::fs::read_to_string(path)
        .map_err(|source| ServerSetError::UnreadableFile { path: path.to_owned(), source })
}

fn read_placements(
    path: &Path,
    handles: &[Arc<ServerHandle>],
) -> Result<HashMap<String, usize>, ServerSetError> {
    let text = read_file(path)?;
    let mut placements = HashMap::new();
    for (line, text) in numbered_lines(&text) {
        let invalid_line = |what: String| ServerSetError::InvalidLine {
            path: path.to_owned(),
            line,
            reason: what,
        };
        let (user, url) = text.split_once(char::is_whitespace).ok_or_else(|| {
            invalid_line(
                "a line names a user, and behind a blank the address of a server".to_owned(),
            )
        })?;
        let url = url.trim().trim_end_matches('/');
        let server_index =
            handles.iter().position(|handle| handle.server().url() == url).ok_or_else(|| {
                invalid_line(format!(
                    "`{url}` is none of the servers; `--server` names each of them"
                ))
            })?;
        if placements.insert(user.to_owned(), server_index).is_some() {
            return Err(invalid_line(format!("the user `{user}` stands there a second time")));
        }
    }
    Ok(placements)
}

/// The namespace of a user.
pub(crate) fn namespace_for_user(
    template: &PathTemplate,
    user: &OsStr,
) -> Result<String, NamespaceNameError> {
    let invalid_name = || NamespaceNameError::Invalid(escape_for_display(user));
    // The pattern's own check is about files, and refuses nothing that is allowed here.
    let name = template.file_name(user).map_err(|_| invalid_name())?;
    let name = name.into_string().map_err(|_| invalid_name())?;
    validate(&name).map(|()| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_source_is_a_query_or_a_file() {
        let parse = |text: &str| text.parse::<UserSource>();
        assert_eq!(parse("file:a b.txt"), Ok(UserSource::File("a b.txt".into())));
        assert_eq!(parse("query: SELECT 1"), Ok(UserSource::Query("SELECT 1".into())));
        assert_eq!(parse("select name from u"), Ok(UserSource::Query("select name from u".into())));
        assert!(parse("users.txt").is_err());
        assert!(parse("DELETE FROM users").is_err());
    }

    #[test]
    fn a_user_namespace_is_named_by_the_template() {
        let template: PathTemplate = "{username}_longterm".parse().unwrap();
        assert_eq!(namespace_for_user(&template, OsStr::new("ann")).unwrap(), "ann_longterm");
        assert!(namespace_for_user(&template, OsStr::new("..")).is_err());
        assert!(namespace_for_user(&template, OsStr::new("a/b")).is_err());
        assert!(namespace_for_user(&template, OsStr::new("")).is_err());
    }
}
