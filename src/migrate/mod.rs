//! Brings one database to a version: replay, detection, plan, run and checks.

#[cfg(feature = "fleet")]
pub(crate) mod adopt;
pub(crate) mod alter_table;
pub(crate) mod borrowed;
pub(crate) mod chain_cache;
pub(crate) mod compile;
pub(crate) mod connection_check;
#[cfg(feature = "fleet")]
pub(crate) mod create;
pub(crate) mod detect;
pub(crate) mod detector;
pub(crate) mod embedded;
pub(crate) mod empty_copy;
pub(crate) mod error;
pub(crate) mod identify;
pub(crate) mod imported_versions;
pub(crate) mod job;
pub(crate) mod migrator;
pub(crate) mod once;
pub(crate) mod positional;
pub(crate) mod present_schema;
#[cfg(feature = "fleet")]
pub(crate) mod redo;
pub(crate) mod replay;
pub(crate) mod replay_cache;
#[cfg(feature = "fleet")]
pub(crate) mod reset;
pub(crate) mod retry;
pub(crate) mod reverse;
pub(crate) mod sandbox;
pub(crate) mod statement_errors;
pub(crate) mod status;
#[cfg(feature = "fleet")]
pub(crate) mod target_database;
pub(crate) mod trial;
pub(crate) mod uncomment;
#[cfg(feature = "fleet")]
pub(crate) mod undo;
#[cfg(feature = "fleet")]
pub(crate) mod verify;

#[cfg(feature = "fleet")]
pub use crate::migrate::adopt::{AdoptRequest, AdoptTarget, PresentDrift, RecordedVersion};
#[cfg(feature = "fleet")]
pub use crate::migrate::create::CreateOutcome;
pub use crate::migrate::detect::{Ambiguity, Detection, PartialMatch};
pub use crate::migrate::detector::{DetectionOptions, Detector};
pub use crate::migrate::imported_versions::VersionTableReport;
pub use crate::migrate::migrator::{Direction, Migrator};
pub use crate::migrate::replay::Replay;
pub use crate::migrate::status::{DatabaseStatus, StatusQuery};
#[cfg(feature = "fleet")]
pub use crate::migrate::target_database::StatementDiff;
#[cfg(feature = "fleet")]
pub use crate::migrate::verify::VerifyReport;
pub use crate::schema::ignored::IgnoredObjects;
