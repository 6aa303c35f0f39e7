//! Combines flags, environment variables, `tatmig.toml` and defaults into the settings of a run,
//! in this order of precedence.

mod extensions;
pub(crate) mod file;
pub(crate) mod origins;
pub(crate) mod path;
#[cfg(feature = "server")]
mod server;
mod toml_message;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::bail;
use tatmig::database::{
    AheadPolicy, ConnectOptions, ConnectionSetup, DatabasePolicy, ForeignKeyPolicy, JournalMode,
};
use tatmig::fleet::DEFAULT_JOBS;
use tatmig::fleet::{FleetConfig, FleetError, PathTemplate, SymlinkPolicy};
use tatmig::lint::{Backend, SqliteVersion};
use tatmig::migrate::IgnoredObjects;
use tatmig::text::escape_for_display;

use crate::cli::args::copy::CopyRule;
use crate::cli::args::global::GlobalArgs;
use crate::cli::args::options::{CreateArgs, JournalModeArg, LintArgs, LintFormat};
use crate::cli::args::selection::DefaultSelection;
use crate::cli::output::{ColorWhen, OutputFormat, Verbosity};
use crate::cli::settings::file::{AheadSetting, LintSettings, SettingsFile};
use crate::cli::settings::origins::{ArgumentSources, SettingOrigin, SettingSources};

/// The path of the document without any setting.
pub(crate) const DEFAULT_FILE: &str = "MIGRATIONS.md";

const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings of a run. Options of single commands override some of them.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The path of the document.
    pub(crate) file: PathBuf,
    /// The path of the settings file; `None` without one.
    pub(crate) toml_path: Option<PathBuf>,
    pub(crate) fleet_config: FleetConfig,
    pub(crate) backups_dir: PathBuf,
    pub(crate) verbosity: Verbosity,
    pub(crate) color: ColorWhen,
    pub(crate) format: OutputFormat,
    /// How many databases are worked on at once, before the descriptor limit is considered.
    pub(crate) jobs: usize,
    pub(crate) busy_timeout: Duration,
    /// What every connection to a database gets.
    pub(crate) connection_setup: ConnectionSetup,
    /// Of the settings file; see [`Settings::min_sqlite`].
    pub(crate) min_sqlite: Option<SqliteVersion>,
    /// Of the settings file; see [`Settings::policy`].
    policy: DatabasePolicy,
    /// The objects that the document does not manage.
    pub(crate) ignored: IgnoredObjects,
    pub(crate) lint: LintSettings,
    /// Where the values came from.
    pub(crate) origins: Vec<SettingOrigin>,
    /// What `upgrade` covers if nothing is selected.
    pub(crate) upgrade_default: DefaultSelection,
    /// Whether `upgrade` backs up without being asked.
    pub(crate) upgrade_copies: CopyRule,
}

impl Settings {
    /// Combines flags and variables with the settings file and the defaults. `cancel` is set by a
    /// signal and ends requests to servers.
    ///
    /// # Errors
    ///
    /// The settings file or a value is invalid, or settings contradict each other.
    pub(crate) fn resolve(
        global: &GlobalArgs,
        sources: &ArgumentSources,
        cancel: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let settings_file = SettingsFile::load(global.config.as_deref(), global.file.as_deref())?;
        let default = |name| in_project(&settings_file, name);
        let busy_timeout =
            global.busy_timeout.or(settings_file.busy_timeout).unwrap_or(DEFAULT_BUSY_TIMEOUT);
        let verbosity = resolve_verbosity(
            VerbositySwitches { quiet: global.quiet, verbose: global.verbose },
            VerbositySwitches { quiet: settings_file.quiet, verbose: settings_file.verbose },
        )?;
        let connection_setup =
            ConnectionSetup { cancel, extensions: settings_file.extensions.clone() };
        let connect_options = ConnectOptions { busy_timeout, setup: connection_setup.clone() };
        let fleet_config = fleet_config(
            global,
            SettingSources { arguments: sources, settings_file: &settings_file },
            connect_options,
        )?;
        #[cfg(feature = "server")]
        sources.check_server_options(fleet_config.server_set.is_some())?;
        let is_json = global.json.or(settings_file.json).unwrap_or_default();
        let jobs = global.jobs.or(settings_file.jobs).map_or(DEFAULT_JOBS, NonZeroUsize::get);
        let mut settings = Self {
            file: path_or(global.file.as_ref(), settings_file.file.as_ref(), default(DEFAULT_FILE)),
            toml_path: settings_file.path.clone(),
            fleet_config,
            backups_dir: backups_dir(global, &settings_file),
            verbosity,
            color: global.color.or(settings_file.color).unwrap_or_default(),
            format: if is_json { OutputFormat::Json } else { OutputFormat::Text },
            jobs,
            busy_timeout,
            connection_setup,
            min_sqlite: settings_file.min_sqlite,
            policy: database_policy(&settings_file),
            ignored: IgnoredObjects::new(&settings_file.ignore),
            lint: settings_file.lint.clone(),
            upgrade_default: match settings_file.all_users {
                Some(true) => DefaultSelection::Everything,
                Some(false) | None => DefaultSelection::SystemDatabase,
            },
            upgrade_copies: match settings_file.backup {
                Some(true) => CopyRule::Always,
                _ => CopyRule::WhenAsked,
            },
            origins: Vec::new(),
        };
        settings.origins = list_origins(&settings, &settings_file, sources);
        Ok(settings)
    }

