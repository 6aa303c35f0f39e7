//! Checks the README and the pages in `docs/` against the program: the output of their commands,
//! their tables of flags and settings, their links, their pictures, and the files that they name.
//!
//! `SNAPSHOTS=overwrite cargo test --test docs` writes what the program prints now into the pages.

#![allow(clippy::unwrap_used, reason = "clippy exempts test functions only")]

mod blocks;
#[cfg(unix)]
mod console;
mod inline;
mod links;
mod page;
mod paths;
#[cfg(unix)]
mod pictures;
mod program;
mod reference;

/// Held while a test reads and rewrites pages.
static WRITING: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Whether the tests write the output of the program into the pages instead of comparing it.
fn overwrites() -> bool {
    std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite")
}
