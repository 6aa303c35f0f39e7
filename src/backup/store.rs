//! The directory that backups are kept in: one is made, looked for, or removed.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup::archive::Backup;
use crate::backup::error::BackupError;
use crate::backup::manifest;
use crate::backup::manifest::{Manifest, Saved};
use crate::backup::partial::{PARTIAL, Partial};
use crate::backup::space::find_room;
use crate::database::connection::Patience;
use crate::fleet::{Options, map};
use crate::plan::outcome::Failure;
use crate::target::Member;
use crate::target::copy::Copy;
use crate::target::layout::Layout;
use crate::text::shown;

/// The directory that backups are kept in.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// What came of making a backup.
#[derive(Debug)]
pub struct Made {
    /// It, if there is anything in it.
    pub backup: Option<Backup>,
    /// Why a database has no copy in it, for each that was asked for; those that were not begun
    /// have no verdict.
    pub verdicts: Vec<Option<Result<Saved, Failure>>>,
}

/// What came of removing backups.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Those that are gone, oldest first.
    pub removed: Vec<Backup>,
    /// Those that are left.
    pub kept: Vec<Backup>,
    /// Those of them that are left only because nothing else holds some version of a database.
    pub only: Vec<String>,
}

/// A backup's name: the second, and which of that second.
fn parse_id(name: &str) -> Option<(&str, u32)> {
    let (time, number) = match name.split_once('-') {
        Some((time, number)) => (time, number.parse().ok().filter(|number| *number > 1)?),
        None => (name, 1),
    };
    let fits = time.len() == 16
        && time.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    fits.then_some((time, number))
}

impl Store {
    /// Backups are kept in this directory, which need not be there yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Copies databases while they may be in use. Without any that can be copied no backup is
    /// made. `done` is called as each one is copied.
    ///
    /// # Errors
    ///
    /// A directory that cannot be written, or too little room in it.
    pub fn make(
        &self,
        (members, reason): (&[&Member], &str),
        options: &Options,
        done: &mut dyn FnMut(),
    ) -> Result<Made, BackupError> {
        if members.is_empty() {
            return Ok(Made { backup: None, verdicts: Vec::new() });
        }
        if let Some(member) = members.iter().find(|member| !member.can_be_copied()) {
            return Err(BackupError::NoAdmin { place: member.home.shown() });
        }
        find_room(&self.dir, members.iter().map(|member| member.home.size()).sum())?;
        fs::create_dir_all(&self.dir).map_err(BackupError::io("cannot be made", &self.dir))?;
        self.sweep();
        let now = jiff::Timestamp::now();
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let partial = Partial::new(&self.dir, &time)?;
        let work = |(member, file): &(&Member, OsString)| {
            let place = partial.path.join(file);
            let (copied, fork) = member.copy_to((&place, &time), &options.patience)?;
            let (file, server) = match fork {
                None => (file.clone(), None),
                Some((name, server)) => (name.into(), Some(server)),
            };
            Ok(Saved {
                scope: member.scope,
                user: member.name.clone(),
                file,
                server,
                path: member.home.shown(),
                version: copied.version,
                size: copied.size,
                sha256: copied.sha256,
            })
        };
        let items = file_names(members);
        let stop = || options.patience.stopped();
        let verdicts: Vec<Option<Result<Saved, Failure>>> =
            map(&items, options.jobs, (&work, &stop), done);
        let databases: Vec<Saved> = verdicts
            .iter()
            .flatten()
            .filter_map(|verdict| verdict.as_ref().ok())
            .cloned()
            .collect();
        if stop() {
            for (member, verdict) in members.iter().zip(&verdicts) {
                let Some(Ok(saved)) = verdict else { continue };
                // An interrupt ends every request; what is to be cleared up is not interrupted.
                let patience = Patience { stop: Arc::default(), ..options.patience.clone() };
                let file = partial.path.join(&saved.file);
                let _ = Copy::of(member, (&file, saved.server.as_deref()), &patience).remove();
            }
            return Ok(Made { backup: None, verdicts: members.iter().map(|_| None).collect() });
        }
        // What failed in the middle is no copy.
        for ((_, file), verdict) in items.iter().zip(&verdicts) {
            if !matches!(verdict, Some(Ok(_))) {
                let _ = fs::remove_file(partial.path.join(file));
            }
        }
        if databases.is_empty() {
            return Ok(Made { backup: None, verdicts });
        }
        let manifest = Manifest {
            format: manifest::FORMAT,
            created_at: format!("{now:.3}"),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            reason: reason.to_owned(),
            databases,
        };
        let backup = partial.finish(&self.dir, &time, manifest)?;
        Ok(Made { backup: Some(backup), verdicts })
    }

