//! Finds the databases of a fleet and runs operations on them: the system database first, then the
//! users' databases in parallel. The result of each database is a value; results are in name order.

pub(crate) mod directory;
pub(crate) mod discover;
pub(crate) mod downgrade;
pub(crate) mod error;
pub(crate) mod health;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod misplaced;
pub(crate) mod name_prefix;
#[cfg(feature = "server")]
pub(crate) mod namespaces;
pub(crate) mod near_misses;
pub(crate) mod no_known_version;
pub(crate) mod pool;
pub(crate) mod query;
pub(crate) mod redo;
pub(crate) mod redo_candidates;
pub(crate) mod run;
pub(crate) mod selection;
pub(crate) mod suggestions;
#[cfg(feature = "server")]
pub(crate) mod transfer;
pub(crate) mod walk;

pub use crate::database::query::{QueryError, ReadQuery};
pub use crate::fleet::discover::Fleet;
pub use crate::fleet::downgrade::{
    DowngradeError, DowngradePlan, DowngradeRequest, DowngradeTarget, UsersAboveTarget,
};
pub use crate::fleet::error::FleetError;
pub use crate::fleet::health::{FileHealth, can_create_files, free_space};
pub use crate::fleet::init::{InitError, InitPlan, InitRequest};
pub use crate::fleet::near_misses::NearMisses;
pub use crate::fleet::no_known_version::NoKnownVersion;
pub use crate::fleet::pool::{DEFAULT_JOBS, worker_count};
pub use crate::fleet::query::QueryResult;
pub use crate::fleet::redo::{RedoPlan, RedoStep};
pub use crate::fleet::redo_candidates::{RedoCandidates, RedoError, RedoRequest};
pub use crate::fleet::run::{FleetOutcome, OnFailure, RunOptions};
pub use crate::fleet::selection::{DatabaseName, Selection, SystemSelection, UserSelection};
#[cfg(feature = "server")]
pub use crate::fleet::transfer::{TransferDestination, Transferred};
#[cfg(feature = "server")]
pub use crate::libsql::namespace::ServerHandle;
pub use crate::sql::value::SqlValue;
pub use crate::sqlite::database_file::DatabaseFile;
pub use crate::sqlite::extensions::{ExtensionError, ExtensionLibrary};
pub use crate::sqlite::file_format::has_database_header;
pub use crate::sqlite::file_status::FileIdentity;
pub use crate::sqlite::paths::is_side_file_name;
pub use crate::sqlite::regular_file::{SymlinkPolicy, read_regular_file};
pub use crate::target::layout::FleetConfig;
pub use crate::target::pattern::{PathMatch, PathTemplate};
pub use crate::target::pattern_error::PathTemplateError;
pub use crate::target::query::{QueryFailure, QueryRows};
pub use crate::target::row_spool::{RowReader, RowSpool};
#[cfg(feature = "server")]
pub use crate::target::server_error::{MissingNamespace, ServerSetError};
#[cfg(feature = "server")]
pub use crate::target::servers::{Placement, ServerSet, ServerSetConfig};
pub use crate::target::shard::{Shard, ShardError};
#[cfg(feature = "server")]
pub use crate::target::transfer::TransferOutcome;
#[cfg(feature = "server")]
pub use crate::target::user_source::{DEFAULT_USERS_QUERY, UserSource, UserSourceError};
pub use crate::target::{Location, TargetDatabase};
