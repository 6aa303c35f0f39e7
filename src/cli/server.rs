//! The settings of a fleet on libSQL servers: flags, variables and keys. What opens a server comes
//! from the environment alone, so that it stands in no history and no file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tatmig::sqld::{Access, KEY_VARIABLE, Server, TOKEN_VARIABLE};
use tatmig::{DEFAULT_USERS, Patience, Pattern, Servers, Spread, UsersFrom};

const TIMEOUT: f64 = 300.0;

#[derive(Debug, Args)]
#[command(
    next_help_heading = "Fleets on libSQL servers (the token: TATMIG_AUTH_TOKEN, the admin key: TATMIG_ADMIN_KEY)"
)]
pub(crate) struct Flags {
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
    #[arg(long, global = true, env = "TATMIG_SERVER_TIMEOUT", value_name = "SECONDS", value_parser = crate::cli::args::seconds, hide_env = true)]
    server_timeout: Option<Duration>,
}

/// The same in `tatmig.toml`.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) server: Option<OneOrMore>,
    pub(crate) admin: Option<OneOrMore>,
    pub(crate) namespace_pattern: Option<String>,
    pub(crate) system_namespace: Option<String>,
    pub(crate) users_from: Option<String>,
    pub(crate) users_on: Option<PathBuf>,
    pub(crate) server_timeout: Option<f64>,
}

/// A text or a list of texts.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

/// The servers that are meant, if any; paths in the settings file are relative to `base`.
pub(crate) fn resolve(
    flags: &Flags,
    (keys, base): (Keys, &Path),
    patience: Patience,
) -> anyhow::Result<Option<Arc<Servers>>> {
    let list = |flags: &[String], key: Option<OneOrMore>| {
        // A variable that is set to nothing names none.
        let flags: Vec<String> = flags.iter().filter(|text| !text.is_empty()).cloned().collect();
        if flags.is_empty() { key.map(OneOrMore::list).unwrap_or_default() } else { flags }
    };
    let urls = list(&flags.server, keys.server);
    if urls.is_empty() {
        return Ok(None);
    }
    let mut seen: Vec<&str> = urls.iter().map(|url| url.trim_end_matches('/')).collect();
    seen.sort_unstable();
    if let Some([twice, ..]) = seen.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("the server `{twice}` is named twice");
    }
    let admins = list(&flags.admin, keys.admin);
    if !admins.is_empty() && admins.len() != urls.len() {
        bail!(
            "`--server` names {} and `--admin` {}; it names one for each server, in the same order",
            urls.len(),
            admins.len()
        );
    }
    let secret = |variable: &str| std::env::var(variable).ok().filter(|text| !text.is_empty());
    let timeout = match (flags.server_timeout, keys.server_timeout) {
        (Some(timeout), _) => timeout,
        (None, key) => {
            let seconds = key.unwrap_or(TIMEOUT);
            Duration::try_from_secs_f64(seconds)
                .with_context(|| format!("`server_timeout = {seconds}` in tatmig.toml"))?
        }
    };
    if timeout.is_zero() {
        bail!("`--server-timeout 0` would wait for no answer at all");
    }
    let mut servers = Vec::new();
    for (at, url) in urls.into_iter().enumerate() {
        let access = Access {
            url,
            admin: admins.get(at).cloned(),
            token: secret(TOKEN_VARIABLE),
            key: secret(KEY_VARIABLE),
            timeout,
        };
        access.check()?;
        servers.push(Server::new(access));
    }
    let pattern = flags.namespace_pattern.clone().or(keys.namespace_pattern);
    let pattern = pattern.as_deref().unwrap_or("{username}_longterm");
    let Ok(pattern) = pattern.parse::<Pattern>() else {
        bail!(
            "the namespace pattern `{pattern}` must hold `{{username}}` exactly once, as in `{{username}}_longterm`, and no `/`"
        );
    };
    let system = flags.system_namespace.clone().or(keys.system_namespace);
    let users_from = match (&flags.users_from, keys.users_from) {
        (Some(text), _) => text.parse()?,
        (None, Some(text)) => match text.parse()? {
            UsersFrom::File(path) => UsersFrom::File(base.join(path)),
            query @ UsersFrom::Query(_) => query,
        },
        (None, None) => UsersFrom::Query(DEFAULT_USERS.to_owned()),
    };
    let users_on = flags.users_on.clone().or_else(|| keys.users_on.map(|path| base.join(path)));
    let spread = users_on.map_or(Spread::Hash, Spread::Named);
    let system = system.unwrap_or_else(|| "system".to_owned());
    Ok(Some(Arc::new(Servers::new(servers, (pattern, system), (users_from, &spread), patience)?)))
}