    /// Removes what killed processes left behind.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes())
                && File::open(&path).is_ok_and(|directory| directory.try_lock().is_ok())
            {
                let _ = fs::remove_dir_all(path);
            }
        }
    }

    /// The backups, oldest first, each with its manifest or what is wrong with that.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read. One that is not there holds none.
    pub fn list(&self) -> Result<Vec<Result<Backup, BackupError>>, BackupError> {
        let unreadable = |error| BackupError::io("cannot be read", &self.dir)(error);
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            ids.extend(name.to_str().filter(|name| parse_id(name).is_some()).map(str::to_owned));
        }
        ids.sort_by(|left, right| parse_id(left).cmp(&parse_id(right)));
        Ok(ids.into_iter().map(|id| self.read(id)).collect())
    }

    fn read(&self, id: String) -> Result<Backup, BackupError> {
        let dir = self.dir.join(&id);
        let wrong = |reason: String| BackupError::Manifest { id: id.clone(), reason };
        let text = fs::read(dir.join(manifest::FILE)).map_err(|error| wrong(error.to_string()))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if manifest.format > manifest::FORMAT {
            let format = manifest.format;
            return Err(wrong(format!("it has the form {format} of a newer tatmig")));
        }
        let plain = |file: &OsString| Path::new(file).file_name() == Some(file.as_os_str());
        if let Some(copy) = manifest.databases.iter().find(|copy| !plain(&copy.file)) {
            return Err(wrong(format!("`{}` is no name of a file in it", shown(&copy.file))));
        }
        Ok(Backup::new(id, dir, manifest))
    }

    /// The backup of a name; `latest` is the last one.
    ///
    /// # Errors
    ///
    /// No such backup, or one whose manifest cannot be used.
    pub fn find(&self, id: &str) -> Result<Backup, BackupError> {
        let mut all = self.list()?;
        let names: Vec<String> = all
            .iter()
            .map(|backup| match backup {
                Ok(Backup { id, .. }) | Err(BackupError::Manifest { id, .. }) => id.clone(),
                Err(_) => String::new(),
            })
            .collect();
        let at = match id {
            "latest" => all.len().checked_sub(1),
            id => names.iter().position(|name| name == id),
        };
        match at {
            Some(at) => all.swap_remove(at),
            None => {
                let last: Vec<String> =
                    names.iter().rev().take(5).map(|name| format!("`{name}`")).collect();
                let known = match last.as_slice() {
                    [] => "there is none at all; `tatmig backup` makes one".to_owned(),
                    last => format!("the last ones are {}", last.join(", ")),
                };
                Err(BackupError::Unknown { id: id.to_owned(), dir: self.dir.clone(), known })
            }
        }
    }

    /// Removes all but the newest backups; of the older ones those stay that hold a database at a
    /// version that no newer one holds it at.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read or removed, and forks on a server that `layout` does not
    /// name.
    pub fn prune(
        &self,
        keep: usize,
        (layout, patience): (&Layout, &Patience),
    ) -> Result<Pruned, BackupError> {
        self.sweep();
        let mut held = BTreeSet::new();
        let mut pruned = Pruned::default();
        for (at, backup) in self.list()?.into_iter().flatten().rev().enumerate() {
            let versions = backup
                .manifest
                .databases
                .iter()
                .map(|copy| (copy.scope, copy.user.clone(), copy.version.clone()));
            let before = held.len();
            held.extend(versions);
            let only = held.len() > before;
            if at >= keep && !only {
                pruned.removed.push(backup);
                continue;
            }
            if at >= keep {
                pruned.only.push(backup.id.clone());
            }
            pruned.kept.push(backup);
        }
        let mut forks: Vec<(&Backup, Copy)> = Vec::new();
        for backup in &pruned.removed {
            for saved in backup.manifest.databases.iter().filter(|saved| saved.server.is_some()) {
                let file = backup.dir.join(&saved.file);
                let copy = Copy::within(layout, (&file, saved.server.as_deref()), patience);
                if let Copy::Elsewhere { .. } = copy {
                    let (id, place) = (backup.id.clone(), copy.shown());
                    return Err(BackupError::OutOfReach { id, place });
                }
                forks.push((backup, copy));
            }
        }
        // As long as a fork is left, its list is.
        for (backup, copy) in forks {
            copy.remove().map_err(|source| BackupError::NotRemoved {
                id: backup.id.clone(),
                place: copy.shown(),
                source,
            })?;
        }
        for backup in &pruned.removed {
            self.remove(backup)?;
        }
        for list in [&mut pruned.removed, &mut pruned.kept] {
            list.reverse();
        }
        pruned.only.sort_by_key(|id| Reverse(parse_id(id).map(|(time, n)| (time.to_owned(), n))));
        Ok(pruned)
    }

    /// Under its own name a backup is whole until it is none.
    fn remove(&self, backup: &Backup) -> Result<(), BackupError> {
        let aside = self.dir.join(format!("{PARTIAL}{}-{}", backup.id, std::process::id()));
        fs::rename(&backup.dir, &aside)
            .and_then(|()| fs::remove_dir_all(&aside))
            .map_err(BackupError::io("cannot be removed", &backup.dir))
    }
}

/// A name in the backup for each database: its file's own, unless that is taken.
fn file_names<'m>(members: &[&'m Member]) -> Vec<(&'m Member, OsString)> {
    let mut taken = BTreeSet::from([OsString::from(manifest::FILE)]);
    let named = members.iter().map(|member| {
        let own = member.home.copy_name();
        let mut file = own.clone();
        let mut number = 1;
        while !taken.insert(file.clone()) {
            number += 1;
            file.clone_from(&own);
            file.push(format!(".{number}"));
        }
        (*member, file)
    });
    named.collect()
}
