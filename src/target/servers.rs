//! Where a fleet on libSQL servers is kept: which servers, what the namespaces are called, where
//! the names of the users come from, and which server each user's is on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::database::Look;
use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::document::tag::Scope;
use crate::libsql::namespace::{Host, Namespace};
use crate::sqld::error::ServerError;
use crate::sqld::namespace_name;
use crate::sqld::namespace_name::{NameError, check};
use crate::sqld::server::Server;
use crate::target::pattern::Pattern;
use crate::target::shard::part_of;
use crate::target::{Home, Member};
use crate::text::shown;

/// Where the names of the users come from: a server lists no namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsersFrom {
    /// A query on the system namespace, one name a row.
    Query(String),
    /// A file, one name a line.
    File(PathBuf),
}

/// The query that is asked where no other is given.
pub const DEFAULT_USERS: &str = "SELECT username FROM users";

/// A text that says neither a query nor a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no source of users: write `query:SELECT …` or `file:PATH`")]
pub struct UsersFromError(String);

impl FromStr for UsersFrom {
    type Err = UsersFromError;

    fn from_str(text: &str) -> Result<Self, UsersFromError> {
        let bare = text.trim();
        if let Some(path) = bare.strip_prefix("file:") {
            return Ok(Self::File(PathBuf::from(path)));
        }
        let query = bare.strip_prefix("query:").unwrap_or(bare).trim();
        let first = query.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if first == "SELECT" || first == "WITH" {
            return Ok(Self::Query(query.to_owned()));
        }
        Err(UsersFromError(text.to_owned()))
    }
}

/// How users are spread over several servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spread {
    /// By a hash of their names, the same on every machine.
    Hash,
    /// By a file that names each user and the address of the server, one a line.
    Named(PathBuf),
}

/// A fleet on servers that cannot be made out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServersError {
    /// A name that no namespace may have.
    #[error("the system namespace: {0}")]
    System(#[source] NameError),
    /// There is no system namespace.
    #[error(
        "there is no system namespace `{name}` on {url}; `tatmig init` makes one, `--system-namespace` names another"
    )]
    NoSystem {
        /// Its name.
        name: String,
        /// The server.
        url: String,
    },
    /// A server that cannot be used at all.
    #[error("{}{source}", place(.url, .source))]
    Unusable {
        /// The server.
        url: String,
        /// Why.
        source: DatabaseError,
    },
    /// The query for the users failed.
    #[error(
        "the users cannot be listed by `{query}` in the namespace `{system}`: {reason}; `--users-from` names another query, or a file"
    )]
    Query {
        /// The query.
        query: String,
        /// The system namespace.
        system: String,
        /// Why.
        reason: String,
    },
    /// A file that cannot be read.
    #[error("the file `{}` cannot be read: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the file that spreads users.
    #[error("`{}`, line {line}: {what}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Nobody was listed.
    #[error(
        "{from} names no user, and a list that is empty by mistake must not pass for a fleet that is done; `--users-from` names another query, or a file"
    )]
    NoUsers {
        /// What was asked.
        from: String,
    },
    /// Users that have no namespace.
    #[error("there is no namespace for {}: {}; `tatmig init --user NAME` makes one", users(.0), .0.iter().map(|(_, name)| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    Unknown(
        /// Each with the name that was looked for.
        Vec<(String, String)>,
    ),
    /// A user whose namespace may not be.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// The server, where the error does not name it.
fn place(url: &str, error: &DatabaseError) -> String {
    if error.to_string().contains(url) { String::new() } else { format!("{url}: ") }
}

fn users(unknown: &[(String, String)]) -> String {
    let noun = if unknown.len() == 1 { "user" } else { "users" };
    let names: Vec<String> = unknown.iter().map(|(user, _)| format!("`{user}`")).collect();
    format!("{noun} {}", names.join(", "))
}

/// A fleet on servers.
#[derive(Clone, Debug)]
pub struct Servers {
    hosts: Vec<Arc<Host>>,
    pattern: Pattern,
    system: String,
    users_from: UsersFrom,
    /// Which server a user is on, where a file says so.
    named: Option<HashMap<String, usize>>,
    patience: Patience,
}

