//! `init`: makes databases that are not there, at head.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;
use tatmig::Scope;
use tatmig::fleet::TargetDatabase;
use tatmig::migrate::{CreateOutcome, Migrator};
use tatmig::plan::Outcome;

use crate::cli::command_args::CreateArgs;
use crate::cli::commands::context::CommandContext;
use crate::cli::report::views::init::InitView;

pub(crate) fn run(
    context: CommandContext<'_>,
    users: &[OsString],
    create_args: &CreateArgs,
) -> anyhow::Result<u8> {
    let document = context.read_document()?;
    let changelog = context.parse_changelog(&document)?;
    let fleet_config = &context.settings.fleet_config;
    if !users.is_empty() && !changelog.has_scope(Scope::User) {
        bail!("the document has no user block, so there are no user databases to make");
    }
    let mut databases: Vec<TargetDatabase> = Vec::new();
    databases.extend(changelog.has_scope(Scope::System).then(|| fleet_config.system_database()));
    for user in users {
        let database = fleet_config.user_database(user)?;
        let path = database.location.file_path();
        if path.is_some_and(|path| is_same_path(path, &fleet_config.system_db)) {
            bail!(
                "`{}` would be the system database's own file",
                tatmig::text::escape_for_display(user)
            );
        }
        databases.push(database);
    }
    for database in &databases {
        let parent = database
            .location
            .file_path()
            .and_then(Path::parent)
            .filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            bail!(
                "there is no directory `{}` to make `{}` in; make it first",
                tatmig::text::escape_for_display(parent.as_os_str()),
                database.location.display()
            );
        }
    }
    #[cfg(feature = "server")]
    if let Some(server_set) = &fleet_config.server_set {
        if !server_set.has_admin() {
            bail!(tatmig::sqld::ServerError::NoAdminUrl);
        }
        if create_args.journal_mode.is_some() {
            bail!(
                "a server keeps every namespace in a journal mode of its own; `--journal-mode` is for files"
            );
        }
        server_set.reject_case_conflicts(&mut databases);
    }
    if databases.is_empty() {
        return Ok(context.report.emit(&InitView::new(std::iter::empty(), changelog.source())));
    }
    let target = changelog.head_index();
    let replay = context.replay(&changelog, target)?;
    let migrator = Migrator::new(&changelog, &replay, target)
        .with_policy(context.settings.policy(Some(create_args)));
    let options = context.connect_options();
    let mut outcomes = Vec::new();
    for database in &databases {
        let outcome = migrator.create_database(database, &options);
        let has_failed = matches!(outcome, CreateOutcome::Attempted(Outcome::Failed { .. }));
        outcomes.push((database, outcome));
        if has_failed && database.scope == Scope::System {
            break;
        }
    }
    let outcomes = outcomes.iter().map(|(database, outcome)| (*database, outcome));
    Ok(context.report.emit(&InitView::new(outcomes, changelog.source())))
}

/// Whether two paths name one file, there or not.
fn is_same_path(left: &Path, right: &Path) -> bool {
    let absolute = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        path.components().collect::<PathBuf>()
    };
    absolute(left) == absolute(right)
}
