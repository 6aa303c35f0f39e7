//! Lists the files of a directory for the modules of the tools, and words the notes on files that are
//! left out.

use crate::document::imported::MigrationTool;
use crate::import::error::ImportError;
use crate::import::source_tree::{SourceTree, TreeFile, has_extension};
use crate::text::list_names;

/// Which directories a tool looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    Top,
    Recursive,
}

/// The files with names that end in `.sql`, in the order of the paths.
///
/// # Errors
///
/// Something else than a file has such a name.
pub(crate) fn sql_files(tree: &SourceTree, depth: Depth) -> Result<Vec<TreeFile<'_>>, ImportError> {
    let paths = tree.paths().filter(|path| {
        has_extension(path, "sql") && (depth == Depth::Recursive || !path.contains('/'))
    });
    paths.map(|path| Ok(TreeFile { path, file: tree.file(path)? })).collect()
}

/// A file name such as `0001_notes.sql` in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberedName<'n> {
    /// The digits before the first `_`.
    pub(crate) number: &'n str,
    /// The text behind the `_`, with the extension.
    pub(crate) rest: &'n str,
}

impl<'n> NumberedName<'n> {
    pub(crate) fn parse(name: &'n str) -> Option<Self> {
        let (number, rest) = name.split_once('_')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(Self { number, rest })
    }

    /// The number, if it is one of 64 bits.
    pub(crate) fn value(&self) -> Option<i64> {
        self.number.parse().ok()
    }
}

/// The first few names of files, and how many more there are.
pub(crate) fn list_files(names: &[String]) -> String {
    let escaped: Vec<String> = names.iter().map(|name| name.escape_debug().to_string()).collect();
    list_names(&escaped)
}

/// A note on files of SQL that the tool does not take for migrations either.
pub(crate) fn left_out_note(tool: MigrationTool, names: &[String]) -> Option<String> {
    let verb = if names.len() == 1 { "is no migration" } else { "are no migrations" };
    let reason = match tool {
        MigrationTool::Drizzle => "since the journal does not list it",
        MigrationTool::Alembic | MigrationTool::Django | MigrationTool::Rails => "by the text",
        _ => "by the name or the directory",
    };
    (!names.is_empty())
        .then(|| format!("{} {verb} of {tool}, {reason}: left out", list_files(names)))
}

/// A note on migrations that the tool runs outside of a transaction.
pub(crate) fn outside_transaction_note(names: &[String]) -> Option<String> {
    let verb = if names.len() == 1 { "was" } else { "were" };
    (!names.is_empty()).then(|| {
        format!(
            "{} {verb} not run in a transaction; tatmig runs every migration in one",
            list_files(names)
        )
    })
}
