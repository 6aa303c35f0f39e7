//! Turns the migrations of another tool into a document: writes it, runs it in memory, and comments
//! out what SQLite rejects, until only the comments for a person remain.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;

use crate::database::connection::ConnectionSetup;
use crate::document::changelog::{Changelog, parse_source};
use crate::document::diagnostic::{Diagnostic, Rule, Severity};
use crate::document::imported::{ImportedFrom, MigrationTool, parse_imported};
use crate::document::migration::ScopedSql;
use crate::document::tag::Scope;
use crate::import::cleanup::{Action, Part, Removal, Section};
use crate::import::error::{FileLine, ImportError};
use crate::import::heading;
use crate::import::migration::{SourceMigration, ToolMigrations};
use crate::import::render::{Draft, DraftMigration, Placement, RenderedDocument, imported_line};
use crate::import::source_tree::SourceTree;
use crate::import::tools::files::list_files;
use crate::import::{squash, tools};
use crate::lint::{LintOptions, lint_with};
use crate::migrate::replay::Replay;
use crate::source::Source;
use crate::sql::lexer;

/// The number of migrations up to which the rules of `lint` are applied as well. They take several
/// times as long as the run of the document, and SQLite's share of that grows with the square of the
/// number of tables.
const MAX_LINTED: usize = 1000;

/// The length of a document in bytes up to which they are applied.
const MAX_LINTED_LEN: usize = 4 << 20;

/// How migrations are imported.
#[derive(Clone, Debug)]
pub struct ImportOptions<'o> {
    /// The kind of databases that the migrations are for.
    pub scope: Scope,
    /// The version of the first migration.
    pub first_version: Version,
    /// The migration before which all others become one baseline.
    pub squash_before: Option<&'o str>,
    /// What the document is checked for.
    pub lint_options: LintOptions,
}

/// The document of imported migrations.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Import {
    /// The tool that the migrations are from.
    pub tool: MigrationTool,
    /// The text of the document.
    pub text: String,
    /// The number of migrations in the document.
    pub migration_count: usize,
    /// The number of migrations with a reverse block.
    pub reverse_count: usize,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What a person must do before the document can be used.
    pub todos: Vec<Todo>,
    /// What `lint` finds besides. The help of an error names the place in the files of the tool.
    pub problems: Vec<Diagnostic>,
}

/// A statement that a person must write, or decide on. A `-- tatmig:todo` shows it in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Todo {
    /// The line of the document, from 1.
    pub document_line: usize,
    /// The place in the tool's file.
    pub origin: FileLine,
    /// Why the statement was not taken over.
    pub reason: String,
}

/// Writes the document of a tool's migrations. The document runs on connections with this setup.
///
/// ```
/// use tatmig::import::{ImportOptions, SourceTree, import_migrations};
///
/// let sql = "-- Running upgrade  -> 1975ea83b712\n\nCREATE TABLE notes (id INTEGER PRIMARY KEY);\n";
/// let tree = SourceTree::from_bytes("upgrade.sql", sql.into());
/// let options = ImportOptions {
///     scope: tatmig::Scope::User,
///     first_version: "0.1.0".parse()?,
///     squash_before: None,
///     lint_options: Default::default(),
/// };
/// let found = tatmig::import::detect(&tree)?;
/// let import = import_migrations(&tree, found.tool, &options, &Default::default())?;
/// assert!(import.text.contains("**Imported**: alembic 1975ea83b712"));
/// assert!(import.todos.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The files are not migrations of the tool, or no document can be made of them.
pub fn import_migrations(
    tree: &SourceTree,
    tool: MigrationTool,
    options: &ImportOptions<'_>,
    setup: &ConnectionSetup,
) -> Result<Import, ImportError> {
    let ToolMigrations { migrations, mut notes } = tools::read_migrations(tree, tool)?;
    let names: Vec<_> = migrations.iter().map(|migration| migration.name.clone()).collect();
    let mut draft = new_draft(tool, options, migrations, &mut notes)?;
    let squash_count = match options.squash_before {
        Some(name) => Some(squash::find_migration(&draft, &names, name)?),
        None => None,
    };
    let mut document = repair(&mut draft, setup)?;
    if let Some(count) = squash_count {
        notes.extend(squash::squash(&mut draft, count, setup)?);
        document = repair(&mut draft, setup)?;
    }
    notes.extend(removal_notes(&draft));
    let source = Source::new("", &document.text);
    let todos = list_todos(&draft, &document, &source);
    let mut problems = Vec::new();
    if draft.migrations.len() <= MAX_LINTED && document.text.len() <= MAX_LINTED_LEN {
        problems = lint_with(source, options.lint_options, setup)
            .map_err(|error| ImportError::Lint(Box::new(error)))?
            .diagnostics;
    } else {
        notes.push("of so much SQL, only `lint` checks what is risky: run it next".to_owned());
    }
    problems.retain(|found| found.rule != Rule::UnfinishedBlock);
    for problem in problems.iter_mut().filter(|found| found.severity == Severity::Error) {
        add_origin(&draft, &document, problem);
    }
    let reverse_count = draft.migrations.iter().filter(|found| found.down.is_some()).count();
    let migration_count = draft.migrations.len();
    let text = document.text;
    Ok(Import { tool, text, migration_count, reverse_count, notes, todos, problems })
}

