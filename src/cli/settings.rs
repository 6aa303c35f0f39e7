//! What was meant: flags and variables over the file `tatmig.toml`, the file over the defaults.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
#[cfg(feature = "server")]
use tatmig::Patience;
use tatmig::fleet::DEFAULT_JOBS;
use tatmig::{ForeignKeys, JournalMode, Layout, Links, Pattern, Practice, SqliteVersion};

use crate::cli::args::{Global, When};
use crate::cli::command_args::{Journal, Lint, LintFormat, Making};
#[cfg(feature = "server")]
use crate::cli::server;

/// `tatmig.toml`: every key may be missing, and no other may be there.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    file: Option<PathBuf>,
    system_db: Option<PathBuf>,
    users_dir: Option<PathBuf>,
    user_pattern: Option<String>,
    backups_dir: Option<PathBuf>,
    follow_symlinks: Option<bool>,
    quiet: Option<bool>,
    verbose: Option<bool>,
    color: Option<When>,
    json: Option<bool>,
    jobs: Option<NonZeroUsize>,
    busy_timeout: Option<f64>,
    min_sqlite: Option<String>,
    shard: Option<String>,
    #[cfg(feature = "server")]
    server: Option<server::OneOrMore>,
    #[cfg(feature = "server")]
    admin: Option<server::OneOrMore>,
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
    journal_mode: Option<Journal>,
    #[allow(clippy::struct_field_names)] // the key's own name
    foreign_keys: Option<bool>,
    #[serde(default)]
    lint: LintKeys,
}

/// The table `[lint]` of `tatmig.toml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LintKeys {
    pub(crate) deny: Vec<String>,
    pub(crate) allow: Vec<String>,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    Quiet,
    Normal,
    Verbose,
}

/// The form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// What was meant.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) file: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) backups_dir: PathBuf,
    pub(crate) volume: Volume,
    pub(crate) color: When,
    pub(crate) format: Format,
    /// How many databases at once.
    pub(crate) jobs: usize,
    pub(crate) busy_timeout: Duration,
    min_sqlite: Option<SqliteVersion>,
    /// As the file says; [`Settings::practice`] puts a flag over it.
    practice: Practice,
    pub(crate) lint: LintKeys,
}

impl Settings {
    /// Puts flags and variables over the settings file and the defaults.
    #[cfg_attr(not(feature = "server"), allow(unused_mut, unused_variables))]
    pub(crate) fn resolve(global: &Global, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let (mut keys, base) = Keys::load(global.config.as_deref())?;
        #[cfg(feature = "server")]
        let server_keys = keys.take_servers();
        let pattern = global
            .user_pattern
            .clone()
            .or(keys.user_pattern)
            .unwrap_or_else(|| "{username}_longterm.db".to_owned());
        let path = |flag: &Option<PathBuf>, key: Option<PathBuf>, default: &str| {
            flag.clone().or(key).unwrap_or_else(|| PathBuf::from(default))
        };
        let links = match global.follow_symlinks.or(keys.follow_symlinks) {
            Some(true) => Links::Follow,
            Some(false) | None => Links::Refuse,
        };
        let volume = volume((global.quiet, global.verbose), (keys.quiet, keys.verbose))?;
        let json = global.json.or(keys.json).unwrap_or_default();
        let busy_timeout = match global.busy_timeout {
            Some(timeout) => timeout,
            None => {
                let seconds = keys.busy_timeout.unwrap_or(10.0);
                Duration::try_from_secs_f64(seconds)
                    .with_context(|| format!("`busy_timeout = {seconds}` in tatmig.toml"))?
            }
        };
        #[cfg(feature = "server")]
        let servers = {
            let patience = Patience { busy_timeout, stop };
            server::resolve(&global.servers, (server_keys, &base), patience)?
        };
        Ok(Self {
            file: path(&global.file, keys.file, "MIGRATIONS.md"),
            layout: Layout {
                system_db: path(&global.system_db, keys.system_db, "system.db"),
                users_dir: path(&global.users_dir, keys.users_dir, "."),
                pattern: pattern.parse::<Pattern>()?,
                links,
                shard: match (global.shard, keys.shard) {
                    (Some(shard), _) => Some(shard),
                    (None, Some(text)) => Some(text.parse().context("`shard` in tatmig.toml")?),
                    (None, None) => None,
                },
                #[cfg(feature = "server")]
                servers,
            },
            backups_dir: path(&global.backups_dir, keys.backups_dir, "backups"),
            volume,
            color: global.color.or(keys.color).unwrap_or_default(),
            format: if json { Format::Json } else { Format::Text },
            jobs: global.jobs.or(keys.jobs).map_or(DEFAULT_JOBS, NonZeroUsize::get),
            busy_timeout,
            min_sqlite: keys
                .min_sqlite
                .map(|text| text.parse().context("`min_sqlite` in tatmig.toml"))
                .transpose()?,
            practice: Practice {
                journal_mode: keys.journal_mode.map_or_else(JournalMode::default, Journal::mode),
                foreign_keys: match keys.foreign_keys {
                    Some(false) => ForeignKeys::Told,
                    Some(true) | None => ForeignKeys::Held,
                },
            },
            lint: keys.lint,
        })
    }

