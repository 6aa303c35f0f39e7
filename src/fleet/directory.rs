//! The user databases that a directory holds: which files they are, which of them may be opened,
//! and one name for each.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::path::Path;

use crate::document::tag::Scope;
use crate::fleet::error::FleetError;
use crate::sqlite::paths::side_file;
use crate::target::layout::{Layout, Links};
use crate::target::{Home, Member};
use crate::text::{from_bytes, shown};

/// What a users directory holds.
pub(crate) struct Listing {
    pub(crate) members: Vec<Member>,
    pub(crate) remarks: Vec<String>,
    /// Second names of one file, and the name that counts.
    aliases: HashMap<OsString, OsString>,
}

/// What tells one file from another, whatever its names.
type Identity = (u64, u64);

impl Listing {
    pub(crate) fn read(layout: &Layout) -> Result<Self, FleetError> {
        let dir = &layout.users_dir;
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => FleetError::NoUsersDir(dir.clone()),
            _ => FleetError::Unreadable { dir: dir.clone(), source },
        };
        let system = std::fs::metadata(&layout.system_db).ok().as_ref().and_then(identity);
        let mut listing =
            Self { members: Vec::new(), remarks: Vec::new(), aliases: HashMap::new() };
        let mut found: Vec<(Member, Option<Identity>)> = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let file = entry.file_name();
            let Some(user) = layout.pattern.user(&file) else { continue };
            let path = layout.beside_users(&file);
            if path == layout.system_db || is_side_file(&path) || is_own(&file) {
                continue;
            }
            if user.is_empty() {
                listing.remarks.push(format!(
                    "`{}` fits the user pattern and names nobody; it was left alone",
                    shown(&file)
                ));
                continue;
            }
            if !layout.holds(&user) {
                continue;
            }
            let (identity, refused) = match entry.metadata() {
                Err(error) => (None, Some(format!("it cannot be looked at: {error}"))),
                Ok(metadata) => kind(&path, metadata, layout.links),
            };
            if identity.is_some() && identity == system {
                continue;
            }
            let (scope, home) = (Scope::User, Home::File(path));
            found.push((Member { scope, name: user, home, refused }, identity));
        }
        found.sort_by(|left, right| file_name(&left.0).cmp(file_name(&right.0)));
        listing.keep(found);
        Ok(listing)
    }

    /// Leaves one name for each file: the first.
    fn keep(&mut self, mut found: Vec<(Member, Option<Identity>)>) {
        let mut first: HashMap<Identity, usize> = HashMap::with_capacity(found.len());
        let mut seconds = Vec::new();
        for (at, (_, identity)) in found.iter().enumerate() {
            let Some(identity) = *identity else { continue };
            let known = *first.entry(identity).or_insert(at);
            if known != at {
                seconds.push((known, at));
            }
        }
        drop(first);
        for (known, at) in &seconds {
            let second = found[*at].0.clone();
            let original = &mut found[*known].0;
            if second.home.file().is_some_and(has_journal) {
                original.refused = Some(format!(
                    "the same file is named `{}` too, and a journal stands beside that name; end the program that uses it, then remove one of the names",
                    shown(file_name(&second))
                ));
            }
            self.remarks.push(format!(
                "`{}` is another name of the file of user `{}`: one database, told once",
                shown(file_name(&second)),
                original.shown()
            ));
            self.aliases.insert(second.name, original.name.clone());
        }
        let mut seconds = seconds.into_iter().map(|(_, at)| at).peekable();
        // In place: of a large fleet there is not room for two such lists.
        let members = found.into_iter().enumerate();
        let kept = members.filter(|(at, _)| seconds.next_if_eq(at).is_none());
        self.members = kept.map(|(_, (member, _))| member).collect();
        self.members.shrink_to_fit();
    }

    pub(crate) fn named(
        self,
        layout: &Layout,
        names: &[OsString],
    ) -> Result<Vec<Member>, FleetError> {
        let mut wanted: Vec<&OsString> =
            names.iter().map(|name| self.aliases.get(name).unwrap_or(name)).collect();
        wanted.sort();
        wanted.dedup();
        let unknown: Vec<String> = wanted
            .iter()
            .filter(|name| !self.members.iter().any(|member| member.name == ***name))
            .map(|name| shown(name))
            .collect();
        if !unknown.is_empty() {
            let some: Vec<String> =
                self.members.iter().take(5).map(|member| format!("`{}`", member.shown())).collect();
            let near = match (some.len(), self.members.len()) {
                (0, _) => "; none are there".to_owned(),
                (shown, all) if shown == all => format!("; there are {}", some.join(", ")),
                (_, all) => format!("; there are {all}: {}, …", some.join(", ")),
            };
            return Err(FleetError::UnknownUsers {
                users: unknown,
                dir: layout.users_dir.clone(),
                pattern: layout.pattern.clone(),
                near,
            });
        }
        let is_wanted = |member: &Member| wanted.binary_search(&&member.name).is_ok();
        Ok(self.members.into_iter().filter(is_wanted).collect())
    }
}

/// What a directory entry is: its identity if it may be opened, else why not.
fn kind(path: &Path, metadata: Metadata, links: Links) -> (Option<Identity>, Option<String>) {
    let metadata = if metadata.is_symlink() {
        if links == Links::Refuse {
            let reason = "it is a symbolic link; `--follow-symlinks` permits it";
            return (None, Some(reason.to_owned()));
        }
        match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return (None, Some(format!("it is a link that leads nowhere: {error}"))),
        }
    } else {
        metadata
    };
    if metadata.is_file() {
        return (identity(&metadata), None);
    }
    let what = if metadata.is_dir() { "a directory" } else { "no regular file" };
    (None, Some(format!("it is {what}, not a database")))
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // other systems have none
fn identity(metadata: &Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_metadata: &Metadata) -> Option<Identity> {
    None
}

fn file_name(member: &Member) -> &OsStr {
    member.home.file().and_then(Path::file_name).unwrap_or_default()
}

/// Whether a file is tatmig's own: a database that a restore is about to put there.
fn is_own(file: &OsStr) -> bool {
    file.as_encoded_bytes().starts_with(b".tatmig-")
}

fn has_journal(path: &Path) -> bool {
    ["-journal", "-wal"].iter().any(|suffix| side_file(path, suffix).exists())
}

/// Whether a file is SQLite's side file of another one beside it.
fn is_side_file(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    ["-journal", "-wal", "-shm"].iter().any(|suffix| {
        bytes
            .strip_suffix(suffix.as_bytes())
            .is_some_and(|base| Path::new(&from_bytes(base)).exists())
    })
}
