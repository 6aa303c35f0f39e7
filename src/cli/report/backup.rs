//! What `backup` and `restore` tell, what other runs tell of the copies that they made, and the
//! question that `reset` asks.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};
use tatmig::Scope;
use tatmig::backup::{Backup, BackupError, BackupResult, ManifestEntry, PruneResult, format_bytes};
use tatmig::database::DatabaseError;
use tatmig::fleet::Fleet;
use tatmig::fleet::TargetDatabase;
use tatmig::plan::MigrateError;

use crate::cli::output::{OutputFormat, Verbosity};
use crate::cli::report::{EXIT_FAILURE, EXIT_SUCCESS, Report, list_names, plural};

/// What became of one database; nothing if it was not begun.
type DatabaseResult<'r> =
    (&'r TargetDatabase, &'r Option<std::result::Result<ManifestEntry, MigrateError>>);

impl Report {
    /// Tells what was copied.
    pub(crate) fn print_backup(&self, fleet: &Fleet, backup_result: &BackupResult) -> u8 {
        let results: Vec<DatabaseResult<'_>> =
            fleet.databases().zip(&backup_result.results).collect();
        if self.format == OutputFormat::Json {
            let backup = backup_result.backup.as_ref().map(backup_json);
            Self::print_json(&json!({
                "backup": backup,
                "databases": databases_json(&results, "copied"),
                "summary": counts_json(&results, "copied"),
            }));
        }
        for notice in &fleet.notices {
            self.print_note(notice);
        }
        if self.verbosity == Verbosity::Verbose {
            for (database, result) in &results {
                if let Some(Ok(copy)) = result {
                    self.print_line(format!(
                        "{}: {}, {}",
                        database.display_name(),
                        version_label(copy),
                        format_bytes(copy.size)
                    ));
                }
            }
        }
        match &backup_result.backup {
            Some(backup) => {
                self.print_line(backup_line(backup));
                self.print_line(format!("`tatmig restore {}` puts back what it holds", backup.id));
            }
            None => self.print_line("no backup was made"),
        }
        if let (true, Some(count @ 1..)) = (fleet.users.is_empty(), fleet.total_users) {
            self.print_line(format!(
                "{} left alone; `--all-users` or `--user NAME` copies them",
                plural(count, "user database")
            ));
        }
        self.print_backup_failures(&results, "copied")
    }

