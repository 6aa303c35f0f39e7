//! Runs `lint --watch`: checks the document again whenever its file changes. The file is looked at
//! several times a second, which finds a change however an editor writes it: in place, or by a
//! rename of a new file over the old one.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::cli::commands::context::CommandContext;
use crate::cli::document_file::DocumentFile;
use crate::cli::report::exit_status::{EXIT_SUCCESS, failure_if};
use crate::cli::settings::path::find_settings_file;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// How often a file may be missing in a row before that is reported: an editor may delete a file
/// and write it again.
const MAX_MISSING: usize = 10;

/// What shows that a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
    size: u64,
    #[cfg(unix)]
    inode: u64,
}

impl FileStamp {
    /// `None` if the file does not exist.
    fn read(path: &Path) -> Option<Self> {
        let metadata = path.metadata().ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            size: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        })
    }
}

/// Checks the document with `check`, which prints what it finds and returns an exit status, after
/// each change until a signal comes. The exit status is then 0 if the last check found nothing, else
/// 1.
///
/// # Errors
///
/// The document cannot be read at the start.
pub(crate) fn watch(
    context: CommandContext<'_>,
    check: &dyn Fn(&DocumentFile) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    let path = &context.settings.file;
    let mut stamp = FileStamp::read(path);
    let mut document = context.read_document()?;
    let mut status = check(&document)?;
    context.report.print_note(format!("watching {}; press Ctrl-C to end", document.name));
    let settings_stamp = || {
        let named = context.settings.toml_path.clone();
        FileStamp::read(&named.or_else(|| find_settings_file(Some(path)))?)
    };
    let first_settings = settings_stamp();
    let mut has_other_settings = false;
    let mut missing = 0;
    // Whether the file could be read when it was last looked at.
    let mut is_readable = true;
    while context.signals.received_signal().is_none() {
        std::thread::sleep(INTERVAL);
        if !has_other_settings && settings_stamp() != first_settings {
            has_other_settings = true;
            context
                .report
                .print_note("the settings file changed; run `tatmig lint --watch` again to use it");
        }
        let found = FileStamp::read(path);
        missing = if found.is_none() { missing + 1 } else { 0 };
        if missing == MAX_MISSING {
            is_readable = false;
            context.report.print_note(format!("{} does not exist any more", document.name));
        }
        if found.is_none() || found == stamp {
            continue;
        }
        // A program that still writes changes the file again.
        std::thread::sleep(INTERVAL / 2);
        if FileStamp::read(path) != found {
            continue;
        }
        stamp = found;
        match context.read_document() {
            Ok(new) if new.text == document.text => is_readable = true,
            Ok(new) => {
                document = new;
                is_readable = true;
                status = check(&document)?;
            }
            Err(error) => {
                is_readable = false;
                context.report.print_note(format!("{error:#}"));
            }
        }
    }
    context.signals.acknowledge();
    Ok(failure_if(status != EXIT_SUCCESS || !is_readable))
}
