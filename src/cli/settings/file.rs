//! Reads `tatmig.toml`, the settings file.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tatmig::database::Extensions;
use tatmig::fleet::{Shard, read_regular_file};
use tatmig::lint::SqliteVersion;
use tatmig::text::escape_for_display;

use crate::cli::args::options::JournalModeArg;
use crate::cli::output::ColorWhen;
use crate::cli::settings::extensions::{Declarations, ExtensionSection, ExtensionSections};
use crate::cli::settings::path::{SETTINGS_FILE_NAME, find_settings_file, require_own_file};
use crate::cli::settings::toml_message::describe_toml_error;
#[cfg(feature = "server")]
use crate::cli::value_parsers::OneOrMany;
use crate::cli::value_parsers::{count, seconds};

/// The keys of `tatmig.toml`. Each may be missing; unknown keys are errors.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsFile {
    /// The directory of the settings file, to which its paths are relative.
    #[serde(skip)]
    pub(crate) base_dir: PathBuf,
    /// The path of the settings file; `None` without one.
    #[serde(skip)]
    pub(crate) path: Option<PathBuf>,
    /// The directory that the default paths are in: that of a settings file that was found.
    #[serde(skip)]
    pub(crate) project_dir: PathBuf,
    pub(crate) file: Option<PathBuf>,
    pub(crate) system_db: Option<PathBuf>,
    pub(crate) users_dir: Option<PathBuf>,
    pub(crate) user_pattern: Option<String>,
    pub(crate) backups_dir: Option<PathBuf>,
    pub(crate) follow_symlinks: Option<bool>,
    pub(crate) quiet: Option<bool>,
    pub(crate) verbose: Option<bool>,
    pub(crate) color: Option<ColorWhen>,
    pub(crate) json: Option<bool>,
    #[serde(default, deserialize_with = "deserialize_count")]
    pub(crate) jobs: Option<NonZeroUsize>,
    #[serde(default, deserialize_with = "deserialize_seconds")]
    pub(crate) busy_timeout: Option<Duration>,
    #[serde(default, deserialize_with = "deserialize_sqlite_version")]
    pub(crate) min_sqlite: Option<SqliteVersion>,
    #[serde(default, deserialize_with = "deserialize_shard")]
    pub(crate) shard: Option<Shard>,
    #[cfg(feature = "server")]
    pub(crate) server: Option<OneOrMany>,
    #[cfg(feature = "server")]
    pub(crate) admin: Option<OneOrMany>,
    #[cfg(feature = "server")]
    pub(crate) namespace_pattern: Option<String>,
    #[cfg(feature = "server")]
    pub(crate) system_namespace: Option<String>,
    #[cfg(feature = "server")]
    pub(crate) users_from: Option<String>,
    #[cfg(feature = "server")]
    pub(crate) users_on: Option<PathBuf>,
    #[cfg(feature = "server")]
    #[serde(default, deserialize_with = "deserialize_seconds")]
    pub(crate) server_timeout: Option<Duration>,
    pub(crate) journal_mode: Option<JournalModeArg>,
    pub(crate) foreign_keys: Option<bool>,
    pub(crate) ahead: Option<AheadSetting>,
    pub(crate) all_users: Option<bool>,
    pub(crate) backup: Option<bool>,
    /// Patterns for the names of objects that the document does not manage.
    #[serde(default)]
    pub(crate) ignore: Vec<String>,
    #[serde(default)]
    pub(crate) lint: LintSettings,
    trusted_schema: Option<bool>,
    #[serde(default, rename = "extension")]
    libraries: Vec<ExtensionSection>,
    #[serde(default)]
    functions: Declarations,
    #[serde(default)]
    collations: Declarations,
    /// What the application adds to SQLite, according to the sections above.
    #[serde(skip)]
    pub(crate) extensions: Extensions,
}

/// What happens to a database whose version is above head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AheadSetting {
    Refuse,
    Allow,
}

