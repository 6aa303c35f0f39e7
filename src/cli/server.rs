//! The settings of a fleet on libSQL servers: flags, variables and keys. What opens a server comes
//! from the environment alone, so that it stands in no history and no file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tatmig::database::ConnectOptions;
use tatmig::fleet::{DEFAULT_USERS_QUERY, PathTemplate, Placement, ServerSet, UserSource};
use tatmig::sqld::{ADMIN_KEY_VARIABLE, Server, ServerConfig, TOKEN_VARIABLE};

const DEFAULT_TIMEOUT_SECONDS: f64 = 300.0;

#[derive(Debug, Args)]
#[command(
    next_help_heading = "Fleets on libSQL servers (the token: TATMIG_AUTH_TOKEN, the admin key: TATMIG_ADMIN_KEY)"
)]
pub(crate) struct ServerArgs {
    /// Use the namespaces of this libSQL server instead of files; several share the users
    #[arg(
        long,
        global = true,
        env = "TATMIG_SERVER",
        value_name = "URL",
        value_delimiter = ',',
        hide_env = true
    )]
    server: Vec<String>,
    /// Its admin address, where namespaces are made and removed; one for each server
    #[arg(
        long,
        global = true,
        env = "TATMIG_ADMIN",
        value_name = "URL",
        value_delimiter = ',',
        hide_env = true
    )]
    admin: Vec<String>,
    /// How the users' namespaces are named [default: {username}_longterm]
    #[arg(
        long,
        global = true,
        env = "TATMIG_NAMESPACE_PATTERN",
        value_name = "PATTERN",
        hide_env = true
    )]
    namespace_pattern: Option<String>,
    /// The namespace of the system database [default: system]
    #[arg(
        long,
        global = true,
        env = "TATMIG_SYSTEM_NAMESPACE",
        value_name = "NAME",
        hide_env = true
    )]
    system_namespace: Option<String>,
    /// Who the users are: `query:SELECT …` in the system namespace, or `file:PATH` [default:
    /// query:SELECT username FROM users]
    #[arg(long, global = true, env = "TATMIG_USERS_FROM", value_name = "SOURCE", hide_env = true)]
    users_from: Option<String>,
    /// A file that tells each user's server, `NAME URL` a line, instead of a hash
    #[arg(long, global = true, env = "TATMIG_USERS_ON", value_name = "PATH", hide_env = true)]
    users_on: Option<PathBuf>,
    /// How long a request may take, in seconds [default: 300]
    #[arg(long, global = true, env = "TATMIG_SERVER_TIMEOUT", value_name = "SECONDS", value_parser = crate::cli::args::parse_seconds, hide_env = true)]
    server_timeout: Option<Duration>,
}

/// The same in `tatmig.toml`.
#[derive(Debug, Default)]
pub(crate) struct ServerSettings {
    pub(crate) server: Option<OneOrMany>,
    pub(crate) admin: Option<OneOrMany>,
    pub(crate) namespace_pattern: Option<String>,
    pub(crate) system_namespace: Option<String>,
    pub(crate) users_from: Option<String>,
    pub(crate) users_on: Option<PathBuf>,
    pub(crate) server_timeout: Option<f64>,
}

/// A text or a list of texts.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// The servers that are meant, if any; paths in the settings file are relative to `base`.
pub(crate) fn resolve(
    args: &ServerArgs,
    (file_settings, base): (ServerSettings, &Path),
    options: ConnectOptions,
) -> anyhow::Result<Option<Arc<ServerSet>>> {
    let from_args_or_file = |flags: &[String], file_value: Option<OneOrMany>| {
        // A variable that is set to nothing names none.
        let flags: Vec<String> = flags.iter().filter(|text| !text.is_empty()).cloned().collect();
        if flags.is_empty() {
            file_value.map(OneOrMany::into_vec).unwrap_or_default()
        } else {
            flags
        }
    };
    let urls = from_args_or_file(&args.server, file_settings.server);
    if urls.is_empty() {
        return Ok(None);
    }
    let mut sorted_urls: Vec<&str> = urls.iter().map(|url| url.trim_end_matches('/')).collect();
    sorted_urls.sort_unstable();
    if let Some([duplicate, ..]) = sorted_urls.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("the server `{duplicate}` is named twice");
    }
    let admins = from_args_or_file(&args.admin, file_settings.admin);
    if !admins.is_empty() && admins.len() != urls.len() {
        bail!(
            "`--server` names {} and `--admin` {}; it names one for each server, in the same order",
            urls.len(),
            admins.len()
        );
    }
    let env_secret = |variable: &str| std::env::var(variable).ok().filter(|text| !text.is_empty());
    let timeout = match (args.server_timeout, file_settings.server_timeout) {
        (Some(timeout), _) => timeout,
        (None, key) => {
            let seconds = key.unwrap_or(DEFAULT_TIMEOUT_SECONDS);
            Duration::try_from_secs_f64(seconds)
                .with_context(|| format!("`server_timeout = {seconds}` in tatmig.toml"))?
        }
    };
    if timeout.is_zero() {
        bail!("`--server-timeout 0` would wait for no answer at all");
    }
    let mut servers = Vec::new();
    for (index, url) in urls.into_iter().enumerate() {
        let server_config = ServerConfig {
            url,
            admin_url: admins.get(index).cloned(),
            token: env_secret(TOKEN_VARIABLE),
            admin_key: env_secret(ADMIN_KEY_VARIABLE),
            timeout,
        };
        server_config.validate()?;
        servers.push(Server::new(server_config));
    }
    let pattern = args.namespace_pattern.clone().or(file_settings.namespace_pattern);
    let pattern = pattern.as_deref().unwrap_or("{username}_longterm");
    let Ok(pattern) = pattern.parse::<PathTemplate>() else {
        bail!(
            "the namespace pattern `{pattern}` must hold `{{username}}` exactly once, as in `{{username}}_longterm`, and no `/`"
        );
    };
    let system_namespace = args.system_namespace.clone().or(file_settings.system_namespace);
    let users_from = match (&args.users_from, file_settings.users_from) {
        (Some(text), _) => text.parse()?,
        (None, Some(text)) => match text.parse()? {
            UserSource::File(path) => UserSource::File(base.join(path)),
            query @ UserSource::Query(_) => query,
        },
        (None, None) => UserSource::Query(DEFAULT_USERS_QUERY.to_owned()),
    };
    let users_on =
        args.users_on.clone().or_else(|| file_settings.users_on.map(|path| base.join(path)));
    let placement = users_on.map_or(Placement::Hash, Placement::File);
    let system_namespace = system_namespace.unwrap_or_else(|| "system".to_owned());
    Ok(Some(Arc::new(ServerSet::new(
        servers,
        (pattern, system_namespace),
        (users_from, &placement),
        options,
    )?)))
}
