//! Reads the SQL that Alembic prints with `upgrade head --sql` and `downgrade head:base --sql`: one
//! file, standard input, or a directory with both. A comment line precedes each revision.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::pattern::constant_pattern;
use crate::import::error::{FileLine, ImportError};
use crate::import::migration::{Chunk, SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::{SourceFile, SourceTree};
use crate::sql::lexer;

/// `-- Running upgrade a, b -> c`. The revisions on one side may be missing.
static MARKER: LazyLock<Regex> = LazyLock::new(|| {
    constant_pattern(r"^-- Running (upgrade|downgrade)\s+([\w, -]*?)\s*->\s*([\w, -]*?)\s*$")
});

/// Whether a text is the output of Alembic.
pub(crate) fn has_marker(text: &str) -> bool {
    text.contains("-- Running ") && text.lines().any(|line| MARKER.is_match(line))
}

/// The statements of one revision in one direction.
struct Step {
    is_upgrade: bool,
    revision: String,
    chunk: Chunk,
    file: String,
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut steps = Vec::new();
    for file in tree.files().filter(|file| file.file.peek().is_ok_and(has_marker)) {
        read_steps(file.file, &mut steps)?;
    }
    let (upgrades, mut downgrades): (Vec<_>, Vec<_>) =
        steps.into_iter().partition(|step| step.is_upgrade);
    let mut found = ToolMigrations::default();
    for step in upgrades {
        let position = downgrades.iter().position(|down| down.revision == step.revision);
        let down = position.map(|position| downgrades.remove(position));
        let down = down.map(|down| SourceSection::from_chunks(&down.file, vec![down.chunk]));
        let up = SourceSection::from_chunks(&step.file, vec![step.chunk]);
        let name = script_name(tree, &step.revision).unwrap_or(&step.revision);
        let migration = SourceMigration::new(step.revision.as_str(), name, up);
        found.migrations.push(SourceMigration { date: None, ..migration }.with_down(down));
    }
    if let Some(down) = downgrades.first() {
        return Err(ImportError::File {
            file: down.file.clone(),
            message: format!(
                "the revision `{}` is downgraded and never upgraded; add the output of `alembic upgrade head --sql`",
                down.revision
            ),
        });
    }
    Ok(found)
}

/// The name of the script of a revision, `1975ea83b712_add_notes`, if the directory contains it.
fn script_name<'t>(tree: &'t SourceTree, revision: &str) -> Option<&'t str> {
    tree.paths().find_map(|path| {
        let name = path.rsplit('/').next()?.strip_suffix(".py")?;
        name.strip_prefix(revision)?.starts_with('_').then_some(name)
    })
}

/// Reads the steps of one file. Statements above the first one, which create Alembic's own table,
/// belong to it.
fn read_steps(file: &SourceFile, steps: &mut Vec<Step>) -> Result<(), ImportError> {
    let text = file.text()?;
    let mut preamble = Chunk::new("", 1);
    let first_step = steps.len();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        let Some(captures) = MARKER.captures(line.trim_end()) else {
            let step = if steps.len() > first_step { steps.last_mut() } else { None };
            step.map_or(&mut preamble, |step| &mut step.chunk).text.push_str(line);
            continue;
        };
        let is_upgrade = &captures[1] == "upgrade";
        let revision = captures[if is_upgrade { 3 } else { 2 }].trim().to_owned();
        let at = FileLine { file: file.display_path.clone(), line: number };
        if revision.is_empty() || revision.contains([',', ' ']) {
            let message = "this line does not name one revision".to_owned();
            return Err(ImportError::Text { at, message });
        }
        let is_twice =
            steps.iter().any(|step| step.is_upgrade == is_upgrade && step.revision == revision);
        if is_twice {
            let message = format!("the revision `{revision}` is in the output twice; remove one");
            return Err(ImportError::Text { at, message });
        }
        let chunk = if steps.len() == first_step && !lexer::is_empty(&preamble.text) {
            // A blank line in the place of the marker keeps the numbers of the lines.
            let text = format!("{}\n", std::mem::take(&mut preamble.text));
            Chunk::new(&text, 1)
        } else {
            Chunk::new("", number + 1)
        };
        steps.push(Step { is_upgrade, revision, chunk, file: file.display_path.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_lines_name_their_revisions() {
        let parse = |line: &str| {
            MARKER.captures(line).map(|found| format!("{}|{}|{}", &found[1], &found[2], &found[3]))
        };
        for (line, expected) in [
            ("-- Running upgrade  -> 1975ea83b712", Some("upgrade||1975ea83b712")),
            ("-- Running upgrade a1 -> b2", Some("upgrade|a1|b2")),
            ("-- Running upgrade a1, b2 -> c3", Some("upgrade|a1, b2|c3")),
            ("-- Running upgrade a-1 -> b_2", Some("upgrade|a-1|b_2")),
            ("-- Running downgrade 1975ea83b712 -> ", Some("downgrade|1975ea83b712|")),
            ("-- Running downgrade b2 -> a1", Some("downgrade|b2|a1")),
            ("-- Running stamp_revision a1 -> b2", None),
            ("-- Running", None),
        ] {
            assert_eq!(parse(line).as_deref(), expected, "{line}");
        }
    }
}