impl Servers {
    /// Puts it together. The system namespace is on the first server.
    ///
    /// # Errors
    ///
    /// A system namespace whose name is not safe, and a file that does not spread users.
    pub fn new(
        servers: Vec<Server>,
        (pattern, system): (Pattern, String),
        (users_from, spread): (UsersFrom, &Spread),
        patience: Patience,
    ) -> Result<Self, ServersError> {
        namespace_name::check(&system).map_err(ServersError::System)?;
        let hosts: Vec<Arc<Host>> =
            servers.into_iter().map(|server| Arc::new(Host::new(server))).collect();
        let named = match spread {
            Spread::Hash => None,
            Spread::Named(path) => Some(spread_by(path, &hosts)?),
        };
        Ok(Self { hosts, pattern, system, users_from, named, patience })
    }

    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.hosts.iter().map(|host| host.server())
    }

    /// The server at an address, if it is one of these.
    pub(crate) fn host(&self, url: &str) -> Option<&Arc<Host>> {
        self.hosts.iter().find(|host| host.server().url() == url)
    }

    /// Whether every server's admin address is known.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        self.servers().all(Server::has_admin)
    }

    /// The system database, whether it is there or not.
    #[must_use]
    pub fn system(&self) -> Member {
        let home = Home::Namespace(self.hosts[0].clone(), self.system.clone());
        Member { scope: Scope::System, name: "system".into(), home, refused: None }
    }

    /// A user's database, whether it is there or not.
    ///
    /// # Errors
    ///
    /// A name that no namespace may have.
    pub fn user(&self, user: &OsStr) -> Result<Member, NameError> {
        let name = of_user(&self.pattern, user)?;
        let mut refused = None;
        if name.eq_ignore_ascii_case(&self.system) {
            refused = Some(format!("its namespace would be the system's, `{}`", self.system));
        }
        let at = match (&self.named, NonZeroUsize::new(self.hosts.len())) {
            (Some(named), _) => {
                let found = user.to_str().and_then(|user| named.get(user)).copied();
                if found.is_none() {
                    refused = Some("the file that spreads users does not name it".to_owned());
                }
                found.unwrap_or(0)
            }
            (None, Some(count)) => part_of(user, count),
            (None, None) => 0,
        };
        let home = Home::Namespace(self.hosts[at].clone(), name);
        Ok(Member { scope: Scope::User, name: user.to_owned(), home, refused })
    }

    /// Makes sure that the system namespace is there.
    pub(crate) fn find_system(&self) -> Result<Member, ServersError> {
        let member = self.system();
        let host = &self.hosts[0];
        match self.look(host, &self.system) {
            Ok(()) => Ok(member),
            Err(DatabaseError::Server(ServerError::NoNamespace { name })) => {
                Err(ServersError::NoSystem { name, url: host.server().url().to_owned() })
            }
            Err(source) => Err(Self::unusable(host, source)),
        }
    }

    fn unusable(host: &Host, source: DatabaseError) -> ServersError {
        ServersError::Unusable { url: host.server().url().to_owned(), source }
    }

    /// Reads from a namespace, to see that it is there.
    fn look(&self, host: &Arc<Host>, name: &str) -> Result<(), DatabaseError> {
        match Namespace::new(host, name, &self.patience).state() {
            // A damaged or foreign one is there all the same.
            Err(DatabaseError::ForeignHistory { .. }) => Ok(()),
            result => result.map(drop),
        }
    }

    /// The users of all names, in their order; those that may not be opened say why.
    pub(crate) fn all(&self) -> Result<Vec<Member>, ServersError> {
        let names = self.names()?;
        if names.is_empty() {
            let from = match &self.users_from {
                UsersFrom::Query(query) => format!("`{query}`"),
                UsersFrom::File(path) => format!("the file `{}`", path.display()),
            };
            return Err(ServersError::NoUsers { from });
        }
        Ok(self.members(&names))
    }

    fn members(&self, names: &BTreeSet<String>) -> Vec<Member> {
        let member = |name: &String| {
            let user = OsStr::new(name);
            self.user(user).unwrap_or_else(|error| Member {
                scope: Scope::User,
                name: user.to_owned(),
                home: Home::Namespace(self.hosts[0].clone(), shown(user)),
                refused: Some(error.to_string()),
            })
        };
        let mut members: Vec<Member> = names.iter().map(member).collect();
        refuse_twins(&mut members, names);
        members
    }

    /// Refuses those of the users named whose names differ from another's by case alone: from one
    /// another's, and from all others' as far as they can be listed.
    pub fn refuse_twins(&self, members: &mut [Member]) {
        let mut names = self.names().unwrap_or_default();
        let users = members.iter().filter(|member| member.scope == Scope::User);
        names.extend(users.filter_map(|user| user.name.to_str()).map(str::to_owned));
        refuse_twins(members, &names);
    }

    /// The users named, each of which must have its namespace.
    pub(crate) fn named(&self, users: &[OsString]) -> Result<Vec<Member>, ServersError> {
        let mut members = Vec::new();
        let mut unknown = Vec::new();
        for user in users.iter().collect::<BTreeSet<_>>() {
            let member = self.user(user)?;
            let Home::Namespace(host, name) = &member.home else { continue };
            match self.look(host, name) {
                Ok(()) => members.push(member),
                Err(DatabaseError::Server(ServerError::NoNamespace { name })) => {
                    unknown.push((shown(user), name));
                }
                Err(source) => return Err(Self::unusable(host, source)),
            }
        }
        self.refuse_twins(&mut members);
        if unknown.is_empty() { Ok(members) } else { Err(ServersError::Unknown(unknown)) }
    }

    fn names(&self) -> Result<BTreeSet<String>, ServersError> {
        match &self.users_from {
            UsersFrom::File(path) => {
                let text = read(path)?;
                Ok(lines(&text).map(|(_, line)| line.to_owned()).collect())
            }
            UsersFrom::Query(query) => {
                let namespace = Namespace::new(&self.hosts[0], &self.system, &self.patience);
                let failed = |reason: String| ServersError::Query {
                    query: query.clone(),
                    system: self.system.clone(),
                    reason,
                };
                namespace.texts(query).map_err(|error| failed(error.to_string()))
            }
        }
    }
}

