//! `promote`: a planned migration released in the document, once it is proved to run.

use anyhow::{Context, bail};
use semver::Version;
use tatmig::{Changelog, edit};

use crate::cli::commands::new::today;
use crate::cli::commands::{Tools, write_document};
use crate::cli::report::{DONE, Written};

pub(crate) fn run(tools: Tools<'_>, version: &str) -> anyhow::Result<u8> {
    let version = Version::parse(version)
        .with_context(|| format!("`{version}` is not a version; write three numbers"))?;
    let text = tools.text()?;
    let changelog = tools.changelog(&text)?;
    let edited = edit::promote(&changelog, &version, &today())?;
    let read = Changelog::parse_named(&text.name, &edited)?;
    tools.replay(&read, read.head_position())?;
    let migration = read.history().find(|migration| migration.to.version() == Some(&version));
    let Some(migration) = migration else { bail!("`{version}` is not found any more") };
    write_document::replace(&tools.settings.file, &text, &edited)?;
    tools.report.written(&read, &Written { migration, remarks: &[], what: "released" });
    Ok(DONE)
}