    /// The practice of the fleet's application; of a command that makes databases, with its flag.
    pub(crate) fn practice(&self, making: Option<&Making>) -> Practice {
        let flag = making.and_then(|making| making.journal_mode);
        let journal_mode = flag.map_or(self.practice.journal_mode, Journal::mode);
        Practice { journal_mode, ..self.practice }
    }

    pub(crate) fn min_sqlite(&self, lint: &Lint) -> Option<SqliteVersion> {
        lint.min_sqlite.or(self.min_sqlite)
    }

    /// `--format` comes before `--json`, which is one of its values.
    pub(crate) fn lint_format(&self, lint: &Lint) -> LintFormat {
        lint.format.unwrap_or(match self.format {
            Format::Text => LintFormat::Human,
            Format::Json => LintFormat::Json,
        })
    }
}

impl Journal {
    fn mode(self) -> JournalMode {
        match self {
            Self::Delete => JournalMode::Delete,
            Self::Wal => JournalMode::Wal,
        }
    }
}

/// How much is said: a flag goes before a variable, either goes before the file.
fn volume(
    (quiet, verbose): (Option<bool>, Option<bool>),
    (key_quiet, key_verbose): (Option<bool>, Option<bool>),
) -> anyhow::Result<Volume> {
    let set = |name| std::env::var_os(name).is_some();
    let (quiet_typed, verbose_typed) = (!set("TATMIG_QUIET"), !set("TATMIG_VERBOSE"));
    Ok(match (quiet == Some(true), verbose == Some(true)) {
        (true, true) if quiet_typed == verbose_typed => {
            bail!("`--quiet` and `--verbose` ask for opposite things");
        }
        (true, true) if quiet_typed => Volume::Quiet,
        (true, false) => Volume::Quiet,
        (_, true) => Volume::Verbose,
        (false, false) if quiet.is_none() && key_quiet == Some(true) => Volume::Quiet,
        (false, false) if verbose.is_none() && key_verbose == Some(true) => Volume::Verbose,
        (false, false) => Volume::Normal,
    })
}

impl Keys {
    /// What is about servers, to be resolved apart.
    #[cfg(feature = "server")]
    fn take_servers(&mut self) -> server::Keys {
        server::Keys {
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
    fn load(named: Option<&Path>) -> anyhow::Result<(Self, PathBuf)> {
        let path = named.unwrap_or(Path::new("tatmig.toml"));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Default::default());
            }
            Err(error) => bail!("the settings file `{}` cannot be read: {error}", path.display()),
        };
        let mut keys: Self = toml::from_str(&text)
            .with_context(|| format!("in the settings file `{}`", path.display()))?;
        let base = path.parent().unwrap_or(Path::new(""));
        let paths =
            [&mut keys.file, &mut keys.system_db, &mut keys.users_dir, &mut keys.backups_dir];
        for path in paths.into_iter().flatten() {
            *path = base.join(&*path);
            if path.as_os_str().is_empty() {
                *path = PathBuf::from(".");
            }
        }
        Ok((keys, base.to_owned()))
    }
}
