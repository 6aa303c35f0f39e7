//! What `backup` and `restore` tell, what other runs tell of the copies that they made, and the
//! question that `reset` asks.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};
use tatmig::backup::{Backup, BackupError, Made, Pruned, Saved, bytes};
use tatmig::fleet::Fleet;
use tatmig::{DatabaseError, Failure, Member, Scope};

use crate::cli::report::{DONE, FAILED, Report, plural, some};
use crate::cli::settings::{Format, Volume};

/// What became of one database; nothing if it was not begun.
type Result<'r> = (&'r Member, &'r Option<std::result::Result<Saved, Failure>>);

impl Report {
    /// Tells what was copied.
    pub(crate) fn backed_up(&self, fleet: &Fleet, made: &Made) -> u8 {
        let results: Vec<Result<'_>> = fleet.members().zip(&made.verdicts).collect();
        if self.format == Format::Json {
            let backup = made.backup.as_ref().map(summary);
            Self::json(&json!({
                "backup": backup,
                "databases": databases(&results, "copied"),
                "summary": counts(&results, "copied"),
            }));
        }
        for remark in &fleet.remarks {
            self.remark(remark);
        }
        if self.volume == Volume::Verbose {
            for (member, result) in &results {
                if let Some(Ok(copy)) = result {
                    self.line(format!("{}: {}, {}", member.shown(), at(copy), bytes(copy.size)));
                }
            }
        }
        match &made.backup {
            Some(backup) => {
                self.line(copied(backup));
                self.line(format!("`tatmig restore {}` puts back what it holds", backup.id));
            }
            None => self.line("no backup was made"),
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.users_found) {
            self.line(format!(
                "{} left alone; `--all-users` or `--user NAME` copies them",
                plural(count, "user database")
            ));
        }
        self.unmoved(&results, "copied")
    }

    /// Tells what was put back, and where what it replaced is kept.
    pub(crate) fn restored(
        &self,
        (backup, first): (&Backup, Option<&Backup>),
        results: &[Result<'_>],
    ) -> u8 {
        if self.format == Format::Json {
            Self::json(&json!({
                "backup": summary(backup),
                "replaced": first.map(summary),
                "databases": databases(results, "restored"),
                "summary": counts(results, "restored"),
            }));
        }
        let done: Vec<(&Member, &Saved)> = results
            .iter()
            .filter_map(|(member, result)| Some((*member, result.as_ref()?.as_ref().ok()?)))
            .collect();
        if let Some(first) = first {
            self.line(format!("{}, as they were before", copied(first)));
        }
        if done.len() == 1 || self.volume == Volume::Verbose {
            for (member, copy) in &done {
                self.line(format!("{}: restored from {}, {}", member.shown(), backup.id, at(copy)));
            }
        }
        if done.len() != 1 {
            self.line(format!("{} restored from {}", plural(done.len(), "database"), backup.id));
        }
        if let Some(first) = first.filter(|_| !done.is_empty()) {
            self.line(format!("`tatmig restore {}` takes that back", first.id));
        }
        self.unmoved(results, "restored")
    }

    /// Tells every failure and what was not begun.
    fn unmoved(&self, results: &[Result<'_>], done: &str) -> u8 {
        let mut failed = 0;
        let mut skipped = 0;
        for (member, result) in results {
            match result {
                Some(Ok(_)) => {}
                Some(Err(failure)) => {
                    failed += 1;
                    self.error(format!(
                        "`{}` ({}): {failure}",
                        member.shown(),
                        member.home.shown()
                    ));
                }
                None => skipped += 1,
            }
        }
        for (count, words) in [(failed, "failed"), (skipped, "not begun")] {
            if count > 0 {
                let none =
                    if words == "failed" { format!(" and not {done}") } else { String::new() };
                self.line(format!("{} {words}{none}", plural(count, "database")));
            }
        }
        if failed > 0 { FAILED } else { DONE }
    }

    /// Lists backups, oldest first.
    pub(crate) fn backups(
        &self,
        dir: &Path,
        all: &[std::result::Result<Backup, BackupError>],
    ) -> u8 {
        if self.format == Format::Json {
            let backups: Vec<Value> = all
                .iter()
                .map(|backup| match backup {
                    Ok(backup) => {
                        let mut value = summary(backup);
                        value["created_at"] = json!(backup.manifest.created_at);
                        value["reason"] = json!(backup.manifest.reason);
                        value["copies"] = json!(backup.manifest.databases);
                        value
                    }
                    Err(error) => json!({ "error": error.to_string() }),
                })
                .collect();
            Self::json(&json!({ "dir": tatmig::shown(dir.as_os_str()), "backups": backups }));
        }
        if all.is_empty() {
            self.line(format!(
                "no backups in {}; `tatmig backup --all-users` makes one",
                tatmig::shown(dir.as_os_str())
            ));
        }
        let width = all.iter().flatten().map(|backup| backup.id.len()).max().unwrap_or_default();
        for backup in all.iter().flatten() {
            let copies = &backup.manifest.databases;
            self.line(format!(
                "{:width$}  {}, {}, at {}, {}",
                backup.id,
                plural(copies.len(), "database"),
                bytes(backup.size()),
                versions(copies),
                match backup.manifest.reason.as_str() {
                    "backup" => "asked for".to_owned(),
                    "upgrade" => "before an upgrade".to_owned(),
                    reason => format!("before a {reason}"),
                }
            ));
            if self.volume == Volume::Verbose {
                for copy in copies {
                    let (user, size) = (tatmig::shown(&copy.user), bytes(copy.size));
                    self.line(format!("  {user}: {}, {size} from {}", at(copy), copy.path));
                }
            }
        }
        let mut status = DONE;
        for error in all.iter().filter_map(|backup| backup.as_ref().err()) {
            self.error(error);
            status = FAILED;
        }
        status
    }

    /// Tells which backups are gone, and which are not though they are old.
    pub(crate) fn pruned(&self, pruned: &Pruned) -> u8 {
        let ids = |backups: &[Backup]| backups.iter().map(|b| b.id.clone()).collect::<Vec<_>>();
        let freed: u64 = pruned.removed.iter().map(Backup::size).sum();
        if self.format == Format::Json {
            Self::json(&json!({
                "removed": ids(&pruned.removed),
                "kept": ids(&pruned.kept),
                "only": pruned.only,
                "freed": freed,
            }));
        }
        self.line(format!(
            "{} removed ({}), {} kept",
            plural(pruned.removed.len(), "backup"),
            bytes(freed),
            pruned.kept.len()
        ));
        if !pruned.only.is_empty() {
            self.line(format!(
                "older, and kept because nothing newer holds some database at that version: {}",
                some(&pruned.only)
            ));
        }
        DONE
    }

    /// Asks whether databases are to be made anew.
    ///
    /// # Errors
    ///
    /// No terminal to ask on, or any answer but yes.
    pub(crate) fn confirm_reset(fleet: &Fleet) -> anyhow::Result<()> {
        let names: Vec<String> = fleet.members().map(|member| member.home.shown()).collect();
        let what = format!("every row of {} ({})", plural(names.len(), "database"), some(&names));
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            bail!(
                "`reset` would delete {what}; without a terminal to ask on, `--yes` says that it is meant"
            );
        }
        let _ = write!(anstream::stderr(), "This deletes {what}. Go on? [y/N] ");
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            bail!("not confirmed; nothing was touched");
        }
        Ok(())
    }
}

