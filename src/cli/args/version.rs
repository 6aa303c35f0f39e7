//! Describes the version of the program for `--version`.

use std::sync::LazyLock;

/// The output of `--version`.
pub(crate) static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let features = if cfg!(feature = "server-tls") {
        "files, libSQL servers over HTTP and HTTPS"
    } else if cfg!(feature = "server") {
        "files, libSQL servers over HTTP"
    } else {
        "files"
    };
    let sqlite = tatmig::rusqlite::version();
    format!("{}\nSQLite {sqlite}\nbackends: {features}", env!("CARGO_PKG_VERSION"))
});
