//! Reads migrations of Flyway: versioned (`V1.2__notes.sql`) with their undo files (`U1.2__notes.sql`),
//! a baseline migration (`B1__all.sql`), and repeatable ones (`R__views.sql`), which run last.

use std::collections::BTreeMap;

use crate::document::imported::{MigrationTool, normalize_key};
use crate::import::error::ImportError;
use crate::import::migration::{SourceMigration, SourceSection, ToolMigrations, Variables};
use crate::import::source_tree::{SourceTree, TreeFile};

/// The extensions of migrations that a program runs.
const CODE_EXTENSIONS: [&str; 6] = ["java", "kt", "groovy", "py", "sh", "ps1"];

/// The kind of a file, by the first letter of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Versioned,
    Undo,
    Baseline,
    Repeatable,
}

/// A file name such as `V1_2__add_notes.sql` in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileName<'n> {
    pub(crate) kind: FileKind,
    /// With dots, as the history table has it; empty for a repeatable migration.
    pub(crate) version: String,
    description: &'n str,
    is_code: bool,
}

impl<'n> FileName<'n> {
    pub(crate) fn parse(name: &'n str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let is_code = CODE_EXTENSIONS.contains(&extension);
        if extension != "sql" && !is_code {
            return None;
        }
        let (prefix, description) = stem.split_once("__")?;
        let kind = match prefix.chars().next()? {
            'V' => FileKind::Versioned,
            'U' => FileKind::Undo,
            'B' => FileKind::Baseline,
            'R' if prefix.len() == 1 => FileKind::Repeatable,
            _ => return None,
        };
        let version = prefix[1..].replace('_', ".");
        let is_version = version
            .split('.')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        (is_version || kind == FileKind::Repeatable).then_some(Self {
            kind,
            version,
            description,
            is_code,
        })
    }

    /// The version as the numbers by which Flyway orders it: digits without zeros at the start,
    /// shorter ones first.
    fn order(&self) -> Vec<OrderedNumber> {
        normalize_key(MigrationTool::Flyway, &self.version)
            .split('.')
            .map(|digits| OrderedNumber { length: digits.len(), digits: digits.to_owned() })
            .collect()
    }
}

/// A number of any length that compares as a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OrderedNumber {
    length: usize,
    digits: String,
}

/// The files of one version.
#[derive(Default)]
struct VersionFiles<'t> {
    versioned: Option<NamedFile<'t>>,
    undo: Option<NamedFile<'t>>,
    baseline: Option<NamedFile<'t>>,
}

#[derive(Clone)]
struct NamedFile<'t> {
    file: TreeFile<'t>,
    name: FileName<'t>,
}

/// All files of a directory that are migrations of Flyway.
#[derive(Default)]
struct FlywayFiles<'t> {
    versions: BTreeMap<Vec<OrderedNumber>, VersionFiles<'t>>,
    repeatable: Vec<NamedFile<'t>>,
}

pub(crate) fn read(tree: &SourceTree) -> Result<ToolMigrations, ImportError> {
    let FlywayFiles { mut versions, mut repeatable } = list_files(tree)?;
    let mut found = ToolMigrations::default();
    drop_baselines(&mut versions, &mut found.notes)?;
    for files in versions.into_values() {
        let Some(up) = files.versioned.or(files.baseline) else {
            let Some(undo) = files.undo else { continue };
            return Err(ImportError::File {
                file: undo.file.file.display_path.clone(),
                message: "no file `V…` has this version; add it, or remove this one".to_owned(),
            });
        };
        let down = files.undo.map(|undo| section(&undo)).transpose()?;
        let name = stem(&up.file);
        let migration = SourceMigration::new(up.name.version.as_str(), name, section(&up)?);
        found.migrations.push(migration.with_down(down));
    }
    repeatable.sort_by(|left, right| left.name.description.cmp(right.name.description));
    if !repeatable.is_empty() {
        let names: Vec<_> =
            repeatable.iter().map(|file| format!("`{}`", file.file.name())).collect();
        found.notes.push(format!(
            "repeatable migrations become the last migrations, and tatmig runs them once: {}; write a new migration for each later change",
            names.join(", ")
        ));
    }
    for file in repeatable {
        // The history table names the script relative to the directory.
        let migration = SourceMigration::new(file.file.path, stem(&file.file), section(&file)?);
        found.migrations.push(SourceMigration { date: None, ..migration });
    }
    Ok(found)
}

