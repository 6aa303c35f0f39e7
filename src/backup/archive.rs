//! A whole backup: what it holds, whether that is what was written, and how it comes back.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::backup::error::BackupError;
use crate::backup::manifest::{Manifest, Saved};
use crate::backup::space::find_room;
use crate::database::connection::Patience;
use crate::database::error::DatabaseError;
use crate::document::tag::Scope;
use crate::fleet::{Options, map};
use crate::plan::outcome::Failure;
use crate::sqlite::locks;
use crate::target::Member;
use crate::target::copy::Copy;
use crate::text::shown;

/// A whole backup.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its directory's name, a time in UTC: `20261121T114500Z`.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// Where in the manifest whose copy is.
    index: OnceLock<HashMap<(Scope, OsString), usize>>,
}

impl Backup {
    pub(crate) fn new(id: String, dir: PathBuf, manifest: Manifest) -> Self {
        Self { id, dir, manifest, index: OnceLock::new() }
    }

    /// The bytes of its copies.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.manifest.databases.iter().map(|copy| copy.size).sum()
    }

    /// The copy of a member's database.
    #[must_use]
    pub fn copy_of(&self, member: &Member) -> Option<&Saved> {
        let copies = &self.manifest.databases;
        let index = self.index.get_or_init(|| {
            let all = copies.iter().enumerate();
            all.map(|(at, copy)| ((copy.scope, copy.user.clone()), at)).collect()
        });
        copies.get(*index.get(&(member.scope, member.name.clone()))?)
    }

    /// Where a copy of it is: the path of a file, or a namespace and its server.
    #[must_use]
    pub fn place_of(&self, copy: &Saved) -> String {
        match &copy.server {
            None => shown(self.dir.join(&copy.file).as_os_str()),
            Some(server) => format!("{} @ {server}", shown(&copy.file)),
        }
    }

    /// The copy of a member, where it is kept.
    fn at(&self, (member, saved): (&Member, &Saved), patience: &Patience) -> Copy {
        Copy::of(member, (&self.dir.join(&saved.file), saved.server.as_deref()), patience)
    }

    /// Checks that the copies of members are what the manifest says: files byte for byte, forks by
    /// their schema, their record and the numbers of their rows.
    ///
    /// # Errors
    ///
    /// Every copy that is not.
    pub fn check(&self, members: &[Member], options: &Options) -> Result<(), BackupError> {
        let work = |(member, copy): &(&Member, &Saved)| {
            let place = self.at((member, copy), &options.patience);
            let found = match place.digest(&options.patience) {
                Ok((size, sum)) if size == copy.size && sum == copy.sha256 => return None,
                Ok((size, _)) if size != copy.size => {
                    format!("is {size} bytes long instead of {}", copy.size)
                }
                Ok(_) => "does not have the checksum that it was written with".to_owned(),
                Err(Failure::Database(error)) if error.is_missing() => "is missing".to_owned(),
                Err(error) => error.to_string(),
            };
            Some(format!("`{}` {found}", place.shown()))
        };
        let stop = || options.patience.stopped();
        let copies: Vec<(&Member, &Saved)> =
            members.iter().filter_map(|member| Some((member, self.copy_of(member)?))).collect();
        for (member, copy) in &copies {
            let place = self.at((member, copy), &options.patience);
            if let Copy::Elsewhere { .. } = place {
                let (place, home) = (place.shown(), member.home.shown());
                return Err(BackupError::Elsewhere { id: self.id.clone(), place, home });
            }
        }
        let found = map(&copies, options.jobs, (&work, &stop), &mut || {});
        if stop() {
            return Err(BackupError::Interrupted);
        }
        let reasons: Vec<String> = found.into_iter().flatten().flatten().collect();
        if reasons.is_empty() {
            return Ok(());
        }
        Err(BackupError::Damaged { id: self.id.clone(), reasons })
    }

    /// Whether there is room for the copies of members in the place of their databases, with what
    /// SQLite keeps beside the largest meanwhile.
    ///
    /// # Errors
    ///
    /// Too little room.
    pub fn find_room(&self, members: &[Member]) -> Result<(), BackupError> {
        let mut needs: BTreeMap<&Path, (u64, u64)> = BTreeMap::new();
        for (member, copy) in members.iter().filter_map(|m| Some((m, self.copy_of(m)?))) {
            let Some(dir) = member.home.file().and_then(Path::parent) else { continue };
            let old = member.home.size();
            let (growth, largest) = needs.entry(dir).or_default();
            *growth += copy.size.saturating_sub(old);
            *largest = (*largest).max(copy.size.max(old));
        }
        needs.into_iter().try_for_each(|(dir, (growth, largest))| find_room(dir, growth + largest))
    }

    /// Puts the copies of members in the place of their databases, each at once or not at all.
    /// `done` is called as each one is there.
    pub fn restore(
        &self,
        members: &[Member],
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Vec<Option<Result<Saved, Failure>>> {
        let files: Vec<&Path> = members.iter().filter_map(|member| member.home.file()).collect();
        let users = locks::users(&files);
        let users: HashMap<&Path, String> =
            files.iter().zip(users).filter_map(|(file, user)| Some((*file, user?))).collect();
        let work = |member: &Member| {
            if let Some(by) = member.home.file().and_then(|file| users.get(file)) {
                return Err(DatabaseError::InUse { by: by.clone() }.into());
            }
            let none =
                || Failure::NotOpened(format!("the backup `{}` holds no copy of it", self.id));
            let copy = self.copy_of(member).ok_or_else(none)?;
            member.restore_from(&self.at((member, copy), &options.patience), &options.patience)?;
            Ok(copy.clone())
        };
        let stop = || options.patience.stopped();
        let results = map(members, options.jobs, (&work, &stop), done);
        let interrupted = |result: &Result<Saved, Failure>| {
            matches!(result, Err(Failure::Database(DatabaseError::Interrupted)))
        };
        results.into_iter().map(|result| result.filter(|result| !interrupted(result))).collect()
    }
}
