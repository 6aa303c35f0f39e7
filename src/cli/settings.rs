//! What was meant: flags and variables over the file `tatmig.toml`, the file over the defaults.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
#[cfg(feature = "server")]
use tatmig::database::ConnectOptions;
use tatmig::database::{DatabasePolicy, ForeignKeyPolicy, JournalMode};
use tatmig::fleet::DEFAULT_JOBS;
use tatmig::fleet::{FleetConfig, PathTemplate, SymlinkPolicy};
use tatmig::lint::SqliteVersion;

use crate::cli::args::{ColorWhen, GlobalArgs};
use crate::cli::command_args::{CreateArgs, JournalModeArg, LintArgs, LintFormat};
#[cfg(feature = "server")]
use crate::cli::server;

/// `tatmig.toml`: every key may be missing, and no other may be there.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    file: Option<PathBuf>,
    system_db: Option<PathBuf>,
    users_dir: Option<PathBuf>,
    user_pattern: Option<String>,
    backups_dir: Option<PathBuf>,
    follow_symlinks: Option<bool>,
    quiet: Option<bool>,
    verbose: Option<bool>,
    color: Option<ColorWhen>,
    json: Option<bool>,
    jobs: Option<NonZeroUsize>,
    busy_timeout: Option<f64>,
    min_sqlite: Option<String>,
    shard: Option<String>,
    #[cfg(feature = "server")]
    server: Option<server::OneOrMany>,
    #[cfg(feature = "server")]
    admin: Option<server::OneOrMany>,
    #[cfg(feature = "server")]
    namespace_pattern: Option<String>,
    #[cfg(feature = "server")]
    system_namespace: Option<String>,
    #[cfg(feature = "server")]
    users_from: Option<String>,
    #[cfg(feature = "server")]
    users_on: Option<PathBuf>,
    #[cfg(feature = "server")]
    server_timeout: Option<f64>,
    journal_mode: Option<JournalModeArg>,
    #[allow(clippy::struct_field_names)] // the key's own name
    foreign_keys: Option<bool>,
    #[serde(default)]
    lint: LintSettings,
}

/// The table `[lint]` of `tatmig.toml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LintSettings {
    pub(crate) deny: Vec<String>,
    pub(crate) allow: Vec<String>,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// The form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    Text,
    Json,
}

/// What was meant.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) file: PathBuf,
    pub(crate) fleet_config: FleetConfig,
    pub(crate) backups_dir: PathBuf,
    pub(crate) verbosity: Verbosity,
    pub(crate) color: ColorWhen,
    pub(crate) format: OutputFormat,
    /// How many databases at once.
    pub(crate) jobs: usize,
    pub(crate) busy_timeout: Duration,
    min_sqlite: Option<SqliteVersion>,
    /// As the file says; [`Settings::policy`] puts a flag over it.
    policy: DatabasePolicy,
    pub(crate) lint: LintSettings,
}

impl Settings {
    /// Puts flags and variables over the settings file and the defaults.
    #[cfg_attr(not(feature = "server"), allow(unused_mut, unused_variables))]
    pub(crate) fn resolve(global: &GlobalArgs, cancel: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let (mut file_settings, base_dir) = SettingsFile::load(global.config.as_deref())?;
        #[cfg(feature = "server")]
        let server_settings = file_settings.take_server_settings();
        let pattern = global
            .user_pattern
            .clone()
            .or(file_settings.user_pattern)
            .unwrap_or_else(|| "{username}_longterm.db".to_owned());
        let resolve_path = |flag: &Option<PathBuf>, file_value: Option<PathBuf>, default: &str| {
            flag.clone().or(file_value).unwrap_or_else(|| PathBuf::from(default))
        };
        let symlink_policy = match global.follow_symlinks.or(file_settings.follow_symlinks) {
            Some(true) => SymlinkPolicy::Follow,
            Some(false) | None => SymlinkPolicy::Refuse,
        };
        let verbosity = resolve_verbosity(
            (global.quiet, global.verbose),
            (file_settings.quiet, file_settings.verbose),
        )?;
        let json = global.json.or(file_settings.json).unwrap_or_default();
        let busy_timeout = match global.busy_timeout {
            Some(timeout) => timeout,
            None => {
                let seconds = file_settings.busy_timeout.unwrap_or(10.0);
                Duration::try_from_secs_f64(seconds)
                    .with_context(|| format!("`busy_timeout = {seconds}` in tatmig.toml"))?
            }
        };
        #[cfg(feature = "server")]
        let servers = {
            let options = ConnectOptions { busy_timeout, cancel };
            server::resolve(&global.servers, (server_settings, &base_dir), options)?
        };
        Ok(Self {
            file: resolve_path(&global.file, file_settings.file, "MIGRATIONS.md"),
            fleet_config: FleetConfig {
                system_db: resolve_path(&global.system_db, file_settings.system_db, "system.db"),
                users_dir: resolve_path(&global.users_dir, file_settings.users_dir, "."),
                path_template: pattern.parse::<PathTemplate>()?,
                symlink_policy,
                shard: match (global.shard, file_settings.shard) {
                    (Some(shard), _) => Some(shard),
                    (None, Some(text)) => Some(text.parse().context("`shard` in tatmig.toml")?),
                    (None, None) => None,
                },
                #[cfg(feature = "server")]
                server_set: servers,
            },
            backups_dir: resolve_path(&global.backups_dir, file_settings.backups_dir, "backups"),
            verbosity,
            color: global.color.or(file_settings.color).unwrap_or_default(),
            format: if json { OutputFormat::Json } else { OutputFormat::Text },
            jobs: global.jobs.or(file_settings.jobs).map_or(DEFAULT_JOBS, NonZeroUsize::get),
            busy_timeout,
            min_sqlite: file_settings
                .min_sqlite
                .map(|text| text.parse().context("`min_sqlite` in tatmig.toml"))
                .transpose()?,
            policy: DatabasePolicy {
                journal_mode: file_settings
                    .journal_mode
                    .map_or_else(JournalMode::default, JournalModeArg::to_journal_mode),
                foreign_keys: match file_settings.foreign_keys {
                    Some(false) => ForeignKeyPolicy::Report,
                    Some(true) | None => ForeignKeyPolicy::Enforce,
                },
            },
            lint: file_settings.lint,
        })
    }