fn at(copy: &Saved) -> String {
    copy.version.as_ref().map_or_else(|| "without a record".to_owned(), |at| format!("at {at}"))
}

/// The versions of copies, in words.
fn versions(copies: &[Saved]) -> String {
    let versions: BTreeSet<&str> =
        copies.iter().map(|copy| copy.version.as_deref().unwrap_or("no version")).collect();
    let versions: Vec<String> = versions.into_iter().map(str::to_owned).collect();
    some(&versions).replace('`', "")
}

fn summary(backup: &Backup) -> Value {
    json!({
        "id": backup.id,
        "dir": tatmig::shown(backup.dir.as_os_str()),
        "databases": backup.manifest.databases.len(),
        "size": backup.size(),
    })
}

fn outcome<'o>(result: Option<&std::result::Result<Saved, Failure>>, done: &'o str) -> &'o str {
    match result {
        Some(Ok(_)) => done,
        Some(Err(Failure::Database(DatabaseError::Busy { .. } | DatabaseError::InUse { .. }))) => {
            "busy"
        }
        Some(Err(_)) => "failed",
        None => "skipped",
    }
}

fn databases(results: &[Result<'_>], done: &str) -> Vec<Value> {
    let one = |(member, result): &Result<'_>| {
        let copy = result.as_ref().and_then(|result| result.as_ref().ok());
        let failure = result.as_ref().and_then(|result| result.as_ref().err());
        json!({
            "name": member.shown(),
            "scope": member.scope,
            "path": member.home.shown(),
            "outcome": outcome(result.as_ref(), done),
            "version": copy.and_then(|copy| copy.version.as_ref()),
            "file": copy.map(|copy| tatmig::shown(&copy.file)),
            "size": copy.map(|copy| copy.size),
            "sha256": copy.map(|copy| &copy.sha256),
            "error": failure.map(|failure| json!({ "message": failure.to_string() })),
        })
    };
    results.iter().map(one).collect()
}

fn counts(results: &[Result<'_>], done: &str) -> Value {
    let count =
        |word| results.iter().filter(|(_, result)| outcome(result.as_ref(), done) == word).count();
    json!({
        done: count(done),
        "failed": count("failed"),
        "busy": count("busy"),
        "skipped": count("skipped"),
        "total": results.len(),
    })
}

/// Where the copy of a database is, and the command that puts it back.
pub(crate) fn copy_of(backup: &Backup, member: &Member) -> Option<(String, String)> {
    let copy = backup.copy_of(member)?;
    let path = backup.place_of(copy);
    let whose = match member.scope {
        Scope::System => "--system".to_owned(),
        Scope::User => format!("--user {}", member.shown()),
    };
    Some((path, format!("tatmig restore {} {whose}", backup.id)))
}

/// That copies were made, in a line.
pub(crate) fn copied(backup: &Backup) -> String {
    let copies = &backup.manifest.databases;
    let count = plural(copies.len(), "database");
    let (dir, size) = (tatmig::shown(backup.dir.as_os_str()), bytes(backup.size()));
    if copies.iter().all(|copy| copy.server.is_some()) {
        format!("{count} forked on the server, as {dir} tells ({size})")
    } else {
        format!("{count} copied to {dir} ({size})")
    }
}
