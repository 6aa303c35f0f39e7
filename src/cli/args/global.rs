//! Defines the options that every command has. `settings` combines them with `tatmig.toml`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tatmig::fleet::Shard;

#[cfg(feature = "server")]
use crate::cli::args::server::ServerArgs;
use crate::cli::output::ColorWhen;
use crate::cli::value_parsers::{parse_count, parse_seconds, parse_switch};

/// Flags over environment variables. `None` means that neither was given.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Run as if started in this directory
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// Markdown file with the migrations [default: MIGRATIONS.md]
    #[arg(
        short,
        long,
        global = true,
        env = "TATMIG_FILE",
        value_name = "PATH",
        hide_env_values = true
    )]
    pub(crate) file: Option<PathBuf>,
    /// System database [default: system.db]
    #[arg(
        long,
        global = true,
        env = "TATMIG_SYSTEM_DB",
        value_name = "PATH",
        hide_env_values = true
    )]
    pub(crate) system_db: Option<PathBuf>,
    /// Directory of the user databases [default: .]
    #[arg(
        long,
        global = true,
        env = "TATMIG_USERS_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    pub(crate) users_dir: Option<PathBuf>,
    /// Path of a user database below the users directory: {username}, {username:N}, {sha256:N},
    /// {sha1:N}, {md5:N}, and * for any one component [default: {username}_longterm.db]
    #[arg(
        long,
        global = true,
        env = "TATMIG_USER_PATTERN",
        value_name = "PATTERN",
        hide_env_values = true
    )]
    pub(crate) user_pattern: Option<String>,
    /// Directory of the backups [default: backups]
    #[arg(
        long,
        global = true,
        env = "TATMIG_BACKUPS_DIR",
        value_name = "DIR",
        hide_env_values = true
    )]
    pub(crate) backups_dir: Option<PathBuf>,
    /// Settings file [default: the nearest tatmig.toml, in the directory of --file or above]
    #[arg(long, global = true, env = "TATMIG_CONFIG", value_name = "PATH", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Open user databases that are symbolic links
    #[arg(long, global = true, env = "TATMIG_FOLLOW_SYMLINKS", value_parser = parse_switch, hide_env_values = true, num_args = 0, default_missing_value = "true")]
    pub(crate) follow_symlinks: Option<bool>,
    /// Only print errors
    #[arg(short, long, global = true, env = "TATMIG_QUIET", value_parser = parse_switch, hide_env_values = true, num_args = 0, default_missing_value = "true")]
    pub(crate) quiet: Option<bool>,
    /// List every database
    #[arg(short, long, global = true, env = "TATMIG_VERBOSE", value_parser = parse_switch, hide_env_values = true, num_args = 0, default_missing_value = "true")]
    pub(crate) verbose: Option<bool>,
    /// Seconds to wait for a locked database [default: 10]
    #[arg(long, global = true, env = "TATMIG_BUSY_TIMEOUT", value_name = "SECONDS", value_parser = parse_seconds, hide_env_values = true)]
    pub(crate) busy_timeout: Option<Duration>,
    /// Databases to work on at once [default: 32, less if the open-file limit is low]
    #[arg(long, global = true, env = "TATMIG_JOBS", value_name = "N", value_parser = parse_count, hide_env_values = true)]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// When to use colors [default: auto]
    #[arg(long, global = true, env = "TATMIG_COLOR", value_name = "WHEN", hide_env_values = true)]
    pub(crate) color: Option<ColorWhen>,
    /// Only the users of part I of N, by a hash of their names: `2/8`
    #[arg(long, global = true, env = "TATMIG_SHARD", value_name = "I/N", hide_env_values = true)]
    pub(crate) shard: Option<Shard>,
    /// Print one JSON document
    #[arg(long, global = true, env = "TATMIG_JSON", value_parser = parse_switch, hide_env_values = true, num_args = 0, default_missing_value = "true")]
    pub(crate) json: Option<bool>,
    #[cfg(feature = "server")]
    #[command(flatten)]
    pub(crate) servers: ServerArgs,
}