fn list_files(tree: &SourceTree) -> Result<FlywayFiles<'_>, ImportError> {
    let mut files = FlywayFiles::default();
    for path in tree.paths() {
        let file_name = path.rsplit('/').next().unwrap_or(path);
        let Some(name) = FileName::parse(file_name) else {
            continue;
        };
        let file = TreeFile { path, file: tree.file(path)? };
        if name.kind == FileKind::Repeatable {
            files.repeatable.push(NamedFile { file, name });
            continue;
        }
        let version = files.versions.entry(name.order()).or_default();
        let place = match name.kind {
            FileKind::Undo => &mut version.undo,
            FileKind::Baseline => &mut version.baseline,
            FileKind::Versioned | FileKind::Repeatable => &mut version.versioned,
        };
        let key = name.version.clone();
        if let Some(first) = place.replace(NamedFile { file, name }) {
            return Err(ImportError::DuplicateKey {
                tool: MigrationTool::Flyway,
                key,
                first: first.file.file.display_path.clone(),
                second: file.file.display_path.clone(),
            });
        }
    }
    Ok(files)
}

/// A baseline migration replaces the versions up to its own. Where those exist, it is left out.
/// Otherwise it is the first migration.
fn drop_baselines(
    versions: &mut BTreeMap<Vec<OrderedNumber>, VersionFiles<'_>>,
    notes: &mut Vec<String>,
) -> Result<(), ImportError> {
    let mut has_versioned = false;
    let mut first_baseline: Option<String> = None;
    for files in versions.values_mut() {
        has_versioned |= files.versioned.is_some();
        let Some(baseline) = &files.baseline else { continue };
        let shown = baseline.file.file.display_path.clone();
        if has_versioned {
            notes.push(format!(
                "`{shown}` is left out, since versioned migrations up to it exist: they must create the same schema, which Flyway does not check either"
            ));
            baseline.file.file.mark_used();
            files.baseline = None;
        } else if let Some(first) = first_baseline.replace(shown.clone()) {
            return Err(ImportError::File {
                file: shown,
                message: format!("`{first}` is a baseline migration as well; remove one of them"),
            });
        }
    }
    Ok(())
}

fn stem<'t>(file: &TreeFile<'t>) -> &'t str {
    file.name().rsplit_once('.').map_or(file.name(), |(stem, _)| stem)
}

fn section(file: &NamedFile<'_>) -> Result<SourceSection, ImportError> {
    let display_path = &file.file.file.display_path;
    if file.name.is_code {
        let reason =
            format!("`{}` is a program; write the statements that it runs", file.file.name());
        return Ok(SourceSection::from_code(display_path, reason));
    }
    let text = file.file.file.text()?;
    Ok(SourceSection::from_text(display_path, text).with_variables(Variables::Braces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_as_flyway_does() {
        let parse =
            |name| FileName::parse(name).map(|name| format!("{:?} {}", name.kind, name.version));
        for (name, expected) in [
            ("V1__notes.sql", Some("Versioned 1")),
            ("V1_2__notes.sql", Some("Versioned 1.2")),
            ("V001.2__notes.sql", Some("Versioned 001.2")),
            ("U1__notes.sql", Some("Undo 1")),
            ("B3__all.sql", Some("Baseline 3")),
            ("R__views.sql", Some("Repeatable ")),
            ("V1__notes.java", Some("Versioned 1")),
            ("V1_notes.sql", None),
            ("V__notes.sql", None),
            ("Va__notes.sql", None),
            ("R1__notes.sql", None),
            ("V1__notes.txt", None),
            ("notes.sql", None),
        ] {
            assert_eq!(parse(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let order = |name| FileName::parse(name).unwrap().order();
        assert!(order("V2__a.sql") < order("V10__a.sql"));
        assert!(order("V1.9__a.sql") < order("V1.10__a.sql"));
        assert!(order("V1__a.sql") < order("V1.1__a.sql"));
        assert_eq!(order("V1.0__a.sql"), order("V1__a.sql"));
        assert_eq!(order("V007__a.sql"), order("V7__a.sql"));
    }
}