    /// The rules for the fleet's databases. `--journal-mode` of a command that creates databases
    /// overrides `tatmig.toml`.
    pub(crate) fn policy(&self, create_args: Option<&CreateArgs>) -> DatabasePolicy {
        let journal_mode_arg = create_args.and_then(|create_args| create_args.journal_mode);
        let journal_mode =
            journal_mode_arg.map_or(self.policy.journal_mode, JournalModeArg::to_journal_mode);
        DatabasePolicy { journal_mode, ..self.policy }
    }

    /// Adds to an error about a file that does not exist where its path is from.
    pub(crate) fn name_source(&self, error: anyhow::Error) -> anyhow::Error {
        let setting = match error.downcast_ref::<FleetError>() {
            Some(FleetError::NoSystemDatabase(_)) => "system_db",
            Some(FleetError::NoUsersDir(_) | FleetError::UnreadableUsersDir { .. }) => "users_dir",
            _ => return error,
        };
        match self.source_of(setting) {
            Some(source) => anyhow::anyhow!("{error} (the path is set by {source})"),
            None => error,
        }
    }

    /// Where the value of a setting is from, for a message; `None` for the default, and for an
    /// option, which the user sees.
    pub(crate) fn source_of(&self, setting: &str) -> Option<String> {
        let origin = self.origins.iter().find(|origin| origin.name == setting)?;
        origin.description().filter(|source| !source.starts_with("`--"))
    }

    /// Whether every database is to be named.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// The oldest SQLite version that opens the databases, if it was given.
    pub(crate) fn min_sqlite(&self, args: &LintArgs) -> Option<SqliteVersion> {
        args.min_sqlite.or(self.min_sqlite)
    }

    /// Where the settings keep the fleet.
    pub(crate) fn backend(&self) -> Backend {
        #[cfg(feature = "server")]
        if self.fleet_config.server_set.is_some() {
            return Backend::LibsqlServer;
        }
        Backend::SqliteFiles
    }

    /// The output format of `lint`. `--format` overrides `--json`.
    pub(crate) fn lint_format(&self, args: &LintArgs) -> LintFormat {
        args.format.unwrap_or(match self.format {
            OutputFormat::Text => LintFormat::Human,
            OutputFormat::Json | OutputFormat::JsonLines => LintFormat::Json,
        })
    }
}

/// A path from a flag or variable, the settings file or the default.
fn path_or(arg: Option<&PathBuf>, file_value: Option<&PathBuf>, default: PathBuf) -> PathBuf {
    arg.or(file_value).cloned().unwrap_or(default)
}

/// A default path: in the directory of a settings file that was found.
fn in_project(settings_file: &SettingsFile, name: &str) -> PathBuf {
    match (settings_file.project_dir.as_os_str().is_empty(), name) {
        (true, name) => PathBuf::from(name),
        (false, ".") => settings_file.project_dir.clone(),
        (false, name) => settings_file.project_dir.join(name),
    }
}

fn backups_dir(global: &GlobalArgs, settings_file: &SettingsFile) -> PathBuf {
    path_or(
        global.backups_dir.as_ref(),
        settings_file.backups_dir.as_ref(),
        in_project(settings_file, "backups"),
    )
}