fn new_draft(
    tool: MigrationTool,
    options: &ImportOptions<'_>,
    migrations: Vec<SourceMigration>,
    notes: &mut Vec<String>,
) -> Result<Draft, ImportError> {
    let bookkeeping = tools::version_tables(tool);
    let mut first_files: BTreeMap<String, String> = BTreeMap::new();
    let mut draft_migrations = Vec::with_capacity(migrations.len());
    let mut irreversible = Vec::new();
    for migration in migrations {
        let file = migration.up.file.clone();
        let mut imported_from = Vec::new();
        for key in &migration.keys {
            let value = parse_key(tool, key, &file)?;
            if let Some(first) = first_files.insert(value.normalized_key(), file.clone()) {
                let key = key.clone();
                return Err(ImportError::DuplicateKey { tool, key, first, second: file });
            }
            imported_from.push(value);
        }
        let up = Section::from_source(&migration.up, bookkeeping);
        let down = migration.down.map(|down| Section::from_source(&down, bookkeeping));
        if down.as_ref().is_some_and(Section::is_empty) {
            irreversible.push(migration.name.clone());
        }
        draft_migrations.push(DraftMigration {
            imported_from,
            description: heading::description(&migration.name),
            name: migration.name,
            date: migration.date,
            up,
            down: down.filter(|down| !down.is_empty()),
        });
    }
    if !irreversible.is_empty() {
        notes.push(format!(
            "no reverse block, because the down part has no statement: {}",
            list_files(&irreversible)
        ));
    }
    let (scope, first_version) = (options.scope, options.first_version.clone());
    Ok(Draft { tool, scope, first_version, migrations: draft_migrations })
}

/// A key as the document can contain it.
fn parse_key(tool: MigrationTool, key: &str, file: &str) -> Result<ImportedFrom, ImportError> {
    let value = ImportedFrom::new(tool, key).filter(|value| {
        let line = imported_line(value);
        let read = line.strip_prefix("**Imported**: ").map(parse_imported);
        value.key == key && read.is_some_and(|read| read.as_ref() == Ok(value))
    });
    value.ok_or_else(|| ImportError::File {
        file: file.to_owned(),
        message: format!(
            "`{}` cannot be the key of a migration of {tool}; rename it",
            key.escape_debug()
        ),
    })
}

/// Writes the document and runs it, comments out each statement with an error, and repeats both until
/// no error is left.
fn repair(draft: &mut Draft, setup: &ConnectionSetup) -> Result<RenderedDocument, ImportError> {
    let is_todo = |part: &Part| matches!(part.action, Action::Todo(_));
    let mut has_earlier_todo = draft.migrations.iter().any(|migration| {
        let sections = std::iter::once(&migration.up).chain(&migration.down);
        sections.flat_map(|section| &section.parts).any(is_todo)
    });
    loop {
        let document = draft.render()?;
        let errors = find_errors(&document, setup)?;
        if errors.is_empty() {
            check_blocks(draft, &document)?;
            return ensure_usable(draft, document);
        }
        let mut has_changed = false;
        for error in &errors {
            let Some(placement) = document.placement_at(error.span.start) else { continue };
            let migration = &mut draft.migrations[placement.migration];
            let Some(section) = migration.section_mut(placement.direction) else { continue };
            let part = &mut section.parts[placement.part];
            if part.action == Action::Keep {
                part.action = Action::Todo(reason_of(error, has_earlier_todo));
                (has_changed, has_earlier_todo) = (true, true);
            }
        }
        if !has_changed {
            let mut diagnostics = errors;
            for diagnostic in &mut diagnostics {
                add_origin(draft, &document, diagnostic);
            }
            return Err(ImportError::Unusable { text: document.text, diagnostics });
        }
    }
}

/// The errors of the document and of its SQL, without those about unfinished blocks.
fn find_errors(
    document: &RenderedDocument,
    setup: &ConnectionSetup,
) -> Result<Vec<Diagnostic>, ImportError> {
    let (changelog, mut diagnostics) = parse_source(Source::new("", &document.text));
    if let Ok(changelog) = changelog {
        diagnostics.extend(Replay::run(&changelog, setup)?.all_diagnostics());
    }
    diagnostics
        .retain(|found| found.severity == Severity::Error && found.rule != Rule::UnfinishedBlock);
    Ok(diagnostics)
}

