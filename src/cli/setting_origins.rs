//! Names where the value of each setting came from, for `doctor`.

use std::collections::BTreeMap;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Serialize;

use crate::cli::settings_file::SettingsFile;

/// Which options were given on the command line, and which by environment variables, by their names
/// in `tatmig.toml`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ArgumentSources(BTreeMap<String, ValueSource>);

impl ArgumentSources {
    pub(crate) fn new(matches: &ArgMatches) -> Self {
        let ids = matches.ids().map(clap::Id::as_str);
        let sources = ids.filter_map(|id| Some((id.to_owned(), matches.value_source(id)?)));
        Self(sources.collect())
    }

    /// Whether an option was given on the command line.
    pub(crate) fn is_typed(&self, name: &str) -> bool {
        self.0.get(name) == Some(&ValueSource::CommandLine)
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
        let origin = match sources.0.get(name) {
            Some(ValueSource::CommandLine) => format!("--{}", name.replace('_', "-")),
            Some(ValueSource::EnvVariable) => format!("TATMIG_{}", name.to_uppercase()),
            _ if is_in_file => settings_file.display_path(),
            _ => "default".to_owned(),
        };
        Self { name, value, origin }
    }
}
