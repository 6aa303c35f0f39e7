//! Names where the value of each setting came from, for `doctor`.

use std::collections::BTreeMap;
use std::fmt::Display;

use anyhow::anyhow;
#[cfg(feature = "server")]
use anyhow::bail;
use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Serialize;

use crate::cli::settings::file::SettingsFile;

/// Options that say where files are, and how they are opened.
#[cfg(feature = "server")]
const FILE_OPTIONS: &[&str] = &["system_db", "users_dir", "user_pattern", "follow_symlinks"];

/// Options that say where namespaces are, and how they are reached.
#[cfg(feature = "server")]
const SERVER_OPTIONS: &[&str] =
    &["admin", "namespace_pattern", "system_namespace", "users_from", "users_on", "server_timeout"];

/// Which options were given on the command line, and which by environment variables, by their names
/// in `tatmig.toml`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArgumentSources {
    sources: BTreeMap<String, ValueSource>,
    /// The name of the command, without its subcommand.
    #[cfg(feature = "server")]
    command: String,
}

impl ArgumentSources {
    pub(crate) fn new(matches: &ArgMatches) -> Self {
        let ids = matches.ids().map(clap::Id::as_str);
        let sources = ids.filter_map(|id| Some((id.to_owned(), matches.value_source(id)?)));
        Self {
            sources: sources.collect(),
            #[cfg(feature = "server")]
            command: matches.subcommand_name().unwrap_or_default().to_owned(),
        }
    }

    /// Requires that no option of the command line is without effect, because the fleet is or is not
    /// on a server. Variables and `tatmig.toml` may name settings for both.
    ///
    /// # Errors
    ///
    /// An option without effect.
    #[cfg(feature = "server")]
    pub(crate) fn check_server_options(&self, has_server: bool) -> anyhow::Result<()> {
        // These commands need the files and the server.
        if ["push", "pull"].contains(&self.command.as_str()) {
            return Ok(());
        }
        let options = if has_server { FILE_OPTIONS } else { SERVER_OPTIONS };
        let Some(option) = options.iter().find(|option| self.is_typed(option)) else {
            return Ok(());
        };
        let option = option.replace('_', "-");
        if has_server {
            bail!(
                "`--{option}` has no effect with `--server`: the databases are namespaces of the server"
            );
        }
        bail!("`--{option}` has no effect without `--server URL`: the databases are files");
    }

    /// Whether an option was given on the command line.
    #[cfg(feature = "server")]
    pub(crate) fn is_typed(&self, name: &str) -> bool {
        self.sources.get(name) == Some(&ValueSource::CommandLine)
    }
}

/// Where the value of each setting is from.
#[derive(Clone, Copy)]
pub(crate) struct SettingSources<'s> {
    pub(crate) arguments: &'s ArgumentSources,
    pub(crate) settings_file: &'s SettingsFile,
}

impl SettingSources<'_> {
    /// Adds to an error about the value of a setting where the value is from.
    pub(crate) fn name_source(
        self,
        name: &'static str,
        is_in_file: bool,
        error: impl Display,
    ) -> anyhow::Error {
        let origin =
            SettingOrigin::new(name, String::new(), is_in_file, self.settings_file, self.arguments);
        match origin.description() {
            Some(origin) => anyhow!("{error} (set by {origin})"),
            None => anyhow!("{error}"),
        }
    }
}

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SettingOrigin {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// `--file`, `TATMIG_FILE`, the settings file or `default`.
    pub(crate) origin: String,
}

impl SettingOrigin {
    /// A setting whose name is that of its flag and its environment variable too.
    pub(crate) fn new(
        name: &'static str,
        value: String,
        is_in_file: bool,
        settings_file: &SettingsFile,
        sources: &ArgumentSources,
    ) -> Self {
        let origin = match sources.sources.get(name) {
            Some(ValueSource::CommandLine) => format!("--{}", name.replace('_', "-")),
            Some(ValueSource::EnvVariable) => format!("TATMIG_{}", name.to_uppercase()),
            _ if is_in_file => settings_file.display_path(),
            _ => "default".to_owned(),
        };
        Self { name, value, origin }
    }

    /// Where the value is from, for a message; `None` for the default.
    pub(crate) fn description(&self) -> Option<String> {
        let Self { name, origin, .. } = self;
        match origin.as_str() {
            "default" => None,
            origin if origin.starts_with("--") || origin.starts_with("TATMIG_") => {
                Some(format!("`{origin}`"))
            }
            file => Some(format!("`{name}` in `{file}`")),
        }
    }
}
