//! tatmig migrates SQLite databases from one Markdown document.
//!
//! **Stable:** what an application embeds, re-exported here: [`Changelog`] with
//! [`parse`](Changelog::parse), [`upgrade`](Changelog::upgrade) and [`status`](Changelog::status),
//! [`Scope`], [`Error`] and [`Diagnostic`]. **Unstable:** every public module below, and the methods
//! whose signatures name a type of such a module. They are the engine of the command line, exist
//! behind cargo features, and may change in any release.
//!
//! An application embeds its document and upgrades a connection, for example when a user logs in:
//!
//! ```
//! use tatmig::{Changelog, Scope};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("ann_longterm.db");
//! // The same document that the command line migrates the fleet with.
//! let changelog = Changelog::parse(include_str!("../MIGRATIONS.md"))?;
//! let mut connection = tatmig::rusqlite::Connection::open(path)?;
//! changelog.upgrade(&mut connection, Scope::User)?;
//! # connection.execute("INSERT INTO topics (topic_name) VALUES ('tea')", [])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`rusqlite`] and [`semver`] appear in the signatures, so both are re-exported. Use
//! `tatmig::rusqlite`, or the same major version: two copies of SQLite in one process do not see
//! each other's locks.
//!
//! # How a migration runs
//!
//! The crate is a chain of plain values, each made from the one before:
//!
//! 1. The text of the document is split into headings, code blocks and prose.
//! 2. Tags pair up into blocks of SQL, each of which has its position in the text.
//! 3. Blocks become migrations, ordered on one chain of versions: the [`Changelog`].
//! 4. The replay runs the changelog in memory and determines the effects of every statement.
//! 5. The history or the schema of a database gives its position on the chain, and so its plan: the
//!    steps that are pending, or the reason why the database is refused.
//! 6. The steps run in one transaction, are checked, recorded in the history and committed; or the
//!    database stays unchanged.
//!
//! # Cargo features
//!
//! Without default features only the stable part is public, and no dependency of the command line
//! is built.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `fleet` | the modules `fleet` and `backup` |
//! | `server` | fleets on a libSQL server, over HTTP; `server-tls` over HTTPS |
//! | `lint` | the module `lint` |
//! | `schema-diff` | the module `schema_diff` |
//! | `self-test` | the module `selftest` |
//! | `edit` | the modules `edit` and `import` |
//! | `lsp` (default) | the module `lsp`, a language server for editors |
//! | `cli` (default) | the command line, with all of these but `lsp` and `server`, which are defaults themselves |
//!
//! Each of them also makes public the modules that they share: `database`, `document`, `migrate`,
//! `plan` and `text`.

// Without a feature, the code that only this feature's public module calls is unused.
#![cfg_attr(
    not(all(
        feature = "fleet",
        feature = "lint",
        feature = "schema-diff",
        feature = "self-test",
        feature = "edit",
        feature = "lsp",
        feature = "server"
    )),
    allow(
        dead_code,
        unused_imports,
        unreachable_pub,
        reason = "used by the public modules of other features"
    )
)]

#[cfg(feature = "fleet")]
pub mod backup;
#[cfg(feature = "unstable")]
pub mod database;
#[cfg(not(feature = "unstable"))]
mod database;
#[cfg(feature = "unstable")]
pub mod document;
#[cfg(not(feature = "unstable"))]
mod document;
#[cfg(feature = "edit")]
pub mod edit;
#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "edit")]
pub mod import;
#[cfg(feature = "server")]
mod libsql;
#[cfg(feature = "lint")]
pub mod lint;
#[cfg(feature = "lsp")]
pub mod lsp;
#[cfg(feature = "unstable")]
pub mod migrate;
#[cfg(not(feature = "unstable"))]
mod migrate;
#[cfg(feature = "unstable")]
pub mod plan;
#[cfg(not(feature = "unstable"))]
mod plan;
mod schema;
#[cfg(feature = "schema-diff")]
pub mod schema_diff;
#[cfg(feature = "self-test")]
pub mod selftest;
mod source;
mod sql;
#[cfg(feature = "server")]
pub mod sqld;
#[cfg(not(feature = "server"))]
mod sqld;
mod sqlite;
#[cfg(feature = "fleet")]
mod target;
#[cfg(feature = "unstable")]
pub mod text;
#[cfg(not(feature = "unstable"))]
mod text;

pub use rusqlite;
pub use semver;

pub use crate::document::changelog::Changelog;
pub use crate::document::diagnostic::{ColorMode, Diagnostic, Rule, Severity};
pub use crate::document::extensions::Extensions;
pub use crate::document::tag::{Scope, VersionPoint};
pub use crate::migrate::embedded::{StatusReport, UpgradeReport};
pub use crate::migrate::error::{Error, ErrorKind};
pub use crate::migrate::status::DatabaseState;
pub use crate::source::{LineColumn, Source};

/// The README's Rust runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So does that of the guides to the library and to extensions.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryGuide;

#[cfg(doctest)]
#[doc = include_str!("../docs/extensions.md")]
struct ExtensionsGuide;