/// The table `[lint]` of `tatmig.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LintSettings {
    pub(crate) deny: Vec<String>,
    pub(crate) allow: Vec<String>,
}

/// How a settings file was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// By the user.
    Named,
    /// By its place.
    Found,
}

impl SettingsFile {
    /// Reads the settings file at `explicit_path`, or else the one that is found for the document,
    /// which may be missing. Paths of the document and the databases are made relative to the
    /// current directory.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or has an unknown key or an invalid value.
    pub(crate) fn load(
        explicit_path: Option<&Path>,
        document: Option<&Path>,
    ) -> anyhow::Result<Self> {
        if let Some(path) = explicit_path {
            return Self::read(path, Origin::Named);
        }
        let Some(path) = find_settings_file(document) else { return Ok(Self::default()) };
        let settings = Self::read(&path, Origin::Found)?;
        Ok(Self { project_dir: settings.base_dir.clone(), ..settings })
    }

    fn read(path: &Path, origin: Origin) -> anyhow::Result<Self> {
        let name = escape_for_display(path.as_os_str());
        let text = match read_regular_file(path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| std::io::ErrorKind::InvalidData.into())
        }) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                bail!("the settings file `{name}` is not UTF-8; save it as UTF-8")
            }
            Err(error) => bail!("the settings file `{name}` cannot be read: {error}"),
        };
        let mut settings: Self =
            toml::from_str(&text).map_err(|error| parse_error(&name, &text, &error))?;
        settings.path = Some(path.to_owned());
        settings.base_dir = path.parent().map(PathBuf::from).unwrap_or_default();
        settings.resolve_paths();
        if origin == Origin::Found && !settings.libraries.is_empty() {
            require_own_file(path)?;
        }
        let sections = ExtensionSections {
            base_dir: &settings.base_dir,
            libraries: &settings.libraries,
            functions: &settings.functions.declared,
            collations: &settings.collations.declared,
            trusts_schema: settings.trusted_schema == Some(true),
        };
        settings.extensions = sections
            .resolve()
            .map_err(|invalid| error_at(&name, &text, invalid.span.start, &invalid.message))?;
        Ok(settings)
    }

    /// The path for display; `tatmig.toml` without a settings file.
    pub(crate) fn display_path(&self) -> String {
        let path = self.path.as_deref().unwrap_or(Path::new(SETTINGS_FILE_NAME));
        escape_for_display(path.as_os_str())
    }

    fn resolve_paths(&mut self) {
        let paths =
            [&mut self.file, &mut self.system_db, &mut self.users_dir, &mut self.backups_dir];
        for path in paths.into_iter().flatten() {
            *path = self.base_dir.join(&*path);
            if path.as_os_str().is_empty() {
                *path = PathBuf::from(".");
            }
        }
    }
}

/// The error for a file that is not valid, with the line at fault.
fn parse_error(name: &str, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = describe_toml_error(error.message());
    error_at(name, text, error.span().map_or(0, |span| span.start), &message)
}

/// An error about the line at an offset of the file.
fn error_at(name: &str, text: &str, offset: usize, message: &str) -> anyhow::Error {
    let line_index = text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    let line = text.lines().nth(line_index).unwrap_or_default().trim();
    anyhow!("in the settings file `{name}`, line {}, `{line}`: {message}", line_index + 1)
}

fn deserialize_count<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NonZeroUsize>, D::Error> {
    let number = toml::Value::deserialize(deserializer)?.as_integer().unwrap_or(0);
    count(number).map(Some).map_err(D::Error::custom)
}

fn deserialize_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    let number = match toml::Value::deserialize(deserializer)? {
        toml::Value::Integer(number) => u32::try_from(number).map_or(-1.0, f64::from),
        toml::Value::Float(number) => number,
        _ => -1.0,
    };
    seconds(number).map(Some).map_err(D::Error::custom)
}

fn deserialize_sqlite_version<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SqliteVersion>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn deserialize_shard<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Shard>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}