    /// Tells what was put back, and where what it replaced is kept.
    pub(crate) fn print_restore(
        &self,
        (backup, safety_backup): (&Backup, Option<&Backup>),
        results: &[DatabaseResult<'_>],
    ) -> u8 {
        if self.format == OutputFormat::Json {
            Self::print_json(&json!({
                "backup": backup_json(backup),
                "replaced": safety_backup.map(backup_json),
                "databases": databases_json(results, "restored"),
                "summary": counts_json(results, "restored"),
            }));
        }
        let restored: Vec<(&TargetDatabase, &ManifestEntry)> = results
            .iter()
            .filter_map(|(database, result)| Some((*database, result.as_ref()?.as_ref().ok()?)))
            .collect();
        if let Some(first) = safety_backup {
            self.print_line(format!("{}, as they were before", backup_line(first)));
        }
        if restored.len() == 1 || self.verbosity == Verbosity::Verbose {
            for (database, copy) in &restored {
                self.print_line(format!(
                    "{}: restored from {}, {}",
                    database.display_name(),
                    backup.id,
                    version_label(copy)
                ));
            }
        }
        if restored.len() != 1 {
            self.print_line(format!(
                "{} restored from {}",
                plural(restored.len(), "database"),
                backup.id
            ));
        }
        if let Some(first) = safety_backup.filter(|_| !restored.is_empty()) {
            self.print_line(format!("`tatmig restore {}` takes that back", first.id));
        }
        self.print_backup_failures(results, "restored")
    }

    /// Tells every failure and what was not begun.
    fn print_backup_failures(&self, results: &[DatabaseResult<'_>], past_tense: &str) -> u8 {
        let mut failed = 0;
        let mut skipped = 0;
        for (database, result) in results {
            match result {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    failed += 1;
                    self.print_error(format!(
                        "`{}` ({}): {error}",
                        database.display_name(),
                        database.location.display()
                    ));
                }
                None => skipped += 1,
            }
        }
        for (count, description) in [(failed, "failed"), (skipped, "not begun")] {
            if count > 0 {
                let suffix = if description == "failed" {
                    format!(" and not {past_tense}")
                } else {
                    String::new()
                };
                self.print_line(format!("{} {description}{suffix}", plural(count, "database")));
            }
        }
        if failed > 0 { EXIT_FAILURE } else { EXIT_SUCCESS }
    }

    /// Lists backups, oldest first.
    pub(crate) fn print_backup_list(
        &self,
        dir: &Path,
        results: &[std::result::Result<Backup, BackupError>],
    ) -> u8 {
        if self.format == OutputFormat::Json {
            let backups: Vec<Value> = results
                .iter()
                .map(|backup| match backup {
                    Ok(backup) => {
                        let mut value = backup_json(backup);
                        value["created_at"] = json!(backup.manifest.created_at);
                        value["reason"] = json!(backup.manifest.reason);
                        value["copies"] = json!(backup.manifest.databases);
                        value
                    }
                    Err(error) => json!({ "error": error.to_string() }),
                })
                .collect();
            Self::print_json(
                &json!({ "dir": tatmig::text::escape_for_display(dir.as_os_str()), "backups": backups }),
            );
        }
        if results.is_empty() {
            self.print_line(format!(
                "no backups in {}; `tatmig backup --all-users` makes one",
                tatmig::text::escape_for_display(dir.as_os_str())
            ));
        }
        let width =
            results.iter().flatten().map(|backup| backup.id.len()).max().unwrap_or_default();
        for backup in results.iter().flatten() {
            let copies = &backup.manifest.databases;
            self.print_line(format!(
                "{:width$}  {}, {}, at {}, {}",
                backup.id,
                plural(copies.len(), "database"),
                format_bytes(backup.size()),
                list_versions(copies),
                match backup.manifest.reason.as_str() {
                    "backup" => "asked for".to_owned(),
                    "upgrade" => "before an upgrade".to_owned(),
                    reason => format!("before a {reason}"),
                }
            ));
            if self.verbosity == Verbosity::Verbose {
                for copy in copies {
                    let (user, size) =
                        (tatmig::text::escape_for_display(&copy.user), format_bytes(copy.size));
                    self.print_line(format!(
                        "  {user}: {}, {size} from {}",
                        version_label(copy),
                        copy.path
                    ));
                }
            }
        }
        let mut status = EXIT_SUCCESS;
        for error in results.iter().filter_map(|backup| backup.as_ref().err()) {
            self.print_error(error);
            status = EXIT_FAILURE;
        }
        status
    }

    /// Tells which backups are gone, and which are not though they are old.
    pub(crate) fn print_prune(&self, prune_result: &PruneResult) -> u8 {
        let backup_ids =
            |backups: &[Backup]| backups.iter().map(|b| b.id.clone()).collect::<Vec<_>>();
        let freed_bytes: u64 = prune_result.removed.iter().map(Backup::size).sum();
        if self.format == OutputFormat::Json {
            Self::print_json(&json!({
                "removed": backup_ids(&prune_result.removed),
                "kept": backup_ids(&prune_result.kept),
                "only": prune_result.kept_as_only_copy,
                "freed": freed_bytes,
            }));
        }
        self.print_line(format!(
            "{} removed ({}), {} kept",
            plural(prune_result.removed.len(), "backup"),
            format_bytes(freed_bytes),
            prune_result.kept.len()
        ));
        if !prune_result.kept_as_only_copy.is_empty() {
            self.print_line(format!(
                "older, and kept because nothing newer holds some database at that version: {}",
                list_names(&prune_result.kept_as_only_copy)
            ));
        }
        EXIT_SUCCESS
    }

    /// Asks whether databases are to be made anew.
    ///
    /// # Errors
    ///
    /// No terminal to ask on, or any answer but yes.
    pub(crate) fn confirm_reset(fleet: &Fleet) -> anyhow::Result<()> {
        let names: Vec<String> =
            fleet.databases().map(|database| database.location.display()).collect();
        let description =
            format!("every row of {} ({})", plural(names.len(), "database"), list_names(&names));
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            bail!(
                "`reset` would delete {description}; without a terminal to ask on, `--yes` says that it is meant"
            );
        }
        let _ = write!(anstream::stderr(), "This deletes {description}. Go on? [y/N] ");
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            bail!("not confirmed; nothing was touched");
        }
        Ok(())
    }
}