    /// The practice of the fleet's application; of a command that makes databases, with its flag.
    pub(crate) fn policy(&self, create_args: Option<&CreateArgs>) -> DatabasePolicy {
        let journal_mode_arg = create_args.and_then(|create_args| create_args.journal_mode);
        let journal_mode =
            journal_mode_arg.map_or(self.policy.journal_mode, JournalModeArg::to_journal_mode);
        DatabasePolicy { journal_mode, ..self.policy }
    }

    pub(crate) fn min_sqlite(&self, args: &LintArgs) -> Option<SqliteVersion> {
        args.min_sqlite.or(self.min_sqlite)
    }

    /// `--format` comes before `--json`, which is one of its values.
    pub(crate) fn lint_format(&self, args: &LintArgs) -> LintFormat {
        args.format.unwrap_or(match self.format {
            OutputFormat::Text => LintFormat::Human,
            OutputFormat::Json => LintFormat::Json,
        })
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

/// How much is said: a flag goes before a variable, either goes before the file.
fn resolve_verbosity(
    (quiet, verbose): (Option<bool>, Option<bool>),
    (file_quiet, file_verbose): (Option<bool>, Option<bool>),
) -> anyhow::Result<Verbosity> {
    let is_env_set = |name| std::env::var_os(name).is_some();
    let (is_quiet_typed, is_verbose_typed) =
        (!is_env_set("TATMIG_QUIET"), !is_env_set("TATMIG_VERBOSE"));
    Ok(match (quiet == Some(true), verbose == Some(true)) {
        (true, true) if is_quiet_typed == is_verbose_typed => {
            bail!("`--quiet` and `--verbose` ask for opposite things");
        }
        (true, true) if is_quiet_typed => Verbosity::Quiet,
        (true, false) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        (false, false) if quiet.is_none() && file_quiet == Some(true) => Verbosity::Quiet,
        (false, false) if verbose.is_none() && file_verbose == Some(true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    })
}

impl SettingsFile {
    /// What is about servers, to be resolved apart.
    #[cfg(feature = "server")]
    fn take_server_settings(&mut self) -> server::ServerSettings {
        server::ServerSettings {
            server: self.server.take(),
            admin: self.admin.take(),
            namespace_pattern: self.namespace_pattern.take(),
            system_namespace: self.system_namespace.take(),
            users_from: self.users_from.take(),
            users_on: self.users_on.take(),
            server_timeout: self.server_timeout.take(),
        }
    }

    /// The keys, and the directory that their paths are relative to.
    fn load(explicit_path: Option<&Path>) -> anyhow::Result<(Self, PathBuf)> {
        let path = explicit_path.unwrap_or(Path::new("tatmig.toml"));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && explicit_path.is_none() =>
            {
                return Ok(Default::default());
            }
            Err(error) => bail!("the settings file `{}` cannot be read: {error}", path.display()),
        };
        let mut settings: Self = toml::from_str(&text)
            .with_context(|| format!("in the settings file `{}`", path.display()))?;
        let base_dir = path.parent().unwrap_or(Path::new(""));
        let paths = [
            &mut settings.file,
            &mut settings.system_db,
            &mut settings.users_dir,
            &mut settings.backups_dir,
        ];
        for path in paths.into_iter().flatten() {
            *path = base_dir.join(&*path);
            if path.as_os_str().is_empty() {
                *path = PathBuf::from(".");
            }
        }
        Ok((settings, base_dir.to_owned()))
    }
}