#[cfg_attr(
    not(feature = "server"),
    expect(unused_variables, clippy::needless_pass_by_value, reason = "only servers connect here")
)]
fn fleet_config(
    global: &GlobalArgs,
    sources: SettingSources<'_>,
    options: ConnectOptions,
) -> anyhow::Result<FleetConfig> {
    let settings_file = sources.settings_file;
    let pattern = global.user_pattern.as_ref().or(settings_file.user_pattern.as_ref());
    let pattern = pattern.map_or("{username}_longterm.db", String::as_str);
    let symlink_policy = match global.follow_symlinks.or(settings_file.follow_symlinks) {
        Some(true) => SymlinkPolicy::Follow,
        Some(false) | None => SymlinkPolicy::Refuse,
    };
    Ok(FleetConfig {
        system_db: path_or(
            global.system_db.as_ref(),
            settings_file.system_db.as_ref(),
            in_project(settings_file, "system.db"),
        ),
        users_dir: path_or(
            global.users_dir.as_ref(),
            settings_file.users_dir.as_ref(),
            in_project(settings_file, "."),
        ),
        path_template: pattern.parse::<PathTemplate>().map_err(|error| {
            sources.name_source("user_pattern", settings_file.user_pattern.is_some(), error)
        })?,
        backups_dir: Some(backups_dir(global, settings_file)),
        symlink_policy,
        shard: global.shard.or(settings_file.shard),
        #[cfg(feature = "server")]
        server_set: server::resolve(&global.servers, sources, options)?,
    })
}

fn database_policy(settings_file: &SettingsFile) -> DatabasePolicy {
    DatabasePolicy {
        journal_mode: settings_file
            .journal_mode
            .map_or_else(JournalMode::default, JournalModeArg::to_journal_mode),
        foreign_keys: match settings_file.foreign_keys {
            Some(false) => ForeignKeyPolicy::Report,
            Some(true) | None => ForeignKeyPolicy::Enforce,
        },
        ahead: match settings_file.ahead {
            Some(AheadSetting::Allow) => AheadPolicy::Allow,
            Some(AheadSetting::Refuse) | None => AheadPolicy::Refuse,
        },
    }
}

impl JournalModeArg {
    fn to_journal_mode(self) -> JournalMode {
        match self {
            Self::Delete => JournalMode::Delete,
            Self::Wal => JournalMode::Wal,
        }
    }
}

/// `quiet` and `verbose` from one source.
#[derive(Clone, Copy)]
struct VerbositySwitches {
    quiet: Option<bool>,
    verbose: Option<bool>,
}

/// Combines `quiet` and `verbose` of flags and variables with those of the settings file. Of two
/// that contradict each other, a flag overrides a variable.
fn resolve_verbosity(
    args: VerbositySwitches,
    settings_file: VerbositySwitches,
) -> anyhow::Result<Verbosity> {
    let is_env_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_quiet_typed = !is_env_set("TATMIG_QUIET");
    let is_verbose_typed = !is_env_set("TATMIG_VERBOSE");
    Ok(match (args.quiet == Some(true), args.verbose == Some(true)) {
        (true, true) if is_quiet_typed == is_verbose_typed => {
            bail!("`--quiet` and `--verbose` contradict each other; use one of them");
        }
        (true, true) if is_quiet_typed => Verbosity::Quiet,
        (true, false) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        (false, false) if args.quiet.is_none() && settings_file.quiet == Some(true) => {
            Verbosity::Quiet
        }
        (false, false) if args.verbose.is_none() && settings_file.verbose == Some(true) => {
            Verbosity::Verbose
        }
        (false, false) => Verbosity::Normal,
    })
}

/// Lists the settings that decide which databases a run finds and how it opens them.
fn list_origins(
    settings: &Settings,
    settings_file: &SettingsFile,
    sources: &ArgumentSources,
) -> Vec<SettingOrigin> {
    let fleet_config = &settings.fleet_config;
    let path = |path: &Path| escape_for_display(path.as_os_str());
    let file = settings_file;
    let values = [
        ("file", path(&settings.file), file.file.is_some()),
        ("system_db", path(&fleet_config.system_db), file.system_db.is_some()),
        ("users_dir", path(&fleet_config.users_dir), file.users_dir.is_some()),
        ("user_pattern", fleet_config.path_template.to_string(), file.user_pattern.is_some()),
        ("backups_dir", path(&settings.backups_dir), file.backups_dir.is_some()),
        (
            "follow_symlinks",
            (fleet_config.symlink_policy == SymlinkPolicy::Follow).to_string(),
            file.follow_symlinks.is_some(),
        ),
        (
            "busy_timeout",
            format!("{} s", settings.busy_timeout.as_secs_f64()),
            file.busy_timeout.is_some(),
        ),
        ("jobs", settings.jobs.to_string(), file.jobs.is_some()),
    ];
    let origins = values.into_iter().map(|(name, value, is_in_file)| {
        SettingOrigin::new(name, value, is_in_file, settings_file, sources)
    });
    origins.collect()
}
