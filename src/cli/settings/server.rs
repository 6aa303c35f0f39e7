//! Combines the options for fleets on libSQL servers with `tatmig.toml`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tatmig::database::ConnectOptions;
use tatmig::fleet::{
    DEFAULT_USERS_QUERY, PathTemplate, Placement, ServerSet, ServerSetConfig, UserSource,
};
use tatmig::sqld::{ADMIN_KEY_VARIABLE, Server, ServerConfig, TOKEN_VARIABLE};

use crate::cli::args::server::ServerArgs;
use crate::cli::settings::file::SettingsFile;
use crate::cli::settings::origins::SettingSources;
use crate::cli::value_parsers::OneOrMany;

const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// Combines flags and variables with the settings file. Returns `None` if no server is named: then
/// the fleet is files.
///
/// # Errors
///
/// A setting is invalid, or the file that maps users to servers cannot be read.
pub(crate) fn resolve(
    args: &ServerArgs,
    sources: SettingSources<'_>,
    options: ConnectOptions,
) -> anyhow::Result<Option<Arc<ServerSet>>> {
    let settings_file = sources.settings_file;
    if args.server_timeout.or(settings_file.server_timeout).is_some_and(|timeout| timeout.is_zero())
    {
        let is_in_file = settings_file.server_timeout.is_some();
        let error = "the time limit of a request must be more than 0 seconds";
        return Err(sources.name_source("server_timeout", is_in_file, error));
    }
    // Every setting is checked, also for a fleet of files: what `push` would refuse later is
    // reported now.
    let servers = resolve_servers(args, settings_file).map_err(|error| {
        let is_about_admin = error.to_string().contains("`--admin`");
        let is_in_file = settings_file.server.is_some();
        if is_about_admin { error } else { sources.name_source("server", is_in_file, error) }
    })?;
    let pattern = args.namespace_pattern.as_ref().or(settings_file.namespace_pattern.as_ref());
    let pattern = pattern.map_or("{username}_longterm", String::as_str);
    let Some(pattern) = pattern.parse().ok().filter(PathTemplate::is_plain_name) else {
        let error = format!(
            "the namespace pattern `{pattern}` must contain `{{username}}` exactly once, as in `{{username}}_longterm`, and no `/`"
        );
        let is_in_file = settings_file.namespace_pattern.is_some();
        return Err(sources.name_source("namespace_pattern", is_in_file, error));
    };
    let system_namespace =
        args.system_namespace.clone().or_else(|| settings_file.system_namespace.clone());
    let system_namespace = system_namespace.unwrap_or_else(|| "system".to_owned());
    ServerSet::check_system_namespace(&system_namespace).map_err(|error| {
        let is_in_file = settings_file.system_namespace.is_some();
        sources.name_source("system_namespace", is_in_file, error)
    })?;
    let users_from = resolve_user_source(args, settings_file).map_err(|error| {
        sources.name_source("users_from", settings_file.users_from.is_some(), error)
    })?;
    if servers.is_empty() {
        return Ok(None);
    }
    let users_on = args
        .users_on
        .clone()
        .or_else(|| settings_file.users_on.as_ref().map(|path| settings_file.base_dir.join(path)));
    let placement = users_on.map_or(Placement::Hash, Placement::File);
    Ok(Some(Arc::new(ServerSet::new(ServerSetConfig {
        servers,
        namespace_template: pattern,
        system_namespace,
        user_source: users_from,
        placement,
        options,
    })?)))
}

/// The servers, with the admin address of each where they were given.
fn resolve_servers(args: &ServerArgs, settings_file: &SettingsFile) -> anyhow::Result<Vec<Server>> {
    let urls = list_or(&args.server, settings_file.server.as_ref());
    let timeout = args.server_timeout.or(settings_file.server_timeout).unwrap_or(DEFAULT_TIMEOUT);
    if urls.is_empty() {
        return Ok(Vec::new());
    }
    let mut sorted_urls: Vec<&str> = urls.iter().map(|url| url.trim_end_matches('/')).collect();
    sorted_urls.sort_unstable();
    if let Some([duplicate, ..]) = sorted_urls.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("the server `{duplicate}` is given twice");
    }
    let admins = list_or(&args.admin, settings_file.admin.as_ref());
    if !admins.is_empty() && admins.len() != urls.len() {
        bail!(
            "`--server` is given {} and `--admin` {}; give one `--admin` for each `--server`, in the same order",
            times(urls.len()),
            times(admins.len())
        );
    }
    let env_secret = |variable: &str| std::env::var(variable).ok().filter(|text| !text.is_empty());
    let mut servers = Vec::with_capacity(urls.len());
    for (index, url) in urls.iter().enumerate() {
        let server_config = ServerConfig {
            url: url.clone(),
            admin_url: admins.get(index).cloned(),
            token: env_secret(TOKEN_VARIABLE),
            admin_key: env_secret(ADMIN_KEY_VARIABLE),
            timeout,
        };
        server_config.validate()?;
        servers.push(Server::new(server_config));
    }
    Ok(servers)
}

/// The values of a flag or variable, else those of the settings file. A variable that is empty
/// counts as not given.
fn list_or(args: &[String], file_value: Option<&OneOrMany>) -> Vec<String> {
    let args: Vec<String> = args.iter().filter(|text| !text.is_empty()).cloned().collect();
    if args.is_empty() { file_value.map(OneOrMany::to_vec).unwrap_or_default() } else { args }
}

fn times(count: usize) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

/// Where the names of the users come from. A path in the settings file is relative to that file.
fn resolve_user_source(
    args: &ServerArgs,
    settings_file: &SettingsFile,
) -> anyhow::Result<UserSource> {
    if let Some(text) = &args.users_from {
        return Ok(text.parse()?);
    }
    Ok(match settings_file.users_from.as_deref().map(str::parse).transpose()? {
        Some(UserSource::File(path)) => UserSource::File(settings_file.base_dir.join(path)),
        Some(query @ UserSource::Query(_)) => query,
        None => UserSource::Query(DEFAULT_USERS_QUERY.to_owned()),
    })
}
