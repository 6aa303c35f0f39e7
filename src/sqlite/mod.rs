//! Opens, checks, migrates and copies SQLite database files.

pub(crate) mod authorizer;
pub(crate) mod copy;
pub(crate) mod database_file;
pub(crate) mod descriptor;
pub(crate) mod extensions;
pub(crate) mod file;
pub(crate) mod file_format;
pub(crate) mod locks;
pub(crate) mod missing_collations;
pub(crate) mod overwrite;
pub(crate) mod paths;
pub(crate) mod pending_dir;
pub(crate) mod pinned_file;
pub(crate) mod preflight;
pub(crate) mod private_copy;
pub(crate) mod read;
pub(crate) mod rebuilt_tables;
pub(crate) mod record_format;
pub(crate) mod reference_checks;
pub(crate) mod regular_file;
pub(crate) mod safety_checks;
pub(crate) mod shared_lock;
pub(crate) mod side_file;
pub(crate) mod template;
pub(crate) mod temporary;
pub(crate) mod transaction;