/// Refuses users whose names differ from another's by case alone.
fn refuse_twins(members: &mut [Member], names: &BTreeSet<String>) {
    let mut folded: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in names {
        folded.entry(name.to_lowercase()).or_default().push(name);
    }
    let users = members.iter_mut().filter(|member| member.scope == Scope::User);
    for member in users.filter(|member| member.refused.is_none()) {
        let twins = member.name.to_str().and_then(|name| folded.get(&name.to_lowercase()));
        if let Some(twins) = twins.filter(|twins| twins.len() > 1) {
            let twins: Vec<String> = twins.iter().map(|twin| format!("`{twin}`")).collect();
            member.refused = Some(format!(
                "the names {} differ by the case of letters alone, which not every file system under a server keeps apart",
                twins.join(" and ")
            ));
        }
    }
}

/// A text file's lines, numbered from 1, without blanks around them and without empty ones.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty())
}

fn read(path: &Path) -> Result<String, ServersError> {
    std::fs::read_to_string(path)
        .map_err(|source| ServersError::File { path: path.to_owned(), source })
}

fn spread_by(path: &Path, hosts: &[Arc<Host>]) -> Result<HashMap<String, usize>, ServersError> {
    let text = read(path)?;
    let mut named = HashMap::new();
    for (line, text) in lines(&text) {
        let wrong = |what: String| ServersError::Line { path: path.to_owned(), line, what };
        let (user, url) = text.split_once(char::is_whitespace).ok_or_else(|| {
            wrong("a line names a user, and behind a blank the address of a server".to_owned())
        })?;
        let url = url.trim().trim_end_matches('/');
        let at = hosts.iter().position(|host| host.server().url() == url).ok_or_else(|| {
            wrong(format!("`{url}` is none of the servers; `--server` names each of them"))
        })?;
        if named.insert(user.to_owned(), at).is_some() {
            return Err(wrong(format!("the user `{user}` stands there a second time")));
        }
    }
    Ok(named)
}

/// The namespace of a user.
pub(crate) fn of_user(pattern: &Pattern, user: &OsStr) -> Result<String, NameError> {
    let refused = || NameError::Unsafe(shown(user));
    // The pattern's own check is about files, and refuses nothing that is allowed here.
    let name = pattern.file_name(user).map_err(|_| refused())?;
    let name = name.into_string().map_err(|_| refused())?;
    check(&name).map(|()| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_users_is_a_query_or_a_file() {
        let parse = |text: &str| text.parse::<UsersFrom>();
        assert_eq!(parse("file:a b.txt"), Ok(UsersFrom::File("a b.txt".into())));
        assert_eq!(parse("query: SELECT 1"), Ok(UsersFrom::Query("SELECT 1".into())));
        assert_eq!(parse("select name from u"), Ok(UsersFrom::Query("select name from u".into())));
        assert!(parse("users.txt").is_err());
        assert!(parse("DELETE FROM users").is_err());
    }

    #[test]
    fn a_user_has_the_namespace_that_the_pattern_gives() {
        let pattern: Pattern = "{username}_longterm".parse().unwrap();
        assert_eq!(of_user(&pattern, OsStr::new("ann")).unwrap(), "ann_longterm");
        assert!(of_user(&pattern, OsStr::new("..")).is_err());
        assert!(of_user(&pattern, OsStr::new("a/b")).is_err());
        assert!(of_user(&pattern, OsStr::new("")).is_err());
    }
}