fn version_label(copy: &ManifestEntry) -> String {
    copy.version
        .as_ref()
        .map_or_else(|| "without a record".to_owned(), |version| format!("at {version}"))
}

/// The versions of copies, in words.
fn list_versions(copies: &[ManifestEntry]) -> String {
    let versions: BTreeSet<&str> =
        copies.iter().map(|copy| copy.version.as_deref().unwrap_or("no version")).collect();
    let versions: Vec<String> = versions.into_iter().map(str::to_owned).collect();
    list_names(&versions).replace('`', "")
}

fn backup_json(backup: &Backup) -> Value {
    json!({
        "id": backup.id,
        "dir": tatmig::text::escape_for_display(backup.dir.as_os_str()),
        "databases": backup.manifest.databases.len(),
        "size": backup.size(),
    })
}

fn outcome_name<'o>(
    result: Option<&std::result::Result<ManifestEntry, MigrateError>>,
    success_name: &'o str,
) -> &'o str {
    match result {
        Some(Ok(_)) => success_name,
        Some(Err(MigrateError::Database(
            DatabaseError::Busy { .. } | DatabaseError::InUse { .. },
        ))) => "busy",
        Some(Err(_)) => "failed",
        None => "skipped",
    }
}

fn databases_json(results: &[DatabaseResult<'_>], success_name: &str) -> Vec<Value> {
    let database_json = |(database, result): &DatabaseResult<'_>| {
        let copy = result.as_ref().and_then(|result| result.as_ref().ok());
        let error = result.as_ref().and_then(|result| result.as_ref().err());
        json!({
            "name": database.display_name(),
            "scope": database.scope,
            "path": database.location.display(),
            "outcome": outcome_name(result.as_ref(), success_name),
            "version": copy.and_then(|copy| copy.version.as_ref()),
            "file": copy.map(|copy| tatmig::text::escape_for_display(&copy.file)),
            "size": copy.map(|copy| copy.size),
            "sha256": copy.map(|copy| &copy.sha256),
            "error": error.map(|error| json!({ "message": error.to_string() })),
        })
    };
    results.iter().map(database_json).collect()
}

fn counts_json(results: &[DatabaseResult<'_>], success_name: &str) -> Value {
    let count = |name| {
        results
            .iter()
            .filter(|(_, result)| outcome_name(result.as_ref(), success_name) == name)
            .count()
    };
    json!({
        success_name: count(success_name),
        "failed": count("failed"),
        "busy": count("busy"),
        "skipped": count("skipped"),
        "total": results.len(),
    })
}

/// Where the copy of a database is, and the command that puts it back.
pub(crate) fn copy_and_restore_command(
    backup: &Backup,
    database: &TargetDatabase,
) -> Option<(String, String)> {
    let copy = backup.entry_for(database)?;
    let path = backup.copy_location(copy);
    let selection = match database.scope {
        Scope::System => "--system".to_owned(),
        Scope::User => format!("--user {}", database.display_name()),
    };
    Some((path, format!("tatmig restore {} {selection}", backup.id)))
}

/// That copies were made, in a line.
pub(crate) fn backup_line(backup: &Backup) -> String {
    let copies = &backup.manifest.databases;
    let count = plural(copies.len(), "database");
    let (dir, size) =
        (tatmig::text::escape_for_display(backup.dir.as_os_str()), format_bytes(backup.size()));
    if copies.iter().all(|copy| copy.server.is_some()) {
        format!("{count} forked on the server, as {dir} tells ({size})")
    } else {
        format!("{count} copied to {dir} ({size})")
    }
}
