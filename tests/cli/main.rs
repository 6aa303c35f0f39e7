//! Tests the command line through the real program: one module per command, and one for each kind
//! of invalid input.
#![allow(
    clippy::unwrap_used,
    reason = "clippy exempts test functions only, and here all of it is test"
)]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "snapshots are written in this form when `SNAPSHOTS=overwrite` renews them"
)]

mod adopt;
mod already_applied;
mod assertions;
mod backup;
mod bad_input;
mod completions;
mod config;
mod create;
mod declarations;
mod demo;
mod detection;
mod doctor;
mod downgrade;
mod dry_run;
mod edited;
#[cfg(target_os = "linux")]
mod extensions;
mod failures;
mod from_db;
mod headings;
mod history;
mod import;
mod imported;
mod init;
mod json;
mod json_lines;
mod layouts;
mod lint;
mod lint_fix;
#[cfg(unix)]
mod names;
mod near_misses;
mod new;
mod policy;
mod promote;
mod query;
mod redo;
mod rehearse;
mod renumber;
mod report;
mod reset;
mod restore;
mod schema;
mod schema_diff;
mod seed;
mod selection;
mod settings_keys;
#[cfg(unix)]
mod shells;
mod sql;
mod sql_mistakes;
mod stats;
mod status;
#[allow(dead_code, reason = "each of the two binaries uses its own part")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(unix)]
mod terminal;
mod upgrade;
mod usage;
mod version_tables;
