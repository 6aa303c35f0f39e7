//! Determines which tool the files of a directory belong to: by markers in their text, by their names
//! and by the project around them.

use crate::document::imported::MigrationTool;
use crate::import::error::{Candidate, ImportError};
use crate::import::source_tree::{SourceTree, TreeFile, has_extension};
use crate::import::tools::files::NumberedName;
use crate::import::tools::flyway::{FileKind, FileName};
use crate::import::tools::nested::directories_with;
use crate::import::tools::{
    alembic, dbmate, django, drizzle, goose, rails, reads_single_files, refinery, scripts,
};

/// Finds the only tool that the files can belong to.
///
/// # Errors
///
/// They belong to no tool, or may belong to several.
pub fn detect(tree: &SourceTree) -> Result<Candidate, ImportError> {
    let marked = candidates_by_text(tree);
    let candidates = if marked.is_empty() { candidates_by_name(tree) } else { marked };
    let candidates = if tree.single_file().is_some() {
        candidates.into_iter().filter(|found| reads_single_files(found.tool)).collect()
    } else {
        candidates
    };
    match candidates.as_slice() {
        [] => Err(unknown_tool(tree)),
        [only] => Ok(only.clone()),
        _ => choose_by_project(tree, candidates),
    }
}

/// The candidate that the project around the directory uses, if it uses only one of them.
fn choose_by_project(
    tree: &SourceTree,
    candidates: Vec<Candidate>,
) -> Result<Candidate, ImportError> {
    let mut confirmed = candidates.iter().filter_map(|candidate| {
        let evidence = project_evidence(tree, candidate.tool)?;
        let reason = format!("{}, and {evidence}", candidate.reason);
        Some(Candidate { tool: candidate.tool, reason })
    });
    match (confirmed.next(), confirmed.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(ImportError::AmbiguousTool { directory: tree.name.clone(), candidates }),
    }
}

/// What in the project around the directory names a tool.
fn project_evidence(tree: &SourceTree, tool: MigrationTool) -> Option<String> {
    let has = |name: &str| tree.neighbors.contains_key(name).then(|| format!("`{name}` exists"));
    let names = |name: &str, word: &str| {
        let text = tree.neighbors.get(name)?;
        text.contains(word).then(|| format!("`{name}` names `{word}`"))
    };
    match tool {
        MigrationTool::Sqlx => names("Cargo.toml", "sqlx"),
        MigrationTool::Refinery => names("Cargo.toml", "refinery"),
        MigrationTool::Diesel => has("diesel.toml").or_else(|| names("Cargo.toml", "diesel")),
        MigrationTool::GolangMigrate => names("go.mod", "golang-migrate").or_else(|| has("go.mod")),
        MigrationTool::D1 => {
            ["wrangler.toml", "wrangler.json", "wrangler.jsonc"].iter().find_map(|name| has(name))
        }
        MigrationTool::Flyway => ["flyway.toml", "pom.xml", "build.gradle", "build.gradle.kts"]
            .iter()
            .find_map(|name| has(name)),
        MigrationTool::Kysely => names("package.json", "kysely"),
        MigrationTool::Knex => names("package.json", "knex"),
        MigrationTool::Drizzle => names("package.json", "drizzle"),
        MigrationTool::Prisma => names("package.json", "prisma"),
        MigrationTool::Alembic => has("alembic.ini"),
        MigrationTool::Django => has("manage.py"),
        MigrationTool::Rails => has("Gemfile"),
        _ => None,
    }
}

/// The tools whose markers are in the text of the files.
fn candidates_by_text(tree: &SourceTree) -> Vec<Candidate> {
    let candidate = |tool, has_marker: fn(&str) -> bool, marker: &str| {
        let is_marked = |file: &TreeFile<'_>| file.file.peek().is_ok_and(has_marker);
        let files = match tree.files().filter(is_marked).count() {
            0 => return None,
            1 => "1 file has".to_owned(),
            count => format!("{count} files have"),
        };
        Some(Candidate { tool, reason: format!("{files} {marker}") })
    };
    let candidates: Vec<Candidate> = [
        candidate(MigrationTool::Dbmate, dbmate::has_marker, "`-- migrate:up`"),
        candidate(MigrationTool::Goose, goose::has_marker, "`-- +goose` annotations"),
        candidate(MigrationTool::Alembic, alembic::has_marker, "`-- Running upgrade`"),
        candidate(MigrationTool::Rails, rails::has_marker, "`INSERT INTO \"schema_migrations\"`"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !candidates.is_empty() {
        return candidates;
    }
    candidate(MigrationTool::Django, django::has_marker, "the comments of `sqlmigrate`")
        .into_iter()
        .collect()
}

/// The tools whose naming of files the directory follows.
fn candidates_by_name(tree: &SourceTree) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut add = |tool, reason: &str| {
        candidates.push(Candidate { tool, reason: reason.to_owned() });
    };
    if tree.entry("meta/_journal.json").is_some() {
        add(MigrationTool::Drizzle, "`meta/_journal.json` exists");
    } else if drizzle::has_directories(tree) {
        add(MigrationTool::Drizzle, "directories have `migration.sql` and `snapshot.json`");
    } else if !directories_with(tree, "migration.sql").is_empty() {
        add(MigrationTool::Prisma, "directories have `migration.sql`");
    }
    if !directories_with(tree, "up.sql").is_empty() {
        add(MigrationTool::Diesel, "directories have `up.sql`");
    }
    if candidates.is_empty() && scripts::has_sql_of_programs(tree) {
        let reason = "files of SQL are named like programs in TypeScript or JavaScript";
        return [MigrationTool::Kysely, MigrationTool::Knex]
            .map(|tool| Candidate { tool, reason: reason.to_owned() })
            .into();
    }
    if candidates.is_empty() {
        candidates.extend(candidates_by_number(tree));
        candidates.extend(candidates_by_version(tree));
    }
    if candidates.is_empty() {
        candidates.extend(candidates_by_language(tree));
    }
    candidates
}

/// The tools whose files begin with a number and a `_`.
fn candidates_by_number(tree: &SourceTree) -> Vec<Candidate> {
    let names: Vec<&str> = tree.top_names().filter(|name| has_extension(name, "sql")).collect();
    let numbered: Vec<NumberedName<'_>> =
        names.iter().filter_map(|name| NumberedName::parse(name)).collect();
    if numbered.is_empty() {
        return Vec::new();
    }
    let candidate = |tool, reason: &str| Candidate { tool, reason: reason.to_owned() };
    let is_directed = |name: &NumberedName<'_>| {
        name.rest.ends_with(".up.sql") || name.rest.ends_with(".down.sql")
    };
    if numbered.iter().all(is_directed) {
        let reason = "files are named like `1_notes.up.sql`";
        return vec![
            candidate(MigrationTool::GolangMigrate, reason),
            candidate(MigrationTool::Sqlx, reason),
        ];
    }
    if numbered.iter().all(|name| name.number.len() == 14) || numbered.iter().any(is_directed) {
        return vec![candidate(
            MigrationTool::Sqlx,
            "files are named like `20240131120000_notes.sql`",
        )];
    }
    let reason = "files are named like `0001_notes.sql`";
    vec![candidate(MigrationTool::Sqlx, reason), candidate(MigrationTool::D1, reason)]
}

