//! Reads migrations of refinery: files like `V1__notes.sql` or `U1__notes.sql`, in any directory,
//! applied in the order of their versions. Migrations in Rust are left for a person.

use std::sync::LazyLock;

use regex::Regex;

use crate::document::pattern::constant_pattern;
use crate::import::error::ImportError;
use crate::import::migration::{SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::SourceTree;
use crate::import::tools::numbered::whole_file;

static FILE_NAME: LazyLock<Regex> =
    LazyLock::new(|| constant_pattern(r"^[UV](\d+)(?:\.\d+)?__\w+\.(sql|rs)$"));

pub(crate) fn is_file_name(name: &str) -> bool {
    FILE_NAME.is_match(name)
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let mut numbered = Vec::new();
    for path in tree.paths() {
        let file_name = path.rsplit('/').next().unwrap_or(path);
        let Some(captures) = FILE_NAME.captures(file_name) else {
            continue;
        };
        let file = tree.file(path)?;
        let error = |message: &str| ImportError::File {
            file: file.display_path.clone(),
            message: message.to_owned(),
        };
        // refinery's pattern allows a fraction, and its version is a whole number.
        let number = captures[1].parse::<i64>().map_err(|_| error("the version is too large"))?;
        if file_name.split("__").next().is_some_and(|version| version.contains('.')) {
            return Err(error("the version of refinery must be a whole number; rename the file"));
        }
        let name = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
        let up = if &captures[2] == "rs" {
            let reason =
                format!("`{file_name}` is a migration in Rust; write the statements that it runs");
            SourceSection::from_code(&file.display_path, reason)
        } else {
            whole_file(file)?
        };
        let migration = SourceMigration::new(number.to_string(), name, up);
        numbered.push(Numbered { number, migration });
    }
    numbered.sort_by_key(|found| found.number);
    let migrations = numbered.into_iter().map(|found| found.migration).collect();
    Ok(ToolMigrations { migrations, ..ToolMigrations::default() })
}

struct Numbered {
    number: i64,
    migration: SourceMigration,
}
