//! Gives each migration the lines `**Imported**: …` below its headings, and reports those that cannot
//! be read, that belong to no migration, or that name the same migration of another tool.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::document::blocks::{Block, Blocks};
use crate::document::diagnostic::{Diagnostic, Rule};
use crate::document::imported::{ImportedError, ImportedFrom, ImportedLine, MigrationTool};
use crate::document::tag::{Scope, Tag, VersionPair};

/// A line, and the scopes of the blocks below its heading.
struct ScopedLine<'b> {
    line: &'b ImportedLine,
    scopes: BTreeSet<Scope>,
}

/// The lines of one migration, by their place in the document.
type LinesOfMigration<'b> = BTreeMap<usize, ScopedLine<'b>>;

/// The migrations of other tools that a migration came from, in document order.
#[derive(Clone, Debug, Default)]
pub(crate) struct AssignedImports {
    /// All of them.
    pub(crate) all: Vec<ImportedFrom>,
    /// Those below whose line a block of this scope is, by scope.
    pub(crate) by_scope: [Vec<ImportedFrom>; 2],
}

/// The migrations of other tools that each migration came from. A reverse block has none. Adds to
/// `diagnostics` what is wrong with the lines.
pub(crate) fn assign_imported(
    blocks: &Blocks<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<VersionPair, AssignedImports> {
    let mut migrations: BTreeMap<VersionPair, LinesOfMigration<'_>> = BTreeMap::new();
    for block in &blocks.list {
        let Tag::Migration { scope, from, to } = &block.tag else { continue };
        if to < from {
            continue;
        }
        let lines = migrations.entry(VersionPair::new(from.clone(), to.clone())).or_default();
        for line in lines_of(blocks, block) {
            let scoped_line = lines.entry(line.span.start);
            let scoped_line =
                scoped_line.or_insert_with(|| ScopedLine { line, scopes: BTreeSet::new() });
            scoped_line.scopes.insert(*scope);
        }
    }
    let used: BTreeSet<usize> =
        migrations.values().flat_map(|lines| lines.keys().copied()).collect();
    let sections = blocks.sections.iter().flat_map(|section| &section.imported);
    for line in sections.chain(&blocks.imported_without_heading) {
        let is_used = used.contains(&line.span.start);
        let line_use = if is_used { LineUse::Migration } else { LineUse::None };
        diagnostics.extend(check_line(line, line_use));
    }
    check_duplicates(&migrations, diagnostics);
    migrations.into_iter().map(|(versions, lines)| (versions, collect_values(&lines))).collect()
}

fn collect_values(lines: &LinesOfMigration<'_>) -> AssignedImports {
    let mut assigned = AssignedImports::default();
    for ScopedLine { line, scopes } in lines.values() {
        let Ok(imported_from) = &line.value else { continue };
        if !assigned.all.contains(imported_from) {
            assigned.all.push(imported_from.clone());
        }
        for scope in scopes {
            assigned.by_scope[*scope as usize].push(imported_from.clone());
        }
    }
    assigned
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

/// Whether a migration has a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineUse {
    Migration,
    None,
}

/// What is wrong with a line. Below a heading without a migration, prose of the same form is not
/// reported.
fn check_line(line: &ImportedLine, line_use: LineUse) -> Option<Diagnostic> {
    let report = |message: String, help: String| {
        Some(Diagnostic::new(Rule::MalformedImported, line.span.clone(), message).help(help))
    };
    match &line.value {
        Ok(imported_from) if line_use == LineUse::None => report(
            format!(
                "`{imported_from}` belongs to no migration: no block follows below its heading"
            ),
            "move the line below the heading of the migration, which contains its blocks"
                .to_owned(),
        ),
        Err(ImportedError::UnknownTool(unknown)) if line_use == LineUse::Migration => {
            let help = match MigrationTool::suggest(&unknown.name) {
                Some(tool) => format!("did you mean `{tool}`?"),
                None => format!("write one of {}", list_tools()),
            };
            report(unknown.to_string(), help)
        }
        Err(ImportedError::MissingTool) if line_use == LineUse::Migration => report(
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
        Ok(_) | Err(ImportedError::UnknownTool(_) | ImportedError::MissingTool) => None,
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
        .flat_map(|(versions, lines)| {
            lines.values().map(move |scoped_line| AssignedLine { versions, scoped_line })
        })
        .collect();
    lines.sort_by_key(|assigned| assigned.span().start);
    let mut first_lines: BTreeMap<_, &AssignedLine<'_>> = BTreeMap::new();
    for assigned in &lines {
        let Ok(imported_from) = &assigned.scoped_line.line.value else { continue };
        let first = assigned.scoped_line.scopes.iter().find_map(|scope| {
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
    scoped_line: &'b ScopedLine<'b>,
}

impl AssignedLine<'_> {
    fn span(&self) -> &Range<usize> {
        &self.scoped_line.line.span
    }
}

fn duplicate(
    imported_from: &ImportedFrom,
    first: &AssignedLine<'_>,
    second: &AssignedLine<'_>,
) -> Diagnostic {
    let span = second.span().clone();
    let message = if first.versions == second.versions {
        format!("`{imported_from}` is imported twice in `{}`", second.versions)
    } else {
        format!(
            "`{imported_from}` is imported in two migrations: `{}` and `{}`",
            first.versions, second.versions
        )
    };
    let diagnostic = Diagnostic::new(Rule::DuplicateImported, span.clone(), message);
    if *first.span() == span {
        return diagnostic.help(
            "give each of the two migrations its own heading, and put the line below one of them",
        );
    }
    diagnostic
        .label("the second line")
        .related(first.span().clone(), "the first line")
        .help("correct one of the two keys, or remove one of the lines")
}