/// The tools whose files begin with a letter, a version and `__`.
fn candidates_by_version(tree: &SourceTree) -> Vec<Candidate> {
    let file_names: Vec<&str> =
        tree.paths().map(|path| path.rsplit('/').next().unwrap_or(path)).collect();
    let flyway: Vec<FileName<'_>> =
        file_names.iter().filter_map(|name| FileName::parse(name)).collect();
    let has_rust =
        file_names.iter().any(|name| has_extension(name, "rs") && refinery::is_file_name(name));
    let has_refinery = file_names.iter().any(|name| refinery::is_file_name(name));
    // Only Flyway has these kinds, and an undo file for a version that exists.
    let is_of_flyway = flyway.iter().any(|name| {
        matches!(name.kind, FileKind::Repeatable | FileKind::Baseline)
            || name.version.contains('.')
            || name.kind == FileKind::Undo
                && flyway
                    .iter()
                    .any(|other| other.kind == FileKind::Versioned && other.version == name.version)
    });
    let mut candidates = Vec::new();
    if has_refinery && !is_of_flyway {
        let reason = if has_rust {
            "files are named like `V1__notes.sql` and `V1__notes.rs`"
        } else {
            "files are named like `V1__notes.sql`"
        };
        candidates.push(Candidate { tool: MigrationTool::Refinery, reason: reason.to_owned() });
    }
    if !flyway.is_empty() && !has_rust {
        let reason = if is_of_flyway {
            "files are named like `V1.2__notes.sql`, `U1.2__notes.sql` or `R__views.sql`"
        } else {
            "files are named like `V1__notes.sql`"
        };
        candidates.push(Candidate { tool: MigrationTool::Flyway, reason: reason.to_owned() });
    }
    candidates
}

/// The tools whose migrations are programs. Each of them can print SQL.
fn candidates_by_language(tree: &SourceTree) -> Vec<Candidate> {
    let names: Vec<&str> = tree.top_names().collect();
    let has = |is_wanted: &dyn Fn(&str) -> bool| names.iter().any(|name| is_wanted(name));
    let mut candidates = Vec::new();
    let mut add = |tool, reason: &str| {
        candidates.push(Candidate { tool, reason: reason.to_owned() });
    };
    let is_django = |name: &str| has_extension(name, "py") && NumberedName::parse(name).is_some();
    if has(&is_django) {
        add(MigrationTool::Django, "files are named like `0001_initial.py`");
    } else if has(&|name| has_extension(name, "py")) || has(&|name| name == "script.py.mako") {
        add(MigrationTool::Alembic, "files are in Python");
    }
    if has(&|name| has_extension(name, "rb")) {
        add(MigrationTool::Rails, "files are in Ruby");
    }
    if has(&|name| has_extension(name, "go") && NumberedName::parse(name).is_some()) {
        add(MigrationTool::Goose, "files are named like `00001_notes.go`");
    }
    if has(&scripts::is_program) {
        add(MigrationTool::Kysely, "files are in TypeScript or JavaScript");
        add(MigrationTool::Knex, "files are in TypeScript or JavaScript");
    }
    candidates
}

fn unknown_tool(tree: &SourceTree) -> ImportError {
    let sql_count = tree.paths().filter(|path| has_extension(path, "sql")).count();
    let found = match sql_count {
        0 => String::new(),
        1 => ", but 1 file of SQL".to_owned(),
        count => format!(", but {count} files of SQL"),
    };
    ImportError::UnknownTool { directory: tree.name.clone(), found }
}
