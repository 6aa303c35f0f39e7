//! Gives each migration the lines `**Imported**: …` below its headings, and reports those that cannot
//! be read, that belong to no migration, or that name the same migration of another tool.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::document::blocks::{Block, Blocks};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::imported::{ImportedError, ImportedFrom, ImportedLine, MigrationTool};
use crate::document::tag::{Scope, Tag, VersionPair};

/// The lines of one migration.
#[derive(Default)]
struct LinesOfMigration<'b> {
    /// By their place in the document.
    lines: BTreeMap<usize, &'b ImportedLine>,
    scopes: BTreeSet<Scope>,
}

/// The migrations of other tools that each migration came from, in document order. A reverse block has
/// none. Adds to `diagnostics` what is wrong with the lines.
pub(crate) fn assign_imported(
    blocks: &Blocks<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<VersionPair, Vec<ImportedFrom>> {
    let mut migrations: BTreeMap<VersionPair, LinesOfMigration<'_>> = BTreeMap::new();
    for block in &blocks.list {
        let Tag::Migration { scope, from, to } = &block.tag else { continue };
        if to < from {
            continue;
        }
        let found = migrations.entry(VersionPair::new(from.clone(), to.clone())).or_default();
        found.scopes.insert(*scope);
        found.lines.extend(lines_of(blocks, block).map(|line| (line.span.start, line)));
    }
    let used: BTreeSet<usize> =
        migrations.values().flat_map(|found| found.lines.keys().copied()).collect();
    let sections = blocks.sections.iter().flat_map(|section| &section.imported);
    for line in sections.chain(&blocks.imported_without_heading) {
        diagnostics.extend(check_line(line, used.contains(&line.span.start)));
    }
    check_duplicates(&migrations, diagnostics);
    let values = |found: LinesOfMigration<'_>| {
        found.lines.into_values().filter_map(|line| line.value.clone().ok()).collect()
    };
    migrations.into_iter().map(|(pair, found)| (pair, values(found))).collect()
}

/// The lines below the heading that names the migration of a block, and below deeper headings that
/// contain the block.
fn lines_of<'b, 'a>(
    blocks: &'b Blocks<'a>,
    block: &Block<'a>,
) -> impl Iterator<Item = &'b ImportedLine> + use<'b, 'a> {
    let title = blocks.title_section(block.section).map(|section| section.span.clone());
    let mut is_above_title = false;
    let sections = blocks.ancestors(block.section).take_while(move |section| {
        let is_included = !is_above_title;
        is_above_title |= Some(&section.span) == title.as_ref();
        is_included
    });
    sections.flat_map(|section| &section.imported)
}

/// What is wrong with a line. Below a heading without a migration, prose of the same form is not
/// reported.
fn check_line(line: &ImportedLine, is_used: bool) -> Option<Diagnostic> {
    let report = |message: String, help: String| {
        Some(Diagnostic::new(Rule::MalformedImported, line.span.clone(), message).help(help))
    };
    match &line.value {
        Ok(imported_from) if !is_used => report(
            format!(
                "`{imported_from}` belongs to no migration: no block follows below its heading"
            ),
            "move the line below the heading of the migration, which contains its blocks"
                .to_owned(),
        ),
        Ok(_) => None,
        Err(ImportedError::UnknownTool(unknown)) if is_used => {
            let help = match MigrationTool::suggest(&unknown.name) {
                Some(tool) => format!("did you mean `{tool}`?"),
                None => format!("write one of {}", list_tools()),
            };
            report(unknown.to_string(), help)
        }
        Err(ImportedError::MissingTool) if is_used => report(
            "the tool and the key of the migration are missing".to_owned(),
            "write both, such as `**Imported**: goose 7`, or remove the line".to_owned(),
        ),
        Err(ImportedError::MissingKey(tool)) => report(
            format!("the key of the migration in {tool}'s version table is missing"),
            format!("write it behind `{tool}`, or remove the line"),
        ),
        Err(ImportedError::ImpossibleKey(tool, key)) => report(
            format!("`{key}` is not a key of {tool}: no row of its version table can match"),
            match tool {
                MigrationTool::Django => {
                    "write the app and the name, such as `notes.0001_initial`".to_owned()
                }
                _ => "write the whole number that the version table contains".to_owned(),
            },
        ),
        Err(ImportedError::NearName(written)) => report(
            format!("`**{written}**` is not read"),
            "write `**Imported**`, a colon, the tool and the key".to_owned(),
        ),
        Err(ImportedError::UnknownTool(_) | ImportedError::MissingTool) => None,
    }
}

fn list_tools() -> String {
    MigrationTool::ALL.iter().map(|tool| format!("`{tool}`")).collect::<Vec<_>>().join(", ")
}

/// Reports two lines that name one migration of another tool, if they are for databases of the same
/// scope. The system database and user databases have version tables of their own.
fn check_duplicates(
    migrations: &BTreeMap<VersionPair, LinesOfMigration<'_>>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut lines: Vec<_> = migrations
        .iter()
        .flat_map(|(versions, found)| {
            found.lines.values().map(move |line| AssignedLine { versions, found, line })
        })
        .collect();
    lines.sort_by_key(|assigned| assigned.line.span.start);
    let mut first_lines: BTreeMap<_, &AssignedLine<'_>> = BTreeMap::new();
    for assigned in &lines {
        let Ok(imported_from) = &assigned.line.value else { continue };
        let first = assigned.found.scopes.iter().find_map(|scope| {
            let key = (imported_from.tool, imported_from.normalized_key(), *scope);
            match first_lines.entry(key) {
                Entry::Occupied(first) => Some(*first.get()),
                Entry::Vacant(entry) => {
                    entry.insert(assigned);
                    None
                }
            }
        });
        if let Some(first) = first {
            diagnostics.push(duplicate(imported_from, first, assigned));
        }
    }
}

/// A line and one of the migrations that it belongs to.
struct AssignedLine<'b> {
    versions: &'b VersionPair,
    found: &'b LinesOfMigration<'b>,
    line: &'b ImportedLine,
}

fn duplicate(
    imported_from: &ImportedFrom,
    first: &AssignedLine<'_>,
    second: &AssignedLine<'_>,
) -> Diagnostic {
    let span = second.line.span.clone();
    let message = if first.versions == second.versions {
        format!("`{imported_from}` is imported twice in `{}`", second.versions)
    } else {
        format!(
            "`{imported_from}` is imported in two migrations: `{}` and `{}`",
            first.versions, second.versions
        )
    };
    let diagnostic = Diagnostic::new(Rule::DuplicateImported, span.clone(), message);
    if first.line.span == span {
        return diagnostic.help(
            "give each of the two migrations its own heading, and put the line below one of them",
        );
    }
    diagnostic
        .label("the second line")
        .related(first.line.span.clone(), "the first line")
        .help("correct one of the two keys, or remove one of the lines")
}
