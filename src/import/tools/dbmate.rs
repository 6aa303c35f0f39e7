//! Reads migrations of dbmate: files like `20240131120000_notes.sql` with `-- migrate:up` and
//! `-- migrate:down`, applied in the order of their names.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::pattern::constant_pattern;
use crate::import::error::{FileLine, ImportError};
use crate::import::migration::{Chunk, SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::{SourceFile, SourceTree};
use crate::import::tools::files::{Depth, outside_transaction_note, sql_files};

static MARKER: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"^--\s*migrate:(up|down)(?:\s+(.*?))?\s*$"));

/// Whether a text has a marker of dbmate.
pub(crate) fn has_marker(text: &str) -> bool {
    text.contains("migrate:") && text.lines().any(|line| MARKER.is_match(line))
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut found = ToolMigrations::default();
    let mut outside_transaction = Vec::new();
    for file in sql_files(tree, Depth::Top)? {
        let version: &str = file.path.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
        if version.is_empty() {
            continue;
        }
        let name = file.path.trim_end_matches(".sql");
        let parts = parse(file.file)?;
        if parts.is_outside_transaction {
            outside_transaction.push(name.to_owned());
        }
        found.migrations.push(SourceMigration::new(version, name, parts.up).with_down(parts.down));
    }
    found.notes.extend(outside_transaction_note(&outside_transaction));
    Ok(found)
}

/// The two parts of a file.
struct FileParts {
    up: SourceSection,
    down: Option<SourceSection>,
    is_outside_transaction: bool,
}

fn parse(file: &SourceFile) -> Result<FileParts, ImportError> {
    let text = file.text()?;
    let name = &file.display_path;
    let error = |line: usize, message: &str| {
        let at = FileLine { file: name.clone(), line };
        Err(ImportError::Text { at, message: message.to_owned() })
    };
    let (mut header, mut up, mut down) = (String::new(), None::<Chunk>, None::<Chunk>);
    let mut is_outside_transaction = false;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        if let Some(captures) = MARKER.captures(line.trim_end()) {
            let is_up = &captures[1] == "up";
            if is_up && (up.is_some() || down.is_some()) {
                let message = "a second `-- migrate:up`, or one below `-- migrate:down`; write one file for each migration";
                return error(number, message);
            }
            if !is_up && (up.is_none() || down.is_some()) {
                let message = "`-- migrate:down` must be once in the file, below `-- migrate:up`";
                return error(number, message);
            }
            let options = captures.get(2).map_or("", |options| options.as_str());
            is_outside_transaction |=
                options.split_whitespace().any(|option| option == "transaction:false");
            let part = if is_up { &mut up } else { &mut down };
            *part = Some(Chunk::new("", number + 1));
            continue;
        }
        match (&mut up, &mut down) {
            (_, Some(chunk)) | (Some(chunk), None) => chunk.text.push_str(line),
            (None, None) => {
                if !line.trim().is_empty() && !line.trim_start().starts_with("--") {
                    return error(
                        number,
                        "a statement above `-- migrate:up`, which dbmate does not run; move it below",
                    );
                }
                header.push_str(line);
            }
        }
    }
    let Some(up) = up else {
        return error(1, "the file has no line `-- migrate:up`, which dbmate requires; add it");
    };
    let up = SourceSection::from_chunks(name, vec![Chunk::new(&header, 1), up]);
    let down = down.map(|down| SourceSection::from_chunks(name, vec![down]));
    Ok(FileParts { up, down, is_outside_transaction })
}