/// Why a statement with an error was not taken over.
fn reason_of(error: &Diagnostic, has_earlier_todo: bool) -> String {
    let may_follow = has_earlier_todo
        && (error.message.starts_with("no such") || error.message.contains("has no column"));
    match (&error.help, may_follow) {
        (_, true) => format!(
            "{}; an unfinished statement above may create it: then only remove the comment marks",
            error.message
        ),
        (Some(help), false) if error.rule == Rule::InvisibleCharacter => {
            format!("{}; {help}", error.message)
        }
        _ => error.message.clone(),
    }
}

/// Adds to the help of a diagnostic where its statement is in the files of the tool.
fn add_origin(draft: &Draft, document: &RenderedDocument, diagnostic: &mut Diagnostic) {
    let Some(origin) = origin_of(draft, document, diagnostic) else { return };
    let help = diagnostic.help.take().map(|help| format!("{help}; ")).unwrap_or_default();
    diagnostic.help = Some(format!("{help}the statement is from {origin}"));
}

fn origin_of(draft: &Draft, document: &RenderedDocument, error: &Diagnostic) -> Option<FileLine> {
    let placement = document.placement_at(error.span.start)?;
    let section = draft.migrations[placement.migration].section(placement.direction)?;
    let lines_before = document
        .text
        .get(placement.statement_start..error.span.start)
        .map_or(0, |text| text.matches('\n').count());
    let line = section.parts[placement.part].line + lines_before;
    Some(FileLine { file: section.file.clone(), line })
}

/// Checks that the document contains the migrations and the SQL that were written into it.
fn check_blocks(draft: &Draft, document: &RenderedDocument) -> Result<(), ImportError> {
    let (changelog, _) = parse_source(Source::new("", &document.text));
    let is_as_written = changelog.is_ok_and(|changelog| {
        let mut blocks: Vec<_> = changelog.blocks(draft.scope).map(ScopedSql::sql).collect();
        blocks.sort_by_key(|sql| sql.document_offset(0));
        let has_imported = |changelog: &Changelog<'_>| {
            let migrations = changelog.baselines().iter().chain(changelog.chain());
            migrations
                .zip(&draft.migrations)
                .all(|(migration, expected)| migration.imported == expected.imported_from)
        };
        changelog.versions().len() == draft.migrations.len()
            && has_imported(&changelog)
            && blocks.len() == document.blocks.len()
            && blocks.iter().zip(&document.blocks).all(|(sql, range)| {
                lexer::normalize(sql.text()) == lexer::normalize(&document.text[range.clone()])
            })
    });
    if is_as_written {
        return Ok(());
    }
    Err(ImportError::File {
        file: draft.tool.name().to_owned(),
        message: "the document would not have the content of the files, so it was not written"
            .to_owned(),
    })
}

/// Fails if statements exist and every one of them is commented out.
fn ensure_usable(
    draft: &Draft,
    document: RenderedDocument,
) -> Result<RenderedDocument, ImportError> {
    let sections = draft
        .migrations
        .iter()
        .flat_map(|migration| std::iter::once(&migration.up).chain(&migration.down));
    let mut first = None;
    for section in sections {
        for part in &section.parts {
            match &part.action {
                Action::Keep if !part.statement.is_empty() => return Ok(document),
                Action::Todo(reason) => {
                    first
                        .get_or_insert_with(|| format!("{}:{}: {reason}", section.file, part.line));
                }
                Action::Keep | Action::Remove(_) => {}
            }
        }
    }
    match first {
        Some(first) => Err(ImportError::NothingUsable { first }),
        None => Ok(document),
    }
}

/// One note for each kind of statement that was left out.
fn removal_notes(draft: &Draft) -> Vec<String> {
    let mut names: BTreeMap<Removal, Vec<String>> = BTreeMap::new();
    for migration in &draft.migrations {
        let sections = std::iter::once(&migration.up).chain(&migration.down);
        let removals: BTreeSet<_> = sections.flat_map(Section::removals).collect();
        for removal in removals {
            names.entry(removal).or_default().push(migration.name.clone());
        }
    }
    names
        .into_iter()
        .map(|(removal, names)| format!("{} ({})", removal.describe(), list_files(&names)))
        .collect()
}

fn list_todos(draft: &Draft, document: &RenderedDocument, source: &Source<'_>) -> Vec<Todo> {
    let todo = |placement: &Placement| {
        let section = draft.migrations[placement.migration].section(placement.direction)?;
        let part = &section.parts[placement.part];
        let Action::Todo(reason) = &part.action else { return None };
        Some(Todo {
            document_line: source.line_number(placement.range.start),
            origin: FileLine { file: section.file.clone(), line: part.line },
            reason: reason.clone(),
        })
    };
    document.placements.iter().filter_map(todo).collect()
}
