//! tatmig migrates SQLite databases from one markdown document.
//!
//! The crate is a chain of plain values, each made from the one before:
//!
//! 1. the document's text is split into headings, code blocks and prose;
//! 2. tags pair up into blocks of SQL, each of which knows its place in the text;
//! 3. blocks become migrations, ordered on one chain of versions: the [`Changelog`];
//! 4. the changelog is run in memory: the [`Replay`] knows every statement and its effects;
//! 5. together, and with a target, they are [`Migrator`];
//! 6. what a database says of itself decides its plan: the steps that are pending, or a
//!    [`PlanError`];
//! 7. the plan runs in one transaction, is checked, recorded and committed, or changes nothing;
//! 8. the [`Outcome`]s of a [`Fleet`](fleet::Fleet) are what a command reports.
//!
//! An application that embeds its document needs the first and the last line only:
//!
//! ```
//! use tatmig::{Changelog, Scope};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("ann_longterm.db");
//! // The same document that the command line migrates the fleet with.
//! let changelog = Changelog::parse(include_str!("../MIGRATIONS.md"))?;
//! let mut connection = rusqlite::Connection::open(path)?;
//! changelog.upgrade(&mut connection, Scope::User)?;
//! # connection.execute("INSERT INTO topics (topic_name) VALUES ('tea')", [])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Built without its default feature `cli`, the crate has none of the command line's
//! dependencies.

pub mod backup;
mod database;
mod document;
pub mod edit;
pub mod fleet;
#[cfg(feature = "server")]
mod libsql;
mod lint;
mod migrate;
mod plan;
mod schema;
mod schema_diff;
mod selftest;
mod source;
mod sql;
pub mod sqld;
mod sqlite;
mod target;
mod text;

pub use crate::database::connection::ConnectOptions;
pub use crate::database::error::DatabaseError;
pub use crate::database::history_entry::{HistoryEntry, HistoryEvent};
pub use crate::database::policy::{DatabasePolicy, ForeignKeyPolicy, JournalMode};
pub use crate::database::stats::Stats;
pub use crate::document::changelog::{Changelog, StepId};
pub use crate::document::diagnostic::{ColorMode, Diagnostic, DocumentError, Rule, Severity};
pub use crate::document::migration::{AllowDirective, Checksum, Migration, ScopedSql, Seed};
pub use crate::document::tag::{Scope, VersionPoint};
#[cfg(feature = "server")]
pub use crate::libsql::namespace::ServerHandle;
pub use crate::lint::engine::Backend;
pub use crate::lint::engine::LintOptions;
pub use crate::lint::engine::SqliteVersion;
pub use crate::lint::engine::SqliteVersionError;
pub use crate::lint::{LintReport, lint, lint_with};
pub use crate::migrate::adopt::AdoptTarget;
pub use crate::migrate::create::CreateOutcome;
pub use crate::migrate::detect::Detection;
pub use crate::migrate::embedded::UpgradeError;
pub use crate::migrate::migrator::{Direction, Migrator};
pub use crate::migrate::replay::Replay;
pub use crate::migrate::status::{DatabaseState, DatabaseStatus};
pub use crate::migrate::verify::VerifyReport;
pub use crate::plan::outcome::{AppliedRun, MigrateError, MigrationPath, Outcome};
pub use crate::plan::{ChangedMigration, PlanError, TargetError};
pub use crate::schema_diff::{DiffError, SchemaDiff, SchemaSnapshot};
pub use crate::selftest::{CoverageGap, GapKind, Regression, Scenario, SelfTestReport};
pub use crate::source::{LineColumn, Source, SourceSlice};
#[cfg(feature = "server")]
pub use crate::sqld::namespace_name::NamespaceNameError;
pub use crate::target::layout::{FleetConfig, SymlinkPolicy};
pub use crate::target::pattern::{PathTemplate, PathTemplateError};
#[cfg(feature = "server")]
pub use crate::target::servers::{
    DEFAULT_USERS_QUERY, Placement, ServerSet, ServerSetError, UserSource, UserSourceError,
};
pub use crate::target::shard::{Shard, ShardError};
#[cfg(feature = "server")]
pub use crate::target::transfer::TransferOutcome;
pub use crate::target::{Location, TargetDatabase};
pub use crate::text::escape_for_display;

/// The README's Rust runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
