//! Reads the SQL of migrations that are programs: those of Kysely and of Knex. A file
//! `20240131_notes.ts.sql` or `20240131_notes.sql` holds what `20240131_notes.ts` runs, and
//! `20240131_notes.down.sql` what undoes it. A program without such a file is left for a person.

use std::collections::BTreeMap;

use crate::document::imported::MigrationTool;
use crate::import::error::ImportError;
use crate::import::migration::{SourceMigration, SourceSection, ToolMigrations};
use crate::import::source_tree::{SourceFile, SourceTree};
use crate::import::tools::files::{Depth, sql_files};
use crate::import::tools::numbered::whole_file;

/// The extensions of programs.
const EXTENSIONS: [&str; 7] = [".ts", ".js", ".mts", ".mjs", ".cts", ".cjs", ".coffee"];

/// The files of one migration.
#[derive(Default)]
struct ScriptFiles<'t> {
    /// With its extension.
    program: Option<&'t str>,
    up: Option<&'t SourceFile>,
    down: Option<&'t SourceFile>,
}

/// Whether a name is that of a program.
pub(crate) fn is_program(name: &str) -> bool {
    !name.ends_with(".d.ts") && EXTENSIONS.iter().any(|extension| name.ends_with(extension))
}

/// Whether a file of SQL is named after a program: `20240131_notes.ts.sql`, or `20240131_notes.sql`
/// beside `20240131_notes.ts`.
pub(crate) fn has_sql_of_programs(tree: &SourceTree) -> bool {
    let programs: Vec<&str> =
        tree.top_names().filter(|name| is_program(name)).map(without_extension).collect();
    tree.top_names().filter_map(|name| name.strip_suffix(".sql")).any(|stem| {
        let stem = stem.strip_suffix(".down").or(stem.strip_suffix(".up")).unwrap_or(stem);
        is_program(stem) || programs.contains(&stem)
    })
}

/// A name without the extension of a program.
fn without_extension(name: &str) -> &str {
    let stem = EXTENSIONS.iter().find_map(|extension| name.strip_suffix(extension));
    stem.unwrap_or(name)
}

/// Kysely's key is the file name without its extension.
pub(crate) fn read_kysely(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    read(tree, MigrationTool::Kysely)
}

/// Knex's key is the file name with its extension.
pub(crate) fn read_knex(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    read(tree, MigrationTool::Knex)
}

fn read(tree: &SourceTree, tool: MigrationTool) -> Result<ToolMigrations, ImportError> {
    let mut scripts: BTreeMap<&str, ScriptFiles<'_>> = BTreeMap::new();
    for name in tree.top_names().filter(|name| is_program(name)) {
        scripts.entry(without_extension(name)).or_default().program = Some(name);
    }
    for file in sql_files(tree, Depth::Top)? {
        let stem = file.path.trim_end_matches(".sql");
        let (name, is_down) = match stem.strip_suffix(".down") {
            Some(name) => (name, true),
            None => (stem.strip_suffix(".up").unwrap_or(stem), false),
        };
        let files = scripts.entry(without_extension(name)).or_default();
        if is_program(name) {
            files.program = Some(name);
        }
        let place = if is_down { &mut files.down } else { &mut files.up };
        if let Some(first) = place.replace(file.file) {
            let (first, second) = (first.display_path.clone(), file.file.display_path.clone());
            return Err(ImportError::DuplicateKey { tool, key: name.to_owned(), first, second });
        }
    }
    let mut found = ToolMigrations::default();
    for (name, files) in scripts {
        found.migrations.push(read_script(tree, tool, name, &files)?);
    }
    Ok(found)
}

fn read_script(
    tree: &SourceTree,
    tool: MigrationTool,
    name: &str,
    files: &ScriptFiles<'_>,
) -> Result<SourceMigration, ImportError> {
    let up = match (files.up, files.program, files.down) {
        (Some(file), ..) => whole_file(file)?,
        (None, Some(program), _) => SourceSection::from_code(
            &tree.display_path(program),
            format!("`{program}` is a program; write the statements that it runs"),
        ),
        (None, None, down) => {
            return Err(ImportError::File {
                file: down.map_or_else(String::new, |file| file.display_path.clone()),
                message: "no file with the same name leads up; add it, or remove this one"
                    .to_owned(),
            });
        }
    };
    let down = files.down.map(whole_file).transpose()?;
    let key = match (tool, files.program) {
        (MigrationTool::Knex, Some(program)) => program,
        (MigrationTool::Knex, None) => {
            return Err(ImportError::File {
                file: up.file,
                message: format!(
                    "Knex records the name of the program with its extension; name the file `{name}.js.sql` or `{name}.ts.sql`"
                ),
            });
        }
        _ => name,
    };
    Ok(SourceMigration::new(key, name, up).with_down(down))
}
