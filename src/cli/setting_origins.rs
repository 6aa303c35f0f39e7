//! Lists the settings of a run with where each value came from, for `doctor`.

use std::collections::BTreeMap;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde::Serialize;
use tatmig::text::escape_for_display;

use crate::cli::settings::Settings;
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
}

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SettingOrigin {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// `--file`, `TATMIG_FILE`, the settings file or `default`.
    pub(crate) origin: String,
}

/// Lists the settings that decide which databases a run finds and how it opens them.
pub(crate) fn list_origins(
    settings: &Settings,
    settings_file: &SettingsFile,
    sources: &ArgumentSources,
) -> Vec<SettingOrigin> {
    let fleet_config = &settings.fleet_config;
    let path = |path: &std::path::Path| escape_for_display(path.as_os_str());
    let file = settings_file;
    let values = [
        ("file", path(&settings.file), file.file.is_some()),
        ("system_db", path(&fleet_config.system_db), file.system_db.is_some()),
        ("users_dir", path(&fleet_config.users_dir), file.users_dir.is_some()),
        ("user_pattern", fleet_config.path_template.to_string(), file.user_pattern.is_some()),
        ("backups_dir", path(&settings.backups_dir), file.backups_dir.is_some()),
        (
            "follow_symlinks",
            (fleet_config.symlink_policy == tatmig::fleet::SymlinkPolicy::Follow).to_string(),
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
        let origin = match sources.0.get(name) {
            Some(ValueSource::CommandLine) => format!("--{}", name.replace('_', "-")),
            Some(ValueSource::EnvVariable) => format!("TATMIG_{}", name.to_uppercase()),
            _ if is_in_file => file.display_path(),
            _ => "default".to_owned(),
        };
        SettingOrigin { name, value, origin }
    });
    origins.collect()
}
