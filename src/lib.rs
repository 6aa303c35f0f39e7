//! tatmig migrates SQLite databases from one markdown document.
//!
//! The crate is a chain of plain values, each made from the one before:
//!
//! 1. the document's text is split into headings, code blocks and prose;
//! 2. tags pair up into blocks of SQL, each of which knows its place in the text;
//! 3. blocks become migrations, ordered on one chain of versions: the [`Changelog`];
//! 4. the changelog is run in memory: the [`Replay`] knows every statement and its effects;
//! 5. together, and with a target, they are [`Ready`];
//! 6. what a database says of itself decides its plan: the steps that are pending, or a
//!    [`Refusal`];
//! 7. the plan runs in one transaction, is checked, recorded and committed, or changes nothing;
//! 8. the [`Verdict`]s of a [`Fleet`](fleet::Fleet) are what a command reports.
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

mod adopt;
pub mod backup;
mod copies;
mod create;
mod database;
mod document;
pub mod edit;
mod embed;
mod evidence;
mod executor;
pub mod fleet;
mod layout;
mod lint;
mod member;
#[cfg(feature = "server")]
mod moving;
mod outcome;
mod plan;
mod planned;
mod replay;
mod reset;
mod scratch;
mod selftest;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
mod servers;
mod shape;
mod shard;
mod standing;
mod verify;

pub use adopt::At;
pub use create::Created;
pub use database::DatabaseError;
pub use database::connection::Patience;
pub use database::history::{Event, Record};
#[cfg(feature = "server")]
pub use database::namespace::Host;
pub use database::practice::{ForeignKeys, JournalMode, Practice};
pub use database::stats::Stats;
pub use document::changelog::{Changelog, StepId};
pub use document::migration::{Allowance, Checksum, Migration, Part, Seed};
pub use document::problem::{DocumentError, Problem, Rule, Severity, Style};
pub use document::source::{Piece, Place, Source};
pub use document::tag::{Point, Scope};
pub use embed::UpgradeError;
pub use evidence::Finding;
pub use executor::{Direction, Ready};
pub use layout::{Layout, Links, Pattern, PatternError, shown};
pub use lint::{Engine, Judgement, SqliteVersion, SqliteVersionError, judge, lint};
pub use member::{Home, Member};
#[cfg(feature = "server")]
pub use moving::Moved;
pub use outcome::{Failure, Passage, Route, Verdict};
pub use plan::{Edit, Refusal, TargetError};
pub use replay::Replay;
pub use selftest::{Caveat, Course, Loss, SelfTest, Shortfall};
#[cfg(feature = "server")]
pub use server::names::NameError;
#[cfg(feature = "server")]
pub use servers::{DEFAULT_USERS, Servers, ServersError, Spread, UsersFrom, UsersFromError};
pub use shape::{Shape, Way, WayError};
pub use shard::{Shard, ShardError};
pub use standing::{Condition, Status};
pub use verify::Verification;

/// The README's Rust runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
