//! Reads the text files that name the users of a fleet on servers, and the server of each user.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::libsql::namespace::ServerHandle;
use crate::sqlite::regular_file::read_regular_file;
use crate::target::server_error::ServerSetError;
use crate::text::escape_for_display;

/// Reads user names, one per line.
///
/// # Errors
///
/// `InvalidLine` for a user that an earlier line names.
pub(crate) fn read_user_names(path: &Path) -> Result<BTreeSet<String>, ServerSetError> {
    let text = read_file(path)?;
    let mut names = BTreeSet::new();
    for (line, user) in numbered_lines(&text) {
        if !names.insert(user.to_owned()) {
            return Err(listed_twice(path, line, user));
        }
    }
    Ok(names)
}

/// Reads the server of each user, one `NAME URL` per line. Returns the index of the server in
/// `handles` by user name.
///
/// # Errors
///
/// `InvalidLine` for a line without a URL, with an unknown URL, or with a user that an earlier line
/// names.
pub(crate) fn read_placements(
    path: &Path,
    handles: &[Arc<ServerHandle>],
) -> Result<HashMap<String, usize>, ServerSetError> {
    let text = read_file(path)?;
    let mut placements = HashMap::new();
    for (line, text) in numbered_lines(&text) {
        let invalid_line =
            |reason: String| ServerSetError::InvalidLine { path: path.to_owned(), line, reason };
        let (user, url) = text.split_once(char::is_whitespace).ok_or_else(|| {
            invalid_line("expected a user and the URL of a server: `NAME URL`".to_owned())
        })?;
        let url = url.trim().trim_end_matches('/');
        let server_index =
            handles.iter().position(|handle| handle.server().url() == url).ok_or_else(|| {
                invalid_line(format!(
                    "`{url}` is not one of the servers; pass each server with `--server`"
                ))
            })?;
        if placements.insert(user.to_owned(), server_index).is_some() {
            return Err(listed_twice(path, line, user));
        }
    }
    Ok(placements)
}

fn listed_twice(path: &Path, line: usize, user: &str) -> ServerSetError {
    let reason = format!("the user `{}` is listed twice", escape_for_display(OsStr::new(user)));
    ServerSetError::InvalidLine { path: path.to_owned(), line, reason }
}

/// The lines of a text file that are not empty, with their numbers from 1, trimmed.
fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty())
}

fn read_file(path: &Path) -> Result<String, ServerSetError> {
    let text = read_regular_file(path).and_then(|bytes| {
        String::from_utf8(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "this is not UTF-8"))
    });
    text.map_err(|source| ServerSetError::UnreadableFile { path: path.to_owned(), source })
}
