//! Defines the options for fleets on libSQL servers.
//!
//! The token and the admin key are read from environment variables only, so that no shell history,
//! process list or file holds them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::value_parsers::parse_seconds;

/// Flags over environment variables. `None` and an empty list mean that neither was given.
#[derive(Clone, Debug, Args)]
#[command(
    next_help_heading = "Server options (token: TATMIG_AUTH_TOKEN, admin key: TATMIG_ADMIN_KEY)"
)]
pub(crate) struct ServerArgs {
    /// libSQL server that holds the databases as namespaces; repeat for several servers
    #[arg(
        long,
        global = true,
        env = "TATMIG_SERVER",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) server: Vec<String>,
    /// Admin address of the server, to create and delete namespaces; one for each --server
    #[arg(
        long,
        global = true,
        env = "TATMIG_ADMIN",
        value_name = "URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) admin: Vec<String>,
    /// Name of a user's namespace [default: {username}_longterm]
    #[arg(
        long,
        global = true,
        env = "TATMIG_NAMESPACE_PATTERN",
        value_name = "PATTERN",
        hide_env_values = true
    )]
    pub(crate) namespace_pattern: Option<String>,
    /// Namespace of the system database [default: system]
    #[arg(
        long,
        global = true,
        env = "TATMIG_SYSTEM_NAMESPACE",
        value_name = "NAME",
        hide_env_values = true
    )]
    pub(crate) system_namespace: Option<String>,
    /// List of users: `query:SELECT …` on the system namespace, or `file:PATH` [default:
    /// query:SELECT username FROM users]
    #[arg(
        long,
        global = true,
        env = "TATMIG_USERS_FROM",
        value_name = "SOURCE",
        hide_env_values = true
    )]
    pub(crate) users_from: Option<String>,
    /// File that maps users to servers, one `NAME URL` per line [default: by a hash of the name]
    #[arg(
        long,
        global = true,
        env = "TATMIG_USERS_ON",
        value_name = "PATH",
        hide_env_values = true
    )]
    pub(crate) users_on: Option<PathBuf>,
    /// Seconds that a request may take [default: 300]
    #[arg(long, global = true, env = "TATMIG_SERVER_TIMEOUT", value_name = "SECONDS", value_parser = parse_seconds, hide_env_values = true)]
    pub(crate) server_timeout: Option<Duration>,
}
